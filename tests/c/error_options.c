/* tg_last_error shows which members of an options structure are set, and reads no more of it than its size says. */
#include "error_values.h"

/* mutation: members are shown without their names; a zero is shown; a member that is set is not. */
static void connections(void)
{
    tg_conn_options options = TG_CONN_OPTIONS_INIT;
    tg_address address = address_of("127.0.0.1", 9);
    begin();
    options.high_watermark = 5;
    options.low_watermark = 10;
    SAYS(TG_EINVAL, "options = {.high_watermark = 5, .low_watermark = 10}, out",
         tg_conn_connect(loop, &address, &options, &out));
    options.high_watermark = 0;
    options.low_watermark = 2 << 20; /* above what is the default */
    SAYS(TG_EINVAL, ": low = 2097152, high = 1048576, limit = 67108864",
         tg_conn_connect_name(loop, "h", "1", &options, &out));
    options.low_watermark = 0;
    options.read_timeout_ns = INT64_MIN;
    SAYS(TG_EINVAL, "options = {.read_timeout_ns = -9223372036854775808}",
         tg_conn_connect(loop, &address, &options, &out));
    options.read_timeout_ns = 0;
    options.linger_ns = -2;
    SAYS(TG_EINVAL, "options = {.linger_ns = -2}", tg_conn_open(loop, 0, &options, &out));
    options.linger_ns = 0;
    options.framing = 0x102;
    options.max_frame = SIZE_MAX;
    options.flags = 0x4000;
    SAYS(TG_EINVAL, "{.flags = 0x4000, .framing = 258, .max_frame = 18446744073709551615}",
         tg_conn_open(loop, 0, &options, &out));
    options.framing = 6;
    options.max_frame = 0;
    options.flags = 0;
    SAYS(TG_EINVAL, "{.framing = 6}", tg_conn_open(loop, 0, &options, &out));
    options.framing = TG_FRAMING_LINES;
    options.on_readable = never;
    SAYS(TG_EINVAL, "{.framing = 1, .on_readable = a function}", tg_conn_open(loop, 0, &options, &out));
    end();
}

/* mutation: what the options of a listener point to is shown as a pointer. */
static void listeners_and_groups(void)
{
    tg_conn_options conn = TG_CONN_OPTIONS_INIT;
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
    tg_loop_options loops = TG_LOOP_OPTIONS_INIT;
    tg_group_options group = TG_GROUP_OPTIONS_INIT;
    tg_address address = address_of("127.0.0.1", 0), name = unix_address("/p", 2);
    begin();
    options.mode = 01777;
    SAYS(TG_EINVAL, "address = 127.0.0.1:0, options = {.mode = 01777}",
         tg_listener_open(loop, &address, &options, &out));
    options.mode = 0;
    options.max_conns = 16777217;
    SAYS(TG_EINVAL, "{.max_conns = 16777217}", tg_listener_open(loop, &address, &options, &out));
    options.max_conns = 0;
    options.backlog = 5;
    SAYS(TG_EINVAL, "fd = 0, options = {.backlog = 5}", tg_listener_adopt(loop, 0, &options, &out));
    options.conn = &conn;
    conn.idle_timeout_ns = -7;
    SAYS(TG_EINVAL, "{.conn = {.idle_timeout_ns = -7}, .backlog = 5}",
         tg_listener_open(loop, &address, &options, &out));
    group.address = &address;
    group.listener = &options;
    SAYS(TG_EINVAL, "{.address = 127.0.0.1:0, .listener = {.conn = {.idle_timeout_ns = -7}, .backlog = 5}}",
         tg_group_new(&group, &out));
    group.listener = NULL;
    group.address = &name;
    group.loops = 2;
    SAYS(TG_EINVAL, "options = {.address = unix:/p, .loops = 2}", tg_group_new(&group, &out));
    name.family = 9;
    SAYS(TG_EINVAL, ".address = family 9,", tg_group_new(&group, &out));
    group.address = NULL;
    group.loop_options = &loops;
    loops.work_threads = 2000;
    SAYS(TG_EINVAL, "{.loop_options = {.work_threads = 2000}, .loops = 2}", tg_group_new(&group, &out));
    group.loops = 257;
    group.loop_options = NULL;
    SAYS(TG_EINVAL, "{.loops = 257}", tg_group_new(&group, &out));
    end();
}

