/* 10: work on other threads, and names.
 *
 * Learnt here: one huge handler ruins a loop, because nothing else is called while it runs; the
 * slow-callback hook says which one it was. tg_work_open moves the same function to a thread, the
 * loop goes on ticking, and the result comes back as a callback. Looking up a name also waits, for
 * the name servers, so it has a function of its own: tg_resolve_open. */
#include <inttypes.h>
#include <stdio.h>
#include <tidegate.h>

#define MS INT64_C(1000000)

typedef struct program {
    tg_loop loop;
    tg_handle ticker, huge;
    int ticks, ticks_before;
    uint64_t missed;
    int64_t primes; /* written by the thread, read when it has ended */
    int done;
} program;

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tg_last_error());
    return 1;
}

/* What takes long: on purpose in the slowest way. */
static int64_t count_primes(int below)
{
    int64_t count = 0;
    for (int number = 2; number < below; number++) {
        int divisor = 2;
        while (divisor * divisor <= number && number % divisor != 0) divisor++;
        if (divisor * divisor > number) count++;
    }
    return count;
}

static void on_tick(tg_handle self, void *user, uint64_t missed)
{
    program *it = user;
    (void)self;
    it->ticks++;
    it->missed += missed; /* ticks that a busy loop could not give */
}

static void on_slow(tg_loop loop, void *user, tg_handle handle, int64_t duration_ns)
{
    const program *it = user;
    (void)loop;
    printf("slow: %s took %" PRId64 " ms\n", handle == it->huge ? "the huge handler" : "a callback",
           duration_ns / MS);
}

/* Third: the names of this machine. */
static void on_found(tg_handle self, void *user, int status, const tg_address *addresses, size_t count)
{
    program *it = user;
    (void)self;
    if (status < 0) printf("localhost: %s\n", tg_strerror(status));
    for (size_t i = 0; i < count; i++) {
        char text[128];
        if (tg_address_format(&addresses[i], text, sizeof text) >= 0) printf("localhost is %s\n", text);
    }
    it->done++;
    tg_close(it->ticker); /* nothing is left: tg_loop_run returns */
}

/* Second: the same on a thread. It has no business with the loop, and nobody else with it->primes. */
static int64_t work(void *user)
{
    program *it = user;
    it->primes = count_primes(1000000);
    return it->primes;
}

static void on_worked(tg_handle self, void *user, int status, int64_t result)
{
    program *it = user;
    tg_resolve_options options = TG_RESOLVE_OPTIONS_INIT;
    tg_handle look_up;
    (void)self;
    if (status < 0) printf("work: %s\n", tg_strerror(status));
    printf("on a thread: %" PRId64 " primes, and the loop ticked on: %d ticks, %" PRIu64 " missed\n", result,
           it->ticks - it->ticks_before, it->missed);
    it->done++;
    options.callback = on_found;
    options.user = it;
    if (tg_resolve_open(it->loop, "localhost", "80", &options, &look_up) < 0) {
        failed("tg_resolve_open");
        tg_close(it->ticker);
    }
}

/* First: the huge handler, on the loop. */
static void on_huge(tg_handle self, void *user, uint64_t missed)
{
    (void)user;
    (void)missed;
    printf("in a handler: %" PRId64 " primes\n", count_primes(1000000));
    tg_close(self);
}

/* A tick later: what the huge handler has cost is known. */
static void on_afterwards(tg_handle self, void *user, uint64_t missed)
{
    program *it = user;
    tg_work_options options = TG_WORK_OPTIONS_INIT;
    tg_handle thread_work;
    (void)missed;
    tg_close(self);
    printf("the loop was late: %" PRIu64 " ticks were missed\n", it->missed);
    it->missed = 0;
    it->ticks_before = it->ticks;
    options.callback = on_worked;
    options.user = it;
    if (tg_work_open(it->loop, work, &options, &thread_work) < 0) {
        failed("tg_work_open");
        tg_close(it->ticker);
    }
}

int main(void)
{
    tg_timer_options tick = TG_TIMER_OPTIONS_INIT, huge = TG_TIMER_OPTIONS_INIT, after = TG_TIMER_OPTIONS_INIT;
    program it = { 0, 0, 0, 0, 0, 0, 0, 0 };
    tg_handle later;
    int result;

    if (tg_loop_new(NULL, &it.loop) < 0) return failed("tg_loop_new");
    tick.callback = on_tick;
    huge.callback = on_huge;
    after.callback = on_afterwards;
    tick.user = huge.user = after.user = &it;
    if (tg_loop_set_slow_callback(it.loop, 20 * MS, on_slow, &it, NULL) < 0) return failed("slow callback");
    if (tg_timer_open(it.loop, 5 * MS, 5 * MS, &tick, &it.ticker) < 0) return failed("ticker");
    if (tg_timer_open(it.loop, 12 * MS, 0, &huge, &it.huge) < 0) return failed("huge");
    if (tg_timer_open(it.loop, 22 * MS, 0, &after, &later) < 0) return failed("later");

    result = tg_loop_run(it.loop);
    result |= tg_loop_free(it.loop);
    return result == 0 && it.done == 2 ? 0 : 1;
}
