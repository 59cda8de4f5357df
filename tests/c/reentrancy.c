/* The re-entrancy matrix: what a callback may do to its own watcher, to others and to the loop.
 * Every test asks the same of every watcher: exactly one release, no callback after close. */
#include "probe.h"

static void close_self(probe *it) { CHECK_CODE(probe_close(it), 0); }

static void close_self_twice(probe *it)
{
    CHECK_CODE(probe_close(it), 0);
    CHECK_CODE(tg_close(it->id), TG_ESTALE);
    CHECK_CODE(tg_handle_ref(it->id), TG_ESTALE);
    CHECK_EQ(it->released, 0); /* at the end of the turn, not under the callback's feet */
}

/* Whichever comes first closes both, so exactly one of two ready probes may fire. */
static void close_both_probes(probe *it)
{
    CHECK_CODE(probe_close(it->other), 0);
    CHECK_CODE(probe_close(it), 0);
}

/* mutation: close queues the release of the user twice. */
static void h02_h03_close_self(void)
{
    for (size_t k = 0; k < PROBE_KINDS; k++) {
        tg_loop loop = new_loop();
        probe it;
        probe_open(&it, loop, probe_kinds[k], close_self);
        probe_trigger(&it);
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_EQ(it.fired, 1);
        CHECK_EQ(it.released, 1);
        free_loop(loop, 0);
        probe_check(&it);
        probe_end(&it);
    }
}

/* mutation: tg_close gives 0 for an id that is closed already. */
static void h18_close_self_twice(void)
{
    for (size_t k = 0; k < PROBE_KINDS; k++) {
        tg_loop loop = new_loop();
        probe it;
        probe_open(&it, loop, probe_kinds[k], close_self_twice);
        probe_trigger(&it);
        CHECK_CODE(tg_loop_run(loop), 0);
        free_loop(loop, 0);
        CHECK_EQ(it.fired, 1);
        probe_check(&it);
        probe_end(&it);
    }
}

static void run_pair(uint32_t first_kind, uint32_t second_kind)
{
    tg_loop loop = new_loop();
    int bad_before = harness_bad;
    probe a, b;
    probe_open(&a, loop, first_kind, close_both_probes);
    probe_open(&b, loop, second_kind, close_both_probes);
    a.other = &b;
    b.other = &a;
    probe_trigger(&a);
    if (second_kind != TG_KIND_SIGNAL || first_kind != TG_KIND_SIGNAL) probe_trigger(&b);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(a.fired + b.fired, 1);
    free_loop(loop, 0);
    probe_check(&a);
    probe_check(&b);
    probe_end(&a);
    probe_end(&b);
    if (harness_bad != bad_before)
        printf("# of the pair %s, %s\n", probe_name(first_kind), probe_name(second_kind));
}

/* mutation: close queues the release but leaves the handle in its slot. */
static void h04_h12_close_other_in_the_same_batch(void)
{
    for (size_t i = 0; i < PROBE_KINDS; i++)
        for (size_t k = 0; k < PROBE_KINDS; k++) run_pair(probe_kinds[i], probe_kinds[k]);
}

static void close_another_in_release(probe *it)
{
    CHECK_CODE(tg_close(it->id), TG_ESTALE); /* its own id is dead already */
    if (it->other != NULL) it->result = probe_close(it->other);
}

/* mutation: releases that are queued by a release are dropped. */
static void h15_h18_close_in_release(void)
{
    for (size_t k = 0; k < PROBE_KINDS; k++) {
        tg_loop loop = new_loop();
        probe a, b;
        probe_open(&a, loop, probe_kinds[k], close_self);
        probe_open(&b, loop, TG_KIND_TIMER, NULL);
        CHECK_CODE(tg_timer_stop(b.id), 0);
        a.at_release = close_another_in_release;
        b.at_release = close_another_in_release;
        a.other = &b;
        probe_trigger(&a);
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_CODE(a.result, 0);
        free_loop(loop, 0);
        CHECK_EQ(b.fired, 0);
        probe_check(&a);
        probe_check(&b);
        probe_end(&a);
        probe_end(&b);
    }
}

