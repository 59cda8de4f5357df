/* Timers: never early, in deadline order, on their grid, and indifferent to huge values. */
#include "support.h"

typedef struct stamp {
    int64_t not_before; /* on the program's own clock */
    int fired, early;
    int *order, *next;  /* where to note the order of firing */
    int number;
} stamp;

static void on_stamp(tg_handle self, void *user, uint64_t missed)
{
    stamp *it = user;
    (void)missed;
    if (monotonic_ns() < it->not_before) it->early++;
    it->fired++;
    if (it->order != NULL) it->order[(*it->next)++] = it->number;
    CHECK_CODE(tg_close(self), 0);
}

static tg_handle open_stamp(tg_loop loop, int64_t delay, stamp *user)
{
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    tg_handle handle = 0;
    options.callback = on_stamp;
    options.user = user;
    user->not_before = monotonic_ns() + delay;
    MUST(tg_timer_open(loop, delay, 0, &options, &handle) == 0);
    return handle;
}

#define MANY 10000

/* mutation: what is due within a millisecond is taken as due. */
static void h50_ten_thousand_random_timers_are_never_early(void)
{
    static stamp users[MANY];
    int count = harness_scale(MANY), early = 0, fired = 0;
    uint32_t seed = 12345;
    tg_loop loop = new_loop();
    memset(users, 0, sizeof users);
    for (int i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        open_stamp(loop, (int64_t)(seed >> 8) % (100 * MS), &users[i]);
    }
    CHECK_CODE(tg_loop_run(loop), 0);
    for (int i = 0; i < count; i++) {
        early += users[i].early;
        fired += users[i].fired;
    }
    CHECK_EQ(early, 0);
    CHECK_EQ(fired, count);
    free_loop(loop, 0);
}

static void on_timer_late_start(tg_handle self, void *user, uint64_t missed)
{
    stamp *it = user;
    (void)missed;
    busy_for(20 * MS);
    it->fired++;
    it->not_before = monotonic_ns() + 15 * MS;
    CHECK_CODE(tg_handle_set_user(self, it + 1, NULL), 0);
    (it + 1)->not_before = it->not_before;
    CHECK_CODE(tg_timer_start(self, 15 * MS, 0), 0);
}

static void on_late_or_stamp(tg_handle self, void *user, uint64_t missed)
{
    stamp *it = user;
    if (it->number == 0) on_timer_late_start(self, user, missed);
    else on_stamp(self, user, missed);
}

/* Relative timers count from now, not from the turn's clock reading.
 * mutation: tg_timer_start counts from the turn's reading of the clock. */
