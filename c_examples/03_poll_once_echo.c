/* 03: an echo server in the style of select(): one array of descriptors, one call that waits.
 *
 *   03_poll_once_echo [PORT]      (0 or nothing: any free port; ends on SIGTERM or SIGINT)
 *
 * Learnt here: tg_poll_once takes any number of descriptors with any numbers, keeps nothing between
 * calls and needs no object. Interest is chosen anew before each call: a connection with unsent
 * bytes waits to write and is not read. A negative descriptor is skipped: so the listener pauses. */
#include "echo.h"

enum { STOP, LISTENER, FIRST }; /* items[FIRST ..] are the connections, conns[] beside them */

typedef struct server {
    tg_poll_item *items;
    echo_conn **conns;
    size_t count, room;
    int listener;
} server;

static bool grow(server *it)
{
    size_t room = it->room == 0 ? 16 : it->room * 2;
    tg_poll_item *items = realloc(it->items, room * sizeof *items);
    echo_conn **conns;
    if (items == NULL) return false;
    it->items = items;
    conns = realloc(it->conns, room * sizeof *conns);
    if (conns == NULL) return false;
    it->conns = conns;
    it->room = room;
    return true;
}

static bool append(server *it, int fd, echo_conn *conn)
{
    if (it->count == it->room && !grow(it)) return false;
    it->items[it->count] = (tg_poll_item){ fd, TG_READ, 0 };
    it->conns[it->count++] = conn;
    return true;
}

static void accept_all(server *it)
{
    echo_conn *conn;
    int result;
    while ((result = echo_accept(it->listener, &conn)) > 0) {
        if (append(it, conn->fd, conn)) continue;
        echo_free(conn);
        result = -1;
        break;
    }
    if (result < 0) it->items[LISTENER].fd = -1; /* no room: left alone for a while */
}

static void serve_ready(server *it)
{
    size_t i = FIRST;
    while (i < it->count) {
        if (it->items[i].ready == 0) {
            i++;
        } else if (echo_step(it->conns[i])) {
            it->items[i].interest = echo_interest(it->conns[i]);
            i++;
        } else { /* the last one takes its place, with its own ready bits */
            echo_free(it->conns[i]);
            it->items[i] = it->items[--it->count];
            it->conns[i] = it->conns[it->count];
        }
    }
}

static int serve(server *it)
{
    for (;;) {
        bool paused = it->items[LISTENER].fd < 0;
        int ready = tg_poll_once(it->items, it->count, paused ? PAUSE_NS : -1, 0);
        if (ready < 0) return echo_failed("tg_poll_once");
        if (it->items[STOP].ready != 0) return 0;
        serve_ready(it);
        it->items[LISTENER].fd = it->listener;
        if (it->items[LISTENER].ready != 0) accept_all(it);
    }
}

int main(int argc, char **argv)
{
    server it = { NULL, NULL, 0, 0, -1 };
    int result = 1, stop, port = parse_port(argc > 1 ? argv[1] : NULL);
    if (port < 0) return 2;
    stop = echo_stop_fd();
    it.listener = echo_listen(port);
    if (stop < 0 || it.listener < 0) return 1;
    if (append(&it, stop, NULL) && append(&it, it.listener, NULL)) result = serve(&it);
    printf("closing %zu connections\n", it.count < FIRST ? 0 : it.count - FIRST);
    while (it.count > FIRST) echo_free(it.conns[--it.count]);
    free(it.items);
    free(it.conns);
    close(it.listener);
    close(echo_pipe[0]);
    close(echo_pipe[1]);
    return result;
}
