/* The misuse sweep of connections. */
#ifndef TIDEGATE_TEST_MISUSE_CONN_H
#define TIDEGATE_TEST_MISUSE_CONN_H

#include "misuse_open.h"

/* Open in the bench's loop while conn_begin() is in force: plain, without anything received. */
static tg_handle conn_handle;
static int conn_peer;

static inline void misuse_on_data(tg_handle self, void *user, const void *data, size_t length)
{
    (void)self, (void)data, (void)length;
    if (user != NULL) ((counter *)user)->calls++;
}

static inline void misuse_on_conn(tg_handle self, void *user)
{
    (void)self;
    if (user != NULL) ((counter *)user)->calls++;
}

static void conn_begin(void)
{
    tg_conn_options options = TG_CONN_OPTIONS_INIT;
    int ends[2];
    make_pair(ends);
    conn_peer = ends[1];
    options.on_data = misuse_on_data;
    MUST(tg_conn_open(on.loop, ends[0], &options, &conn_handle) == 0);
    MUST(tg_loop_dump(on.loop, on.dump, sizeof on.dump) > 0);
}

/* What was refused has written nothing, and the connection works. */
static void conn_end(void)
{
    tg_conn_stats stats = TG_CONN_STATS_INIT;
    char text[8];
    CHECK_CODE(tg_conn_get_stats(conn_handle, &stats), 0);
    CHECK_EQ(stats.bytes_in + stats.bytes_out + stats.queued, 0);
    CHECK_EQ(recv(conn_peer, text, sizeof text, MSG_DONTWAIT), -1);
    CHECK_EQ(errno, EAGAIN);
    CHECK_CODE(tg_conn_write(conn_handle, "works", 5), 0);
    CHECK_EQ(recv(conn_peer, text, sizeof text, MSG_DONTWAIT), 5);
    CHECK_CODE(tg_close(conn_handle), 0);
    close(conn_peer);
}

#define CONN_OPTIONS(function)                     \
    tg_conn_options options = TG_CONN_OPTIONS_INIT; \
    tg_handle out = 7;                             \
    options.on_data = function;                    \
    options.user = &on.untouched;                  \
    options.release = counter_release

/* Every number of the options out of its range, and what contradicts itself; `call` uses `options` and `out`. */
#define BAD_CONN_OPTIONS(call)                                                                         \
    do {                                                                                               \
        const tg_conn_options right = options;                                                         \
        options.framing = 6; REFUSED(TG_EINVAL, call); options = right;                                \
        options.framing = TG_FRAMING_LINES | TG_FRAMING_LITTLE_ENDIAN; REFUSED(TG_EINVAL, call);       \
        options.framing = TG_FRAMING_LITTLE_ENDIAN; REFUSED(TG_EINVAL, call);                          \
        options.framing = UINT32_MAX; REFUSED(TG_EINVAL, call); options = right;                       \
        options.high_watermark = 10; options.low_watermark = 11; REFUSED(TG_EINVAL, call);             \
        options = right;                                                                               \
        options.high_watermark = 10; options.limit = 9; REFUSED(TG_EINVAL, call); options = right;     \
        options.connect_timeout_ns = -2; REFUSED(TG_EINVAL, call); options = right;                    \
        options.read_timeout_ns = -2; REFUSED(TG_EINVAL, call); options = right;                       \
        options.write_timeout_ns = -2; REFUSED(TG_EINVAL, call); options = right;                      \
        options.idle_timeout_ns = INT64_MIN; REFUSED(TG_EINVAL, call); options = right;                \
        options.linger_ns = -2; REFUSED(TG_EINVAL, call); options = right;                             \
        options.on_readable = misuse_on_conn; REFUSED(TG_EINVAL, call); options = right;               \
        options.flags = TG_CONN_PULL; REFUSED(TG_EINVAL, call); options = right;                       \
        options.on_data = NULL; options.on_readable = misuse_on_conn;                                  \
        options.framing = TG_FRAMING_LINES; REFUSED(TG_EINVAL, call); options = right;                 \
        UNTOUCHED(out, 7);                                                                             \
    } while (0)