static void free_the_loop(probe *it)
{
    if (it->fired > 1) return;
    it->result = tg_loop_free(it->loop);
    CHECK(it->result >= 0);
    it->closed = it->other->closed = true; /* for released_before_close only */
    it->fired_after_close = it->other->fired_after_close = 0;
}

/* Freeing the loop in a callback takes effect at the end of the run: run returns, the id is dead,
 * everything is released once.
 * mutation: the request to free a running loop is forgotten at the end of its run. */
static void h01_h03_free_the_loop_inside_a_callback(void)
{
    for (size_t k = 0; k < PROBE_KINDS; k++) {
        tg_loop loop = new_loop();
        probe a, b;
        probe_open(&a, loop, probe_kinds[k], free_the_loop);
        probe_open(&b, loop, TG_KIND_TIMER, NULL);
        CHECK_CODE(tg_timer_stop(b.id), 0);
        a.other = &b;
        probe_trigger(&a);
        CHECK(tg_loop_run(loop) >= 0);
        CHECK_CODE(a.result, 2); /* both were open */
        CHECK_EQ(a.fired, 1);
        CHECK_CODE(tg_loop_run(loop), TG_ESTALE);
        CHECK_CODE(tg_loop_free(loop), TG_ESTALE);
        CHECK_CODE(tg_loop_wake(loop), TG_ESTALE);
        CHECK_EQ(a.released, 1);
        CHECK_EQ(b.released, 1);
        probe_check(&b);
        probe_end(&a);
    }
}

static void run_inside(probe *it)
{
    CHECK_CODE(tg_loop_run(it->loop), TG_EREENTRANT);
    CHECK_CODE(tg_loop_run_once(it->loop), TG_EREENTRANT);
    CHECK_CODE(tg_loop_run_nowait(it->loop), TG_EREENTRANT);
    CHECK_CODE(tg_loop_run_until(it->loop, tg_now_ns()), TG_EREENTRANT);
    close_self(it);
}

/* mutation: the run does not look whether the loop is running. */
static void h44_run_inside_a_callback(void)
{
    for (size_t k = 0; k < PROBE_KINDS; k++) {
        tg_loop loop = new_loop();
        probe it;
        probe_open(&it, loop, probe_kinds[k], run_inside);
        probe_trigger(&it);
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_EQ(it.fired, 1);
        free_loop(loop, 0);
        probe_check(&it);
        probe_end(&it);
    }
}

static void run_another_loop(probe *it)
{
    tg_loop inner = new_loop();
    counter user = { .enough = 1 };
    open_timer(inner, 0, 0, on_timer, &user);
    CHECK_CODE(tg_loop_run(inner), 0);
    CHECK_EQ(user.calls, 1);
    CHECK_EQ(user.released, 1);
    free_loop(inner, 0);
    close_self(it);
}

/* mutation: a run of one loop is refused while another one has been run before it. */
static void another_loop_runs_inside_a_callback(void)
{
    for (size_t k = 0; k < PROBE_KINDS; k++) {
        tg_loop loop = new_loop();
        probe it;
        probe_open(&it, loop, probe_kinds[k], run_another_loop);
        probe_trigger(&it);
        CHECK_CODE(tg_loop_run(loop), 0);
        free_loop(loop, 0);
        probe_check(&it);
        probe_end(&it);
    }
}

/* Nothing but a run calls callbacks, however ready everything is.
 * mutation: tg_defer calls the function at once as well. */
