/* Datagrams when things go wrong: errors of the network, full queues, forks, descriptors of others. */
#include "udp.h"

/* How many turns it takes until nothing has happened for a while: a socket that is reported again and again makes thousands. */
static uint64_t turns_in_peace(tg_loop loop)
{
    uint64_t before = stats_of(loop).turns;
    CHECK(tg_loop_run_until(loop, tg_now_ns() + 20 * MS) >= 0);
    return stats_of(loop).turns - before;
}

static void dead_port_then_data(const char *ip)
{
    tg_loop loop = new_loop();
    tg_address dead = dead_port(ip);
    peer it;
    peer_open(&it, loop, ip);
    CHECK_CODE(tg_udp_send(it.id, &dead, "x", 1), 0);
    run_until_error(loop, &it, 1);
    CHECK_CODE(it.last_status, -ECONNREFUSED);
#ifdef __linux__
    CHECK(same_address(&it.blamed, &dead));
#endif
    CHECK(turns_in_peace(loop) <= 3);
    CHECK_CODE(tg_udp_send(it.id, &it.name, "real", 4), 0);
    run_until(loop, &it.datagrams, 1);
    CHECK_EQ(it.length, 4);
    CHECK_EQ(it.errors, 1);
    CHECK_EQ(udp_stats_of(it.id).errors, 1);
    free_loop(loop, 1);
}

/* mutation: an error is not taken out of the socket, or ends the receiving. */
static void h47_an_icmp_error_is_told_and_receiving_goes_on(void)
{
    dead_port_then_data("127.0.0.1");
    if (has_v6()) dead_port_then_data("::1");
    else SKIP_PART("ICMP errors of IPv6", "the machine has no IPv6");
}

/* The error of one datagram must not be taken for one of the next, nor hide what has come.
 * mutation: a send that fails is not tried again; a receive that fails is not tried again. */
static void h47_errors_neither_stop_sends_nor_hide_data(void)
{
    enum { ROUNDS = 10 };
    tg_loop loop = new_loop();
    tg_address dead = dead_port("127.0.0.1");
    peer it, other;
    peer_open(&it, loop, "127.0.0.1");
    peer_open(&other, loop, "127.0.0.1");
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_CODE(tg_udp_send(it.id, &dead, "x", 1), 0);
        CHECK_CODE(tg_udp_send(it.id, &other.name, "y", 1), 0);
        CHECK_CODE(tg_udp_send(other.id, &it.name, "z", 1), 0);
    }
    turns(loop, 2);
    CHECK_EQ(it.datagrams, ROUNDS); /* while errors still wait */
    CHECK(it.errors >= 1);
    run_until(loop, &other.datagrams, ROUNDS);
    run_until_error(loop, &it, ROUNDS);
    CHECK(turns_in_peace(loop) <= 3);
    CHECK_EQ(it.errors, ROUNDS);
    free_loop(loop, 2);
}

/* mutation: a send that fails is not tried again. */
static void h47_connected_to_a_dead_port(void)
{
    tg_loop loop = new_loop();
    tg_address dead = dead_port("127.0.0.1");
    peer it;
    peer_open(&it, loop, "127.0.0.1");
    CHECK_CODE(tg_udp_connect(it.id, &dead), 0);
    for (int i = 0; i < 5; i++) CHECK_CODE(tg_udp_send(it.id, NULL, "x", 1), 0);
    run_until_error(loop, &it, 5);
    CHECK_EQ(udp_stats_of(it.id).sent, 5);
    CHECK(turns_in_peace(loop) <= 3);
    free_loop(loop, 1);
}

/* Nobody asked to be told: errors are taken out all the same, and a paused socket does not spin either.
 * mutation: errors are not taken out of the socket. */
static void h47_errors_without_a_function_do_not_spin(void)
{
    tg_loop loop = new_loop();
    tg_address dead = dead_port("127.0.0.1");
    peer it;
    tg_udp_options options = peer_options(&it);
    options.on_error = NULL;
    peer_open_with(&it, loop, address_of("127.0.0.1", 0), &options);
    CHECK_CODE(tg_udp_send(it.id, &dead, "x", 1), 0);
    CHECK(turns_in_peace(loop) <= 4);
    CHECK_EQ(udp_stats_of(it.id).errors, 1);
    CHECK_CODE(tg_udp_send(it.id, &dead, "x", 1), 0);
    CHECK_CODE(tg_udp_pause(it.id), 0);
    CHECK_CODE(tg_loop_hold(loop), 0);
    CHECK(turns_in_peace(loop) <= 3);
    CHECK_CODE(tg_loop_unhold(loop), 0);
    free_loop(loop, 1);
}

