/* The rows of connections, listeners, rate limits and groups; see calls.h, which includes this. */
#ifndef TIDEGATE_TEST_CALLS_CONN_H
#define TIDEGATE_TEST_CALLS_CONN_H

/* Two connections, a listener and a limit, in the scene's loop. */
static inline void scene_conns(scene *it)
{
    tg_conn_options options = TG_CONN_OPTIONS_INIT;
    tg_address where;
    int pair[2], file = temporary_file();
    make_pair(pair);
    MUST(tg_conn_open(it->loop, pair[0], &options, &it->conn) == 0);
    MUST(tg_conn_open(it->loop, pair[1], &options, &it->other_conn) == 0);
    MUST(tg_address_parse("127.0.0.1", 0, &where) == 0);
    MUST(tg_listener_open(it->loop, &where, NULL, &it->listener) == 0);
    MUST(tg_rate_open(it->loop, NULL, &it->rate) == 0);
    it->disk = file;
}

static inline tg_group scene_group(scene *it)
{
    tg_group_options options = TG_GROUP_OPTIONS_INIT;
    tg_address where;
    options.loops = 1;
    MUST(tg_address_parse("127.0.0.1", 0, &where) == 0);
    options.address = &where;
    if (it->group == 0) MUST(tg_group_new(&options, &it->group) == 0);
    return it->group;
}

CALL(tg_conn_open, int pair[2]; tg_handle out = 7; int code; make_pair(pair);
     code = tg_conn_open(it->loop, pair[0], NULL, &out); close(pair[1]);
     if (code < 0) { CHECK_EQ(out, 7); close(pair[0]); } return code;)
CALL(tg_conn_connect, tg_address where; tg_handle out = 7; int code;
     MUST(tg_address_parse("127.0.0.1", 9, &where) == 0);
     code = tg_conn_connect(it->loop, &where, NULL, &out); if (code < 0) CHECK_EQ(out, 7); return code;)
CALL(tg_conn_connect_name, tg_handle out = 7;
     int code = tg_conn_connect_name(it->loop, "127.0.0.1", "9", NULL, &out);
     if (code < 0) CHECK_EQ(out, 7); return code;)
CALL(tg_conn_write, return tg_conn_write(it->conn, "x", 1);)
CALL(tg_conn_writev, const tg_buffer piece = { "x", 1 }; return tg_conn_writev(it->conn, &piece, 1);)
CALL(tg_conn_write_owned, return tg_conn_write_owned(it->conn, it->room, 4, NULL, NULL);)
CALL(tg_conn_write_descriptors, return tg_conn_write_descriptors(it->conn, it->ends, 1, "x", 1);)
CALL(tg_conn_send_file, return tg_conn_send_file(it->conn, it->disk, 0, -1);)
CALL(tg_conn_mark, return tg_conn_mark(it->conn, 1);)
CALL(tg_conn_read, char byte; return tg_conn_read(it->conn, &byte, 1);)
CALL(tg_conn_pause, return tg_conn_pause(it->conn);)
CALL(tg_conn_resume, return tg_conn_resume(it->conn);)
CALL(tg_conn_shutdown, return tg_conn_shutdown(it->conn);)
CALL(tg_conn_finish, return tg_conn_finish(it->conn);)
CALL(tg_conn_abort, return tg_conn_abort(it->conn);)
CALL(tg_conn_pipe, return tg_conn_pipe(it->conn, it->other_conn);)
CALL(tg_conn_forward, return tg_conn_forward(it->conn, it->other_conn);)
CALL(tg_conn_set_timeouts, tg_conn_timeouts times = TG_CONN_TIMEOUTS_INIT;
     return tg_conn_set_timeouts(it->conn, &times);)
CALL(tg_conn_set_framing, return tg_conn_set_framing(it->conn, TG_FRAMING_LINES, 0);)
CALL(tg_conn_set_watermarks, return tg_conn_set_watermarks(it->conn, 0, 0, 0);)
CALL(tg_conn_get_stats, tg_conn_stats out = TG_CONN_STATS_INIT; return tg_conn_get_stats(it->conn, &out);)
CALL(tg_conn_get_option, int out; return tg_conn_get_option(it->conn, TG_OPTION_SEND_BUFFER, &out);)
CALL(tg_conn_set_option, return tg_conn_set_option(it->conn, TG_OPTION_KEEP_ALIVE, 1);)
CALL(tg_conn_get_fd, tg_fd out; return tg_conn_get_fd(it->conn, &out);)
CALL(tg_conn_get_local, tg_address out; return tg_conn_get_local(it->conn, &out);)
CALL(tg_conn_get_peer, tg_address out; return tg_conn_get_peer(it->conn, &out);)
CALL(tg_conn_get_window_size, uint16_t columns; uint16_t rows;
     return tg_conn_get_window_size(it->conn, &columns, &rows);)
CALL(tg_conn_set_raw, return tg_conn_set_raw(it->conn, 0);)
CALL(tg_conn_join_rate, return tg_conn_join_rate(it->conn, it->rate);)
CALL(tg_conn_leave_rate, return tg_conn_leave_rate(it->conn, it->rate);)
CALL(tg_rate_open, tg_handle out = 7; int code = tg_rate_open(it->loop, NULL, &out);
     if (code < 0) CHECK_EQ(out, 7); return code;)
