/* Datagrams to groups, joined and cut datagrams, and the same through batches of records. */
#include "udp.h"

#include <net/if.h>

/* Sends a mark after what must not arrive: datagrams of the loopback keep their order. */
static void arrives(tg_loop loop, const peer *sender, peer *member, const tg_address *group, bool expected)
{
    uint64_t before = member->datagrams;
    tg_address mark = address_of("127.0.0.1", member->name.port);
    CHECK_CODE(tg_udp_send(sender->id, group, "group", 5), 0);
    CHECK_CODE(tg_udp_send(sender->id, &mark, "mark", 4), 0);
    do MUST(tg_loop_run_once(loop) >= 0);
    while (member->length != 4 || member->datagrams == before);
    CHECK_EQ(member->datagrams - before, expected ? 2 : 1);
}

typedef struct groups {
    tg_loop loop;
    peer sender, member;
    tg_address group, lo;
    uint32_t index;
} groups;

static void groups_open(groups *it)
{
    it->loop = new_loop();
    peer_open(&it->sender, it->loop, "127.0.0.1");
    peer_open(&it->member, it->loop, "0.0.0.0");
    it->group = address_of("239.255.77.1", it->member.name.port);
    it->lo = address_of("127.0.0.1", 0);
    it->index = if_nametoindex("lo");
    CHECK_CODE(tg_udp_set_multicast_interface(it->sender.id, 0, &it->lo), 0);
}

/* mutation: leaving joins; a socket hears the groups of its whole machine. */
static void members_hear_their_groups_and_no_others(void)
{
    groups it;
    tg_address other = address_of("239.255.77.2", 0), six = address_of("ff02::77", 0);
    tg_udp_options options;
    peer neighbour;
    groups_open(&it);
    arrives(it.loop, &it.sender, &it.member, &it.group, false);
    CHECK_CODE(tg_udp_join(it.member.id, &it.group, 0, &it.lo, NULL), 0);
    CHECK_CODE(tg_udp_join(it.member.id, &it.group, 0, &it.lo, NULL), -EADDRINUSE);
    CHECK_CODE(tg_udp_join(it.member.id, &six, 0, NULL, NULL), TG_EINVAL);
    CHECK_CODE(tg_udp_send(it.member.id, &(tg_address){ .family = TG_IPV4, .ip = { 127, 0, 0, 1 } }, "x", 1), TG_EINVAL);
    arrives(it.loop, &it.sender, &it.member, &it.group, true);
    CHECK_CODE(tg_close(it.member.id), 0);
    memset(&neighbour, 0, sizeof neighbour);
    options = peer_options(&it.member);
    options.flags = TG_UDP_REUSE_ADDRESS;
    peer_open_with(&it.member, it.loop, address_of("0.0.0.0", 0), &options);
    it.group.port = other.port = it.member.name.port;
    options = peer_options(&neighbour);
    options.flags = TG_UDP_REUSE_ADDRESS;
    peer_open_with(&neighbour, it.loop, it.member.name, &options);
    CHECK_CODE(tg_udp_join(it.member.id, &it.group, 0, &it.lo, NULL), 0);
    CHECK_CODE(tg_udp_join(neighbour.id, &other, 0, &it.lo, NULL), 0);
    CHECK_CODE(tg_udp_send(it.sender.id, &it.group, "one", 3), 0);
    CHECK_CODE(tg_udp_send(it.sender.id, &other, "other", 5), 0);
    run_until(it.loop, &it.member.datagrams, 1);
    run_until(it.loop, &neighbour.datagrams, 1);
    CHECK_EQ(it.member.length, 3);
    CHECK_EQ(neighbour.length, 5);
    CHECK_CODE(tg_udp_leave(it.member.id, &it.group, 0, &it.lo, NULL), 0);
    CHECK_CODE(tg_udp_leave(it.member.id, &it.group, 0, &it.lo, NULL), -EADDRNOTAVAIL);
    CHECK_CODE(tg_udp_send(it.sender.id, &it.group, "one", 3), 0);
    CHECK_CODE(tg_udp_send(it.sender.id, &other, "other", 5), 0);
    run_until(it.loop, &neighbour.datagrams, 2);
    CHECK_EQ(it.member.datagrams, 1);
    free_loop(it.loop, 3);
}

