/* Signals: several watchers and loops for one signal, counts, dispositions that go back, and the
 * signals that are none of the library's business. */
#include "support.h"

#include <sys/time.h>

static volatile sig_atomic_t handled;

static void count_handled(int signum)
{
    (void)signum;
    handled++;
}

static void set_handler(int signum, void (*handler)(int), int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    MUST(sigaction(signum, &action, NULL) == 0);
}

static void (*handler_of(int signum))(int)
{
    struct sigaction action;
    MUST(sigaction(signum, NULL, &action) == 0);
    return action.sa_handler;
}

/* mutation: only the first watcher of a loop is told. */
static void several_watchers_and_loops_hear_one_signal(void)
{
    tg_loop one = new_loop(), two = new_loop();
    counter users[4] = { { .calls = 0 } };
    open_signal(one, SIGUSR1, on_signal, &users[0]);
    open_signal(one, SIGUSR1, on_signal, &users[1]);
    open_signal(two, SIGUSR1, on_signal, &users[2]);
    open_signal(two, SIGUSR2, on_signal, &users[3]);
    MUST(raise(SIGUSR1) == 0);
    CHECK_CODE(tg_loop_run_once(one), 1);
    CHECK_CODE(tg_loop_run_once(two), 1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(users[i].calls, 1);
        CHECK_EQ(users[i].total, 1);
        CHECK_EQ(users[i].last_status, SIGUSR1);
    }
    CHECK_EQ(users[3].calls, 0);
    free_loop(one, 2);
    CHECK(handler_of(SIGUSR1) != SIG_DFL); /* the other loop still wants it */
    free_loop(two, 2);
    CHECK(handler_of(SIGUSR1) == SIG_DFL);
    for (int i = 0; i < 4; i++) CHECK_EQ(users[i].released, 1);
}

/* Deliveries seen are counted, in one callback or in several; one opened later does not get earlier ones.
 * mutation: the count told is always 1. */
static void counts_are_the_deliveries_seen(void)
{
    tg_loop loop = new_loop();
    counter early = { .calls = 0 }, late = { .calls = 0 };
    open_signal(loop, SIGUSR1, on_signal, &early);
    for (int i = 0; i < 5; i++) MUST(raise(SIGUSR1) == 0);
    open_signal(loop, SIGUSR1, on_signal, &late);
    MUST(raise(SIGUSR1) == 0);
    turns(loop, 2);
    CHECK_EQ(early.total, 6);
    CHECK_EQ(late.total, 1);
    free_loop(loop, 2);
}

/* mutation: the last close sets SIG_DFL instead of what was there before. */
static void dispositions_are_restored(void)
{
    tg_loop loop = new_loop();
    counter users[2] = { { .calls = 0 } };
    tg_handle a, b;
    set_handler(SIGUSR1, count_handled, 0);
    set_handler(SIGUSR2, SIG_IGN, 0);
    handled = 0;
    a = open_signal(loop, SIGUSR1, on_signal, &users[0]);
    b = open_signal(loop, SIGUSR2, on_signal, &users[1]);
    MUST(raise(SIGUSR1) == 0);
    CHECK_EQ(handled, 0);
    CHECK_CODE(tg_close(a), 0);
    CHECK_CODE(tg_close(b), 0);
    CHECK(handler_of(SIGUSR1) == count_handled);
    CHECK(handler_of(SIGUSR2) == SIG_IGN);
    MUST(raise(SIGUSR1) == 0);
    CHECK_EQ(handled, 1);
    free_loop(loop, 0);
    set_handler(SIGUSR1, SIG_DFL, 0);
    set_handler(SIGUSR2, SIG_DFL, 0);
}

/* A handler that the program installed meanwhile is its own and stays.
 * mutation: the last close restores without looking what is installed. */
static void a_disposition_changed_meanwhile_is_left_alone(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    open_signal(loop, SIGUSR1, on_signal, &it);
    set_handler(SIGUSR1, count_handled, 0);
    free_loop(loop, 1);
    CHECK(handler_of(SIGUSR1) == count_handled);
    set_handler(SIGUSR1, SIG_DFL, 0);
}

/* mutation: the slot is not given back when the subscription fails. */
static void h10_a_signal_that_cannot_be_caught(void)
{
    tg_loop loop = new_loop();
    tg_signal_options options = TG_SIGNAL_OPTIONS_INIT;
    counter it = { .calls = 0 };
    tg_handle handle = 7;
    options.callback = on_signal;
    options.user = &it;
    options.release = counter_release;
    CHECK_CODE(tg_signal_open(loop, SIGKILL, &options, &handle), -EINVAL);
    CHECK_CODE(tg_signal_open(loop, SIGSTOP, &options, &handle), -EINVAL);
    CHECK_EQ(handle, 7);
    CHECK_EQ(stats_of(loop).open_handles, 0);
    turns(loop, 1);
    free_loop(loop, 0);
    CHECK_EQ(it.released, 0);
}

/* mutation: a signal that was delivered is not unsubscribed. */
static void h59_closed_with_the_signal_pending(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    tg_handle watcher = open_signal(loop, SIGUSR1, on_signal, &it);
    MUST(raise(SIGUSR1) == 0);
    CHECK_CODE(tg_close(watcher), 0);
    CHECK(handler_of(SIGUSR1) == SIG_DFL);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.calls, 0);
    CHECK_EQ(it.released, 1);
    free_loop(loop, 0);
}

