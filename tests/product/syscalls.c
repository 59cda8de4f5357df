/* What tests/product/syscalls.py counts under strace: each scenario does its work between two calls of getppid(), which
 * nothing else here makes. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tidegate.h>
#include <unistd.h>

#define MUST(call)                                                            \
  do {                                                                        \
    if ((call) < 0) {                                                         \
      fprintf(stderr, "line %d: %s: %s\n", __LINE__, #call, tg_last_error()); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

enum { TURNS = 10, POSTS = 1000, TOGGLES = 10, DATAGRAMS = 128 };
static tg_loop loop;
static int ran;

static void mark(void) { (void)getppid(); }

static void on_timer(tg_handle self, void *user, uint64_t missed)
{
  (void)self, (void)user, (void)missed;
}

static void idle_turns(void)
{
  tg_timer_options options = TG_TIMER_OPTIONS_INIT;
  tg_handle timer;
  options.callback = on_timer;
  MUST(tg_timer_open(loop, 1000000, 1000000, &options, &timer));
  MUST(tg_loop_run_once(loop));
  mark();
  for (int i = 0; i < TURNS; i++)
    MUST(tg_loop_run_once(loop));
  mark();
}

static void on_post(tg_loop self, void *user)
{
  (void)user;
  if (++ran == POSTS)
    MUST(tg_loop_stop(self));
}

static void *post_all(void *unused)
{
  (void)unused;
  for (int i = 0; i < POSTS; i++)
    MUST(tg_post(loop, on_post, NULL, NULL));
  return NULL;
}

/* The loop is held in this callback while the other thread posts everything. */
static void hold_while_posting(tg_handle self, void *user, uint64_t missed)
{
  pthread_t thread;
  (void)self, (void)user, (void)missed;
  if (pthread_create(&thread, NULL, post_all, NULL) != 0 || pthread_join(thread, NULL) != 0)
    exit(1);
}

static void posts_to_a_busy_loop(void)
{
  tg_timer_options options = TG_TIMER_OPTIONS_INIT;
  tg_handle timer;
  options.callback = hold_while_posting;
  MUST(tg_timer_open(loop, 0, 0, &options, &timer));
  MUST(tg_loop_hold(loop));
  mark();
  MUST(tg_loop_run(loop));
  mark();
}

/* Nobody runs the loop while this thread posts: the first post wakes, the others find that it has been woken. */
static void posts_to_a_resting_loop(void)
{
  mark();
  (void)post_all(NULL);
  mark();
  MUST(tg_loop_run(loop));
}

static void toggle(tg_handle self, void *user, uint32_t ready, int status)
{
  (void)ready, (void)status;
  for (int i = 0; i < TOGGLES; i++) {
    MUST(tg_io_set_interest(self, TG_READ | TG_WRITE));
    MUST(tg_io_set_interest(self, TG_READ));
  }
  MUST(tg_io_set_interest(self, TG_READ | (uint32_t)(uintptr_t)user));
  ran++;
}

static void toggles(uint32_t in_the_end)
{
  int ends[2];
  tg_io_options options = TG_IO_OPTIONS_INIT;
  tg_handle io;
  options.callback = toggle;
  options.user = (void *)(uintptr_t)in_the_end;
  MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
  MUST(write(ends[1], "x", 1));
  MUST(tg_io_open(loop, ends[0], TG_READ, &options, &io));
  mark();
  MUST(tg_loop_run_nowait(loop));
  MUST(tg_loop_run_nowait(loop));
  mark();
}

static void on_datagrams(tg_handle self, void *user, const tg_datagram *datagrams, size_t count)
{
  (void)self, (void)user, (void)datagrams;
  ran += (int)count;
}

/* A hundred and twenty-eight datagrams, all there at once. */
static void datagrams(void)
{
  tg_udp_options options = TG_UDP_OPTIONS_INIT;
  tg_outgoing all[DATAGRAMS];
  tg_address local;
  tg_handle udp;
  options.callback = on_datagrams;
  options.receive_size = 2048;
  MUST(tg_address_parse("127.0.0.1", 0, &local));
  MUST(tg_udp_open(loop, &local, &options, &udp));
  MUST(tg_udp_get_local(udp, &local));
  for (int i = 0; i < DATAGRAMS; i++)
    all[i] = (tg_outgoing){&local, "datagram", 8};
  mark();
  MUST(tg_udp_send_many(udp, all, DATAGRAMS));
  while (ran < DATAGRAMS)
    MUST(tg_loop_run_once(loop));
  mark();
}

/* ---- Echo: requests over connections with idle timeouts ---- */

/* Every call of the allocator, the library's included. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
static unsigned long allocations;

void *malloc(size_t size)
{
  allocations++;
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
  allocations++;
  return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
  allocations++;
  return __libc_realloc(memory, size);
}

enum { CONNS = 50, ROUNDS = 10 };

static void echo(tg_handle self, void *user, const void *data, size_t length)
{
  (void)user;
  MUST(tg_conn_write(self, data, length));
  ran++;
}

/* The peers write and recvfrom; the library reads and sends: the counts tell them apart. */
static void round_of_requests(const int *fds)
{
  char answer[16];
  for (int i = 0; i < CONNS; i++)
    MUST(write(fds[i], "request\n", 8));
  MUST(tg_loop_run_nowait(loop));
  for (int i = 0; i < CONNS; i++)
    MUST(recv(fds[i], answer, sizeof answer, 0));
}

static void echoes(uint32_t framing)
{
  tg_conn_options options = TG_CONN_OPTIONS_INIT;
  int fds[CONNS], ends[2];
  unsigned long before;
  options.on_data = echo;
  options.framing = framing;
  options.idle_timeout_ns = 5000000000;
  options.read_timeout_ns = 5000000000;
  for (int i = 0; i < CONNS; i++) {
    tg_handle conn;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
    MUST(tg_conn_open(loop, ends[0], &options, &conn));
    fds[i] = ends[1];
  }
  round_of_requests(fds);
  round_of_requests(fds);
  ran = 0;
  before = allocations;
  if (before == 0)
    exit(1); /* the library's are not counted */
  mark();
  for (int i = 0; i < ROUNDS; i++)
    round_of_requests(fds);
  mark();
  before = allocations - before;
  printf("allocated %lu\n", before);
}

int main(int argc, char **argv)
{
  const char *scenario = argc > 1 ? argv[1] : "";
  MUST(tg_loop_new(NULL, &loop));
  if (strcmp(scenario, "idle") == 0)
    idle_turns();
  else if (strcmp(scenario, "busy") == 0)
    posts_to_a_busy_loop();
  else if (strcmp(scenario, "resting") == 0)
    posts_to_a_resting_loop();
  else if (strcmp(scenario, "toggle-back") == 0)
    toggles(0);
  else if (strcmp(scenario, "toggle-on") == 0)
    toggles(TG_WRITE);
  else if (strcmp(scenario, "datagrams") == 0)
    datagrams();
  else if (strcmp(scenario, "echo") == 0)
    echoes(TG_FRAMING_NONE);
  else if (strcmp(scenario, "echo-lines") == 0)
    echoes(TG_FRAMING_LINES);
  else
    return 2;
  printf("ran %d\n", ran);
  MUST(tg_loop_free(loop));
  return 0;
}
