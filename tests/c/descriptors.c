/* Descriptors that go over connections: all of them arrive, in their place, and none is left open by anybody. */
#include "talk.h"

#include <sys/resource.h>
#include <sys/stat.h>

enum { MOST = 253 };

/* So many descriptors of one pipe's writing end; its reading end sees the end when all copies are closed. */
typedef struct bundle {
    int reading, count;
    tg_fd all[MOST + 1];
} bundle;

static void bundle_open(bundle *it, int count)
{
    int ends[2];
    make_pipe(ends);
    it->reading = ends[0];
    it->count = count;
    for (int i = 0; i < count; i++) {
        it->all[i] = fcntl(ends[1], F_DUPFD_CLOEXEC, 0);
        MUST(it->all[i] >= 0);
    }
    close(ends[1]);
}

static void bundle_close(bundle *it)
{
    while (it->count > 0) MUST(close(it->all[--it->count]) == 0);
}

/* Whether nobody has any of them any more. */
static bool bundle_is_gone(bundle *it)
{
    char byte;
    ssize_t got = read(it->reading, &byte, 1);
    close(it->reading);
    return got == 0;
}

static bool same_file(int one, int other)
{
    struct stat a, b;
    MUST(fstat(one, &a) == 0 && fstat(other, &b) == 0);
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* By the system alone; the bytes go with them. */
static ssize_t send_raw(int fd, const tg_fd *descriptors, int count, const char *bytes)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(tg_fd) * (MOST + 1))];
    } control;
    struct iovec piece = { (void *)(size_t)bytes, strlen(bytes) };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    memset(&control, 0, sizeof control);
    if (count > 0) {
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(sizeof(tg_fd) * (size_t)count);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(tg_fd) * (size_t)count);
        memcpy(CMSG_DATA(&control.header), descriptors, sizeof(tg_fd) * (size_t)count);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static tg_handle open_taking(tg_loop loop, talk *it, int *peer)
{
    tg_conn_options options = talk_options(it);
    int ends[2];
    make_pair(ends);
    *peer = ends[1];
    options.on_descriptors = talk_descriptors;
    return talk_open_with(loop, ends[0], &options);
}

/* mutation: room for fewer of them where they are received. */
static void h46_so_many_arrive_whole_and_open(void)
{
    static const int counts[] = { 1, 2, 64, MOST };
    for (size_t i = 0; i < 2 * sizeof counts / sizeof counts[0]; i++) {
        int count = counts[i / 2], peer, ends[2];
        bool raw = i % 2 == 1;
        static talk takes, sends;
        bundle of;
        tg_loop loop = new_loop();
        memset(&takes, 0, sizeof takes);
        memset(&sends, 0, sizeof sends);
        bundle_open(&of, count);
        open_taking(loop, &takes, &peer);
        if (raw) {
            CHECK_EQ(send_raw(peer, of.all, count, "hello"), 5);
        } else {
            talk_open(loop, peer, &sends);
            CHECK_CODE(tg_conn_write_descriptors(sends.id, of.all, (size_t)count, "hello", 5), 0);
        }
        UNTIL(loop, takes.got == 5);
        CHECK(takes.count == count && takes.batches == 1 && takes.got_before == 0);
        make_pipe(ends);
        for (int at = 0; at < takes.count; at++) {
            CHECK(same_file(takes.all[at], of.all[0]) && !same_file(takes.all[at], ends[0]));
            CHECK_EQ(fcntl(takes.all[at], F_GETFD), FD_CLOEXEC);
        }
        close_both(ends);
        bundle_close(&of);
        talk_close_descriptors(&takes);
        CHECK(bundle_is_gone(&of));
        CHECK_CODE(tg_close(takes.id), 0);
        if (raw) close(peer);
        free_loop(loop, raw ? 0 : 1);
    }
}

