/* A peer that has gone while we write, or takes nothing any more: what it had sent before still arrives, and what is cut off does
 * not look complete. */
#include "conn_support.h"

/* Fills the connection's way out, so that something waits. */
static void fill_up(tally *it)
{
    write_until_waiting(it->id, 1);
    CHECK_CODE(tg_conn_mark(it->id, 5), 0);
}

static void say_and_go(int peer, const char *text)
{
    put(peer, text);
    close(peer); /* what we have sent to it is unread: a reset */
}

/* The answer of a server that does not want the rest: it comes before the failure of what is still written.
 * mutation: a write that fails ends the connection at once. */
static void what_was_sent_before_arrives(void)
{
    for (int kind = 0; kind < 2; kind++)
        for (int waits = 0; waits < 2; waits++) {
            tg_loop loop = new_loop();
            tally it = { .count = 0 };
            int ends[2];
            if (kind == 0) make_pair(ends);
            else make_tcp(ends);
            open_conn(loop, ends[0], &it);
            turns(loop, 1);
            if (waits) fill_up(&it);
            else CHECK_CODE(tg_conn_write(it.id, "request", 7), 0);
            say_and_go(ends[1], "the answer");
            if (!waits) {
                CHECK_CODE(tg_conn_write(it.id, "more", 4), kind == 0 ? -EPIPE : -ECONNRESET);
                CHECK_CODE(tg_conn_write(it.id, "more", 4), -EPIPE);
            }
            CHECK_CODE(tg_loop_run(loop), 0);
            CHECK_EQ(it.got, 10);
            CHECK(it.data != NULL && memcmp(it.data, "the answer", 10) == 0);
            CHECK_EQ(it.eofs, 0); /* it may have been cut off */
            CHECK_EQ(it.closed, 1);
            CHECK_CODE(it.reason, -ECONNRESET);
            CHECK_EQ(it.written, waits);
            if (waits) CHECK(it.token_status == -EPIPE || it.token_status == -ECONNRESET);
            CHECK_EQ(it.released, 1);
            free_loop(loop, 0);
            tally_end(&it);
        }
}

/* Everything that it got was read, and its end was seen: it is told, and so is an unfinished line. */
static void the_end_is_told_when_it_came(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = conn_options(&it);
    int ends[2];
    make_pair(ends);
    options.framing = TG_FRAMING_LINES;
    open_conn_with(loop, ends[0], &options);
    turns(loop, 1);
    put(ends[1], "one\ntwo");
    close(ends[1]);
    CHECK_CODE(tg_conn_write(it.id, "more", 4), -EPIPE);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.frames, 2);
    CHECK(it.got == 6 && memcmp(it.data, "onetwo", 6) == 0);
    CHECK(strcmp(it.order, "oddec") == 0);
    CHECK_CODE(it.reason, -EPIPE);
    free_loop(loop, 0);
    tally_end(&it);
}

/* It listens no more, but speaks: the connection lives on. */
static void a_peer_that_only_speaks(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    int ends[2];
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    turns(loop, 1);
    MUST(shutdown(ends[1], SHUT_RD) == 0);
    CHECK_CODE(tg_conn_write(it.id, "x", 1), -EPIPE);
    put(ends[1], "still here");
    UNTIL(loop, it.got == 10);
    CHECK_EQ(it.closed, 0);
    CHECK_QUIET(loop);
    close(ends[1]);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_CODE(it.reason, -EPIPE);
    free_loop(loop, 0);
    tally_end(&it);
}

/* A program that does not read would never hear of it.
 * mutation: a paused connection waits for its end, too. */
static void one_that_is_paused_ends_at_once(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    int ends[2];
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    turns(loop, 1);
    CHECK_CODE(tg_conn_pause(it.id), 0);
    put(ends[1], "unread");
    close(ends[1]);
    CHECK_CODE(tg_conn_write(it.id, "x", 1), -EPIPE);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(strcmp(it.order, "oc") == 0);
    CHECK_CODE(it.reason, -EPIPE);
    free_loop(loop, 0);
    tally_end(&it);
}

typedef struct relayed {
    tg_loop loop;
    tally left, right;
    int left_peer, right_peer;
} relayed;

static void relay_open(relayed *it, void (*make)(int ends[2]))
{
    int ends[2];
    memset(it, 0, sizeof *it);
    it->loop = new_loop();
    for (int i = 0; i < 2; i++) {
        make(ends);
        open_conn(it->loop, ends[0], i == 0 ? &it->left : &it->right);
        *(i == 0 ? &it->left_peer : &it->right_peer) = ends[1];
    }
    turns(it->loop, 1);
    CHECK_CODE(tg_conn_pipe(it->left.id, it->right.id), 0);
}

