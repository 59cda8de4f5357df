/* The client of the echo servers: keeps requests going on many connections and looks at every byte that comes back.
 *
 *   load PORT CONNECTIONS SIZE DEPTH (-s SECONDS | -r REQUESTS) [-w WARM_UP_REQUESTS] [-f] [-l]
 *
 * DEPTH requests are under way on each connection at any time. -f: one more connection sends as much as it can, and is
 * not counted. -l: in step, the next requests go out when all answers to those before have come.
 * Prints "ready" when all are connected and warm, waits for a line, works, prints one line of figures, waits for the end
 * of its input. */
#define _GNU_SOURCE
#include "echo.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <time.h>

enum { PERIOD = 251, PATTERN = PERIOD + CHUNK, EVENTS = 256, DEEPEST = 64, STEPS = 32, BUCKETS = 64 * STEPS };

struct conn {
  int fd, floods, wants_out;
  /* Bytes since the beginning, and how many of them may be sent by now. */
  uint64_t sent, allowed, received;
  /* When the requests under way were sent. */
  int64_t since[DEEPEST];
};

static struct {
  unsigned port, count, depth, in_step;
  size_t size;
  double seconds;
  uint64_t requests, warm_up, floods;
} want;

static struct conn *conns;
static int epoll;
static char pattern[PATTERN], scratch[CHUNK];
static uint64_t begun, done, limit, flooded, histogram[BUCKETS];
static int64_t stop_at;

static int64_t now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- latencies: 32 steps for each power of two ----------------------------------------------------------------------- */

static unsigned bucket_of(uint64_t ns)
{
  unsigned shift = 0;
  while ((ns >> shift) >= 2 * STEPS)
    shift++;
  return shift * STEPS + (unsigned)(ns >> shift);
}

static double upper_us(unsigned bucket)
{
  unsigned shift = bucket < 2 * STEPS ? 0 : bucket / STEPS - 1;
  return (double)((uint64_t)(bucket - shift * STEPS + 1) << shift) / 1000;
}

static double percentile_us(double part)
{
  uint64_t all = 0, below = 0;
  for (unsigned i = 0; i < BUCKETS; i++)
    all += histogram[i];
  for (unsigned i = 0; i < BUCKETS; i++) {
    below += histogram[i];
    if (all > 0 && (double)below >= part * (double)all)
      return upper_us(i);
  }
  return 0;
}

/* ---- connections ------------------------------------------------------------------------------------------------------ */

static void wait_for(struct conn *conn, int operation, int out)
{
  struct epoll_event event;
  memset(&event, 0, sizeof event);
  event.events = EPOLLIN | (out ? (uint32_t)EPOLLOUT : 0);
  event.data.ptr = conn;
  conn->wants_out = out;
  MUST(epoll_ctl(epoll, operation, conn->fd, &event));
}

