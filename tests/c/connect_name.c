/* Connecting by name: addresses that race, fail or never answer, and ends at every moment. The system's look-up is replaced
 * by one of this program, which the library calls in its place. */
#include "name_answers.h"

static tg_handle connect_with(tg_loop loop, tg_conn_options *options)
{
    tg_handle handle = 0;
    CHECK_CODE(tg_conn_connect_name(loop, "name", "service", options, &handle), 0);
    if (options->user != NULL) ((talk *)options->user)->id = handle;
    return handle;
}

static tg_handle connect_to_name(tg_loop loop, talk *it)
{
    tg_conn_options options = talk_options(it);
    return connect_with(loop, &options);
}

/* The threads that look names up, and what they hold, are gone. */
static void end(tg_loop loop, int open_handles)
{
    free_loop(loop, open_handles);
    wait_until_alone();
}

static void say_hello(talk *it, char what)
{
    if (what != 'o') return;
    CHECK_CODE(tg_conn_write(it->id, "hello", 5), 0);
    CHECK_CODE(tg_conn_finish(it->id), 0);
}

/* Whether this listener's is the connection that it has become; it is answered and ended then. */
static bool was_chosen(int listening)
{
    char text[8];
    int conn = accept(listening, NULL, NULL);
    struct timeval long_enough = { 10, 0 };
    ssize_t got;
    if (conn < 0) return false;
    MUST(setsockopt(conn, SOL_SOCKET, SO_RCVTIMEO, &long_enough, sizeof long_enough) == 0);
    got = recv(conn, text, sizeof text, 0);
    close(conn);
    return got == 5;
}

/* Connects, says hello, and ends well; which of the two it was. */
static int race(int first, int second)
{
    talk it = { .id = 0, .action = say_hello };
    int chosen = 0, before = harness_open_fds();
    tg_loop loop = new_loop();
    connect_to_name(loop, &it);
    CHECK_EQ(it.opened + it.closed, 0); /* never from inside the call */
    UNTIL(loop, it.opened == 1 || it.closed == 1);
    CHECK_EQ(it.opened, 1);
    if (first >= 0 && was_chosen(first)) chosen = 1;
    else if (second >= 0 && was_chosen(second)) chosen = 2;
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(it.opened == 1 && it.closed == 1 && it.released == 1 && it.events == 2);
    CHECK_CODE(it.reason, 0);
    CHECK_EQ(tg_handle_is_open(it.id), 0);
    end(loop, 0);
    CHECK_EQ(harness_open_fds(), before);
    return chosen;
}

/* mutation: connect_next begins all attempts at once. */
static void the_first_that_answers_is_the_only_one(void)
{
    struct sockaddr_storage one, other;
    int first = listen_on("127.0.0.1", 5, &one), second = listen_on("127.0.0.1", 5, &other);
    for (int i = 0; i < 20; i++) {
        answer_with(NULL, 0);
        answer_also(one);
        answer_also(other);
        CHECK_EQ(race(first, second), 1);
        CHECK_EQ(accept(second, NULL, NULL), -1); /* nor was it tried */
    }
    close(first);
    close(second);
}

/* mutation: an attempt that fails ends all of it. */
static void the_next_family_is_tried_after_a_refusal(void)
{
    struct sockaddr_storage v4, v6;
    int listening4 = listen_on("127.0.0.1", 5, &v4), listening6 = listen_on("::1", 5, &v6);
    answer_with(NULL, 0);
    answer_also(dead_end("::1"));
    answer_also(v4);
    CHECK_EQ(race(-1, listening4), 2);
    if (listening6 >= 0) {
        answer_with(NULL, 0);
        answer_also(dead_end("127.0.0.1"));
        answer_also(v6);
        CHECK_EQ(race(-1, listening6), 2);
        /* The families take turns: behind the dead end of the one comes the other, not the next of the same. */
        answer_with(NULL, 0);
        answer_also(dead_end("127.0.0.1"));
        answer_also(v4);
        answer_also(v6);
        CHECK_EQ(race(listening4, listening6), 2);
        CHECK_EQ(accept(listening4, NULL, NULL), -1);
        close(listening6);
    } else {
        SKIP_PART("the_next_family_is_tried_after_a_refusal", "half of it: the machine has no IPv6");
    }
    close(listening4);
}

