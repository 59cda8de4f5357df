/* Fixtures of the C tests: counters with a release, loops, watchers, pipes, sockets. */
#ifndef TIDEGATE_TEST_SUPPORT_H
#define TIDEGATE_TEST_SUPPORT_H

#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)

/* The user data of most tests: what came, how often, and the exactly-once release. */
typedef struct counter {
    int calls;
    int released;
    int last_status;
    uint32_t ready;   /* every bit that was ever reported */
    uint64_t total;   /* missed ticks, signal counts */
    int enough;       /* call number at which the handle closes itself; 0: never */
    int fd;           /* what a reading callback reads one byte from */
    tg_loop loop;     /* stopped at `enough`, when not 0 */
} counter;

static inline void counter_release(void *user) { ((counter *)user)->released++; }

static inline void counter_hit(tg_handle self, counter *it)
{
    it->calls++;
    if (it->enough == 0 || it->calls < it->enough) return;
    if (it->loop != 0) CHECK_CODE(tg_loop_stop(it->loop), 0);
    CHECK_CODE(tg_close(self), 0);
}

static inline void on_io(tg_handle self, void *user, uint32_t ready, int status)
{
    counter *it = user;
    it->ready |= ready;
    it->last_status = status;
    counter_hit(self, it);
}

/* As on_io, but takes one byte away first. */
static inline void on_io_read_one(tg_handle self, void *user, uint32_t ready, int status)
{
    counter *it = user;
    char byte;
    if (status == 0 && read(it->fd, &byte, 1) < 0) it->total++;
    on_io(self, user, ready, status);
}

static inline void on_timer(tg_handle self, void *user, uint64_t missed)
{
    ((counter *)user)->total += missed;
    counter_hit(self, user);
}

static inline void on_signal(tg_handle self, void *user, int signum, uint64_t count)
{
    ((counter *)user)->total += count;
    ((counter *)user)->last_status = signum;
    counter_hit(self, user);
}

static inline void on_plain(tg_handle self, void *user) { counter_hit(self, user); }

static inline void on_work(tg_handle self, void *user, int status, int64_t result)
{
    ((counter *)user)->last_status = status;
    ((counter *)user)->total += (uint64_t)result;
    counter_hit(self, user);
}

static inline void on_resolved(tg_handle self, void *user, int status, const tg_address *addresses,
                               size_t count)
{
    CHECK((addresses == NULL) == (status != 0) && (count == 0) == (status != 0));
    ((counter *)user)->last_status = status;
    ((counter *)user)->total += count;
    counter_hit(self, user);
}

static inline void on_named(tg_handle self, void *user, int status, const char *host,
                            const char *service)
{
    CHECK((host == NULL) == (status != 0) && (service == NULL) == (status != 0));
    ((counter *)user)->last_status = status;
    counter_hit(self, user);
}

/* Runs on another thread: leaves the counter alone. */
static inline int64_t work_hits(void *user)
{
    (void)user;
    return 1;
}

static inline void on_post(tg_loop loop, void *user)
{
    (void)loop;
    ((counter *)user)->calls++;
}

static inline tg_loop new_loop(void)
{
    tg_loop loop = 0;
    MUST(tg_loop_new(NULL, &loop) == 0);
    MUST(loop != 0);
    return loop;
}

static inline tg_loop new_batch_loop(uint32_t records, uint32_t submissions)
{
    tg_loop_options options = TG_LOOP_OPTIONS_INIT;
    tg_loop loop = 0;
    options.flags = TG_LOOP_BATCH;
    options.batch_records = records;
    options.batch_submissions = submissions;
    MUST(tg_loop_new(&options, &loop) == 0);
    return loop;
}

static inline tg_handle open_io_mode(tg_loop loop, int fd, uint32_t interest, uint32_t mode,
                                     tg_io_cb callback, counter *user)
{
    tg_io_options options = TG_IO_OPTIONS_INIT;
    tg_handle handle = 0;
    options.callback = callback;
    options.user = user;
    options.release = counter_release;
    options.mode = mode;
    MUST(tg_io_open(loop, fd, interest, &options, &handle) == 0);
    return handle;
}

static inline tg_handle open_io(tg_loop loop, int fd, uint32_t interest, tg_io_cb callback,
                                counter *user)
{
    return open_io_mode(loop, fd, interest, TG_LEVEL, callback, user);
}

static inline tg_handle open_timer(tg_loop loop, int64_t delay, int64_t repeat,
                                   tg_timer_cb callback, counter *user)
{
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    tg_handle handle = 0;
    options.callback = callback;
    options.user = user;
    options.release = counter_release;
    MUST(tg_timer_open(loop, delay, repeat, &options, &handle) == 0);
    return handle;
}

static inline tg_handle open_signal(tg_loop loop, int signum, tg_signal_cb callback, counter *user)
{
    tg_signal_options options = TG_SIGNAL_OPTIONS_INIT;
    tg_handle handle = 0;
    options.callback = callback;
    options.user = user;
    options.release = counter_release;
    MUST(tg_signal_open(loop, signum, &options, &handle) == 0);
    return handle;
}

static inline tg_handle open_async(tg_loop loop, tg_async_cb callback, counter *user)
{
    tg_async_options options = TG_ASYNC_OPTIONS_INIT;
    tg_handle handle = 0;
    options.callback = callback;
    options.user = user;
    options.release = counter_release;
    MUST(tg_async_open(loop, &options, &handle) == 0);
    return handle;
}

