/* Connections that are relayed into each other: everything passes, no faster than it is taken; ends pass
 * as ends and failures as failures. */
#include "conn_support.h"

/* Two connections of the loop, and the plain sockets at their other sides. */
typedef struct bridge {
    tg_loop loop;
    tally left, right;
    int left_peer, right_peer;
} bridge;

static void bridge_open_with(bridge *it, void (*adjust)(tg_conn_options *))
{
    tg_conn_options options;
    int ends[2];
    memset(it, 0, sizeof *it);
    it->loop = new_loop();
    for (int i = 0; i < 2; i++) {
        make_tcp(ends);
        options = conn_options(i == 0 ? &it->left : &it->right);
        options.on_eof = NULL;
        if (adjust != NULL) adjust(&options);
        open_conn_with(it->loop, ends[0], &options);
        *(i == 0 ? &it->left_peer : &it->right_peer) = ends[1];
    }
    it->left.other = &it->right;
    it->right.other = &it->left;
}

static void bridge_open(bridge *it)
{
    bridge_open_with(it, NULL);
    CHECK_CODE(tg_conn_pipe(it->left.id, it->right.id), 0);
}

static void bridge_close(bridge *it, int still_open)
{
    free_loop(it->loop, still_open);
    CHECK_EQ(it->left.released, 1);
    CHECK_EQ(it->right.released, 1);
    if (it->left_peer >= 0) close(it->left_peer);
    if (it->right_peer >= 0) close(it->right_peer);
    tally_end(&it->left);
    tally_end(&it->right);
}

static void expect_at(bridge *it, int fd, const char *text)
{
    tally peer = { .count = 0 };
    while (peer.got < strlen(text) && it->left.closed + it->right.closed == 0) {
        turns(it->loop, 1);
        drink(fd, &peer, NULL);
    }
    CHECK_EQ(peer.got, strlen(text));
    CHECK(peer.data != NULL && memcmp(peer.data, text, strlen(text)) == 0);
    tally_end(&peer);
}

static void both_ways_and_half_closed(void)
{
    bridge it;
    char byte;
    bridge_open(&it);
    put(it.left_peer, "to the right");
    expect_at(&it, it.right_peer, "to the right");
    put(it.right_peer, "to the left");
    expect_at(&it, it.left_peer, "to the left");
    MUST(shutdown(it.left_peer, SHUT_WR) == 0);
    turns(it.loop, 4);
    CHECK_EQ(recv(it.right_peer, &byte, 1, 0), 0);
    put(it.right_peer, "the answer");
    expect_at(&it, it.left_peer, "the answer");
    MUST(shutdown(it.right_peer, SHUT_WR) == 0);
    CHECK_CODE(tg_loop_run(it.loop), 0);
    CHECK_CODE(it.left.reason, 0);
    CHECK_CODE(it.right.reason, 0);
    CHECK(strcmp(it.left.order, "oc") == 0);
    bridge_close(&it, 0);
}

static void tight(tg_conn_options *options)
{
    options->high_watermark = options->limit = 5000;
    options->low_watermark = 1000;
}

static void flood(void (*adjust)(tg_conn_options *), size_t high)
{
    bridge it;
    tally peer = { .count = 0 };
    const size_t all = (size_t)harness_scale(16 << 20);
    unsigned char *bytes = malloc(all);
    size_t sent = 0, most = 0;
    bridge_open_with(&it, adjust);
    CHECK_CODE(tg_conn_pipe(it.left.id, it.right.id), 0);
    pattern(bytes, 0, all);
    for (int round = 0; peer.got < all && it.right.closed + it.left.closed == 0; round++) {
        ssize_t count = sent < all ? send(it.left_peer, bytes + sent, all - sent, MSG_DONTWAIT) : 0;
        if (count > 0) sent += (size_t)count;
        turns(it.loop, 1);
        if (tg_handle_is_open(it.right.id) == 1 && conn_stats(it.right.id).queued > most)
            most = conn_stats(it.right.id).queued;
        if (round % 200 == 0 || sent == all) drink(it.right_peer, &peer, NULL);
    }
    CHECK_EQ(peer.got, all);
    CHECK(memcmp(peer.data, bytes, all) == 0);
    CHECK(most <= high + 65536);
    tally_end(&peer);
    free(bytes);
    bridge_close(&it, 2);
}

/* mutation: the source is read on although the target is full (`conn_forward` does not set PARTNER_FULL). */
static void h41_a_relay_is_bounded(void) { flood(NULL, 1 << 20); }

