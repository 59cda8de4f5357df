/* Rate limits on connections: what passes is never more than burst and rate allow, nothing is lost, and nobody spins while
 * waiting. Times are only ever taken as upper bounds: a slow machine lets less pass, never more. */
#include "talk.h"

static tg_handle rate_open(tg_loop loop, uint64_t read, uint64_t read_burst, uint64_t write, uint64_t write_burst)
{
    tg_rate_options options = TG_RATE_OPTIONS_INIT;
    tg_handle rate = 0;
    options.read = read;
    options.read_burst = read_burst;
    options.write = write;
    options.write_burst = write_burst;
    MUST(tg_rate_open(loop, &options, &rate) == 0);
    return rate;
}

/* What may have passed since `began`. */
static uint64_t most(int64_t began, uint64_t rate, uint64_t burst)
{
    return burst + (uint64_t)((double)rate * ((double)(monotonic_ns() - began) / 1e9)) + 1;
}

static void send_all(int fd, size_t length)
{
    static char zeroes[65536];
    MUST(length <= sizeof zeroes);
    MUST(send(fd, zeroes, length, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)length);
}

/* A byte a second: what is more than the burst does not come in the time of a test. */
enum { BURST = 100, ALL = 20000 };

static void end_with(tg_loop loop, int peer, int open_handles)
{
    close(peer);
    free_loop(loop, open_handles);
}

/* mutation: conn_received_specially does not spend. */
static void reading_keeps_to_its_own_limit_and_sleeps(void)
{
    enum { RATE = 200000 };
    talk it = { .id = 0 };
    int peer;
    int64_t began;
    uint64_t before;
    tg_loop loop = new_loop();
    tg_handle rate;
    talk_with(loop, &it, &peer);
    began = monotonic_ns();
    rate = rate_open(loop, RATE, 1000, 0, 0);
    CHECK_CODE(tg_conn_join_rate(it.id, rate), 0);
    send_all(peer, 50000);
    before = stats_of(loop).turns;
    while (it.got < 50000 && a_turn(loop)) CHECK(it.got <= most(began, RATE, 1000));
    CHECK_EQ(it.got, 50000);
    /* At least a thousandth of a second's bytes each time; two turns for each, and a_turn() has one of its own. */
    CHECK(stats_of(loop).turns - before <= 4 * (50000 / (RATE / 1000) + 10));
    end_with(loop, peer, 2);
}

/* At a high rate some bytes may always pass again: who took them would be awake all the time.
 * mutation: `available` tells of every byte (223,000 turns instead of some hundred). */
