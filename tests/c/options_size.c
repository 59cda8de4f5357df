/* Structures that grow: a smaller size that ends with a member works, an equal one, a larger one whose tail is
 * zero; one that ends inside a member, a larger one with something in its tail, and none at all, are refused. */
#include "support.h"

/* Room for a structure of the future. */
#define ROOM 256

typedef union grown {
    size_t size;
    unsigned char bytes[ROOM];
    tg_loop_options loop;
    tg_io_options io;
    tg_timer_options timer;
    tg_signal_options signal;
    tg_async_options async;
    tg_hook_options hook;
    tg_file_options file;
    tg_poller_options poller;
    tg_process_options process;
    tg_process_watch_options process_watch;
    tg_watch_options watch;
    tg_work_options work;
    tg_resolve_options resolve;
    tg_resolve_name_options resolve_name;
    tg_loop_stats loop_stats;
    tg_handle_info info;
    tg_process_stats process_stats;
    tg_udp_options udp;
    tg_udp_stats udp_stats;
    tg_conn_options conn;
    tg_conn_timeouts times;
    tg_conn_stats conn_stats;
    tg_listener_options listener;
    tg_rate_options rate;
    tg_group_options group;
    tg_group_stats group_stats;
} grown;

static tg_loop loop;
static int fds[2];

static int use_loop(grown *it)
{
    tg_loop out = 7;
    int code = tg_loop_new(&it->loop, &out);
    if (code == 0) CHECK_CODE(tg_loop_free(out), 0);
    else CHECK_EQ(out, 7);
    return code;
}

static int use_poller(grown *it)
{
    tg_poller out = 7;
    int code = tg_poller_new(&it->poller, &out);
    if (code == 0) CHECK_CODE(tg_poller_free(out), 0);
    else CHECK_EQ(out, 7);
    return code;
}

static int close_handle(int code, tg_handle out)
{
    if (code == 0) CHECK_CODE(tg_close(out), 0);
    else CHECK_EQ(out, 7);
    return code;
}

static int use_io(grown *it)
{
    tg_handle out = 7;
    int code;
    it->io.callback = on_io;
    code = tg_io_open(loop, fds[0], TG_READ, &it->io, &out);
    return close_handle(code, out);
}

static int use_timer(grown *it)
{
    tg_handle out = 7;
    int code;
    it->timer.callback = on_timer;
    code = tg_timer_open(loop, SECOND, 0, &it->timer, &out);
    return close_handle(code, out);
}

static int use_signal(grown *it)
{
    tg_handle out = 7;
    int code;
    it->signal.callback = on_signal;
    code = tg_signal_open(loop, SIGUSR1, &it->signal, &out);
    return close_handle(code, out);
}

static int use_async(grown *it)
{
    tg_handle out = 7;
    int code;
    it->async.callback = on_plain;
    code = tg_async_open(loop, &it->async, &out);
    return close_handle(code, out);
}

static void on_file(tg_handle self, void *user, const tg_file_result *result)
{
    (void)self;
    (void)user;
    (void)result;
}

static int use_file(grown *it)
{
    tg_handle out = 7;
    int code;
    it->file.callback = on_file;
    code = tg_path_stat(loop, "/", 0, &it->file, &out);
    return close_handle(code, out);
}

static int use_work(grown *it)
{
    tg_handle out = 7;
    int code;
    it->work.callback = on_work;
    code = tg_work_open(loop, work_hits, &it->work, &out);
    return close_handle(code, out);
}

static int use_resolve(grown *it)
{
    tg_handle out = 7;
    int code;
    it->resolve.callback = on_resolved;
    code = tg_resolve_open(loop, NULL, NULL, &it->resolve, &out);
    return close_handle(code, out);
}

static int use_resolve_name(grown *it)
{
    tg_address of;
    tg_handle out = 7;
    int code;
    MUST(tg_address_parse("::1", 80, &of) == 0);
    it->resolve_name.callback = on_named;
    it->resolve_name.flags = TG_RESOLVE_NUMERIC;
    code = tg_resolve_name_open(loop, &of, &it->resolve_name, &out);
    return close_handle(code, out);
}

static void on_datagrams(tg_handle self, void *user, const tg_datagram *all, size_t count)
{
    (void)self, (void)user, (void)all, (void)count;
}

