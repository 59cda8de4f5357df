/* What is written to connections: order, completions, buffers given back exactly once, files between
 * writes, watermarks and the limit. */
#include "conn_support.h"

/* A buffer that is lent to the library. */
typedef struct lent {
    int freed, status;
    unsigned order;
    char *data;
    size_t length;
    tally *conn;
} lent;

static unsigned frees;

static void give_back(void *data, size_t length, void *argument, int status)
{
    lent *it = argument;
    CHECK(data == it->data);
    CHECK_EQ(length, it->length);
    CHECK_EQ(it->conn == NULL ? 0 : it->conn->released, 0);
    it->freed++;
    it->status = status;
    it->order = ++frees;
}

static lent lend(size_t length, tally *conn)
{
    lent it = { 0, 7, 0, malloc(length + 1), length, conn };
    MUST(it.data != NULL);
    pattern((unsigned char *)it.data, 0, length);
    return it;
}

static int write_lent(tg_handle conn, lent *it)
{
    return tg_conn_write_owned(conn, it->data, it->length, give_back, it);
}

#define WAITING 3

/* Some buffers and marks that wait behind a full socket. */
static void queue_up(tally *it, lent *buffers)
{
    for (int i = 0; i < WAITING; i++) {
        buffers[i] = lend(1000, it);
        CHECK(write_lent(it->id, &buffers[i]) >= 0);
        CHECK_CODE(tg_conn_mark(it->id, 10 + (uint64_t)i), 0);
    }
}

static void check_given_back(lent *buffers, int status)
{
    for (int i = 0; i < WAITING; i++) {
        CHECK_EQ(buffers[i].freed, 1);
        CHECK_CODE(buffers[i].status, status);
        free(buffers[i].data);
    }
}

static void owned_buffers_that_go_out(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 }, peer = { .count = 0 };
    lent buffers[WAITING], empty;
    int ends[2];
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    queue_up(&it, buffers);
    empty = lend(0, &it);
    CHECK_CODE(write_lent(it.id, &empty), 0);
    CHECK_EQ(buffers[0].freed, 0); /* not from inside of the call */
    UNTIL(loop, it.written == WAITING);
    turns(loop, 1);
    check_given_back(buffers, 0);
    CHECK_EQ(empty.freed, 1);
    CHECK_CODE(empty.status, 0);
    CHECK_EQ(it.token, 10 + WAITING - 1);
    CHECK_EQ(drink(ends[1], &peer, NULL), 3000);
    CHECK(is_pattern(peer.data + 2000, 0, 1000));
    free_loop(loop, 1);
    free(empty.data);
    close(ends[1]);
    tally_end(&peer);
}

/* mutation: what waits is dropped at the close without its free functions. */
static void h19_close_with_pending_writes(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    lent buffers[WAITING];
    int ends[2];
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    write_until_waiting(it.id, 1);
    queue_up(&it, buffers);
    CHECK_CODE(tg_close(it.id), 0);
    CHECK_EQ(buffers[0].freed, 0);
    CHECK_CODE(tg_conn_write(it.id, "x", 1), TG_ESTALE);
    turns(loop, 1);
    check_given_back(buffers, TG_ECANCELED);
    CHECK_EQ(it.released, 1);
    CHECK_EQ(it.written + it.closed, 0); /* no callback of a dead id */
    free_loop(loop, 0);
    close(ends[1]);
}

/* mutation: as above, with the loop. */
static void h19_free_the_loop_with_pending_writes(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    lent buffers[WAITING];
    int ends[2];
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    write_until_waiting(it.id, 1);
    queue_up(&it, buffers);
    free_loop(loop, 1);
    check_given_back(buffers, TG_ECANCELED);
    CHECK_EQ(it.released, 1);
    close(ends[1]);
}

/* mutation: marks are forgotten when a connection breaks. */
static void h19_a_reset_with_pending_writes(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    lent buffers[WAITING], refused;
    int ends[2];
    make_tcp(ends);
    open_conn(loop, ends[0], &it);
    write_until_waiting(it.id, 1);
    queue_up(&it, buffers);
    reset_tcp(ends[1]);
    UNTIL(loop, it.closed == 1);
    turns(loop, 1);
    check_given_back(buffers, it.reason);
    CHECK(it.reason == -ECONNRESET || it.reason == -EPIPE);
    CHECK_EQ(it.written, WAITING);
    CHECK_CODE(it.token_status, it.reason);
    CHECK(strcmp(it.order, "owwwc") == 0);
    refused = lend(5, NULL);
    CHECK_CODE(write_lent(it.id, &refused), TG_ESTALE);
    free_loop(loop, 0);
    CHECK_EQ(refused.freed, 0);
    free(refused.data);
}

