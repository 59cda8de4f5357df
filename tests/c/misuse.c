/* The misuse sweep: every exported function with NULL, dead ids, ids of other kinds, bad descriptors,
 * unknown flags, absurd sizes and negative times. Each must give its documented code, leave words that
 * name it, leave its out-parameters alone and change nothing. Takes the path of abi/symbols.txt. */
#include "misuse.h"
#include "misuse_open.h"
#include "misuse_poller.h"
#include "misuse_files.h"
#include "misuse_process.h"
#include "misuse_work.h"
#include "misuse_resolve.h"
#include "misuse_udp.h"
#include "misuse_listener.h"
#include "symbols.h"

OF_ID(loop_free, return tg_loop_free(id);)
OF_ID(loop_run, return tg_loop_run(id);)
OF_ID(loop_run_once, return tg_loop_run_once(id);)
OF_ID(loop_run_nowait, return tg_loop_run_nowait(id);)
OF_ID(loop_run_until, return tg_loop_run_until(id, 0);)
OF_ID(loop_stop, return tg_loop_stop(id);)
OF_ID(loop_wake, return tg_loop_wake(id);)
OF_ID(loop_hold, return tg_loop_hold(id);)
OF_ID(loop_unhold, return tg_loop_unhold(id);)
OF_ID(loop_detach, return tg_loop_detach(id);)
OF_ID(loop_attach, return tg_loop_attach(id);)
OF_ID(loop_reopen, return tg_loop_reopen(id);)
OF_ID(loop_dump, char text[4] = "abc"; int code = tg_loop_dump(id, text, sizeof text);
      CHECK(strcmp(text, "abc") == 0); return code;)
OF_ID(loop_handles, tg_handle out = 7; int code = tg_loop_get_handles(id, &out, 1);
      UNTOUCHED(out, 7); return code;)