static void h43_callbacks_come_only_from_run(void)
{
    tg_loop loop = new_loop();
    counter posts = { .calls = 0 };
    probe all[PROBE_KINDS];
    int fired = 0;
    for (size_t k = 0; k < PROBE_KINDS; k++) {
        probe_open(&all[k], loop, probe_kinds[k], close_self);
        probe_trigger(&all[k]);
    }
    CHECK_CODE(tg_post(loop, on_post, &posts, counter_release), 0);
    CHECK_CODE(tg_defer(loop, on_post, &posts, counter_release), 0);
    CHECK_CODE(tg_loop_wake(loop), 0);
    for (size_t k = 0; k < PROBE_KINDS; k++) fired += all[k].fired;
    CHECK_EQ(fired + posts.calls + posts.released, 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    for (size_t k = 0; k < PROBE_KINDS; k++) CHECK_EQ(all[k].fired, 1);
    CHECK_EQ(posts.calls, 2);
    CHECK_EQ(posts.released, 2);
    free_loop(loop, 0);
    for (size_t k = 0; k < PROBE_KINDS; k++) {
        probe_check(&all[k]);
        probe_end(&all[k]);
    }
}

/* One callback has all the bits; closing in it must not be followed by a second for the rest.
 * mutation: the hang-up bit is left out of what a watcher is told. */
static void h02_close_self_with_all_bits_set(void)
{
    tg_loop loop = new_loop();
    counter it = { .enough = 1 };
    int ends[2];
    make_pair(ends);
    put(ends[1], "x");
    close(ends[1]);
    open_io(loop, ends[0], TG_READ | TG_WRITE | TG_PRIORITY | TG_HANGUP, on_io, &it);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.calls, 1);
    CHECK_EQ(it.released, 1);
    CHECK((it.ready & TG_READ) != 0);
    CHECK((it.ready & TG_HANGUP) != 0);
    free_loop(loop, 0);
    close(ends[0]);
}

/* Every verb on a closed id, and on that id once its slot has a new owner.
 * mutation: the look-up ignores the generation. */
static void h01_every_verb_on_a_closed_id_is_stale(void)
{
    tg_loop loop = new_loop();
    for (size_t k = 0; k < PROBE_KINDS; k++) {
        probe dead, heir;
        probe_open(&dead, loop, probe_kinds[k], NULL);
        CHECK_CODE(probe_close(&dead), 0);
        probe_open(&heir, loop, probe_kinds[k], NULL);
        CHECK(heir.id != dead.id);
        CHECK_CODE(tg_close(dead.id), TG_ESTALE);
        CHECK_CODE(tg_io_set_interest(dead.id, TG_READ), TG_ESTALE);
        CHECK_CODE(tg_timer_start(dead.id, 0, 0), TG_ESTALE);
        CHECK_CODE(tg_timer_restart(dead.id), TG_ESTALE);
        CHECK_CODE(tg_async_send(dead.id), TG_ESTALE);
        CHECK_CODE(tg_hook_start(dead.id), TG_ESTALE);
        CHECK_CODE(tg_handle_unref(dead.id), TG_ESTALE);
        CHECK_EQ(tg_handle_is_open(dead.id), 0);
        CHECK_EQ(tg_handle_is_open(heir.id), 1);
        CHECK_CODE(probe_close(&heir), 0);
        turns(loop, 1);
        probe_check(&dead);
        probe_check(&heir);
        probe_end(&dead);
        probe_end(&heir);
    }
    free_loop(loop, 0);
}

/* Cancelling what is closed or already fired is a code or nothing, never an assertion.
 * mutation: stopping a timer that does not run is an error. */
static void h20_cancel_after_close_and_after_firing(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    tg_handle timer = open_timer(loop, 0, 0, on_timer, &it);
    turns(loop, 1);
    CHECK_EQ(it.calls, 1);
    CHECK_CODE(tg_timer_stop(timer), 0);
    CHECK_CODE(tg_timer_stop(timer), 0);
    CHECK_CODE(tg_close(timer), 0);
    CHECK_CODE(tg_timer_stop(timer), TG_ESTALE);
    CHECK_CODE(tg_close(timer), TG_ESTALE);
    turns(loop, 1);
    CHECK_EQ(it.released, 1);
    free_loop(loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(h02_h03_close_self);
    RUN(h18_close_self_twice);
    RUN(h04_h12_close_other_in_the_same_batch);
    RUN(h15_h18_close_in_release);
    RUN(h01_h03_free_the_loop_inside_a_callback);
    RUN(h44_run_inside_a_callback);
    RUN(another_loop_runs_inside_a_callback);
    RUN(h43_callbacks_come_only_from_run);
    RUN(h02_close_self_with_all_bits_set);
    RUN(h01_every_verb_on_a_closed_id_is_stale);
    RUN(h20_cancel_after_close_and_after_firing);
    return harness_end();
}
