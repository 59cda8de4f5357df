/* The core's costs through the C library, each beside what the system alone costs in the same run.
 * Build and run: make bench-core. Figures are nanoseconds an operation, the median of ROUNDS rounds. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <tidegate.h>
#include <unistd.h>

#define ROUNDS 9
#define MUST(call)                                                                          \
  do {                                                                                      \
    if ((call) < 0) {                                                                       \
      fprintf(stderr, "%s:%d: %s failed: %s %s\n", __FILE__, __LINE__, #call, tg_last_error(), strerror(errno)); \
      exit(1);                                                                              \
    }                                                                                       \
  } while (0)

static int by_value(const void *a, const void *b)
{
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

/* The median of several rounds of a measurement that answers nanoseconds an operation. */
static double median(double (*measure)(void))
{
  double rounds[ROUNDS];
  for (int i = 0; i < ROUNDS; i++)
    rounds[i] = measure();
  qsort(rounds, ROUNDS, sizeof rounds[0], by_value);
  return rounds[ROUNDS / 2];
}

static void nothing_timer(tg_handle self, void *user, uint64_t missed)
{
  (void)self, (void)user, (void)missed;
}

static tg_loop loop;

/* ---- an id looked up and used -------------------------------------------------------------------------------------- */

static double restart_a_timer(void)
{
  enum { COUNT = 2000000 };
  tg_timer_options options = TG_TIMER_OPTIONS_INIT;
  options.callback = nothing_timer;
  tg_handle timers[64];
  for (int i = 0; i < 64; i++)
    MUST(tg_timer_open(loop, INT64_C(60000000000), 0, &options, &timers[i]));
  int64_t start = tg_now_ns();
  for (int i = 0; i < COUNT; i++)
    tg_timer_restart(timers[i & 63]);
  int64_t end = tg_now_ns();
  for (int i = 0; i < 64; i++)
    MUST(tg_close(timers[i]));
  MUST(tg_loop_run_nowait(loop));
  return (double)(end - start) / COUNT;
}

static double start_a_timer(void)
{
  enum { COUNT = 500000 };
  tg_timer_options options = TG_TIMER_OPTIONS_INIT;
  options.callback = nothing_timer;
  tg_handle timer;
  MUST(tg_timer_open(loop, -1, 0, &options, &timer));
  int64_t start = tg_now_ns();
  for (int i = 0; i < COUNT; i++)
    tg_timer_start(timer, INT64_C(60000000000), 0);
  int64_t end = tg_now_ns();
  MUST(tg_close(timer));
  MUST(tg_loop_run_nowait(loop));
  return (double)(end - start) / COUNT;
}

static double read_the_clock(void)
{
  enum { COUNT = 1000000 };
  int64_t start = tg_now_ns(), last = start;
  for (int i = 0; i < COUNT; i++)
    last = tg_now_ns();
  return (double)(last - start) / COUNT;
}

/* ---- a turn --------------------------------------------------------------------------------------------------------- */

static double turn(void)
{
  enum { COUNT = 200000 };
  tg_timer_options options = TG_TIMER_OPTIONS_INIT;
  options.callback = nothing_timer;
  tg_handle timer;
  MUST(tg_timer_open(loop, INT64_C(60000000000), 0, &options, &timer));
  int64_t start = tg_now_ns();
  for (int i = 0; i < COUNT; i++)
    tg_loop_run_nowait(loop);
  int64_t end = tg_now_ns();
  MUST(tg_close(timer));
  MUST(tg_loop_run_nowait(loop));
  return (double)(end - start) / COUNT;
}

static double bare_epoll_wait(void)
{
  enum { COUNT = 200000 };
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event;
  MUST(epoll);
  int64_t start = tg_now_ns();
  for (int i = 0; i < COUNT; i++)
    epoll_wait(epoll, &event, 1, 0);
  int64_t end = tg_now_ns();
  close(epoll);
  return (double)(end - start) / COUNT;
}

/* ---- posts from another thread --------------------------------------------------------------------------------------- */

enum { POSTS = 200000 };
static int posts_seen;

static void count_post(tg_loop self, void *user)
{
  (void)user;
  if (++posts_seen == POSTS)
    tg_loop_stop(self);
}

static void *post_them(void *unused)
{
  (void)unused;
  for (int i = 0; i < POSTS; i++)
    MUST(tg_post(loop, count_post, NULL, NULL));
  return NULL;
}

static void hold_while_posting(tg_handle self, void *user, uint64_t missed)
{
  pthread_t thread;
  (void)self, (void)user, (void)missed;
  if (pthread_create(&thread, NULL, post_them, NULL) != 0 || pthread_join(thread, NULL) != 0)
    exit(1);
}

/* A burst while the loop is busy in a callback, posted and then run: what a closure costs end to end. */
static double post_in_a_burst(void)
{
  tg_timer_options options = TG_TIMER_OPTIONS_INIT;
  tg_handle timer;
  posts_seen = 0;
  options.callback = hold_while_posting;
  MUST(tg_timer_open(loop, 0, 0, &options, &timer));
  MUST(tg_loop_hold(loop));
  int64_t start = tg_now_ns();
  MUST(tg_loop_run(loop));
  int64_t end = tg_now_ns();
  MUST(tg_loop_unhold(loop));
  MUST(tg_close(timer));
  MUST(tg_loop_run_nowait(loop));
  return (double)(end - start) / POSTS;
}

