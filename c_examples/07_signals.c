/* 07: signals, and a graceful stop.
 *
 * Learnt here: a signal watcher's callback runs on the loop like any other, so it may do anything
 * (a plain handler may do next to nothing); a count says how many deliveries were seen; a stop
 * request closes what produces work and lets the loop end by itself, once all is done. The
 * dispositions go back to what they were when the last watcher closes. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <tidegate.h>
#include <unistd.h>

#define MS INT64_C(1000000)

typedef struct program {
    tg_handle work, stop, status;
    int done;
} program;

static void on_work(tg_handle self, void *user, uint64_t missed)
{
    program *it = user;
    (void)self;
    (void)missed;
    it->done++;
    /* For the demonstration the program signals itself; try `kill` from a shell as well. */
    if (it->done % 2 == 0) kill(getpid(), SIGUSR1);
    if (it->done == 6) kill(getpid(), SIGTERM);
}

static void on_status(tg_handle self, void *user, int signum, uint64_t count)
{
    const program *it = user;
    (void)self;
    (void)signum;
    printf("status asked %" PRIu64 " time(s): %d pieces done\n", count, it->done);
}

static void on_stop(tg_handle self, void *user, int signum, uint64_t count)
{
    program *it = user;
    (void)self;
    (void)count;
    printf("%s: finishing\n", signum == SIGTERM ? "SIGTERM" : "SIGINT");
    /* Nothing is open after this, so tg_loop_run returns. */
    tg_close(it->work);
    tg_close(it->status);
    tg_close(it->stop);
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tg_last_error());
    return 1;
}

int main(void)
{
    tg_timer_options working = TG_TIMER_OPTIONS_INIT;
    tg_signal_options stopping = TG_SIGNAL_OPTIONS_INIT, status = TG_SIGNAL_OPTIONS_INIT;
    struct sigaction after;
    program it = { 0, 0, 0, 0 };
    tg_loop loop;
    int result;

    if (tg_loop_new(NULL, &loop) < 0) return failed("tg_loop_new");
    working.callback = on_work;
    stopping.callback = on_stop;
    status.callback = on_status;
    working.user = stopping.user = status.user = &it;
    if (tg_timer_open(loop, 5 * MS, 5 * MS, &working, &it.work) < 0) return failed("timer");
    if (tg_signal_open(loop, SIGTERM, &stopping, &it.stop) < 0) return failed("SIGTERM");
    if (tg_signal_open(loop, SIGUSR1, &status, &it.status) < 0) return failed("SIGUSR1");

    result = tg_loop_run(loop);
    printf("run returned %d after %d pieces\n", result, it.done);
    tg_loop_free(loop);

    if (sigaction(SIGTERM, NULL, &after) != 0) return perror("sigaction"), 1;
    printf("SIGTERM is %s again\n", after.sa_handler == SIG_DFL ? "the default" : "CHANGED");
    return result == 0 && after.sa_handler == SIG_DFL ? 0 : 1;
}
