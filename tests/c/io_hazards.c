/* What a descriptor, its peer or its duplicates may do to a loop: spin it, wedge it, or lead it to
 * somebody else's descriptor. Spins are found by counting turns: a loop that is given some time and
 * has nothing to do needs a handful, whatever the machine's speed. */
#include "support.h"

#include <sys/resource.h>
#include <sys/stat.h>

/* A spinning loop makes thousands of turns in this time, one at rest a handful. */
#define REST (50 * MS)
#define HANDFUL 20u

/* Leaves the loop alone for a while and says how many turns it made. */
static uint64_t turns_at_rest(tg_loop loop)
{
    uint64_t before = stats_of(loop).turns;
    CHECK_CODE(tg_loop_run_until(loop, tg_now_ns() + REST), 1);
    return stats_of(loop).turns - before;
}

/* mutation: unwanted urgency is not stripped from the registration. */
static void h28_unread_urgent_byte_does_not_spin(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    int ends[2];
    make_tcp(ends);
    open_io(loop, ends[0], TG_READ, on_io, &it);
    MUST(send(ends[1], "!", 1, MSG_OOB) == 1);
    CHECK(turns_at_rest(loop) <= HANDFUL);
    CHECK(it.calls <= (int)HANDFUL);
    it.calls = 0;
    put(ends[1], "x"); /* ordinary data still arrives */
    while (it.calls == 0) CHECK_CODE(tg_loop_run_once(loop), 1);
    CHECK_EQ(it.ready & TG_READ, TG_READ);
    CHECK_EQ(it.ready & TG_PRIORITY, 0);
    free_loop(loop, 1);
    close_both(ends);
}

/* mutation: urgency is not told to a single watcher. */
static void h28_urgent_byte_is_reported_on_request(void)
{
    tg_loop loop = new_loop();
    counter asked = { .enough = 1 };
    int ends[2];
    make_tcp(ends);
    open_io(loop, ends[0], TG_PRIORITY, on_io, &asked);
    MUST(send(ends[1], "!", 1, MSG_OOB) == 1);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(asked.ready, TG_PRIORITY);
    free_loop(loop, 0);
    close_both(ends);
}

/* mutation: a registration without interest is changed to an empty mask instead of deleted. */
static void h27_hangup_without_interest_does_not_spin(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 }, keep = { .calls = 0 };
    int ends[2];
    tg_handle watcher;
    make_tcp(ends);
    open_timer(loop, 3600 * SECOND, 0, on_timer, &keep);
    watcher = open_io(loop, ends[0], TG_READ, on_io, &it);
    turns(loop, 1);
    CHECK_CODE(tg_io_set_interest(watcher, 0), 0);
    reset_tcp(ends[1]);
    CHECK(turns_at_rest(loop) <= HANDFUL);
    CHECK_EQ(it.calls, 0);
    CHECK_CODE(tg_io_set_interest(watcher, TG_READ), 0); /* and it is not forgotten either */
    CHECK_CODE(tg_loop_run_once(loop), 1);
    CHECK_EQ(it.calls, 1);
    CHECK((it.ready & (TG_READ | TG_HANGUP | TG_ERROR)) != 0);
    free_loop(loop, 2);
    CHECK_EQ(it.released, 1);
    close(ends[0]);
}

/* mutation: the peer's half-close is part of every registration that is made by hand. */
static void h27_half_close_of_a_paused_peer_does_not_spin(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    int ends[2];
    char byte;
    make_pair(ends);
    open_io(loop, ends[0], TG_PRIORITY, on_io, &it); /* an interest, but not in reading */
    MUST(shutdown(ends[1], SHUT_WR) == 0);
    CHECK(turns_at_rest(loop) <= HANDFUL);
    CHECK_EQ(it.calls, 0);
    free_loop(loop, 1);
    it = (counter){ .enough = 1 };
    loop = new_loop();
    open_io(loop, ends[0], TG_HANGUP, on_io, &it); /* who asks is told */
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.ready & TG_HANGUP, TG_HANGUP);
    CHECK_EQ(read(ends[0], &byte, 1), 0);
    free_loop(loop, 0);
    close_both(ends);
}

/* The descriptor is closed without its watcher, but a duplicate keeps the kernel's registration
 * alive: it reports for ever and cannot be removed by number.
 * mutation: the poller object is not replaced when a dead registration reports. */