/* mutation: the head start is for ever (the timer is armed for the deadline only). */
static void one_that_never_answers_loses_its_head_start(void)
{
    struct sockaddr_storage one, other;
    hole nowhere;
    int first = listen_on("127.0.0.1", 5, &one), second = listen_on("127.0.0.1", 5, &other);
    hole_open(&nowhere);
    answer_with(NULL, 0);
    answer_also(nowhere.where);
    answer_also(one);
    answer_also(other);
    CHECK_EQ(race(first, second), 1);
    CHECK_EQ(accept(second, NULL, NULL), -1);
    /* A refusal in between does not wait for its time. */
    answer_with(NULL, 0);
    answer_also(nowhere.where);
    answer_also(dead_end("127.0.0.1"));
    answer_also(other);
    CHECK_EQ(race(first, second), 2);
    hole_close(&nowhere);
    close(first);
    close(second);
}

/* What the system itself says to it. */
static int reason_of(const struct sockaddr_storage *where)
{
    int fd = socket(where->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), reason;
    MUST(fd >= 0);
    MUST(connect(fd, (const struct sockaddr *)where, length_of(where)) < 0);
    reason = -errno;
    close(fd);
    return reason;
}

static void fails_with(tg_loop loop, int reason)
{
    talk it = { .id = 0 };
    connect_to_name(loop, &it);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(it.opened == 0 && it.closed == 1 && it.released == 1 && it.events == 1);
    CHECK_CODE(it.reason, reason);
    CHECK_CODE(tg_conn_abort(it.id), TG_ESTALE);
}

/* mutation: the reason of the first is told. */
static void when_all_fail_the_last_says_why(void)
{
    struct sockaddr_storage refused = dead_end("127.0.0.1"), impossible = place("224.0.0.1", 9);
    int other_reason = reason_of(&impossible);
    tg_loop loop = new_loop();
    CHECK(other_reason != -ECONNREFUSED);
    answer_with(NULL, 0);
    answer_also(refused);
    answer_also(impossible);
    fails_with(loop, other_reason);
    answer_with(NULL, 0);
    answer_also(impossible);
    answer_also(refused);
    answer_also(refused);
    fails_with(loop, -ECONNREFUSED);
    answer_with(NULL, 0);
    answer_also(refused);
    fails_with(loop, -ECONNREFUSED);
    end(loop, 0);
}

static void look_ups_that_fail_say_why(void)
{
    tg_loop loop = new_loop();
    answer_with(NULL, EAI_NONAME);
    fails_with(loop, TG_ENONAME);
    answer_with(NULL, EAI_AGAIN);
    fails_with(loop, TG_ETRYAGAIN);
    answer_with(NULL, EAI_FAIL);
    fails_with(loop, TG_ERESOLVE);
    answer_with(NULL, 0); /* nothing at all */
    fails_with(loop, TG_ENONAME);
    end(loop, 0);
}

/* Looking up, and attempts that never answer, one or several.
 * mutation: the deadline is armed when the look-up is over only. */
static void one_deadline_counts_for_all_of_it(void)
{
    hole one, other;
    hole_open(&one);
    hole_open(&other);
    for (int way = 0; way < 3; way++) {
        static gate at = GATE_INIT;
        talk it = { .id = 0 };
        tg_conn_options options = talk_options(&it);
        tg_loop loop = new_loop();
        options.connect_timeout_ns = way == 2 ? 300 * MS : 20 * MS; /* the second attempt is under way, or not */
        answer_with(way == 0 ? &at : NULL, 0);
        answer_also(one.where);
        if (way > 0) answer_also(other.where);
        connect_with(loop, &options);
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK(it.opened == 0 && it.closed == 1 && it.released == 1);
        CHECK_CODE(it.reason, TG_ETIMEDOUT);
        gate_open(&at);
        end(loop, 0);
    }
    hole_close(&one);
    hole_close(&other);
}

