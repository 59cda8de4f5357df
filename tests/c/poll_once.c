/* tg_poll_once: select() without its limits. */
#include "support.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/select.h>

#define MANY 1200 /* more than an fd_set holds */

/* mutation: a descriptor that is not open is not reported. */
static void ready_bits(void)
{
    int ends[2], file;
    tg_poll_item items[5];
    make_pair(ends);
    file = temporary_file();
    items[0] = (tg_poll_item){ ends[0], TG_READ, 77 };
    items[1] = (tg_poll_item){ ends[0], TG_READ | TG_WRITE, 77 }; /* the same twice is fine */
    items[2] = (tg_poll_item){ -5, TG_READ, 77 };
    items[3] = (tg_poll_item){ file, TG_READ | TG_WRITE, 77 };
    items[4] = (tg_poll_item){ ends[1], 0, 77 };
    CHECK_EQ(tg_poll_once(items, 5, -1, 0), 2);
    CHECK_EQ(items[0].ready, 0);
    CHECK_EQ(items[1].ready, TG_WRITE);
    CHECK_EQ(items[2].ready, 0);
    CHECK_EQ(items[3].ready, TG_READ | TG_WRITE); /* a regular file always is */
    CHECK_EQ(items[4].ready, 0);
    put(ends[1], "x");
    CHECK_EQ(tg_poll_once(items, 2, -1, 0), 2);
    CHECK_EQ(items[0].ready, TG_READ);
    CHECK_EQ(items[1].ready, TG_READ | TG_WRITE);
    close(ends[1]);
    items[0].interest = 0;
    CHECK_EQ(tg_poll_once(items, 1, -1, 0), 1);
    CHECK_EQ(items[0].ready, TG_HANGUP); /* unasked */
    close(ends[0]);
    CHECK_EQ(tg_poll_once(items, 1, -1, 0), 1);
    CHECK_EQ(items[0].ready, TG_INVALID);
    close(file);
}

/* mutation: a half-close is not asked for. */
static void hangup_as_interest(void)
{
    int ends[2];
    tg_poll_item item;
    make_pair(ends);
    MUST(shutdown(ends[1], SHUT_WR) == 0);
    item = (tg_poll_item){ ends[0], TG_PRIORITY, 0 };
    CHECK_EQ(tg_poll_once(&item, 1, 0, 0), 0);
    item.interest = TG_HANGUP;
    CHECK_EQ(tg_poll_once(&item, 1, -1, 0), 1);
    CHECK_EQ(item.ready, TG_HANGUP);
    item.interest = TG_READ;
    CHECK_EQ(tg_poll_once(&item, 1, -1, 0), 1);
    CHECK_EQ(item.ready, TG_READ);
    close_both(ends);
}

/* mutation: native results are translated. */
static void native_masks(void)
{
    int ends[2];
    tg_poll_item items[2];
    make_pair(ends);
    put(ends[1], "x");
    items[0] = (tg_poll_item){ ends[0], POLLIN | POLLRDNORM | POLLRDHUP, 0 };
    items[1] = (tg_poll_item){ 1000000, POLLIN, 0 };
    CHECK_EQ(tg_poll_once(items, 2, -1, TG_POLL_NATIVE), 2);
    CHECK_EQ(items[0].ready, POLLIN | POLLRDNORM);
    CHECK_EQ(items[1].ready, POLLNVAL);
    close_both(ends);
}

/* mutation: the timeout is rounded down to milliseconds. */
static void timeouts(void)
{
    int64_t start = monotonic_ns();
    CHECK_EQ(tg_poll_once(NULL, 0, 0, 0), 0);
    CHECK_EQ(tg_poll_once(NULL, 0, 4 * MS - 100000, 0), 0);
    CHECK(monotonic_ns() - start >= 4 * MS - 100000);
}

/* More descriptors than select() can name, and numbers above what it can hold.
 * mutation: only the first 1,024 entries are looked at. */
static void more_than_1024_and_numbers_above_1024(void)
{
    static tg_poll_item items[MANY];
    struct rlimit limit, high;
    int ends[2], made = 0;
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    high = limit;
    high.rlim_cur = 4096 < limit.rlim_max ? 4096 : limit.rlim_max;
    if (high.rlim_cur < MANY + 64 || setrlimit(RLIMIT_NOFILE, &high) != 0) {
        SKIP("more_than_1024_and_numbers_above_1024", "the limit of descriptors is too low");
        return;
    }
    make_pipe(ends);
    while (made < MANY) {
        int copy = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
        MUST(copy >= 0);
        items[made++] = (tg_poll_item){ copy, TG_READ, 77 };
    }
    CHECK(items[MANY - 1].fd >= FD_SETSIZE);
    CHECK_EQ(tg_poll_once(items, MANY, 0, 0), 0);
    CHECK_EQ(items[MANY - 1].ready, 0);
    put(ends[1], "x");
    CHECK_EQ(tg_poll_once(items, MANY, -1, 0), MANY);
    CHECK_EQ(items[0].ready + items[MANY - 1].ready, 2 * TG_READ);
    for (int i = 0; i < MANY; i++) close(items[i].fd);
    close_both(ends);
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* mutation: a wait for a set is not counted. */
static void waits_are_counted(void)
{
    tg_process_stats before = { sizeof before, 0, 0, 0 }, after = { sizeof after, 0, 0, 0 };
    CHECK_CODE(tg_get_process_stats(&before), 0);
    CHECK_EQ(tg_poll_once(NULL, 0, 0, 0), 0);
    CHECK_CODE(tg_get_process_stats(&after), 0);
    CHECK_EQ(after.waits, before.waits + 1);
}

int main(void)
{
    harness_begin();
    RUN(ready_bits);
    RUN(hangup_as_interest);
    RUN(native_masks);
    RUN(timeouts);
    RUN(more_than_1024_and_numbers_above_1024);
    RUN(waits_are_counted);
    return harness_end();
}
