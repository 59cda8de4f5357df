/* Injected panics: none crosses the boundary. For a library built with the feature panic-injection,
 * which exports tg_test_panic_in(). Takes the path of abi/symbols.txt. */
#include "calls.h"
#include "symbols.h"

/* From now on the named function panics inside its guard; NULL: none does. */
void tg_test_panic_in(const char *function_name);

static const char *call_name(size_t i) { return calls[i].symbol; }

static void table_equals_the_exported_symbols(void) { symbols_equal(call_name, CALLS); }

/* After a panic the loop refuses everything that its owner may ask, but it can be freed. */
static void check_poisoned(const scene *it)
{
    CHECK_CODE(tg_loop_run(it->loop), TG_EPANIC);
    CHECK_CODE(tg_loop_run_nowait(it->loop), TG_EPANIC);
    CHECK_CODE(tg_timer_start(it->timer, 0, 0), TG_EPANIC);
    CHECK_CODE(tg_close(it->io), TG_EPANIC);
    CHECK_CODE(tg_loop_hold(it->loop), TG_EPANIC);
    CHECK_CODE(tg_post(it->loop, on_post, NULL, NULL), TG_EPANIC);
}

static void check_one(const call *which)
{
    scene it;
    int code, bad_before = harness_bad;
    scene_open(&it);
    tg_test_panic_in(which->symbol);
    code = which->make(&it);
    tg_test_panic_in(NULL);
    if ((which->traits & NO_CODE) != 0) {
        CHECK_EQ(code, 1);
    } else {
        CHECK_CODE(code, TG_EPANIC);
        CHECK((strstr(tg_last_error(), which->symbol) == NULL) == ((which->traits & NO_WORDS) != 0));
    }
    if ((which->traits & ON_LOOP) != 0) check_poisoned(&it);
    else CHECK(tg_loop_run_nowait(it.loop) >= 0);
    if ((which->traits & ON_BATCH) != 0) CHECK_CODE(tg_batch_turn(it.batch), TG_EPANIC);
    scene_close(&it);
    CHECK_EQ(it.user.released, 5);
    if (harness_bad != bad_before) printf("# of %s\n", which->symbol);
}

/* mutation: a panic does not poison the loop. */
static void a_panic_in_every_function(void)
{
    for (size_t i = 0; i < CALLS; i++) check_one(&calls[i]);
}

/* mutation: a panic does not poison the loop. */
static void a_panic_in_dispatch(void)
{
    scene it;
    scene_open(&it);
    CHECK_CODE(tg_async_send(it.async), 0);
    tg_test_panic_in("dispatch");
    CHECK_CODE(tg_loop_run_nowait(it.loop), TG_EPANIC);
    tg_test_panic_in(NULL);
    check_poisoned(&it);
    scene_close(&it);
    CHECK_EQ(it.user.released, 5);
    CHECK_EQ(it.user.calls, 0);
}

/* mutation: a panic does not poison the loop. */
static void a_panic_in_batch_dispatch(void)
{
    tg_loop loop = new_batch_loop(8, 8);
    tg_handle async = 0;
    CHECK_CODE(tg_async_open(loop, NULL, &async), 0);
    CHECK_CODE(tg_async_send(async), 0);
    tg_test_panic_in("dispatch");
    CHECK_CODE(tg_batch_turn(loop), TG_EPANIC);
    tg_test_panic_in(NULL);
    CHECK_CODE(tg_batch_turn(loop), TG_EPANIC);
    CHECK(tg_loop_free(loop) >= 0);
}

int main(int argc, char **argv)
{
    if (!symbols_from(argc, argv)) return 2;
    harness_begin();
    RUN(table_equals_the_exported_symbols);
    RUN(a_panic_in_every_function);
    RUN(a_panic_in_dispatch);
    RUN(a_panic_in_batch_dispatch);
    return harness_end();
}
