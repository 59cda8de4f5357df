/* 01: a loop, a timer that fires once, and a timer that repeats.
 *
 * Learnt here: every object is an id; options carry the callback and its user data; the loop runs
 * until nothing is open any more; a repeating timer keeps its grid and reports the ticks it missed;
 * `release` comes exactly once, when the timer is gone for good. */
#include <inttypes.h>
#include <stdio.h>
#include <tidegate.h>

#define MS INT64_C(1000000)

typedef struct ticker {
    int ticks;
    int64_t started;
} ticker;

static void on_tick(tg_handle self, void *user, uint64_t missed)
{
    ticker *it = user;
    it->ticks++;
    printf("tick %d (%" PRIu64 " missed)\n", it->ticks, missed);
    if (it->ticks == 5) tg_close(self); /* closing oneself in the callback is fine */
}

static void on_once(tg_handle self, void *user, uint64_t missed)
{
    const ticker *it = user;
    int64_t elapsed = tg_now_ns() - it->started;
    (void)missed;
    printf("once, %s\n", elapsed >= 25 * MS ? "not early" : "EARLY");
    tg_close(self);
}

static void on_released(void *user)
{
    const ticker *it = user;
    printf("the ticker is released after %d ticks\n", it->ticks);
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tg_last_error());
    return 1;
}

int main(void)
{
    tg_timer_options repeating = TG_TIMER_OPTIONS_INIT, once = TG_TIMER_OPTIONS_INIT;
    ticker it = { 0, 0 };
    tg_loop loop;
    tg_handle timer;
    int result;

    if (tg_loop_new(NULL, &loop) < 0) return failed("tg_loop_new");
    repeating.callback = on_tick;
    repeating.user = &it;
    repeating.release = on_released;
    once.callback = on_once;
    once.user = &it;

    /* Times are nanoseconds: the first tick after 10 ms, then one every 10 ms. */
    it.started = tg_now_ns();
    if (tg_timer_open(loop, 10 * MS, 10 * MS, &repeating, &timer) < 0) return failed("open");
    if (tg_timer_open(loop, 25 * MS, 0, &once, &timer) < 0) return failed("open");

    result = tg_loop_run(loop); /* 0: both timers have closed themselves */
    printf("run returned %d\n", result);

    /* How many handles were still open: none. */
    printf("free returned %d\n", tg_loop_free(loop));
    return result == 0 && it.ticks == 5 ? 0 : 1;
}
