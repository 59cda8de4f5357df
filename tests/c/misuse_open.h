/* The misuse sweep of handles: opening them, and their verbs. */
#ifndef TIDEGATE_TEST_MISUSE_OPEN_H
#define TIDEGATE_TEST_MISUSE_OPEN_H

#include "misuse.h"

/* Options that would be accepted, with a user that must stay untouched. */
#define OPTIONS(type, function)             \
    type options;                           \
    tg_handle out = 7;                      \
    memset(&options, 0, sizeof options);    \
    options.size = sizeof options;          \
    options.callback = function;            \
    options.user = &on.untouched;           \
    options.release = counter_release

/* The mistakes that every options structure of a handle can hold; `call` uses `options` and `out`. */
#define BAD_OPTIONS(call)                                           \
    do {                                                            \
        size_t right = options.size;                                \
        options.size = 0; REFUSED(TG_EINVAL, call);                 \
        options.size = 4; REFUSED(TG_EINVAL, call);                 \
        options.size = SIZE_MAX; REFUSED(TG_EINVAL, call);          \
        options.size = right;                                       \
        options.flags = 0x2u; REFUSED(TG_EINVAL, call);             \
        options.flags = UINT32_MAX; REFUSED(TG_EINVAL, call);       \
        options.flags = 0;                                          \
        UNTOUCHED(out, 7);                                          \
    } while (0)

/* For those structures that have a reserved member. */
#define BAD_RESERVED(call)                                          \
    do {                                                            \
        options.reserved = 1; REFUSED(TG_EINVAL, call);             \
        options.reserved = 0;                                       \
        UNTOUCHED(out, 7);                                          \
    } while (0)

/* Without a callback on a loop of callbacks, and with functions on a batch loop. */
#define BAD_FUNCTIONS(type, call_without, call_on_batch)            \
    do {                                                            \
        type bare;                                                  \
        memset(&bare, 0, sizeof bare);                              \
        bare.size = sizeof bare;                                    \
        bare.user = &on.untouched;                                  \
        bare.release = counter_release;                             \
        REFUSED(TG_EINVAL, call_without);                           \
        REFUSED(TG_EINVAL, call_on_batch);                          \
        bare.callback = options.callback;                           \
        bare.release = NULL;                                        \
        REFUSED(TG_EINVAL, call_on_batch);                          \
        UNTOUCHED(out, 7);                                          \
    } while (0)

