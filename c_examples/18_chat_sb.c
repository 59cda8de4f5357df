/* 18: a server that sends back what it gets in capitals, with "_SB" behind it, and says who is there.
 *
 *   18_chat_sb [PORT]             (0 or nothing: any free port; ends on SIGTERM or SIGINT)
 *
 * Learnt here: on_accept gives each connection a user of its own, with a release. Whatever ends the
 * connection (its peer, an error, the end of the loop), the release comes once, and nothing else has to
 * remember that there is something to free. */
#include "server.h"
#include <ctype.h>
#include <string.h>

typedef struct client {
    char name[128]; /* where it comes from: the system forgets that when a connection breaks */
    uint64_t received;
} client;

static void client_release(void *user)
{
    client *it = user;
    printf("%s is gone, %llu bytes came\n", it->name, (unsigned long long)it->received);
    free(it);
}

static void on_accept(tg_handle listener, void *user, tg_handle conn, const tg_address *peer)
{
    client *it = calloc(1, sizeof *it);
    (void)listener, (void)user;
    if (it == NULL || tg_handle_set_user(conn, it, client_release) < 0) {
        free(it); /* it was not taken */
        tg_close(conn);
        return;
    }
    tg_address_format(peer, it->name, sizeof it->name);
    printf("%s is here\n", it->name);
}

static void on_data(tg_handle conn, void *user, const void *data, size_t length)
{
    client *it = user;
    const unsigned char *from = data;
    char reply[4096 + 3];
    it->received += length;
    while (length > 0) {
        size_t n = length < 4096 ? length : 4096;
        for (size_t i = 0; i < n; i++) reply[i] = (char)toupper(from[i]);
        from += n;
        length -= n;
        if (length == 0) { /* once behind what came together */
            memcpy(reply + n, "_SB", 3);
            n += 3;
        }
        if (tg_conn_write(conn, reply, n) < 0) return; /* on_close, if there were one, would say why */
    }
}

int main(int argc, char **argv)
{
    tg_conn_options conn = TG_CONN_OPTIONS_INIT;
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
    int code, port = parse_port(argc > 1 ? argv[1] : NULL);
    tg_loop loop;
    if (port < 0) return 2;
    if (tg_loop_new(NULL, &loop) < 0) return 1;
    conn.on_data = on_data;
    options.on_accept = on_accept;
    options.conn = &conn;
    code = server_run(loop, port, &options);
    tg_loop_free(loop); /* closes what is still open; the releases come here */
    return code < 0;
}
