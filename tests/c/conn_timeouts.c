/* The times of connections: which one is told, in which order, never early; what does not count; and that
 * no combination with watermarks, framing and pauses hangs or spins. */
#include "conn_support.h"

#define SHORT (20 * MS)

static int64_t began, told_at;

static void note_time(tally *it, char what)
{
    (void)it;
    if (what == 't' || what == 'c') told_at = monotonic_ns();
}

#define CHECK_NOT_EARLY(after) CHECK(told_at - began >= (after))

static tg_conn_options timed(tally *it)
{
    tg_conn_options options = conn_options(it);
    it->action = note_time;
    return options;
}

/* One connection with one time, whose peer is silent. */
static void expect_timeout(tg_conn_options *options, bool clogged, uint32_t which)
{
    tg_loop loop = new_loop();
    tally *it = options->user;
    int ends[2];
    make_pair(ends);
    began = monotonic_ns();
    open_conn_with(loop, ends[0], options);
    if (clogged) write_until_waiting(it->id, 1);
    if (options->on_timeout == NULL) {
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_EQ(it->closed, 1);
        CHECK_CODE(it->reason, TG_ETIMEDOUT);
        CHECK_NOT_EARLY(SHORT);
    } else {
        UNTIL(loop, it->timeouts == 1);
        CHECK_EQ(it->which, which);
        CHECK_NOT_EARLY(SHORT);
        began = monotonic_ns() - MS; /* it counts anew */
        UNTIL(loop, it->timeouts == 2);
        CHECK_NOT_EARLY(SHORT / 2);
    }
    CHECK(tg_loop_free(loop) >= 0);
    CHECK_EQ(it->released, 1);
    close(ends[1]);
}

static void each_time_is_told_or_ends_it(void)
{
    for (int told = 0; told < 2; told++)
        for (uint32_t which = TG_TIMEOUT_READ; which <= TG_TIMEOUT_IDLE; which++) {
            tally it = { .count = 0 };
            tg_conn_options options = timed(&it);
            if (told == 0) options.on_timeout = NULL;
            if (which == TG_TIMEOUT_READ) options.read_timeout_ns = SHORT;
            if (which == TG_TIMEOUT_WRITE) options.write_timeout_ns = SHORT;
            if (which == TG_TIMEOUT_IDLE) options.idle_timeout_ns = SHORT;
            expect_timeout(&options, which == TG_TIMEOUT_WRITE, which);
        }
}

/* mutation: a file that waits does not start the write timeout. */
static void h42_a_file_that_nobody_takes(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = timed(&it);
    int ends[2], file = pattern_file(0, 8 << 20);
    make_pair(ends);
    options.on_timeout = NULL;
    options.write_timeout_ns = SHORT;
    open_conn_with(loop, ends[0], &options);
    turns(loop, 1);
    began = monotonic_ns();
    CHECK_CODE(tg_conn_send_file(it.id, file, 0, -1), 0);
    UNTIL(loop, it.closed == 1);
    CHECK_CODE(it.reason, TG_ETIMEDOUT);
    CHECK_NOT_EARLY(SHORT);
    free_loop(loop, 0);
    close(ends[1]);
    close(file);
}