static int use_udp(grown *it)
{
    tg_handle out = 7;
    int code;
    it->udp.callback = on_datagrams;
    code = tg_udp_open(loop, NULL, &it->udp, &out);
    return close_handle(code, out);
}

#define USE_HOOK(noun)                                             \
    static int use_##noun(grown *it)                               \
    {                                                              \
        tg_handle out = 7;                                         \
        int code;                                                  \
        it->hook.callback = on_plain;                              \
        code = tg_##noun##_open(loop, &it->hook, &out);            \
        return close_handle(code, out);                            \
    }
USE_HOOK(prepare)
USE_HOOK(check)
USE_HOOK(idle)

static void never_ends(tg_handle self, void *user, int status, int exit_code, int signum)
{
    (void)self, (void)user, (void)status, (void)exit_code, (void)signum;
}

static void never_changes(tg_handle self, void *user, int status, const tg_change *change)
{
    (void)self, (void)user, (void)status, (void)change;
}

/* Starting a program for every size would take long: one that is not there shows as well that the options were taken. */
static int use_process(grown *it)
{
    tg_handle out = 7;
    int code;
    it->process.callback = never_ends;
    it->process.file = "/does/not/exist";
    code = tg_process_open(loop, &it->process, &out);
    CHECK_EQ(out, 7);
    return code == -ENOENT ? 0 : code;
}

static int use_process_watch(grown *it)
{
    tg_handle out = 7;
    int code;
    it->process_watch.callback = never_ends;
    /* No such process: the structure is looked at first, and nothing depends on what the system can watch. */
    code = tg_process_watch(loop, INT32_MAX, &it->process_watch, &out);
    CHECK_EQ(out, 7);
    return code == TG_ENOENT ? 0 : code;
}

static int use_watch(grown *it)
{
    tg_handle out = 7;
    int code;
    it->watch.callback = never_changes;
    code = tg_watch_open(loop, "/", &it->watch, &out);
    return close_handle(code, out);
}

static void on_data(tg_handle self, void *user, const void *data, size_t length)
{
    (void)self, (void)user, (void)data, (void)length;
}

static int use_conn(grown *it)
{
    tg_handle out = 7;
    int code, ends[2];
    it->conn.on_data = on_data;
    make_pair(ends);
    code = tg_conn_open(loop, ends[0], &it->conn, &out);
    if (code < 0) close(ends[0]);
    close(ends[1]);
    return close_handle(code, out);
}

/* On a connection of its own; the options that are tried are those of its times. */
static int use_times(grown *it)
{
    tg_handle out = 7;
    int code, ends[2];
    make_pair(ends);
    MUST(tg_conn_open(loop, ends[0], NULL, &out) == 0);
    code = tg_conn_set_timeouts(out, &it->times);
    CHECK_CODE(tg_close(out), 0);
    close(ends[1]);
    return code;
}

static int use_listener(grown *it)
{
    tg_address where;
    tg_handle out = 7;
    int code;
    MUST(tg_address_parse("127.0.0.1", 0, &where) == 0);
    code = tg_listener_open(loop, &where, &it->listener, &out);
    return close_handle(code, out);
}

static int use_rate(grown *it)
{
    tg_handle out = 7;
    int code = tg_rate_open(loop, &it->rate, &out);
    return close_handle(code, out);
}

static int use_group(grown *it)
{
    tg_group out = 7;
    int code = tg_group_new(&it->group, &out);
    if (code == 0) CHECK_CODE(tg_group_free(out), 0);
    else CHECK_EQ(out, 7);
    return code;
}

/* Where members end, and so where an older structure can have ended; 0 ends the list. */
static const size_t ends_loop[] = { 8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 0 };
static const size_t ends_poller[] = { 8, 12, 16, 0 };
static const size_t ends_io[] = { 8, 16, 24, 32, 36, 40, 48, 0 };
static const size_t ends_process[] = { 8, 16, 24, 32, 40, 48, 56, 64, 72, 76, 80, 84, 88, 0 };
static const size_t ends_others[] = { 8, 16, 24, 32, 36, 40, 0 };