static void h06_duplicate_keeps_a_dead_registration(void)
{
    tg_loop loop = new_loop();
    counter dead = { .calls = 0 }, live = { .calls = 0 };
    int ends[2], other[2], duplicate, calls;
    tg_handle watcher;
    make_pipe(ends);
    make_pipe(other);
    watcher = open_io(loop, ends[0], TG_READ, on_io, &dead);
    open_io(loop, other[0], TG_READ, on_io, &live);
    turns(loop, 1);
    duplicate = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
    MUST(duplicate >= 0);
    close(ends[0]);
    CHECK_CODE(tg_close(watcher), 0);
    put(ends[1], "x"); /* ready for ever, as nobody reads it */
    calls = dead.calls;
    CHECK(turns_at_rest(loop) <= HANDFUL);
    CHECK_EQ(dead.calls, calls);
    put(other[1], "y");
    CHECK_CODE(tg_loop_run_once(loop), 1);
    CHECK(live.calls >= 1);
    free_loop(loop, 1);
    CHECK_EQ(dead.released, 1);
    close(duplicate);
    close(ends[1]);
    close_both(other);
}

/* A watcher of a number that was closed and reused meets the kernel's registration of the old
 * description, kept alive by a duplicate: the new watcher works, the old one ends.
 * mutation: the poller object is not replaced when a dead registration reports. */
static void h06_number_reused_while_a_duplicate_lives(void)
{
    tg_loop loop = new_loop();
    counter old_user = { .calls = 0 }, new_user = { .calls = 0 };
    int ends[2], fresh[2], duplicate;
    tg_handle watcher;
    make_pipe(ends);
    make_pipe(fresh);
    watcher = open_io(loop, ends[0], TG_READ, on_io, &old_user);
    turns(loop, 1);
    duplicate = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
    MUST(duplicate >= 0 && dup3(fresh[0], ends[0], O_CLOEXEC) == ends[0]);
    open_io(loop, ends[0], TG_READ, on_io, &new_user);
    put(ends[1], "x"); /* data of the old description */
    CHECK(turns_at_rest(loop) <= HANDFUL);
    CHECK_EQ(new_user.calls, 0);
    CHECK_CODE(tg_close(watcher), 0);
    put(fresh[1], "y");
    CHECK_CODE(tg_loop_run_once(loop), 1);
    CHECK(new_user.calls >= 1);
    free_loop(loop, 1);
    CHECK_EQ(old_user.released, 1);
    CHECK_EQ(new_user.released, 1);
    close(duplicate);
    close_both(ends);
    close_both(fresh);
}

/* mutation: level is registered as edge. */
static void h29_partial_drain_is_reported_again_by_default(void)
{
    tg_loop loop = new_loop();
    counter it = { .enough = 10 };
    int ends[2];
    make_pipe(ends);
    it.fd = ends[0];
    put(ends[1], "0123456789");
    open_io(loop, ends[0], TG_READ, on_io_read_one, &it);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.calls, 10);
    CHECK_EQ(it.total, 0); /* no read failed */
    free_loop(loop, 0);
    close_both(ends);
}

/* Two watchers, one byte: the second is told of readiness that the first has used up. Its read fails
 * with EAGAIN and nothing hangs; the library has not touched the descriptor's flags.
 * mutation: opening a watcher sets O_NONBLOCK and clears the other flags. */
static void h37_spurious_readiness(void)
{
    tg_loop loop = new_loop();
    counter first = { .calls = 0 }, second = { .calls = 0 };
    int ends[2], flags;
    make_pipe(ends);
    first.fd = second.fd = ends[0];
    flags = fcntl(ends[0], F_GETFL);
    put(ends[1], "x");
    open_io(loop, ends[0], TG_READ, on_io_read_one, &first);
    open_io(loop, ends[0], TG_READ, on_io_read_one, &second);
    turns(loop, 3);
    CHECK_EQ(first.calls, 1);
    CHECK(second.calls <= 1);
    CHECK_EQ(first.total, 0);
    CHECK_EQ(second.total, (uint64_t)second.calls);
    CHECK_EQ(fcntl(ends[0], F_GETFL), flags);
    free_loop(loop, 2);
    CHECK_EQ(fcntl(ends[0], F_GETFL), flags);
    MUST(fcntl(ends[0], F_SETFL, flags & ~O_NONBLOCK) == 0);
    loop = new_loop();
    open_io(loop, ends[0], TG_READ, on_io, &first);
    turns(loop, 1);
    CHECK_EQ(fcntl(ends[0], F_GETFL), flags & ~O_NONBLOCK);
    free_loop(loop, 1);
    close_both(ends);
}