/* mutation: a descriptor is left out when it is 0, not when it is -1. */
static void loops_and_pollers(void)
{
    tg_loop_options options = TG_LOOP_OPTIONS_INIT;
    tg_poller_options poller = TG_POLLER_OPTIONS_INIT;
    options.flags = 0x80;
    SAYS(TG_EINVAL, "(options = {.flags = 0x80}, out", tg_loop_new(&options, &out));
    options.flags = TG_LOOP_BATCH;
    options.batch_records = 65537;
    SAYS(TG_EINVAL, "{.flags = 0x1, .batch_records = 65537}", tg_loop_new(&options, &out));
    options.batch_records = 0;
    options.batch_data = UINT32_MAX;
    SAYS(TG_EINVAL, ".batch_data = 4294967295}", tg_loop_new(&options, &out));
    poller.adopt_fd = 0;
    SAYS(TG_EINVAL, "{.adopt_fd = 0}", tg_poller_new(&poller, &out));
    poller.adopt_fd = -1;
    poller.flags = 0x80;
    SAYS(TG_EINVAL, "{.flags = 0x80}", tg_poller_new(&poller, &out));
}

/* mutation: the arguments of a program, or the descriptor that is not open, are not shown; its environment is. */
static void programs(void)
{
    tg_process_options options = TG_PROCESS_OPTIONS_INIT;
    tg_stdio stdio[3] = { { TG_STDIO_NULL, 0 }, { 9, 0 }, { TG_STDIO_FD, 7654 } };
    char *arguments[] = { "p", "-x\n", "2", "3", "4", "5", "6", "7", "8", NULL }, *secret[] = { "PASSWORD=x", NULL };
    begin();
    options.callback = never_ended;
    options.file = "/not/there";
    options.directory = "/tmp";
    SAYS(-ENOENT, "{.file = \"/not/there\", .directory = \"/tmp\", .callback = a function}",
         tg_process_open(loop, &options, &out));
    options.file = "/bin/sh";
    options.directory = "/no/directory";
    SAYS(-ENOENT, ".directory = \"/no/directory\"", tg_process_open(loop, &options, &out));
    options.directory = NULL;
    options.stdio = stdio;
    options.stdio_count = 3;
    options.env = secret;
    SAYS(TG_EINVAL, ": stdio[1].kind = 9", tg_process_open(loop, &options, &out));
    CHECK(strstr(tg_last_error(), "PASSWORD") == NULL);
    stdio[1].kind = TG_STDIO_INHERIT;
    SAYS(TG_EBADFD, ": stdio[2].fd = 7654", tg_process_open(loop, &options, &out));
    options.argv = arguments;
    options.stdio = NULL;
    SAYS(TG_EINVAL, ".argv = [\"p\", \"-x\\x0a\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", …], .env = 0x",
         tg_process_open(loop, &options, &out));
    arguments[8] = NULL;
    SAYS(TG_EINVAL, "\"7\"], .env", tg_process_open(loop, &options, &out));
    arguments[0] = NULL;
    SAYS(TG_EINVAL, ".argv = [], ", tg_process_open(loop, &options, &out));
    options.file = NULL;
    SAYS(TG_EINVAL, "options = {.argv = []", tg_process_open(loop, &options, &out));
    end();
}

static void *odd(const void *from, size_t size)
{
    static char room[512];
    MUST(size < sizeof room);
    return memcpy(room + 1, from, size);
}

/* One member of each structure; `of` is where it is. The others have what is needed to be refused for that one. */
#define MEMBER(type, init, member, value, words, call)       \
    do {                                                     \
        type options = init;                                 \
        const type *given = &options;                        \
        options.member = (value);                            \
        SAYS(TG_EINVAL, words, call);                        \
        given = (const type *)odd(&options, sizeof options); \
        SAYS(TG_EINVAL, words, call);                        \
    } while (0)