static void shut_down(int how)
{
    tg_loop loop = new_loop();
    tg_fd fd = -1;
    peer it;
    peer_open(&it, loop, "127.0.0.1");
    CHECK_CODE(tg_udp_connect(it.id, &it.name), 0);
    CHECK_CODE(tg_udp_get_fd(it.id, &fd), 0);
    MUST(shutdown(fd, how) == 0);
    run_until_error(loop, &it, 1);
    CHECK_CODE(it.last_status, -ESHUTDOWN);
    CHECK_CODE(tg_loop_hold(loop), 0);
    CHECK(turns_in_peace(loop) <= 3);
    CHECK_CODE(tg_loop_unhold(loop), 0);
    free_loop(loop, 1);
}

/* Somebody has shut the socket down behind our back: told once, and then there is peace.
 * mutation: a hang-up without data is ignored; `receives_no_more` is not asked (shut for receiving it is readable for ever). */
static void h27_a_socket_that_was_shut_down_does_not_spin(void)
{
    shut_down(SHUT_RDWR);
    shut_down(SHUT_RD);
}

/* Somebody has closed the descriptor behind our back: told when the kernel is next spoken to about it.
 * mutation: a registration that fails is nobody's business. */
static void h07_a_descriptor_that_was_closed_is_told(void)
{
    tg_loop loop = new_loop();
    tg_fd fd = -1;
    peer it;
    peer_open(&it, loop, "127.0.0.1");
    CHECK_CODE(tg_udp_get_fd(it.id, &fd), 0);
    CHECK_CODE(tg_udp_pause(it.id), 0);
    turns(loop, 1);
    MUST(close(fd) == 0);
    CHECK_CODE(tg_udp_resume(it.id), 0);
    run_until_error(loop, &it, 1);
    CHECK_CODE(it.last_status, TG_EBADFD);
    CHECK_CODE(tg_loop_run(loop), 0); /* nothing will come of it, so that the run ends */
    CHECK_EQ(it.errors, 1);
    free_loop(loop, 1);
}

/* Linux raises no signal for datagrams, even without MSG_NOSIGNAL; other systems do.
 * mutation: EPIPE is taken for a want of room. */
static void h35_sending_after_a_shutdown_is_a_code(void)
{
    tg_loop loop = new_loop();
    tg_fd fd = -1;
    peer it;
    signal(SIGPIPE, SIG_DFL);
    peer_open_with(&it, loop, unix_name("pipe"), NULL);
    CHECK_CODE(tg_udp_connect(it.id, &it.name), 0);
    CHECK_CODE(tg_udp_get_fd(it.id, &fd), 0);
    MUST(shutdown(fd, SHUT_WR) == 0);
    CHECK_CODE(tg_udp_send(it.id, NULL, "x", 1), -EPIPE);
    CHECK_EQ(udp_stats_of(it.id).queued, 0);
    free_loop(loop, 1);
}

typedef struct numbered {
    peer server, client;
    tg_loop loop;
    int accepted, seen;
} numbered;

static numbered on;

static void check_order(peer *it)
{
    int number;
    memcpy(&number, it->first, sizeof number);
    CHECK_EQ(number, on.seen);
    on.seen++;
}

static int send_number(void)
{
    int code = tg_udp_send(on.client.id, NULL, &on.accepted, sizeof on.accepted);
    if (code == 0) on.accepted++;
    return code;
}

enum { WAITING = 10, EACH = sizeof(int) + 192 };

/* A client with WAITING datagrams in its queue, for a server that does not read. */
static void fill_up(void)
{
    tg_udp_options options;
    memset(&on, 0, sizeof on);
    on.loop = new_loop();
    options = peer_options(&on.server);
    options.receive_batch = 1;
    peer_open_with(&on.server, on.loop, unix_name("full"), &options);
    CHECK_CODE(tg_udp_pause(on.server.id), 0);
    on.server.at_datagrams = check_order;
    options = peer_options(&on.client);
    options.send_limit = WAITING * EACH + EACH - 1;
    peer_open_with(&on.client, on.loop, unix_name("filler"), &options);
    CHECK_CODE(tg_udp_connect(on.client.id, &on.server.name), 0);
    while (send_number() == 0) { }
}