/* mutation: EINTR of the wait is returned from the run. */
static void h36_alarm_storm_without_sa_restart(void)
{
    /* Under valgrind a handler alone takes longer than half a millisecond. */
    const suseconds_t every = harness_slow() ? 20000 : 500;
    struct itimerval storm = { { 0, every }, { 0, every } }, off = { { 0, 0 }, { 0, 0 } };
    tg_loop loop = new_loop();
    counter tick = { .enough = 20 };
    tg_poller poller = 0;
    tg_poller_event event;
    tg_poll_item nothing = { -1, 0, 0 };
    set_handler(SIGALRM, count_handled, 0);
    handled = 0;
    open_timer(loop, 2 * MS, 2 * MS, on_timer, &tick);
    CHECK_CODE(tg_poller_new(NULL, &poller), 0);
    MUST(setitimer(ITIMER_REAL, &storm, NULL) == 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(tg_poller_wait(poller, &event, 1, 10 * MS), 0);
    CHECK_EQ(tg_poll_once(&nothing, 1, 10 * MS, 0), 0);
    MUST(setitimer(ITIMER_REAL, &off, NULL) == 0);
    set_handler(SIGALRM, SIG_IGN, 0); /* the last one may still be pending: the watchdog is not to take it for its own */
    harness_watchdog(HARNESS_SECONDS);
    CHECK(handled > 0);
    CHECK_EQ(tick.calls, 20);
    CHECK_CODE(tg_poller_free(poller), 0);
    free_loop(loop, 0);
}

/* mutation: the library ignores SIGPIPE for the process. */
static void h35_sigpipe_is_left_alone(void)
{
    sigset_t pipe_only, old, pending;
    tg_loop loop;
    counter it = { .calls = 0 };
    CHECK(handler_of(SIGPIPE) == SIG_DFL);
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    MUST(pthread_sigmask(SIG_BLOCK, &pipe_only, &old) == 0);
    MUST(raise(SIGPIPE) == 0);
    loop = new_loop();
    CHECK_CODE(tg_post(loop, on_post, &it, counter_release), 0);
    CHECK_CODE(tg_loop_wake(loop), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    free_loop(loop, 0);
    MUST(sigpending(&pending) == 0);
    CHECK_EQ(sigismember(&pending, SIGPIPE), 1);
    CHECK(handler_of(SIGPIPE) == SIG_DFL);
    set_handler(SIGPIPE, SIG_IGN, 0); /* takes the pending one away */
    set_handler(SIGPIPE, SIG_DFL, 0);
    MUST(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
}

static tg_loop woken_loop;
static tg_handle sent_async;
static volatile sig_atomic_t wake_result, send_result;

static void wake_from_handler(int signum)
{
    (void)signum;
    wake_result = tg_loop_wake(woken_loop);
    send_result = tg_async_send(sent_async);
}

static void on_timer_raise(tg_handle self, void *user, uint64_t missed)
{
    on_timer(self, user, missed);
    MUST(raise(SIGUSR2) == 0);
}

/* mutation: a send returns 0 without having marked the handle. */
static void wake_and_async_send_from_a_signal_handler(void)
{
    tg_loop loop = new_loop();
    counter tick = { .enough = 10 }, sent = { .calls = 0 };
    int errno_before = EXDEV;
    woken_loop = loop;
    sent_async = open_async(loop, on_plain, &sent);
    set_handler(SIGUSR2, wake_from_handler, SA_RESTART);
    CHECK_CODE(tg_handle_unref(sent_async), 0);
    errno = errno_before;
    MUST(raise(SIGUSR2) == 0);
    CHECK_EQ(errno, errno_before);
    CHECK_CODE((int)wake_result, 0);
    CHECK_CODE((int)send_result, 0);
    open_timer(loop, 0, 1, on_timer_raise, &tick);
    CHECK_CODE(tg_loop_run(loop), 0);
    turns(loop, 1);
    CHECK(sent.calls >= 1);
    free_loop(loop, 1);
    MUST(raise(SIGUSR2) == 0);
    CHECK_CODE((int)wake_result, TG_ESTALE);
    CHECK_CODE((int)send_result, TG_ESTALE);
    set_handler(SIGUSR2, SIG_DFL, 0);
}

static void *raise_from_thread(void *argument)
{
    (void)argument;
    MUST(kill(getpid(), SIGUSR1) == 0);
    return NULL;
}

/* mutation: the handler wakes the loop but does not leave word of the signal. */
static void a_signal_ends_a_wait_in_progress(void)
{
    tg_loop loop = new_loop();
    counter it = { .enough = 1 };
    pthread_t thread;
    open_signal(loop, SIGUSR1, on_signal, &it);
    MUST(pthread_create(&thread, NULL, raise_from_thread, NULL) == 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    MUST(pthread_join(thread, NULL) == 0);
    CHECK_EQ(it.total, 1);
    free_loop(loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(several_watchers_and_loops_hear_one_signal);
    RUN(counts_are_the_deliveries_seen);
    RUN(dispositions_are_restored);
    RUN(a_disposition_changed_meanwhile_is_left_alone);
    RUN(h10_a_signal_that_cannot_be_caught);
    RUN(h59_closed_with_the_signal_pending);
    RUN(h36_alarm_storm_without_sa_restart);
    RUN(h35_sigpipe_is_left_alone);
    RUN(wake_and_async_send_from_a_signal_handler);
    RUN(a_signal_ends_a_wait_in_progress);
    return harness_end();
}
