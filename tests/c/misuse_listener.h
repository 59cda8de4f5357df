/* The misuse sweep of listeners, rate limits and groups. */
#ifndef TIDEGATE_TEST_MISUSE_LISTENER_H
#define TIDEGATE_TEST_MISUSE_LISTENER_H

#include "misuse_conn.h"

static tg_handle listener_handle; /* open in the bench's loop while listener_begin() is in force */

static void misuse_on_accept(tg_handle self, void *user, tg_handle conn, const tg_address *peer)
{
    (void)self, (void)conn, (void)peer;
    if (user != NULL) ((counter *)user)->calls++;
}

static tg_address listener_address(void)
{
    tg_address address;
    MUST(tg_address_parse("127.0.0.1", 0, &address) == 0);
    return address;
}

static void listener_begin(void)
{
    tg_address where = listener_address();
    MUST(tg_listener_open(on.loop, &where, NULL, &listener_handle) == 0);
    MUST(tg_loop_dump(on.loop, on.dump, sizeof on.dump) > 0);
}

static void listener_end(void) { CHECK_CODE(tg_close(listener_handle), 0); }

#define LISTENER_OPTIONS                                    \
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT; \
    tg_handle out = 7;                                      \
    options.on_accept = misuse_on_accept;                   \
    options.user = &on.untouched;                           \
    options.release = counter_release

/* What both ways of opening one refuse; `call` uses `plain` as its options, `on_batch` the same on a batch loop. */
#define BAD_LISTENER_OPTIONS(call, on_batch)                                                \
    do {                                                                                    \
        tg_conn_options conn = TG_CONN_OPTIONS_INIT;                                        \
        const tg_listener_options right = options;                                          \
        REFUSED(TG_EINVAL, on_batch);                                                       \
        options.on_accept = NULL; REFUSED(TG_EINVAL, on_batch); options = right;            \
        options.max_conns = (1u << 24) + 1; REFUSED(TG_EINVAL, call); options = right;      \
        options.mode = 01000; REFUSED(TG_EINVAL, call); options = right;                    \
        options.conn = &conn;                                                               \
        conn.release = counter_release; REFUSED(TG_EINVAL, call); conn.release = NULL;      \
        conn.flags = TG_CONN_DUPLICATE; REFUSED(TG_EINVAL, call);                           \
        conn.flags = TG_CONN_PULL; REFUSED(TG_EINVAL, call); conn.flags = 0;                \
        conn.framing = 6; REFUSED(TG_EINVAL, call); conn.framing = 0;                       \
        conn.linger_ns = -2; REFUSED(TG_EINVAL, call); conn.linger_ns = 0;                  \
        conn.size = 0; REFUSED(TG_EINVAL, call);                                            \
        options = right;                                                                    \
        UNTOUCHED(out, 7);                                                                  \
    } while (0)

OF_ID(listener_open_id, LISTENER_OPTIONS; tg_address where = listener_address();
      int code = tg_listener_open(id, &where, &options, &out); UNTOUCHED(out, 7); return code;)
OF_ID(listener_adopt_id, LISTENER_OPTIONS; int fd = socket(AF_INET, SOCK_STREAM, 0); int code;
      MUST(listen(fd, 1) == 0); code = tg_listener_adopt(id, fd, &options, &out); UNTOUCHED(out, 7);
      CHECK_EQ(close(fd), 0); return code;)
