/* The poller: the epoll shape without callbacks, usable from any thread. */
#include "support.h"

#include <sys/epoll.h>

static tg_poller new_poller(uint32_t flags)
{
    tg_poller_options options = TG_POLLER_OPTIONS_INIT;
    tg_poller poller = 0;
    options.flags = flags;
    MUST(tg_poller_new(&options, &poller) == 0);
    return poller;
}

/* mutation: modify keeps the old data. */
static void add_modify_remove(void)
{
    tg_poller poller = new_poller(0);
    tg_poller_event events[4];
    int ends[2];
    make_pair(ends);
    CHECK_CODE(tg_poller_add(poller, ends[0], TG_READ, TG_LEVEL, 11), 0);
    CHECK_CODE(tg_poller_add(poller, ends[0], TG_READ, TG_LEVEL, 11), TG_EEXIST);
    CHECK_EQ(tg_poller_wait(poller, events, 4, 0), 0);
    put(ends[1], "x");
    for (int i = 0; i < 3; i++) { /* level: again and again */
        CHECK_EQ(tg_poller_wait(poller, events, 4, -1), 1);
        CHECK_EQ(events[0].data, 11);
        CHECK_EQ(events[0].ready, TG_READ);
        CHECK_EQ(events[0].reserved, 0);
    }
    CHECK_CODE(tg_poller_modify(poller, ends[0], TG_READ | TG_WRITE, TG_LEVEL, 22), 0);
    CHECK_EQ(tg_poller_wait(poller, events, 4, -1), 1);
    CHECK_EQ(events[0].data, 22);
    CHECK_EQ(events[0].ready, TG_READ | TG_WRITE);
    CHECK_CODE(tg_poller_modify(poller, ends[0], 0, TG_LEVEL, 22), 0);
    CHECK_EQ(tg_poller_wait(poller, events, 4, 0), 0); /* known, but silent */
    CHECK_CODE(tg_poller_add(poller, ends[0], TG_READ, TG_LEVEL, 1), TG_EEXIST);
    CHECK_CODE(tg_poller_modify(poller, ends[0], TG_READ, TG_LEVEL, 33), 0);
    CHECK_EQ(tg_poller_wait(poller, events, 4, -1), 1);
    CHECK_CODE(tg_poller_remove(poller, ends[0]), 0);
    CHECK_CODE(tg_poller_remove(poller, ends[0]), TG_ENOENT);
    CHECK_CODE(tg_poller_modify(poller, ends[0], TG_READ, TG_LEVEL, 1), TG_ENOENT);
    CHECK_EQ(tg_poller_wait(poller, events, 4, 0), 0);
    CHECK_CODE(tg_poller_free(poller), 0);
    CHECK_CODE(tg_poller_free(poller), TG_ESTALE);
    CHECK(fcntl(ends[0], F_GETFD) >= 0);
    close_both(ends);
}

/* mutation: edge is registered as level. */
static void edge_and_oneshot(void)
{
    tg_poller poller = new_poller(0);
    tg_poller_event event;
    int ends[2];
    make_pair(ends);
    CHECK_CODE(tg_poller_add(poller, ends[0], TG_READ, TG_EDGE, 1), 0);
    put(ends[1], "x");
    CHECK_EQ(tg_poller_wait(poller, &event, 1, -1), 1);
    CHECK_EQ(tg_poller_wait(poller, &event, 1, 0), 0);
    put(ends[1], "y");
    CHECK_EQ(tg_poller_wait(poller, &event, 1, -1), 1);
    CHECK_CODE(tg_poller_modify(poller, ends[0], TG_READ, TG_ONESHOT, 2), 0);
    CHECK_EQ(tg_poller_wait(poller, &event, 1, -1), 1);
    CHECK_EQ(event.data, 2);
    put(ends[1], "z");
    CHECK_EQ(tg_poller_wait(poller, &event, 1, 0), 0);
    CHECK_CODE(tg_poller_modify(poller, ends[0], TG_READ, TG_ONESHOT, 3), 0);
    CHECK_EQ(tg_poller_wait(poller, &event, 1, -1), 1);
    CHECK_EQ(event.data, 3);
    CHECK_CODE(tg_poller_free(poller), 0);
    close_both(ends);
}

