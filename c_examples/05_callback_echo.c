/* 05: an echo server on the loop: every descriptor brings its own callback.
 *
 *   05_callback_echo [PORT]       (0 or nothing: any free port; ends on SIGTERM or SIGINT)
 *
 * Learnt here: no dispatching by hand, and no list of connections either: tg_loop_free closes what
 * is open and each release frees its connection, exactly once. A failed open has taken nothing, so
 * there the connection is still ours. Signals and time are watchers like any other. */
#include "echo.h"

typedef struct server {
    tg_loop loop;
    int fd;
    tg_handle listener, pause; /* the timer that wakes a listener which ran out of descriptors */
    unsigned served;
} server;

static void conn_released(void *user) { echo_free(user); }

static void on_conn(tg_handle self, void *user, uint32_t ready, int status)
{
    (void)ready;
    if (status < 0 || !echo_step(user)) {
        tg_close(self); /* the release, at the end of this turn, closes the descriptor */
        return;
    }
    tg_io_set_interest(self, echo_interest(user)); /* costs nothing when it does not differ */
}

static bool watch(server *it, echo_conn *conn)
{
    tg_io_options options = TG_IO_OPTIONS_INIT;
    tg_handle handle;
    options.callback = on_conn;
    options.user = conn;
    options.release = conn_released;
    return tg_io_open(it->loop, conn->fd, TG_READ, &options, &handle) >= 0;
}

static void on_listener(tg_handle self, void *user, uint32_t ready, int status)
{
    server *it = user;
    echo_conn *conn;
    int result;
    (void)ready;
    (void)status;
    while ((result = echo_accept(it->fd, &conn)) > 0) {
        it->served++;
        if (watch(it, conn)) continue;
        echo_free(conn);
        result = -1;
        break;
    }
    if (result < 0) {
        tg_io_set_interest(self, 0);
        tg_timer_start(it->pause, PAUSE_NS, 0);
    }
}

static void on_pause_over(tg_handle self, void *user, uint64_t missed)
{
    (void)self;
    (void)missed;
    tg_io_set_interest(((server *)user)->listener, TG_READ);
}

static void on_stop(tg_handle self, void *user, int signum, uint64_t count)
{
    (void)self;
    (void)signum;
    (void)count;
    tg_loop_stop(((server *)user)->loop);
}

static bool open_all(server *it)
{
    tg_io_options listening = TG_IO_OPTIONS_INIT;
    tg_timer_options timer = TG_TIMER_OPTIONS_INIT;
    tg_signal_options stopping = TG_SIGNAL_OPTIONS_INIT;
    tg_handle handle;
    listening.callback = on_listener;
    timer.callback = on_pause_over;
    stopping.callback = on_stop;
    listening.user = timer.user = stopping.user = it;
    return tg_io_open(it->loop, it->fd, TG_READ, &listening, &it->listener) >= 0 &&
           tg_timer_open(it->loop, -1, 0, &timer, &it->pause) >= 0 &&
           tg_signal_open(it->loop, SIGTERM, &stopping, &handle) >= 0 &&
           tg_signal_open(it->loop, SIGINT, &stopping, &handle) >= 0;
}

int main(int argc, char **argv)
{
    server it = { 0, -1, 0, 0, 0 };
    int result = 1, open_handles, port = parse_port(argc > 1 ? argv[1] : NULL);
    if (port < 0) return 2;
    if (tg_loop_new(NULL, &it.loop) < 0) return echo_failed("tg_loop_new");
    it.fd = echo_listen(port);
    if (it.fd >= 0 && !open_all(&it)) result = echo_failed("open");
    else if (it.fd >= 0) result = tg_loop_run(it.loop) == 1 ? 0 : echo_failed("tg_loop_run");
    open_handles = tg_loop_free(it.loop);
    printf("served %u connections, %d handles were open\n", it.served, open_handles);
    if (it.fd >= 0) close(it.fd);
    return result;
}
