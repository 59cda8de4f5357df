/* 21: a TCP proxy: each client is relayed to a server of its own connection.
 *
 *   21_tcp_proxy PORT TARGET_ADDRESS TARGET_PORT [IDLE_SECONDS [CONNECT_SECONDS]]
 *
 * The address is numeric; port 0 is any free one; ends on SIGTERM or SIGINT, and prints what it has done.
 *
 * Learnt here: tg_conn_pipe moves the bytes inside the library, with the pace of the slower side, and passes
 * half-closes on. When one side breaks the other is reset, so that nobody takes a part for the whole: the
 * program has nothing to do but to bring the two together and to count. */
#include "server.h"
#include <string.h>

#define SECOND INT64_C(1000000000)

typedef struct proxy {
    tg_loop loop;
    tg_address target;
    tg_conn_options to_server;
    unsigned clients, ended, broken;
    uint64_t up, down;
} proxy;

/* A client and its server tell of their end each; the client's is the one that is counted. */
static void on_client_close(tg_handle conn, void *user, int reason)
{
    proxy *it = user;
    tg_conn_stats stats = TG_CONN_STATS_INIT;
    if (tg_conn_get_stats(conn, &stats) == 0) {
        it->up += stats.bytes_in;
        it->down += stats.bytes_out;
    }
    it->ended += reason == 0;
    it->broken += reason != 0;
}

static void on_server_close(tg_handle conn, void *user, int reason)
{
    (void)conn, (void)user;
    if (reason != 0) fprintf(stderr, "a server broke, or its client: %s\n", tg_strerror(reason));
}

static void on_accept(tg_handle listener, void *user, tg_handle client, const tg_address *peer)
{
    proxy *it = user;
    tg_handle server;
    (void)listener, (void)peer;
    it->clients++;
    /* Nothing waits for the connection: what the client sends meanwhile goes out when it is there. */
    if (tg_conn_connect(it->loop, &it->target, &it->to_server, &server) == 0) {
        if (tg_conn_pipe(client, server) == 0) return;
        tg_conn_abort(server);
    }
    fprintf(stderr, "%s\n", tg_last_error());
    it->broken++;
    tg_conn_abort(client); /* reset: it must not look like a server that had nothing to say */
}

/* Seconds from the command line; 0 when there is no such argument: the library's default. */
static int64_t seconds(int argc, char **argv, int at)
{
    double value = argc > at ? strtod(argv[at], NULL) : 0;
    return value > 0 && value < 1e9 ? (int64_t)(value * (double)SECOND) : 0;
}

int main(int argc, char **argv)
{
    proxy it;
    tg_conn_options client = TG_CONN_OPTIONS_INIT, server = TG_CONN_OPTIONS_INIT;
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
    int code, port = argc > 3 ? parse_port(argv[1]) : -1, to = argc > 3 ? parse_port(argv[3]) : -1;
    memset(&it, 0, sizeof it);
    if (port < 0 || to < 0 || tg_address_parse(argv[2], (uint16_t)to, &it.target) < 0) {
        fprintf(stderr, "usage: %s PORT TARGET_ADDRESS TARGET_PORT [IDLE_SECONDS [CONNECT_SECONDS]]\n", argv[0]);
        return 2;
    }
    if (tg_loop_new(NULL, &it.loop) < 0) return 1;
    /* Whichever of the two is silent too long, both end: a relay counts for both of its sides. */
    client.idle_timeout_ns = server.idle_timeout_ns = seconds(argc, argv, 4);
    server.connect_timeout_ns = seconds(argc, argv, 5);
    client.on_close = on_client_close;
    client.user = &it;
    server.on_close = on_server_close;
    server.user = &it;
    it.to_server = server;
    options.on_accept = on_accept;
    options.user = &it;
    options.conn = &client;
    code = server_run(it.loop, port, &options);
    tg_loop_free(it.loop);
    printf("%u clients, %u ended well, %u broke; %llu bytes up, %llu bytes down\n", it.clients, it.ended, it.broken,
           (unsigned long long)it.up, (unsigned long long)it.down);
    return code < 0;
}