/* Where it is when it is ended. */
enum stage { BEGUN, LOOKING_UP, LOOKED_UP, TRYING, TRYING_BOTH, STAGES };

static gate stage_gate = GATE_INIT;

static void reach(enum stage stage, tg_loop loop, talk *it, hole *one, hole *other)
{
    answer_with(stage == LOOKING_UP || stage == LOOKED_UP ? &stage_gate : NULL, 0);
    stage_gate.open = false;
    stage_gate.arrived = stage_gate.through = 0;
    answer_also(one->where);
    answer_also(other->where);
    connect_to_name(loop, it);
    if (stage == LOOKING_UP || stage == LOOKED_UP) gate_wait_arrived(&stage_gate, 1);
    if (stage == LOOKED_UP) {
        gate_open(&stage_gate);
        gate_wait_through(&stage_gate, 1);
    }
    CHECK_CODE(tg_loop_hold(loop), 0);
    if (stage == TRYING) CHECK(tg_loop_run_until(loop, tg_now_ns() + 20 * MS) >= 0);
    if (stage == TRYING_BOTH) CHECK(tg_loop_run_until(loop, tg_now_ns() + 300 * MS) >= 0);
    CHECK_CODE(tg_loop_unhold(loop), 0);
}

/* mutation: tg_conn_abort refuses with -ENOTCONN. */
static void h11_it_can_be_ended_at_every_stage(void)
{
    hole one, other;
    hole_open(&one);
    hole_open(&other);
    for (enum stage stage = BEGUN; stage < STAGES; stage++) {
        for (int way = 0; way < 3; way++) {
            talk it = { .id = 0 };
            int before = harness_open_fds();
            tg_loop loop = new_loop();
            reach(stage, loop, &it, &one, &other);
            CHECK_EQ(it.events, 0);
            if (way == 0) CHECK_CODE(tg_close(it.id), 0);
            if (way == 1) CHECK_CODE(tg_conn_abort(it.id), 0);
            if (way < 2) {
                CHECK_CODE(tg_close(it.id), TG_ESTALE);
                CHECK_CODE(tg_loop_run(loop), 0);
                CHECK_EQ(it.released, 1);
            }
            free_loop(loop, way < 2 ? 0 : 1);
            gate_open(&stage_gate);
            wait_until_alone();
            CHECK(it.events == 0 && it.released == 1);
            CHECK_EQ(harness_open_fds(), before);
        }
    }
    hole_close(&one);
    hole_close(&other);
}

static talk twins[2];

static void close_other(talk *it, char what)
{
    talk *other = it == &twins[0] ? &twins[1] : &twins[0];
    if ((what == 'o' || what == 'c') && tg_handle_is_open(other->id) == 1) {
        if (what == 'o') CHECK_CODE(tg_close(other->id), 0);
        else CHECK_CODE(tg_conn_abort(other->id), 0);
        if (what == 'o') CHECK_CODE(tg_close(it->id), 0);
    }
}

/* What is connected, or has failed, and was not told yet is closed by the callback of another one: it is never told. */
static void what_was_to_be_told_is_not_told_of_a_closed_one(void)
{
    for (int live = 0; live < 2; live++) {
        struct sockaddr_storage where;
        int listening = listen_on("127.0.0.1", 5, &where), told;
        tg_loop loop = new_loop();
        memset(twins, 0, sizeof twins);
        answer_with(NULL, 0);
        if (live) answer_also(where);
        else answer_also(dead_end("127.0.0.1"));
        for (int i = 0; i < 2; i++) {
            twins[i].action = close_other;
            connect_to_name(loop, &twins[i]);
        }
        CHECK_CODE(tg_loop_run(loop), 0);
        told = twins[0].events + twins[1].events;
        CHECK_EQ(told, 1);
        CHECK(twins[0].released == 1 && twins[1].released == 1);
        end(loop, 0);
        close(listening);
    }
}

