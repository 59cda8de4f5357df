/* 17: a server that greets, and sends back everything with "response" behind it.
 *
 *   17_ok_response [PORT]         (0 or nothing: any free port; ends on SIGTERM or SIGINT)
 *
 * Learnt here: the first word can be the server's (on_open), and a reply of two pieces is one write
 * (tg_conn_writev), so that nothing can come between them. What on_data gets is what has arrived, not what
 * was sent: TCP keeps no borders between messages. A peer that wants one reply a message waits for each,
 * as the documents' client does; 19 shows what to do where that is not enough. */
#include "server.h"

static const char greeting[] = "ok";
static const char suffix[] = "response";

static void on_open(tg_handle conn, void *user)
{
    (void)user;
    tg_conn_write(conn, greeting, sizeof greeting - 1);
}

static void on_data(tg_handle conn, void *user, const void *data, size_t length)
{
    tg_buffer reply[2];
    (void)user;
    reply[0].data = data; /* copied as far as it has to wait: it is ours only until we return */
    reply[0].length = length;
    reply[1].data = suffix;
    reply[1].length = sizeof suffix - 1;
    /* A failure is told by on_close as well: nothing is to be done about it here. */
    tg_conn_writev(conn, reply, 2);
}

static void on_close(tg_handle conn, void *user, int reason)
{
    (void)conn, (void)user;
    if (reason != 0) fprintf(stderr, "a connection broke: %s\n", tg_strerror(reason));
}

int main(int argc, char **argv)
{
    tg_conn_options conn = TG_CONN_OPTIONS_INIT;
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
    int code, port = parse_port(argc > 1 ? argv[1] : NULL);
    tg_loop loop;
    if (port < 0) return 2;
    if (tg_loop_new(NULL, &loop) < 0) return 1;
    conn.on_open = on_open;
    conn.on_data = on_data;
    conn.on_close = on_close;
    options.conn = &conn;
    code = server_run(loop, port, &options);
    tg_loop_free(loop);
    return code < 0;
}
