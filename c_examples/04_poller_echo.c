/* 04: an echo server in the style of epoll: descriptors are registered once, only ready ones return.
 *
 *   04_poller_echo [PORT]         (0 or nothing: any free port; ends on SIGTERM or SIGINT)
 *
 * Learnt here: tg_poller_add / modify / remove / wait; `data` comes back untouched with each event;
 * a modify is a system call, so it is made only when the interest differs; a descriptor is removed
 * before it is closed; a descriptor has one event a wait, so its client can be freed on the spot. */
#include "echo.h"

#define BATCH 64

typedef struct client {
    echo_conn *conn;
    uint32_t interest;
    bool dead;
    struct client *previous, *next; /* all of them, so that the end can free them */
} client;

typedef struct server {
    tg_poller poller;
    int listener, stop;
    bool paused;
    client *clients;
} server;

static void client_free(server *it, client *who)
{
    tg_poller_remove(it->poller, who->conn->fd);
    if (who->previous != NULL) who->previous->next = who->next;
    else it->clients = who->next;
    if (who->next != NULL) who->next->previous = who->previous;
    echo_free(who->conn);
    free(who);
}

static bool client_new(server *it, echo_conn *conn)
{
    client *who = calloc(1, sizeof *who);
    if (who == NULL) return false;
    who->conn = conn;
    who->interest = TG_READ;
    if (tg_poller_add(it->poller, conn->fd, TG_READ, TG_LEVEL, (uint64_t)(uintptr_t)who) < 0) {
        free(who);
        return false;
    }
    who->next = it->clients;
    if (who->next != NULL) who->next->previous = who;
    it->clients = who;
    return true;
}

static void accept_all(server *it)
{
    echo_conn *conn;
    int result;
    while ((result = echo_accept(it->listener, &conn)) > 0) {
        if (client_new(it, conn)) continue;
        echo_free(conn);
        result = -1;
        break;
    }
    if (result < 0) it->paused = tg_poller_remove(it->poller, it->listener) == 0;
}

static void step(server *it, client *who)
{
    uint32_t wanted;
    who->dead = !echo_step(who->conn);
    wanted = echo_interest(who->conn);
    if (who->dead || wanted == who->interest) return;
    who->interest = wanted;
    who->dead = tg_poller_modify(it->poller, who->conn->fd, wanted, TG_LEVEL,
                                 (uint64_t)(uintptr_t)who) < 0;
}

/* data 0 is the stop pipe, 1 the listener, anything else a client. */
static int serve(server *it)
{
    tg_poller_event events[BATCH];
    if (tg_poller_add(it->poller, it->stop, TG_READ, TG_LEVEL, 0) < 0) return echo_failed("add");
    if (tg_poller_add(it->poller, it->listener, TG_READ, TG_LEVEL, 1) < 0) return echo_failed("add");
    for (;;) {
        int i, n = tg_poller_wait(it->poller, events, BATCH, it->paused ? PAUSE_NS : -1);
        if (n < 0) return echo_failed("tg_poller_wait");
        if (it->paused && tg_poller_add(it->poller, it->listener, TG_READ, TG_LEVEL, 1) == 0)
            it->paused = false;
        for (i = 0; i < n; i++) {
            client *who = (client *)(uintptr_t)events[i].data;
            if (events[i].data == 0) return 0;
            if (events[i].data == 1) accept_all(it);
            else step(it, who);
            if (events[i].data > 1 && who->dead) client_free(it, who);
        }
    }
}

int main(int argc, char **argv)
{
    server it = { 0, -1, -1, false, NULL };
    int result, port = parse_port(argc > 1 ? argv[1] : NULL);
    if (port < 0) return 2;
    it.stop = echo_stop_fd();
    it.listener = echo_listen(port);
    if (it.stop < 0 || it.listener < 0) return 1;
    if (tg_poller_new(NULL, &it.poller) < 0) return echo_failed("tg_poller_new");
    result = serve(&it);
    while (it.clients != NULL) client_free(&it, it.clients);
    tg_poller_free(it.poller);
    close(it.listener);
    close(echo_pipe[0]);
    close(echo_pipe[1]);
    return result;
}