/* mutation: the number of the interface is left out. */
static void interfaces_by_number(void)
{
    groups it;
    groups_open(&it);
    CHECK_CODE(tg_udp_join(it.member.id, &it.group, it.index, NULL, NULL), 0);
    arrives(it.loop, &it.sender, &it.member, &it.group, true);
    CHECK_CODE(tg_udp_leave(it.member.id, &it.group, it.index, NULL, NULL), 0);
    arrives(it.loop, &it.sender, &it.member, &it.group, false);
    CHECK_CODE(tg_udp_join(it.member.id, &it.group, 1000000, NULL, NULL), -ENODEV);
    CHECK(tg_udp_set_multicast_interface(it.sender.id, 1000000, NULL) < 0);
    CHECK_CODE(tg_udp_set_multicast_interface(it.sender.id, it.index, NULL), 0);
    free_loop(it.loop, 2);
}

static void source_with(groups *it, uint32_t index, const tg_address *interface_address)
{
    tg_address right = address_of("127.0.0.1", 0), wrong = address_of("127.0.0.9", 0);
    CHECK_CODE(tg_udp_join(it->member.id, &it->group, index, interface_address, &wrong), 0);
    arrives(it->loop, &it->sender, &it->member, &it->group, false);
    CHECK_CODE(tg_udp_join(it->member.id, &it->group, index, interface_address, &right), 0);
    arrives(it->loop, &it->sender, &it->member, &it->group, true);
    CHECK_CODE(tg_udp_leave(it->member.id, &it->group, index, interface_address, &right), 0);
    arrives(it->loop, &it->sender, &it->member, &it->group, false);
    CHECK_CODE(tg_udp_leave(it->member.id, &it->group, index, interface_address, &wrong), 0);
}

/* mutation: the source is left out, or stands where the group belongs. */
static void only_what_one_source_sends(void)
{
    groups it;
    groups_open(&it);
    source_with(&it, 0, &it.lo);
    source_with(&it, it.index, NULL);
    free_loop(it.loop, 2);
}

/* mutation: multicast loop sets the time to live. */
static void what_is_not_looped_back_is_not_heard(void)
{
    groups it;
    int value = -1;
    socklen_t size = sizeof value;
    tg_fd fd = -1;
    groups_open(&it);
    CHECK_CODE(tg_udp_get_fd(it.sender.id, &fd), 0);
    CHECK_CODE(tg_udp_set_multicast_ttl(it.sender.id, 7), 0);
    MUST(getsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &value, &size) == 0);
    CHECK_EQ(value, 7);
    CHECK_CODE(tg_udp_set_ttl(it.sender.id, 9), 0);
    MUST(getsockopt(fd, IPPROTO_IP, IP_TTL, &value, &size) == 0);
    CHECK_EQ(value, 9);
    CHECK_CODE(tg_udp_set_multicast_loop(it.sender.id, 0), 0);
    MUST(getsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &value, &size) == 0);
    CHECK_EQ(value, 0);
    free_loop(it.loop, 2);
}

/* mutation: the membership of IPv6 takes the number of the interface for 0. */
static void groups_of_ipv6(void)
{
    tg_loop loop = new_loop();
    uint32_t index = if_nametoindex("lo");
    tg_address group, scoped;
    peer sender, member;
    int code;
    if (!has_v6()) {
        SKIP("groups of IPv6", "the machine has no IPv6");
        free_loop(loop, 0);
        return;
    }
    peer_open(&sender, loop, "::");
    peer_open(&member, loop, "::");
    group = scoped = address_of("ff01::7:77", member.name.port);
    scoped.scope = index;
    CHECK_CODE(tg_udp_join(member.id, &group, index, NULL, NULL), 0);
    CHECK_CODE(tg_udp_join(member.id, &scoped, 0, NULL, NULL), -EADDRINUSE); /* the same, said in another way */
    CHECK_CODE(tg_udp_join(member.id, &group, 1000000, NULL, NULL), -ENODEV);
    CHECK_CODE(tg_udp_set_multicast_interface(sender.id, index, NULL), 0);
    code = tg_udp_send(sender.id, &group, "six", 3);
    if (code == -ENETUNREACH || code == -EADDRNOTAVAIL) {
        SKIP_PART("sending to a group of IPv6", "the loopback has no route to groups");
    } else {
        CHECK_CODE(code, 0);
        run_until(loop, &member.datagrams, 1);
    }
    CHECK_CODE(tg_udp_leave(member.id, &scoped, 0, NULL, NULL), 0);
    CHECK_CODE(tg_udp_leave(member.id, &group, index, NULL, NULL), -EADDRNOTAVAIL);
    free_loop(loop, 2);
}

