/* Datagrams: there and back over every family, how many a call, sizes, connecting, the send queue, stats. */
#include "udp.h"

static void echo_between(tg_address one, tg_address other)
{
    tg_loop loop = new_loop();
    peer server, client;
    peer_open_with(&server, loop, one, NULL);
    peer_open_with(&client, loop, other, NULL);
    server.echo = true;
    for (size_t length = 0; length <= 40; length += 20) {
        uint64_t before = client.datagrams;
        CHECK_CODE(tg_udp_send(client.id, &server.name, "0123456789abcdefghijklmnopqrstuvwxyzABCD", length), 0);
        run_until(loop, &client.datagrams, before + 1);
        CHECK_EQ(client.length, length);
        CHECK(memcmp(client.first, "0123456789abcdefghijklmnopqrstuvwxyzABCD", length) == 0);
        CHECK(same_address(&client.from, &server.name));
        CHECK(same_address(&server.from, &client.name));
    }
    CHECK_EQ(client.errors + server.errors, 0);
    CHECK_EQ(client.segment_size + client.flags, 0);
    free_loop(loop, 2);
    CHECK_EQ(server.released + client.released, 2);
}

/* mutation: an empty datagram is taken for nothing. */
static void h47_there_and_back_over_every_family(void)
{
    echo_between(address_of("127.0.0.1", 0), address_of("127.0.0.1", 0));
    echo_between(unix_name("a"), unix_name("b"));
    if (has_v6()) echo_between(address_of("::1", 0), address_of("::1", 0));
    else SKIP_PART("echo over IPv6", "the machine has no IPv6");
}

/* A socket of both families names the others by what they are; one of IPv6 only refuses.
 * mutation: addresses of IPv4 are not unmapped; V6ONLY is left to the system. */
static void both_families_on_one_socket(void)
{
    tg_loop loop = new_loop();
    tg_udp_options options;
    peer server, four, six, only;
    tg_address to;
    if (!has_v6()) {
        SKIP("both families", "the machine has no IPv6");
        free_loop(loop, 0);
        return;
    }
    peer_open(&server, loop, "::");
    peer_open(&four, loop, "127.0.0.1");
    peer_open(&six, loop, "::1");
    server.echo = true;
    to = address_of("127.0.0.1", server.name.port);
    CHECK_CODE(tg_udp_send(four.id, &to, "four", 4), 0);
    run_until(loop, &four.datagrams, 1);
    CHECK_EQ(server.from.family, TG_IPV4);
    CHECK(same_address(&server.from, &four.name));
    CHECK(same_address(&four.from, &to));
    to = address_of("::1", server.name.port);
    CHECK_CODE(tg_udp_send(six.id, &to, "six", 3), 0);
    run_until(loop, &six.datagrams, 1);
    CHECK(same_address(&server.from, &six.name));
    CHECK_CODE(tg_udp_send(four.id, &to, "x", 1), TG_EINVAL); /* a socket of IPv4 cannot send there */
    memset(&only, 0, sizeof only);
    options = peer_options(&only);
    options.flags = TG_UDP_V6_ONLY;
    CHECK_CODE(peer_try(&only, loop, address_of("127.0.0.1", 0), &options), TG_EINVAL);
    /* The port is taken for IPv6 by nobody, because `four` has it for IPv4 only. */
    CHECK_CODE(peer_try(&only, loop, address_of("::", four.name.port), &options), 0);
    CHECK(tg_udp_send(only.id, &four.name, "x", 1) < 0);
    free_loop(loop, 4);
}

/* mutation: the length of a sender's name is not kept. */
static void unix_sockets_without_a_name(void)
{
    tg_loop loop = new_loop();
    peer server, named, nameless;
    tg_handle_info info = TG_HANDLE_INFO_INIT;
    peer_open_with(&server, loop, unix_name("server"), NULL);
    peer_open_with(&named, loop, unix_name("named"), NULL);
    peer_open_with(&nameless, loop, unix_name(NULL), NULL);
    CHECK_CODE(tg_udp_send(named.id, &server.name, "n", 1), 0);
    run_until(loop, &server.datagrams, 1);
    CHECK(same_address(&server.from, &named.name));
    CHECK_CODE(tg_udp_send(nameless.id, &server.name, "m", 1), 0);
    run_until(loop, &server.datagrams, 2);
    CHECK_EQ(server.from.family, TG_UNIX);
    CHECK_EQ(server.from.path_length, 0);
    CHECK_CODE(tg_udp_set_ttl(server.id, 3), TG_ENOTSUP);
    CHECK_CODE(tg_handle_get_info(server.id, &info), 0);
    CHECK_EQ(info.kind, TG_KIND_UDP);
    CHECK_EQ(info.interest, TG_READ);
    free_loop(loop, 3);
}