/* mutation: what a relay passes on is refused at the target's limit. */
static void h42_a_relay_with_tight_marks(void) { flood(tight, 5000); }

/* mutation: the partner of a broken connection ends in good order. */
static void a_reset_passes_as_a_reset(void)
{
    bridge it;
    char byte;
    bridge_open(&it);
    put(it.left_peer, "half of ");
    expect_at(&it, it.right_peer, "half of ");
    reset_tcp(it.left_peer);
    it.left_peer = -1;
    CHECK_CODE(tg_loop_run(it.loop), 0);
    CHECK_CODE(it.left.reason, -ECONNRESET);
    CHECK_CODE(it.right.reason, -ECONNRESET);
    CHECK_EQ(recv(it.right_peer, &byte, 1, 0), -1);
    CHECK_EQ(errno, ECONNRESET);
    bridge_close(&it, 0);
}

/* mutation: a connection whose partner was closed stays as it is for ever. */
static void closing_one_ends_the_other(void)
{
    for (int full = 0; full < 2; full++) {
        bridge it;
        char byte;
        bridge_open(&it);
        turns(it.loop, 1);
        if (full == 1)
            for (int i = 0; i < 200; i++) {
                fill(it.left_peer);
                turns(it.loop, 1);
            }
        CHECK_CODE(tg_close(it.right.id), 0);
        UNTIL(it.loop, it.left.closed == 1);
        CHECK_CODE(it.left.reason, TG_ECANCELED);
        CHECK_EQ(it.right.closed, 0);
        CHECK_EQ(recv(it.left_peer, &byte, 1, 0), -1);
        CHECK_EQ(errno, ECONNRESET);
        bridge_close(&it, 0);
    }
}

static void pipe_at_first_line(tally *it, char what)
{
    if (what == 'd' && it->count++ == 0) CHECK_CODE(tg_conn_pipe(it->id, it->other->id), 0);
}

static void lines(tg_conn_options *options) { options->framing = TG_FRAMING_LINES; }

/* As a proxy does: a line says where to, and the rest of what has come passes on.
 * mutation: what is held behind the frame that is being delivered is forgotten. */
static void relaying_from_inside_of_a_frame(void)
{
    bridge it;
    bridge_open_with(&it, lines);
    it.left.action = pipe_at_first_line;
    put(it.left_peer, "CONNECT right\nfirst bytes\nwithout end");
    expect_at(&it, it.right_peer, "first bytes\nwithout end");
    put(it.left_peer, " of line");
    expect_at(&it, it.right_peer, " of line");
    put(it.right_peer, "back\n");
    expect_at(&it, it.left_peer, "back\n");
    CHECK_EQ(it.left.frames, 1);
    CHECK_EQ(it.right.frames, 0);
    MUST(shutdown(it.left_peer, SHUT_WR) == 0 && shutdown(it.right_peer, SHUT_WR) == 0);
    CHECK_CODE(tg_loop_run(it.loop), 0);
    CHECK_CODE(it.left.reason, 0);
    bridge_close(&it, 0);
}

static void pulling(tg_conn_options *options)
{
    options->on_data = NULL;
    options->on_readable = on_readable;
}

/* mutation: who pulls is told of what there is to read instead of its being relayed. */
static void relaying_those_who_pull(void)
{
    bridge it;
    bridge_open_with(&it, pulling);
    CHECK_CODE(tg_conn_pipe(it.left.id, it.right.id), 0);
    put(it.left_peer, "over there");
    for (int i = 0; i < 20; i++) turns(it.loop, 1);
    CHECK_EQ(it.left.readable, 0);
    expect_at(&it, it.right_peer, "over there");
    bridge_close(&it, 2);
}

/* mutation: the source of a one-way relay is not ended at its peer's end. */
static void one_way(void)
{
    bridge it;
    bridge_open_with(&it, NULL);
    CHECK_CODE(tg_conn_forward(it.left.id, it.right.id), 0);
    put(it.right_peer, "for the callback");
    UNTIL(it.loop, it.right.got == 16);
    put(it.left_peer, "one way");
    expect_at(&it, it.right_peer, "one way");
    MUST(shutdown(it.left_peer, SHUT_WR) == 0);
    UNTIL(it.loop, it.left.closed == 1);
    CHECK_CODE(it.left.reason, 0);
    CHECK_EQ(it.right.closed, 0);
    MUST(shutdown(it.right_peer, SHUT_WR) == 0);
    UNTIL(it.loop, it.right.closed == 1);
    CHECK_CODE(it.right.reason, 0);
    bridge_close(&it, 0);
}