static inline tg_handle open_hook(tg_loop loop, uint32_t kind, tg_hook_cb callback, counter *user)
{
    tg_hook_options options = TG_HOOK_OPTIONS_INIT;
    tg_handle handle = 0;
    options.callback = callback;
    options.user = user;
    options.release = counter_release;
    if (kind == TG_KIND_PREPARE) MUST(tg_prepare_open(loop, &options, &handle) == 0);
    else if (kind == TG_KIND_CHECK) MUST(tg_check_open(loop, &options, &handle) == 0);
    else MUST(tg_idle_open(loop, &options, &handle) == 0);
    return handle;
}

static inline tg_handle open_work(tg_loop loop, tg_work_fn run, tg_work_cb callback, void *user,
                                  tg_release_cb release)
{
    tg_work_options options = TG_WORK_OPTIONS_INIT;
    tg_handle handle = 0;
    options.callback = callback;
    options.user = user;
    options.release = release;
    MUST(tg_work_open(loop, run, &options, &handle) == 0);
    return handle;
}

static inline tg_loop_stats stats_of(tg_loop loop)
{
    tg_loop_stats stats = TG_LOOP_STATS_INIT;
    MUST(tg_loop_get_stats(loop, &stats) == 0);
    return stats;
}

static inline tg_conn_stats conn_stats(tg_handle conn)
{
    tg_conn_stats stats = TG_CONN_STATS_INIT;
    CHECK_CODE(tg_conn_get_stats(conn, &stats), 0);
    return stats;
}

/* Frees it and says how many handles must still have been open. */
static inline void free_loop(tg_loop loop, int open_handles)
{
    CHECK_CODE(tg_loop_free(loop), open_handles);
    CHECK_CODE(tg_loop_free(loop), TG_ESTALE);
}

/* Turns that do not wait, for states that are ready at once. */
static inline void turns(tg_loop loop, int count)
{
    while (count-- > 0) CHECK(tg_loop_run_nowait(loop) >= 0);
}

/* One turn that waits at most ten seconds: what should come has come long before. */
static inline bool a_turn(tg_loop loop)
{
    counter late = { .calls = 0 };
    tg_handle guard = open_timer(loop, 10 * SECOND, 0, on_timer, &late);
    CHECK(tg_loop_run_once(loop) >= 0);
    CHECK_CODE(tg_close(guard), 0);
    turns(loop, 1); /* gives `late` back */
    return late.calls == 0;
}

/* Turns until it holds; fails when nothing comes any more. */
#define UNTIL(loop, condition)                                                      \
    do {                                                                            \
        while (!(condition) && a_turn(loop)) { }                                    \
        if (!(condition)) harness_fail(__FILE__, __LINE__, "in the end " #condition); \
    } while (0)

/* How many turns the loop makes while nothing is to be done: a spin makes thousands. */
static inline int idle_turns(tg_loop loop)
{
    uint64_t before = stats_of(loop).turns;
    CHECK_CODE(tg_loop_hold(loop), 0);
    CHECK(tg_loop_run_until(loop, tg_now_ns() + 30 * MS) >= 0);
    CHECK_CODE(tg_loop_unhold(loop), 0);
    return (int)(stats_of(loop).turns - before);
}
#define CHECK_QUIET(loop) CHECK(idle_turns(loop) <= 8)

/* The program's own clock, not the library's. */
static inline int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    MUST(clock_gettime(clock, &now) == 0);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

static inline int64_t monotonic_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* Burns time in a callback; the only way to make a loop late. */
static inline void busy_for(int64_t nanoseconds)
{
    int64_t end = monotonic_ns() + nanoseconds;
    while (monotonic_ns() < end) { }
}

static inline void make_pipe(int ends[2]) { MUST(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0); }

static inline void make_pair(int ends[2])
{
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
}

static inline void close_both(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

/* A regular file without a name. */
static inline int temporary_file(void)
{
    FILE *stream = tmpfile();
    int fd;
    MUST(stream != NULL);
    fd = fcntl(fileno(stream), F_DUPFD_CLOEXEC, 0);
    MUST(fd >= 0 && fclose(stream) == 0);
    return fd;
}

static inline void put(int fd, const char *text)
{
    MUST(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* Returns when that thread of this process sleeps in the kernel, as /proc tells. */
static inline void wait_until_asleep(pid_t thread)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    for (;;) {
        FILE *file = fopen(path, "r");
        const char *state;
        MUST(file != NULL && fgets(line, sizeof line, file) != NULL);
        fclose(file);
        state = strrchr(line, ')');
        if (state != NULL && state[1] == ' ' && state[2] == 'S') return;
        sched_yield();
    }
}

/* A connected pair of TCP sockets over the loopback: what urgent data and resets need. */
static inline void make_tcp(int ends[2])
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    MUST(listen(listener, 1) == 0);
    MUST(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(connect(ends[0], (struct sockaddr *)&address, sizeof address) == 0);
    ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    MUST(ends[1] >= 0);
    MUST(setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    MUST(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    close(listener);
}

/* Closes a TCP end so that its peer sees a reset, not an end of file. */
static inline void reset_tcp(int fd)
{
    struct linger hard = { 1, 0 };
    MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard) == 0);
    close(fd);
}

#endif
