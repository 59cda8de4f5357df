/* 22: a client for people: what is typed goes to a server, and what it says comes back.
 *
 *   22_line_client ADDRESS PORT   (numeric; Ctrl-D ends our direction, and the server then ends its own)
 *
 * Learnt here: a terminal, a pipe and a file are connections like a socket. TG_CONN_DUPLICATE leaves the standard
 * streams to the process, which shares them with the shell: they still block for the others, and are not
 * closed here. Two forwards connect three connections, and when one breaks all are over. A terminal goes both ways,
 * as a socket does: the one that is written to is paused, or it would take what the other one is to read. */
#include "port.h"
#include <errno.h>
#include <tidegate.h>

typedef struct session {
    tg_handle from, to, server;
    int failed;
} session;

/* What breaks takes the others with it for the same reason, and any of them may be told first. */
static const char *broken(const session *it, tg_handle told, int reason)
{
    tg_conn_stats came = TG_CONN_STATS_INIT, went = TG_CONN_STATS_INIT;
    if (reason == -ECONNRESET) return "the connection";
    tg_conn_get_stats(it->server, &came);
    tg_conn_get_stats(it->to, &went);
    if (told == it->to || went.bytes_out < came.bytes_in) return "standard output"; /* it did not take all that came */
    return told == it->from && reason != -EPIPE ? "standard input" : "the connection"; /* -EPIPE comes of writing */
}

static void on_close(tg_handle conn, void *user, int reason)
{
    session *it = user;
    if (reason != 0 && !it->failed) { /* the others follow, for the same reason: once is enough */
        it->failed = 1;
        fprintf(stderr, "%s: %s\n", broken(it, conn, reason), tg_strerror(reason));
    }
    /* Both directions of the server have ended, and so has the input. What it has said is written to its end. */
    if (conn == it->server) tg_conn_finish(it->to);
}

static int session_open(session *it, tg_loop loop, const tg_address *address)
{
    tg_conn_options options = TG_CONN_OPTIONS_INIT;
    int code;
    options.on_close = on_close;
    options.user = it;
    options.idle_timeout_ns = -1;  /* people think */
    options.write_timeout_ns = -1; /* and stop the output with Ctrl-S */
    if ((code = tg_conn_connect(loop, address, &options, &it->server)) < 0) return code;
    options.flags = TG_CONN_DUPLICATE;
    if ((code = tg_conn_open(loop, 0, &options, &it->from)) < 0) return code;
    if ((code = tg_conn_open(loop, 1, &options, &it->to)) < 0) return code;
    if ((code = tg_conn_pause(it->to)) < 0) return code;
    if ((code = tg_conn_forward(it->from, it->server)) < 0) return code;
    return tg_conn_forward(it->server, it->to);
}

int main(int argc, char **argv)
{
    session it = { 0, 0, 0, 0 };
    tg_address address;
    tg_loop loop;
    int port = argc == 3 ? parse_port(argv[2]) : 0;
    if (port < 1 || port > 65535 || tg_address_parse(argv[1], (uint16_t)port, &address) < 0) {
        fprintf(stderr, "usage: %s ADDRESS PORT\n", argv[0]);
        return 2;
    }
    if (tg_loop_new(NULL, &loop) < 0) return 1;
    if (session_open(&it, loop, &address) < 0 || tg_loop_run(loop) < 0) {
        fprintf(stderr, "%s\n", tg_last_error());
        it.failed = 1;
    }
    tg_loop_free(loop);
    return it.failed;
}