OF_ID(loop_now, int64_t out = 7; int code = tg_loop_get_now_ns(id, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(loop_timeout, int64_t out = 7; int code = tg_loop_get_timeout_ns(id, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(loop_backend, tg_fd out = 7; int code = tg_loop_get_backend_fd(id, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(loop_stats, tg_loop_stats out = TG_LOOP_STATS_INIT; int code; out.turns = 77;
      code = tg_loop_get_stats(id, &out); UNTOUCHED(out.turns, 77); return code;)
OF_ID(loop_slow, return tg_loop_set_slow_callback(id, 0, NULL, NULL, NULL);)
OF_ID(post, return tg_post(id, on_post, &on.untouched, counter_release);)
OF_ID(defer, return tg_defer(id, on_post, &on.untouched, counter_release);)
OF_ID(batch_turn, return tg_batch_turn(id);)
OF_ID(batch_get, tg_batch *out = (tg_batch *)&on; int code = tg_batch_get(id, &out);
      UNTOUCHED(out, (tg_batch *)&on); return code;)

static void sweep_loop_free(void) { LOOP_ID(loop_free); }

static void sweep_loop_run(void)
{
    LOOP_ID(loop_run);
    REFUSED(TG_ENOTSUP, tg_loop_run(on.batch));
}

static void sweep_loop_run_once(void)
{
    LOOP_ID(loop_run_once);
    REFUSED(TG_ENOTSUP, tg_loop_run_once(on.batch));
}

static void sweep_loop_run_nowait(void)
{
    LOOP_ID(loop_run_nowait);
    REFUSED(TG_ENOTSUP, tg_loop_run_nowait(on.batch));
}

static void sweep_loop_run_until(void)
{
    LOOP_ID(loop_run_until);
    REFUSED(TG_ENOTSUP, tg_loop_run_until(on.batch, 0));
}

static void sweep_loop_stop(void) { LOOP_ID(loop_stop); }

/* Made for signal handlers, which cannot ask what an id is that names no loop: documented as stale. */
static void sweep_loop_wake(void)
{
    const uint64_t others[] = { on.io, on.timer, on.idle, on.poller };
    sweep_dead(__LINE__, "loop_wake", loop_wake);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        check_refused(__LINE__, "loop_wake", loop_wake(others[i]), TG_ESTALE);
}

static void sweep_loop_hold(void) { LOOP_ID(loop_hold); }
static void sweep_loop_detach(void) { LOOP_ID(loop_detach); }

static void sweep_loop_unhold(void)
{
    LOOP_ID(loop_unhold);
    REFUSED(TG_EINVAL, tg_loop_unhold(on.loop)); /* it is not held */
}

static void sweep_loop_attach(void)
{
    LOOP_ID(loop_attach);
    REFUSED(TG_EWRONGTHREAD, tg_loop_attach(on.loop)); /* it has an owner */
}

static void sweep_loop_reopen(void)
{
    LOOP_ID(loop_reopen);
    REFUSED(TG_EINVAL, tg_loop_reopen(on.loop)); /* this process has made it */
}

static void sweep_loop_get_now_ns(void)
{
    LOOP_ID(loop_now);
    REFUSED(TG_EINVAL, tg_loop_get_now_ns(on.loop, NULL));
}

static void sweep_loop_get_timeout_ns(void)
{
    LOOP_ID(loop_timeout);
    REFUSED(TG_EINVAL, tg_loop_get_timeout_ns(on.loop, NULL));
}

static void sweep_loop_get_backend_fd(void)
{
    LOOP_ID(loop_backend);
    REFUSED(TG_EINVAL, tg_loop_get_backend_fd(on.loop, NULL));
}

static void sweep_loop_get_stats(void)
{
    tg_loop_stats out = TG_LOOP_STATS_INIT;
    LOOP_ID(loop_stats);
    REFUSED(TG_EINVAL, tg_loop_get_stats(on.loop, NULL));
    out.turns = 77;
    out.size = 0;
    REFUSED(TG_EINVAL, tg_loop_get_stats(on.loop, &out));
    out.size = 4;
    REFUSED(TG_EINVAL, tg_loop_get_stats(on.loop, &out));
    out.size = SIZE_MAX;
    REFUSED(TG_EINVAL, tg_loop_get_stats(on.loop, &out));
    UNTOUCHED(out.turns, 77);
}

static void never_slow(tg_loop loop, void *user, tg_handle handle, int64_t duration_ns)
{
    (void)loop;
    (void)handle;
    (void)duration_ns;
    ((counter *)user)->calls++;
}

static void sweep_loop_set_slow_callback(void)
{
    LOOP_ID(loop_slow);
    REFUSED(TG_EINVAL, tg_loop_set_slow_callback(on.loop, -1, never_slow, &on.untouched,
                                                 counter_release));
    REFUSED(TG_EINVAL, tg_loop_set_slow_callback(on.loop, INT64_MIN, never_slow, &on.untouched,
                                                 counter_release));
    REFUSED(TG_EINVAL, tg_loop_set_slow_callback(on.loop, MS, NULL, &on.untouched,
                                                 counter_release));
    REFUSED(TG_EINVAL, tg_loop_set_slow_callback(on.loop, 0, never_slow, &on.untouched,
                                                 counter_release));
    REFUSED(TG_ENOTSUP, tg_loop_set_slow_callback(on.batch, MS, never_slow, &on.untouched,
                                                  counter_release));
}

static void sweep_loop_get_handles(void)
{
    tg_handle out = 7;
    LOOP_ID(loop_handles);
    REFUSED(TG_EINVAL, tg_loop_get_handles(on.loop, NULL, 1));
    REFUSED(TG_EINVAL, tg_loop_get_handles(on.loop, NULL, SIZE_MAX));
    REFUSED(TG_EINVAL, tg_loop_get_handles(on.loop, &out, SIZE_MAX));
    UNTOUCHED(out, 7);
}

static void sweep_loop_dump(void)
{
    LOOP_ID(loop_dump);
    REFUSED(TG_EINVAL, tg_loop_dump(on.loop, NULL, 1));
    REFUSED(TG_EINVAL, tg_loop_dump(on.loop, NULL, SIZE_MAX));
}

static void sweep_loop_new(void)
{
    tg_loop_options options = TG_LOOP_OPTIONS_INIT;
    tg_loop out = 7;
    REFUSED(TG_EINVAL, tg_loop_new(NULL, NULL));
    options.flags = 0x2u;
    REFUSED(TG_EINVAL, tg_loop_new(&options, &out));
    options.flags = TG_LOOP_BATCH;
    options.batch_records = 65537;
    REFUSED(TG_EINVAL, tg_loop_new(&options, &out));
    options.batch_records = 0;
    options.batch_submissions = UINT32_MAX;
    REFUSED(TG_EINVAL, tg_loop_new(&options, &out));
    options.batch_submissions = 0;
    options.work_threads = 1025;
    REFUSED(TG_EINVAL, tg_loop_new(&options, &out));
    options.work_threads = 0;
    options.batch_data = 131071;
    REFUSED(TG_EINVAL, tg_loop_new(&options, &out));
    options.batch_data = 1073741825;
    REFUSED(TG_EINVAL, tg_loop_new(&options, &out));
    options.batch_data = 0;
    options.size = SIZE_MAX;
    REFUSED(TG_EINVAL, tg_loop_new(&options, &out));
    UNTOUCHED(out, 7);
}

static void sweep_post(void)
{
    LOOP_ID(post);
    REFUSED(TG_EINVAL, tg_post(on.loop, NULL, &on.untouched, counter_release));
    REFUSED(TG_EINVAL, tg_post(on.batch, on_post, &on.untouched, counter_release));
    REFUSED(TG_EINVAL, tg_post(on.batch, NULL, &on.untouched, counter_release));
}

static void sweep_defer(void)
{
    LOOP_ID(defer);
    REFUSED(TG_EINVAL, tg_defer(on.loop, NULL, &on.untouched, counter_release));
    REFUSED(TG_EINVAL, tg_defer(on.batch, on_post, &on.untouched, counter_release));
    REFUSED(TG_EINVAL, tg_defer(on.batch, NULL, &on.untouched, counter_release));
}

static void sweep_batch_get(void)
{
    tg_batch *out = (tg_batch *)&on;
    LOOP_ID(batch_get);
    REFUSED(TG_EINVAL, tg_batch_get(on.batch, NULL));
    REFUSED(TG_ENOTSUP, tg_batch_get(on.loop, &out));
    UNTOUCHED(out, (tg_batch *)&on);
}

static void sweep_batch_turn(void)
{
    tg_batch *batch = NULL;
    LOOP_ID(batch_turn);
    REFUSED(TG_ENOTSUP, tg_batch_turn(on.loop));
    REQUIRE(tg_batch_get(on.batch, &batch) == 0);
    batch->timeout_ns = -2;
    REFUSED(TG_EINVAL, tg_batch_turn(on.batch));
    batch->timeout_ns = 0;
    batch->record_cursor = 1;
    REFUSED(TG_EINVAL, tg_batch_turn(on.batch));
    batch->record_cursor = UINT32_MAX;
    REFUSED(TG_EINVAL, tg_batch_turn(on.batch));
    batch->record_cursor = 0;
    batch->submission_count = 9;
    REFUSED(TG_EINVAL, tg_batch_turn(on.batch));
    batch->submission_count = 0;
    CHECK_CODE(tg_batch_turn(on.batch), 0);
}

/* Those whose only argument is a number or that have none: total by contract. */
static void sweep_total(void)
{
    CHECK(strcmp(tg_err_name(INT32_MIN), "TG_UNKNOWN") == 0);
    CHECK(strcmp(tg_err_name(INT32_MAX), "TG_UNKNOWN") == 0);
    CHECK(tg_strerror(INT32_MIN) != NULL && tg_strerror(INT32_MAX) != NULL);
    CHECK(strcmp(tg_version(), TG_VERSION) == 0);
    CHECK_EQ(tg_version_number(), (TG_VERSION_MAJOR << 16) | (TG_VERSION_MINOR << 8) |
                                      TG_VERSION_PATCH);
    CHECK(strlen(tg_backend_name()) > 0);
    CHECK(tg_now_ns() > 0);
}

static void sweep_get_process_stats(void)
{
    tg_process_stats out = { 0, 77, 77, 77 };
    REFUSED(TG_EINVAL, tg_get_process_stats(NULL));
    REFUSED(TG_EINVAL, tg_get_process_stats(&out));
    out.size = 4;
    REFUSED(TG_EINVAL, tg_get_process_stats(&out));
    out.size = SIZE_MAX;
    REFUSED(TG_EINVAL, tg_get_process_stats(&out));
    UNTOUCHED(out.waits, 77);
}

typedef struct row {
    const char *symbol;
    void (*sweep)(void);
} row;

#define ROW(name) { "tg_" #name, sweep_##name }
#define TOTAL(name) { "tg_" #name, sweep_total }

static const row rows[] = {
    ROW(async_open), ROW(async_send), TOTAL(backend_name), ROW(batch_get), ROW(batch_turn),
    ROW(check_open), ROW(close), ROW(defer), TOTAL(err_name), ROW(get_process_stats),
    ROW(handle_get_info), ROW(handle_get_kind), ROW(handle_get_loop), ROW(handle_get_user),
    ROW(handle_is_open), ROW(handle_ref), ROW(handle_set_user), ROW(handle_unref), ROW(hook_start),
    ROW(hook_stop), ROW(idle_open), ROW(io_get_fd), ROW(io_get_interest), ROW(io_open),
    ROW(io_set_interest), ROW(io_set_timeout), TOTAL(last_error), ROW(loop_attach),
    ROW(loop_detach), ROW(loop_dump), ROW(loop_free), ROW(loop_get_backend_fd),
    ROW(loop_get_handles), ROW(loop_get_now_ns), ROW(loop_get_stats), ROW(loop_get_timeout_ns),
    ROW(loop_hold), ROW(loop_new), ROW(loop_reopen), ROW(loop_run), ROW(loop_run_nowait),
    ROW(loop_run_once), ROW(loop_run_until), ROW(loop_set_slow_callback), ROW(loop_stop),
    ROW(loop_unhold), ROW(loop_wake), TOTAL(now_ns), ROW(poll_once), ROW(poller_add),
    ROW(poller_free), ROW(poller_get_fd), ROW(poller_get_waits), ROW(poller_modify),
    ROW(poller_new), ROW(poller_remove), ROW(poller_wait), ROW(poller_wake), ROW(post),
    ROW(prepare_open), ROW(signal_open), TOTAL(strerror), ROW(timer_get_remaining_ns),
    ROW(timer_open), ROW(timer_restart), ROW(timer_start), ROW(timer_start_at), ROW(timer_stop),
    TOTAL(version), TOTAL(version_number),
    FILE_ROWS
    PROCESS_ROWS,
    ROW(address_format), ROW(address_from_sockaddr), ROW(address_parse), ROW(address_to_sockaddr),
    ROW(address_unix), ROW(handle_cancel), ROW(work_open), ROW(resolve_name_open), ROW(resolve_open),
    UDP_ROWS
    CONN_ROWS,
    LISTENER_ROWS,
};
#define ROWS (sizeof rows / sizeof rows[0])

static const char *row_name(size_t i) { return rows[i].symbol; }

static void table_equals_the_exported_symbols(void) { symbols_equal(row_name, ROWS); }

/* mutation: a check is taken out (seen for: out-parameters, timeouts, the poller's interest,
 * unhold). */
static void h01_misuse_of_every_function(void)
{
    /* The first loop of the process stays alive: the id 0 must not be taken for something of its. */
    tg_loop first = new_loop();
    for (size_t i = 0; i < ROWS; i++) {
        int bad_before = harness_bad;
        bench_open();
        on.symbol = rows[i].symbol;
        rows[i].sweep();
        if (rows[i].sweep != sweep_total) CHECK(on.refused > 0);
        bench_close();
        if (harness_bad != bad_before) printf("# of %s\n", rows[i].symbol);
    }
    free_loop(first, 0);
}

int main(int argc, char **argv)
{
    if (!symbols_from(argc, argv)) return 2;
    harness_begin();
    RUN(table_equals_the_exported_symbols);
    RUN(h01_misuse_of_every_function);
    return harness_end();
}