static void none_too_many_and_wrong_ones_are_refused(void)
{
    talk it = { .id = 0 }, tcp = { .id = 0 };
    bundle of;
    tg_fd mixed[2];
    int peer, before, ends[2];
    tg_loop loop = new_loop();
    tg_handle conn = talk_with(loop, &it, &peer);
    bundle_open(&of, MOST + 1);
    before = harness_open_fds();
    CHECK_CODE(tg_conn_write_descriptors(conn, of.all, 0, "x", 1), TG_EINVAL);
    CHECK_CODE(tg_conn_write_descriptors(conn, of.all, MOST + 1, "x", 1), TG_EINVAL);
    CHECK_CODE(tg_conn_write_descriptors(conn, of.all, 1, "x", 0), TG_EINVAL);
    CHECK_CODE(tg_conn_write_descriptors(conn, NULL, 1, "x", 1), TG_EINVAL);
    mixed[0] = of.all[0];
    mixed[1] = -1;
    CHECK_CODE(tg_conn_write_descriptors(conn, mixed, 2, "x", 1), TG_EBADFD);
    CHECK_EQ(harness_open_fds(), before);
    CHECK_EQ(drink(peer), 0);
    CHECK_EQ(send_raw(peer, of.all, MOST + 1, "x"), -1); /* nor does the system */
    make_tcp(ends);
    talk_open(loop, ends[0], &tcp);
    CHECK_CODE(tg_conn_write_descriptors(tcp.id, of.all, 1, "x", 1), TG_EINVAL);
    bundle_close(&of);
    CHECK(bundle_is_gone(&of));
    close(ends[1]);
    close(peer);
    free_loop(loop, 2);
}

/* Bytes before, with and behind them, some with others: each comes once, in order, and the descriptors no later than the
 * bytes that they came with.
 * mutation: conn_passed behind conn_frame. */
static void descriptors_keep_their_place_among_bytes(void)
{
    static talk takes, sends;
    bundle of;
    int peer;
    size_t expected = 0;
    tg_loop loop = new_loop();
    memset(&takes, 0, sizeof takes);
    memset(&sends, 0, sizeof sends);
    bundle_open(&of, 1);
    open_taking(loop, &takes, &peer);
    talk_open(loop, peer, &sends);
    for (int i = 0; i < 20; i++) {
        char text[2] = { (char)('a' + i), (char)('A' + i) };
        CHECK_CODE(tg_conn_write(sends.id, text, 1), 0);
        CHECK_CODE(tg_conn_write_descriptors(sends.id, of.all, 1, text + 1, 1), 0);
        expected += 2;
    }
    UNTIL(loop, takes.got == expected);
    CHECK_EQ(takes.count, 20);
    CHECK_EQ(takes.batches, 20); /* the system keeps messages with descriptors apart */
    for (size_t i = 0; i < expected; i++) CHECK_EQ(takes.bytes[i], (i % 2 == 0 ? 'a' : 'A') + (int)i / 2);
    CHECK(takes.got_before <= expected - 1);
    bundle_close(&of);
    talk_close_descriptors(&takes);
    CHECK(bundle_is_gone(&of));
    free_loop(loop, 2);
}

/* They wait behind bytes that the system does not take; what is written later stays behind them. */
static void descriptors_wait_behind_what_waits(void)
{
    static char block[65536];
    static talk takes, sends;
    bundle of;
    size_t all = 0;
    int peer;
    tg_loop loop = new_loop();
    memset(&takes, 0, sizeof takes);
    memset(&sends, 0, sizeof sends);
    bundle_open(&of, 3);
    open_taking(loop, &takes, &peer);
    talk_open(loop, peer, &sends);
    CHECK_CODE(tg_conn_pause(takes.id), 0);
    while (conn_stats(sends.id).queued < sizeof block) {
        CHECK(tg_conn_write(sends.id, block, sizeof block) >= 0);
        all += sizeof block;
    }
    CHECK(tg_conn_write_descriptors(sends.id, of.all, 3, block, sizeof block) >= 0);
    CHECK(tg_conn_write(sends.id, block, sizeof block) >= 0);
    bundle_close(&of); /* the library has its own */
    turns(loop, 5);
    CHECK_EQ(takes.count, 0);
    CHECK_CODE(tg_conn_resume(takes.id), 0);
    UNTIL(loop, takes.got == all + 2 * sizeof block);
    CHECK_EQ(takes.count, 3);
    CHECK(takes.got_before <= all && takes.got_before + 65536 >= all);
    talk_close_descriptors(&takes);
    CHECK(bundle_is_gone(&of));
    free_loop(loop, 2);
}

/* mutation: those that nobody asked for are received all the same. */
static void h46_who_does_not_ask_for_them_leaks_none(void)
{
    talk it = { .id = 0 };
    bundle of;
    int peer, before;
    tg_loop loop = new_loop();
    talk_with(loop, &it, &peer);
    bundle_open(&of, MOST);
    turns(loop, 2);
    before = harness_open_fds();
    for (size_t i = 1; i <= 5; i++) {
        CHECK_EQ(send_raw(peer, of.all, MOST, "bytes"), 5);
        UNTIL(loop, it.got == i * 5);
        CHECK_EQ(harness_open_fds(), before);
    }
    bundle_close(&of);
    CHECK(bundle_is_gone(&of));
    close(peer);
    UNTIL(loop, it.released == 1);
    free_loop(loop, 0);
}