/* A peer that is gone is reported with the directions that were asked for, and removing ends it.
 * mutation: a hang-up is not told to those who did not ask for it. */
static void hangup_and_capacity(void)
{
    tg_poller poller = new_poller(0);
    tg_poller_event events[8];
    int pairs[8][2], seen = 0, found;
    for (int i = 0; i < 8; i++) {
        make_pair(pairs[i]);
        close(pairs[i][1]);
        CHECK_CODE(tg_poller_add(poller, pairs[i][0], TG_READ, TG_LEVEL, (uint64_t)i), 0);
    }
    found = tg_poller_wait(poller, events, 3, -1); /* less room than there is to tell */
    CHECK(found >= 1 && found <= 3);
    for (int round = 0; round < 20 && seen != 0xff; round++) {
        found = tg_poller_wait(poller, events, 8, -1);
        for (int i = 0; i < found; i++) {
            CHECK(events[i].data < 8);
            CHECK_EQ(events[i].ready, TG_READ | TG_HANGUP);
            seen |= 1 << events[i].data;
            CHECK_CODE(tg_poller_remove(poller, pairs[events[i].data][0]), 0);
        }
    }
    CHECK_EQ(seen, 0xff);
    CHECK_EQ(tg_poller_wait(poller, events, 8, 0), 0);
    CHECK_CODE(tg_poller_free(poller), 0);
    for (int i = 0; i < 8; i++) close(pairs[i][0]);
}

/* mutation: the strict flag is ignored. */
static void h39_regular_files_and_strict(void)
{
    tg_poller lenient = new_poller(0), strict = new_poller(TG_POLLER_STRICT);
    tg_poller_event event;
    int file = temporary_file();
    CHECK_CODE(tg_poller_add(strict, file, TG_READ, TG_LEVEL, 1), -EPERM);
    CHECK_EQ(tg_poller_wait(strict, &event, 1, 0), 0);
    CHECK_CODE(tg_poller_add(lenient, file, TG_READ | TG_WRITE, TG_LEVEL, 9), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(tg_poller_wait(lenient, &event, 1, -1), 1);
        CHECK_EQ(event.data, 9);
        CHECK_EQ(event.ready, TG_READ | TG_WRITE);
    }
    CHECK_CODE(tg_poller_modify(lenient, file, TG_READ, TG_ONESHOT, 10), 0);
    CHECK_EQ(tg_poller_wait(lenient, &event, 1, -1), 1);
    CHECK_EQ(event.ready, TG_READ);
    CHECK_EQ(tg_poller_wait(lenient, &event, 1, 0), 0);
    CHECK_CODE(tg_poller_remove(lenient, file), 0);
    CHECK_CODE(tg_poller_free(lenient), 0);
    CHECK_CODE(tg_poller_free(strict), 0);
    close(file);
}

/* mutation: data of all ones is accepted. */
static void native_mode(void)
{
    tg_poller poller = new_poller(TG_POLLER_NATIVE);
    tg_poller_event event;
    uint64_t data = UINT64_C(0xfedcba9876543210);
    int ends[2], file = temporary_file();
    make_pair(ends);
    CHECK_CODE(tg_poller_add(poller, ends[0], EPOLLIN | EPOLLRDHUP | EPOLLET, 0, data), 0);
    CHECK_CODE(tg_poller_add(poller, ends[0], EPOLLIN, 0, data), -EEXIST);
    CHECK_CODE(tg_poller_modify(poller, ends[1], EPOLLIN, 0, data), -ENOENT);
    CHECK_CODE(tg_poller_remove(poller, ends[1]), -ENOENT);
    CHECK_CODE(tg_poller_add(poller, -1, EPOLLIN, 0, data), -EBADF);
    CHECK_CODE(tg_poller_add(poller, file, EPOLLIN, 0, data), -EPERM);
    CHECK_CODE(tg_poller_add(poller, ends[1], EPOLLIN, TG_EDGE, data), TG_EINVAL);
    CHECK_CODE(tg_poller_add(poller, ends[1], EPOLLIN, 0, UINT64_MAX), TG_EINVAL);
    CHECK_CODE(tg_poller_modify(poller, ends[0], EPOLLIN | EPOLLRDHUP | EPOLLET, 0, data + 1), 0);
    MUST(shutdown(ends[1], SHUT_WR) == 0);
    CHECK_EQ(tg_poller_wait(poller, &event, 1, -1), 1);
    CHECK_EQ(event.data, data + 1);
    CHECK_EQ(event.ready, EPOLLIN | EPOLLRDHUP);
    CHECK_EQ(tg_poller_wait(poller, &event, 1, 0), 0); /* edge */
    CHECK_CODE(tg_poller_wake(poller), 0);
    CHECK_EQ(tg_poller_wait(poller, &event, 1, -1), 0);
    CHECK_CODE(tg_poller_free(poller), 0);
    close_both(ends);
    close(file);
}