/* An address that does not answer: the queue of its listener is full. */
static tg_address silent_address(int keep[4])
{
    tg_address address;
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof name;
    keep[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(bind(keep[0], (struct sockaddr *)&name, sizeof name) == 0 && listen(keep[0], 0) == 0);
    MUST(getsockname(keep[0], (struct sockaddr *)&name, &length) == 0);
    MUST(tg_address_from_sockaddr(&name, length, &address) == 0);
    for (int i = 1; i < 4; i++) {
        keep[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(keep[i], (struct sockaddr *)&name, sizeof name);
    }
    return address;
}

/* mutation: connecting counts from the loop's last reading of the clock. */
static void h51_connecting_counts_from_the_call(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = timed(&it);
    int keep[4];
    tg_address where = silent_address(keep);
    tg_handle conn = 0;
    options.connect_timeout_ns = SHORT;
    turns(loop, 1);
    busy_for(3 * SHORT);
    began = monotonic_ns();
    CHECK_CODE(tg_conn_connect(loop, &where, &options, &conn), 0);
    UNTIL(loop, it.closed == 1);
    CHECK_CODE(it.reason, TG_ETIMEDOUT);
    CHECK_NOT_EARLY(SHORT);
    CHECK(strcmp(it.order, "c") == 0);
    for (int i = 0; i < 4; i++) close(keep[i]);
    free_loop(loop, 0);
}

static void lingering_ends(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = timed(&it);
    int ends[2];
    make_pair(ends);
    options.linger_ns = SHORT;
    options.idle_timeout_ns = options.write_timeout_ns = -1;
    open_conn_with(loop, ends[0], &options);
    turns(loop, 1);
    began = monotonic_ns();
    CHECK_CODE(tg_conn_finish(it.id), 0);
    put(ends[1], "still talking");
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_CODE(it.reason, TG_ETIMEDOUT);
    CHECK_NOT_EARLY(SHORT);
    CHECK(strcmp(it.order, "oc") == 0);
    free_loop(loop, 0);
    close(ends[1]);
}

/* A peer that reads slowly, longer than the linger time, but reads.
 * mutation: the linger time counts before everything is written. */
static void h42_lingering_counts_when_all_is_written(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 }, peer = { .count = 0 };
    tg_conn_options options = timed(&it);
    int ends[2];
    size_t all;
    bool ended = false;
    make_pair(ends);
    options.linger_ns = 10 * SHORT;
    open_conn_with(loop, ends[0], &options);
    all = write_until_waiting(it.id, 1 << 20);
    CHECK_CODE(tg_conn_finish(it.id), 0);
    began = monotonic_ns();
    while (monotonic_ns() - began < 15 * SHORT) turns(loop, 1);
    CHECK_EQ(it.closed, 0);
    while (!ended) {
        turns(loop, 1);
        drink(ends[1], &peer, &ended);
    }
    CHECK_EQ(peer.got, all);
    close(ends[1]);
    UNTIL(loop, it.closed == 1);
    CHECK_CODE(it.reason, 0);
    free_loop(loop, 0);
    tally_end(&peer);
}

static void reading_that_is_paused_is_not_late(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 }, other = { .count = 0 };
    tg_conn_options options = timed(&it), others = timed(&other);
    int ends[2], pair[2];
    make_pair(ends);
    make_pair(pair);
    options.read_timeout_ns = SHORT;
    others.read_timeout_ns = 3 * SHORT;
    open_conn_with(loop, ends[0], &options);
    CHECK_CODE(tg_conn_pause(it.id), 0);
    open_conn_with(loop, pair[0], &others);
    UNTIL(loop, other.timeouts == 1);
    CHECK_EQ(it.timeouts, 0);
    began = monotonic_ns();
    CHECK_CODE(tg_conn_resume(it.id), 0);
    UNTIL(loop, it.timeouts == 1);
    CHECK_NOT_EARLY(SHORT);
    free_loop(loop, 2);
    close(ends[1]);
    close(pair[1]);
}

/* Reading that rested because too much waited: its time begins when it goes on, and does begin.
 * mutation: the end of the resting does not arm the timer, or counts from before. */
static void h42_reading_that_rested_is_timed_again(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 }, peer = { .count = 0 };
    tg_conn_options options = timed(&it);
    int ends[2];
    make_pair(ends);
    options.read_timeout_ns = 2 * SHORT;
    options.idle_timeout_ns = options.write_timeout_ns = -1;
    options.high_watermark = 1000;
    open_conn_with(loop, ends[0], &options);
    write_until_waiting(it.id, 2000);
    began = monotonic_ns();
    while (monotonic_ns() - began < 5 * SHORT) turns(loop, 1);
    CHECK_EQ(it.timeouts, 0);
    began = monotonic_ns();
    while (it.drains == 0) {
        drink(ends[1], &peer, NULL);
        turns(loop, 1);
    }
    UNTIL(loop, it.timeouts == 1);
    CHECK_NOT_EARLY(2 * SHORT);
    CHECK_EQ(it.which, TG_TIMEOUT_READ);
    free_loop(loop, 1);
    close(ends[1]);
    tally_end(&peer);
}

static void times_can_be_changed(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = timed(&it);
    tg_conn_timeouts times = TG_CONN_TIMEOUTS_INIT;
    int ends[2];
    make_pair(ends);
    options.idle_timeout_ns = options.write_timeout_ns = options.connect_timeout_ns = -1;
    open_conn_with(loop, ends[0], &options);
    turns(loop, 1);
    CHECK_QUIET(loop);
    times.idle_ns = SHORT;
    began = monotonic_ns();
    CHECK_CODE(tg_conn_set_timeouts(it.id, &times), 0);
    UNTIL(loop, it.timeouts == 1);
    CHECK_NOT_EARLY(SHORT);
    times.idle_ns = times.write_ns = times.connect_ns = -1;
    CHECK_CODE(tg_conn_set_timeouts(it.id, &times), 0);
    CHECK_QUIET(loop);
    CHECK_EQ(it.timeouts, 1);
    free_loop(loop, 1);
    close(ends[1]);
}