static void a_paused_one_gets_them_when_it_goes_on(void)
{
    static talk it;
    bundle of;
    int peer, before;
    tg_loop loop = new_loop();
    memset(&it, 0, sizeof it);
    open_taking(loop, &it, &peer);
    bundle_open(&of, 10);
    CHECK_CODE(tg_conn_pause(it.id), 0);
    turns(loop, 2);
    before = harness_open_fds();
    CHECK_EQ(send_raw(peer, of.all, 10, "x"), 1);
    bundle_close(&of);
    turns(loop, 5);
    CHECK_QUIET(loop);
    CHECK_EQ(harness_open_fds(), before - 10);
    CHECK(it.count == 0 && it.got == 0);
    CHECK_CODE(tg_conn_resume(it.id), 0);
    UNTIL(loop, it.got == 1);
    CHECK_EQ(it.count, 10);
    talk_close_descriptors(&it);
    CHECK(bundle_is_gone(&of));
    close(peer);
    UNTIL(loop, it.released == 1);
    free_loop(loop, 0);
}

/* In the system's queue, and in ours. */
static void closing_leaks_none(void)
{
    static talk takes, sends;
    static char block[65536];
    for (int way = 0; way < 4; way++) {
        bundle of, waiting;
        int peer, before = harness_open_fds();
        tg_loop loop = new_loop();
        memset(&takes, 0, sizeof takes);
        memset(&sends, 0, sizeof sends);
        open_taking(loop, &takes, &peer);
        talk_open(loop, peer, &sends);
        CHECK_CODE(tg_conn_pause(takes.id), 0);
        bundle_open(&of, 5);
        bundle_open(&waiting, 5);
        CHECK_CODE(tg_conn_write_descriptors(sends.id, of.all, 5, "x", 1), 0);
        while (conn_stats(sends.id).queued == 0) CHECK(tg_conn_write(sends.id, block, sizeof block) >= 0);
        CHECK(tg_conn_write_descriptors(sends.id, waiting.all, 5, "x", 1) >= 0);
        bundle_close(&of);
        bundle_close(&waiting);
        turns(loop, 2);
        if (way == 0) CHECK_CODE(tg_close(sends.id), 0);
        if (way == 1) CHECK_CODE(tg_conn_abort(sends.id), 0);
        if (way == 2) CHECK_CODE(tg_close(takes.id), 0);
        if (way < 3) {
            turns(loop, 3);
            free_loop(loop, way == 2 && sends.released == 1 ? 0 : 1);
        } else {
            free_loop(loop, 2);
        }
        CHECK(bundle_is_gone(&waiting) && bundle_is_gone(&of));
        CHECK_EQ(harness_open_fds(), before);
        CHECK(takes.count == 0 && takes.released == 1 && sends.released == 1);
    }
}

static void close_when_passed(talk *it, char what)
{
    if (what == 'p') CHECK_CODE(tg_close(it->id), 0);
}

/* They are the program's from the callback on, whatever becomes of the connection. */
static void closing_in_the_callback_leaves_them_to_the_program(void)
{
    static talk it;
    bundle of;
    int peer;
    tg_loop loop = new_loop();
    memset(&it, 0, sizeof it);
    it.action = close_when_passed;
    open_taking(loop, &it, &peer);
    bundle_open(&of, 4);
    CHECK_EQ(send_raw(peer, of.all, 4, "x"), 1);
    UNTIL(loop, it.released == 1);
    CHECK(it.count == 4 && it.got == 0);
    talk_close_descriptors(&it);
    bundle_close(&of);
    CHECK(bundle_is_gone(&of));
    close(peer);
    free_loop(loop, 0);
}

/* What arrives while a connection is being finished is dropped, and descriptors with it.
 * mutation: a connection that finishes reads with descriptors. */
static void h46_those_that_come_while_it_finishes_are_dropped(void)
{
    static talk it;
    for (int paused = 0; paused < 2; paused++) {
        bundle of;
        int peer, before;
        tg_loop loop = new_loop();
        memset(&it, 0, sizeof it);
        open_taking(loop, &it, &peer);
        bundle_open(&of, 50);
        turns(loop, 2);
        before = harness_open_fds();
        if (paused) CHECK_CODE(tg_conn_pause(it.id), 0);
        CHECK_CODE(tg_conn_finish(it.id), 0);
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(send_raw(peer, of.all, 50, "x"), 1);
            turns(loop, 3);
            CHECK_EQ(harness_open_fds(), before);
        }
        CHECK_EQ(it.count, 0);
        bundle_close(&of);
        CHECK(bundle_is_gone(&of));
        close(peer);
        UNTIL(loop, it.released == 1);
        CHECK(it.closed == 1 && it.reason == 0 && it.got == 0);
        free_loop(loop, 0);
    }
}