enum { SEGMENT = 1000, SEGMENTS = 40, REST = 300, ALL = SEGMENT * SEGMENTS + REST };

static void send_segments(tg_address name, uint32_t flags, peer *receiver, tg_udp_stats *sent)
{
    static unsigned char bytes[ALL];
    tg_loop loop = new_loop();
    tg_udp_options options = peer_options(receiver);
    peer sender;
    options.flags = flags;
    peer_open_with(receiver, loop, name, &options);
    peer_open_with(&sender, loop, name.family == TG_UNIX ? unix_name("cutter") : name, NULL);
    CHECK_CODE(tg_udp_connect(sender.id, &receiver->name), 0);
    CHECK_CODE(tg_udp_send_segments(sender.id, NULL, bytes, ALL, SEGMENT), SEGMENTS + 1);
    run_until(loop, &receiver->bytes, ALL);
    CHECK_CODE(tg_udp_send_segments(sender.id, NULL, bytes, 0, SEGMENT), 1);
    CHECK_CODE(tg_udp_send_segments(sender.id, NULL, bytes, SEGMENT, SEGMENT), 1);
    run_until(loop, &receiver->bytes, ALL + SEGMENT);
    CHECK_EQ(receiver->length, SEGMENT);
    CHECK_CODE(tg_udp_send_segments(sender.id, NULL, bytes, 100, 0), TG_EINVAL);
    *sent = udp_stats_of(sender.id);
    CHECK_EQ(sent->sent_bytes, ALL + SEGMENT);
    free_loop(loop, 2);
}

/* mutation: the last, shorter one is left out. */
static void segments_are_cut_by_whom_it_may_be(void)
{
    tg_udp_stats sent;
    peer receiver;
    int size = 0, probe = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t length = sizeof size;
    bool cuts = getsockopt(probe, IPPROTO_UDP, 103 /* UDP_SEGMENT */, &size, &length) == 0;
    close(probe);
    send_segments(address_of("127.0.0.1", 0), 0, &receiver, &sent);
    CHECK_EQ(receiver.datagrams, SEGMENTS + 3); /* the empty one and the last one */
    if (cuts) CHECK_EQ(sent.send_calls, 3);
    else SKIP_PART("datagrams that the system cuts", "the kernel does not");
    send_segments(unix_name("pieces"), 0, &receiver, &sent); /* where only the library can */
    CHECK_EQ(receiver.datagrams, SEGMENTS + 3);
    CHECK_EQ(sent.sent, SEGMENTS + 3);
}

/* Larger than the system can cut, or on a socket whose datagrams it cannot cut: the library does.
 * mutation: a cut that fails is the end. */
static void segments_that_cannot_be_cut(void)
{
    static unsigned char bytes[150000];
    tg_loop loop = new_loop();
    int one = 1;
    tg_fd fd = -1;
    peer it;
    peer_open(&it, loop, "127.0.0.1");
    CHECK_CODE(tg_udp_get_fd(it.id, &fd), 0);
    MUST(setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof one) == 0); /* cutting needs checksums */
    CHECK_CODE(tg_udp_send_segments(it.id, &it.name, bytes, 4500, 1000), 5);
    run_until(loop, &it.bytes, 4500);
    CHECK_EQ(it.datagrams, 5);
    CHECK_CODE(tg_close(it.id), 0);
    turns(loop, 1);
    peer_open(&it, loop, "127.0.0.1");
    CHECK_CODE(tg_udp_send_segments(it.id, &it.name, bytes, sizeof bytes, 60000), 3);
    run_until(loop, &it.bytes, sizeof bytes);
    CHECK_EQ(it.datagrams, 3);
    CHECK_EQ(it.length, 30000);
    CHECK_CODE(tg_udp_send_segments(it.id, &it.name, bytes, sizeof bytes, 65535), -EMSGSIZE);
    free_loop(loop, 1);
}

static uint32_t joined_size;
static void note_joined(peer *it) { if (it->segment_size > joined_size) joined_size = it->segment_size; }