/* Each one that speaks is told later than the one that does not: the activity counts. */
static void activity_pushes_the_idle_time_back(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = timed(&it);
    int ends[2];
    make_pair(ends);
    options.idle_timeout_ns = 2 * SHORT;
    open_conn_with(loop, ends[0], &options);
    for (int i = 0; i < 10; i++) {
        size_t before = it.got;
        busy_for(SHORT / 4);
        began = monotonic_ns();
        put(ends[1], "x");
        UNTIL(loop, it.got > before || it.timeouts > 0);
        if (it.timeouts > 0) break; /* a machine that slept meanwhile */
    }
    UNTIL(loop, it.timeouts == 1);
    CHECK_NOT_EARLY(2 * SHORT);
    free_loop(loop, 1);
    close(ends[1]);
    tally_end(&it);
}

/* ---- Every combination ---- */

static void resume_later(tg_loop loop, void *user)
{
    (void)loop;
    if (tg_handle_is_open(((tally *)user)->id) == 1) CHECK_CODE(tg_conn_resume(((tally *)user)->id), 0);
}

static void echo_and_rest(tally *it, char what)
{
    if (what != 'd') return;
    CHECK(tg_conn_write(it->id, it->data, it->got) >= 0);
    CHECK(tg_conn_write(it->id, "\n", (size_t)(it->depth)) >= 0);
    it->got = 0;
    if (it->count == 0) return;
    CHECK_CODE(tg_conn_pause(it->id), 0);
    if (it->frames % 2 == 0) CHECK_CODE(tg_conn_resume(it->id), 0);
    CHECK_CODE(tg_defer(it->loop, resume_later, it, NULL), 0);
}

/* Sends `all` bytes in lines, reads now and then, and expects all of them back. */
static void exchange(tally *it, int fd, size_t all)
{
    static const char line[] = "123456789012345678901234567890123456789012345678901234567890123\n";
    size_t sent = 0, back = 0;
    int rounds = 0;
    tally peer = { .count = 0 };
    for (; back < all && rounds < 40000; rounds++) {
        if (sent < all) {
            size_t from = sent % (sizeof line - 1);
            ssize_t count = send(fd, line + from, sizeof line - 1 - from, MSG_DONTWAIT);
            if (count > 0) sent += (size_t)count;
        }
        turns(it->loop, 1);
        if (rounds % 50 == 0 || sent >= all) back += drink(fd, &peer, NULL);
        peer.got = 0;
        if (it->closed > 0) break;
    }
    CHECK_EQ(back, all);
    tally_end(&peer);
}

static void combination(int bits)
{
    tg_loop loop = new_loop();
    tally it = { .action = echo_and_rest, .count = bits & 1 };
    tg_conn_options options = conn_options(&it);
    int ends[2], bad_before = harness_bad;
    make_pair(ends);
    if ((bits & 2) != 0) options.high_watermark = 200, options.low_watermark = (bits & 1) != 0 ? 1 : 200;
    if ((bits & 4) != 0)
        options.read_timeout_ns = options.write_timeout_ns = options.idle_timeout_ns = 5 * MS;
    if ((bits & 8) != 0) options.framing = TG_FRAMING_LINES, it.depth = 1;
    if ((bits & 16) != 0) options.flags = TG_CONN_READ_ON;
    open_conn_with(loop, ends[0], &options);
    exchange(&it, ends[1], 64 * (size_t)harness_scale(2000));
    turns(loop, 3);
    CHECK(idle_turns(loop) <= 40);
    CHECK_EQ(it.closed, 0);
    MUST(shutdown(ends[1], SHUT_WR) == 0);
    UNTIL(loop, it.eofs == 1);
    CHECK_CODE(tg_conn_finish(it.id), 0);
    UNTIL(loop, it.closed == 1);
    CHECK_CODE(it.reason, 0);
    free_loop(loop, 0);
    close(ends[1]);
    tally_end(&it);
    if (harness_bad != bad_before) printf("# of combination %d\n", bits);
}

/* mutation: reading is not resumed when what waited has gone, or a pause inside of a burst of frames is lost. */
static void h42_no_combination_hangs_or_spins(void)
{
    for (int bits = 0; bits < 32; bits++) combination(bits);
}

int main(void)
{
    harness_begin();
    RUN(each_time_is_told_or_ends_it);
    RUN(h42_a_file_that_nobody_takes);
    RUN(h51_connecting_counts_from_the_call);
    RUN(lingering_ends);
    RUN(h42_lingering_counts_when_all_is_written);
    RUN(reading_that_is_paused_is_not_late);
    RUN(h42_reading_that_rested_is_timed_again);
    RUN(times_can_be_changed);
    RUN(activity_pushes_the_idle_time_back);
    RUN(h42_no_combination_hangs_or_spins);
    return harness_end();
}
