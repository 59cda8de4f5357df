/* One row for every exported function: a call of it with good arguments, and how it is to be treated.
 * The tests that must cover the whole library (wrong thread, injected panics) walk this table, and
 * check it against abi/symbols.txt: a symbol without a row fails, and a row without a symbol. */
#ifndef TIDEGATE_TEST_CALLS_H
#define TIDEGATE_TEST_CALLS_H

#include "support.h"

enum call_trait {
    ANY_THREAD = 1,  /* documented as callable from any thread */
    NO_CODE = 2,     /* its type has no error code: the call returns 1 when the fallback is right */
    ON_LOOP = 4,     /* names a loop (or handle): a panic in it makes that loop refuse work */
    ON_BATCH = 8,    /* needs the batch loop of the scene */
    NO_WORDS = 16    /* for signal handlers, too: a failure leaves tg_last_error alone */
};

typedef struct scene {
    tg_loop loop, batch;
    tg_handle io, timer, signal, async, hook, file, process, udp, conn, other_conn, listener, rate;
    tg_poller poller;
    tg_group group; /* made when it is first asked for */
    int ends[2], fds, disk;
    tg_address name; /* of the udp handle, which is connected to itself */
    char room[16]; /* lent to operations on files */
    counter user; /* of everything that is opened in it */
} scene;

typedef struct call {
    const char *symbol;
    int traits;
    int (*make)(scene *);
} call;

static inline void on_exit_ignored(tg_handle self, void *user, int status, int exit_code, int signum)
{
    (void)self, (void)user, (void)status, (void)exit_code, (void)signum;
}

static inline void on_change_ignored(tg_handle self, void *user, int status, const tg_change *change)
{
    (void)self, (void)user, (void)status, (void)change;
}

/* cat, until its input is closed. */
static inline tg_handle open_cat(tg_loop loop)
{
    const tg_stdio stdio = { TG_STDIO_PIPE_IN, -1 };
    tg_process_options options = TG_PROCESS_OPTIONS_INIT;
    tg_handle process = 0;
    options.callback = on_exit_ignored;
    options.file = "cat";
    options.stdio = &stdio;
    options.stdio_count = 1;
    options.flags = TG_UNREF | TG_PROCESS_KILL_ON_CLOSE;
    MUST(tg_process_open(loop, &options, &process) == 0);
    return process;
}

static inline void scene_on_datagrams(tg_handle self, void *user, const tg_datagram *all, size_t count)
{
    (void)self, (void)user, (void)all, (void)count;
}

static inline tg_handle scene_udp(tg_loop loop, tg_address *name)
{
    tg_udp_options options = TG_UDP_OPTIONS_INIT;
    tg_handle udp = 0;
    options.callback = scene_on_datagrams;
    MUST(tg_address_parse("127.0.0.1", 0, name) == 0);
    MUST(tg_udp_open(loop, name, &options, &udp) == 0);
    MUST(tg_udp_get_local(udp, name) == 0 && tg_udp_connect(udp, name) == 0);
    return udp;
}

static inline void scene_conns(scene *it);

static inline void scene_open(scene *it)
{
    memset(it, 0, sizeof *it);
    it->fds = harness_open_fds();
    it->loop = new_loop();
    it->batch = new_batch_loop(8, 8);
    make_pair(it->ends);
    it->io = open_io(it->loop, it->ends[0], TG_READ, on_io, &it->user);
    it->timer = open_timer(it->loop, 3600 * SECOND, 0, on_timer, &it->user);
    it->signal = open_signal(it->loop, SIGUSR2, on_signal, &it->user);
    it->async = open_async(it->loop, on_plain, &it->user);
    it->hook = open_hook(it->loop, TG_KIND_CHECK, on_plain, &it->user);
    MUST(tg_file_adopt(it->loop, open("/dev/null", O_RDWR | O_CLOEXEC), NULL, &it->file) == 0);
    it->process = open_cat(it->loop);
    it->udp = scene_udp(it->loop, &it->name);
    scene_conns(it);
    MUST(tg_poller_new(NULL, &it->poller) == 0);
    MUST(tg_poller_add(it->poller, it->ends[0], TG_READ, TG_LEVEL, 1) == 0);
}