/* Ten thousand to oneself, never more on the way than the system's buffer has room for: none may be lost.
 * mutation: the last datagram of a full batch is not shown. */
static void ten_thousand_to_oneself(void)
{
    enum { BURST = 64, BYTES = 100 };
    tg_loop loop = new_loop();
    uint64_t all = (uint64_t)harness_scale(10000) / BURST * BURST;
    tg_outgoing burst[BURST];
    unsigned char bytes[BURST][BYTES];
    tg_udp_stats stats;
    peer self;
    peer_open(&self, loop, "127.0.0.1");
    memset(bytes, 'x', sizeof bytes);
    for (int i = 0; i < BURST; i++) burst[i] = (tg_outgoing){ &self.name, bytes[i], BYTES };
    for (uint64_t sent = 0; sent < all; sent += BURST) {
        CHECK_CODE(tg_udp_send_many(self.id, burst, BURST), BURST);
        run_until(loop, &self.datagrams, sent + BURST);
    }
    stats = udp_stats_of(self.id);
    CHECK_EQ(self.datagrams, all);
    CHECK_EQ(stats.received, all);
    CHECK_EQ(stats.sent, all);
    CHECK_EQ(stats.received_bytes, all * BYTES);
    CHECK_EQ(stats.sent_bytes, all * BYTES);
    CHECK_EQ(stats.dropped + stats.errors + stats.lost + stats.truncated + stats.queued, 0);
    CHECK_EQ(self.most, 16); /* of 64 KiB each, 1 MiB of memory has room for so many */
#ifdef __linux__
    CHECK_EQ(stats.send_calls, all / BURST);
    CHECK_EQ(stats.receive_calls, all / 16);
#endif
    free_loop(loop, 1);
}

static tg_udp_options sized(peer *it, uint32_t size, uint32_t batch)
{
    tg_udp_options options = peer_options(it);
    options.receive_size = size;
    options.receive_batch = batch;
    return options;
}

static void batch_of(uint32_t size, uint32_t batch, int sent, size_t most)
{
    tg_loop loop = new_loop();
    peer it;
    tg_udp_options options = sized(&it, size, batch);
    peer_open_with(&it, loop, address_of("127.0.0.1", 0), &options);
    for (int i = 0; i < sent; i++) CHECK_CODE(tg_udp_send(it.id, &it.name, "x", 1), 0);
    turns(loop, 1);
    CHECK_EQ(it.callbacks, 1); /* one call a turn, however much is left */
    CHECK_EQ(it.datagrams, most);
    run_until(loop, &it.datagrams, (uint64_t)sent);
    CHECK_EQ(it.most, most);
    free_loop(loop, 1);
}

/* mutation: a socket receives until nothing is left. */
static void h23_many_datagrams_a_call_and_one_call_a_turn(void)
{
    batch_of(0, 0, 1, 1);
    batch_of(0, 0, 40, 16);
    batch_of(16384, 0, 100, 64);
    batch_of(2048, 0, 100, 64);
    batch_of(2048, 1, 10, 1);
    batch_of(2048, 7, 20, 7);
    batch_of(1048576, 0, 3, 1);
}