static void nothing_else_can_be_done_before_it_is_open(void)
{
    static gate at = GATE_INIT;
    talk it = { .id = 0 };
    tg_conn_stats stats = TG_CONN_STATS_INIT;
    tg_conn_timeouts times = TG_CONN_TIMEOUTS_INIT;
    tg_address address;
    tg_fd fd = 7;
    tg_handle rate = 0, conn;
    uint32_t kind = 0;
    char text[300];
    tg_loop loop = new_loop();
    answer_with(&at, 0);
    answer_also(dead_end("127.0.0.1"));
    conn = connect_to_name(loop, &it);
    MUST(tg_rate_open(loop, NULL, &rate) == 0);
    CHECK_CODE(tg_conn_write(conn, "x", 1), -ENOTCONN);
    CHECK_CODE(tg_conn_write_descriptors(conn, &fd, 1, "x", 1), -ENOTCONN);
    CHECK_CODE(tg_conn_mark(conn, 1), -ENOTCONN);
    CHECK_CODE(tg_conn_pause(conn), -ENOTCONN);
    CHECK_CODE(tg_conn_resume(conn), -ENOTCONN);
    CHECK_CODE(tg_conn_shutdown(conn), -ENOTCONN);
    CHECK_CODE(tg_conn_finish(conn), -ENOTCONN);
    CHECK_CODE(tg_conn_set_timeouts(conn, &times), -ENOTCONN);
    CHECK_CODE(tg_conn_set_framing(conn, TG_FRAMING_LINES, 0), -ENOTCONN);
    CHECK_CODE(tg_conn_set_watermarks(conn, 0, 0, 0), -ENOTCONN);
    CHECK_CODE(tg_conn_get_stats(conn, &stats), -ENOTCONN);
    CHECK_CODE(tg_conn_get_fd(conn, &fd), -ENOTCONN);
    CHECK_CODE(tg_conn_get_local(conn, &address), -ENOTCONN);
    CHECK_CODE(tg_conn_get_peer(conn, &address), -ENOTCONN);
    CHECK_CODE(tg_conn_join_rate(conn, rate), -ENOTCONN);
    CHECK_CODE(tg_conn_leave_rate(conn, rate), -ENOTCONN);
    CHECK_EQ(fd, 7);
    CHECK_CODE(tg_handle_get_kind(conn, &kind), 0);
    CHECK_EQ(kind, TG_KIND_CONN);
    CHECK_EQ(tg_handle_is_open(conn), 1);
    CHECK(tg_loop_dump(loop, text, sizeof text) > 0 && strstr(text, "conn") != NULL);
    CHECK_CODE(tg_handle_unref(conn), 0);
    CHECK_CODE(tg_loop_run(loop), 0); /* nothing else keeps it alive */
    CHECK_EQ(it.events, 0);
    CHECK_CODE(tg_handle_ref(conn), 0);
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(it.closed == 1 && it.released == 1);
    CHECK_CODE(it.reason, -ECONNREFUSED);
    end(loop, 1);
}

static void bad_arguments_take_nothing(void)
{
    static char long_name[1026];
    talk it = { .id = 0 };
    tg_conn_options options = talk_options(&it);
    tg_handle out = 7;
    tg_loop loop = new_loop();
    memset(long_name, 'x', 1025);
    CHECK_CODE(tg_conn_connect_name(loop, NULL, "1", &options, &out), TG_EINVAL);
    CHECK_CODE(tg_conn_connect_name(loop, "name", NULL, &options, &out), TG_EINVAL);
    CHECK_CODE(tg_conn_connect_name(loop, "name", "1", &options, NULL), TG_EINVAL);
    CHECK_CODE(tg_conn_connect_name(loop, long_name, "1", &options, &out), TG_EINVAL);
    CHECK_CODE(tg_conn_connect_name(loop, "name", "65536", &options, &out), TG_EINVAL);
    CHECK_CODE(tg_conn_connect_name(loop, "name", "0", &options, &out), TG_EINVAL);
    CHECK_CODE(tg_conn_connect_name(loop, "name", "", &options, &out), TG_EINVAL);
    options.linger_ns = -2;
    CHECK_CODE(tg_conn_connect_name(loop, "name", "1", &options, &out), TG_EINVAL);
    CHECK(out == 7 && it.released == 0);
    end(loop, 0);
}

