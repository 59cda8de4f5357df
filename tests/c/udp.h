/* Fixtures of the tests of datagrams: a peer that notes what comes, and may answer. */
#ifndef TIDEGATE_TEST_UDP_H
#define TIDEGATE_TEST_UDP_H

#include "support.h"

typedef struct peer peer;
struct peer {
    tg_loop loop;
    tg_handle id;
    tg_address name;             /* its own */
    uint64_t datagrams, bytes;
    uint64_t callbacks;
    size_t most;                 /* in one callback */
    unsigned char first[64];     /* the beginning of the last datagram */
    size_t length;               /* of the last datagram */
    uint32_t flags, segment_size;
    tg_address from;             /* of the last one */
    int errors, last_status, drains, released;
    tg_address blamed;           /* of the last error; family 0: it had none */
    bool echo;
    uint64_t enough;             /* closes itself at so many datagrams; 0: never */
    void (*at_datagrams)(peer *);
    const tg_datagram *current;  /* while it is called */
};

static inline void peer_on_datagrams(tg_handle self, void *user, const tg_datagram *all, size_t count)
{
    peer *it = user;
    CHECK_EQ(self, it->id);
    CHECK(count >= 1 && count <= 64);
    it->callbacks++;
    if (count > it->most) it->most = count;
    for (size_t i = 0; i < count; i++) {
        it->datagrams++;
        it->bytes += all[i].length;
        it->length = all[i].length;
        it->flags = all[i].flags;
        it->segment_size = all[i].segment_size;
        it->from = *all[i].from;
        memcpy(it->first, all[i].data, all[i].length < sizeof it->first ? all[i].length : sizeof it->first);
        if (it->echo) CHECK_CODE(tg_udp_send(self, all[i].from, all[i].data, all[i].length), 0);
    }
    it->current = all;
    if (it->at_datagrams != NULL) it->at_datagrams(it);
    it->current = NULL;
    if (it->enough != 0 && it->datagrams >= it->enough) CHECK_CODE(tg_close(self), 0);
}

static inline void peer_on_error(tg_handle self, void *user, int status, const tg_address *whose)
{
    peer *it = user;
    CHECK_EQ(self, it->id);
    it->errors++;
    it->last_status = status;
    memset(&it->blamed, 0, sizeof it->blamed);
    if (whose != NULL) it->blamed = *whose;
}

static inline void peer_on_drain(tg_handle self, void *user)
{
    CHECK_EQ(self, ((peer *)user)->id);
    ((peer *)user)->drains++;
}

static inline void peer_released(void *user) { ((peer *)user)->released++; }

static inline tg_address address_of(const char *ip, uint16_t port)
{
    tg_address address;
    MUST(tg_address_parse(ip, port, &address) == 0);
    return address;
}

/* An abstract name of its own, or none. */
static inline tg_address unix_name(const char *what)
{
    char name[64] = { 0 };
    tg_address address;
    int length = what == NULL ? 0 : 1 + snprintf(name + 1, sizeof name - 1, "tg-%d-%s", (int)getpid(), what);
    MUST(tg_address_unix(name, (size_t)length, &address) == 0);
    return address;
}

static inline tg_udp_options peer_options(peer *it)
{
    tg_udp_options options = TG_UDP_OPTIONS_INIT;
    options.callback = peer_on_datagrams;
    options.on_error = peer_on_error;
    options.on_drain = peer_on_drain;
    options.user = it;
    options.release = peer_released;
    return options;
}

static inline int peer_try(peer *it, tg_loop loop, tg_address local, const tg_udp_options *with)
{
    tg_udp_options options = with != NULL ? *with : peer_options(it);
    int code;
    it->loop = loop;
    options.user = it;
    code = tg_udp_open(loop, &local, &options, &it->id);
    if (code == 0) MUST(tg_udp_get_local(it->id, &it->name) == 0);
    return code;
}

static inline void peer_open_with(peer *it, tg_loop loop, tg_address local, const tg_udp_options *with)
{
    memset(it, 0, sizeof *it);
    MUST(peer_try(it, loop, local, with) == 0);
}

static inline void peer_open(peer *it, tg_loop loop, const char *ip)
{
    peer_open_with(it, loop, address_of(ip, 0), NULL);
}

static inline tg_udp_stats udp_stats_of(tg_handle udp)
{
    tg_udp_stats stats = TG_UDP_STATS_INIT;
    MUST(tg_udp_get_stats(udp, &stats) == 0);
    return stats;
}

/* Turns until what is counted has come so far: the wait of each ends when something happens. */
static inline void run_until(tg_loop loop, const uint64_t *count, uint64_t enough)
{
    while (*count < enough) MUST(tg_loop_run_once(loop) >= 0);
}

static inline void run_until_error(tg_loop loop, const peer *it, int errors)
{
    while (it->errors < errors) MUST(tg_loop_run_once(loop) >= 0);
}

static inline bool same_address(const tg_address *a, const tg_address *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0
           && a->path_length == b->path_length && memcmp(a->path, b->path, a->path_length) == 0;
}

/* A port on which nobody listens: it was just given back. */
static inline tg_address dead_port(const char *ip)
{
    tg_loop loop = new_loop();
    peer gone;
    peer_open(&gone, loop, ip);
    CHECK_CODE(tg_loop_free(loop), 1);
    return gone.name;
}

static inline bool has_v6(void)
{
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 address;
    bool can;
    memset(&address, 0, sizeof address);
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    can = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) close(fd);
    return can;
}

#endif