static inline void scene_close(scene *it)
{
    if (it->loop != 0) CHECK(tg_loop_free(it->loop) >= 0);
    if (it->batch != 0) CHECK(tg_loop_free(it->batch) >= 0);
    if (it->poller != 0) CHECK(tg_poller_free(it->poller) >= 0);
    if (it->group != 0) CHECK(tg_group_free(it->group) >= 0);
    close_both(it->ends);
    close(it->disk);
    /* Its program is dead, and a thread of the library's reaps it. */
    while (harness_open_fds() > it->fds) sched_yield();
}

#define CALL(name, ...) \
    static int call_##name(scene *it) { (void)it; __VA_ARGS__ }
#define OPEN_CALL(name, type, init, callback_function, arguments) \
    static int call_##name(scene *it)                             \
    {                                                             \
        type options = init;                                      \
        tg_handle out = 7;                                        \
        int code;                                                 \
        options.callback = callback_function;                     \
        options.user = &it->user;                                 \
        code = name arguments;                                    \
        if (code < 0) CHECK_EQ(out, 7);                           \
        return code;                                              \
    }

OPEN_CALL(tg_io_open, tg_io_options, TG_IO_OPTIONS_INIT, on_io,
          (it->loop, it->ends[1], TG_READ, &options, &out))
OPEN_CALL(tg_timer_open, tg_timer_options, TG_TIMER_OPTIONS_INIT, on_timer,
          (it->loop, SECOND, 0, &options, &out))
OPEN_CALL(tg_signal_open, tg_signal_options, TG_SIGNAL_OPTIONS_INIT, on_signal,
          (it->loop, SIGUSR2, &options, &out))
OPEN_CALL(tg_async_open, tg_async_options, TG_ASYNC_OPTIONS_INIT, on_plain,
          (it->loop, &options, &out))
OPEN_CALL(tg_prepare_open, tg_hook_options, TG_HOOK_OPTIONS_INIT, on_plain,
          (it->loop, &options, &out))
OPEN_CALL(tg_check_open, tg_hook_options, TG_HOOK_OPTIONS_INIT, on_plain,
          (it->loop, &options, &out))
OPEN_CALL(tg_idle_open, tg_hook_options, TG_HOOK_OPTIONS_INIT, on_plain,
          (it->loop, &options, &out))

static const tg_address loopback = { TG_IPV4, 80, 0, 0, { 127, 0, 0, 1 }, { 0 } };

OPEN_CALL(tg_work_open, tg_work_options, TG_WORK_OPTIONS_INIT, on_work,
          (it->loop, work_hits, &options, &out))
OPEN_CALL(tg_resolve_open, tg_resolve_options, TG_RESOLVE_OPTIONS_INIT, on_resolved,
          (it->loop, "127.0.0.1", "80", &options, &out))
OPEN_CALL(tg_resolve_name_open, tg_resolve_name_options, TG_RESOLVE_NAME_OPTIONS_INIT, on_named,
          (it->loop, &loopback, &options, &out))

CALL(tg_loop_new, tg_loop out = 7; int code = tg_loop_new(NULL, &out); if (code < 0) CHECK_EQ(out, 7);
     else CHECK_CODE(tg_loop_free(out), 0); return code;)
CALL(tg_loop_free, return tg_loop_free(it->loop);)
CALL(tg_loop_run, return tg_loop_run(it->loop);)
CALL(tg_loop_run_once, return tg_loop_run_once(it->loop);)
CALL(tg_loop_run_nowait, return tg_loop_run_nowait(it->loop);)
CALL(tg_loop_run_until, return tg_loop_run_until(it->loop, 0);)
CALL(tg_loop_stop, return tg_loop_stop(it->loop);)
CALL(tg_loop_wake, return tg_loop_wake(it->loop);)
CALL(tg_loop_hold, return tg_loop_hold(it->loop);)
CALL(tg_loop_unhold, return tg_loop_unhold(it->loop);)
CALL(tg_loop_get_now_ns, int64_t out; return tg_loop_get_now_ns(it->loop, &out);)
CALL(tg_loop_get_stats, tg_loop_stats out = TG_LOOP_STATS_INIT;
     return tg_loop_get_stats(it->loop, &out);)