/* mutation: the poller owns a duplicate instead of what it adopted. */
static void adopted_descriptor(void)
{
    tg_poller_options options = TG_POLLER_OPTIONS_INIT;
    tg_poller poller = 0;
    tg_poller_event event;
    struct epoll_event kernel = { .events = EPOLLOUT, .data = { .u64 = 77 } };
    int ends[2], epoll = epoll_create1(EPOLL_CLOEXEC);
    tg_fd fd = -1;
    uint64_t waits = 7;
    make_pair(ends);
    MUST(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &kernel) == 0);
    options.adopt_fd = epoll;
    CHECK_CODE(tg_poller_new(&options, &poller), TG_EINVAL); /* not without NATIVE */
    CHECK(fcntl(epoll, F_GETFD) >= 0);
    options.flags = TG_POLLER_NATIVE;
    REQUIRE(tg_poller_new(&options, &poller) == 0);
    CHECK_CODE(tg_poller_get_fd(poller, &fd), 0);
    CHECK_EQ(fd, epoll);
    CHECK_EQ(tg_poller_wait(poller, &event, 1, -1), 1);
    CHECK_EQ(event.data, 77);
    CHECK_CODE(tg_poller_wake(poller), TG_ENOTSUP);
    CHECK_CODE(tg_poller_get_waits(poller, &waits), 0);
    CHECK_EQ(waits, 1);
    CHECK_CODE(tg_poller_free(poller), 0);
    CHECK(fcntl(epoll, F_GETFD) < 0 && errno == EBADF);
    close_both(ends);
}

typedef struct waiting {
    tg_poller poller;
    int result;
} waiting;

static void *wait_for_ever(void *argument)
{
    waiting *it = argument;
    tg_poller_event event;
    it->result = tg_poller_wait(it->poller, &event, 1, -1);
    return NULL;
}

static void *wake_it(void *argument)
{
    CHECK_CODE(tg_poller_wake(((waiting *)argument)->poller), 0);
    return NULL;
}

/* mutation: a wake-up does not end the wait. */
static void wake_before_and_during_a_wait(void)
{
    waiting it = { new_poller(0), -1 };
    tg_poller_event event;
    pthread_t thread;
    CHECK_CODE(tg_poller_wake(it.poller), 0);
    CHECK_EQ(tg_poller_wait(it.poller, &event, 1, -1), 0);
    CHECK_EQ(tg_poller_wait(it.poller, &event, 1, 0), 0);
    MUST(pthread_create(&thread, NULL, wake_it, &it) == 0);
    CHECK_EQ(tg_poller_wait(it.poller, &event, 1, -1), 0);
    MUST(pthread_join(thread, NULL) == 0);
    CHECK_CODE(tg_poller_free(it.poller), 0);
}

static void free_under_waits(uint32_t flags)
{
    waiting its[2] = { { new_poller(flags), -1 }, { 0, -1 } };
    pthread_t threads[2];
    uint64_t waits = 0;
    its[1].poller = its[0].poller;
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, wait_for_ever, &its[i]) == 0);
    while (waits < 2) { /* both are at it (or about to) */
        CHECK_CODE(tg_poller_get_waits(its[0].poller, &waits), 0);
        sched_yield();
    }
    CHECK_CODE(tg_poller_free(its[0].poller), 0);
    for (int i = 0; i < 2; i++) {
        MUST(pthread_join(threads[i], NULL) == 0);
        CHECK_CODE(its[i].result, TG_ESTALE);
    }
}

