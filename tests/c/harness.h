/* The harness of the C tests: CHECK macros, one line a test, a watchdog, and an end-of-test
 * assertion that nothing is left behind (loops, pollers, descriptors).
 *
 *   static void my_test(void) { REQUIRE(setup()); CHECK_EQ(1 + 1, 2); }
 *   int main(void) { harness_begin(); RUN(my_test); return harness_end(); }
 *
 * Include it before anything else: it chooses the feature macros. */
#ifndef TIDEGATE_TEST_HARNESS_H
#define TIDEGATE_TEST_HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tidegate.h>

/* Generous: a whole program under helgrind on a loaded machine stays well below it. */
#ifndef HARNESS_SECONDS
#define HARNESS_SECONDS 240u
#endif
/* A forked child does not inherit alarm(), so it gets one of its own. */
#ifndef HARNESS_CHILD_SECONDS
#define HARNESS_CHILD_SECONDS 60u
#endif

static int harness_passed, harness_failed, harness_bad;
static bool harness_skips; /* the test that is running shows nothing here */
static const char *harness_current = "(none)";

#define CHECK(condition) \
    ((condition) ? (void)0 : harness_fail(__FILE__, __LINE__, #condition))
#define CHECK_EQ(actual, expected) \
    harness_equal(__FILE__, __LINE__, #actual, (long long)(actual), (long long)(expected))
#define CHECK_CODE(call, code) harness_code(__FILE__, __LINE__, #call, (call), (code))
/* Ends the calling (void) function when it does not hold. */
#define REQUIRE(condition)                                \
    do {                                                  \
        if (!(condition)) {                               \
            harness_fail(__FILE__, __LINE__, #condition); \
            return;                                       \
        }                                                 \
    } while (0)
/* For fixtures: without them no test of the program means anything. */
#define MUST(condition) ((condition) ? (void)0 : harness_die(__FILE__, __LINE__, #condition))
#define RUN(test) harness_run(#test, test)
/* For a part of a test; and for all of it, which is then no passed one. */
#define SKIP_PART(name, reason) (printf("SKIP %s: %s\n", (name), (reason)), (void)fflush(stdout))
#define SKIP(name, reason) (SKIP_PART(name, reason), (void)(harness_skips = true))

/* Counts a failure; whether it is still worth its words (a failing loop would drown the rest). */
static inline bool harness_tell(void) { return ++harness_bad <= 25; }

static inline void harness_fail(const char *file, int line, const char *what)
{
    if (!harness_tell()) return;
    printf("# %s:%d: in %s: failed: %s (last error: %s)\n", file, line, harness_current, what,
           tg_last_error());
    fflush(stdout);
}

static inline void harness_die(const char *file, int line, const char *what)
{
    printf("# %s:%d: in %s: fixture failed: %s (errno %d; last error: %s)\n", file, line,
           harness_current, what, errno, tg_last_error());
    printf("not ok %s\n%d passed, %d failed\n", harness_current, harness_passed,
           harness_failed + 1);
    fflush(stdout);
    _exit(1);
}

static inline void harness_equal(const char *file, int line, const char *what, long long actual,
                                 long long expected)
{
    if (actual == expected || !harness_tell()) return;
    printf("# %s:%d: in %s: %s is %lld, expected %lld (last error: %s)\n", file, line,
           harness_current, what, actual, expected, tg_last_error());
    fflush(stdout);
}

static inline void harness_code(const char *file, int line, const char *what, int actual,
                                int expected)
{
    if (actual == expected || !harness_tell()) return;
    printf("# %s:%d: in %s: %s gave %d (%s), expected %d (%s) (last error: %s)\n", file, line,
           harness_current, what, actual, tg_err_name(actual), expected, tg_err_name(expected),
           tg_last_error());
    fflush(stdout);
}

/* How many descriptors this process has open (the one that looks is not counted). */
static inline int harness_open_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = -3; /* ".", ".." and the directory itself */
    if (directory == NULL) return -1;
    while (readdir(directory) != NULL) count++;
    closedir(directory);
    return count;
}

static inline void harness_check_nothing_left(int fds_before)
{
    tg_process_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    CHECK_CODE(tg_get_process_stats(&stats), 0);
    CHECK_EQ(stats.live_loops, 0);
    CHECK_EQ(stats.live_pollers, 0);
    CHECK_EQ(harness_open_fds(), fds_before);
}

/* With TIDEGATE_TEST_ONLY set, only the test of that name is run. */
static inline void harness_run(const char *name, void (*test)(void))
{
    const char *only = getenv("TIDEGATE_TEST_ONLY");
    int fds_before = harness_open_fds();
    if (only != NULL && strcmp(only, name) != 0) return;
    harness_current = name;
    harness_bad = 0;
    harness_skips = false;
    test();
    harness_check_nothing_left(fds_before);
    printf("%s %s\n", harness_bad > 0 ? "not ok" : harness_skips ? "skipped" : "ok", name);
    fflush(stdout);
    if (harness_bad > 0) harness_failed++;
    else if (!harness_skips) harness_passed++;
}

static inline void harness_time_is_up(int signum)
{
    static const char text[] = "# time limit reached in ";
    ssize_t ignored = write(STDOUT_FILENO, text, sizeof text - 1);
    (void)signum;
    ignored = write(STDOUT_FILENO, harness_current, strlen(harness_current));
    ignored = write(STDOUT_FILENO, "\n0 passed, 1 failed\n", 20);
    (void)ignored;
    _exit(124);
}

/* (Re)arms the watchdog; a test that takes SIGALRM for itself calls it again when done. */
static inline void harness_watchdog(unsigned seconds)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = harness_time_is_up;
    sigaction(SIGALRM, &action, NULL);
    alarm(seconds);
}

static inline void harness_begin(void)
{
    setvbuf(stdout, NULL, _IOLBF, 4096);
    harness_watchdog(HARNESS_SECONDS);
}

/* Threads that are ending still have memory of their own: what is looked for at the program's end waits for them. A thread
 * that stays is a failure, by the watchdog. */
static inline void harness_wait_for_threads(void)
{
    for (int count = 0; count != 1; sched_yield()) {
        DIR *directory = opendir("/proc/self/task");
        if (directory == NULL) return;
        count = -2; /* "." and ".." */
        while (readdir(directory) != NULL) count++;
        closedir(directory);
    }
}

/* The runner sees to it that a program which says this is also run under helgrind. (glibc knows since 2.32.) */
extern char __libc_single_threaded __attribute__((weak));

static inline void harness_tell_of_threads(void)
{
    if (&__libc_single_threaded != NULL && !__libc_single_threaded) printf("# threads were started\n");
}

static inline int harness_end(void)
{
    harness_wait_for_threads();
    harness_tell_of_threads();
    printf("%d passed, %d failed\n", harness_passed, harness_failed);
    return harness_failed == 0 && harness_passed > 0 ? 0 : 1;
}

/* Whether a thread of this process other than the caller's is doing something. */
static inline bool harness_others_run(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    bool running = false;
    MUST(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) {
        char path[300], line[256] = "";
        FILE *stat;
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid() || (stat = fopen(path, "r")) == NULL) continue;
        running |= fgets(line, sizeof line, stat) != NULL && strstr(line, ") S ") == NULL;
        fclose(stat);
    }
    closedir(tasks);
    return running;
}

#ifdef __SANITIZE_ADDRESS__
/* AddressSanitizer of gcc 12 does not take its allocator's locks before a fork, as libc does: a
 * thread that holds one then leaves it locked in the child. So wait until the others sleep (twice:
 * one may have woken another that had been looked at), but not for ever: some never do. */
static inline void harness_let_others_sleep(void)
{
    int quiet = 0, tries;
    for (tries = 0; tries < 10000 && quiet < 2; tries++) {
        quiet = harness_others_run() ? 0 : quiet + 1;
        sched_yield();
    }
}
#else
static inline void harness_let_others_sleep(void) { }
#endif

/* fork() whose child has a watchdog and starts with a clean slate of failures. */
static inline pid_t harness_fork(void)
{
    pid_t child;
    fflush(stdout);
    harness_let_others_sleep();
    child = fork();
    if (child == 0) {
        harness_bad = 0;
        harness_watchdog(HARNESS_CHILD_SECONDS);
    }
    return child;
}

/* Ends a child; its failures are seen by harness_wait(). */
static inline void harness_child_end(void)
{
    harness_tell_of_threads();
    fflush(stdout);
    harness_wait_for_threads();
    _exit(harness_bad == 0 ? 0 : 1);
}

static inline void harness_wait(pid_t child)
{
    int status = -1;
    pid_t got;
    do got = waitpid(child, &status, 0);
    while (got < 0 && errno == EINTR);
    CHECK_EQ(got, child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
}

/* Whether every instruction is interpreted (the runner sets the variable). */
static inline bool harness_slow(void)
{
    const char *slow = getenv("TIDEGATE_TEST_SLOW");
    return slow != NULL && *slow != '\0' && *slow != '0';
}

/* Repetitions: fewer where that is so. */
static inline int harness_scale(int count)
{
    int scaled = harness_slow() ? count / 20 : count;
    return scaled > 0 ? scaled : 1;
}

#endif
