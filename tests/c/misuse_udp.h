/* The misuse sweep of datagrams. */
#ifndef TIDEGATE_TEST_MISUSE_UDP_H
#define TIDEGATE_TEST_MISUSE_UDP_H

#include "misuse_open.h"

static tg_handle udp_handle; /* open in the bench's loop while udp_begin() is in force */

static void misuse_on_datagrams(tg_handle self, void *user, const tg_datagram *all, size_t count)
{
    (void)self, (void)all, (void)count;
    if (user != NULL) ((counter *)user)->calls++;
}

static void udp_begin(void)
{
    tg_udp_options options = TG_UDP_OPTIONS_INIT;
    tg_address local;
    options.callback = misuse_on_datagrams;
    MUST(tg_address_parse("127.0.0.1", 0, &local) == 0);
    MUST(tg_udp_open(on.loop, &local, &options, &udp_handle) == 0);
    MUST(tg_loop_dump(on.loop, on.dump, sizeof on.dump) > 0);
}

/* What was refused has changed nothing here, either. */
static void udp_end(void)
{
    tg_udp_stats stats = TG_UDP_STATS_INIT;
    CHECK_CODE(tg_udp_get_stats(udp_handle, &stats), 0);
    CHECK_EQ(stats.sent + stats.queued + stats.lost, 0);
    CHECK_CODE(tg_close(udp_handle), 0);
}

static tg_address misuse_address(const char *ip)
{
    tg_address address;
    MUST(tg_address_parse(ip, 9, &address) == 0);
    return address;
}

#define UDP_OF_ID(name) HANDLE_OF(TG_KIND_UDP, name)

OF_ID(udp_open_id, OPTIONS(tg_udp_options, misuse_on_datagrams);
      int code = tg_udp_open(id, NULL, &options, &out); UNTOUCHED(out, 7); return code;)
OF_ID(udp_adopt_id, OPTIONS(tg_udp_options, misuse_on_datagrams);
      int fd = socket(AF_INET, SOCK_DGRAM, 0), code = tg_udp_adopt(id, fd, &options, &out);
      UNTOUCHED(out, 7); CHECK_EQ(close(fd), 0); return code;)

static void sweep_udp_open(void)
{
    OPTIONS(tg_udp_options, misuse_on_datagrams);
    tg_address wrong = { 0, 0, 0, 0, { 0 }, { 0 } };
    tg_address local = misuse_address("127.0.0.1");
    local.port = 0;
    LOOP_ID(udp_open_id);
    REFUSED(TG_EINVAL, tg_udp_open(on.loop, NULL, &options, NULL));
    REFUSED(TG_EINVAL, tg_udp_open(on.loop, NULL, NULL, &out));
    REFUSED(TG_EINVAL, tg_udp_open(on.loop, &wrong, &options, &out));
    wrong.family = TG_UNIX;
    wrong.path_length = 109;
    REFUSED(TG_EINVAL, tg_udp_open(on.loop, &wrong, &options, &out));
    wrong = misuse_address("203.0.113.1");
    REFUSED(-EADDRNOTAVAIL, tg_udp_open(on.loop, &wrong, &options, &out));
    BAD_OPTIONS(tg_udp_open(on.loop, NULL, &options, &out));
    BAD_RESERVED(tg_udp_open(on.loop, NULL, &options, &out));
    BAD_FUNCTIONS(tg_udp_options, tg_udp_open(on.loop, NULL, &bare, &out),
                  tg_udp_open(on.batch, NULL, &bare, &out));
    options.flags = TG_UDP_V6_ONLY;
    REFUSED(TG_EINVAL, tg_udp_open(on.loop, &local, &options, &out));
    options.flags = TG_UDP_GRO;
    options.receive_size = 65534;
    REFUSED(TG_EINVAL, tg_udp_open(on.loop, NULL, &options, &out));
    options.flags = 0;
    options.receive_size = 1048577;
    REFUSED(TG_EINVAL, tg_udp_open(on.loop, NULL, &options, &out));
    options.receive_size = UINT32_MAX;
    REFUSED(TG_EINVAL, tg_udp_open(on.loop, NULL, &options, &out));
    UNTOUCHED(out, 7);
}