/* The loop runs what is posted while the other thread goes on posting: both fight for the inbox. */
static double post_in_a_race(void)
{
  pthread_t thread;
  posts_seen = 0;
  MUST(tg_loop_hold(loop));
  int64_t start = tg_now_ns();
  if (pthread_create(&thread, NULL, post_them, NULL) != 0)
    exit(1);
  MUST(tg_loop_run(loop));
  int64_t end = tg_now_ns();
  pthread_join(thread, NULL);
  MUST(tg_loop_unhold(loop));
  return (double)(end - start) / POSTS;
}

/* ---- the chain of descriptors: ACTIVE tokens go round among many socket pairs ----------------------------------------- */

enum { ACTIVE = 100, HOPS = 200000, MOST = 9000 };
static int pairs[MOST][2];
static int pair_count, hops;

static void pass_on(int from)
{
  char byte;
  if (read(pairs[from][0], &byte, 1) != 1)
    exit(1);
  int to = from + 1 == pair_count ? 0 : from + 1;
  if (write(pairs[to][1], &byte, 1) != 1)
    exit(1);
  hops++;
}

static void begin(void)
{
  hops = 0;
  for (int i = 0; i < ACTIVE; i++)
    if (write(pairs[i * (pair_count / ACTIVE)][1], "x", 1) != 1)
      exit(1);
}

static void drain(void)
{
  char bytes[ACTIVE];
  for (int i = 0; i < pair_count; i++)
    while (recv(pairs[i][0], bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
    }
}

static void on_readable(tg_handle self, void *user, uint32_t ready, int status)
{
  (void)self, (void)ready, (void)status;
  pass_on((int)(intptr_t)user);
}

static double chain_tidegate(void)
{
  static tg_handle watchers[MOST];
  tg_io_options options = TG_IO_OPTIONS_INIT;
  options.callback = on_readable;
  for (int i = 0; i < pair_count; i++) {
    options.user = (void *)(intptr_t)i;
    MUST(tg_io_open(loop, pairs[i][0], TG_READ, &options, &watchers[i]));
  }
  begin();
  int64_t start = tg_now_ns();
  while (hops < HOPS)
    MUST(tg_loop_run_once(loop));
  int64_t end = tg_now_ns();
  double each = (double)(end - start) / hops;
  for (int i = 0; i < pair_count; i++)
    MUST(tg_close(watchers[i]));
  MUST(tg_loop_run_nowait(loop));
  drain();
  return each;
}

static double chain_epoll(void)
{
  static struct epoll_event events[1024];
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < pair_count; i++) {
    struct epoll_event event = { .events = EPOLLIN, .data = { .u64 = (uint64_t)i } };
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, pairs[i][0], &event));
  }
  begin();
  int64_t start = tg_now_ns();
  while (hops < HOPS) {
    int count = epoll_wait(epoll, events, 1024, -1);
    for (int i = 0; i < count; i++)
      pass_on((int)events[i].data.u64);
  }
  int64_t end = tg_now_ns();
  double each = (double)(end - start) / hops;
  close(epoll);
  drain();
  return each;
}

/* The two take turns, so that what disturbs the machine disturbs both; the best round of each counts. */
static void chain(int count)
{
  for (int i = pair_count; i < count; i++)
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[i]));
  pair_count = count;
  double best_epoll = 1e18, best_tidegate = 1e18;
  for (int i = 0; i < ROUNDS; i++) {
    double epoll = chain_epoll(), tidegate = chain_tidegate();
    best_epoll = epoll < best_epoll ? epoll : best_epoll;
    best_tidegate = tidegate < best_tidegate ? tidegate : best_tidegate;
  }
  printf("chain of %5d pairs, %d active          %8.0f  (bare epoll %.0f, %+.0f ns)\n", count, ACTIVE, best_tidegate,
         best_epoll, best_tidegate - best_epoll);
}

int main(void)
{
  MUST(tg_loop_new(NULL, &loop));
  printf("tidegate %s, %s; ns an operation\n", tg_version(), tg_backend_name());
  printf("tg_now_ns                                 %8.1f\n", median(read_the_clock));
  printf("tg_timer_restart (an id looked up, used)  %8.1f\n", median(restart_a_timer));
  printf("tg_timer_start (reads the clock)          %8.1f\n", median(start_a_timer));
  printf("tg_post and its call, in a burst          %8.1f\n", median(post_in_a_burst));
  printf("tg_post and its call, thread against loop %8.1f\n", median(post_in_a_race));
  double bare = median(bare_epoll_wait), ours = median(turn);
  printf("a turn that finds nothing                 %8.1f  (bare epoll_wait %.1f, x %.2f)\n", ours, bare, ours / bare);
  chain(100);
  chain(1000);
  chain(MOST);
  MUST(tg_loop_free(loop));
  return 0;
}