static void relay_close(relayed *it)
{
    free_loop(it->loop, 0);
    CHECK_EQ(it->left.released, 1);
    CHECK_EQ(it->right.released, 1);
    close(it->left_peer);
    tally_end(&it->left);
    tally_end(&it->right);
}

/* The same through a relay: the server has answered and gone, and the client, still sending, gets all of the answer.
 * mutation: what comes from the client, and has no place to go, ends the relay. */
static void the_answer_passes_through_a_relay(void)
{
    relayed it;
    tally client = { .count = 0 };
    bool ended = false;
    static unsigned char answer[100000];
    relay_open(&it, make_pair);
    pattern(answer, 0, sizeof answer);
    MUST(send(it.right_peer, answer, sizeof answer, MSG_NOSIGNAL) == sizeof answer);
    close(it.right_peer);
    put(it.left_peer, "request");
    while (!ended) {
        turns(it.loop, 1);
        if (it.left.closed == 0) (void)send(it.left_peer, "more", 4, MSG_DONTWAIT | MSG_NOSIGNAL);
        drink(it.left_peer, &client, &ended);
    }
    CHECK_EQ(client.got, sizeof answer);
    CHECK(is_pattern(client.data, 0, client.got));
    MUST(shutdown(it.left_peer, SHUT_WR) == 0);
    CHECK_CODE(tg_loop_run(it.loop), 0);
    CHECK_CODE(it.right.reason, -EPIPE);
    CHECK_CODE(it.left.reason, -EPIPE); /* not all that it has sent was passed on */
    relay_close(&it);
    tally_end(&client);
}

/* mutation: what the other side still sends to the one that is finished resets both. */
static void finishing_one_side_of_a_relay_finishes_both(void)
{
    relayed it;
    tally left = { .count = 0 }, right = { .count = 0 };
    bool left_ended = false, right_ended = false;
    static unsigned char bytes[50000];
    relay_open(&it, make_tcp);
    pattern(bytes, 0, sizeof bytes);
    MUST(send(it.right_peer, bytes, sizeof bytes, MSG_NOSIGNAL) == sizeof bytes);
    MUST(send(it.left_peer, bytes, 1000, MSG_NOSIGNAL) == 1000);
    UNTIL(it.loop, conn_stats(it.left.id).bytes_out == sizeof bytes && conn_stats(it.right.id).bytes_out == 1000);
    CHECK_CODE(tg_conn_finish(it.left.id), 0);
    put(it.right_peer, "too late");
    put(it.left_peer, "too late");
    while (!left_ended || !right_ended) {
        turns(it.loop, 1);
        drink(it.left_peer, &left, &left_ended);
        drink(it.right_peer, &right, &right_ended);
    }
    CHECK_EQ(left.got, sizeof bytes);
    CHECK_EQ(right.got, 1000);
    CHECK_EQ(it.left.closed + it.right.closed, 0); /* their peers have not ended */
    MUST(shutdown(it.left_peer, SHUT_WR) == 0);
    MUST(shutdown(it.right_peer, SHUT_WR) == 0);
    CHECK_CODE(tg_loop_run(it.loop), 0);
    CHECK_CODE(it.left.reason, 0);
    CHECK_CODE(it.right.reason, 0);
    close(it.right_peer);
    relay_close(&it);
    tally_end(&left);
    tally_end(&right);
}

/* mutation: it is closed as if it had ended well. */
static void what_is_cut_off_looks_cut_off(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = conn_options(&it);
    static char bytes[65536];
    int ends[2];
    ssize_t got;
    make_tcp(ends);
    options.on_timeout = NULL;
    options.write_timeout_ns = MS;
    open_conn_with(loop, ends[0], &options);
    write_until_waiting(it.id, 1);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_CODE(it.reason, TG_ETIMEDOUT);
    while ((got = recv(ends[1], bytes, sizeof bytes, 0)) > 0) { }
    CHECK_EQ(got, -1);
    CHECK_EQ(errno, ECONNRESET);
    free_loop(loop, 0);
    close(ends[1]);
}

/* Its end was told, and the program is still at work on the answer. Without a read or a write to fail, the reset is seen
 * all the same, and so is it that nobody reads from a pipe any more.
 * mutation: a connection that has nothing to wait for is not watched. */