static void sweep_udp_adopt(void)
{
    OPTIONS(tg_udp_options, misuse_on_datagrams);
    int fd = socket(AF_INET, SOCK_DGRAM, 0), file = temporary_file();
    LOOP_ID(udp_adopt_id);
    REFUSED(TG_EINVAL, tg_udp_adopt(on.loop, fd, &options, NULL));
    REFUSED(TG_EINVAL, tg_udp_adopt(on.loop, fd, NULL, &out));
    REFUSED(TG_EBADFD, tg_udp_adopt(on.loop, -1, &options, &out));
    REFUSED(TG_EBADFD, tg_udp_adopt(on.loop, INT32_MAX, &options, &out));
    REFUSED(TG_EBADFD, tg_udp_adopt(on.loop, INT32_MIN, &options, &out));
    REFUSED(TG_EBADFD, tg_udp_adopt(on.loop, on.closed_fd, &options, &out));
    REFUSED(TG_EINVAL, tg_udp_adopt(on.loop, file, &options, &out));
    REFUSED(TG_EINVAL, tg_udp_adopt(on.loop, on.ends[1], &options, &out));
    BAD_OPTIONS(tg_udp_adopt(on.loop, fd, &options, &out));
    BAD_RESERVED(tg_udp_adopt(on.loop, fd, &options, &out));
    BAD_FUNCTIONS(tg_udp_options, tg_udp_adopt(on.loop, fd, &bare, &out),
                  tg_udp_adopt(on.batch, fd, &bare, &out));
    options.flags = TG_UDP_REUSE_ADDRESS;
    REFUSED(TG_EINVAL, tg_udp_adopt(on.loop, fd, &options, &out));
    UNTOUCHED(out, 7);
    CHECK_EQ(close(fd), 0); /* it has stayed ours */
    CHECK_EQ(close(file), 0);
}

OF_ID(udp_send_id, tg_address to = misuse_address("127.0.0.1"); return tg_udp_send(id, &to, "x", 1);)
OF_ID(udp_many_id, tg_address to = misuse_address("127.0.0.1"); tg_outgoing one = { &to, "x", 1 };
      return tg_udp_send_many(id, &one, 1);)
OF_ID(udp_segments_id, tg_address to = misuse_address("127.0.0.1");
      return tg_udp_send_segments(id, &to, "xy", 2, 1);)
OF_ID(udp_connect_id, tg_address to = misuse_address("127.0.0.1"); return tg_udp_connect(id, &to);)
OF_ID(udp_disconnect_id, return tg_udp_disconnect(id);)
OF_ID(udp_local_id, tg_address out = { 7, 0, 0, 0, { 0 }, { 0 } }; int code = tg_udp_get_local(id, &out);
      UNTOUCHED(out.family, 7); return code;)
OF_ID(udp_peer_id, tg_address out = { 7, 0, 0, 0, { 0 }, { 0 } }; int code = tg_udp_get_peer(id, &out);
      UNTOUCHED(out.family, 7); return code;)
OF_ID(udp_fd_id, tg_fd out = 7; int code = tg_udp_get_fd(id, &out); UNTOUCHED(out, 7); return code;)
OF_ID(udp_stats_id, tg_udp_stats out = TG_UDP_STATS_INIT; int code; out.sent = 7;
      code = tg_udp_get_stats(id, &out); UNTOUCHED(out.sent, 7); return code;)
OF_ID(udp_buffers_id, uint32_t a = 7; uint32_t b = 7; int code = tg_udp_get_buffers(id, &a, &b);
      UNTOUCHED(a + b, 14); return code;)
OF_ID(udp_set_buffers_id, return tg_udp_set_buffers(id, 1, 1);)
OF_ID(udp_broadcast_id, return tg_udp_set_broadcast(id, 1);)
OF_ID(udp_ttl_id, return tg_udp_set_ttl(id, 1);)
OF_ID(udp_multicast_ttl_id, return tg_udp_set_multicast_ttl(id, 1);)
OF_ID(udp_multicast_loop_id, return tg_udp_set_multicast_loop(id, 1);)
OF_ID(udp_multicast_interface_id, return tg_udp_set_multicast_interface(id, 0, NULL);)
OF_ID(udp_join_id, tg_address group = misuse_address("239.0.0.1"); return tg_udp_join(id, &group, 0, NULL, NULL);)
OF_ID(udp_leave_id, tg_address group = misuse_address("239.0.0.1"); return tg_udp_leave(id, &group, 0, NULL, NULL);)
OF_ID(udp_pause_id, return tg_udp_pause(id);)
OF_ID(udp_resume_id, return tg_udp_resume(id);)

