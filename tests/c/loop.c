/* The loop itself: the order of a turn, what keeps it alive, how a run ends, statistics, the dump,
 * nesting. */
#include "support.h"

#include <poll.h>

static char order[64];
static size_t order_length;

static void note(char what)
{
    if (order_length < sizeof order - 1) order[order_length++] = what;
    order[order_length] = '\0';
}

static void note_reset(void)
{
    order_length = 0;
    order[0] = '\0';
}

static void order_timer(tg_handle self, void *user, uint64_t missed)
{
    (void)missed;
    (void)user;
    note('t');
    CHECK_CODE(tg_close(self), 0);
}

static void order_io(tg_handle self, void *user, uint32_t ready, int status)
{
    (void)user;
    (void)ready;
    (void)status;
    note('i');
    CHECK_CODE(tg_close(self), 0);
}

static void order_prepare(tg_handle self, void *user)
{
    (void)user;
    note('p');
    CHECK_CODE(tg_close(self), 0);
}

static void order_check(tg_handle self, void *user)
{
    (void)user;
    note('c');
    CHECK_CODE(tg_close(self), 0);
}

static void order_post(tg_loop loop, void *user)
{
    (void)loop;
    (void)user;
    note('o');
}

static void order_release(void *user)
{
    (void)user;
    note('r');
}

/* Contract 10: prepare, (wait,) timers, posts, I/O, check, releases.
 * mutation: the prepare hooks come after the check hooks. */
static void turn_order(void)
{
    tg_loop loop = new_loop();
    tg_io_options io = TG_IO_OPTIONS_INIT;
    tg_timer_options timer = TG_TIMER_OPTIONS_INIT;
    tg_hook_options hook = TG_HOOK_OPTIONS_INIT;
    tg_handle handle;
    int ends[2];
    make_pipe(ends);
    put(ends[1], "x");
    io.callback = order_io;
    timer.callback = order_timer;
    io.release = timer.release = order_release;
    note_reset();
    hook.callback = order_check;
    CHECK_CODE(tg_check_open(loop, &hook, &handle), 0);
    CHECK_CODE(tg_io_open(loop, ends[0], TG_READ, &io, &handle), 0);
    CHECK_CODE(tg_post(loop, order_post, NULL, NULL), 0);
    CHECK_CODE(tg_timer_open(loop, 0, 0, &timer, &handle), 0);
    hook.callback = order_prepare;
    CHECK_CODE(tg_prepare_open(loop, &hook, &handle), 0);
    turns(loop, 1);
    CHECK(strcmp(order, "ptoicrr") == 0);
    if (strcmp(order, "ptoicrr") != 0) printf("# the order was %s\n", order);
    free_loop(loop, 0);
    close_both(ends);
}

static void *post_from_thread(void *argument)
{
    counter *it = argument;
    CHECK_CODE(tg_post(it->loop, on_post, it, counter_release), 0);
    return NULL;
}

/* A post that ends a wait runs in that very turn.
 * mutation: the turn goes from the wait straight to the async handles. */
static void a_post_that_ends_the_wait_runs_in_that_turn(void)
{
    tg_loop loop = new_loop();
    counter it = { .loop = loop };
    pthread_t thread;
    CHECK_CODE(tg_loop_hold(loop), 0);
    MUST(pthread_create(&thread, NULL, post_from_thread, &it) == 0);
    CHECK_CODE(tg_loop_run_once(loop), 1);
    CHECK_EQ(it.calls, 1);
    MUST(pthread_join(thread, NULL) == 0);
    CHECK_CODE(tg_loop_unhold(loop), 0);
    free_loop(loop, 0);
    CHECK_EQ(it.released, 1);
}