/* mutation: the limit is not looked at; a datagram that could be sent at once overtakes those that wait. */
static void the_send_queue_is_bounded_and_keeps_the_order(void)
{
    fill_up();
    CHECK_CODE(send_number(), TG_ENOBUFS);
    CHECK_EQ(udp_stats_of(on.client.id).queued, WAITING);
    CHECK_EQ(udp_stats_of(on.client.id).queued_bytes, WAITING * EACH);
    CHECK_CODE(tg_udp_connect(on.client.id, &on.client.name), TG_EINVAL); /* what waits is for the server */
    CHECK_CODE(tg_udp_send(on.client.id, &on.server.name, "x", 1), -EAGAIN); /* cannot be waited for */
    CHECK(turns_in_peace(on.loop) <= 3); /* a queue that cannot go on does not spin */
    CHECK_EQ(on.client.drains, 0);
    CHECK_CODE(tg_udp_resume(on.server.id), 0);
    while (on.seen < on.accepted) {
        MUST(tg_loop_run_once(on.loop) >= 0);
        if (on.seen < WAITING) CHECK(send_number() == 0 || send_number() == TG_ENOBUFS);
    }
    while (on.client.drains == 0) MUST(tg_loop_run_once(on.loop) >= 0);
    CHECK_EQ(on.client.drains, 1);
    CHECK_EQ(on.client.errors + on.server.errors, 0);
    CHECK_EQ(udp_stats_of(on.client.id).queued_bytes, 0);
    CHECK_EQ(udp_stats_of(on.client.id).sent, on.accepted);
    free_loop(on.loop, 2);
}

/* mutation: a datagram that cannot be sent stays at the head of the queue; its end is no end of the queue. */
static void h47_what_waits_for_a_peer_that_goes_is_lost_and_told(void)
{
    fill_up();
    CHECK_CODE(tg_close(on.server.id), 0);
    while (on.client.drains == 0) MUST(tg_loop_run_once(on.loop) >= 0);
    CHECK_EQ(udp_stats_of(on.client.id).lost, WAITING);
    CHECK(on.client.errors >= WAITING); /* and perhaps the reset of the connection */
    CHECK_EQ(on.client.drains, 1);
    CHECK(turns_in_peace(on.loop) <= 3);
    free_loop(on.loop, 1);
}

/* mutation: the descriptor of a closed socket is left open. */
static void closing_with_a_full_queue_drops_it(void)
{
    fill_up();
    CHECK_CODE(tg_close(on.client.id), 0);
    CHECK_CODE(tg_udp_send(on.client.id, NULL, "x", 1), TG_ESTALE);
    turns(on.loop, 2);
    CHECK_EQ(on.client.released, 1);
    free_loop(on.loop, 1);
}

/* mutation: the child sends what waits in the parent's queue. */
static void h57_what_waits_is_sent_by_the_parent_alone(void)
{
    pid_t child;
    fill_up();
    child = harness_fork();
    if (child == 0) {
        CHECK_CODE(tg_udp_send(on.client.id, NULL, "x", 1), TG_EFORKED);
        CHECK_CODE(tg_loop_reopen(on.loop), 0);
        CHECK_EQ(udp_stats_of(on.client.id).queued, 0);
        turns(on.loop, 2);
        CHECK_EQ(on.client.drains, 0);
        CHECK_CODE(tg_loop_free(on.loop), 2);
        harness_child_end();
    }
    harness_wait(child);
    CHECK_CODE(tg_udp_resume(on.server.id), 0);
    while (on.seen < on.accepted) MUST(tg_loop_run_once(on.loop) >= 0);
    free_loop(on.loop, 2);
}

static int datagram_socket(void)
{
    struct sockaddr_in name;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    memset(&name, 0, sizeof name);
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0);
    return fd;
}

/* mutation: a refused descriptor is closed; O_NONBLOCK is set. */
static void h38_adopted_descriptors(void)
{
    tg_loop loop = new_loop();
    counter watcher = { .calls = 0 };
    peer it;
    tg_udp_options options = peer_options(&it);
    tg_handle id = 7, io;
    tg_fd same = -1;
    int fd = datagram_socket(), stream[2], fds = harness_open_fds();
    memset(&it, 0, sizeof it);
    make_pair(stream);
    CHECK_CODE(tg_udp_adopt(loop, stream[0], &options, &id), TG_EINVAL);
    CHECK(fcntl(stream[0], F_GETFD) >= 0);
    close_both(stream);
    CHECK_CODE(tg_udp_adopt(loop, fd + 500, &options, &id), TG_EBADFD);
    io = open_io(loop, fd, TG_READ, on_io, &watcher);
    CHECK_CODE(tg_udp_adopt(loop, fd, &options, &id), TG_EEXIST);
    CHECK(fcntl(fd, F_GETFD) >= 0);
    CHECK_CODE(tg_close(io), 0);
    options.flags = TG_UDP_REUSE_PORT;
    CHECK_CODE(tg_udp_adopt(loop, fd, &options, &id), TG_EINVAL);
    options.flags = 0;
    CHECK_EQ(id, 7);
    CHECK_CODE(tg_udp_adopt(loop, fd, &options, &it.id), 0);
    CHECK_CODE(tg_udp_get_fd(it.id, &same), 0);
    CHECK_EQ(same, fd);
    CHECK_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0); /* others may share it, and may want to wait */
    CHECK_CODE(tg_udp_adopt(loop, fd, &options, &id), TG_EEXIST);
    CHECK_CODE(tg_udp_get_local(it.id, &it.name), 0);
    CHECK_CODE(tg_udp_send(it.id, &it.name, "x", 1), 0);
    run_until(loop, &it.datagrams, 1);
    CHECK_CODE(tg_close(it.id), 0);
    CHECK(fcntl(fd, F_GETFD) < 0);
    CHECK_EQ(harness_open_fds(), fds - 1);
    free_loop(loop, 0);
}