/* The wrong receivers of a datagram; `call` uses `to`. */
#define BAD_RECEIVERS(call)                                                   \
    do {                                                                      \
        tg_address places[3], *to = NULL;                                     \
        memset(places, 0, sizeof places);                                     \
        places[1] = misuse_address("::1");                                    \
        MUST(tg_address_unix("/x", 2, &places[2]) == 0);                      \
        REFUSED(TG_EINVAL, call); /* it is not connected */                   \
        for (int i = 0; i < 3; i++) {                                         \
            to = &places[i];                                                  \
            REFUSED(TG_EINVAL, call);                                         \
        }                                                                     \
    } while (0)

static void sweep_udp_send(void)
{
    tg_address good = misuse_address("127.0.0.1");
    udp_begin();
    UDP_OF_ID(udp_send_id);
    BAD_RECEIVERS(tg_udp_send(udp_handle, to, "x", 1));
    REFUSED(TG_EINVAL, tg_udp_send(udp_handle, &good, NULL, 1));
    REFUSED(TG_EINVAL, tg_udp_send(udp_handle, &good, "x", SIZE_MAX));
    udp_end();
}

static void sweep_udp_send_many(void)
{
    tg_address good = misuse_address("127.0.0.1");
    tg_outgoing two[2] = { { &good, "x", 1 }, { &good, NULL, 1 } };
    udp_begin();
    UDP_OF_ID(udp_many_id);
    REFUSED(TG_EINVAL, tg_udp_send_many(udp_handle, NULL, 1));
    REFUSED(TG_EINVAL, tg_udp_send_many(udp_handle, two, SIZE_MAX));
    REFUSED(TG_EINVAL, tg_udp_send_many(udp_handle, two, 2)); /* the first one was not sent, either */
    two[1].data = "y";
    BAD_RECEIVERS((two[1].to = to, tg_udp_send_many(udp_handle, two, 2)));
    CHECK_CODE(tg_udp_send_many(udp_handle, NULL, 0), 0);
    udp_end();
}

static void sweep_udp_send_segments(void)
{
    tg_address good = misuse_address("127.0.0.1");
    udp_begin();
    UDP_OF_ID(udp_segments_id);
    BAD_RECEIVERS(tg_udp_send_segments(udp_handle, to, "xy", 2, 1));
    REFUSED(TG_EINVAL, tg_udp_send_segments(udp_handle, &good, "xy", 2, 0));
    REFUSED(TG_EINVAL, tg_udp_send_segments(udp_handle, &good, NULL, 2, 1));
    udp_end();
}

static void sweep_udp_connect(void)
{
    udp_begin();
    UDP_OF_ID(udp_connect_id);
    BAD_RECEIVERS(tg_udp_connect(udp_handle, to));
    udp_end();
}

#define UDP_SWEEP(name, ...)         \
    static void sweep_udp_##name(void) \
    {                                \
        udp_begin();                 \
        __VA_ARGS__                  \
        udp_end();                   \
    }

UDP_SWEEP(disconnect, UDP_OF_ID(udp_disconnect_id);)
UDP_SWEEP(pause, UDP_OF_ID(udp_pause_id);)
UDP_SWEEP(resume, UDP_OF_ID(udp_resume_id);)
UDP_SWEEP(set_buffers, UDP_OF_ID(udp_set_buffers_id);)
UDP_SWEEP(set_broadcast, UDP_OF_ID(udp_broadcast_id);)
UDP_SWEEP(set_multicast_loop, UDP_OF_ID(udp_multicast_loop_id);)
UDP_SWEEP(get_local, UDP_OF_ID(udp_local_id); REFUSED(TG_EINVAL, tg_udp_get_local(udp_handle, NULL));)
UDP_SWEEP(get_peer, UDP_OF_ID(udp_peer_id); REFUSED(TG_EINVAL, tg_udp_get_peer(udp_handle, NULL));)
UDP_SWEEP(get_fd, UDP_OF_ID(udp_fd_id); REFUSED(TG_EINVAL, tg_udp_get_fd(udp_handle, NULL));)
UDP_SWEEP(get_buffers, uint32_t out = 7; UDP_OF_ID(udp_buffers_id);
          REFUSED(TG_EINVAL, tg_udp_get_buffers(udp_handle, NULL, &out));
          REFUSED(TG_EINVAL, tg_udp_get_buffers(udp_handle, &out, NULL)); UNTOUCHED(out, 7);)