/* mutation: ref and unref of an active handle do not change the count. */
static void keep_alive(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    tg_handle timer, quiet;
    CHECK_CODE(tg_loop_run(loop), 0); /* nothing at all */
    timer = open_timer(loop, 3600 * SECOND, 0, on_timer, &it);
    CHECK_CODE(tg_loop_run_nowait(loop), 1);
    CHECK_CODE(tg_handle_unref(timer), 0);
    CHECK_CODE(tg_handle_unref(timer), 0); /* a flag, not a count */
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_CODE(tg_handle_ref(timer), 0);
    CHECK_CODE(tg_loop_run_nowait(loop), 1);
    CHECK_CODE(tg_handle_unref(timer), 0);
    CHECK_CODE(tg_loop_hold(loop), 0);
    CHECK_CODE(tg_loop_hold(loop), 0);
    CHECK_CODE(tg_loop_unhold(loop), 0);
    CHECK_CODE(tg_loop_run_nowait(loop), 1); /* holds are counted */
    CHECK_CODE(tg_loop_unhold(loop), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(tg_loop_unhold(loop) < 0); /* one too many */
    options.callback = on_timer;
    options.user = &it;
    options.flags = TG_UNREF;
    CHECK_CODE(tg_timer_open(loop, 3600 * SECOND, 0, &options, &quiet), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.calls, 0);
    free_loop(loop, 2);
}

/* mutation: the run clears a stop that came before it. */
static void stop_before_run_counts_once(void)
{
    tg_loop loop = new_loop();
    counter it = { .enough = 1 };
    CHECK_CODE(tg_loop_hold(loop), 0);
    CHECK_CODE(tg_loop_stop(loop), 0);
    CHECK_CODE(tg_loop_run(loop), 1); /* would wait for ever otherwise */
    CHECK_CODE(tg_loop_unhold(loop), 0);
    it.loop = loop;
    open_timer(loop, 1, 0, on_timer, &it); /* stops and closes */
    CHECK_CODE(tg_loop_hold(loop), 0);
    CHECK_CODE(tg_loop_run(loop), 1);
    CHECK_EQ(it.calls, 1); /* the first stop was used up */
    CHECK_CODE(tg_loop_unhold(loop), 0);
    free_loop(loop, 0);
}

/* mutation: tg_loop_run_nowait waits. */
static void run_modes(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    int64_t deadline;
    tg_handle timer = open_timer(loop, 3600 * SECOND, 0, on_timer, &it);
    CHECK_CODE(tg_loop_run_nowait(loop), 1);
    CHECK_CODE(tg_loop_run_until(loop, 0), 1);
    deadline = tg_now_ns() + 5 * MS;
    CHECK_CODE(tg_loop_run_until(loop, deadline), 1);
    CHECK(tg_now_ns() >= deadline);
    CHECK_CODE(tg_timer_start(timer, 1, 1), 0);
    CHECK_CODE(tg_loop_run_once(loop), 1);
    CHECK_EQ(it.calls, 1);
    CHECK_CODE(tg_close(timer), 0);
    CHECK_CODE(tg_loop_run_until(loop, tg_now_ns() + 3600 * SECOND), 0);
    CHECK_CODE(tg_loop_run_once(loop), 0);
    CHECK_CODE(tg_loop_run_nowait(loop), 0);
    free_loop(loop, 0);
}

/* mutation: tg_loop_run_nowait runs no turn when no handle is referenced. */
static void a_turn_is_run_although_nothing_is_referenced(void)
{
    int (*const modes[])(tg_loop) = { tg_loop_run_nowait, tg_loop_run_once };
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    int64_t timeout = -1;
    tg_handle timer = open_timer(loop, 0, 1, on_timer, &it);
    CHECK_CODE(tg_handle_unref(timer), 0);
    CHECK_CODE(tg_loop_get_timeout_ns(loop, &timeout), 0);
    CHECK_EQ(timeout, 0); /* a foreign loop is told to run this one, and then something must come of it */
    for (int i = 0; i < 2; i++) {
        CHECK_CODE(modes[i](loop), 0);
        CHECK_EQ(it.calls, i + 1);
    }
    CHECK_CODE(tg_loop_run_until(loop, tg_now_ns() + 3600 * SECOND), 0);
    CHECK_EQ(it.calls, 3);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.calls, 3); /* this one runs until nothing is left, and nothing is */
    free_loop(loop, 1);
}

static void on_timer_busy(tg_handle self, void *user, uint64_t missed)
{
    busy_for(MS);
    on_timer(self, user, missed);
}