static void finishing_writes_what_was_accepted(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 }, peer = { .count = 0 };
    lent buffers[WAITING], refused = lend(5, NULL);
    int ends[2];
    bool ended = false;
    size_t all;
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    all = write_until_waiting(it.id, 1);
    queue_up(&it, buffers);
    CHECK_CODE(tg_conn_finish(it.id), 0);
    CHECK_CODE(write_lent(it.id, &refused), -EPIPE);
    CHECK_CODE(tg_conn_send_file(it.id, -1, 0, 0), TG_EBADFD);
    while (!ended) {
        turns(loop, 1);
        drink(ends[1], &peer, &ended);
    }
    CHECK_EQ(peer.got, all + 1000 * WAITING);
    CHECK(is_pattern(peer.data, 0, all));
    close(ends[1]);
    CHECK_CODE(tg_loop_run(loop), 0);
    check_given_back(buffers, 0);
    CHECK_CODE(it.reason, 0);
    CHECK_EQ(it.written, WAITING);
    CHECK_EQ(refused.freed, 0);
    free(refused.data);
    free_loop(loop, 0);
    tally_end(&peer);
}

static void files_keep_their_place_between_writes(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 }, peer = { .count = 0 };
    int ends[2], file = pattern_file(0, 3 << 20), part = pattern_file(0, 5000);
    unsigned char bytes[5000];
    size_t all;
    bool ended = false;
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    pattern(bytes, 0, sizeof bytes);
    CHECK_CODE(tg_conn_write(it.id, bytes, 1000), 0);
    CHECK_CODE(tg_conn_send_file(it.id, part, 1000, 4000), 0);
    pattern(bytes, 5000, 1000);
    CHECK(tg_conn_write(it.id, bytes, 1000) >= 0);
    CHECK_CODE(tg_conn_send_file(it.id, file, 6000, -1), 0);
    close(file);
    close(part);
    pattern(bytes, 3 << 20, 5000);
    CHECK(tg_conn_write(it.id, bytes, 5000) >= 0);
    CHECK_CODE(tg_conn_mark(it.id, 1), 0);
    all = (3 << 20) + 5000;
    CHECK_EQ(conn_stats(it.id).queued + conn_stats(it.id).bytes_out, all);
    CHECK_CODE(tg_conn_shutdown(it.id), 0);
    while (!ended) {
        turns(loop, 1);
        drink(ends[1], &peer, &ended);
    }
    CHECK_EQ(peer.got, all);
    CHECK(is_pattern(peer.data, 0, peer.got));
    UNTIL(loop, it.written == 1);
    CHECK_CODE(it.token_status, 0);
    free_loop(loop, 1);
    close(ends[1]);
    tally_end(&peer);
}

/* mutation: the end of the file is taken for a file that is sent. */
static void a_file_that_shrinks_meanwhile(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 }, peer = { .count = 0 };
    int ends[2], file = pattern_file(0, 1 << 20);
    lent behind;
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    write_until_waiting(it.id, 1);
    CHECK_CODE(tg_conn_send_file(it.id, file, 0, -1), 0);
    behind = lend(100, &it);
    CHECK(write_lent(it.id, &behind) >= 0);
    MUST(ftruncate(file, 1000) == 0);
    while (it.closed == 0) {
        turns(loop, 1);
        drink(ends[1], &peer, NULL);
    }
    CHECK_CODE(it.reason, -EIO);
    turns(loop, 1);
    CHECK_EQ(behind.freed, 1);
    CHECK_CODE(behind.status, -EIO);
    free(behind.data);
    close(file);
    close(ends[1]);
    free_loop(loop, 0);
    tally_end(&peer);
}