OF_ID(listener_pause_id, return tg_listener_pause(id);)
OF_ID(listener_resume_id, return tg_listener_resume(id);)
OF_ID(listener_finish_id, return tg_listener_finish(id);)
OF_ID(listener_conns_id, uint32_t out = 7; int code = tg_listener_get_conns(id, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(listener_fd_id, tg_fd out = 7; int code = tg_listener_get_fd(id, &out); UNTOUCHED(out, 7); return code;)
OF_ID(listener_local_id, tg_address out; int code; memset(&out, 7, sizeof out);
      code = tg_listener_get_local(id, &out); UNTOUCHED(out.family, 0x07070707u); return code;)

static void sweep_listener_open(void)
{
    LISTENER_OPTIONS;
    tg_address where = listener_address(), none = { 0, 0, 0, 0, { 0 }, { 0 } };
    LOOP_ID(listener_open_id);
    REFUSED(TG_EINVAL, tg_listener_open(on.loop, NULL, &options, &out));
    REFUSED(TG_EINVAL, tg_listener_open(on.loop, &where, &options, NULL));
    REFUSED(TG_EINVAL, tg_listener_open(on.loop, &none, &options, &out));
    BAD_OPTIONS(tg_listener_open(on.loop, &where, &options, &out));
    BAD_LISTENER_OPTIONS(tg_listener_open(on.loop, &where, &options, &out),
                         tg_listener_open(on.batch, &where, &options, &out));
    MUST(tg_address_parse("203.0.113.1", 0, &where) == 0);
    REFUSED(-EADDRNOTAVAIL, tg_listener_open(on.loop, &where, &options, &out));
    MUST(tg_address_unix("/nowhere/at/all", 15, &where) == 0);
    REFUSED(-ENOENT, tg_listener_open(on.loop, &where, &options, &out));
    UNTOUCHED(out, 7);
}

static void sweep_listener_adopt(void)
{
    LISTENER_OPTIONS;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    LOOP_ID(listener_adopt_id);
    REFUSED(TG_EINVAL, tg_listener_adopt(on.loop, fd, &options, &out)); /* it does not listen */
    REFUSED(TG_EINVAL, tg_listener_adopt(on.loop, on.ends[1], &options, &out));
    MUST(listen(fd, 1) == 0);
    REFUSED(TG_EINVAL, tg_listener_adopt(on.loop, fd, &options, NULL));
    REFUSED(TG_EBADFD, tg_listener_adopt(on.loop, -1, &options, &out));
    REFUSED(TG_EBADFD, tg_listener_adopt(on.loop, on.closed_fd, &options, &out));
    BAD_OPTIONS(tg_listener_adopt(on.loop, fd, &options, &out));
    BAD_LISTENER_OPTIONS(tg_listener_adopt(on.loop, fd, &options, &out),
                         tg_listener_adopt(on.batch, fd, &options, &out));
    options.backlog = 1;
    REFUSED(TG_EINVAL, tg_listener_adopt(on.loop, fd, &options, &out));
    options.backlog = 0;
    options.flags = TG_LISTENER_REUSE_PORT;
    REFUSED(TG_EINVAL, tg_listener_adopt(on.loop, fd, &options, &out));
    UNTOUCHED(out, 7);
    CHECK_EQ(close(fd), 0);
}

static void sweep_listener_pause(void) { HANDLE_OF(0, listener_pause_id); }
static void sweep_listener_resume(void) { HANDLE_OF(0, listener_resume_id); }
static void sweep_listener_finish(void) { HANDLE_OF(0, listener_finish_id); }

static void sweep_listener_get_conns(void)
{
    listener_begin();
    HANDLE_OF(0, listener_conns_id);
    REFUSED(TG_EINVAL, tg_listener_get_conns(listener_handle, NULL));
    listener_end();
}

static void sweep_listener_get_fd(void)
{
    listener_begin();
    HANDLE_OF(0, listener_fd_id);
    REFUSED(TG_EINVAL, tg_listener_get_fd(listener_handle, NULL));
    listener_end();
}

static void sweep_listener_get_local(void)
{
    listener_begin();
    HANDLE_OF(0, listener_local_id);
    REFUSED(TG_EINVAL, tg_listener_get_local(listener_handle, NULL));
    listener_end();
}

/* ---- Rate limits ---- */

OF_ID(rate_open_id, tg_rate_options options = TG_RATE_OPTIONS_INIT; tg_handle out = 7; int code;
      options.user = &on.untouched; options.release = counter_release;
      code = tg_rate_open(id, &options, &out); UNTOUCHED(out, 7); return code;)
OF_ID(rate_limits_id, tg_rate_options options = TG_RATE_OPTIONS_INIT; return tg_rate_set_limits(id, &options);)

static void sweep_rate_open(void)
{
    tg_rate_options options = TG_RATE_OPTIONS_INIT;
    tg_handle out = 7;
    LOOP_ID(rate_open_id);
    options.user = &on.untouched;
    options.release = counter_release;
    REFUSED(TG_EINVAL, tg_rate_open(on.loop, &options, NULL));
    REFUSED(TG_EINVAL, tg_rate_open(on.batch, &options, &out));
    options.size = 0;
    REFUSED(TG_EINVAL, tg_rate_open(on.loop, &options, &out));
    options.size = SIZE_MAX;
    REFUSED(TG_EINVAL, tg_rate_open(on.loop, &options, &out));
    UNTOUCHED(out, 7);
}

static void sweep_rate_set_limits(void)
{
    tg_rate_options options = TG_RATE_OPTIONS_INIT;
    tg_handle rate = 0;
    HANDLE_OF(0, rate_limits_id);
    MUST(tg_rate_open(on.loop, &options, &rate) == 0);
    MUST(tg_loop_dump(on.loop, on.dump, sizeof on.dump) > 0);
    options.user = &on.untouched;
    REFUSED(TG_EINVAL, tg_rate_set_limits(rate, &options));
    options.user = NULL;
    options.release = counter_release;
    REFUSED(TG_EINVAL, tg_rate_set_limits(rate, &options));
    options.release = NULL;
    options.size = 0;
    REFUSED(TG_EINVAL, tg_rate_set_limits(rate, &options));
    CHECK_CODE(tg_close(rate), 0);
}

/* ---- Groups ---- */

OF_ID(group_stop_id, return tg_group_stop(id, 0);)
OF_ID(group_join_id, return tg_group_join(id);)
OF_ID(group_free_id, return tg_group_free(id);)
OF_ID(group_loop_id, tg_loop out = 7; int code = tg_group_get_loop(id, 0, &out); UNTOUCHED(out, 7); return code;)
OF_ID(group_local_id, tg_address out; int code; memset(&out, 7, sizeof out);
      code = tg_group_get_local(id, &out); UNTOUCHED(out.family, 0x07070707u); return code;)
OF_ID(group_stats_id, tg_group_stats out = TG_GROUP_STATS_INIT; int code; out.turns = 77;
      code = tg_group_get_stats(id, &out); UNTOUCHED(out.turns, 77); return code;)

/* Ids of nothing, and of everything that is no group. */
static void sweep_group_id(int (*call)(uint64_t id))
{
    const uint64_t others[] = { on.io, on.timer, on.loop, on.batch, on.poller };
    sweep_dead(__LINE__, "of a group", call);
    sweep_kind(__LINE__, "of a group", call, others, 5);
}

static tg_group one_group(void)
{
    tg_group_options options = TG_GROUP_OPTIONS_INIT;
    tg_group group = 0;
    options.loops = 1;
    MUST(tg_group_new(&options, &group) == 0);
    return group;
}

static void sweep_group_new(void)
{
    tg_group_options options = TG_GROUP_OPTIONS_INIT;
    tg_group out = 7;
    REFUSED(TG_EINVAL, tg_group_new(&options, NULL));
    options.loops = 257;
    REFUSED(TG_EINVAL, tg_group_new(&options, &out));
    options.loops = 1;
    options.size = 0;
    REFUSED(TG_EINVAL, tg_group_new(&options, &out));
    UNTOUCHED(out, 7);
}

static void sweep_group_stop(void)
{
    tg_group group = one_group();
    sweep_group_id(group_stop_id);
    REFUSED(TG_EINVAL, tg_group_stop(group, -2));
    CHECK_CODE(tg_group_free(group), 0);
}

static void sweep_group_join(void) { sweep_group_id(group_join_id); }
static void sweep_group_free(void) { sweep_group_id(group_free_id); }

static void sweep_group_get_loop(void)
{
    tg_group group = one_group();
    tg_loop out = 7;
    sweep_group_id(group_loop_id);
    REFUSED(TG_EINVAL, tg_group_get_loop(group, 0, NULL));
    REFUSED(TG_EINVAL, tg_group_get_loop(group, 1, &out));
    REFUSED(TG_EINVAL, tg_group_get_loop(group, UINT32_MAX, &out));
    UNTOUCHED(out, 7);
    CHECK_CODE(tg_group_free(group), 0);
}

static void sweep_group_get_local(void)
{
    tg_group group = one_group();
    tg_address out;
    sweep_group_id(group_local_id);
    REFUSED(TG_EINVAL, tg_group_get_local(group, NULL));
    REFUSED(TG_ENOENT, tg_group_get_local(group, &out));
    CHECK_CODE(tg_group_free(group), 0);
}

static void sweep_group_get_stats(void)
{
    tg_group group = one_group();
    tg_group_stats out = TG_GROUP_STATS_INIT;
    sweep_group_id(group_stats_id);
    REFUSED(TG_EINVAL, tg_group_get_stats(group, NULL));
    out.size = 0;
    REFUSED(TG_EINVAL, tg_group_get_stats(group, &out));
    CHECK_CODE(tg_group_free(group), 0);
}

#define LISTENER_ROWS                                                                                  \
    ROW(listener_adopt), ROW(listener_finish), ROW(listener_get_conns), ROW(listener_get_fd),          \
    ROW(listener_get_local), ROW(listener_open), ROW(listener_pause), ROW(listener_resume),            \
    ROW(rate_open), ROW(rate_set_limits), ROW(group_free), ROW(group_get_local), ROW(group_get_loop),  \
    ROW(group_get_stats), ROW(group_join), ROW(group_new), ROW(group_stop)

#endif