CALL(tg_loop_set_slow_callback, return tg_loop_set_slow_callback(it->loop, 0, NULL, NULL, NULL);)
CALL(tg_loop_get_handles, tg_handle out[8]; return tg_loop_get_handles(it->loop, out, 8);)
CALL(tg_loop_dump, char text[512]; return tg_loop_dump(it->loop, text, sizeof text);)
CALL(tg_loop_detach, return tg_loop_detach(it->loop);)
CALL(tg_loop_attach, return tg_loop_attach(it->loop);)
CALL(tg_loop_reopen, return tg_loop_reopen(it->loop);)
CALL(tg_loop_get_backend_fd, tg_fd out; return tg_loop_get_backend_fd(it->loop, &out);)
CALL(tg_loop_get_timeout_ns, int64_t out; return tg_loop_get_timeout_ns(it->loop, &out);)
CALL(tg_close, return tg_close(it->timer);)
CALL(tg_handle_is_open, return tg_handle_is_open(it->io);)
CALL(tg_handle_get_kind, uint32_t out; return tg_handle_get_kind(it->io, &out);)
CALL(tg_handle_get_loop, tg_loop out; return tg_handle_get_loop(it->io, &out);)
CALL(tg_handle_get_user, void *out; return tg_handle_get_user(it->io, &out);)
CALL(tg_handle_set_user, return tg_handle_set_user(it->io, &it->user, NULL);)
CALL(tg_handle_get_info, tg_handle_info out = TG_HANDLE_INFO_INIT;
     return tg_handle_get_info(it->io, &out);)
CALL(tg_handle_ref, return tg_handle_ref(it->io);)
CALL(tg_handle_unref, return tg_handle_unref(it->io);)
CALL(tg_io_set_interest, return tg_io_set_interest(it->io, TG_READ);)
CALL(tg_io_get_interest, uint32_t out; return tg_io_get_interest(it->io, &out);)
CALL(tg_io_get_fd, tg_fd out; return tg_io_get_fd(it->io, &out);)
CALL(tg_io_set_timeout, return tg_io_set_timeout(it->io, SECOND);)
CALL(tg_timer_start, return tg_timer_start(it->timer, SECOND, 0);)
CALL(tg_timer_start_at, return tg_timer_start_at(it->timer, TG_CLOCK_MONOTONIC, INT64_MAX, 0);)
CALL(tg_timer_stop, return tg_timer_stop(it->timer);)
CALL(tg_timer_restart, return tg_timer_restart(it->timer);)
CALL(tg_timer_get_remaining_ns, int64_t out; return tg_timer_get_remaining_ns(it->timer, &out);)
CALL(tg_post, return tg_post(it->loop, on_post, &it->user, NULL);)
CALL(tg_async_send, return tg_async_send(it->async);)
CALL(tg_hook_start, return tg_hook_start(it->hook);)
CALL(tg_hook_stop, return tg_hook_stop(it->hook);)
CALL(tg_defer, return tg_defer(it->loop, on_post, &it->user, NULL);)
CALL(tg_batch_get, tg_batch * out; return tg_batch_get(it->batch, &out);)
CALL(tg_batch_turn, return tg_batch_turn(it->batch);)
CALL(tg_poller_new, tg_poller out = 7; int code = tg_poller_new(NULL, &out);
     if (code < 0) CHECK_EQ(out, 7); else CHECK_CODE(tg_poller_free(out), 0); return code;)
CALL(tg_poller_free, int code = tg_poller_free(it->poller); if (code >= 0) it->poller = 0;
     return code;)
