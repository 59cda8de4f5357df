/* What waits besides bytes: marks, buffers of the program's, files and descriptors are bounded by the same limit. */
#include "conn_support.h"

#include <malloc.h>

/* A connection whose peer takes nothing, with a byte that waits. */
static tg_loop open_full(tally *it, size_t high, size_t limit, int ends[2])
{
    tg_loop loop = new_loop();
    tg_conn_options options = conn_options(it);
    options.high_watermark = high;
    options.low_watermark = 1;
    options.limit = limit;
    make_pair(ends);
    open_conn_with(loop, ends[0], &options);
    turns(loop, 1);
    CHECK(fill(ends[0]) > 0);
    CHECK(tg_conn_write(it->id, "x", 1) >= 0);
    CHECK_EQ(conn_stats(it->id).queued, 1);
    return loop;
}

/* The peer takes all that waits. */
static void let_drain(tg_loop loop, tally *it, int peer)
{
    tally dropped = { .count = 0 };
    while (conn_stats(it->id).queued > 0) {
        drink(peer, &dropped, NULL);
        turns(loop, 1);
        tally_end(&dropped);
    }
}

/* Small writes with a mark behind each: the memory that waits is about what the watermarks count.
 * mutation: each piece takes room for those that may follow. */
static void h41_small_writes_and_marks_cost_what_they_count(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    const int count = 20000;
    struct mallinfo2 before, after;
    int ends[2];
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    write_until_waiting(it.id, 1);
    before = mallinfo2();
    for (int i = 0; i < count; i++) {
        CHECK(tg_conn_write(it.id, "x", 1) >= 0);
        CHECK_CODE(tg_conn_mark(it.id, (uint64_t)i), 0);
    }
    after = mallinfo2();
    CHECK(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd < 500 * (size_t)count);
    CHECK_CODE(tg_close(it.id), 0);
    free_loop(loop, 0);
    close(ends[1]);
}

/* mutation: a mark counts nothing; one that is over and not told counts nothing. */
static void h41_marks_are_bounded(void)
{
    tally it = { .count = 0 };
    int ends[2], accepted = 0;
    tg_loop loop = open_full(&it, 100000, 100000, ends);
    while (tg_conn_mark(it.id, 1) == 0 && accepted < 10000) accepted++;
    CHECK_EQ(accepted, (100000 - 1) / 128 + 1);
    CHECK_CODE(tg_conn_mark(it.id, 1), TG_ENOBUFS);
    CHECK_CODE(tg_conn_write(it.id, "x", 1), TG_ENOBUFS);
    let_drain(loop, &it, ends[1]);
    UNTIL(loop, it.written == accepted);
    for (accepted = 0; tg_conn_mark(it.id, 2) == 0 && accepted < 10000;) accepted++; /* nothing waits: over at once */
    CHECK_EQ(accepted, 100000 / 128 + 1);
    it.written = 0;
    UNTIL(loop, it.written == accepted);
    CHECK_CODE(tg_conn_mark(it.id, 3), 0);
    free_loop(loop, 1);
    close(ends[1]);
}

static int freed;

static void count_freed(void *data, size_t length, void *argument, int status)
{
    (void)data;
    (void)length;
    (void)argument;
    (void)status;
    freed++;
}

/* mutation: a buffer counts its bytes only. */
static void h41_tiny_buffers_of_the_program_are_bounded(void)
{
    for (size_t length = 0; length < 2; length++) {
        tally it = { .count = 0 };
        int ends[2], accepted = 0;
        static char byte;
        tg_loop loop = open_full(&it, 100000, 100000, ends);
        freed = 0;
        while (tg_conn_write_owned(it.id, &byte, length, count_freed, NULL) >= 0 && accepted < 10000) accepted++;
        CHECK(accepted >= 700 && accepted <= 800);
        CHECK_CODE(tg_conn_write_owned(it.id, &byte, length, count_freed, NULL), TG_ENOBUFS);
        let_drain(loop, &it, ends[1]);
        UNTIL(loop, freed == accepted);
        CHECK_CODE(tg_conn_write_owned(it.id, &byte, length, count_freed, NULL), 0);
        free_loop(loop, 1);
        close(ends[1]);
    }
}

