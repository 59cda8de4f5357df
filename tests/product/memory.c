/* What tests/product/memory.py measures: how much memory connections take that do nothing, and one whose peer reads
 * slowly. The peers are in a process of their own. */
#define _GNU_SOURCE
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <tidegate.h>
#include <unistd.h>

#define MUST(condition)                                                            \
  do {                                                                             \
    if (!(condition)) {                                                            \
      fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, tg_last_error()); \
      exit(1);                                                                     \
    }                                                                              \
  } while (0)

enum { IDLE = 8000, WARM = 1000, REQUEST = 2000, PIECE = 65536 };
static const long long STREAM = 1LL << 30;

static tg_loop loop;
static tg_handle listener;
static tg_address where;
static int accepted, answered;
static long long written;

/* What the system says of this process, in bytes. */
static long status_of(const char *name)
{
  char line[256];
  long kib = -1;
  FILE *file = fopen("/proc/self/status", "r");
  MUST(file != NULL);
  while (kib < 0 && fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, name, strlen(name)) == 0)
      MUST(sscanf(line + strlen(name), ": %ld kB", &kib) == 1);
  fclose(file);
  MUST(kib > 0);
  return kib * 1024;
}

/* Memory that is resident now. Pages of files, such as code that has just run for the first time, are none of it. */
static long resident(void) { return status_of("RssAnon"); }

/* The most that ever was resident, pages of files included. (What getrusage says is inherited from who started it.) */
static long most_resident(void) { return status_of("VmHWM"); }

/* Bytes that the allocator has given out, its own headers included. */
static long allocated(void)
{
  struct mallinfo2 info = mallinfo2();
  return (long)(info.uordblks + info.hblkhd);
}

static void on_accept(tg_handle self, void *user, tg_handle conn, const tg_address *peer)
{
  (void)self, (void)user, (void)conn, (void)peer;
  accepted++;
}

static void echo(tg_handle self, void *user, const void *data, size_t length)
{
  (void)user;
  MUST(tg_conn_write(self, data, length) >= 0);
  answered++;
}

/* Sends until the library says that it is enough. */
static void stream(tg_handle self, void *user)
{
  static char piece[PIECE];
  (void)user;
  while (written < STREAM) {
    int code = tg_conn_write(self, piece, sizeof piece);
    MUST(code >= 0);
    written += (long long)sizeof piece;
    if (code == 1)
      return;
  }
  MUST(tg_conn_finish(self) == 0);
}

static void listen_with(const tg_conn_options *conn)
{
  tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
  options.on_accept = on_accept;
  options.conn = conn;
  MUST(tg_address_parse("127.0.0.1", 0, &where) == 0);
  MUST(tg_listener_open(loop, &where, &options, &listener) == 0);
  MUST(tg_listener_get_local(listener, &where) == 0);
}

static int call(void)
{
  struct sockaddr_storage name;
  int length = tg_address_to_sockaddr(&where, &name, sizeof name);
  int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  MUST(fd >= 0 && connect(fd, (struct sockaddr *)&name, (socklen_t)length) == 0);
  return fd;
}

/* The clients: connect as many as they are told to, each with one request and its answer, and tell when they have. */
static void be_clients(int orders, int reports, size_t request)
{
  static char bytes[REQUEST];
  int count;
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = i % 2 == 0 ? 'x' : '\n';
  while (read(orders, &count, sizeof count) == (ssize_t)sizeof count) {
    for (int i = 0; i < count; i++) {
      int fd = call();
      if (request > 0) {
        MUST(send(fd, bytes, request, 0) == (ssize_t)request);
        MUST(recv(fd, bytes, 1, MSG_WAITALL) == 1);
      }
    }
    MUST(write(reports, &count, sizeof count) == (ssize_t)sizeof count);
  }
  _exit(0);
}

static void more_descriptors(void)
{
  struct rlimit limit;
  MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void connect_more(int orders, int reports, int count)
{
  int target = accepted + count, done = 0;
  MUST(write(orders, &count, sizeof count) == (ssize_t)sizeof count);
  while (accepted < target)
    MUST(tg_loop_run_once(loop) >= 0);
  while (done == 0) {
    MUST(tg_loop_run_until(loop, tg_now_ns() + 1000000) >= 0);
    if (recv(reports, &done, sizeof done, MSG_DONTWAIT) < 0)
      done = 0;
  }
}

/* A thousand first, so that what the loop needs once is there; then as many as are counted. */
static void idle_connections(size_t request, uint32_t framing)
{
  tg_conn_options conn = TG_CONN_OPTIONS_INIT;
  int orders[2], reports[2];
  long rss, heap;
  pid_t child;
  more_descriptors();
  conn.on_data = echo;
  conn.framing = framing;
  listen_with(&conn);
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, orders) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, reports) == 0);
  child = fork();
  if (child == 0) {
    close(orders[1]);
    be_clients(orders[0], reports[0], request);
  }
  connect_more(orders[1], reports[1], WARM);
  malloc_trim(0);
  rss = resident(), heap = allocated();
  connect_more(orders[1], reports[1], IDLE);
  malloc_trim(0);
  printf("rss %ld\nheap %ld\nanswered %d\n", (resident() - rss) / IDLE, (allocated() - heap) / IDLE, answered);
  MUST(shutdown(orders[1], SHUT_RDWR) == 0 && waitpid(child, NULL, 0) == child);
}

static void on_over(tg_handle self, void *user, int reason)
{
  (void)self, (void)user;
  MUST(reason == 0);
  MUST(tg_close(listener) == 0);
}

/* The client reads nothing until the server has rested for a while, then everything. */
static void be_slow_reader(int go)
{
  static char bytes[1 << 20];
  long long all = 0;
  ssize_t got;
  int fd = call();
  char byte;
  MUST(read(go, &byte, 1) == 1);
  while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0)
    all += got;
  _exit(got == 0 && all == STREAM ? 0 : 1);
}

static void slow_reader(void)
{
  tg_conn_options conn = TG_CONN_OPTIONS_INIT;
  int go[2], status = -1;
  long before, peak;
  pid_t child;
  conn.on_open = stream;
  conn.on_drain = stream;
  conn.on_close = on_over;
  listen_with(&conn);
  MUST(pipe(go) == 0);
  child = fork();
  if (child == 0)
    be_slow_reader(go[0]);
  before = status_of("VmRSS");
  while (accepted == 0)
    MUST(tg_loop_run_once(loop) >= 0);
  MUST(tg_loop_run_until(loop, tg_now_ns() + 200000000) >= 0);
  printf("rested-after %lld\n", written);
  MUST(write(go[1], "x", 1) == 1);
  MUST(tg_loop_run(loop) == 0);
  MUST(waitpid(child, &status, 0) == child && status == 0);
  peak = most_resident();
  printf("growth %ld\nwritten %lld\n", peak - before, written);
}

int main(int argc, char **argv)
{
  const char *scenario = argc > 1 ? argv[1] : "";
  MUST(tg_loop_new(NULL, &loop) == 0);
  if (strcmp(scenario, "idle") == 0)
    idle_connections(0, TG_FRAMING_NONE);
  else if (strcmp(scenario, "answered") == 0)
    idle_connections(100, TG_FRAMING_NONE);
  else if (strcmp(scenario, "framed") == 0)
    idle_connections(REQUEST, TG_FRAMING_LINES);
  else if (strcmp(scenario, "slow") == 0)
    slow_reader();
  else
    return 2;
  MUST(tg_loop_free(loop) >= 0);
  return 0;
}
