/* Starvation, livelock and lost wake-ups, the slow-callback hook, and freeing a loop with work left. */
#include "support.h"

typedef struct rearming {
    tg_loop loop;
    tg_handle timer;
    int rounds;
} rearming;

static void on_timer_rearm(tg_handle self, void *user, uint64_t missed)
{
    rearming *it = user;
    (void)missed;
    it->rounds++;
    /* Due at once by either way: after no time, or at a time long gone. */
    if (it->rounds % 2 == 0) CHECK_CODE(tg_timer_start(self, 0, 0), 0);
    else CHECK_CODE(tg_timer_start_at(self, TG_CLOCK_MONOTONIC, 1, 0), 0);
}

/* mutation: timers armed while due ones are called belong to the same pass. */
static void h24_zero_timer_does_not_starve_io(void)
{
    rearming it = { 0, 0, 0 };
    counter reader = { .enough = 10 };
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    int ends[2];
    it.loop = new_loop();
    make_pipe(ends);
    reader.fd = ends[0];
    reader.loop = it.loop;
    put(ends[1], "0123456789");
    options.callback = on_timer_rearm;
    options.user = &it;
    REQUIRE(tg_timer_open(it.loop, 0, 0, &options, &it.timer) == 0);
    open_io(it.loop, ends[0], TG_READ, on_io_read_one, &reader);
    CHECK_CODE(tg_loop_run(it.loop), 1); /* the reader stops it */
    CHECK_EQ(reader.calls, 10);
    CHECK(it.rounds >= 9 && it.rounds <= 11); /* one a turn */
    free_loop(it.loop, 1);
    close_both(ends);
}

static void on_post_self(tg_loop loop, void *user)
{
    counter *it = user;
    it->calls++;
    CHECK_CODE(tg_post(loop, on_post_self, it, counter_release), 0);
}

static void on_defer_self(tg_loop loop, void *user)
{
    counter *it = user;
    it->calls++;
    CHECK_CODE(tg_defer(loop, on_defer_self, it, counter_release), 0);
}

/* mutation: the inbox is emptied again until it stays empty. */
static void h25_self_posting_task_does_not_starve_io(void)
{
    tg_loop loop = new_loop();
    counter posts = { .calls = 0 }, defers = { .calls = 0 }, reader = { .enough = 10 };
    int ends[2];
    make_pipe(ends);
    reader.fd = ends[0];
    reader.loop = loop;
    put(ends[1], "0123456789");
    open_io(loop, ends[0], TG_READ, on_io_read_one, &reader);
    CHECK_CODE(tg_post(loop, on_post_self, &posts, counter_release), 0);
    CHECK_CODE(tg_defer(loop, on_defer_self, &defers, counter_release), 0);
    CHECK_CODE(tg_loop_run(loop), 1);
    CHECK_EQ(reader.calls, 10);
    CHECK(posts.calls >= 9 && posts.calls <= 11);
    CHECK(defers.calls >= 9 && defers.calls <= 11);
    free_loop(loop, 0);
    CHECK_EQ(posts.released, posts.calls + 1); /* the last one was never called */
    CHECK_EQ(defers.released, defers.calls + 1);
    close_both(ends);
}

static tg_handle idle_to_stop;

static void on_prepare_stop_idle(tg_handle self, void *user)
{
    on_plain(self, user);
    CHECK_CODE(tg_hook_stop(idle_to_stop), 0);
    CHECK_CODE(tg_hook_stop(self), 0);
}

/* An idle hook stopped just before the wait must not leave the loop hot.
 * mutation: a stopped hook stays in the list of those that are started. */
static void h26_idle_stopped_before_the_wait(void)
{
    tg_loop loop = new_loop();
    counter idle = { .calls = 0 }, prepare = { .calls = 0 }, tick = { .enough = 1 };
    tg_handle hook;
    uint64_t before;
    idle_to_stop = open_hook(loop, TG_KIND_IDLE, on_plain, &idle);
    turns(loop, 3);
    CHECK_EQ(idle.calls, 3);
    hook = open_hook(loop, TG_KIND_PREPARE, on_prepare_stop_idle, &prepare);
    open_timer(loop, 5 * MS, 0, on_timer, &tick);
    before = stats_of(loop).turns;
    while (tick.calls == 0) CHECK(tg_loop_run_once(loop) >= 0);
    CHECK(stats_of(loop).turns - before <= 5);
    CHECK_EQ(prepare.calls, 1);
    CHECK_CODE(tg_loop_run_once(loop), 0); /* nothing is left that could end a wait */
    CHECK_EQ(tg_handle_is_open(hook), 1);
    free_loop(loop, 2);
}

/* What was stopped just before the wait was the last to keep the loop alive: nothing can end that wait.
 * mutation: whether anything is alive is not asked again before the wait. */
