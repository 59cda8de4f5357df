/* 12: a UDP echo server.
 *
 * Learnt here: datagrams come in arrays, many from one system call, and go back the same way
 * (tg_udp_send_many); an empty datagram is a datagram; errors of the network are told and change
 * nothing; a datagram that cannot be sent is the peer's to ask for again. Try it:
 *
 *   ./12_udp_echo 9999 &   printf hello | nc -u -w1 127.0.0.1 9999 */
#include "port.h"
#include <signal.h>
#include <tidegate.h>

enum { MOST = 64 }; /* a callback never gets more */

typedef struct server {
    tg_handle udp, stop[2];
    unsigned long echoed, dropped, reported;
} server;

static void on_datagrams(tg_handle self, void *user, const tg_datagram *datagrams, size_t count)
{
    server *it = user;
    tg_outgoing replies[MOST];
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        replies[i].to = datagrams[i].from;
        replies[i].data = datagrams[i].data;
        replies[i].length = datagrams[i].length;
    }
    while (done < count) {
        int taken = tg_udp_send_many(self, replies + done, count - done);
        if (taken < 0) { /* this one cannot go (its peer is unreachable, the queue is full): the next may */
            it->dropped++;
            taken = 1;
        } else {
            it->echoed += (unsigned long)taken;
        }
        done += (size_t)taken;
    }
}

static void on_error(tg_handle self, void *user, int status, const tg_address *peer)
{
    server *it = user;
    char name[128] = "somebody";
    (void)self;
    if (peer != NULL) tg_address_format(peer, name, sizeof name);
    if (it->reported++ < 3) fprintf(stderr, "to %s: %s\n", name, tg_strerror(status));
}

static void on_stop(tg_handle self, void *user, int signum, uint64_t count)
{
    server *it = user;
    (void)self, (void)signum, (void)count;
    tg_close(it->udp);
    tg_close(it->stop[0]);
    tg_close(it->stop[1]); /* nothing is open any more: the run ends */
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tg_last_error());
    return 1;
}

static int open_all(tg_loop loop, server *it, uint16_t port)
{
    static const int signals[2] = { SIGINT, SIGTERM };
    tg_udp_options options = TG_UDP_OPTIONS_INIT;
    tg_signal_options stop = TG_SIGNAL_OPTIONS_INIT;
    tg_address local;

    options.callback = on_datagrams;
    options.on_error = on_error;
    options.user = it;
    if (tg_address_parse("127.0.0.1", port, &local) < 0) return failed("tg_address_parse");
    if (tg_udp_open(loop, &local, &options, &it->udp) < 0) return failed("tg_udp_open");
    stop.callback = on_stop;
    stop.user = it;
    for (int i = 0; i < 2; i++)
        if (tg_signal_open(loop, signals[i], &stop, &it->stop[i]) < 0) return failed("tg_signal_open");
    if (tg_udp_get_local(it->udp, &local) < 0) return failed("tg_udp_get_local");
    printf("listening on 127.0.0.1:%u\n", (unsigned)local.port);
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    server it = { 0, { 0, 0 }, 0, 0, 0 };
    int port = parse_port(argc > 1 ? argv[1] : NULL);
    tg_loop loop;

    if (port < 0) return 2;
    if (tg_loop_new(NULL, &loop) < 0) return failed("tg_loop_new");
    if (open_all(loop, &it, (uint16_t)port) != 0) return 1;
    if (tg_loop_run(loop) < 0) return failed("tg_loop_run");
    printf("%lu echoed, %lu dropped\n", it.echoed, it.dropped);
    return tg_loop_free(loop); /* how many handles were still open: 0 */
}