/* mutation: the ancillary message is looked for under another name. */
static void joined_datagrams_say_their_size(void)
{
    static unsigned char bytes[ALL];
    tg_loop loop = new_loop();
    tg_udp_options options;
    peer it, sender;
    memset(&it, 0, sizeof it);
    options = peer_options(&it);
    options.flags = TG_UDP_GRO;
    options.receive_size = 2048;
    CHECK_CODE(peer_try(&it, loop, address_of("127.0.0.1", 0), &options), TG_EINVAL);
    options.receive_size = 0;
    CHECK_CODE(peer_try(&it, loop, unix_name("joined"), &options), TG_ENOTSUP);
    if (peer_try(&it, loop, address_of("127.0.0.1", 0), &options) == TG_ENOTSUP) {
        SKIP("joined datagrams", "the kernel does not join them");
        free_loop(loop, 0);
        return;
    }
    it.at_datagrams = note_joined;
    joined_size = 0;
    peer_open(&sender, loop, "127.0.0.1");
    CHECK_CODE(tg_udp_send_segments(sender.id, &it.name, bytes, ALL, SEGMENT), SEGMENTS + 1);
    run_until(loop, &it.bytes, ALL);
    CHECK_EQ(it.bytes, ALL);
    CHECK(it.datagrams < SEGMENTS);
    CHECK_EQ(joined_size, SEGMENT);
    CHECK_CODE(tg_udp_send(sender.id, &it.name, "alone", 5), 0);
    run_until(loop, &it.bytes, ALL + 5);
    CHECK_EQ(it.segment_size, 0);
    free_loop(loop, 2);
}

static const tg_datagram_header *header_of(const tg_batch *batch, const tg_record *record)
{
    CHECK(record->value >= 0 && record->value % 8 == 0);
    return (const tg_datagram_header *)(const void *)(batch->data + record->value);
}

static tg_handle batch_peer(tg_loop loop, tg_address local, uintptr_t user, uint64_t limit, tg_address *name)
{
    tg_udp_options options = TG_UDP_OPTIONS_INIT;
    tg_handle id = 0;
    options.user = (void *)user;
    options.send_limit = limit;
    MUST(tg_udp_open(loop, &local, &options, &id) == 0);
    MUST(tg_udp_get_local(id, name) == 0);
    return id;
}

/* Records one by one from one receive, over as many turns as the caller's room makes of it.
 * mutation: what did not fit into the batch is dropped; the offset is that of the bytes. */
static void datagrams_as_records(void)
{
    enum { COUNT = 12 };
    static unsigned char bytes[60000];
    tg_loop loop = new_batch_loop(3, 3);
    tg_address name;
    tg_handle id = batch_peer(loop, address_of("127.0.0.1", 0), 11, 0, &name);
    tg_udp_options options = TG_UDP_OPTIONS_INIT;
    tg_handle none = 7;
    tg_batch *batch = NULL;
    int seen = 0;
    MUST(tg_batch_get(loop, &batch) == 0);
    CHECK_CODE(tg_udp_set_buffers(id, 4000000, 0), 0);
    for (int i = 0; i < COUNT; i++) {
        size_t length = i % 4 == 3 ? 0 : (size_t)(i * 500);
        bytes[0] = (unsigned char)i;
        CHECK_CODE(tg_udp_send(id, &name, bytes, length), 0);
    }
    batch->timeout_ns = -1;
    while (seen < COUNT) {
        int count = tg_batch_turn(loop);
        CHECK(count >= 1 && count <= 3);
        for (; batch->record_cursor < batch->record_count; batch->record_cursor++, seen++) {
            const tg_record *record = &batch->records[batch->record_cursor];
            const tg_datagram_header *header = header_of(batch, record);
            CHECK_EQ(record->kind, TG_RECORD_DATAGRAM);
            CHECK_EQ(record->handle, id);
            CHECK_EQ(record->user, 11);
            CHECK_EQ(record->bits, 0);
            CHECK_EQ(header->length, seen % 4 == 3 ? 0 : seen * 500);
            CHECK(same_address(&header->from, &name));
            if (header->length > 0) CHECK_EQ(((const unsigned char *)(header + 1))[0], seen);
        }
    }
    CHECK_EQ(seen, COUNT);
    CHECK_EQ(udp_stats_of(id).receive_calls, 1);
    options.receive_size = 65537; /* more than a record can carry */
    CHECK_CODE(tg_udp_open(loop, &name, &options, &none), TG_EINVAL);
    free_loop(loop, 1);
}