/* mutation: the slot is not given back when the registration fails. */
static void h10_a_failed_open_leaves_nothing(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    tg_io_options options = TG_IO_OPTIONS_INIT;
    tg_handle handle = 7;
    int ends[2];
    make_pipe(ends);
    close_both(ends);
    options.callback = on_io;
    options.user = &it;
    options.release = counter_release;
    options.timeout_ns = SECOND;
    CHECK_CODE(tg_io_open(loop, ends[0], TG_READ, &options, &handle), TG_EBADFD);
    CHECK_CODE(tg_io_open(loop, -1, TG_READ, &options, &handle), TG_EBADFD);
    CHECK_EQ(handle, 7);
    CHECK_EQ(stats_of(loop).open_handles, 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    free_loop(loop, 0);
    CHECK_EQ(it.released, 0);
}

/* mutation: making the waker leaves a descriptor of its own open. */
static void h10_no_descriptor_for_a_loop(void)
{
    struct rlimit limit, low;
    tg_loop loop = 7;
    tg_poller poller = 7;
    int fds = harness_open_fds(), first_free = fcntl(0, F_DUPFD, 0);
    MUST(first_free > 0 && close(first_free) == 0);
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (rlim_t room = 0; room < 8; room++) { /* each step of the construction fails once */
        int made_loop, made_poller;
        low = limit;
        low.rlim_cur = (rlim_t)first_free + room;
        MUST(setrlimit(RLIMIT_NOFILE, &low) == 0);
        loop = poller = 7;
        made_loop = tg_loop_new(NULL, &loop);
        made_poller = tg_poller_new(NULL, &poller);
        MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        CHECK(made_loop == 0 || (made_loop == -EMFILE && loop == 7));
        CHECK(made_poller == 0 || (made_poller == -EMFILE && poller == 7));
        if (room == 0) CHECK_CODE(made_loop, -EMFILE);
        if (room == 0) CHECK_CODE(made_poller, -EMFILE);
        if (made_loop == 0) free_loop(loop, 0);
        if (made_poller == 0) CHECK_CODE(tg_poller_free(poller), 0);
        CHECK_EQ(harness_open_fds(), fds);
    }
}

static void on_io_timeout(tg_handle self, void *user, uint32_t ready, int status)
{
    counter *it = user;
    if (status == TG_ETIMEDOUT) CHECK_EQ(ready, 0);
    if (status == TG_ETIMEDOUT) it->total++;
    on_io(self, user, ready, status);
}

/* mutation: the inactivity timeout is not armed at open. */
static void io_timeout_reports_and_can_be_changed(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    tg_io_options options = TG_IO_OPTIONS_INIT;
    tg_handle watcher;
    int64_t start = monotonic_ns();
    int ends[2];
    make_pipe(ends);
    options.callback = on_io_timeout;
    options.user = &it;
    options.release = counter_release;
    options.timeout_ns = 10 * MS;
    REQUIRE(tg_io_open(loop, ends[0], TG_READ, &options, &watcher) == 0);
    while (it.total == 0) CHECK(tg_loop_run_once(loop) >= 0);
    CHECK(monotonic_ns() - start >= 10 * MS);
    CHECK_EQ(it.calls, 1);
    CHECK_CODE(tg_io_set_timeout(watcher, 0), 0);
    CHECK(turns_at_rest(loop) <= HANDFUL);
    CHECK_EQ(it.calls, 1);
    CHECK_CODE(tg_io_set_timeout(watcher, 1), 0);
    while (it.total == 1) CHECK(tg_loop_run_once(loop) >= 0);
    CHECK_CODE(tg_io_set_timeout(watcher, -1), 0);
    put(ends[1], "x");
    while ((it.ready & TG_READ) == 0) CHECK(tg_loop_run_once(loop) >= 0);
    CHECK_CODE(it.last_status, 0);
    free_loop(loop, 1);
    CHECK_EQ(it.released, 1);
    close_both(ends);
}

int main(void)
{
    harness_begin();
    RUN(h28_unread_urgent_byte_does_not_spin);
    RUN(h28_urgent_byte_is_reported_on_request);
    RUN(h27_hangup_without_interest_does_not_spin);
    RUN(h27_half_close_of_a_paused_peer_does_not_spin);
    RUN(h06_duplicate_keeps_a_dead_registration);
    RUN(h06_number_reused_while_a_duplicate_lives);
    RUN(h29_partial_drain_is_reported_again_by_default);
    RUN(h37_spurious_readiness);
    RUN(h10_a_failed_open_leaves_nothing);
    RUN(h10_no_descriptor_for_a_loop);
    RUN(io_timeout_reports_and_can_be_changed);
    return harness_end();
}