static void what_cannot_be_relayed(void)
{
    bridge it;
    tg_loop other = new_loop();
    tally stranger = { .count = 0 }, third = { .count = 0 };
    counter timer = { .calls = 0 };
    tg_handle watcher;
    int ends[2], more[2];
    make_pair(ends);
    make_pair(more);
    bridge_open(&it);
    open_conn(other, ends[0], &stranger);
    open_conn(it.loop, more[0], &third);
    watcher = open_timer(it.loop, SECOND, 0, on_timer, &timer);
    CHECK_CODE(tg_conn_pipe(it.left.id, it.left.id), TG_EINVAL);
    CHECK_CODE(tg_conn_pipe(it.left.id, stranger.id), TG_EINVAL);
    CHECK_CODE(tg_conn_pipe(it.left.id, it.right.id), TG_EEXIST);
    CHECK_CODE(tg_conn_pipe(it.left.id, third.id), TG_EEXIST);
    CHECK_CODE(tg_conn_forward(third.id, it.left.id), TG_EEXIST);
    CHECK_CODE(tg_conn_pipe(third.id, watcher), TG_EKIND);
    CHECK_CODE(tg_close(watcher), 0);
    CHECK_CODE(tg_conn_pipe(third.id, watcher), TG_ESTALE);
    CHECK_CODE(tg_conn_shutdown(it.left.id), 0);
    CHECK_CODE(tg_conn_forward(third.id, it.left.id), -EPIPE);
    free_loop(other, 1);
    bridge_close(&it, 3);
    close(ends[1]);
    close(more[1]);
}

static void pause_first(tally *it, char what)
{
    if (what == 'd' && it->count++ == 0) CHECK_CODE(tg_conn_pause(it->id), 0);
}

static void tight_lines(tg_conn_options *options)
{
    tight(options);
    lines(options);
}

/* More is held in one direction than the other may take: neither is relayed, and nothing is lost.
 * mutation: the first direction stays relayed. */
static void both_ways_or_none(void)
{
    bridge it;
    static char held[6000];
    bridge_open_with(&it, tight_lines);
    it.right.action = pause_first;
    put(it.right_peer, "pause\n");
    memset(held, '\n', sizeof held);
    MUST(send(it.right_peer, held, sizeof held, 0) == sizeof held);
    UNTIL(it.loop, it.right.frames == 1 && conn_stats(it.right.id).bytes_in == sizeof held + 6);
    CHECK_CODE(tg_conn_pipe(it.left.id, it.right.id), TG_ENOBUFS);
    put(it.left_peer, "hello\n");
    UNTIL(it.loop, it.left.got == 5);
    CHECK_CODE(tg_conn_resume(it.right.id), 0);
    UNTIL(it.loop, it.right.frames == sizeof held + 1);
    bridge_close(&it, 2);
}

/* mutation: writes of a relay are not guarded. */
static void h35_a_relay_into_a_broken_pipe(void)
{
    tg_loop loop = new_loop();
    tally from = { .count = 0 }, to = { .count = 0 };
    int ends[2], pipe_ends[2];
    void (*before)(int) = signal(SIGPIPE, SIG_DFL);
    make_pair(ends);
    make_pipe(pipe_ends);
    open_conn(loop, ends[0], &from);
    open_conn(loop, pipe_ends[1], &to);
    CHECK_CODE(tg_conn_forward(from.id, to.id), 0);
    turns(loop, 1);
    close(pipe_ends[0]);
    put(ends[1], "nobody is there");
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_CODE(from.reason, -EPIPE);
    CHECK_CODE(to.reason, -EPIPE);
    free_loop(loop, 0);
    close(ends[1]);
    signal(SIGPIPE, before);
}

int main(void)
{
    harness_begin();
    RUN(both_ways_and_half_closed);
    RUN(h41_a_relay_is_bounded);
    RUN(h42_a_relay_with_tight_marks);
    RUN(a_reset_passes_as_a_reset);
    RUN(closing_one_ends_the_other);
    RUN(relaying_from_inside_of_a_frame);
    RUN(relaying_those_who_pull);
    RUN(one_way);
    RUN(what_cannot_be_relayed);
    RUN(both_ways_or_none);
    RUN(h35_a_relay_into_a_broken_pipe);
    return harness_end();
}
