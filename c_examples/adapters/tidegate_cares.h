/* A c-ares channel on a Tidegate loop. Copy this file into your program; it is yours to change.
 *
 *     tg_cares dns;
 *     tg_cares_open(&dns, loop, &options, mask);      as ares_init_options (NULL, 0); 0, or a negative code
 *     ares_getaddrinfo(dns.channel, ...);             at any time, in its callbacks as well
 *     tg_cares_close(&dns);                           not in c-ares' callbacks; what is unanswered is told so
 *
 * Owns    the channel, a watcher for each of its sockets, a timer and a hook. They keep the loop going only while
 *         something is being asked (with ARES_FLAG_STAYOPEN: while a socket is open). What
 *         ares_init_options refuses comes back as TG_EINVAL. `dns` must stay where it is until tg_cares_close,
 *         which comes before the loop is freed.
 * Threads all of it on the loop's thread. Call ares_library_init first, as ever. */
#ifndef TIDEGATE_CARES_H
#define TIDEGATE_CARES_H

#include <ares.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <tidegate.h>

typedef struct tg_cares_socket {
    ares_socket_t fd;
    tg_handle watcher;
} tg_cares_socket;

typedef struct tg_cares {
    tg_loop loop;
    ares_channel channel;
    tg_handle timer, before_wait;
    tg_cares_socket *sockets; /* c-ares names a socket by its number only; there is about one for each server */
    size_t count, room;
} tg_cares;

static inline void tg_cares_on_ready(tg_handle self, void *user, uint32_t ready, int status)
{
    tg_cares *dns = user;
    tg_fd fd;
    if (tg_io_get_fd(self, &fd) < 0) return;
    if (status < 0) ready = TG_READ | TG_WRITE; /* somebody closed it: c-ares finds that out and tries elsewhere */
    ares_process_fd(dns->channel, (ready & TG_READ) != 0 ? fd : ARES_SOCKET_BAD,
                    (ready & TG_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
}

static inline void tg_cares_on_timer(tg_handle self, void *user, uint64_t missed)
{
    (void)self, (void)missed;
    ares_process_fd(((tg_cares *)user)->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* c-ares does not say when its next timeout changes: a query on an open socket tells nobody. So it is asked before
 * each wait, but only while it has a socket. */
static inline void tg_cares_before_wait(tg_handle self, void *user)
{
    tg_cares *dns = user;
    struct timeval left;
    (void)self;
    if (ares_timeout(dns->channel, NULL, &left) == NULL) tg_timer_stop(dns->timer);
    else tg_timer_start(dns->timer, (int64_t)left.tv_sec * 1000000000 + (int64_t)left.tv_usec * 1000, 0);
}

/* Where a socket is in the list; a new place when it has none; NULL when there is no memory for one. */
static inline tg_cares_socket *tg_cares_find(tg_cares *dns, ares_socket_t fd)
{
    tg_cares_socket new_socket = { 0, 0 };
    size_t i;
    for (i = 0; i < dns->count; i++)
        if (dns->sockets[i].fd == fd) return &dns->sockets[i];
    if (dns->count == dns->room) {
        size_t room = dns->room == 0 ? 8 : 2 * dns->room;
        tg_cares_socket *larger = realloc(dns->sockets, room * sizeof *larger);
        if (larger == NULL) return NULL;
        dns->sockets = larger;
        dns->room = room;
    }
    new_socket.fd = fd;
    dns->sockets[dns->count] = new_socket;
    return &dns->sockets[dns->count++];
}

/* c-ares says what it wants of a socket; of one that it is about to close: nothing. It takes no answer, so a socket
 * that cannot be watched is a query that ends by its timeout. */
static inline void tg_cares_on_state(void *user, ares_socket_t fd, int readable, int writable)
{
    tg_cares *dns = user;
    tg_cares_socket *found = tg_cares_find(dns, fd);
    uint32_t interest = (readable ? TG_READ : 0) | (writable ? TG_WRITE : 0);
    tg_io_options options = TG_IO_OPTIONS_INIT;
    if (found == NULL) return;
    if (interest == 0) {
        tg_close(found->watcher);
        *found = dns->sockets[--dns->count];
        if (dns->count == 0) {
            tg_hook_stop(dns->before_wait);
            tg_timer_stop(dns->timer);
        }
        return;
    }
    tg_hook_start(dns->before_wait);
    if (tg_io_set_interest(found->watcher, interest) == 0) return;
    tg_close(found->watcher); /* there is none yet, or it lost its descriptor */
    options.callback = tg_cares_on_ready;
    options.user = dns;
    tg_io_open(dns->loop, fd, interest, &options, &found->watcher);
}

static inline void tg_cares_close(tg_cares *dns)
{
    if (dns->channel != NULL) ares_destroy(dns->channel); /* closes its sockets, and so their watchers */
    tg_close(dns->before_wait);
    tg_close(dns->timer);
    free(dns->sockets);
    memset(dns, 0, sizeof *dns);
}

static inline int tg_cares_open(tg_cares *dns, tg_loop loop, const struct ares_options *options, int mask)
{
    tg_hook_options hook = TG_HOOK_OPTIONS_INIT;
    tg_timer_options timer = TG_TIMER_OPTIONS_INIT;
    struct ares_options with_state;
    int code;
    memset(dns, 0, sizeof *dns);
    memset(&with_state, 0, sizeof with_state);
    if (options != NULL) with_state = *options;
    with_state.sock_state_cb = tg_cares_on_state;
    with_state.sock_state_cb_data = dns;
    dns->loop = loop;
    hook.callback = tg_cares_before_wait;
    timer.callback = tg_cares_on_timer;
    hook.user = timer.user = dns;
    hook.flags = TG_UNREF; /* the sockets keep the loop alive, not the hook */
    code = tg_timer_open(loop, -1, 0, &timer, &dns->timer);
    if (code == 0) code = tg_prepare_open(loop, &hook, &dns->before_wait);
    if (code == 0) code = tg_hook_stop(dns->before_wait);
    if (code == 0 && ares_init_options(&dns->channel, &with_state, mask | ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS) {
        dns->channel = NULL;
        code = TG_EINVAL;
    }
    if (code < 0) tg_cares_close(dns);
    return code;
}

#endif