OF_ID(io_open, OPTIONS(tg_io_options, on_io);
      int code = tg_io_open(id, on.ends[0], TG_READ, &options, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(timer_open, OPTIONS(tg_timer_options, on_timer);
      int code = tg_timer_open(id, 0, 0, &options, &out); UNTOUCHED(out, 7); return code;)
OF_ID(signal_open, OPTIONS(tg_signal_options, on_signal);
      int code = tg_signal_open(id, SIGUSR1, &options, &out); UNTOUCHED(out, 7); return code;)
OF_ID(async_open, OPTIONS(tg_async_options, on_plain);
      int code = tg_async_open(id, &options, &out); UNTOUCHED(out, 7); return code;)
OF_ID(prepare_open, OPTIONS(tg_hook_options, on_plain);
      int code = tg_prepare_open(id, &options, &out); UNTOUCHED(out, 7); return code;)
OF_ID(check_open, OPTIONS(tg_hook_options, on_plain);
      int code = tg_check_open(id, &options, &out); UNTOUCHED(out, 7); return code;)
OF_ID(idle_open, OPTIONS(tg_hook_options, on_plain);
      int code = tg_idle_open(id, &options, &out); UNTOUCHED(out, 7); return code;)

static void sweep_io_open_arguments(void)
{
    OPTIONS(tg_io_options, on_io);
    tg_loop loop = on.loop;
    REFUSED(TG_EINVAL, tg_io_open(loop, on.ends[1], TG_READ, &options, NULL));
    REFUSED(TG_EINVAL, tg_io_open(loop, on.ends[1], TG_READ, NULL, &out)); /* no callback */
    REFUSED(TG_EBADFD, tg_io_open(loop, -1, TG_READ, &options, &out));
    REFUSED(TG_EBADFD, tg_io_open(loop, INT32_MIN, TG_READ, &options, &out));
    REFUSED(TG_EBADFD, tg_io_open(loop, INT32_MAX, TG_READ, &options, &out));
    REFUSED(TG_EBADFD, tg_io_open(loop, on.closed_fd, TG_READ, &options, &out));
    REFUSED(TG_EBADFD, tg_io_open(loop, on.closed_fd, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_io_open(loop, on.ends[1], TG_READ | 0x20u, &options, &out));
    REFUSED(TG_EINVAL, tg_io_open(loop, on.ends[1], UINT32_MAX, &options, &out));
    REFUSED(TG_EINVAL, tg_io_open(loop, on.ends[1], TG_ERROR, &options, &out)); /* only reported */
    options.mode = 3;
    REFUSED(TG_EINVAL, tg_io_open(loop, on.ends[1], TG_READ, &options, &out));
    options.mode = TG_EDGE;
    REFUSED(TG_EEXIST, tg_io_open(loop, on.ends[0], TG_READ, &options, &out));
    options.mode = TG_LEVEL;
    options.timeout_ns = -2;
    REFUSED(TG_EINVAL, tg_io_open(loop, on.ends[1], TG_READ, &options, &out));
    options.timeout_ns = INT64_MIN;
    REFUSED(TG_EINVAL, tg_io_open(loop, on.ends[1], TG_READ, &options, &out));
    UNTOUCHED(out, 7);
}

static void sweep_io_open(void)
{
    OPTIONS(tg_io_options, on_io);
    LOOP_ID(io_open);
    sweep_io_open_arguments();
    BAD_OPTIONS(tg_io_open(on.loop, on.ends[1], TG_READ, &options, &out));
    BAD_FUNCTIONS(tg_io_options, tg_io_open(on.loop, on.ends[1], TG_READ, &bare, &out),
                  tg_io_open(on.batch, on.ends[1], TG_READ, &bare, &out));
}

static void sweep_timer_open(void)
{
    OPTIONS(tg_timer_options, on_timer);
    LOOP_ID(timer_open);
    REFUSED(TG_EINVAL, tg_timer_open(on.loop, 0, 0, &options, NULL));
    REFUSED(TG_EINVAL, tg_timer_open(on.loop, 0, 0, NULL, &out));
    REFUSED(TG_EINVAL, tg_timer_open(on.loop, -2, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_timer_open(on.loop, INT64_MIN, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_timer_open(on.loop, 0, -1, &options, &out));
    REFUSED(TG_EINVAL, tg_timer_open(on.loop, 0, INT64_MIN, &options, &out));
    BAD_OPTIONS(tg_timer_open(on.loop, 0, 0, &options, &out));
    BAD_RESERVED(tg_timer_open(on.loop, 0, 0, &options, &out));
    BAD_FUNCTIONS(tg_timer_options, tg_timer_open(on.loop, 0, 0, &bare, &out),
                  tg_timer_open(on.batch, 0, 0, &bare, &out));
}

static void sweep_signal_open(void)
{
    OPTIONS(tg_signal_options, on_signal);
    LOOP_ID(signal_open);
    REFUSED(TG_EINVAL, tg_signal_open(on.loop, SIGUSR1, &options, NULL));
    REFUSED(TG_EINVAL, tg_signal_open(on.loop, SIGUSR1, NULL, &out));
    REFUSED(TG_EINVAL, tg_signal_open(on.loop, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_signal_open(on.loop, -1, &options, &out));
    REFUSED(TG_EINVAL, tg_signal_open(on.loop, 65, &options, &out));
    REFUSED(TG_EINVAL, tg_signal_open(on.loop, INT32_MAX, &options, &out));
    REFUSED(-EINVAL, tg_signal_open(on.loop, SIGKILL, &options, &out));
    BAD_OPTIONS(tg_signal_open(on.loop, SIGUSR1, &options, &out));
    BAD_RESERVED(tg_signal_open(on.loop, SIGUSR1, &options, &out));
    BAD_FUNCTIONS(tg_signal_options, tg_signal_open(on.loop, SIGUSR1, &bare, &out),
                  tg_signal_open(on.batch, SIGUSR1, &bare, &out));
}

/* Those that differ in their options only. */
#define SWEEP_OPEN(noun, type, function)                                          \
    static void sweep_##noun##_open(void)                                         \
    {                                                                             \
        OPTIONS(type, function);                                                  \
        LOOP_ID(noun##_open);                                                     \
        REFUSED(TG_EINVAL, tg_##noun##_open(on.loop, &options, NULL));            \
        REFUSED(TG_EINVAL, tg_##noun##_open(on.loop, NULL, &out));                \
        BAD_OPTIONS(tg_##noun##_open(on.loop, &options, &out));                   \
        BAD_RESERVED(tg_##noun##_open(on.loop, &options, &out));                  \
        BAD_FUNCTIONS(type, tg_##noun##_open(on.loop, &bare, &out),               \
                      tg_##noun##_open(on.batch, &bare, &out));                   \
    }

SWEEP_OPEN(async, tg_async_options, on_plain)
SWEEP_OPEN(prepare, tg_hook_options, on_plain)
SWEEP_OPEN(check, tg_hook_options, on_plain)
SWEEP_OPEN(idle, tg_hook_options, on_plain)

OF_ID(close_id, return tg_close(id);)
OF_ID(handle_ref, return tg_handle_ref(id);)
OF_ID(handle_unref, return tg_handle_unref(id);)
OF_ID(handle_kind, uint32_t out = 7; int code = tg_handle_get_kind(id, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(handle_loop, tg_loop out = 7; int code = tg_handle_get_loop(id, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(handle_user, void *out = &on; int code = tg_handle_get_user(id, &out); UNTOUCHED(out, &on);
      return code;)
OF_ID(handle_set_user, return tg_handle_set_user(id, &on.untouched, NULL);)
OF_ID(handle_info, tg_handle_info out = TG_HANDLE_INFO_INIT; int code; out.handle = 7;
      code = tg_handle_get_info(id, &out); UNTOUCHED(out.handle, 7); return code;)
OF_ID(io_set_interest, return tg_io_set_interest(id, TG_READ);)
OF_ID(io_interest, uint32_t out = 7; int code = tg_io_get_interest(id, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(io_fd, tg_fd out = 7; int code = tg_io_get_fd(id, &out); UNTOUCHED(out, 7); return code;)
OF_ID(io_timeout, return tg_io_set_timeout(id, SECOND);)
OF_ID(timer_start, return tg_timer_start(id, 0, 0);)
OF_ID(timer_start_at, return tg_timer_start_at(id, TG_CLOCK_MONOTONIC, 0, 0);)
OF_ID(timer_stop, return tg_timer_stop(id);)
OF_ID(timer_restart, return tg_timer_restart(id);)
OF_ID(timer_remaining, int64_t out = 7; int code = tg_timer_get_remaining_ns(id, &out);
      UNTOUCHED(out, 7); return code;)
OF_ID(async_send, return tg_async_send(id);)
OF_ID(hook_start, return tg_hook_start(id);)
OF_ID(hook_stop, return tg_hook_stop(id);)

static void sweep_close(void) { ANY_HANDLE(close_id); }
static void sweep_handle_ref(void) { ANY_HANDLE(handle_ref); }
static void sweep_handle_unref(void) { ANY_HANDLE(handle_unref); }

/* Any thread may send, and one that is not the loop's cannot tell kinds apart: everything that is not
 * an open async handle is documented as stale. */
static void sweep_async_send(void)
{
    const uint64_t others[] = { on.io,   on.timer, on.signal, on.prepare, on.check,
                                on.idle, on.loop,  on.batch,  on.poller,  on.of_batch };
    sweep_dead(__LINE__, "async_send", async_send);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        REFUSED(TG_ESTALE, async_send(others[i]));
}

static void sweep_hook_start(void) { HANDLE_OF(TG_KIND_CHECK, hook_start); }
static void sweep_hook_stop(void) { HANDLE_OF(TG_KIND_CHECK, hook_stop); }
static void sweep_timer_stop(void) { HANDLE_OF(TG_KIND_TIMER, timer_stop); }

/* Here a dead id is the answer 0, not a failure. */
static void sweep_handle_is_open(void)
{
    uint64_t dead[9];
    size_t count = dead_ids(dead);
    for (size_t i = 0; i < count; i++) CHECK_EQ(tg_handle_is_open(dead[i]), 0);
    REFUSED(TG_EKIND, tg_handle_is_open(on.loop));
    REFUSED(TG_EKIND, tg_handle_is_open(on.batch));
    REFUSED(TG_EKIND, tg_handle_is_open(on.poller));
    CHECK_EQ(tg_handle_is_open(on.of_batch), 1);
}

static void sweep_handle_get_kind(void)
{
    ANY_HANDLE(handle_kind);
    REFUSED(TG_EINVAL, tg_handle_get_kind(on.io, NULL));
}

static void sweep_handle_get_loop(void)
{
    ANY_HANDLE(handle_loop);
    REFUSED(TG_EINVAL, tg_handle_get_loop(on.io, NULL));
}

static void sweep_handle_get_user(void)
{
    ANY_HANDLE(handle_user);
    REFUSED(TG_EINVAL, tg_handle_get_user(on.io, NULL));
}

static void sweep_handle_set_user(void)
{
    ANY_HANDLE(handle_set_user);
    REFUSED(TG_EINVAL, tg_handle_set_user(on.of_batch, &on.untouched, counter_release));
}

static void sweep_handle_get_info(void)
{
    tg_handle_info out = TG_HANDLE_INFO_INIT;
    ANY_HANDLE(handle_info);
    REFUSED(TG_EINVAL, tg_handle_get_info(on.io, NULL));
    out.handle = 7;
    out.size = 0;
    REFUSED(TG_EINVAL, tg_handle_get_info(on.io, &out));
    out.size = SIZE_MAX;
    REFUSED(TG_EINVAL, tg_handle_get_info(on.io, &out));
    UNTOUCHED(out.handle, 7);
}

static void sweep_io_set_interest(void)
{
    HANDLE_OF(TG_KIND_IO, io_set_interest);
    REFUSED(TG_EINVAL, tg_io_set_interest(on.io, TG_ERROR));
    REFUSED(TG_EINVAL, tg_io_set_interest(on.io, TG_READ | 0x20u));
    REFUSED(TG_EINVAL, tg_io_set_interest(on.io, UINT32_MAX));
}

static void sweep_io_get_interest(void)
{
    HANDLE_OF(TG_KIND_IO, io_interest);
    REFUSED(TG_EINVAL, tg_io_get_interest(on.io, NULL));
}

static void sweep_io_get_fd(void)
{
    HANDLE_OF(TG_KIND_IO, io_fd);
    REFUSED(TG_EINVAL, tg_io_get_fd(on.io, NULL));
}

static void sweep_io_set_timeout(void)
{
    HANDLE_OF(TG_KIND_IO, io_timeout);
    REFUSED(TG_EINVAL, tg_io_set_timeout(on.io, -2));
    REFUSED(TG_EINVAL, tg_io_set_timeout(on.io, INT64_MIN));
}

static void sweep_timer_start(void)
{
    HANDLE_OF(TG_KIND_TIMER, timer_start);
    REFUSED(TG_EINVAL, tg_timer_start(on.timer, -1, 0));
    REFUSED(TG_EINVAL, tg_timer_start(on.timer, INT64_MIN, 0));
    REFUSED(TG_EINVAL, tg_timer_start(on.timer, 0, -1));
}

static void sweep_timer_start_at(void)
{
    HANDLE_OF(TG_KIND_TIMER, timer_start_at);
    REFUSED(TG_EINVAL, tg_timer_start_at(on.timer, 2u, 0, 0));
    REFUSED(TG_EINVAL, tg_timer_start_at(on.timer, UINT32_MAX, 0, 0));
    REFUSED(TG_EINVAL, tg_timer_start_at(on.timer, TG_CLOCK_MONOTONIC, 0, INT64_MIN));
    REFUSED(TG_EINVAL, tg_timer_start_at(on.timer, TG_CLOCK_REALTIME, 0, -1));
}

static void sweep_timer_restart(void)
{
    HANDLE_OF(TG_KIND_TIMER, timer_restart);
}

static void sweep_timer_get_remaining_ns(void)
{
    HANDLE_OF(TG_KIND_TIMER, timer_remaining);
    REFUSED(TG_EINVAL, tg_timer_get_remaining_ns(on.timer, NULL));
}

#endif
