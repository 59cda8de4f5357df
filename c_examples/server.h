/* What the servers 17 to 21 share, and 16 has taught: a listener on 127.0.0.1 whose port is printed, and
 * two signals that end the run. Each of them shows only what is its own. */
#ifndef SERVER_H
#define SERVER_H

#include "port.h"
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <tidegate.h>

static inline void server_on_stop(tg_handle self, void *user, int signum, uint64_t count)
{
    tg_loop loop;
    (void)user, (void)signum, (void)count;
    if (tg_handle_get_loop(self, &loop) == 0) tg_loop_stop(loop);
}

/* A signal alone does not keep the loop alive: the listener does. */
static inline int server_stop_on(tg_loop loop, int signum)
{
    tg_signal_options options = TG_SIGNAL_OPTIONS_INIT;
    tg_handle handle;
    options.callback = server_on_stop;
    options.flags = TG_UNREF;
    return tg_signal_open(loop, signum, &options, &handle);
}

static inline int server_listen(tg_loop loop, int port, const tg_listener_options *options)
{
    tg_address address;
    tg_handle listener;
    char text[128];
    int code = tg_address_parse("127.0.0.1", (uint16_t)port, &address);
    if (code < 0 || (code = tg_listener_open(loop, &address, options, &listener)) < 0 ||
        (code = tg_listener_get_local(listener, &address)) < 0 ||
        (code = tg_address_format(&address, text, sizeof text)) < 0)
        return code;
    printf("listening on %s\n", text);
    fflush(stdout);
    return 0;
}

/* Listens, prints where, and runs the loop until SIGTERM or SIGINT. Negative, and words on stderr, when
 * that fails. */
static inline int server_run(tg_loop loop, int port, const tg_listener_options *options)
{
    int code = server_stop_on(loop, SIGTERM);
    if (code < 0 || (code = server_stop_on(loop, SIGINT)) < 0 ||
        (code = server_listen(loop, port, options)) < 0 || (code = tg_loop_run(loop)) < 0)
        fprintf(stderr, "%s\n", tg_last_error());
    return code;
}

#endif