CALL(tg_poller_add, return tg_poller_add(it->poller, it->ends[1], TG_READ, TG_LEVEL, 2);)
CALL(tg_poller_modify, return tg_poller_modify(it->poller, it->ends[0], TG_READ, TG_LEVEL, 2);)
CALL(tg_poller_remove, return tg_poller_remove(it->poller, it->ends[0]);)
CALL(tg_poller_wait, tg_poller_event out[2]; return tg_poller_wait(it->poller, out, 2, 0);)
CALL(tg_poller_wake, return tg_poller_wake(it->poller);)
CALL(tg_poller_get_fd, tg_fd out; return tg_poller_get_fd(it->poller, &out);)
CALL(tg_poller_get_waits, uint64_t out; return tg_poller_get_waits(it->poller, &out);)
CALL(tg_poll_once, tg_poll_item item = { -1, 0, 0 }; return tg_poll_once(&item, 1, 0, 0);)
OPEN_CALL(tg_udp_open, tg_udp_options, TG_UDP_OPTIONS_INIT, scene_on_datagrams,
          (it->loop, NULL, &options, &out))
CALL(tg_udp_adopt, tg_udp_options options = TG_UDP_OPTIONS_INIT; tg_handle out = 7;
     int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), code;
     options.callback = scene_on_datagrams;
     code = tg_udp_adopt(it->loop, fd, &options, &out);
     if (code < 0) { CHECK_EQ(out, 7); CHECK_EQ(close(fd), 0); } return code;)
CALL(tg_udp_send, return tg_udp_send(it->udp, &it->name, "x", 1);)
CALL(tg_udp_send_many, tg_outgoing one = { &it->name, "x", 1 }; return tg_udp_send_many(it->udp, &one, 1);)
CALL(tg_udp_send_segments, return tg_udp_send_segments(it->udp, &it->name, "xy", 2, 1);)
CALL(tg_udp_connect, return tg_udp_connect(it->udp, &it->name);)
CALL(tg_udp_disconnect, return tg_udp_disconnect(it->udp);)
CALL(tg_udp_get_local, tg_address out; return tg_udp_get_local(it->udp, &out);)
CALL(tg_udp_get_peer, tg_address out; return tg_udp_get_peer(it->udp, &out);)
CALL(tg_udp_get_fd, tg_fd out; return tg_udp_get_fd(it->udp, &out);)
CALL(tg_udp_get_stats, tg_udp_stats out = TG_UDP_STATS_INIT; return tg_udp_get_stats(it->udp, &out);)
CALL(tg_udp_get_buffers, uint32_t a, b; return tg_udp_get_buffers(it->udp, &a, &b);)
CALL(tg_udp_set_buffers, return tg_udp_set_buffers(it->udp, 10000, 10000);)
CALL(tg_udp_set_broadcast, return tg_udp_set_broadcast(it->udp, 1);)
CALL(tg_udp_set_ttl, return tg_udp_set_ttl(it->udp, 5);)
CALL(tg_udp_set_multicast_ttl, return tg_udp_set_multicast_ttl(it->udp, 5);)
CALL(tg_udp_set_multicast_loop, return tg_udp_set_multicast_loop(it->udp, 1);)
CALL(tg_udp_set_multicast_interface, return tg_udp_set_multicast_interface(it->udp, 0, NULL);)
CALL(tg_udp_join, tg_address group, lo; MUST(tg_address_parse("239.1.1.1", 0, &group) == 0);
     MUST(tg_address_parse("127.0.0.1", 0, &lo) == 0);
     return tg_udp_join(it->udp, &group, 0, &lo, NULL);)
/* It is no member, which is the answer of a call that has got through. */
CALL(tg_udp_leave, tg_address group, lo; int code; MUST(tg_address_parse("239.1.1.1", 0, &group) == 0);
     MUST(tg_address_parse("127.0.0.1", 0, &lo) == 0);
     code = tg_udp_leave(it->udp, &group, 0, &lo, NULL); return code == -EADDRNOTAVAIL ? 0 : code;)
CALL(tg_udp_pause, return tg_udp_pause(it->udp);)
CALL(tg_udp_resume, return tg_udp_resume(it->udp);)
CALL(tg_get_process_stats, tg_process_stats out = { sizeof out, 0, 0, 0 };
     return tg_get_process_stats(&out);)