static peer *victim;

static void close_self_and_other(peer *it)
{
    CHECK_CODE(tg_close(victim->id), 0);
    CHECK_CODE(tg_close(it->id), 0);
    CHECK_CODE(tg_udp_send(it->id, &it->name, "x", 1), TG_ESTALE);
    /* The memory that was received into is in use: another loop has its own, and this one's is not touched. */
    CHECK_EQ(memcmp(it->current->data, "abc", 3), 0);
}

/* mutation: after the callback the socket is taken to be open. */
static void h04_closing_neighbours_in_a_callback(void)
{
    tg_loop loop = new_loop();
    peer first, second;
    peer_open(&first, loop, "127.0.0.1");
    peer_open(&second, loop, "127.0.0.1");
    victim = &second;
    first.at_datagrams = close_self_and_other;
    CHECK_CODE(tg_udp_send(first.id, &first.name, "abc", 3), 0);
    CHECK_CODE(tg_udp_send(first.id, &second.name, "abc", 3), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(first.datagrams + second.datagrams, 1);
    CHECK_EQ(first.released + second.released, 2);
    free_loop(loop, 0);
}

static tg_loop inner;

static void run_another_loop(peer *it)
{
    static peer other; /* released later */
    peer_open(&other, inner, "127.0.0.1");
    CHECK_CODE(tg_udp_send(other.id, &other.name, "inner", 5), 0);
    run_until(inner, &other.datagrams, 1);
    CHECK_CODE(tg_close(other.id), 0);
    CHECK_EQ(memcmp(it->current->data, "outer", 5), 0);
}

/* Each loop has memory of its own. */
static void another_loop_receives_inside_a_callback(void)
{
    tg_loop loop = new_loop();
    peer it;
    inner = new_loop();
    peer_open(&it, loop, "127.0.0.1");
    it.at_datagrams = run_another_loop;
    CHECK_CODE(tg_udp_send(it.id, &it.name, "outer", 5), 0);
    run_until(loop, &it.datagrams, 1);
    turns(inner, 1);
    free_loop(inner, 0);
    free_loop(loop, 1);
}

/* mutation: what a call has returned is told again. */
static void h47_a_send_that_fails_at_once_is_told_once(void)
{
    static char large[65508]; /* one byte more than UDP can have */
    tg_loop loop = new_loop();
    peer it;
    peer_open(&it, loop, "127.0.0.1");
    CHECK_CODE(tg_udp_send(it.id, &it.name, large, sizeof large), -EMSGSIZE);
    CHECK(turns_in_peace(loop) <= 3);
    CHECK_EQ(it.errors, 0);
    CHECK_EQ(udp_stats_of(it.id).errors, 0);
    CHECK_CODE(tg_udp_send(it.id, &it.name, "x", 1), 0);
    run_until(loop, &it.datagrams, 1);
    free_loop(loop, 1);
}

int main(void)
{
    harness_begin();
    RUN(h47_an_icmp_error_is_told_and_receiving_goes_on);
    RUN(h47_errors_neither_stop_sends_nor_hide_data);
    RUN(h47_connected_to_a_dead_port);
    RUN(h47_a_send_that_fails_at_once_is_told_once);
    RUN(h47_errors_without_a_function_do_not_spin);
    RUN(h27_a_socket_that_was_shut_down_does_not_spin);
    RUN(h07_a_descriptor_that_was_closed_is_told);
    RUN(h35_sending_after_a_shutdown_is_a_code);
    RUN(the_send_queue_is_bounded_and_keeps_the_order);
    RUN(h47_what_waits_for_a_peer_that_goes_is_lost_and_told);
    RUN(closing_with_a_full_queue_drops_it);
    RUN(h57_what_waits_is_sent_by_the_parent_alone);
    RUN(h38_adopted_descriptors);
    RUN(h04_closing_neighbours_in_a_callback);
    RUN(another_loop_receives_inside_a_callback);
    return harness_end();
}