/* Functions, and frames that do not fit, on a batch loop. */
#define BAD_CONN_ON_BATCH(call)                                                                        \
    do {                                                                                               \
        const tg_conn_options right = options;                                                         \
        REFUSED(TG_EINVAL, call);                                                                      \
        options.on_data = NULL; REFUSED(TG_EINVAL, call);                                              \
        options.release = NULL; options.max_frame = 65537; REFUSED(TG_EINVAL, call);                   \
        options = right;                                                                               \
        UNTOUCHED(out, 7);                                                                             \
    } while (0)

OF_ID(conn_open_id, CONN_OPTIONS(misuse_on_data); int ends[2], code; make_pair(ends);
      code = tg_conn_open(id, ends[0], &options, &out); UNTOUCHED(out, 7);
      CHECK_EQ(close(ends[0]) + close(ends[1]), 0); return code;)
OF_ID(conn_connect_id, CONN_OPTIONS(misuse_on_data); tg_address where; int code;
      MUST(tg_address_parse("127.0.0.1", 9, &where) == 0);
      code = tg_conn_connect(id, &where, &options, &out); UNTOUCHED(out, 7); return code;)
OF_ID(conn_connect_name_id, CONN_OPTIONS(misuse_on_data);
      int code = tg_conn_connect_name(id, "127.0.0.1", "9", &options, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(conn_write_id, return tg_conn_write(id, "x", 1);)
OF_ID(conn_writev_id, const tg_buffer piece = { "x", 1 }; return tg_conn_writev(id, &piece, 1);)
OF_ID(conn_write_descriptors_id, return tg_conn_write_descriptors(id, on.ends, 1, "x", 1);)
OF_ID(conn_mark_id, return tg_conn_mark(id, 1);)
OF_ID(conn_pause_id, return tg_conn_pause(id);)
OF_ID(conn_resume_id, return tg_conn_resume(id);)
OF_ID(conn_shutdown_id, return tg_conn_shutdown(id);)
OF_ID(conn_finish_id, return tg_conn_finish(id);)
OF_ID(conn_abort_id, return tg_conn_abort(id);)
OF_ID(conn_set_raw_id, return tg_conn_set_raw(id, 1);)
OF_ID(conn_framing_id, return tg_conn_set_framing(id, TG_FRAMING_LINES, 0);)
OF_ID(conn_marks_id, return tg_conn_set_watermarks(id, 0, 0, 0);)
OF_ID(conn_pipe_id, return tg_conn_pipe(id, id);)
OF_ID(conn_forward_id, return tg_conn_forward(id, id);)
OF_ID(conn_join_id, return tg_conn_join_rate(id, id);)
OF_ID(conn_leave_id, return tg_conn_leave_rate(id, on.timer);)

static void misuse_free(void *data, size_t length, void *argument, int status)
{
    (void)data, (void)length, (void)status;
    ((counter *)argument)->calls++;
}

OF_ID(conn_owned_id, char data[1]; return tg_conn_write_owned(id, data, 1, misuse_free, &on.untouched);)
OF_ID(conn_file_id, int file = temporary_file(), code = tg_conn_send_file(id, file, 0, -1);
      CHECK_EQ(close(file), 0); return code;)
OF_ID(conn_read_id, char byte = 7; int code = tg_conn_read(id, &byte, 1); UNTOUCHED(byte, 7); return code;)
OF_ID(conn_times_id, tg_conn_timeouts times = TG_CONN_TIMEOUTS_INIT; return tg_conn_set_timeouts(id, &times);)
OF_ID(conn_stats_id, tg_conn_stats out = TG_CONN_STATS_INIT; int code; out.queued = 77;
      code = tg_conn_get_stats(id, &out); UNTOUCHED(out.queued, 77); return code;)
OF_ID(conn_option_id, int out = 7; int code = tg_conn_get_option(id, TG_OPTION_TTL, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(conn_set_option_id, return tg_conn_set_option(id, TG_OPTION_TTL, 7);)
OF_ID(conn_fd_id, tg_fd out = 7; int code = tg_conn_get_fd(id, &out); UNTOUCHED(out, 7); return code;)
OF_ID(conn_local_id, tg_address out; int code; memset(&out, 7, sizeof out);
      code = tg_conn_get_local(id, &out); UNTOUCHED(out.family, 0x07070707u); return code;)
OF_ID(conn_peer_id, tg_address out; int code; memset(&out, 7, sizeof out);
      code = tg_conn_get_peer(id, &out); UNTOUCHED(out.family, 0x07070707u); return code;)
OF_ID(conn_window_id, uint16_t columns = 7; uint16_t rows = 7;
      int code = tg_conn_get_window_size(id, &columns, &rows); UNTOUCHED(columns + rows, 14); return code;)

#define CONN_OF_ID(name) HANDLE_OF(0, name)

/* The file of a descriptor, opened in another way. */
static int place_of(int fd, int flags)
{
    char path[64];
    int again;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    again = open(path, flags | O_CLOEXEC);
    MUST(again >= 0);
    return again;
}

static void sweep_conn_open(void)
{
    CONN_OPTIONS(misuse_on_data);
    int ends[2], datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), file = temporary_file();
    int place = place_of(file, O_PATH);
    make_pair(ends);
    LOOP_ID(conn_open_id);
    REFUSED(TG_EINVAL, tg_conn_open(on.loop, ends[0], &options, NULL));
    REFUSED(TG_EBADFD, tg_conn_open(on.loop, -1, &options, &out));
    REFUSED(TG_EBADFD, tg_conn_open(on.loop, on.closed_fd, &options, &out));
    REFUSED(TG_EBADFD, tg_conn_open(on.loop, INT32_MAX, &options, &out));
    REFUSED(TG_EBADFD, tg_conn_open(on.loop, place, &options, &out));
    REFUSED(TG_EINVAL, tg_conn_open(on.loop, datagrams, &options, &out));
    REFUSED(TG_EEXIST, tg_conn_open(on.loop, on.ends[0], &options, &out)); /* it is watched */
    BAD_OPTIONS(tg_conn_open(on.loop, ends[0], &options, &out));
    BAD_CONN_OPTIONS(tg_conn_open(on.loop, ends[0], &options, &out));
    BAD_CONN_ON_BATCH(tg_conn_open(on.batch, ends[0], &options, &out));
    CHECK_EQ(fcntl(ends[0], F_GETFD) >= 0 && fcntl(datagrams, F_GETFD) >= 0, 1);
    close_both(ends);
    close(datagrams);
    close(place);
    close(file);
}

static void sweep_conn_connect(void)
{
    CONN_OPTIONS(misuse_on_data);
    tg_address where, none = { 0, 0, 0, 0, { 0 }, { 0 } };
    MUST(tg_address_parse("127.0.0.1", 9, &where) == 0);
    LOOP_ID(conn_connect_id);
    REFUSED(TG_EINVAL, tg_conn_connect(on.loop, NULL, &options, &out));
    REFUSED(TG_EINVAL, tg_conn_connect(on.loop, &where, &options, NULL));
    REFUSED(TG_EINVAL, tg_conn_connect(on.loop, &none, &options, &out));
    BAD_OPTIONS(tg_conn_connect(on.loop, &where, &options, &out));
    BAD_CONN_OPTIONS(tg_conn_connect(on.loop, &where, &options, &out));
    BAD_CONN_ON_BATCH(tg_conn_connect(on.batch, &where, &options, &out));
    options.flags = TG_CONN_DUPLICATE;
    REFUSED(TG_EINVAL, tg_conn_connect(on.loop, &where, &options, &out));
    options.flags = 0;
    MUST(tg_address_unix("/nowhere/at/all", 15, &where) == 0);
    REFUSED(-ENOENT, tg_conn_connect(on.loop, &where, &options, &out));
    UNTOUCHED(out, 7);
}

static void sweep_conn_connect_name(void)
{
    CONN_OPTIONS(misuse_on_data);
    static char long_name[1100];
    memset(long_name, 'a', sizeof long_name - 1);
    LOOP_ID(conn_connect_name_id);
    REFUSED(TG_EINVAL, tg_conn_connect_name(on.loop, NULL, "9", &options, &out));
    REFUSED(TG_EINVAL, tg_conn_connect_name(on.loop, "localhost", NULL, &options, &out));
    REFUSED(TG_EINVAL, tg_conn_connect_name(on.loop, "localhost", "9", &options, NULL));
    REFUSED(TG_EINVAL, tg_conn_connect_name(on.loop, long_name, "9", &options, &out));
    REFUSED(TG_EINVAL, tg_conn_connect_name(on.loop, "localhost", "65536", &options, &out));
    BAD_OPTIONS(tg_conn_connect_name(on.loop, "localhost", "9", &options, &out));
    BAD_CONN_OPTIONS(tg_conn_connect_name(on.loop, "localhost", "9", &options, &out));
    BAD_CONN_ON_BATCH(tg_conn_connect_name(on.batch, "localhost", "9", &options, &out));
}

static void sweep_conn_write(void)
{
    conn_begin();
    CONN_OF_ID(conn_write_id);
    REFUSED(TG_EINVAL, tg_conn_write(conn_handle, NULL, 1));
    REFUSED(TG_EINVAL, tg_conn_write(conn_handle, NULL, SIZE_MAX));
    REFUSED(TG_EINVAL, tg_conn_write(conn_handle, "x", SIZE_MAX));
    REFUSED(TG_ENOBUFS, tg_conn_write(conn_handle, "x", 65u << 20)); /* not one byte of it is looked at */
    conn_end();
}

static void sweep_conn_writev(void)
{
    static tg_buffer pieces[1025];
    const tg_buffer hole = { NULL, 1 };
    conn_begin();
    CONN_OF_ID(conn_writev_id);
    REFUSED(TG_EINVAL, tg_conn_writev(conn_handle, NULL, 1));
    REFUSED(TG_EINVAL, tg_conn_writev(conn_handle, pieces, 1025));
    REFUSED(TG_EINVAL, tg_conn_writev(conn_handle, pieces, SIZE_MAX));
    REFUSED(TG_EINVAL, tg_conn_writev(conn_handle, &hole, 1));
    conn_end();
}

static void sweep_conn_write_owned(void)
{
    conn_begin();
    CONN_OF_ID(conn_owned_id);
    REFUSED(TG_EINVAL, tg_conn_write_owned(conn_handle, NULL, 1, misuse_free, &on.untouched));
    REFUSED(TG_EINVAL, tg_conn_write_owned(conn_handle, on.ends, SIZE_MAX, misuse_free, &on.untouched));
    conn_end();
}

static void sweep_conn_write_descriptors(void)
{
    static int many[300];
    const int none = -1;
    conn_begin();
    CONN_OF_ID(conn_write_descriptors_id);
    for (int i = 0; i < 300; i++) many[i] = on.ends[0];
    REFUSED(TG_EINVAL, tg_conn_write_descriptors(conn_handle, NULL, 1, "x", 1));
    REFUSED(TG_EINVAL, tg_conn_write_descriptors(conn_handle, many, 0, "x", 1));
    REFUSED(TG_EINVAL, tg_conn_write_descriptors(conn_handle, many, 254, "x", 1));
    REFUSED(TG_EINVAL, tg_conn_write_descriptors(conn_handle, many, 1, "x", 0));
    REFUSED(TG_EINVAL, tg_conn_write_descriptors(conn_handle, many, 1, NULL, 1));
    REFUSED(TG_EBADFD, tg_conn_write_descriptors(conn_handle, &none, 1, "x", 1));
    conn_end();
}

static void sweep_conn_send_file(void)
{
    int file = temporary_file(), place = place_of(file, O_PATH), written_only = place_of(file, O_WRONLY);
    conn_begin();
    CONN_OF_ID(conn_file_id);
    REFUSED(TG_EINVAL, tg_conn_send_file(conn_handle, place, 0, 1));
    REFUSED(TG_EINVAL, tg_conn_send_file(conn_handle, written_only, 0, 1));
    REFUSED(TG_EINVAL, tg_conn_send_file(conn_handle, file, -1, 1));
    REFUSED(TG_EINVAL, tg_conn_send_file(conn_handle, file, INT64_MIN, 1));
    REFUSED(TG_EINVAL, tg_conn_send_file(conn_handle, file, 0, -2));
    REFUSED(TG_EINVAL, tg_conn_send_file(conn_handle, on.ends[0], 0, 1));
    REFUSED(TG_EBADFD, tg_conn_send_file(conn_handle, -1, 0, 1));
    REFUSED(TG_EBADFD, tg_conn_send_file(conn_handle, on.closed_fd, 0, 1));
    conn_end();
    close(place);
    close(written_only);
    close(file);
}

static void sweep_conn_read(void)
{
    char byte = 7;
    conn_begin();
    CONN_OF_ID(conn_read_id);
    REFUSED(TG_EINVAL, tg_conn_read(conn_handle, NULL, 1));
    REFUSED(TG_EBUSY, tg_conn_read(conn_handle, &byte, 1));
    UNTOUCHED(byte, 7);
    conn_end();
}

static void sweep_conn_relay(int (*relay)(tg_handle, tg_handle), int (*of_id)(uint64_t))
{
    CONN_OF_ID(of_id);
    conn_begin();
    REFUSED(TG_EINVAL, relay(conn_handle, conn_handle));
    REFUSED(TG_EKIND, relay(conn_handle, on.timer));
    REFUSED(TG_EKIND, relay(on.timer, conn_handle));
    REFUSED(TG_EINVAL, relay(conn_handle, on.of_batch)); /* of another loop */
    REFUSED(TG_ESTALE, relay(conn_handle, on.closed));
    REFUSED(TG_ESTALE, relay(conn_handle, 0));
    conn_end();
}

static void sweep_conn_pipe(void) { sweep_conn_relay(tg_conn_pipe, conn_pipe_id); }
static void sweep_conn_forward(void) { sweep_conn_relay(tg_conn_forward, conn_forward_id); }

static void sweep_conn_set_timeouts(void)
{
    tg_conn_timeouts times = TG_CONN_TIMEOUTS_INIT;
    conn_begin();
    CONN_OF_ID(conn_times_id);
    for (int i = 0; i < 5; i++) {
        memset(&times, 0, sizeof times);
        times.size = sizeof times;
        (&times.connect_ns)[i] = -2;
        REFUSED(TG_EINVAL, tg_conn_set_timeouts(conn_handle, &times));
    }
    memset(&times, 0, sizeof times);
    REFUSED(TG_EINVAL, tg_conn_set_timeouts(conn_handle, &times));
    times.size = SIZE_MAX;
    REFUSED(TG_EINVAL, tg_conn_set_timeouts(conn_handle, &times));
    conn_end();
}

static void sweep_conn_set_framing(void)
{
    conn_begin();
    CONN_OF_ID(conn_framing_id);
    REFUSED(TG_EINVAL, tg_conn_set_framing(conn_handle, 6, 0));
    REFUSED(TG_EINVAL, tg_conn_set_framing(conn_handle, TG_FRAMING_LITTLE_ENDIAN, 0));
    REFUSED(TG_EINVAL, tg_conn_set_framing(conn_handle, UINT32_MAX, 0));
    conn_end();
}

static void sweep_conn_set_watermarks(void)
{
    conn_begin();
    CONN_OF_ID(conn_marks_id);
    REFUSED(TG_EINVAL, tg_conn_set_watermarks(conn_handle, 11, 10, 0));
    REFUSED(TG_EINVAL, tg_conn_set_watermarks(conn_handle, 1, 10, 9));
    conn_end();
}

static void sweep_conn_get_stats(void)
{
    tg_conn_stats out = TG_CONN_STATS_INIT;
    conn_begin();
    CONN_OF_ID(conn_stats_id);
    REFUSED(TG_EINVAL, tg_conn_get_stats(conn_handle, NULL));
    out.queued = 77;
    out.size = 0;
    REFUSED(TG_EINVAL, tg_conn_get_stats(conn_handle, &out));
    out.size = SIZE_MAX;
    REFUSED(TG_EINVAL, tg_conn_get_stats(conn_handle, &out));
    UNTOUCHED(out.queued, 77);
    conn_end();
}

static void sweep_conn_get_option(void)
{
    int out = 7;
    conn_begin();
    CONN_OF_ID(conn_option_id);
    REFUSED(TG_EINVAL, tg_conn_get_option(conn_handle, TG_OPTION_SEND_BUFFER, NULL));
    REFUSED(TG_EINVAL, tg_conn_get_option(conn_handle, 0, &out));
    REFUSED(TG_EINVAL, tg_conn_get_option(conn_handle, UINT32_MAX, &out));
    UNTOUCHED(out, 7);
    conn_end();
}

static void sweep_conn_set_option(void)
{
    conn_begin();
    CONN_OF_ID(conn_set_option_id);
    REFUSED(TG_EINVAL, tg_conn_set_option(conn_handle, 6, 1));
    REFUSED(TG_EINVAL, tg_conn_set_option(conn_handle, TG_OPTION_KEEP_ALIVE, 2));
    REFUSED(TG_EINVAL, tg_conn_set_option(conn_handle, TG_OPTION_TTL, INT32_MIN));
    conn_end();
}

static void sweep_conn_get_fd(void)
{
    conn_begin();
    CONN_OF_ID(conn_fd_id);
    REFUSED(TG_EINVAL, tg_conn_get_fd(conn_handle, NULL));
    conn_end();
}

static void sweep_conn_get_local(void)
{
    conn_begin();
    CONN_OF_ID(conn_local_id);
    REFUSED(TG_EINVAL, tg_conn_get_local(conn_handle, NULL));
    conn_end();
}

static void sweep_conn_get_peer(void)
{
    conn_begin();
    CONN_OF_ID(conn_peer_id);
    REFUSED(TG_EINVAL, tg_conn_get_peer(conn_handle, NULL));
    conn_end();
}

static void sweep_conn_get_window_size(void)
{
    uint16_t size = 7;
    conn_begin();
    CONN_OF_ID(conn_window_id);
    REFUSED(TG_EINVAL, tg_conn_get_window_size(conn_handle, NULL, &size));
    REFUSED(TG_EINVAL, tg_conn_get_window_size(conn_handle, &size, NULL));
    REFUSED(-ENOTTY, tg_conn_get_window_size(conn_handle, &size, &size));
    UNTOUCHED(size, 7);
    conn_end();
}

static void sweep_conn_set_raw(void)
{
    conn_begin();
    CONN_OF_ID(conn_set_raw_id);
    REFUSED(TG_EINVAL, tg_conn_set_raw(conn_handle, 2));
    REFUSED(TG_EINVAL, tg_conn_set_raw(conn_handle, -1));
    REFUSED(-ENOTTY, tg_conn_set_raw(conn_handle, 1));
    conn_end();
}

static void sweep_conn_join_rate(void)
{
    CONN_OF_ID(conn_join_id);
    conn_begin();
    REFUSED(TG_EKIND, tg_conn_join_rate(conn_handle, conn_handle));
    REFUSED(TG_ESTALE, tg_conn_join_rate(conn_handle, on.closed));
    REFUSED(TG_EINVAL, tg_conn_join_rate(conn_handle, on.of_batch));
    conn_end();
}

static void sweep_conn_leave_rate(void)
{
    CONN_OF_ID(conn_leave_id);
    conn_begin();
    REFUSED(TG_EKIND, tg_conn_leave_rate(conn_handle, on.timer));
    conn_end();
}

static void sweep_conn_mark(void) { CONN_OF_ID(conn_mark_id); }
static void sweep_conn_pause(void) { CONN_OF_ID(conn_pause_id); }
static void sweep_conn_resume(void) { CONN_OF_ID(conn_resume_id); }
static void sweep_conn_shutdown(void) { CONN_OF_ID(conn_shutdown_id); }
static void sweep_conn_finish(void) { CONN_OF_ID(conn_finish_id); }
static void sweep_conn_abort(void) { CONN_OF_ID(conn_abort_id); }

#define CONN_ROWS                                                                                      \
    ROW(conn_abort), ROW(conn_connect), ROW(conn_connect_name), ROW(conn_finish), ROW(conn_forward),   \
    ROW(conn_get_fd), ROW(conn_get_option), ROW(conn_set_option), ROW(conn_get_local), ROW(conn_get_peer), ROW(conn_get_stats),                    \
    ROW(conn_get_window_size), ROW(conn_join_rate), ROW(conn_leave_rate), ROW(conn_mark),              \
    ROW(conn_open), ROW(conn_pause), ROW(conn_pipe), ROW(conn_read), ROW(conn_resume),                 \
    ROW(conn_send_file), ROW(conn_set_framing), ROW(conn_set_raw), ROW(conn_set_timeouts),             \
    ROW(conn_set_watermarks), ROW(conn_shutdown), ROW(conn_write), ROW(conn_write_descriptors),        \
    ROW(conn_write_owned), ROW(conn_writev)

#endif