/* A peer that asks for files without taking them: reading rests long before there is no descriptor left.
 * mutation: a file counts nothing. */
static void h41_files_that_wait_are_bounded(void)
{
    tally it = { .count = 0 };
    int ends[2], file = pattern_file(0, 10), accepted = 0, code;
    tg_loop loop = open_full(&it, 10 * 16384, 20 * 16384, ends);
    for (int i = 0; i < 10; i++) CHECK_CODE(tg_conn_send_file(it.id, file, 0, -1), i < 9 ? 0 : 1);
    put(ends[1], "another one");
    CHECK_QUIET(loop);
    CHECK_EQ(it.got, 0);
    while ((code = tg_conn_send_file(it.id, file, 0, -1)) == 1 && accepted < 100) accepted++;
    CHECK_CODE(code, TG_ENOBUFS);
    CHECK_EQ(accepted, 10);
    CHECK_EQ(conn_stats(it.id).queued, 1 + 20 * 10);
    let_drain(loop, &it, ends[1]);
    UNTIL(loop, it.drains == 1 && it.got == 11);
    CHECK_CODE(tg_conn_send_file(it.id, file, 0, -1), 0);
    turns(loop, 1);
    CHECK_EQ(it.drains, 1);
    free_loop(loop, 1);
    close(file);
    close(ends[1]);
    tally_end(&it);
}

/* mutation: a descriptor counts nothing; the mark is looked at before what can go at once is gone. */
static void h41_descriptors_that_wait_are_bounded(void)
{
    tally it = { .count = 0 };
    int ends[2], file = pattern_file(0, 1), same[253], accepted = 0, code;
    tg_loop loop = open_full(&it, 100 * 16384, 600 * 16384, ends);
    for (int i = 0; i < 253; i++) same[i] = file;
    CHECK_CODE(tg_conn_write_descriptors(it.id, same, 99, "x", 1), 0);
    while ((code = tg_conn_write_descriptors(it.id, same, 253, "x", 1)) == 1 && accepted < 10) accepted++;
    CHECK_CODE(code, TG_ENOBUFS);
    CHECK_EQ(accepted, 2);
    let_drain(loop, &it, ends[1]);
    UNTIL(loop, it.drains == 1);
    CHECK_CODE(tg_conn_write_descriptors(it.id, same, 253, "x", 1), 0); /* it goes at once */
    turns(loop, 1);
    CHECK_EQ(it.drains, 1);
    free_loop(loop, 1);
    close(file);
    close(ends[1]);
}

static void files_that_cannot_be_sent(void)
{
    tally it = { .count = 0 };
    int ends[2], file;
    char name[] = "/tmp/tidegate-write-only-XXXXXX";
    tg_loop loop = open_full(&it, 100000, 100000, ends);
    int made = mkstemp(name);
    MUST(made >= 0);
    file = open(name, O_WRONLY | O_CLOEXEC);
    MUST(file >= 0 && unlink(name) == 0);
    CHECK_CODE(tg_conn_send_file(it.id, file, 0, -1), TG_EINVAL);
    CHECK_CODE(tg_conn_send_file(it.id, made, -1, -1), TG_EINVAL);
    CHECK_CODE(tg_conn_send_file(it.id, made, 0, -2), TG_EINVAL);
    CHECK_CODE(tg_conn_send_file(it.id, made, 1, INT64_MAX), TG_EINVAL);
    CHECK_CODE(tg_conn_send_file(it.id, made, INT64_MAX, 1), TG_EINVAL);
    CHECK_EQ(conn_stats(it.id).queued, 1);
    free_loop(loop, 1);
    close(file);
    close(made);
    close(ends[1]);
}

int main(void)
{
    harness_begin();
    RUN(h41_small_writes_and_marks_cost_what_they_count);
    RUN(h41_marks_are_bounded);
    RUN(h41_tiny_buffers_of_the_program_are_bounded);
    RUN(h41_files_that_wait_are_bounded);
    RUN(h41_descriptors_that_wait_are_bounded);
    RUN(files_that_cannot_be_sent);
    return harness_end();
}