/* mutation: the socket of what is left is looked up by its place alone. */
static void h12_closing_between_two_records_of_one_receive(void)
{
    tg_loop loop = new_batch_loop(2, 2);
    tg_address name;
    tg_handle id = batch_peer(loop, address_of("127.0.0.1", 0), 0, 0, &name);
    tg_handle other;
    tg_batch *batch = NULL;
    MUST(tg_batch_get(loop, &batch) == 0);
    for (int i = 0; i < 6; i++) CHECK_CODE(tg_udp_send(id, &name, "x", 1), 0);
    batch->timeout_ns = 0;
    CHECK_EQ(tg_batch_turn(loop), 2);
    CHECK((batch->flags & TG_BATCH_MORE) != 0);
    CHECK_CODE(tg_close(id), 0);
    other = batch_peer(loop, address_of("127.0.0.1", 0), 0, 0, &name);
    CHECK_CODE(tg_udp_send(other, &name, "yz", 2), 0);
    batch->record_cursor = batch->record_count;
    CHECK_EQ(tg_batch_turn(loop), 1);
    CHECK_EQ(batch->records[0].kind, TG_RECORD_CLOSED);
    batch->record_cursor = batch->record_count;
    CHECK_EQ(tg_batch_turn(loop), 1);
    CHECK_EQ(batch->records[0].handle, other);
    CHECK_EQ(header_of(batch, &batch->records[0])->length, 2);
    free_loop(loop, 1);
}

/* mutation: the record of an error says nothing of whose it is; nothing says that the queue is empty. */
static void errors_and_empty_queues_as_records(void)
{
    tg_loop loop = new_batch_loop(8, 8);
    tg_address dead = dead_port("127.0.0.1"), name, server_name;
    tg_handle id = batch_peer(loop, address_of("127.0.0.1", 0), 0, 0, &name), server;
    tg_batch *batch = NULL;
    uint32_t datagrams = 0;
    MUST(tg_batch_get(loop, &batch) == 0);
    batch->timeout_ns = -1;
    CHECK_CODE(tg_udp_send(id, &dead, "x", 1), 0);
    CHECK_EQ(tg_batch_turn(loop), 1);
    CHECK_EQ(batch->records[0].kind, TG_RECORD_UDP_ERROR);
    CHECK_EQ((int)batch->records[0].bits, -ECONNREFUSED);
#ifdef __linux__
    CHECK(batch->records[0].value >= 0);
    CHECK(same_address((const tg_address *)(const void *)(batch->data + batch->records[0].value), &dead));
#endif
    CHECK_CODE(tg_close(id), 0);
    batch->record_cursor = batch->record_count;
    server = batch_peer(loop, unix_name("records"), 1, 0, &server_name);
    id = batch_peer(loop, unix_name("writer"), 2, 0, &name);
    CHECK_CODE(tg_udp_connect(id, &server_name), 0);
    while (udp_stats_of(id).queued == 0) {
        CHECK_CODE(tg_udp_send(id, NULL, "x", 1), 0);
        datagrams++;
    }
    for (bool drained = false; !drained || datagrams > 0;) {
        CHECK(tg_batch_turn(loop) >= 1);
        for (; batch->record_cursor < batch->record_count; batch->record_cursor++) {
            const tg_record *record = &batch->records[batch->record_cursor];
            if (record->kind == TG_RECORD_CLOSED) continue;
            if (record->handle == server) datagrams--;
            if (record->handle != id) continue;
            CHECK_EQ(record->kind, TG_RECORD_UDP_ERROR);
            CHECK_EQ(record->bits, 0);
            CHECK_EQ(record->value, -1);
            drained = true;
        }
    }
    free_loop(loop, 2);
}

int main(void)
{
    harness_begin();
    RUN(members_hear_their_groups_and_no_others);
    RUN(interfaces_by_number);
    RUN(only_what_one_source_sends);
    RUN(what_is_not_looped_back_is_not_heard);
    RUN(groups_of_ipv6);
    RUN(segments_are_cut_by_whom_it_may_be);
    RUN(segments_that_cannot_be_cut);
    RUN(joined_datagrams_say_their_size);
    RUN(datagrams_as_records);
    RUN(h12_closing_between_two_records_of_one_receive);
    RUN(errors_and_empty_queues_as_records);
    return harness_end();
}