/* mutation: one of these functions does not give its options to the guard. */
static void every_other_structure(void)
{
    tg_address local = address_of("127.0.0.1", 0);
    tg_handle conn, rate;
    int ends[2];
    begin();
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    MUST(tg_conn_open(loop, ends[0], NULL, &conn) == 0);
    MUST(tg_rate_open(loop, NULL, &rate) == 0);
    MEMBER(tg_io_options, TG_IO_OPTIONS_INIT, mode, 3, "interest = 0x1, options = {.mode = 3}",
           tg_io_open(loop, ends[1], TG_READ, given, &out));
    MEMBER(tg_timer_options, TG_TIMER_OPTIONS_INIT, reserved, 4, "options = {.reserved = 4}",
           tg_timer_open(loop, 0, 0, given, &out));
    MEMBER(tg_signal_options, TG_SIGNAL_OPTIONS_INIT, reserved, 5, "signum = 10, options = {.reserved = 5}",
           tg_signal_open(loop, 10, given, &out));
    MEMBER(tg_async_options, TG_ASYNC_OPTIONS_INIT, flags, 0x60, "{.flags = 0x60}", tg_async_open(loop, given, &out));
    MEMBER(tg_hook_options, TG_HOOK_OPTIONS_INIT, flags, 0x70, "{.flags = 0x70}", tg_idle_open(loop, given, &out));
    MEMBER(tg_hook_options, TG_HOOK_OPTIONS_INIT, flags, 0x71, "{.flags = 0x71}", tg_check_open(loop, given, &out));
    MEMBER(tg_hook_options, TG_HOOK_OPTIONS_INIT, flags, 0x72, "{.flags = 0x72}", tg_prepare_open(loop, given, &out));
    MEMBER(tg_work_options, TG_WORK_OPTIONS_INIT, reserved, 8, "run = NULL, options = {.reserved = 8}",
           tg_work_open(loop, NULL, given, &out));
    MEMBER(tg_resolve_options, TG_RESOLVE_OPTIONS_INIT, family, 5, "{.family = 5}",
           tg_resolve_open(loop, "h", NULL, given, &out));
    MEMBER(tg_resolve_name_options, TG_RESOLVE_NAME_OPTIONS_INIT, reserved, 6, "{.reserved = 6}",
           tg_resolve_name_open(loop, &local, given, &out));
    MEMBER(tg_file_options, TG_FILE_OPTIONS_INIT, reserved, 7, "{.reserved = 7}",
           tg_path_stat(loop, "/", 0, given, &out));
    MEMBER(tg_udp_options, TG_UDP_OPTIONS_INIT, flags, 0x1000, "local = 127.0.0.1:0, options = {.flags = 0x1000}",
           tg_udp_open(loop, &local, given, &out));
    MEMBER(tg_process_watch_options, TG_PROCESS_WATCH_OPTIONS_INIT, reserved, 9, "pid = 1, options = {.reserved = 9}",
           tg_process_watch(loop, 1, given, &out));
    MEMBER(tg_watch_options, TG_WATCH_OPTIONS_INIT, reserved, 3, "path = \"/\", options = {.reserved = 3}",
           tg_watch_open(loop, "/", given, &out));
    MEMBER(tg_rate_options, TG_RATE_OPTIONS_INIT, user, &ends, "{.user = 0x", tg_rate_set_limits(rate, given));
    MEMBER(tg_conn_timeouts, TG_CONN_TIMEOUTS_INIT, write_ns, -3, "timeouts = {.write_ns = -3})",
           tg_conn_set_timeouts(conn, given));
    CHECK_CODE(tg_close(conn), 0);
    CHECK_CODE(tg_close(rate), 0);
    CHECK_EQ(close(ends[1]), 0);
    end();
}

/* mutation: the words are made of the structure that this version knows, not of the size that the caller's has. Valgrind and
 * the address sanitizer see reading on; without them only the value behind the end shows it. */
static void no_more_is_read_than_the_size_says(void)
{
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
    tg_address address = address_of("127.0.0.1", 0);
    options.flags = 0x4000;
    options.backlog = 77;
    for (size_t size = 0; size <= sizeof options; size++) {
        size_t room = size < sizeof size ? sizeof size : size;
        tg_listener_options *cut = malloc(room);
        char words[64];
        int code;
        MUST(cut != NULL);
        options.size = size;
        memcpy(cut, &options, room);
        code = tg_listener_open(0, &address, cut, &out);
        CHECK(code == TG_ESTALE || code == TG_EINVAL);
        snprintf(words, sizeof words, "options = {.size = %zu}", size);
        if (code == TG_EINVAL) SAYS(code, words, code);
        else CHECK_EQ(strstr(tg_last_error(), ".flags = 0x4000") != NULL, size > offsetof(tg_listener_options, flags));
        CHECK_EQ(strstr(tg_last_error(), ".backlog = 77") != NULL,
                 code == TG_ESTALE && size > offsetof(tg_listener_options, backlog));
        free(cut);
    }
}

/* mutation: arguments may fill the whole text. */
static void long_arguments_leave_room_for_the_reason(void)
{
    tg_process_options options = TG_PROCESS_OPTIONS_INIT;
    char raw[200], *arguments[] = { raw, raw, raw, raw, raw, raw, raw, raw, raw, NULL };
    memset(raw, '\x01', sizeof raw);
    raw[sizeof raw - 1] = '\0';
    options.file = raw;
    options.directory = raw;
    options.argv = arguments;
    SAYS(TG_ESTALE, "\\x01", tg_process_open(0, &options, &out));
    SAYS(TG_ESTALE, "…): TG_ESTALE: the id is not, or is no longer, that of an open object",
         tg_process_open(0, &options, &out));
    CHECK(strlen(tg_last_error()) < 1024);
}

int main(void)
{
    harness_begin();
    out = 7;
    RUN(connections);
    RUN(listeners_and_groups);
    RUN(loops_and_pollers);
    RUN(programs);
    RUN(every_other_structure);
    RUN(no_more_is_read_than_the_size_says);
    RUN(long_arguments_leave_room_for_the_reason);
    return harness_end();
}