/* mutation: another flag of the message is taken for MSG_TRUNC. */
static void h47_long_datagrams_are_cut_and_say_so(void)
{
    tg_loop loop = new_loop();
    unsigned char bytes[300];
    peer it;
    tg_udp_options options = sized(&it, 100, 0);
    peer_open_with(&it, loop, address_of("127.0.0.1", 0), &options);
    memset(bytes, 'y', sizeof bytes);
    CHECK_CODE(tg_udp_send(it.id, &it.name, bytes, 100), 0);
    run_until(loop, &it.datagrams, 1);
    CHECK_EQ(it.length, 100);
    CHECK_EQ(it.flags, 0);
    CHECK_CODE(tg_udp_send(it.id, &it.name, bytes, 101), 0);
    run_until(loop, &it.datagrams, 2);
    CHECK_EQ(it.length, 100);
    CHECK_EQ(it.flags, TG_DATAGRAM_TRUNCATED);
    CHECK_CODE(tg_udp_send(it.id, &it.name, bytes, 0), 0);
    CHECK_CODE(tg_udp_send(it.id, &it.name, NULL, 0), 0);
    CHECK_CODE(tg_udp_send(it.id, &it.name, bytes, 300), 0);
    run_until(loop, &it.datagrams, 5);
    CHECK_EQ(it.bytes, 300);
    CHECK_EQ(udp_stats_of(it.id).truncated, 2);
    free_loop(loop, 1);
}

/* mutation: the default size is 2048. */
static void the_largest_datagrams_arrive_whole(void)
{
    tg_loop loop = new_loop();
    unsigned char *bytes = calloc(1, 70000);
    peer it;
    MUST(bytes != NULL);
    peer_open(&it, loop, "127.0.0.1");
    CHECK_CODE(tg_udp_send(it.id, &it.name, bytes, 65507), 0);
    run_until(loop, &it.datagrams, 1);
    CHECK_EQ(it.length, 65507);
    CHECK_EQ(it.flags, 0);
    CHECK_CODE(tg_udp_send(it.id, &it.name, bytes, 65508), -EMSGSIZE);
    CHECK_CODE(tg_udp_send(it.id, &it.name, bytes, 70000), -EMSGSIZE);
    CHECK_EQ(udp_stats_of(it.id).queued, 0);
    free(bytes);
    free_loop(loop, 1);
}

/* mutation: sending without an address does not ask whether the socket is connected. */
static void connecting_and_disconnecting(void)
{
    tg_loop loop = new_loop();
    peer a, b, stranger;
    tg_address peer_name;
    peer_open(&a, loop, "127.0.0.1");
    peer_open(&b, loop, "127.0.0.1");
    peer_open(&stranger, loop, "127.0.0.1");
    CHECK_CODE(tg_udp_get_peer(a.id, &peer_name), -ENOTCONN);
    CHECK_CODE(tg_udp_send(a.id, NULL, "x", 1), TG_EINVAL);
    CHECK_CODE(tg_udp_connect(a.id, &b.name), 0);
    CHECK_CODE(tg_udp_get_peer(a.id, &peer_name), 0);
    CHECK(same_address(&peer_name, &b.name));
    CHECK_CODE(tg_udp_send(a.id, NULL, "x", 1), 0);
    run_until(loop, &b.datagrams, 1);
    /* A datagram of somebody else does not come through; the next of the peer's does. */
    CHECK_CODE(tg_udp_send(stranger.id, &a.name, "no", 2), 0);
    CHECK_CODE(tg_udp_send(b.id, &a.name, "yes", 3), 0);
    run_until(loop, &a.datagrams, 1);
    CHECK_EQ(a.length, 3);
    CHECK_EQ(a.datagrams, 1);
    CHECK_CODE(tg_udp_disconnect(a.id), 0);
    CHECK_CODE(tg_udp_get_peer(a.id, &peer_name), -ENOTCONN);
    CHECK_CODE(tg_udp_send(a.id, NULL, "x", 1), TG_EINVAL);
    CHECK_CODE(tg_udp_get_local(a.id, &a.name), 0);
    CHECK_CODE(tg_udp_connect(a.id, &stranger.name), 0);
    CHECK_CODE(tg_udp_connect(a.id, &b.name), 0); /* to another one, without a disconnect between */
    CHECK_CODE(tg_udp_send(a.id, NULL, "z", 1), 0);
    run_until(loop, &b.datagrams, 2);
    free_loop(loop, 3);
}

/* mutation: pausing does not change the interest. */
static void pausing_and_resuming(void)
{
    tg_loop loop = new_loop();
    peer it;
    peer_open(&it, loop, "127.0.0.1");
    CHECK_CODE(tg_udp_pause(it.id), 0);
    CHECK_CODE(tg_udp_send(it.id, &it.name, "x", 1), 0);
    CHECK_CODE(tg_loop_run(loop), 0); /* it is not active, so that the run ends at once */
    CHECK_EQ(it.datagrams, 0);
    CHECK_CODE(tg_udp_pause(it.id), 0);
    CHECK_CODE(tg_udp_resume(it.id), 0);
    run_until(loop, &it.datagrams, 1);
    free_loop(loop, 1);
}