CALL(tg_err_name, return tg_err_name(TG_EINVAL) != NULL;)
CALL(tg_strerror, return tg_strerror(TG_EINVAL) != NULL;)
CALL(tg_last_error, return tg_last_error() != NULL;)
CALL(tg_version, return tg_version() != NULL;)
CALL(tg_version_number, return tg_version_number() != 1;)
CALL(tg_backend_name, return tg_backend_name() != NULL;)
CALL(tg_now_ns, return tg_now_ns() >= 0;)
CALL(tg_handle_cancel, return tg_handle_cancel(it->io);)
CALL(tg_address_parse, tg_address out; return tg_address_parse("127.0.0.1", 1, &out);)
CALL(tg_address_unix, tg_address out; return tg_address_unix("name", 4, &out);)
CALL(tg_address_format, char text[128]; return tg_address_format(&loopback, text, sizeof text);)
CALL(tg_address_from_sockaddr, struct sockaddr_in of = { .sin_family = AF_INET }; tg_address out;
     return tg_address_from_sockaddr(&of, sizeof of, &out);)
CALL(tg_address_to_sockaddr, struct sockaddr_storage out;
     return tg_address_to_sockaddr(&loopback, &out, sizeof out);)

static inline void no_file_result(tg_handle self, void *user, const tg_file_result *result)
{
    (void)self;
    (void)user;
    (void)result;
}

#define FILE_CALL(name, arguments) \
    OPEN_CALL(name, tg_file_options, TG_FILE_OPTIONS_INIT, no_file_result, arguments)

FILE_CALL(tg_file_open, (it->loop, "/dev/null", TG_FILE_READ, 0, &options, &out))
FILE_CALL(tg_file_read, (it->file, 0, 1, &options, &out))
FILE_CALL(tg_file_read_into, (it->file, 0, it->room, sizeof it->room, NULL, &options, &out))
FILE_CALL(tg_file_write, (it->file, 0, "x", 1, &options, &out))
FILE_CALL(tg_file_write_owned, (it->file, 0, it->room, sizeof it->room, NULL, &options, &out))
FILE_CALL(tg_file_writev, (it->file, 0, NULL, 0, &options, &out))
FILE_CALL(tg_file_sync, (it->file, 0, &options, &out))
FILE_CALL(tg_file_stat, (it->file, &options, &out))
FILE_CALL(tg_file_truncate, (it->file, 0, &options, &out))
FILE_CALL(tg_file_copy, (it->file, it->file, 0, 0, 0, &options, &out))
FILE_CALL(tg_path_stat, (it->loop, "/nowhere/a", 0, &options, &out))
FILE_CALL(tg_path_rename, (it->loop, "/nowhere/a", "/nowhere/b", &options, &out))
FILE_CALL(tg_path_unlink, (it->loop, "/nowhere/a", &options, &out))
FILE_CALL(tg_path_mkdir, (it->loop, "/nowhere/a", 0700, &options, &out))
FILE_CALL(tg_path_rmdir, (it->loop, "/nowhere/a", &options, &out))
FILE_CALL(tg_path_list, (it->loop, "/nowhere/a", &options, &out))
FILE_CALL(tg_path_copy, (it->loop, "/nowhere/a", "/nowhere/b", 0, &options, &out))
CALL(tg_file_adopt, tg_handle out = 7; int fd = dup(it->ends[0]);
     int code = tg_file_adopt(it->loop, fd, NULL, &out);
     if (code < 0) { CHECK_EQ(out, 7); close(fd); } return code;)
CALL(tg_file_get_fd, tg_fd out; return tg_file_get_fd(it->file, &out);)
/* A program that needs no wish to end, and a file system that is always there. */
static inline int call_process(scene *it, tg_loop loop)
{
    tg_process_options options = TG_PROCESS_OPTIONS_INIT;
    tg_handle out = 7;
    int code;
    options.callback = on_exit_ignored;
    options.user = &it->user;
    options.file = "true";
    code = tg_process_open(loop, &options, &out);
    if (code < 0) CHECK_EQ(out, 7);
    return code;
}
CALL(tg_process_open, return call_process(it, it->loop);)
OPEN_CALL(tg_process_watch, tg_process_watch_options, TG_PROCESS_WATCH_OPTIONS_INIT, on_exit_ignored,
          (it->loop, getpid(), &options, &out))