static void a_high_limit_lets_the_loop_sleep_too(void)
{
    enum { RATE = 10000000, LONG = 1000000 };
    static char block[65536];
    talk it = { .id = 0 };
    int peer, slices = 0;
    tg_loop loop = new_loop();
    tg_handle rate = rate_open(loop, RATE, 50000, 0, 0);
    talk_with(loop, &it, &peer);
    CHECK_CODE(tg_conn_join_rate(it.id, rate), 0);
    for (; it.got < LONG; slices++) {
        while (send(peer, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) { }
        CHECK(tg_loop_run_until(loop, tg_now_ns() + 2 * MS) >= 0);
    }
    /* A slice can end with less in the socket than may pass. */
    CHECK(it.events <= (int)(it.got / (RATE / 1000)) + slices + 10);
    end_with(loop, peer, 2);
}

/* mutation: conn_writable does not spend. */
static void writing_keeps_to_the_limit_of_a_group(void)
{
    enum { CONNS = 3, RATE = 300000, LONG = 40000 };
    static char text[LONG];
    talk all[CONNS];
    size_t got[CONNS] = { 0 }, sum = 0;
    int peers[CONNS];
    int64_t began;
    uint64_t before, slices;
    tg_loop loop = new_loop();
    tg_handle rate;
    memset(all, 0, sizeof all);
    began = monotonic_ns();
    rate = rate_open(loop, 0, 0, RATE, 1000);
    for (int i = 0; i < CONNS; i++) {
        talk_with(loop, &all[i], &peers[i]);
        CHECK_CODE(tg_conn_join_rate(all[i].id, rate), 0);
        CHECK_CODE(tg_conn_write(all[i].id, text, LONG), 0);
        CHECK_CODE(tg_conn_mark(all[i].id, 1), 0);
        CHECK_CODE(tg_conn_shutdown(all[i].id), 0);
    }
    before = stats_of(loop).turns;
    for (slices = 0; all[0].written + all[1].written + all[2].written < CONNS; slices++) {
        CHECK(tg_loop_run_until(loop, tg_now_ns() + 5 * MS) >= 0);
        for (int i = 0; i < CONNS; i++) got[i] += drink(peers[i]);
        sum = got[0] + got[1] + got[2];
        CHECK(sum <= most(began, RATE, 1000));
    }
    for (int i = 0; i < CONNS; i++) {
        CHECK_EQ(got[i] + drink(peers[i]), LONG);
        close(peers[i]);
    }
    CHECK(stats_of(loop).turns - before <= 4 * CONNS * (CONNS * LONG / (RATE / 1000) + 10) + 3 * slices);
    for (int i = 0; i < CONNS; i++) UNTIL(loop, all[i].released == 1);
    free_loop(loop, 1);
}

/* Who has had its share waits behind the others, whether there is enough for all at once or not.
 * mutation: rate_let_on lets all of them on without shares (then one has everything, and the others nothing at all). */
static void all_of_a_group_have_their_share(void)
{
    static char text[150000];
    for (int way = 0; way < 4; way++) {
        enum { CONNS = 4, RATE = 1000000 };
        bool reads = way % 2 == 0;
        uint64_t burst = way < 2 ? 1000 : 40000;
        talk all[CONNS];
        size_t got[CONNS] = { 0 }, sum;
        int peers[CONNS];
        tg_loop loop = new_loop();
        tg_handle rate = rate_open(loop, RATE, burst, RATE, burst);
        memset(all, 0, sizeof all);
        for (int i = 0; i < CONNS; i++) {
            talk_with(loop, &all[i], &peers[i]);
            CHECK_CODE(tg_conn_join_rate(all[i].id, rate), 0);
            if (reads) send_all(peers[i], 60000);
            else CHECK_CODE(tg_conn_write(all[i].id, text, sizeof text), 0);
        }
        do {
            CHECK(tg_loop_run_until(loop, tg_now_ns() + 5 * MS) >= 0);
            sum = 0;
            for (int i = 0; i < CONNS; i++) {
                got[i] = reads ? all[i].got : got[i] + drink(peers[i]);
                sum += got[i];
            }
            /* Half of an equal part, but for a burst: the first may have had one before the others were there. */
            for (int i = 0; i < CONNS && sum < 120000; i++) CHECK(got[i] * 2 * CONNS + 4 * burst >= sum);
        } while (sum < 120000);
        for (int i = 0; i < CONNS; i++) close(peers[i]);
        free_loop(loop, CONNS + 1);
    }
}

/* mutation: conn_allowance looks at the first limit only. */
static void both_limits_count(void)
{
    talk one = { .id = 0 }, other = { .id = 0 };
    int first, second;
    tg_loop loop = new_loop();
    tg_handle own = rate_open(loop, 1, 30, 1, 30), group = rate_open(loop, 1, 100, 1, 100);
    static char text[ALL];
    talk_with(loop, &one, &first);
    talk_with(loop, &other, &second);
    CHECK_CODE(tg_conn_join_rate(one.id, own), 0);
    CHECK_CODE(tg_conn_join_rate(one.id, group), 0);
    CHECK_CODE(tg_conn_join_rate(other.id, group), 0);
    send_all(first, 1000);
    turns(loop, 10);
    CHECK(one.got >= 30 && one.got < 90);
    send_all(second, 1000);
    turns(loop, 10);
    CHECK(one.got + other.got >= 100 && one.got + other.got < 160);
    CHECK_CODE(tg_conn_write(one.id, text, ALL), 0);
    CHECK_CODE(tg_conn_write(other.id, text, ALL), 0);
    turns(loop, 10);
    CHECK(drink(first) < 90 && drink(second) < 130);
    CHECK_QUIET(loop);
    /* The closer of the two is gone: the other one still counts, and the other way round. */
    CHECK_CODE(tg_close(own), 0);
    turns(loop, 10);
    CHECK(one.got + other.got < 160);
    own = rate_open(loop, 1, 30, 1, 30);
    CHECK_CODE(tg_conn_join_rate(one.id, own), 0); /* its place is free again */
    CHECK_CODE(tg_close(group), 0);
    turns(loop, 10);
    CHECK(one.got < 200);
    CHECK_EQ(other.got, 1000);
    turns(loop, 10);
    CHECK_EQ(drink(second) >= ALL - 130, 1);
    CHECK_CODE(tg_close(own), 0);
    turns(loop, 10);
    CHECK_EQ(one.got, 1000);
    close(first);
    close(second);
    free_loop(loop, 2);
}

enum way_out { BY_CLOSE, BY_LEAVE, BY_NO_LIMITS, BY_MORE, WAYS_OUT };

static void let_out(enum way_out way, tg_handle conn, tg_handle rate)
{
    tg_rate_options more = TG_RATE_OPTIONS_INIT;
    more.read = more.write = UINT64_MAX;
    if (way == BY_CLOSE) CHECK_CODE(tg_close(rate), 0);
    if (way == BY_LEAVE) CHECK_CODE(tg_conn_leave_rate(conn, rate), 0);
    if (way == BY_NO_LIMITS) CHECK_CODE(tg_rate_set_limits(rate, NULL), 0);
    if (way == BY_MORE) CHECK_CODE(tg_rate_set_limits(rate, &more), 0);
}

/* What waits comes at once when the limit goes, in both directions, whatever it is that waits.
 * mutation: rate_dispose, conn_leave_rate or rate_set lets nobody on. */
static void what_waits_comes_when_the_limit_goes(void)
{
    static char text[ALL];
    for (enum way_out way = 0; way < WAYS_OUT; way++) {
        talk it = { .id = 0 };
        size_t got = 0;
        int peer, file = temporary_file();
        tg_loop loop = new_loop();
        tg_handle rate = rate_open(loop, 1, BURST, 1, BURST);
        MUST(write(file, text, ALL) == ALL);
        talk_with(loop, &it, &peer);
        CHECK_CODE(tg_conn_join_rate(it.id, rate), 0);
        send_all(peer, ALL);
        CHECK_CODE(tg_conn_write(it.id, text, ALL), 0);
        CHECK_CODE(tg_conn_send_file(it.id, file, 0, -1), 0);
        CHECK_CODE(tg_conn_mark(it.id, 1), 0);
        turns(loop, 10);
        got = drink(peer);
        CHECK(it.got >= BURST && it.got < BURST + 60 && got >= BURST && got < BURST + 60);
        CHECK_QUIET(loop);
        let_out(way, it.id, rate);
        for (int i = 0; i < 20; i++) {
            turns(loop, 1);
            got += drink(peer);
        }
        CHECK_EQ(it.got, ALL);
        CHECK_EQ(got, 2 * ALL);
        CHECK_EQ(it.written, 1);
        close(file);
        end_with(loop, peer, way == BY_CLOSE ? 1 : 2);
    }
}

/* mutation: writes under a limit do not look at the marks. */
static void watermarks_count_under_a_limit(void)
{
    static char text[ALL];
    talk it = { .id = 0 };
    tg_conn_options options = talk_options(&it);
    int ends[2];
    tg_loop loop = new_loop();
    tg_handle rate = rate_open(loop, 0, 0, 1, BURST);
    make_pair(ends);
    options.high_watermark = 1000;
    options.low_watermark = 500;
    options.limit = 5000;
    talk_open_with(loop, ends[0], &options);
    turns(loop, 1);
    CHECK_CODE(tg_conn_join_rate(it.id, rate), 0);
    CHECK_CODE(tg_conn_write(it.id, text, 900), 0);
    CHECK_CODE(tg_conn_write(it.id, text, 900), 1);
    CHECK_CODE(tg_conn_write(it.id, text, 5000), TG_ENOBUFS);
    send_all(ends[1], 10);
    turns(loop, 5);
    CHECK(it.got == 0 && it.drains == 0); /* its own reading rests */
    CHECK_QUIET(loop);
    CHECK_CODE(tg_rate_set_limits(rate, NULL), 0);
    UNTIL(loop, it.got == 10);
    CHECK_EQ(it.drains, 1);
    CHECK_EQ(drink(ends[1]), 1800);
    CHECK_CODE(tg_conn_write(it.id, text, 900), 0);
    end_with(loop, ends[1], 2);
}

/* Waiting for a limit is quiet, whatever else holds of the connection.
 * mutation: a connection that finishes reads on although it is slowed down. */
static void who_waits_does_not_spin(void)
{
    for (int state = 0; state < 5; state++) {
        static char text[BURST + 50];
        talk it = { .id = 0 };
        int peer;
        tg_loop loop = new_loop();
        tg_handle rate = rate_open(loop, 1, BURST, 1, BURST);
        talk_with(loop, &it, &peer);
        CHECK_CODE(tg_conn_join_rate(it.id, rate), 0);
        send_all(peer, ALL);
        turns(loop, 5);
        if (state == 1) CHECK_CODE(tg_conn_finish(it.id), 0);
        if (state == 2) MUST(shutdown(peer, SHUT_WR) == 0);
        if (state == 3) CHECK_CODE(tg_conn_shutdown(it.id), 0);
        if (state == 4) {
            CHECK_CODE(tg_conn_write(it.id, text, sizeof text), 0);
            CHECK_CODE(tg_conn_pause(it.id), 0);
            turns(loop, 3);
            CHECK_CODE(tg_conn_resume(it.id), 0);
        }
        turns(loop, 5);
        CHECK_QUIET(loop);
        CHECK(it.got < BURST + 60 && it.closed == 0);
        /* Its end is found once the limit is gone, behind everything. */
        CHECK_CODE(tg_close(rate), 0);
        turns(loop, 5);
        drink(peer); /* or the system resets it */
        close(peer);
        UNTIL(loop, it.released == 1);
        CHECK_CODE(it.reason, 0);
        CHECK(it.closed == 1 && it.got == (state == 1 ? it.got : ALL));
        free_loop(loop, 0);
    }
}

/* A program that reads by itself gets no more either.
 * mutation: tg_conn_read does not spend. */
static void what_the_program_reads_itself_counts(void)
{
    talk it = { .id = 0 };
    tg_conn_options options = talk_options(&it);
    char bytes[1000];
    int ends[2], got;
    tg_loop loop = new_loop();
    tg_handle rate = rate_open(loop, 1, BURST, 0, 0);
    make_pair(ends);
    options.on_data = NULL;
    options.on_readable = talk_eof;
    talk_open_with(loop, ends[0], &options);
    CHECK_CODE(tg_conn_join_rate(it.id, rate), 0);
    send_all(ends[1], 1000);
    turns(loop, 3);
    CHECK(it.eofs >= 1);
    CHECK_EQ(tg_conn_read(it.id, bytes, 40), 40);
    got = tg_conn_read(it.id, bytes, sizeof bytes);
    CHECK(got >= BURST - 40 && got < BURST + 20);
    CHECK_CODE(tg_conn_read(it.id, bytes, sizeof bytes), -EAGAIN);
    turns(loop, 3);
    it.eofs = 0;
    CHECK_QUIET(loop);
    CHECK_EQ(it.eofs, 0); /* nothing that it could read */
    CHECK_CODE(tg_close(rate), 0);
    UNTIL(loop, it.eofs >= 1);
    CHECK_EQ(tg_conn_read(it.id, bytes, sizeof bytes), 1000 - 40 - got);
    end_with(loop, ends[1], 1);
}

/* Frames wait whole, and a relay passes on no more than either end may. */
static void frames_and_relays_obey_it(void)
{
    talk one = { .id = 0 }, other = { .id = 0 };
    int first, second;
    size_t got;
    tg_loop loop = new_loop();
    tg_handle rate = rate_open(loop, 1, BURST, 1, BURST);
    talk_with(loop, &one, &first);
    talk_with(loop, &other, &second);
    turns(loop, 1);
    CHECK_CODE(tg_conn_set_framing(other.id, TG_FRAMING_LENGTH8, 255), 0);
    CHECK_CODE(tg_conn_join_rate(other.id, rate), 0);
    put(second, "\x40" "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    put(second, "\x40" "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    turns(loop, 5);
    CHECK_EQ(other.got, 64);
    CHECK_CODE(tg_rate_set_limits(rate, NULL), 0);
    UNTIL(loop, other.got == 128);
    CHECK_CODE(tg_close(rate), 0);
    rate = rate_open(loop, 0, 0, 1, BURST);
    CHECK_CODE(tg_conn_join_rate(other.id, rate), 0);
    CHECK_CODE(tg_conn_forward(one.id, other.id), 0);
    send_all(first, ALL);
    turns(loop, 10);
    got = drink(second);
    CHECK(got >= BURST && got < BURST + 60);
    CHECK_QUIET(loop);
    CHECK_CODE(tg_close(rate), 0);
    turns(loop, 10);
    CHECK_EQ(got + drink(second), ALL);
    close(first);
    close(second);
    free_loop(loop, 2);
}

static void joining_and_leaving_have_rules(void)
{
    talk it = { .id = 0 };
    counter user = { .calls = 0 };
    tg_rate_options options = TG_RATE_OPTIONS_INIT;
    int peer;
    tg_handle rates[3], far, out = 7;
    uint32_t kind = 0;
    tg_loop loop = new_loop(), other = new_loop(), batch = new_batch_loop(8, 8);
    talk_with(loop, &it, &peer);
    for (int i = 0; i < 3; i++) rates[i] = rate_open(loop, 1, 1, 1, 1);
    far = rate_open(other, 1, 1, 1, 1);
    CHECK_CODE(tg_handle_get_kind(far, &kind), 0);
    CHECK_EQ(kind, TG_KIND_RATE);
    CHECK_CODE(tg_conn_join_rate(it.id, far), TG_EINVAL);
    CHECK_CODE(tg_conn_join_rate(it.id, it.id), TG_EKIND);
    CHECK_CODE(tg_conn_join_rate(far, far), TG_EKIND);
    CHECK_CODE(tg_conn_leave_rate(it.id, rates[0]), TG_ENOENT);
    CHECK_CODE(tg_conn_join_rate(it.id, rates[0]), 0);
    CHECK_CODE(tg_conn_join_rate(it.id, rates[0]), TG_EEXIST);
    CHECK_CODE(tg_conn_join_rate(it.id, rates[1]), 0);
    CHECK_CODE(tg_conn_join_rate(it.id, rates[2]), TG_ENOBUFS);
    CHECK_CODE(tg_conn_leave_rate(it.id, rates[2]), TG_ENOENT);
    CHECK_CODE(tg_conn_leave_rate(it.id, rates[0]), 0);
    CHECK_CODE(tg_conn_leave_rate(it.id, rates[0]), TG_ENOENT);
    CHECK_CODE(tg_conn_join_rate(it.id, rates[2]), 0);
    CHECK_CODE(tg_close(rates[1]), 0);
    CHECK_CODE(tg_conn_join_rate(it.id, rates[1]), TG_ESTALE);
    CHECK_CODE(tg_conn_leave_rate(it.id, rates[1]), TG_ESTALE);
    CHECK_CODE(tg_conn_join_rate(it.id, rates[0]), 0);
    options.user = &user;
    options.release = counter_release;
    CHECK_CODE(tg_rate_open(batch, &options, &out), TG_EINVAL);
    CHECK_CODE(tg_rate_set_limits(rates[0], &options), TG_EINVAL);
    CHECK_EQ(out, 7);
    options.release = NULL;
    CHECK_CODE(tg_rate_open(batch, &options, &out), 0);
    options.release = counter_release;
    CHECK_CODE(tg_rate_open(other, &options, &out), 0);
    CHECK_CODE(tg_loop_run(other), 0); /* none of them keeps a loop alive */
    CHECK_EQ(user.released, 0);
    CHECK_CODE(tg_close(out), 0);
    turns(other, 1);
    CHECK_EQ(user.released, 1);
    close(peer);
    free_loop(loop, 3);
    free_loop(other, 1);
    free_loop(batch, 1);
}

/* Connections and limits end in any order, while some wait. */
static void everything_ends_in_any_order(void)
{
    for (int order = 0; order < 4; order++) {
        static char text[ALL];
        talk all[2] = { { .id = 0 }, { .id = 0 } };
        int peers[2];
        tg_loop loop = new_loop();
        tg_handle rate = rate_open(loop, 1, BURST, 1, BURST);
        for (int i = 0; i < 2; i++) {
            talk_with(loop, &all[i], &peers[i]);
            CHECK_CODE(tg_conn_join_rate(all[i].id, rate), 0);
            send_all(peers[i], ALL);
            CHECK_CODE(tg_conn_write(all[i].id, text, ALL), 0);
        }
        turns(loop, 5);
        if (order == 1 || order == 3) CHECK_CODE(tg_close(all[0].id), 0);
        if (order == 3) turns(loop, 2);
        if (order >= 1) CHECK_CODE(tg_close(rate), 0);
        if (order == 2) CHECK_CODE(tg_conn_abort(all[0].id), 0);
        if (order >= 1) turns(loop, 5);
        CHECK(order == 0 || all[1].got == ALL);
        free_loop(loop, order == 0 ? 3 : 1);
        CHECK(all[0].released == 1 && all[1].released == 1 && all[0].closed + all[1].closed == 0);
        close_both(peers);
    }
}

int main(void)
{
    harness_begin();
    RUN(reading_keeps_to_its_own_limit_and_sleeps);
    RUN(a_high_limit_lets_the_loop_sleep_too);
    RUN(writing_keeps_to_the_limit_of_a_group);
    RUN(all_of_a_group_have_their_share);
    RUN(both_limits_count);
    RUN(what_waits_comes_when_the_limit_goes);
    RUN(watermarks_count_under_a_limit);
    RUN(who_waits_does_not_spin);
    RUN(what_the_program_reads_itself_counts);
    RUN(frames_and_relays_obey_it);
    RUN(joining_and_leaving_have_rules);
    RUN(everything_ends_in_any_order);
    return harness_end();
}