/* mutation: free does not wake those who wait. */
static void h49_free_during_waits(void)
{
    free_under_waits(0);
    free_under_waits(TG_POLLER_NATIVE);
}

static void ignore_signal(int signum) { (void)signum; }

static void *signal_until_done(void *argument)
{
    atomic_bool *done = argument;
    while (!atomic_load(done)) {
        MUST(kill(getpid(), SIGUSR1) == 0);
        sched_yield();
    }
    return NULL;
}

/* mutation: EINTR is retried although the poller was made interruptible. */
static void h36_interruptible_wait(void)
{
    tg_poller poller = new_poller(TG_POLLER_INTERRUPTIBLE);
    tg_poll_item item = { -1, TG_READ, 77 };
    tg_poller_event event;
    struct sigaction action, before;
    sigset_t usr1, old;
    atomic_bool done = false;
    pthread_t thread;
    memset(&action, 0, sizeof action);
    action.sa_handler = ignore_signal;
    MUST(sigaction(SIGUSR1, &action, &before) == 0);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    MUST(pthread_sigmask(SIG_BLOCK, &usr1, &old) == 0); /* inherited by the thread: only we get it */
    MUST(pthread_create(&thread, NULL, signal_until_done, &done) == 0);
    MUST(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
    CHECK_CODE(tg_poller_wait(poller, &event, 1, -1), -EINTR);
    CHECK_CODE(tg_poll_once(&item, 1, -1, TG_POLL_INTERRUPTIBLE), -EINTR);
    atomic_store(&done, true);
    MUST(pthread_join(thread, NULL) == 0);
    CHECK_EQ(item.ready, 77);
    MUST(sigaction(SIGUSR1, &before, NULL) == 0);
    CHECK_CODE(tg_poller_free(poller), 0);
}

/* Adds, changes and removes a descriptor many times, and wakes who waits. */
static void *churn(void *argument)
{
    tg_poller poller = *(tg_poller *)argument;
    int ends[2], rounds = harness_scale(2000);
    make_pair(ends);
    for (int i = 0; i < rounds; i++) {
        CHECK_CODE(tg_poller_add(poller, ends[0], TG_WRITE, TG_LEVEL, (uint64_t)ends[0]), 0);
        CHECK_CODE(tg_poller_modify(poller, ends[0], TG_READ, TG_LEVEL, 0), 0);
        CHECK_CODE(tg_poller_remove(poller, ends[0]), 0);
    }
    close_both(ends);
    CHECK_CODE(tg_poller_wake(poller), 0);
    return NULL;
}

/* Descriptors are added, changed and removed by threads while another waits.
 * mutation: a wake-up does not end the wait. */
static void h14_registrations_change_during_waits(void)
{
    tg_poller poller = new_poller(0);
    tg_poller_event events[8];
    pthread_t threads[3];
    int woken = 0;
    for (int i = 0; i < 3; i++) MUST(pthread_create(&threads[i], NULL, churn, &poller) == 0);
    while (woken == 0) {
        int found = tg_poller_wait(poller, events, 8, -1);
        CHECK(found >= 0);
        if (found <= 0) woken++;
    }
    for (int i = 0; i < 3; i++) MUST(pthread_join(threads[i], NULL) == 0);
    CHECK_CODE(tg_poller_free(poller), 0);
}

int main(void)
{
    harness_begin();
    RUN(add_modify_remove);
    RUN(edge_and_oneshot);
    RUN(hangup_and_capacity);
    RUN(h39_regular_files_and_strict);
    RUN(native_mode);
    RUN(adopted_descriptor);
    RUN(wake_before_and_during_a_wait);
    RUN(h49_free_during_waits);
    RUN(h36_interruptible_wait);
    RUN(h14_registrations_change_during_waits);
    return harness_end();
}
