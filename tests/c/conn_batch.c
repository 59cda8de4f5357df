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
    options.user = conn.user = (void *)(uintptr_t)77;
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
    record = next_record(&it);
    CHECK_EQ(record.kind, TG_RECORD_CONN_DATA);
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

int main(void)
{
    harness_begin();
    RUN(a_life_in_records);
    RUN(acceptance_in_records);
    RUN(pulling_and_timeouts_in_records);
    RUN(a_broken_connection_in_records);
    RUN(h23_full_batches_lose_nothing);
    RUN(frames_in_records);
    return harness_end();
}