/* mutation: the flag of the options is not passed on. */
static void broadcasting_must_be_asked_for(void)
{
    tg_loop loop = new_loop();
    tg_address everybody = address_of("127.255.255.255", 9); /* of the loopback */
    tg_udp_options options;
    peer quiet, loud;
    peer_open(&quiet, loop, "127.0.0.1");
    CHECK_CODE(tg_udp_send(quiet.id, &everybody, "x", 0), -EACCES);
    CHECK_CODE(tg_udp_set_broadcast(quiet.id, 1), 0);
    CHECK(tg_udp_send(quiet.id, &everybody, "x", 0) != -EACCES);
    CHECK_CODE(tg_udp_set_broadcast(quiet.id, 0), 0);
    CHECK_CODE(tg_udp_send(quiet.id, &everybody, "x", 0), -EACCES);
    memset(&loud, 0, sizeof loud);
    options = peer_options(&loud);
    options.flags = TG_UDP_BROADCAST;
    peer_open_with(&loud, loop, address_of("127.0.0.1", 0), &options);
    CHECK(tg_udp_send(loud.id, &everybody, "x", 0) != -EACCES);
    free_loop(loop, 2);
}

/* mutation: SO_REUSEADDR is set in the place of SO_REUSEPORT, and the other way round. */
static void names_are_shared_only_by_agreement(void)
{
    tg_loop loop = new_loop();
    peer first, second;
    const uint32_t flags[] = { TG_UDP_REUSE_ADDRESS, TG_UDP_REUSE_PORT };
    for (int k = 0; k < 2; k++) {
        tg_udp_options options = peer_options(&first);
        options.flags = flags[k];
        peer_open_with(&first, loop, address_of("127.0.0.1", 0), &options);
        memset(&second, 0, sizeof second);
        CHECK_CODE(peer_try(&second, loop, first.name, NULL), -EADDRINUSE);
        CHECK_EQ(second.released, 0);
        options.flags = flags[1 - k];
        CHECK_CODE(peer_try(&second, loop, first.name, &options), -EADDRINUSE);
        options.flags = flags[k];
        CHECK_CODE(peer_try(&second, loop, first.name, &options), 0);
        CHECK_CODE(tg_close(second.id), 0);
        CHECK_CODE(tg_close(first.id), 0);
    }
    turns(loop, 1);
    free_loop(loop, 0);
}

/* mutation: receive and send are swapped. */
static void sizes_of_the_buffers(void)
{
    tg_loop loop = new_loop();
    uint32_t receive = 0, send = 0, receive_after = 0, send_after = 0;
    peer it;
    peer_open(&it, loop, "127.0.0.1");
    CHECK_CODE(tg_udp_set_buffers(it.id, 8192, 0), 0);
    CHECK_CODE(tg_udp_get_buffers(it.id, &receive, &send), 0);
    CHECK_CODE(tg_udp_set_buffers(it.id, 0, 16384), 0);
    CHECK_CODE(tg_udp_get_buffers(it.id, &receive_after, &send_after), 0);
    CHECK_EQ(receive_after, receive);
    CHECK_EQ(receive, 16384); /* Linux doubles what is asked for */
    CHECK_EQ(send_after, 32768);
    CHECK_CODE(tg_udp_set_buffers(it.id, UINT32_MAX, UINT32_MAX), 0);
    free_loop(loop, 1);
}

int main(void)
{
    harness_begin();
    RUN(h47_there_and_back_over_every_family);
    RUN(both_families_on_one_socket);
    RUN(unix_sockets_without_a_name);
    RUN(ten_thousand_to_oneself);
    RUN(h23_many_datagrams_a_call_and_one_call_a_turn);
    RUN(h47_long_datagrams_are_cut_and_say_so);
    RUN(the_largest_datagrams_arrive_whole);
    RUN(connecting_and_disconnecting);
    RUN(pausing_and_resuming);
    RUN(broadcasting_must_be_asked_for);
    RUN(names_are_shared_only_by_agreement);
    RUN(sizes_of_the_buffers);
    return harness_end();
}