/* mutation: turns are not counted. */
static void statistics(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    tg_loop_stats before = stats_of(loop), after;
    tg_handle timer = open_timer(loop, 0, 1, on_timer, &it);
    open_timer(loop, -1, 0, on_timer, &it);
    turns(loop, 10);
    CHECK_CODE(tg_post(loop, on_post, &it, NULL), 0);
    CHECK_CODE(tg_post(loop, on_post, &it, NULL), 0);
    after = stats_of(loop);
    CHECK_EQ(after.turns - before.turns, 10);
    CHECK_EQ(after.events - before.events, 10);
    CHECK_EQ(after.waits - before.waits, 10);
    CHECK_EQ(after.open_handles, 2);
    CHECK_EQ(after.active_handles, 1);
    CHECK_EQ(after.queued_posts, 2);
    CHECK(after.idle_ns > before.idle_ns);
    CHECK(after.max_lag_ns > 0 && after.max_lag_ns >= after.lag_ns);
    CHECK_EQ(after.longest_callback_ns, 0); /* measured with a hook only */
    CHECK_CODE(tg_close(timer), 0);
    turns(loop, 1);
    CHECK_EQ(stats_of(loop).queued_posts, 0);
    it = (counter){ .enough = 5, .loop = loop };
    before = stats_of(loop);
    open_timer(loop, 0, 1, on_timer_busy, &it);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(stats_of(loop).busy_ns - before.busy_ns >= 5 * MS); /* the last turn's as well */
    free_loop(loop, 1);
}

/* mutation: no room is kept for the terminating zero. */
static void dump_follows_snprintf(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    char whole[4096], cut[16];
    tg_handle list[4] = { 1, 1, 1, 1 };
    int length, lines = 0;
    CHECK_CODE(tg_loop_dump(loop, NULL, 0), 0);
    open_timer(loop, SECOND, 0, on_timer, &it);
    open_async(loop, on_plain, &it);
    open_hook(loop, TG_KIND_CHECK, on_plain, &it);
    length = tg_loop_dump(loop, NULL, 0);
    CHECK(length > 0);
    CHECK_EQ(tg_loop_dump(loop, whole, sizeof whole), length);
    CHECK_EQ(strlen(whole), (size_t)length);
    for (const char *p = whole; *p != '\0'; p++) lines += *p == '\n';
    CHECK_EQ(lines, 3);
    memset(cut, 'z', sizeof cut);
    CHECK_EQ(tg_loop_dump(loop, cut, 10), length);
    CHECK_EQ(cut[9], '\0');
    CHECK_EQ(cut[10], 'z');
    CHECK(memcmp(cut, whole, 9) == 0);
    CHECK_EQ(tg_loop_get_handles(loop, NULL, 0), 3);
    CHECK_EQ(tg_loop_get_handles(loop, list, 2), 3);
    CHECK(list[0] != 1 && list[1] != 1 && list[2] == 1);
    CHECK_EQ(tg_loop_get_handles(loop, list, 4), 3);
    CHECK_EQ(list[3], 1);
    for (int i = 0; i < 3; i++) CHECK_EQ(tg_handle_is_open(list[i]), 1);
    free_loop(loop, 3);
    CHECK_EQ(it.released, 3);
}

static void check_info(tg_loop loop, tg_handle handle, uint32_t kind, int64_t value)
{
    tg_handle_info info = TG_HANDLE_INFO_INIT;
    uint32_t found = 0;
    tg_loop owner = 0;
    CHECK_CODE(tg_handle_get_info(handle, &info), 0);
    CHECK_EQ(info.handle, handle);
    CHECK_EQ(info.kind, kind);
    CHECK_EQ(info.flags & TG_INFO_REF, TG_INFO_REF);
    if (value >= 0) CHECK_EQ(info.value, value);
    CHECK_CODE(tg_handle_get_kind(handle, &found), 0);
    CHECK_EQ(found, kind);
    CHECK_CODE(tg_handle_get_loop(handle, &owner), 0);
    CHECK_EQ(owner, loop);
}