static void h51_timer_armed_after_long_work_is_not_early(void)
{
    tg_loop loop = new_loop();
    stamp users[2] = { { .number = 0 }, { .number = 1 } };
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    tg_handle timer;
    options.callback = on_late_or_stamp;
    options.user = &users[0];
    REQUIRE(tg_timer_open(loop, 0, 0, &options, &timer) == 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(users[0].fired, 1);
    CHECK_EQ(users[1].fired, 1);
    CHECK_EQ(users[1].early, 0);
    free_loop(loop, 0);
}

typedef struct grid {
    tg_loop loop;
    int64_t armed_after, armed_before, period;
    uint64_t ticks; /* callbacks and missed ones together */
    int callbacks, off_grid, stop_at;
} grid;

/* Whatever was missed, callbacks plus missed ticks are the periods that have passed since the start. */
static void on_grid(tg_handle self, void *user, uint64_t missed)
{
    grid *it = user;
    int64_t now = 0;
    uint64_t least, most;
    it->callbacks++;
    it->ticks += 1 + missed;
    CHECK_CODE(tg_loop_get_now_ns(it->loop, &now), 0);
    least = (uint64_t)((now - it->armed_before) / it->period);
    most = (uint64_t)((now - it->armed_after) / it->period);
    if (it->ticks < least || it->ticks > most) it->off_grid++;
    if (it->callbacks == 3) busy_for(5 * it->period); /* so that ticks are missed */
    if (it->callbacks >= it->stop_at) CHECK_CODE(tg_close(self), 0);
}

/* mutation: a repeating timer is armed again from the time at which it fired. */
static void h52_repeating_timer_keeps_its_grid(void)
{
    grid it = { .period = MS, .stop_at = harness_scale(300) + 4 };
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    tg_handle timer;
    it.loop = new_loop();
    options.callback = on_grid;
    options.user = &it;
    it.armed_after = tg_now_ns();
    REQUIRE(tg_timer_open(it.loop, it.period, it.period, &options, &timer) == 0);
    it.armed_before = tg_now_ns();
    CHECK_CODE(tg_loop_run(it.loop), 0);
    CHECK_EQ(it.off_grid, 0);
    CHECK(it.ticks >= (uint64_t)it.callbacks + 4); /* the five periods of work were not free */
    free_loop(it.loop, 0);
}

/* mutation: equal deadlines come in the reverse order of arming. */
static void deadline_order_then_arming_order(void)
{
    static const int64_t delays[] = { 3, 1, 2, 1, 3, 2 };
    stamp users[6];
    int order[6], next = 0;
    int64_t base;
    tg_loop loop = new_loop();
    memset(users, 0, sizeof users);
    base = tg_now_ns() + MS;
    for (int i = 0; i < 6; i++) {
        tg_handle timer;
        users[i] = (stamp){ .order = order, .next = &next, .number = i };
        timer = open_stamp(loop, SECOND, &users[i]);
        CHECK_CODE(tg_timer_start_at(timer, TG_CLOCK_MONOTONIC, base + delays[i] * MS, 0), 0);
        users[i].not_before = 0;
    }
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(next, 6);
    CHECK(order[0] == 1 && order[1] == 3 && order[2] == 2 && order[3] == 5 && order[4] == 0 &&
          order[5] == 4);
    free_loop(loop, 0);
}

/* mutation: a timer that has fired once is armed again. */
static void once_restart_stop_remaining(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    int64_t left = -7;
    tg_handle timer = open_timer(loop, -1, 0, on_timer, &it);
    CHECK_CODE(tg_timer_get_remaining_ns(timer, &left), 0);
    CHECK_EQ(left, -1);
    turns(loop, 2);
    CHECK_EQ(it.calls, 0); /* opened stopped */
    CHECK_CODE(tg_timer_restart(timer), TG_EINVAL); /* with what delay? */
    CHECK_CODE(tg_timer_start_at(timer, TG_CLOCK_REALTIME, INT64_MAX, 0), 0);
    CHECK_CODE(tg_timer_restart(timer), TG_ENOTSUP);
    CHECK_CODE(tg_timer_start(timer, 3600 * SECOND, 0), 0);
    CHECK_CODE(tg_timer_get_remaining_ns(timer, &left), 0);
    CHECK(left > 3500 * SECOND && left <= 3600 * SECOND);
    CHECK_CODE(tg_timer_stop(timer), 0);
    CHECK_CODE(tg_timer_get_remaining_ns(timer, &left), 0);
    CHECK_EQ(left, -1);
    CHECK_CODE(tg_timer_start(timer, 0, 0), 0);
    turns(loop, 3);
    CHECK_EQ(it.calls, 1); /* once is once */
    CHECK_CODE(tg_timer_restart(timer), 0);
    turns(loop, 2);
    CHECK_EQ(it.calls, 2);
    CHECK_EQ(it.total, 0);
    free_loop(loop, 1);
    CHECK_EQ(it.released, 1);
}

typedef struct pusher {
    tg_handle idle;
    stamp *watched;
    int pushes, wanted;
} pusher;

static void on_timer_push_back(tg_handle self, void *user, uint64_t missed)
{
    pusher *it = user;
    int64_t not_before = monotonic_ns() + 30 * MS;
    (void)missed;
    if (it->pushes < it->wanted && tg_timer_restart(it->idle) == 0) {
        it->pushes++;
        it->watched->not_before = not_before;
    } else {
        CHECK_CODE(tg_close(self), 0);
    }
}

/* An idle timeout that is pushed back again and again fires its delay after the last push at the
 * earliest (a machine that stalls between two pushes may make it fire there, rightly).
 * mutation: restart of a timer that fires once does nothing. */
static void restart_pushes_back(void)
{
    tg_loop loop = new_loop();
    stamp idle = { .number = 0 };
    pusher it = { .watched = &idle, .wanted = 25 };
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    tg_handle timer;
    it.idle = open_stamp(loop, 30 * MS, &idle);
    options.callback = on_timer_push_back;
    options.user = &it;
    REQUIRE(tg_timer_open(loop, 2 * MS, 2 * MS, &options, &timer) == 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(idle.fired, 1);
    CHECK(it.pushes > 0);
    CHECK_EQ(idle.early, 0);
    free_loop(loop, 0);
}

static void on_timer_stop(tg_handle self, void *user, uint64_t missed)
{
    on_timer(self, user, missed);
    CHECK_CODE(tg_timer_stop(self), 0);
}

/* mutation: stop leaves the timer armed. */
static void stop_in_its_callback_and_of_another_due_one(void)
{
    tg_loop loop = new_loop();
    counter first = { .calls = 0 }, second = { .calls = 0 };
    tg_handle repeating = open_timer(loop, 0, 1, on_timer_stop, &first);
    tg_handle other = open_timer(loop, 0, 1, on_timer, &second);
    turns(loop, 4);
    CHECK_EQ(first.calls, 1);
    CHECK_EQ(second.calls, 4);
    CHECK_CODE(tg_timer_stop(other), 0);
    turns(loop, 2);
    CHECK_EQ(second.calls, 4);
    CHECK_CODE(tg_loop_run(loop), 0); /* stopped timers do not keep a loop alive */
    CHECK_CODE(tg_close(repeating), 0);
    free_loop(loop, 1);
}

/* mutation: deadline = now + delay wraps around. */
static void h54_huge_values(void)
{
    static const int64_t huge[] = { INT64_MAX, INT64_MAX - 1, INT64_C(2147483648) * MS,
                                    INT64_C(2147483647) * MS, INT64_C(4294967296) * SECOND };
    tg_loop loop = new_loop();
    counter never = { .calls = 0 }, tick = { .enough = 3 };
    int64_t left, timeout;
    tg_handle timer = open_timer(loop, -1, 0, on_timer, &never);
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        CHECK_CODE(tg_timer_start(timer, huge[i], huge[i]), 0);
        turns(loop, 2);
        CHECK_CODE(tg_timer_get_remaining_ns(timer, &left), 0);
        CHECK(left > 1000 * SECOND);
        CHECK_CODE(tg_loop_get_timeout_ns(loop, &timeout), 0);
        CHECK(timeout == -1 || timeout > 0);
        CHECK_CODE(tg_timer_start_at(timer, TG_CLOCK_MONOTONIC, huge[i], huge[i]), 0);
        turns(loop, 2);
        CHECK_CODE(tg_timer_restart(timer), 0);
        turns(loop, 1);
    }
    CHECK_EQ(never.calls, 0);
    tick.loop = loop;
    open_timer(loop, 1, 1, on_timer, &tick); /* a wait bounded by the huge one still wakes for it */
    CHECK_CODE(tg_loop_run_until(loop, INT64_MAX), 1);
    CHECK_EQ(tick.calls, 3);
    CHECK_EQ(never.calls, 0);
    CHECK_CODE(tg_timer_start(timer, 1, 0), 0); /* one nanosecond */
    CHECK_CODE(tg_loop_run_once(loop), 0);
    CHECK_EQ(never.calls, 1);
    free_loop(loop, 1);
}

/* mutation: a wall-clock deadline is taken as monotonic. */
static void h53_absolute_and_wall_clock(void)
{
    tg_loop loop = new_loop();
    stamp absolute = { .number = 0 }, wall = { .number = 1 }, past = { .number = 2 };
    tg_handle a = open_stamp(loop, SECOND, &absolute), w = open_stamp(loop, SECOND, &wall);
    tg_handle p = open_stamp(loop, SECOND, &past);
    int64_t wall_deadline;
    past.not_before = wall.not_before = 0;
    absolute.not_before = monotonic_ns() + 10 * MS;
    CHECK_CODE(tg_timer_start_at(a, TG_CLOCK_MONOTONIC, tg_now_ns() + 10 * MS, 0), 0);
    wall_deadline = clock_ns(CLOCK_REALTIME) + 20 * MS;
    CHECK_CODE(tg_timer_start_at(w, TG_CLOCK_REALTIME, wall_deadline, 0), 0);
    CHECK_CODE(tg_timer_start_at(p, TG_CLOCK_REALTIME, SECOND, 0), 0); /* long ago: due at once */
    turns(loop, 1);
    CHECK_EQ(past.fired, 1);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(absolute.fired, 1);
    CHECK_EQ(absolute.early, 0);
    CHECK_EQ(wall.fired, 1);
    CHECK(clock_ns(CLOCK_REALTIME) >= wall_deadline);
    free_loop(loop, 0);
}

/* A timeout below a millisecond must not become a busy wait of zeros.
 * mutation: the wait's timeout is rounded down to milliseconds. */
static void h31_short_timeouts_do_not_spin(void)
{
    enum { ROUNDS = 20 };
    tg_loop loop = new_loop();
    counter it = { .enough = ROUNDS };
    uint64_t before = stats_of(loop).waits;
    open_timer(loop, 300000, 300000, on_timer, &it);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.calls, ROUNDS);
    CHECK(stats_of(loop).waits - before <= 2 * ROUNDS + 2);
    free_loop(loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(h50_ten_thousand_random_timers_are_never_early);
    RUN(h51_timer_armed_after_long_work_is_not_early);
    RUN(h52_repeating_timer_keeps_its_grid);
    RUN(deadline_order_then_arming_order);
    RUN(once_restart_stop_remaining);
    RUN(restart_pushes_back);
    RUN(stop_in_its_callback_and_of_another_due_one);
    RUN(h54_huge_values);
    RUN(h53_absolute_and_wall_clock);
    RUN(h31_short_timeouts_do_not_spin);
    return harness_end();
}
