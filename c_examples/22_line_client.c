/* 22: a client for people: what is typed goes to a server, and what it says comes back.
 *
 *   22_line_client ADDRESS PORT   (numeric; Ctrl-D ends our direction, and the server then ends its own)
 *
 * Learnt here: a terminal, a pipe and a file are connections like a socket. TG_CONN_DUPLICATE leaves the standard
 * streams to the process, which shares them with the shell: they still block for the others, and are not
 * closed here. Two forwards connect three connections; the loop ends when all of them have. Input and output
 * that are one terminal are one connection: two would take each other's lines. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <tidegate.h>

static int failed;

static void on_close(tg_handle conn, void *user, int reason)
{
    (void)conn;
    if (reason == 0) return;
    /* All are reset when one breaks, and say the same: once is enough. */
    if (!failed) fprintf(stderr, "%s: %s\n", (const char *)user, tg_strerror(reason));
    failed = 1;
}

static int one_terminal(void)
{
    return isatty(0) && isatty(1) && (fcntl(0, F_GETFL) & O_ACCMODE) == O_RDWR;
}

int main(int argc, char **argv)
{
    tg_conn_options options = TG_CONN_OPTIONS_INIT;
    tg_handle from = 0, to, server;
    tg_address address;
    tg_loop loop;
    int port = argc == 3 ? atoi(argv[2]) : 0;
    if (port < 1 || port > 65535 || tg_address_parse(argv[1], (uint16_t)port, &address) < 0) {
        fprintf(stderr, "usage: %s ADDRESS PORT\n", argv[0]);
        return 2;
    }
    if (tg_loop_new(NULL, &loop) < 0) return 1;
    options.on_close = on_close;
    options.user = argv[1];
    options.idle_timeout_ns = -1; /* people think */
    if (tg_conn_connect(loop, &address, &options, &server) < 0) failed = 1;
    options.flags = TG_CONN_DUPLICATE;
    options.user = "standard input";
    if (!failed && tg_conn_open(loop, 0, &options, &from) < 0) failed = 1;
    to = from;
    options.user = "standard output";
    if (!failed && !one_terminal() && tg_conn_open(loop, 1, &options, &to) < 0) failed = 1;
    if (failed || tg_conn_forward(from, server) < 0 || tg_conn_forward(server, to) < 0 || tg_loop_run(loop) < 0) {
        fprintf(stderr, "%s\n", tg_last_error());
        failed = 1;
    }
    tg_loop_free(loop); /* a terminal is given back as it was */
    return failed;
}