/* mutation: the value of a descriptor watcher is its interest. */
static void handle_information(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    int ends[2];
    uint32_t interest = 0;
    tg_fd fd = -1;
    void *user = NULL;
    tg_handle io;
    make_pipe(ends);
    io = open_io(loop, ends[0], TG_READ | TG_HANGUP, on_io, &it);
    check_info(loop, io, TG_KIND_IO, ends[0]);
    check_info(loop, open_timer(loop, SECOND, 0, on_timer, &it), TG_KIND_TIMER, -1);
    check_info(loop, open_signal(loop, SIGUSR1, on_signal, &it), TG_KIND_SIGNAL, SIGUSR1);
    check_info(loop, open_async(loop, on_plain, &it), TG_KIND_ASYNC, -1);
    check_info(loop, open_hook(loop, TG_KIND_PREPARE, on_plain, &it), TG_KIND_PREPARE, -1);
    check_info(loop, open_hook(loop, TG_KIND_CHECK, on_plain, &it), TG_KIND_CHECK, -1);
    check_info(loop, open_hook(loop, TG_KIND_IDLE, on_plain, &it), TG_KIND_IDLE, -1);
    CHECK_CODE(tg_io_get_interest(io, &interest), 0);
    CHECK_EQ(interest, TG_READ | TG_HANGUP);
    CHECK_CODE(tg_io_get_fd(io, &fd), 0);
    CHECK_EQ(fd, ends[0]);
    CHECK_CODE(tg_handle_get_user(io, &user), 0);
    CHECK(user == &it);
    free_loop(loop, 7);
    CHECK_EQ(it.released, 7);
    close_both(ends);
}

/* mutation: the port is not armed when a run ends. */
static void nesting_in_a_foreign_poll(void)
{
    tg_loop loop = new_loop();
    counter it = { .loop = loop }, tick = { .calls = 0 };
    struct pollfd outer = { -1, POLLIN, 0 };
    int64_t timeout = -7;
    pthread_t thread;
    tg_fd fd = -1;
    int ends[2];
    make_pipe(ends);
    CHECK_CODE(tg_loop_get_backend_fd(loop, &fd), 0);
    outer.fd = fd;
    turns(loop, 1); /* from now on it is as a run has left it */
    CHECK_CODE(tg_loop_get_timeout_ns(loop, &timeout), 0);
    CHECK_EQ(timeout, -1);
    MUST(pthread_create(&thread, NULL, post_from_thread, &it) == 0);
    CHECK_EQ(poll(&outer, 1, -1), 1); /* the watchdog ends a wake-up that is lost */
    CHECK(tg_loop_run_nowait(loop) >= 0);
    CHECK_EQ(it.calls, 1);
    MUST(pthread_join(thread, NULL) == 0);
    CHECK_EQ(poll(&outer, 1, 0), 0); /* and it is quiet again */
    tick.fd = ends[0];
    open_io(loop, ends[0], TG_READ, on_io_read_one, &tick);
    turns(loop, 1);
    put(ends[1], "x");
    CHECK_EQ(poll(&outer, 1, -1), 1);
    turns(loop, 1);
    CHECK_EQ(tick.calls, 1);
    open_timer(loop, 3600 * SECOND, 0, on_timer, &it);
    CHECK_CODE(tg_loop_get_timeout_ns(loop, &timeout), 0);
    CHECK(timeout > 3500 * SECOND && timeout <= 3600 * SECOND);
    CHECK_CODE(tg_defer(loop, on_post, &it, counter_release), 0);
    CHECK_CODE(tg_loop_get_timeout_ns(loop, &timeout), 0);
    CHECK_EQ(timeout, 0);
    free_loop(loop, 2);
    close_both(ends);
}

int main(void)
{
    harness_begin();
    RUN(turn_order);
    RUN(a_post_that_ends_the_wait_runs_in_that_turn);
    RUN(keep_alive);
    RUN(stop_before_run_counts_once);
    RUN(run_modes);
    RUN(a_turn_is_run_although_nothing_is_referenced);
    RUN(statistics);
    RUN(dump_follows_snprintf);
    RUN(handle_information);
    RUN(nesting_in_a_foreign_poll);
    return harness_end();
}
