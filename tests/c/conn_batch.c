/* Connections and listeners on batch loops: their records, the bytes that records carry, and what happens when more
 * comes than fits. */
#include "conn_support.h"

typedef struct batch_scene {
    tg_loop loop;
    tg_batch *batch;
} batch_scene;

static batch_scene scene_new(uint32_t records)
{
    batch_scene it = { new_batch_loop(records, 8), NULL };
    MUST(tg_batch_get(it.loop, &it.batch) == 0);
    it.batch->timeout_ns = 10 * SECOND;
    return it;
}

/* The next record, with a turn when there is none. */
static tg_record next_record(batch_scene *it)
{
    tg_record none;
    memset(&none, 0, sizeof none);
    for (int i = 0; i < 1000 && it->batch->record_cursor == it->batch->record_count; i++)
        if (tg_batch_turn(it->loop) < 0) break;
    if (it->batch->record_cursor == it->batch->record_count) return none;
    return it->batch->records[it->batch->record_cursor++];
}

static tg_handle open_on(batch_scene *it, int fd, uint32_t flags, uint32_t framing)
{
    tg_conn_options options = TG_CONN_OPTIONS_INIT;
    tg_handle conn = 0;
    options.user = (void *)(uintptr_t)77;
    options.flags = flags;
    options.framing = framing;
    MUST(tg_conn_open(it->loop, fd, &options, &conn) == 0);
    return conn;
}

#define EXPECT(record, of_kind, of_handle)     \
    do {                                       \
        CHECK_EQ((record).kind, (of_kind));    \
        CHECK_EQ((record).handle, (of_handle)); \
        CHECK_EQ((record).user, 77);           \
    } while (0)

/* How many bytes there are: 0 at the end, -1 when nothing is there. */
static int recv_or_read(int fd, char *byte) { return (int)read(fd, byte, 1); }

static void a_life_in_records(void)
{
    batch_scene it = scene_new(64);
    int ends[2];
    tg_handle conn;
    tg_record record;
    make_pair(ends);
    conn = open_on(&it, ends[0], 0, TG_FRAMING_NONE);
    record = next_record(&it);
    EXPECT(record, TG_RECORD_CONN_OPEN, conn);
    put(ends[1], "carried");
    record = next_record(&it);
    EXPECT(record, TG_RECORD_CONN_DATA, conn);
    CHECK_EQ(record.bits, 7);
    CHECK(memcmp(it.batch->data + record.value, "carried", 7) == 0);
    CHECK_CODE(tg_conn_write(conn, "x", 1), 0);
    CHECK_CODE(tg_conn_mark(conn, UINT64_MAX), 0);
    record = next_record(&it);
    EXPECT(record, TG_RECORD_CONN_WRITTEN, conn);
    CHECK_EQ((uint64_t)record.value, UINT64_MAX);
    CHECK_EQ(record.bits, 0);
    MUST(shutdown(ends[1], SHUT_WR) == 0);
    record = next_record(&it);
    EXPECT(record, TG_RECORD_CONN_EOF, conn);
    CHECK_CODE(tg_conn_finish(conn), 0);
    record = next_record(&it);
    EXPECT(record, TG_RECORD_CONN_CLOSE, conn);
    CHECK_EQ(record.value, 0);
    record = next_record(&it);
    EXPECT(record, TG_RECORD_CLOSED, conn);
    it.batch->record_cursor = it.batch->record_count;
    free_loop(it.loop, 0);
    close(ends[1]);
}

/* mutation: an accepted connection carries the listener's number. */
static void acceptance_in_records(void)
{
    batch_scene it = scene_new(64);
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
    tg_conn_options conn = TG_CONN_OPTIONS_INIT;
    tg_address where = address_of("127.0.0.1", 0), peer, from;
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    tg_handle listener = 0, accepted;
    tg_record record;
    int fd;
    options.user = (void *)(uintptr_t)77;
    conn.user = (void *)(uintptr_t)78;
    options.conn = &conn;
    MUST(tg_listener_open(it.loop, &where, &options, &listener) == 0);
    MUST(tg_listener_get_local(listener, &where) == 0);
    fd = call_to(&where);
    put(fd, "at once");
    MUST(getsockname(fd, (struct sockaddr *)&name, &length) == 0);
    record = next_record(&it);
    EXPECT(record, TG_RECORD_ACCEPT, listener);
    accepted = (tg_handle)record.value;
    memcpy(&peer, it.batch->data + record.bits, sizeof peer);
    CHECK_CODE(tg_address_from_sockaddr(&name, length, &from), 0);
    CHECK(memcmp(&peer, &from, sizeof peer) == 0);
    record = next_record(&it);
    CHECK_EQ(record.kind, TG_RECORD_CONN_OPEN);
    CHECK_EQ(record.handle, accepted);
    CHECK_EQ(record.user, 78);
    record = next_record(&it);
    CHECK_EQ(record.kind, TG_RECORD_CONN_DATA);
    CHECK_EQ(record.user, 78);
    CHECK_EQ(record.bits, 7);
    close(fd);
    it.batch->record_cursor = it.batch->record_count;
    free_loop(it.loop, 2);
}