/* mutation: reading goes on above the high watermark; on_drain comes above the low one; the limit is not looked at. */
static void h41_watermarks_and_limit(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 }, peer = { .count = 0 };
    tg_conn_options options = conn_options(&it);
    static char bytes[300000];
    int ends[2];
    lent refused = lend(1000, NULL);
    make_pair(ends);
    options.high_watermark = 100000;
    options.low_watermark = 10000;
    options.limit = 200000;
    open_conn_with(loop, ends[0], &options);
    turns(loop, 1);
    CHECK(fill(ends[0]) > 0);
    CHECK_CODE(tg_conn_write(it.id, bytes, 100000), 0);
    CHECK_CODE(tg_conn_write(it.id, bytes, 1), 1);
    CHECK_CODE(tg_conn_write(it.id, "", 0), 1); /* nothing is no way around */
    CHECK_CODE(tg_conn_write(it.id, bytes, 99999), 1);
    CHECK_CODE(tg_conn_write(it.id, bytes, 1), TG_ENOBUFS);
    CHECK_CODE(tg_conn_write(it.id, bytes, sizeof bytes), TG_ENOBUFS);
    CHECK_CODE(write_lent(it.id, &refused), TG_ENOBUFS);
    CHECK_EQ(conn_stats(it.id).queued, 200000);
    put(ends[1], "not now");
    CHECK_QUIET(loop);
    CHECK_EQ(it.got, 0); /* reading rests */
    while (conn_stats(it.id).queued > 10000) {
        CHECK_EQ(it.drains, 0);
        drink(ends[1], &peer, NULL);
        turns(loop, 1);
    }
    UNTIL(loop, it.drains == 1 && it.got == 7);
    CHECK_CODE(tg_conn_write(it.id, "", 0), 0);
    while (conn_stats(it.id).queued > 0) {
        drink(ends[1], &peer, NULL);
        turns(loop, 1);
    }
    turns(loop, 2);
    CHECK_EQ(it.drains, 1);
    free_loop(loop, 1);
    CHECK_EQ(refused.freed, 0);
    free(refused.data);
    close(ends[1]);
    tally_end(&it);
    tally_end(&peer);
}

static void reading_on_above_the_watermark_is_an_option(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = conn_options(&it);
    int ends[2];
    make_pair(ends);
    options.high_watermark = 1000;
    options.flags = TG_CONN_READ_ON;
    open_conn_with(loop, ends[0], &options);
    write_until_waiting(it.id, 2000);
    put(ends[1], "now");
    UNTIL(loop, it.got == 3);
    free_loop(loop, 1);
    close(ends[1]);
    tally_end(&it);
}

static void echo(tally *it, char what)
{
    if (what != 'd') return;
    CHECK(tg_conn_write(it->id, it->data, it->got) >= 0);
    it->got = 0;
}

/* An echo to a peer that sends for ever and reads nothing.
 * mutation: reading goes on above the high watermark. */
static void h41_a_peer_that_never_reads(void)
{
    tg_loop loop = new_loop();
    tally it = { .action = echo };
    tg_conn_options options = conn_options(&it);
    uint64_t most = 0;
    int ends[2];
    make_pair(ends);
    options.high_watermark = 65536;
    open_conn_with(loop, ends[0], &options);
    for (int i = 0; i < harness_scale(2000); i++) {
        fill(ends[1]);
        turns(loop, 1);
        if (conn_stats(it.id).queued > most) most = conn_stats(it.id).queued;
    }
    CHECK(most > 65536 && most <= 3 * 65536);
    CHECK_QUIET(loop);
    free_loop(loop, 1);
    close(ends[1]);
    tally_end(&it);
}

static unsigned fuzz_state = 12345;

static unsigned fuzz(unsigned below)
{
    fuzz_state = fuzz_state * 1103515245u + 12345u;
    return (fuzz_state >> 8) % below;
}

static void give_back_all(void *data, size_t length, void *argument, int status)
{
    give_back(data, length, argument, status);
    free(data);
    free(argument);
}