UDP_SWEEP(set_ttl, UDP_OF_ID(udp_ttl_id); REFUSED(TG_EINVAL, tg_udp_set_ttl(udp_handle, 0));
          REFUSED(TG_EINVAL, tg_udp_set_ttl(udp_handle, 256));
          REFUSED(TG_EINVAL, tg_udp_set_ttl(udp_handle, UINT32_MAX));)
UDP_SWEEP(set_multicast_ttl, UDP_OF_ID(udp_multicast_ttl_id);
          REFUSED(TG_EINVAL, tg_udp_set_multicast_ttl(udp_handle, 256));
          REFUSED(TG_EINVAL, tg_udp_set_multicast_ttl(udp_handle, UINT32_MAX));)
UDP_SWEEP(get_stats, tg_udp_stats out = TG_UDP_STATS_INIT; UDP_OF_ID(udp_stats_id);
          REFUSED(TG_EINVAL, tg_udp_get_stats(udp_handle, NULL)); out.size = 0; out.sent = 7;
          REFUSED(TG_EINVAL, tg_udp_get_stats(udp_handle, &out)); out.size = SIZE_MAX;
          REFUSED(TG_EINVAL, tg_udp_get_stats(udp_handle, &out)); UNTOUCHED(out.sent, 7);)

static void sweep_udp_set_multicast_interface(void)
{
    tg_address four = misuse_address("127.0.0.1"), six = misuse_address("::1");
    udp_begin();
    UDP_OF_ID(udp_multicast_interface_id);
    REFUSED(TG_EINVAL, tg_udp_set_multicast_interface(udp_handle, 1, &four));
    REFUSED(TG_EINVAL, tg_udp_set_multicast_interface(udp_handle, 0, &six));
    REFUSED(TG_EINVAL, tg_udp_set_multicast_interface(udp_handle, UINT32_MAX, NULL));
    memset(&four, 0, sizeof four);
    REFUSED(TG_EINVAL, tg_udp_set_multicast_interface(udp_handle, 0, &four));
    udp_end();
}

typedef int (*membership_call)(tg_handle udp, const tg_address *group, uint32_t index,
                               const tg_address *interface_address, const tg_address *source);

static void sweep_membership(membership_call call)
{
    tg_address none, plain = misuse_address("127.0.0.1"), group = misuse_address("239.0.0.1");
    tg_address six = misuse_address("ff01::1"), plain_six = misuse_address("::1");
    memset(&none, 0, sizeof none);
    REFUSED(TG_EINVAL, call(udp_handle, NULL, 0, NULL, NULL));
    REFUSED(TG_EINVAL, call(udp_handle, &none, 0, NULL, NULL));
    REFUSED(TG_EINVAL, call(udp_handle, &plain, 0, NULL, NULL)); /* no group */
    REFUSED(TG_EINVAL, call(udp_handle, &group, 1, &plain, NULL));
    REFUSED(TG_EINVAL, call(udp_handle, &group, 0, &plain_six, NULL));
    REFUSED(TG_EINVAL, call(udp_handle, &group, 0, &none, NULL));
    REFUSED(TG_EINVAL, call(udp_handle, &group, 0, NULL, &none));
    REFUSED(TG_EINVAL, call(udp_handle, &group, 0, NULL, &plain_six));
    REFUSED(TG_EINVAL, call(udp_handle, &six, 0, NULL, &plain));
    REFUSED(TG_EINVAL, call(udp_handle, &six, 0, &plain, NULL));
    REFUSED(TG_EINVAL, call(udp_handle, &group, UINT32_MAX, NULL, NULL));
}

UDP_SWEEP(join, UDP_OF_ID(udp_join_id); sweep_membership(tg_udp_join);)
UDP_SWEEP(leave, UDP_OF_ID(udp_leave_id); sweep_membership(tg_udp_leave);)

#define UDP_ROWS                                                                                \
    ROW(udp_adopt), ROW(udp_connect), ROW(udp_disconnect), ROW(udp_get_buffers), ROW(udp_get_fd), \
    ROW(udp_get_local), ROW(udp_get_peer), ROW(udp_get_stats), ROW(udp_join), ROW(udp_leave),   \
    ROW(udp_open), ROW(udp_pause), ROW(udp_resume), ROW(udp_send), ROW(udp_send_many),          \
    ROW(udp_send_segments), ROW(udp_set_broadcast), ROW(udp_set_buffers),                       \
    ROW(udp_set_multicast_interface), ROW(udp_set_multicast_loop), ROW(udp_set_multicast_ttl),  \
    ROW(udp_set_ttl),

#endif