static void connect_one(struct conn *conn)
{
  struct sockaddr_in address;
  int one = 1;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)want.port);
  MUST(conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  MUST(connect(conn->fd, (struct sockaddr *)&address, sizeof address));
  MUST(setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
  wait_for(conn, EPOLL_CTL_ADD, 0);
}

/* Sends what is allowed and what the system takes. */
static void push(struct conn *conn)
{
  while (conn->sent < conn->allowed) {
    size_t length = conn->allowed - conn->sent < CHUNK ? (size_t)(conn->allowed - conn->sent) : CHUNK;
    ssize_t sent = send(conn->fd, pattern + conn->sent % PERIOD, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN)
      break;
    MUST(sent);
    conn->sent += (uint64_t)sent;
  }
  if (conn->wants_out != (conn->sent < conn->allowed))
    wait_for(conn, EPOLL_CTL_MOD, conn->sent < conn->allowed);
}

static int may_begin(void)
{
  return begun < limit && (stop_at == 0 || now_ns() < stop_at);
}

static void request(struct conn *conn)
{
  if (!may_begin())
    return;
  begun++;
  conn->since[conn->allowed / want.size % want.depth] = now_ns();
  conn->allowed += want.size;
  push(conn);
}

static void answered(struct conn *conn, uint64_t before)
{
  if (conn->floods) {
    flooded += conn->received - before;
    return;
  }
  uint64_t answers = conn->received / want.size - before / want.size;
  int64_t now = answers > 0 ? now_ns() : 0;
  for (uint64_t i = 0; i < answers; i++) {
    int64_t since = conn->since[(before / want.size + i) % want.depth];
    histogram[bucket_of((uint64_t)(now - since))]++;
    done++;
    if (!want.in_step)
      request(conn);
  }
}

static void pull(struct conn *conn)
{
  ssize_t got = recv(conn->fd, scratch, sizeof scratch, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN)
    return;
  if (got <= 0 || memcmp(scratch, pattern + conn->received % PERIOD, (size_t)got) != 0) {
    fprintf(stderr, "load: after %llu bytes %s\n", (unsigned long long)conn->received,
            got > 0 ? "others came than were sent" : "the server has gone");
    exit(1);
  }
  uint64_t before = conn->received;
  conn->received += (uint64_t)got;
  answered(conn, before);
}

/* ---- the work --------------------------------------------------------------------------------------------------------- */

static void request_everywhere(void)
{
  for (unsigned i = 0; i < want.count; i++)
    for (unsigned j = 0; j < want.depth; j++)
      request(&conns[i]);
}

static void work(uint64_t requests, double seconds)
{
  static struct epoll_event events[EVENTS];
  begun = done = flooded = 0;
  memset(histogram, 0, sizeof histogram);
  limit = requests > 0 ? requests : UINT64_MAX;
  stop_at = seconds > 0 ? now_ns() + (int64_t)(seconds * 1e9) : 0;
  request_everywhere();
  while (done < begun || (begun < limit && stop_at > now_ns())) {
    int count = epoll_wait(epoll, events, EVENTS, 1000);
    for (int i = 0; i < count; i++) {
      if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        pull(events[i].data.ptr);
      if (events[i].events & EPOLLOUT)
        push(events[i].data.ptr);
    }
    if (want.in_step && done == begun)
      request_everywhere();
  }
}

static void usage(void)
{
  fprintf(stderr, "usage: load PORT CONNECTIONS SIZE DEPTH (-s SECONDS | -r REQUESTS) [-w REQUESTS] [-f] [-l]\n");
  exit(2);
}

static void understand(int argc, char **argv)
{
  int option;
  while ((option = getopt(argc, argv, "s:r:w:fl")) != -1) {
    switch (option) {
    case 's': want.seconds = atof(optarg); break;
    case 'r': want.requests = strtoull(optarg, NULL, 10); break;
    case 'w': want.warm_up = strtoull(optarg, NULL, 10); break;
    case 'f': want.floods = 1; break;
    case 'l': want.in_step = 1; break;
    default: usage();
    }
  }
  if (argc - optind != 4)
    usage();
  want.port = (unsigned)atoi(argv[optind]);
  want.count = (unsigned)atoi(argv[optind + 1]);
  want.size = (size_t)atoi(argv[optind + 2]);
  want.depth = (unsigned)atoi(argv[optind + 3]);
  if (want.size == 0 || want.count == 0 || want.depth == 0 || want.depth > DEEPEST ||
      (want.seconds > 0) == (want.requests > 0))
    usage();
}

static void wait_for_a_line(void)
{
  char line[16];
  if (fgets(line, sizeof line, stdin) == NULL)
    exit(0);
}

int main(int argc, char **argv)
{
  understand(argc, argv);
  for (size_t i = 0; i < PATTERN; i++)
    pattern[i] = (char)(i % PERIOD);
  MUST(epoll = epoll_create1(EPOLL_CLOEXEC));
  conns = calloc(want.count + want.floods, sizeof *conns);
  if (conns == NULL)
    return 1;
  for (unsigned i = 0; i < want.count + want.floods; i++)
    connect_one(&conns[i]);
  if (want.floods) {
    conns[want.count].floods = 1;
    conns[want.count].allowed = UINT64_MAX;
    push(&conns[want.count]);
  }
  work(want.warm_up > want.count ? want.warm_up : want.count, 0);
  printf("ready\n");
  fflush(stdout);
  wait_for_a_line();
  int64_t start = now_ns();
  work(want.requests, want.seconds);
  printf("requests %llu seconds %.6f p50_us %.1f p99_us %.1f p999_us %.1f max_us %.1f flood_bytes %llu\n",
         (unsigned long long)done, (double)(now_ns() - start) / 1e9, percentile_us(0.5), percentile_us(0.99),
         percentile_us(0.999), percentile_us(1), (unsigned long long)flooded);
  fflush(stdout);
  wait_for_a_line();
  return 0;
}
