/* Options of the sockets that connections are. */
#include "support.h"

static tg_handle wrap(tg_loop loop, int fd)
{
    tg_handle conn = 0;
    MUST(tg_conn_open(loop, fd, NULL, &conn) == 0);
    return conn;
}

static int value_of(tg_handle conn, uint32_t option)
{
    int value = -1;
    CHECK_CODE(tg_conn_get_option(conn, option, &value), 0);
    return value;
}

static void options_of_tcp(void)
{
    tg_loop loop = new_loop();
    int ends[2];
    tg_handle conn;
    make_tcp(ends);
    conn = wrap(loop, ends[0]);
    for (uint32_t option = TG_OPTION_NO_DELAY; option <= TG_OPTION_KEEP_ALIVE; option++) {
        CHECK_CODE(tg_conn_set_option(conn, option, 0), 0);
        CHECK_EQ(value_of(conn, option), 0);
        CHECK_CODE(tg_conn_set_option(conn, option, 1), 0);
        CHECK(value_of(conn, option) != 0);
        CHECK_CODE(tg_conn_set_option(conn, option, 2), TG_EINVAL);
        CHECK_CODE(tg_conn_set_option(conn, option, -1), TG_EINVAL);
    }
    for (uint32_t option = TG_OPTION_SEND_BUFFER; option <= TG_OPTION_RECEIVE_BUFFER; option++) {
        CHECK_CODE(tg_conn_set_option(conn, option, 65536), 0);
        CHECK(value_of(conn, option) >= 65536);
        CHECK_CODE(tg_conn_set_option(conn, option, 0), TG_EINVAL);
    }
    CHECK_CODE(tg_conn_set_option(conn, TG_OPTION_TTL, 7), 0);
    CHECK_EQ(value_of(conn, TG_OPTION_TTL), 7);
    CHECK_CODE(tg_conn_set_option(conn, TG_OPTION_TTL, 0), TG_EINVAL);
    CHECK_CODE(tg_conn_set_option(conn, TG_OPTION_TTL, 256), TG_EINVAL);
    close(ends[1]);
    free_loop(loop, 1);
}

static void what_has_no_options(void)
{
    tg_loop loop = new_loop();
    int ends[2], pair[2], value = 7;
    tg_handle pipe, local;
    make_pipe(ends);
    make_pair(pair);
    pipe = wrap(loop, ends[0]);
    local = wrap(loop, pair[0]);
    CHECK_CODE(tg_conn_set_option(pipe, TG_OPTION_KEEP_ALIVE, 1), -ENOTSOCK);
    CHECK_CODE(tg_conn_get_option(pipe, TG_OPTION_TTL, &value), -ENOTSOCK);
    CHECK(tg_conn_set_option(local, TG_OPTION_NO_DELAY, 1) < 0);
    CHECK_CODE(tg_conn_set_option(local, 0, 1), TG_EINVAL);
    CHECK_CODE(tg_conn_set_option(local, 6, 1), TG_EINVAL);
    CHECK_CODE(tg_conn_get_option(local, UINT32_MAX, &value), TG_EINVAL);
    CHECK_CODE(tg_conn_get_option(local, TG_OPTION_SEND_BUFFER, NULL), TG_EINVAL);
    CHECK_EQ(value, 7);
    close(ends[1]);
    close(pair[1]);
    free_loop(loop, 2);
}

int main(void)
{
    harness_begin();
    RUN(options_of_tcp);
    RUN(what_has_no_options);
    return harness_end();
}