static void pulling_and_timeouts_in_records(void)
{
    batch_scene it = scene_new(64);
    tg_conn_timeouts times = TG_CONN_TIMEOUTS_INIT;
    int ends[2];
    char bytes[8];
    tg_handle conn;
    tg_record record;
    make_pair(ends);
    conn = open_on(&it, ends[0], TG_CONN_PULL, TG_FRAMING_NONE);
    record = next_record(&it);
    put(ends[1], "pull");
    record = next_record(&it);
    EXPECT(record, TG_RECORD_CONN_READABLE, conn);
    CHECK_CODE(tg_conn_read(conn, bytes, sizeof bytes), 4);
    times.idle_ns = 5 * MS;
    CHECK_CODE(tg_conn_set_timeouts(conn, &times), 0);
    do record = next_record(&it);
    while (record.kind == TG_RECORD_CONN_READABLE);
    EXPECT(record, TG_RECORD_CONN_TIMEOUT, conn);
    CHECK_EQ(record.bits, TG_TIMEOUT_IDLE);
    it.batch->record_cursor = it.batch->record_count;
    free_loop(it.loop, 1);
    close(ends[1]);
}

static void a_broken_connection_in_records(void)
{
    batch_scene it = scene_new(64);
    int ends[2];
    tg_handle conn;
    tg_record record;
    make_tcp(ends);
    conn = open_on(&it, ends[0], 0, TG_FRAMING_NONE);
    record = next_record(&it);
    reset_tcp(ends[1]);
    record = next_record(&it);
    EXPECT(record, TG_RECORD_CONN_CLOSE, conn);
    CHECK_CODE((int)record.value, -ECONNRESET);
    record = next_record(&it);
    EXPECT(record, TG_RECORD_CLOSED, conn);
    it.batch->record_cursor = it.batch->record_count;
    free_loop(it.loop, 0);
}

/* More connections than records, each with more than the batch carries at once.
 * mutation: what does not fit into the batch is dropped. */
static void h23_full_batches_lose_nothing(void)
{
    enum { CONNS = 20 };
    batch_scene it = scene_new(7);
    const size_t each = (size_t)harness_scale(2000000);
    size_t sent[CONNS] = { 0 }, got[CONNS] = { 0 }, all = 0;
    unsigned char *bytes = malloc(each);
    tg_handle conns[CONNS];
    int ends[2], peers[CONNS], wrong = 0;
    MUST(bytes != NULL);
    pattern(bytes, 0, each);
    it.batch->timeout_ns = 0;
    for (int i = 0; i < CONNS; i++) {
        make_pair(ends);
        peers[i] = ends[1];
        conns[i] = open_on(&it, ends[0], 0, TG_FRAMING_NONE);
    }
    for (int round = 0; all < CONNS * each && round < 1000000; round++) {
        for (int i = 0; i < CONNS; i++) {
            ssize_t count = send(peers[i], bytes + sent[i], each - sent[i], MSG_DONTWAIT);
            if (count > 0) sent[i] += (size_t)count;
        }
        CHECK(tg_batch_turn(it.loop) >= 0);
        while (it.batch->record_cursor < it.batch->record_count) {
            tg_record record = it.batch->records[it.batch->record_cursor++];
            for (int i = 0; record.kind == TG_RECORD_CONN_DATA && i < CONNS; i++)
                if (conns[i] == record.handle) {
                    wrong += memcmp(it.batch->data + record.value, bytes + got[i], record.bits) != 0;
                    got[i] += record.bits;
                    all += record.bits;
                }
        }
    }
    CHECK_EQ(all, CONNS * each);
    CHECK_EQ(wrong, 0);
    free_loop(it.loop, CONNS);
    for (int i = 0; i < CONNS; i++) close(peers[i]);
    free(bytes);
}

