/* 14: a supervisor: keeps a program running.
 *
 *   14_supervisor [-n RESTARTS] COMMAND [ARGUMENT...]
 *
 * Learnt here: a process is a handle with one event, its end, after which it closes by itself; the
 * next one is started from that callback, or from a timer when the program keeps ending at once; a
 * stop asks the child to end, waits for it, and insists after a while. No SIGCHLD, no waitpid, no
 * zombie. What the program has started itself is in its process group, and goes with it.
 *
 * Ends with 0 after SIGTERM or SIGINT, with 1 when it has given up, so that whoever started it can tell.
 * Without a command it shows itself on one that fails three times. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define FIRST_DELAY (10 * MS)      /* doubled after each end that came soon, up to: */
#define LONGEST_DELAY (5000 * MS)
#define LONG_ENOUGH (5000 * MS)    /* a run of this length forgives those before */
#define PATIENCE (3000 * MS)       /* how long a stop waits before it insists */
#define LOOK (20 * MS)             /* how often it looks whether it still has to wait */

typedef struct supervisor {
    tg_loop loop;
    char **argv;
    long restarts_left; /* -1: without end */
    int64_t delay, started, insist_at;
    tg_handle process, timer, signals[2];
    int group; /* the process group of the program, which has the number of its first process */
    int stopping, gave_up;
} supervisor;

static int start(supervisor *it);

/* Nothing is open after this, so tg_loop_run returns. */
static void finish(supervisor *it)
{
    tg_close(it->timer);
    tg_close(it->signals[0]);
    tg_close(it->signals[1]);
}

static void give_up(supervisor *it, const char *why)
{
    fprintf(stderr, "giving up: %s\n", why);
    it->gave_up = 1;
    finish(it);
}

/* tg_process_kill reaches one process. A group's number goes to nobody else while one of it is left, so this
 * can be asked for after the first one has ended. 0 when somebody was there. */
static int tell_group(const supervisor *it, int signum)
{
    return kill(-it->group, signum);
}

static void on_exit_of_child(tg_handle self, void *user, int status, int exit_code, int signum)
{
    supervisor *it = user;
    int64_t now = tg_now_ns();
    (void)self;
    if (status < 0) printf("it has ended, nobody knows how: %s\n", tg_strerror(status));
    else if (signum != 0) printf("it was ended by signal %d\n", signum);
    else printf("it has returned %d\n", exit_code);
    it->process = 0;
    if (it->stopping) return; /* the timer looks whether others are left */
    tell_group(it, SIGKILL);  /* what it has left behind would be in the way of the next one */
    if (it->restarts_left == 0) {
        give_up(it, "no restart is left");
        return;
    }
    if (it->restarts_left > 0) it->restarts_left--;
    if (now - it->started >= LONG_ENOUGH) it->delay = FIRST_DELAY;
    printf("again in %" PRId64 " ms\n", it->delay / MS);
    tg_timer_start(it->timer, it->delay, 0);
    it->delay = it->delay * 2 < LONGEST_DELAY ? it->delay * 2 : LONGEST_DELAY;
}

/* While stopping. The end of processes that are not our children is told to nobody: one has to look. */
static void look(supervisor *it)
{
    int late = tg_now_ns() >= it->insist_at;
    if (late) tell_group(it, SIGKILL);
    if (it->process == 0 && (late || tell_group(it, 0) != 0)) finish(it);
}

/* It is time for the next one, or to look how the stop goes on. */
static void on_timer(tg_handle self, void *user, uint64_t missed)
{
    supervisor *it = user;
    (void)self;
    (void)missed;
    if (it->stopping) look(it);
    else if (start(it) < 0) give_up(it, tg_last_error());
}

static void on_signal(tg_handle self, void *user, int signum, uint64_t count)
{
    supervisor *it = user;
    (void)self;
    (void)count;
    if (it->stopping) return;
    it->stopping = 1;
    printf("%s: stopping\n", signum == SIGTERM ? "SIGTERM" : "SIGINT");
    if (it->process == 0) { /* between two runs */
        finish(it);
        return;
    }
    tell_group(it, SIGTERM);
    it->insist_at = tg_now_ns() + PATIENCE;
    tg_timer_start(it->timer, LOOK, LOOK);
}

static int start(supervisor *it)
{
    tg_process_options options = TG_PROCESS_OPTIONS_INIT;
    int result;
    options.callback = on_exit_of_child;
    options.user = it;
    options.file = it->argv[0];
    options.argv = it->argv;
    /* Its own group: ^C at the terminal is for us, and we tell it. It is killed when tg_loop_free finds it
     * running; but if we are killed ourselves, by SIGKILL for instance, it goes on without us. */
    options.flags = TG_PROCESS_GROUP | TG_PROCESS_KILL_ON_CLOSE;
    result = tg_process_open(it->loop, &options, &it->process);
    if (result < 0) return result;
    it->started = tg_now_ns();
    tg_process_get_pid(it->process, &it->group);
    printf("started %s as %d\n", it->argv[0], it->group);
    fflush(stdout);
    return 0;
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tg_last_error());
    return 1;
}

static int prepare(supervisor *it)
{
    tg_timer_options timer = TG_TIMER_OPTIONS_INIT;
    tg_signal_options signals = TG_SIGNAL_OPTIONS_INIT;
    timer.callback = on_timer;
    signals.callback = on_signal;
    timer.user = signals.user = it;
    if (tg_timer_open(it->loop, -1, 0, &timer, &it->timer) < 0) return failed("timer");
    if (tg_signal_open(it->loop, SIGTERM, &signals, &it->signals[0]) < 0) return failed("SIGTERM");
    if (tg_signal_open(it->loop, SIGINT, &signals, &it->signals[1]) < 0) return failed("SIGINT");
    return 0;
}

/* False when the arguments are not as they should be. Without any, it shows itself. */
static bool arguments(supervisor *it, int argc, char **argv)
{
    static char *shown[] = { "sh", "-c", "exit 3", NULL };
    int option;
    it->restarts_left = argc > 1 ? -1 : 2;
    while ((option = getopt(argc, argv, "+n:")) != -1) { /* +: what begins with - behind COMMAND is its own */
        char *end;
        if (option != 'n') return false;
        it->restarts_left = strtol(optarg, &end, 10);
        if (end == optarg || *end != 0 || it->restarts_left < 0) return false;
    }
    it->argv = argc > 1 ? argv + optind : shown;
    return it->argv[0] != NULL;
}

int main(int argc, char **argv)
{
    supervisor it;
    int result;

    memset(&it, 0, sizeof it);
    setvbuf(stdout, NULL, _IOLBF, 4096);
    it.delay = FIRST_DELAY;
    if (!arguments(&it, argc, argv)) {
        fprintf(stderr, "usage: %s [-n RESTARTS] COMMAND [ARGUMENT...]\n", argv[0]);
        return 2;
    }
    if (tg_loop_new(NULL, &it.loop) < 0) return failed("tg_loop_new");
    if (prepare(&it) != 0) return 1;
    if (start(&it) < 0) return failed("start");
    result = tg_loop_run(it.loop);
    tg_loop_free(it.loop);
    if (argc == 1) return result == 0 && it.gave_up ? 0 : 1; /* giving up is what it was to show */
    return result == 0 && !it.gave_up ? 0 : 1;
}