/* One piece of a random kind and size; how many bytes it has. */
static size_t write_something(tg_handle conn, uint64_t place, int file)
{
    static unsigned char bytes[200000];
    size_t length = fuzz(4) == 0 ? fuzz(sizeof bytes) : fuzz(300), first = length / 3;
    tg_buffer pieces[3];
    int kind = (int)fuzz(5);
    pattern(bytes, place, length);
    if (kind == 0) {
        pieces[0] = (tg_buffer){ bytes, first };
        pieces[1] = (tg_buffer){ NULL, 0 };
        pieces[2] = (tg_buffer){ bytes + first, length - first };
        return tg_conn_writev(conn, pieces, 3) < 0 ? 0 : length;
    }
    if (kind == 1) {
        lent *it = malloc(sizeof *it);
        MUST(it != NULL);
        *it = lend(length, NULL);
        memcpy(it->data, bytes, length);
        if (tg_conn_write_owned(conn, it->data, length, give_back_all, it) >= 0) return length;
        free(it->data);
        free(it);
        return 0;
    }
    if (kind == 2) return tg_conn_send_file(conn, file, (int64_t)place, (int64_t)length) < 0 ? 0 : length;
    if (kind == 3) {
        int code = tg_conn_mark(conn, place);
        if (code == TG_ENOBUFS) return 0; /* above the limit, as the writes are */
        CHECK_CODE(code, 0);
    }
    return tg_conn_write(conn, bytes, length) < 0 ? 0 : length;
}

/* mutation: a write goes out at once although others wait; a part that was sent is sent again. */
static void h45_everything_arrives_in_order(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 }, peer = { .count = 0 };
    tg_conn_options options = conn_options(&it);
    const uint64_t size = 1000000 + (uint64_t)harness_scale(20000000);
    int ends[2], file = pattern_file(0, size + 200000);
    uint64_t place = 0;
    make_pair(ends); /* with little room in the system: most of it waits */
    options.limit = 2 << 20;
    open_conn_with(loop, ends[0], &options);
    while (place < size) {
        for (unsigned i = fuzz(12); i > 0 && place < size; i--) place += write_something(it.id, place, file);
        if (fuzz(3) == 0) drink(ends[1], &peer, NULL);
        turns(loop, (int)fuzz(3));
    }
    while (peer.got < place && it.closed == 0) {
        turns(loop, 1);
        drink(ends[1], &peer, NULL);
    }
    CHECK_EQ(peer.got, place);
    CHECK(is_pattern(peer.data, 0, peer.got));
    CHECK_EQ(conn_stats(it.id).bytes_out, place);
    free_loop(loop, 1);
    close(ends[1]);
    close(file);
    tally_end(&peer);
}

static void write_and_mark(tally *it, char what)
{
    if (what != 'w' && what != 'o') return;
    if (it->written > 100000) return; /* the test has failed */
    CHECK(tg_conn_write(it->id, "", 0) >= 0);
    CHECK_CODE(tg_conn_mark(it->id, 1), 0);
}

/* Each completion leads to another write that completes at once.
 * mutation: completions that come up meanwhile are told in the same turn. */
static void h23_completions_leave_the_others_their_turn(void)
{
    tg_loop loop = new_loop();
    tally it = { .action = write_and_mark }, other = { .count = 0 };
    int ends[2], pair[2];
    make_pair(ends);
    make_pair(pair);
    open_conn(loop, ends[0], &it);
    open_conn(loop, pair[0], &other);
    turns(loop, 2);
    for (size_t i = 1; i <= 20; i++) {
        int before = it.written;
        put(pair[1], "x");
        turns(loop, 1);
        CHECK_EQ(other.got, i);
        CHECK(it.written - before <= 2);
    }
    CHECK(it.written >= 10 && it.written <= 60);
    free_loop(loop, 2);
    close(ends[1]);
    close(pair[1]);
    tally_end(&other);
}

int main(void)
{
    harness_begin();
    RUN(owned_buffers_that_go_out);
    RUN(h19_close_with_pending_writes);
    RUN(h19_free_the_loop_with_pending_writes);
    RUN(h19_a_reset_with_pending_writes);
    RUN(finishing_writes_what_was_accepted);
    RUN(files_keep_their_place_between_writes);
    RUN(a_file_that_shrinks_meanwhile);
    RUN(h41_watermarks_and_limit);
    RUN(reading_on_above_the_watermark_is_an_option);
    RUN(h41_a_peer_that_never_reads);
    RUN(h23_completions_leave_the_others_their_turn);
    RUN(h45_everything_arrives_in_order);
    return harness_end();
}