static void h26_last_one_stopped_before_the_wait_does_not_hang(void)
{
    tg_loop loop = new_loop();
    counter idle = { .calls = 0 }, prepare = { .calls = 0 };
    idle_to_stop = open_hook(loop, TG_KIND_IDLE, on_plain, &idle);
    open_hook(loop, TG_KIND_PREPARE, on_prepare_stop_idle, &prepare);
    CHECK_CODE(tg_loop_run_once(loop), 0);
    CHECK_EQ(prepare.calls, 1);
    CHECK_CODE(tg_hook_start(idle_to_stop), 0);
    CHECK_CODE(tg_loop_run_nowait(loop), 1);
    CHECK_EQ(idle.calls, 2);
    free_loop(loop, 2);
}

typedef struct slow_report {
    int calls, released;
    tg_handle handle;
    int64_t duration;
    tg_loop loop;
} slow_report;

static void on_slow(tg_loop loop, void *user, tg_handle handle, int64_t duration_ns)
{
    slow_report *it = user;
    it->calls++;
    it->loop = loop;
    it->handle = handle;
    it->duration = duration_ns;
}

static void slow_released(void *user) { ((slow_report *)user)->released++; }

static void on_timer_slow(tg_handle self, void *user, uint64_t missed)
{
    busy_for(20 * MS);
    on_timer(self, user, missed);
}

static void on_post_slow(tg_loop loop, void *user)
{
    busy_for(20 * MS);
    on_post(loop, user);
}

/* mutation: posts are not timed. */
static void h32_slow_callback_is_reported(void)
{
    tg_loop loop = new_loop();
    slow_report report = { 0, 0, 0, 0, 0 };
    counter it = { .calls = 0 };
    tg_handle timer = open_timer(loop, 0, 0, on_timer_slow, &it);
    CHECK_CODE(tg_loop_set_slow_callback(loop, 15 * MS, on_slow, &report, slow_released), 0);
    turns(loop, 1);
    CHECK_EQ(it.calls, 1);
    CHECK_EQ(report.calls, 1);
    CHECK_EQ(report.handle, timer);
    CHECK_EQ(report.loop, loop);
    CHECK(report.duration >= 20 * MS);
    CHECK(stats_of(loop).longest_callback_ns >= 20 * MS);
    CHECK_CODE(tg_post(loop, on_post_slow, &it, NULL), 0);
    turns(loop, 1);
    CHECK_EQ(report.calls, 2);
    CHECK_EQ(report.handle, 0);
    CHECK_CODE(tg_loop_set_slow_callback(loop, 0, NULL, NULL, NULL), 0); /* off */
    CHECK_CODE(tg_timer_start(timer, 0, 0), 0);
    turns(loop, 2);
    CHECK_EQ(it.calls, 3);
    CHECK_EQ(report.calls, 2);
    CHECK_EQ(report.released, 1);
    free_loop(loop, 1);
    CHECK_EQ(report.released, 1);
}

#define STORM 20000

typedef struct storm {
    tg_loop loop;
    atomic_int accepted;
    int posts, wakes;
} storm;

static void on_storm_post(tg_loop loop, void *user)
{
    storm *it = user;
    if (++it->posts == 2 * it->wakes) CHECK_CODE(tg_loop_unhold(loop), 0);
}

static void *storm_thread(void *argument)
{
    storm *it = argument;
    for (int i = 0; i < it->wakes; i++) {
        if (tg_post(it->loop, on_storm_post, it, NULL) == 0) atomic_fetch_add(&it->accepted, 1);
        if (i % 64 == 0) sched_yield(); /* lets the loop go to sleep now and then */
    }
    return NULL;
}

/* mutation: a post to a long queue is dropped. */
static void h30_every_post_of_a_storm_arrives(void)
{
    storm it = { .wakes = harness_scale(STORM) };
    pthread_t threads[2];
    it.loop = new_loop();
    CHECK_CODE(tg_loop_hold(it.loop), 0);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, storm_thread, &it) == 0);
    CHECK_CODE(tg_loop_run(it.loop), 0);
    for (int i = 0; i < 2; i++) MUST(pthread_join(threads[i], NULL) == 0);
    CHECK_EQ(it.posts, 2 * it.wakes);
    CHECK_EQ(atomic_load(&it.accepted), 2 * it.wakes);
    free_loop(it.loop, 0);
}

typedef struct rally {
    tg_loop loop;
    atomic_int returned;
    int rounds;
} rally;

static void on_return(tg_loop loop, void *user)
{
    rally *it = user;
    if (atomic_fetch_add(&it->returned, 1) + 1 == it->rounds) CHECK_CODE(tg_loop_unhold(loop), 0);
}

static void *rally_thread(void *argument)
{
    rally *it = argument;
    for (int i = 0; i < it->rounds; i++) {
        MUST(tg_post(it->loop, on_return, it, NULL) == 0);
        for (int spins = 0; atomic_load(&it->returned) <= i; spins++)
            if (spins > 2000) sched_yield(); /* nobody else will wake the loop; leave it a processor */
        for (volatile int pause = i % 512; pause > 0; pause--) { }
    }
    return NULL;
}