static void a_peer_that_goes_after_its_end_is_seen(void)
{
    for (int kind = 0; kind < 2; kind++) {
        tg_loop loop = new_loop();
        tally it = { .count = 0 };
        int ends[2];
        if (kind == 0) make_tcp(ends);
        else make_pipe(ends);
        open_conn(loop, ends[kind], &it);
        turns(loop, 1);
        if (kind == 0) {
            MUST(shutdown(ends[1], SHUT_WR) == 0);
            UNTIL(loop, it.eofs == 1);
        }
        CHECK_QUIET(loop);
        CHECK_EQ(it.closed, 0);
        if (kind == 0) reset_tcp(ends[1]);
        else close(ends[0]);
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_EQ(it.closed, 1);
        CHECK(it.reason == -ECONNRESET || it.reason == -EPIPE);
        free_loop(loop, 0);
    }
}

/* A peer that hangs up in good order is no error, and makes nobody spin. */
static void a_peer_that_hangs_up_after_its_end(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    int ends[2];
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    close(ends[1]);
    UNTIL(loop, it.eofs == 1);
    CHECK_QUIET(loop);
    CHECK_EQ(it.closed, 0);
    free_loop(loop, 1);
}

/* Sockets that were made elsewhere are the library's: no program that is started gets them, and they have the options of
 * others. The blocking of one that only a duplicate was made of is put back.
 * mutation: only the library's own sockets are prepared. */
static void what_was_made_elsewhere_is_ours(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tally it = { .count = 0 }, guest = { .count = 0 };
    tg_conn_options options = conn_options(&it), conn = conn_options(NULL);
    tg_listener_options listening = listener_options(&door, &conn);
    tg_address where;
    tg_handle listener = 0;
    int ends[2], value = 0, fd = socket(AF_INET, SOCK_STREAM, 0);
    make_tcp(ends);
    MUST(fcntl(ends[0], F_SETFD, 0) == 0 && fcntl(ends[0], F_SETFL, 0) == 0);
    options.flags = TG_CONN_KEEP_ALIVE | TG_CONN_DUPLICATE;
    open_conn_with(loop, ends[0], &options);
    CHECK(is_nonblocking(ends[0]));
    CHECK_CODE(tg_conn_get_option(it.id, TG_OPTION_NO_DELAY, &value), 0);
    CHECK_EQ(value, 1);
    CHECK_CODE(tg_conn_get_option(it.id, TG_OPTION_KEEP_ALIVE, &value), 0);
    CHECK_EQ(value, 1);
    CHECK_CODE(tg_close(it.id), 0);
    CHECK(!is_nonblocking(ends[0]));
    CHECK_EQ(fcntl(ends[0], F_GETFD), 0); /* the caller's still */
    options.flags = 0;
    open_conn_with(loop, ends[0], &options);
    CHECK_EQ(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    conn.release = NULL;
    conn.flags = TG_CONN_KEEP_ALIVE;
    MUST(fd >= 0 && listen(fd, 4) == 0);
    door.guests = &guest;
    door.room = 1;
    CHECK_CODE(tg_listener_adopt(loop, fd, &listening, &listener), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_CODE(tg_listener_get_local(listener, &where), 0);
    where = address_of("127.0.0.1", where.port);
    close(call_to(&where));
    UNTIL(loop, door.accepted == 1);
    CHECK_CODE(tg_conn_get_option(guest.id, TG_OPTION_NO_DELAY, &value), 0);
    CHECK_EQ(value, 1);
    CHECK_CODE(tg_conn_get_option(guest.id, TG_OPTION_KEEP_ALIVE, &value), 0);
    CHECK_EQ(value, 1);
    free_loop(loop, 3);
    close(ends[1]);
}

static void a_listening_socket_is_no_connection(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = conn_options(&it);
    tg_handle conn = 7;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0 && listen(fd, 1) == 0);
    CHECK_CODE(tg_conn_open(loop, fd, &options, &conn), TG_EINVAL);
    CHECK_EQ(conn, 7);
    CHECK_EQ(it.released, 0);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0);
    CHECK_CODE(tg_conn_open(loop, fd, &options, &conn), 0); /* not connected: its end says so */
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.closed, 1);
    CHECK_CODE(it.reason, -ENOTCONN);
    free_loop(loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(what_was_sent_before_arrives);
    RUN(the_end_is_told_when_it_came);
    RUN(a_peer_that_only_speaks);
    RUN(one_that_is_paused_ends_at_once);
    RUN(the_answer_passes_through_a_relay);
    RUN(finishing_one_side_of_a_relay_finishes_both);
    RUN(what_is_cut_off_looks_cut_off);
    RUN(a_peer_that_goes_after_its_end_is_seen);
    RUN(a_peer_that_hangs_up_after_its_end);
    RUN(what_was_made_elsewhere_is_ours);
    RUN(a_listening_socket_is_no_connection);
    return harness_end();
}