static const size_t ends_udp[] = { 8, 16, 24, 32, 40, 48, 52, 56, 60, 64, 72, 0 };

static const size_t ends_conn[] = { 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 100, 104, 112, 120, 128, 136, 144,
                                    152, 160, 168, 176, 0 };
static const size_t ends_times[] = { 8, 16, 24, 32, 40, 48, 0 };
static const size_t ends_listener[] = { 8, 16, 24, 32, 40, 48, 52, 56, 60, 64, 68, 72, 0 };
static const size_t ends_group[] = { 8, 16, 24, 32, 40, 48, 56, 64, 68, 72, 0 };
static const size_t ends_rate[] = { 8, 16, 24, 32, 40, 48, 56, 0 };

typedef struct options_case {
    const char *name;
    const size_t *ends;
    size_t size;     /* today's */
    size_t smallest; /* the first version that could have had what the use needs */
    int (*use)(grown *);
} options_case;

static const options_case cases[] = {
    { "tg_loop_options", ends_loop, sizeof(tg_loop_options), sizeof(size_t), use_loop },
    { "tg_poller_options", ends_poller, sizeof(tg_poller_options), sizeof(size_t), use_poller },
    { "tg_io_options", ends_io, sizeof(tg_io_options), offsetof(tg_io_options, user), use_io },
    { "tg_timer_options", ends_others, sizeof(tg_timer_options), offsetof(tg_timer_options, user), use_timer },
    { "tg_signal_options", ends_others, sizeof(tg_signal_options), offsetof(tg_signal_options, user),
      use_signal },
    { "tg_async_options", ends_others, sizeof(tg_async_options), offsetof(tg_async_options, user), use_async },
    { "tg_hook_options", ends_others, sizeof(tg_hook_options), offsetof(tg_hook_options, user), use_prepare },
    { "tg_hook_options", ends_others, sizeof(tg_hook_options), offsetof(tg_hook_options, user), use_check },
    { "tg_hook_options", ends_others, sizeof(tg_hook_options), offsetof(tg_hook_options, user), use_idle },
    { "tg_file_options", ends_others, sizeof(tg_file_options), offsetof(tg_file_options, user), use_file },
    { "tg_process_options", ends_process, sizeof(tg_process_options), offsetof(tg_process_options, argv), use_process },
    { "tg_process_watch_options", ends_others, sizeof(tg_process_watch_options),
      offsetof(tg_process_watch_options, user), use_process_watch },
    { "tg_watch_options", ends_others, sizeof(tg_watch_options), offsetof(tg_watch_options, user), use_watch },
    { "tg_work_options", ends_others, sizeof(tg_work_options), offsetof(tg_work_options, user), use_work },
    { "tg_resolve_options", ends_others, sizeof(tg_resolve_options), offsetof(tg_resolve_options, user),
      use_resolve },
    { "tg_resolve_name_options", ends_others, sizeof(tg_resolve_name_options),
      offsetof(tg_resolve_name_options, reserved), use_resolve_name },
    { "tg_udp_options", ends_udp, sizeof(tg_udp_options), offsetof(tg_udp_options, on_error), use_udp },
    { "tg_conn_options", ends_conn, sizeof(tg_conn_options), offsetof(tg_conn_options, on_readable), use_conn },
    { "tg_conn_timeouts", ends_times, sizeof(tg_conn_timeouts), sizeof(size_t), use_times },
    { "tg_listener_options", ends_listener, sizeof(tg_listener_options), sizeof(size_t), use_listener },
    { "tg_rate_options", ends_rate, sizeof(tg_rate_options), sizeof(size_t), use_rate },
    { "tg_group_options", ends_group, sizeof(tg_group_options), sizeof(size_t), use_group },
};

/* Everything before the size is zero, except that a poller's descriptor to adopt is "none". */
static grown prepared(const options_case *which, size_t size)
{
    grown it;
    memset(&it, 0, sizeof it);
    it.size = size;
    if (which->use == use_poller && size >= sizeof(tg_poller_options)) it.poller.adopt_fd = -1;
    return it;
}

static bool ends_a_member(const options_case *which, size_t size)
{
    for (const size_t *end = which->ends; *end != 0; end++)
        if (*end == size) return true;
    return false;
}