/* The system can give only some: the connection ends, rather than that the program takes one for another.
 * mutation: a cut off list is passed on as it is. */
static void h46_too_few_numbers_left_is_no_silent_loss(void)
{
    static talk it;
    struct rlimit usual, few;
    bundle of;
    int peer, top;
    tg_loop loop;
    if (harness_slow()) {
        SKIP("h46_too_few_numbers_left_is_no_silent_loss", "valgrind does not pass limits of descriptors on to the system");
        return;
    }
    loop = new_loop();
    memset(&it, 0, sizeof it);
    open_taking(loop, &it, &peer);
    bundle_open(&of, 20);
    turns(loop, 2);
    CHECK_EQ(send_raw(peer, of.all, 20, "x"), 1);
    bundle_close(&of);
    top = dup(of.reading);
    MUST(top >= 0 && getrlimit(RLIMIT_NOFILE, &usual) == 0);
    few = usual;
    few.rlim_cur = (rlim_t)top + 5;
    MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
    for (int i = 0; i < 5 && it.closed == 0; i++) turns(loop, 1);
    MUST(setrlimit(RLIMIT_NOFILE, &usual) == 0);
    CHECK_EQ(it.closed, 1);
    CHECK_CODE(it.reason, -EMFILE);
    CHECK(it.count == 0 && it.got == 0);
    close(top);
    CHECK(bundle_is_gone(&of));
    close(peer);
    free_loop(loop, 0);
}

static void a_batch_loop_gets_a_record_of_them(void)
{
    tg_conn_options options = TG_CONN_OPTIONS_INIT;
    tg_handle conn = 0;
    tg_batch *batch = NULL;
    bundle of;
    int ends[2], seen = 0;
    tg_loop loop = new_batch_loop(16, 8);
    MUST(tg_batch_get(loop, &batch) == 0);
    make_pair(ends);
    options.flags = TG_CONN_DESCRIPTORS;
    CHECK_CODE(tg_conn_open(loop, ends[0], &options, &conn), 0);
    bundle_open(&of, MOST);
    CHECK_EQ(send_raw(ends[1], of.all, MOST, "hello"), 5);
    while (seen < 2) {
        batch->timeout_ns = 0;
        REQUIRE(tg_batch_turn(loop) >= 0);
        for (; batch->record_cursor < batch->record_count; batch->record_cursor++) {
            const tg_record *record = &batch->records[batch->record_cursor];
            const unsigned char *data = (const unsigned char *)batch->data + record->value;
            CHECK_EQ(record->handle, conn);
            if (record->kind == TG_RECORD_CONN_DESCRIPTORS) {
                CHECK(seen++ == 0 && record->bits == MOST);
                for (uint32_t i = 0; i < record->bits; i++) {
                    tg_fd fd;
                    memcpy(&fd, data + i * sizeof fd, sizeof fd);
                    CHECK(same_file(fd, of.all[0]));
                    CHECK_EQ(close(fd), 0);
                }
            } else if (record->kind == TG_RECORD_CONN_DATA) {
                CHECK(seen++ == 1 && record->bits == 5 && memcmp(data, "hello", 5) == 0);
            } else {
                CHECK_EQ(record->kind, TG_RECORD_CONN_OPEN);
            }
        }
    }
    bundle_close(&of);
    CHECK(bundle_is_gone(&of));
    close(ends[1]);
    free_loop(loop, 1);
}

int main(void)
{
    harness_begin();
    RUN(h46_so_many_arrive_whole_and_open);
    RUN(none_too_many_and_wrong_ones_are_refused);
    RUN(descriptors_keep_their_place_among_bytes);
    RUN(descriptors_wait_behind_what_waits);
    RUN(h46_who_does_not_ask_for_them_leaks_none);
    RUN(a_paused_one_gets_them_when_it_goes_on);
    RUN(closing_leaks_none);
    RUN(closing_in_the_callback_leaves_them_to_the_program);
    RUN(h46_those_that_come_while_it_finishes_are_dropped);
    RUN(h46_too_few_numbers_left_is_no_silent_loss);
    RUN(a_batch_loop_gets_a_record_of_them);
    return harness_end();
}
