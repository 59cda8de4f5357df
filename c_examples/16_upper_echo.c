/* 16: a server that sends back what it gets in capitals, on a listener and its connections.
 *
 *   16_upper_echo [PORT]          (0 or nothing: any free port; ends on SIGTERM or SIGINT)
 *
 * Learnt here: the listener accepts, and says what connections are like; there is nothing to do but
 * to answer. No list of connections, no buffers, no half-written replies: what the peer does not take
 * waits in the library, and while more than the high watermark waits the peer is not read from. When
 * the peer ends its direction everything is sent before the connection closes. */
#include "port.h"
#include <ctype.h>
#include <signal.h>
#include <tidegate.h>

typedef struct server {
    tg_loop loop;
    unsigned opened, closed;
} server;

static void on_open(tg_handle conn, void *user)
{
    (void)conn;
    ((server *)user)->opened++;
}

static void on_data(tg_handle conn, void *user, const void *data, size_t length)
{
    const unsigned char *from = data;
    char upper[4096];
    (void)user;
    while (length > 0) {
        size_t n = length < sizeof upper ? length : sizeof upper;
        for (size_t i = 0; i < n; i++) upper[i] = (char)toupper(from[i]);
        /* A failure is told by on_close as well: nothing is to be done about it here. */
        if (tg_conn_write(conn, upper, n) < 0) return;
        from += n;
        length -= n;
    }
}

static void on_close(tg_handle conn, void *user, int reason)
{
    (void)conn;
    ((server *)user)->closed++;
    if (reason != 0) fprintf(stderr, "a connection broke: %s\n", tg_strerror(reason));
}

static void on_stop(tg_handle self, void *user, int signum, uint64_t count)
{
    (void)self;
    (void)signum;
    (void)count;
    tg_loop_stop(((server *)user)->loop);
}

static int listen_on(server *it, uint16_t port)
{
    tg_conn_options conn = TG_CONN_OPTIONS_INIT;
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
    tg_address address;
    tg_handle listener;
    char text[128];
    conn.on_open = on_open;
    conn.on_data = on_data;
    conn.on_close = on_close;
    conn.user = it;
    options.conn = &conn;
    if (tg_address_parse("127.0.0.1", port, &address) < 0 ||
        tg_listener_open(it->loop, &address, &options, &listener) < 0 ||
        tg_listener_get_local(listener, &address) < 0 ||
        tg_address_format(&address, text, sizeof text) < 0)
        return -1;
    printf("listening on %s\n", text);
    fflush(stdout);
    return 0;
}

static int stop_on(server *it, int signum)
{
    tg_signal_options options = TG_SIGNAL_OPTIONS_INIT;
    tg_handle handle;
    options.callback = on_stop;
    options.user = it;
    return tg_signal_open(it->loop, signum, &options, &handle);
}

int main(int argc, char **argv)
{
    server it = { 0, 0, 0 };
    int result = 1, port = parse_port(argc > 1 ? argv[1] : NULL);
    if (port < 0) return 2;
    if (tg_loop_new(NULL, &it.loop) < 0 || stop_on(&it, SIGTERM) < 0 || stop_on(&it, SIGINT) < 0 ||
        listen_on(&it, (uint16_t)port) < 0 || tg_loop_run(it.loop) < 0)
        fprintf(stderr, "%s\n", tg_last_error());
    else
        result = 0;
    tg_loop_free(it.loop); /* closes what is still open */
    printf("%u connections came, %u of them ended\n", it.opened, it.closed);
    return result;
}