OPEN_CALL(tg_watch_open, tg_watch_options, TG_WATCH_OPTIONS_INIT, on_change_ignored,
          (it->loop, "/", &options, &out))
CALL(tg_process_kill, return tg_process_kill(it->process, 0);)
CALL(tg_process_get_pid, int out; return tg_process_get_pid(it->process, &out);)
CALL(tg_process_take_stdio, tg_fd out; int code = tg_process_take_stdio(it->process, 0, &out);
     if (code == 0) close(out); return code;)

#include "calls_conn.h"

#define ROW(name, traits) { #name, traits, call_##name }

static const call calls[] = {
    ROW(tg_async_open, ON_LOOP), ROW(tg_async_send, ON_LOOP | ANY_THREAD | NO_WORDS),
    ROW(tg_backend_name, ANY_THREAD | NO_CODE), ROW(tg_batch_get, ON_BATCH),
    ROW(tg_batch_turn, ON_BATCH), ROW(tg_check_open, ON_LOOP), ROW(tg_close, ON_LOOP),
    ROW(tg_defer, ON_LOOP), ROW(tg_err_name, ANY_THREAD | NO_CODE),
    ROW(tg_get_process_stats, ANY_THREAD), ROW(tg_handle_get_info, ON_LOOP),
    ROW(tg_handle_get_kind, ON_LOOP), ROW(tg_handle_get_loop, ON_LOOP),
    ROW(tg_handle_get_user, ON_LOOP), ROW(tg_handle_is_open, ON_LOOP), ROW(tg_handle_ref, ON_LOOP),
    ROW(tg_handle_set_user, ON_LOOP), ROW(tg_handle_unref, ON_LOOP), ROW(tg_hook_start, ON_LOOP),
    ROW(tg_hook_stop, ON_LOOP), ROW(tg_idle_open, ON_LOOP), ROW(tg_io_get_fd, ON_LOOP),
    ROW(tg_io_get_interest, ON_LOOP), ROW(tg_io_open, ON_LOOP), ROW(tg_io_set_interest, ON_LOOP),
    ROW(tg_io_set_timeout, ON_LOOP), ROW(tg_last_error, ANY_THREAD | NO_CODE),
    ROW(tg_loop_attach, ON_LOOP), ROW(tg_loop_detach, ON_LOOP), ROW(tg_loop_dump, ON_LOOP),
    ROW(tg_loop_free, ON_LOOP), ROW(tg_loop_get_backend_fd, ON_LOOP),
    ROW(tg_loop_get_handles, ON_LOOP), ROW(tg_loop_get_now_ns, ON_LOOP),
    ROW(tg_loop_get_stats, ON_LOOP), ROW(tg_loop_get_timeout_ns, ON_LOOP),
    ROW(tg_loop_hold, ON_LOOP), ROW(tg_loop_new, ANY_THREAD), ROW(tg_loop_reopen, ON_LOOP),
    ROW(tg_loop_run, ON_LOOP), ROW(tg_loop_run_nowait, ON_LOOP), ROW(tg_loop_run_once, ON_LOOP),
    ROW(tg_loop_run_until, ON_LOOP), ROW(tg_loop_set_slow_callback, ON_LOOP),
    ROW(tg_loop_stop, ON_LOOP | ANY_THREAD), ROW(tg_loop_unhold, ON_LOOP),
    ROW(tg_loop_wake, ON_LOOP | ANY_THREAD | NO_WORDS), ROW(tg_now_ns, ANY_THREAD | NO_CODE),
    ROW(tg_poll_once, ANY_THREAD), ROW(tg_poller_add, ANY_THREAD),
    ROW(tg_poller_free, ANY_THREAD), ROW(tg_poller_get_fd, ANY_THREAD),
    ROW(tg_poller_get_waits, ANY_THREAD), ROW(tg_poller_modify, ANY_THREAD),
    ROW(tg_poller_new, ANY_THREAD), ROW(tg_poller_remove, ANY_THREAD),
    ROW(tg_poller_wait, ANY_THREAD), ROW(tg_poller_wake, ANY_THREAD),
    ROW(tg_post, ON_LOOP | ANY_THREAD), ROW(tg_prepare_open, ON_LOOP), ROW(tg_signal_open, ON_LOOP),
    ROW(tg_strerror, ANY_THREAD | NO_CODE), ROW(tg_timer_get_remaining_ns, ON_LOOP),
    ROW(tg_timer_open, ON_LOOP), ROW(tg_timer_restart, ON_LOOP), ROW(tg_timer_start, ON_LOOP),
    ROW(tg_timer_start_at, ON_LOOP), ROW(tg_timer_stop, ON_LOOP),
    ROW(tg_version, ANY_THREAD | NO_CODE), ROW(tg_version_number, ANY_THREAD | NO_CODE),
    ROW(tg_file_adopt, ON_LOOP), ROW(tg_file_copy, ON_LOOP), ROW(tg_file_get_fd, ON_LOOP),
    ROW(tg_file_open, ON_LOOP), ROW(tg_file_read, ON_LOOP), ROW(tg_file_read_into, ON_LOOP),
    ROW(tg_file_stat, ON_LOOP), ROW(tg_file_sync, ON_LOOP), ROW(tg_file_truncate, ON_LOOP),
    ROW(tg_file_write, ON_LOOP), ROW(tg_file_write_owned, ON_LOOP), ROW(tg_file_writev, ON_LOOP),
    ROW(tg_path_copy, ON_LOOP), ROW(tg_path_list, ON_LOOP), ROW(tg_path_mkdir, ON_LOOP),
    ROW(tg_path_rename, ON_LOOP), ROW(tg_path_rmdir, ON_LOOP), ROW(tg_path_stat, ON_LOOP),
    ROW(tg_path_unlink, ON_LOOP),
    ROW(tg_process_get_pid, ON_LOOP), ROW(tg_process_kill, ON_LOOP), ROW(tg_process_open, ON_LOOP),
    ROW(tg_process_take_stdio, ON_LOOP), ROW(tg_process_watch, ON_LOOP), ROW(tg_watch_open, ON_LOOP),
    ROW(tg_address_format, ANY_THREAD), ROW(tg_address_from_sockaddr, ANY_THREAD),
    ROW(tg_address_parse, ANY_THREAD), ROW(tg_address_to_sockaddr, ANY_THREAD),
    ROW(tg_address_unix, ANY_THREAD), ROW(tg_handle_cancel, ON_LOOP), ROW(tg_work_open, ON_LOOP),
    ROW(tg_resolve_name_open, ON_LOOP), ROW(tg_resolve_open, ON_LOOP),
    ROW(tg_udp_adopt, ON_LOOP), ROW(tg_udp_connect, ON_LOOP), ROW(tg_udp_disconnect, ON_LOOP),
    ROW(tg_udp_get_buffers, ON_LOOP), ROW(tg_udp_get_fd, ON_LOOP), ROW(tg_udp_get_local, ON_LOOP),
    ROW(tg_udp_get_peer, ON_LOOP), ROW(tg_udp_get_stats, ON_LOOP), ROW(tg_udp_join, ON_LOOP),
    ROW(tg_udp_leave, ON_LOOP), ROW(tg_udp_open, ON_LOOP), ROW(tg_udp_pause, ON_LOOP),
    ROW(tg_udp_resume, ON_LOOP), ROW(tg_udp_send, ON_LOOP), ROW(tg_udp_send_many, ON_LOOP),
    ROW(tg_udp_send_segments, ON_LOOP), ROW(tg_udp_set_broadcast, ON_LOOP),
    ROW(tg_udp_set_buffers, ON_LOOP), ROW(tg_udp_set_multicast_interface, ON_LOOP),
    ROW(tg_udp_set_multicast_loop, ON_LOOP), ROW(tg_udp_set_multicast_ttl, ON_LOOP),
    ROW(tg_udp_set_ttl, ON_LOOP), CONN_CALLS,
};
#define CALLS (sizeof calls / sizeof calls[0])

#endif