/* One post at a time, each at another moment of the loop's going to sleep, and none is followed by
 * another that could make up for a lost wake-up: the run then hangs.
 * mutation: the loop looks for posts before it arms its waker instead of after. */
static void h30_no_wakeup_is_lost(void)
{
    rally it = { .rounds = harness_scale(30000) };
    pthread_t thread;
    it.loop = new_loop();
    CHECK_CODE(tg_loop_hold(it.loop), 0);
    MUST(pthread_create(&thread, NULL, rally_thread, &it) == 0);
    CHECK_CODE(tg_loop_run(it.loop), 0);
    MUST(pthread_join(thread, NULL) == 0);
    CHECK_EQ(atomic_load(&it.returned), it.rounds);
    free_loop(it.loop, 0);
}

typedef struct shortening {
    counter tick;
    tg_handle far;
} shortening;

static void on_post_shorten(tg_loop loop, void *user)
{
    shortening *it = user;
    it->tick.enough = 1;
    CHECK_CODE(tg_close(it->far), 0);
    open_timer(loop, MS, 0, on_timer, &it->tick);
}

static void *shorten_thread(void *argument)
{
    shortening *it = argument;
    wait_until_asleep(getpid()); /* the main thread is in its wait */
    CHECK_CODE(tg_post(it->tick.loop, on_post_shorten, it, NULL), 0);
    return NULL;
}

/* A timer armed by way of a post shortens the wait in progress: the run ends long before the hour
 * that the first timer would have taken (the watchdog is the judge).
 * mutation: a post to a loop that waits does not wake it. */
static void h56_timer_armed_from_a_thread_shortens_the_wait(void)
{
    tg_loop loop = new_loop();
    shortening it = { .tick = { .calls = 0 } };
    counter never = { .calls = 0 };
    pthread_t thread;
    it.far = open_timer(loop, 3600 * SECOND, 0, on_timer, &never);
    it.tick.loop = loop;
    MUST(pthread_create(&thread, NULL, shorten_thread, &it) == 0);
    CHECK(tg_loop_run(loop) >= 0);
    MUST(pthread_join(thread, NULL) == 0);
    CHECK_EQ(it.tick.calls, 1);
    CHECK_EQ(never.calls, 0);
    CHECK_EQ(never.released, 1);
    free_loop(loop, 0);
}

/* mutation: free counts the active handles only. */
static void h67_free_with_open_handles_reports_and_releases(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 }, posts = { .calls = 0 };
    int ends[2];
    make_pair(ends);
    open_timer(loop, 0, 1, on_timer, &it);
    open_io(loop, ends[0], TG_WRITE, on_io, &it);
    open_signal(loop, SIGUSR2, on_signal, &it);
    open_async(loop, on_plain, &it);
    open_hook(loop, TG_KIND_IDLE, on_plain, &it);
    open_timer(loop, -1, 0, on_timer, &it); /* stopped ones are open, too */
    CHECK_CODE(tg_loop_hold(loop), 0);
    CHECK_CODE(tg_post(loop, on_post, &posts, counter_release), 0);
    free_loop(loop, 6);
    CHECK_EQ(it.released, 6);
    CHECK_EQ(it.calls, 0);
    CHECK_EQ(posts.released, 1);
    CHECK_EQ(posts.calls, 0);
    CHECK(fcntl(ends[0], F_GETFD) >= 0); /* the caller's descriptor stays his */
    close_both(ends);
}

/* Loops come and go for ever without using anything up, and no id comes twice.
 * mutation: a reused tag starts again at the first generation. */
static void h01_ids_of_many_loops_never_repeat(void)
{
    int rounds = harness_scale(3000);
    counter it = { .calls = 0 };
    tg_handle first = 0;
    tg_loop first_loop = 0;
    for (int i = 0; i < rounds; i++) {
        tg_loop loop = new_loop();
        tg_handle handle = open_timer(loop, SECOND, 0, on_timer, &it);
        if (i == 0) {
            first = handle;
            first_loop = loop;
        } else if (handle == first || loop == first_loop || tg_handle_is_open(first) != 0 ||
                   tg_loop_wake(first_loop) != TG_ESTALE) {
            CHECK(!"an id came twice");
        }
        if (tg_loop_free(loop) != 1) CHECK(!"the loop could not be freed");
    }
    CHECK_EQ(it.released, rounds);
}

int main(void)
{
    harness_begin();
    RUN(h24_zero_timer_does_not_starve_io);
    RUN(h25_self_posting_task_does_not_starve_io);
    RUN(h26_idle_stopped_before_the_wait);
    RUN(h32_slow_callback_is_reported);
    RUN(h30_every_post_of_a_storm_arrives);
    RUN(h30_no_wakeup_is_lost);
    RUN(h56_timer_armed_from_a_thread_shortens_the_wait);
    RUN(h67_free_with_open_handles_reports_and_releases);
    RUN(h01_ids_of_many_loops_never_repeat);
    RUN(h26_last_one_stopped_before_the_wait_does_not_hang);
    return harness_end();
}