static void check_sizes(const options_case *which)
{
    int bad_before = harness_bad;
    for (size_t size = which->smallest; size <= which->size; size++) {
        grown it = prepared(which, size);
        /* What lies beyond the size must not be read: it is poison. */
        memset(it.bytes + size, 0xff, sizeof it - size);
        CHECK_CODE(which->use(&it), ends_a_member(which, size) ? 0 : TG_EINVAL);
    }
    for (size_t extra = 1; extra <= 64; extra++) {
        grown it = prepared(which, which->size + extra);
        CHECK_CODE(which->use(&it), 0);
        it = prepared(which, which->size + extra);
        it.bytes[which->size + extra - 1] = 1;
        CHECK_CODE(which->use(&it), TG_EINVAL);
    }
    for (size_t size = 0; size < sizeof(size_t); size++) {
        grown it = prepared(which, size);
        CHECK_CODE(which->use(&it), TG_EINVAL);
    }
    if (harness_bad != bad_before) printf("# of %s\n", which->name);
}

/* mutation: the tail is not looked at, or what lies beyond the size is read, or half a pointer is taken for one. */
static void options_of_every_size(void)
{
    loop = new_loop();
    make_pipe(fds);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) check_sizes(&cases[i]);
    free_loop(loop, 0);
    close_both(fds);
}

static int fill_loop_stats(grown *it) { return tg_loop_get_stats(loop, &it->loop_stats); }
static int fill_process_stats(grown *it) { return tg_get_process_stats(&it->process_stats); }

static tg_handle described, described_udp, described_conn;
static int fill_info(grown *it) { return tg_handle_get_info(described, &it->info); }

static int fill_udp_stats(grown *it) { return tg_udp_get_stats(described_udp, &it->udp_stats); }

static int fill_conn_stats(grown *it) { return tg_conn_get_stats(described_conn, &it->conn_stats); }

static tg_group described_group;
static int fill_group_stats(grown *it) { return tg_group_get_stats(described_group, &it->group_stats); }

static void check_filled(size_t right, int (*fill)(grown *))
{
    for (size_t size = sizeof(size_t); size <= right + 16; size += 4) {
        grown it;
        memset(&it, 0xee, sizeof it);
        it.size = size;
        CHECK_CODE(fill(&it), 0);
        CHECK_EQ(it.size, size); /* stays the caller's */
        for (size_t i = size; i < sizeof it; i++) CHECK(it.bytes[i] == 0xee);
        if (size > sizeof(size_t)) CHECK(it.bytes[sizeof(size_t) + 3] != 0xee);
    }
    for (size_t size = 0; size < sizeof(size_t); size++) {
        grown it;
        memset(&it, 0xee, sizeof it);
        it.size = size;
        CHECK_CODE(fill(&it), TG_EINVAL);
        for (size_t i = sizeof(size_t); i < sizeof it; i++) CHECK(it.bytes[i] == 0xee);
    }
}

/* mutation: the whole structure is written whatever the caller's size is. */
static void results_of_every_size(void)
{
    counter user = { .calls = 0 };
    tg_udp_options udp = TG_UDP_OPTIONS_INIT;
    loop = new_loop();
    udp.callback = on_datagrams;
    described = open_timer(loop, SECOND, 0, on_timer, &user);
    CHECK_CODE(tg_udp_open(loop, NULL, &udp, &described_udp), 0);
    check_filled(sizeof(tg_udp_stats), fill_udp_stats);
    check_filled(sizeof(tg_loop_stats), fill_loop_stats);
    check_filled(sizeof(tg_process_stats), fill_process_stats);
    check_filled(sizeof(tg_handle_info), fill_info);
    make_pair(fds);
    CHECK_CODE(tg_conn_open(loop, fds[0], NULL, &described_conn), 0);
    check_filled(sizeof(tg_conn_stats), fill_conn_stats);
    CHECK_CODE(tg_group_new(NULL, &described_group), 0);
    check_filled(sizeof(tg_group_stats), fill_group_stats);
    CHECK_CODE(tg_group_free(described_group), 0);
    free_loop(loop, 3);
    close(fds[1]);
}

int main(void)
{
    harness_begin();
    RUN(options_of_every_size);
    RUN(results_of_every_size);
    return harness_end();
}