static void frames_in_records(void)
{
    batch_scene it = scene_new(4); /* fewer than the frames that come at once */
    int ends[2];
    tg_handle conn;
    tg_record record;
    make_pair(ends);
    conn = open_on(&it, ends[0], 0, TG_FRAMING_LINES);
    record = next_record(&it);
    put(ends[1], "a\nbb\nccc\ndddd\neeeee\nffffff\nggggggg\n");
    for (uint32_t i = 1; i <= 7; i++) {
        record = next_record(&it);
        EXPECT(record, TG_RECORD_CONN_DATA, conn);
        CHECK_EQ(record.bits, i);
        CHECK_EQ(it.batch->data[record.value], 'a' + i - 1);
    }
    it.batch->record_cursor = it.batch->record_count;
    free_loop(it.loop, 1);
    close(ends[1]);
}

/* A flood of tiny frames does not take all the records of a turn.
 * mutation: one connection may have as many frames as there are records. */
static void h23_a_flood_of_frames_leaves_records_for_the_others(void)
{
    enum { OTHERS = 20 };
    batch_scene it = scene_new(64);
    int flood[2], ends[OTHERS][2];
    char zeroes[60000];
    unsigned served = 0, frames = 0, before;
    tg_handle conns[OTHERS], flooded;
    memset(zeroes, 0, sizeof zeroes);
    make_pair(flood);
    flooded = open_on(&it, flood[0], 0, TG_FRAMING_LENGTH8);
    for (int i = 0; i < OTHERS; i++) {
        make_pair(ends[i]);
        conns[i] = open_on(&it, ends[i][0], 0, TG_FRAMING_NONE);
    }
    for (int i = 0; i <= OTHERS; i++) CHECK_EQ(next_record(&it).kind, TG_RECORD_CONN_OPEN);
    MUST(send(flood[1], zeroes, sizeof zeroes, MSG_NOSIGNAL) == sizeof zeroes);
    while (frames < 100) frames += next_record(&it).handle == flooded;
    for (int i = 0; i < OTHERS; i++) put(ends[i][1], "x");
    for (before = frames; served < OTHERS;) {
        tg_record record = next_record(&it);
        if (!(record.kind == TG_RECORD_CONN_DATA)) break;
        if (record.handle == flooded) frames++;
        else served += record.handle >= conns[0];
    }
    CHECK_EQ(served, OTHERS);
    CHECK(frames - before <= 64 + 8); /* what the turn that was going on had, and two shares */
    free_loop(it.loop, OTHERS + 1);
    close(flood[1]);
    for (int i = 0; i < OTHERS; i++) close(ends[i][1]);
}

/* mutation: what nobody has come to stays open. */
static void h46_descriptors_of_records_that_nobody_reads_are_closed(void)
{
    for (int read = 0; read < 2; read++) {
        batch_scene it = scene_new(64);
        int ends[2], pipe_ends[2], taken = -1;
        char byte;
        tg_handle from, to;
        make_pair(ends);
        make_pipe(pipe_ends);
        to = open_on(&it, ends[0], TG_CONN_DESCRIPTORS, TG_FRAMING_NONE);
        from = open_on(&it, ends[1], 0, TG_FRAMING_NONE);
        CHECK_EQ(next_record(&it).kind, TG_RECORD_CONN_OPEN);
        CHECK_EQ(next_record(&it).kind, TG_RECORD_CONN_OPEN);
        CHECK(tg_conn_write_descriptors(from, &pipe_ends[1], 1, "x", 1) >= 0);
        CHECK(tg_batch_turn(it.loop) >= 1);
        if (read == 1) {
            tg_record record = next_record(&it);
            EXPECT(record, TG_RECORD_CONN_DESCRIPTORS, to);
            memcpy(&taken, (const char *)it.batch->data + record.value, sizeof taken);
        }
        free_loop(it.loop, 2);
        close(pipe_ends[1]);
        CHECK_EQ(recv_or_read(pipe_ends[0], &byte), read == 0 ? 0 : -1); /* the end, or nothing yet */
        if (read == 1) close(taken);
        close(pipe_ends[0]);
    }
}

int main(void)
{
    harness_begin();
    RUN(a_life_in_records);
    RUN(acceptance_in_records);
    RUN(pulling_and_timeouts_in_records);
    RUN(a_broken_connection_in_records);
    RUN(h23_full_batches_lose_nothing);
    RUN(frames_in_records);
    RUN(h23_a_flood_of_frames_leaves_records_for_the_others);
    RUN(h46_descriptors_of_records_that_nobody_reads_are_closed);
    return harness_end();
}