CALL(tg_rate_set_limits, tg_rate_options options = TG_RATE_OPTIONS_INIT;
     return tg_rate_set_limits(it->rate, &options);)
CALL(tg_listener_open, tg_address where; tg_handle out = 7; int code;
     MUST(tg_address_parse("127.0.0.1", 0, &where) == 0);
     code = tg_listener_open(it->loop, &where, NULL, &out); if (code < 0) CHECK_EQ(out, 7); return code;)
CALL(tg_listener_adopt, int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); tg_handle out = 7; int code;
     MUST(listen(fd, 1) == 0); code = tg_listener_adopt(it->loop, fd, NULL, &out);
     if (code < 0) { CHECK_EQ(out, 7); close(fd); } return code;)
CALL(tg_listener_pause, return tg_listener_pause(it->listener);)
CALL(tg_listener_resume, return tg_listener_resume(it->listener);)
CALL(tg_listener_finish, return tg_listener_finish(it->listener);)
CALL(tg_listener_get_conns, uint32_t out; return tg_listener_get_conns(it->listener, &out);)
CALL(tg_listener_get_fd, tg_fd out; return tg_listener_get_fd(it->listener, &out);)
CALL(tg_listener_get_local, tg_address out; return tg_listener_get_local(it->listener, &out);)
CALL(tg_group_new, tg_group_options options = TG_GROUP_OPTIONS_INIT; tg_group out = 7; int code;
     options.loops = 1; code = tg_group_new(&options, &out);
     if (code < 0) CHECK_EQ(out, 7); else CHECK_CODE(tg_group_free(out), 0); return code;)
CALL(tg_group_free, int code = tg_group_free(scene_group(it)); if (code >= 0) it->group = 0; return code;)
CALL(tg_group_stop, return tg_group_stop(scene_group(it), 0);)
CALL(tg_group_join, CHECK_CODE(tg_group_stop(scene_group(it), 0), 0); return tg_group_join(it->group);)
CALL(tg_group_get_loop, tg_loop out; return tg_group_get_loop(scene_group(it), 0, &out);)
CALL(tg_group_get_local, tg_address out; return tg_group_get_local(scene_group(it), &out);)
CALL(tg_group_get_stats, tg_group_stats out = TG_GROUP_STATS_INIT;
     return tg_group_get_stats(scene_group(it), &out);)

#define CONN_CALLS                                                                                     \
    ROW(tg_conn_abort, ON_LOOP), ROW(tg_conn_connect, ON_LOOP), ROW(tg_conn_connect_name, ON_LOOP),    \
    ROW(tg_conn_finish, ON_LOOP), ROW(tg_conn_forward, ON_LOOP), ROW(tg_conn_get_fd, ON_LOOP), ROW(tg_conn_get_option, ON_LOOP), ROW(tg_conn_set_option, ON_LOOP),         \
    ROW(tg_conn_get_local, ON_LOOP), ROW(tg_conn_get_peer, ON_LOOP), ROW(tg_conn_get_stats, ON_LOOP),  \
    ROW(tg_conn_get_window_size, ON_LOOP), ROW(tg_conn_join_rate, ON_LOOP),                            \
    ROW(tg_conn_leave_rate, ON_LOOP), ROW(tg_conn_mark, ON_LOOP), ROW(tg_conn_open, ON_LOOP),          \
    ROW(tg_conn_pause, ON_LOOP), ROW(tg_conn_pipe, ON_LOOP), ROW(tg_conn_read, ON_LOOP),               \
    ROW(tg_conn_resume, ON_LOOP), ROW(tg_conn_send_file, ON_LOOP), ROW(tg_conn_set_framing, ON_LOOP),  \
    ROW(tg_conn_set_raw, ON_LOOP), ROW(tg_conn_set_timeouts, ON_LOOP),                                 \
    ROW(tg_conn_set_watermarks, ON_LOOP), ROW(tg_conn_shutdown, ON_LOOP), ROW(tg_conn_write, ON_LOOP), \
    ROW(tg_conn_write_descriptors, ON_LOOP), ROW(tg_conn_write_owned, ON_LOOP),                        \
    ROW(tg_conn_writev, ON_LOOP), ROW(tg_group_free, ANY_THREAD), ROW(tg_group_get_local, ANY_THREAD), \
    ROW(tg_group_get_loop, ANY_THREAD), ROW(tg_group_get_stats, ANY_THREAD),                           \
    ROW(tg_group_join, ANY_THREAD), ROW(tg_group_new, ANY_THREAD), ROW(tg_group_stop, ANY_THREAD),     \
    ROW(tg_listener_adopt, ON_LOOP), ROW(tg_listener_finish, ON_LOOP),                                 \
    ROW(tg_listener_get_conns, ON_LOOP), ROW(tg_listener_get_fd, ON_LOOP),                             \
    ROW(tg_listener_get_local, ON_LOOP), ROW(tg_listener_open, ON_LOOP),                               \
    ROW(tg_listener_pause, ON_LOOP), ROW(tg_listener_resume, ON_LOOP), ROW(tg_rate_open, ON_LOOP),     \
    ROW(tg_rate_set_limits, ON_LOOP)

#endif