/* Batch loops get the same by records. */
static void records_tell_the_same(void)
{
    struct sockaddr_storage where;
    int listening = listen_on("127.0.0.1", 5, &where), caller = -1;
    for (int live = 0; live < 2; live++) {
        tg_conn_options options = TG_CONN_OPTIONS_INIT;
        tg_batch *batch = NULL;
        tg_handle conn;
        int opens = 0, closes = 0, ends = 0;
        tg_loop loop = new_batch_loop(8, 8);
        MUST(tg_batch_get(loop, &batch) == 0);
        answer_with(NULL, 0);
        if (live) answer_also(where);
        else answer_also(dead_end("127.0.0.1"));
        conn = connect_with(loop, &options);
        while (ends == 0) {
            batch->timeout_ns = SECOND;
            REQUIRE(tg_batch_turn(loop) >= 0);
            for (; batch->record_cursor < batch->record_count; batch->record_cursor++) {
                const tg_record *record = &batch->records[batch->record_cursor];
                CHECK_EQ(record->handle, conn);
                if (record->kind == TG_RECORD_CLOSED) ends++;
                if (record->kind == TG_RECORD_CONN_EOF) CHECK_CODE(tg_conn_finish(conn), 0);
                if (record->kind == TG_RECORD_CONN_OPEN) {
                    opens++;
                    caller = accept(listening, NULL, NULL);
                    MUST(caller >= 0 && close(caller) == 0);
                }
                if (record->kind == TG_RECORD_CONN_CLOSE) {
                    closes++;
                    CHECK_CODE((int)(int64_t)record->value, live ? 0 : -ECONNREFUSED);
                }
            }
        }
        CHECK(opens == live && closes == 1);
        end(loop, 0);
    }
    close(listening);
}

/* Many at once, of which some win and some fail. */
static void many_at_once(void)
{
    enum { MANY = 60 };
    static talk all[MANY];
    struct sockaddr_storage where;
    int listening = listen_on("127.0.0.1", 128, &where), good = 0, bad = 0;
    tg_loop loop = new_loop();
    memset(all, 0, sizeof all);
    answer_with(NULL, 0);
    answer_also(dead_end("::1"));
    answer_also(where);
    for (int i = 0; i < MANY; i++) {
        all[i].action = say_hello;
        connect_to_name(loop, &all[i]);
        if (i % 3 == 2) CHECK_CODE(tg_close(all[i].id), 0);
    }
    for (int opened = 0; opened < MANY * 2 / 3;) {
        turns(loop, 1);
        opened = 0;
        for (int i = 0; i < MANY; i++) opened += all[i].opened;
    }
    while (was_chosen(listening)) good++;
    CHECK_EQ(good, MANY * 2 / 3);
    CHECK_CODE(tg_loop_run(loop), 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(all[i].released, 1);
        if (all[i].opened != (i % 3 != 2) || all[i].closed != all[i].opened) bad++;
    }
    CHECK_EQ(bad, 0);
    end(loop, 0);
    close(listening);
}

int main(void)
{
    harness_begin();
    RUN(the_first_that_answers_is_the_only_one);
    RUN(the_next_family_is_tried_after_a_refusal);
    RUN(one_that_never_answers_loses_its_head_start);
    RUN(when_all_fail_the_last_says_why);
    RUN(look_ups_that_fail_say_why);
    RUN(one_deadline_counts_for_all_of_it);
    RUN(h11_it_can_be_ended_at_every_stage);
    RUN(what_was_to_be_told_is_not_told_of_a_closed_one);
    RUN(nothing_else_can_be_done_before_it_is_open);
    RUN(bad_arguments_take_nothing);
    RUN(records_tell_the_same);
    RUN(many_at_once);
    return harness_end();
}
