/* fork(): in the child every call on an inherited object says TG_EFORKED and touches nothing that is
 * shared with the parent; tg_loop_free closes the child's copies; tg_loop_reopen rebuilds. */
#include "probe.h"

#include <poll.h>

typedef struct fork_scene {
    tg_loop loop;
    tg_handle io, timer, signal, async, hook;
    int ends[2];
    counter users[5];
} fork_scene;

static void scene_open(fork_scene *it)
{
    memset(it, 0, sizeof *it);
    it->loop = new_loop();
    make_pipe(it->ends);
    it->io = open_io(it->loop, it->ends[0], TG_READ, on_io, &it->users[0]);
    it->timer = open_timer(it->loop, 0, 1, on_timer, &it->users[1]);
    it->signal = open_signal(it->loop, SIGUSR1, on_signal, &it->users[2]);
    it->async = open_async(it->loop, on_plain, &it->users[3]);
    it->hook = open_hook(it->loop, TG_KIND_CHECK, on_plain, &it->users[4]);
    turns(it->loop, 1);
}

static void scene_check_works(fork_scene *it)
{
    int before[5];
    for (int i = 0; i < 5; i++) before[i] = it->users[i].calls;
    put(it->ends[1], "x");
    MUST(raise(SIGUSR1) == 0);
    CHECK_CODE(tg_async_send(it->async), 0);
    turns(it->loop, 3);
    for (int i = 0; i < 5; i++) CHECK(it->users[i].calls > before[i]);
}

static void scene_close(fork_scene *it)
{
    free_loop(it->loop, 5);
    for (int i = 0; i < 5; i++) CHECK_EQ(it->users[i].released, 1);
    close_both(it->ends);
}

static void every_loop_call_is_forked(fork_scene *it)
{
    tg_loop_stats stats = TG_LOOP_STATS_INIT;
    tg_fd fd = -7;
    int64_t ns = -7;
    char text[8];
    CHECK_CODE(tg_loop_run(it->loop), TG_EFORKED);
    CHECK_CODE(tg_loop_run_once(it->loop), TG_EFORKED);
    CHECK_CODE(tg_loop_run_nowait(it->loop), TG_EFORKED);
    CHECK_CODE(tg_loop_run_until(it->loop, 0), TG_EFORKED);
    CHECK_CODE(tg_loop_stop(it->loop), TG_EFORKED);
    CHECK_CODE(tg_loop_wake(it->loop), TG_EFORKED);
    CHECK_CODE(tg_loop_hold(it->loop), TG_EFORKED);
    CHECK_CODE(tg_loop_unhold(it->loop), TG_EFORKED);
    CHECK_CODE(tg_loop_get_now_ns(it->loop, &ns), TG_EFORKED);
    CHECK_CODE(tg_loop_get_stats(it->loop, &stats), TG_EFORKED);
    CHECK_CODE(tg_loop_get_handles(it->loop, NULL, 0), TG_EFORKED);
    CHECK_CODE(tg_loop_dump(it->loop, text, sizeof text), TG_EFORKED);
    CHECK_CODE(tg_loop_detach(it->loop), TG_EFORKED);
    CHECK_CODE(tg_loop_get_backend_fd(it->loop, &fd), TG_EFORKED);
    CHECK_CODE(tg_loop_get_timeout_ns(it->loop, &ns), TG_EFORKED);
    CHECK_CODE(tg_loop_set_slow_callback(it->loop, 0, NULL, NULL, NULL), TG_EFORKED);
    CHECK_CODE(tg_post(it->loop, on_post, &it->users[0], NULL), TG_EFORKED);
    CHECK_CODE(tg_defer(it->loop, on_post, &it->users[0], NULL), TG_EFORKED);
    CHECK_EQ(fd, -7);
    CHECK_EQ(ns, -7);
}

static void every_handle_call_is_forked(fork_scene *it)
{
    tg_handle_info info = TG_HANDLE_INFO_INIT;
    uint32_t word = 7;
    tg_loop loop = 7;
    void *user = &loop;
    int64_t ns = 7;
    tg_fd fd = 7;
    CHECK_CODE(tg_close(it->io), TG_EFORKED);
    CHECK_CODE(tg_close(it->timer), TG_EFORKED);
    CHECK_CODE(tg_close(it->signal), TG_EFORKED);
    CHECK_CODE(tg_handle_is_open(it->io), TG_EFORKED);
    CHECK_CODE(tg_handle_get_kind(it->io, &word), TG_EFORKED);
    CHECK_CODE(tg_handle_get_loop(it->io, &loop), TG_EFORKED);
    CHECK_CODE(tg_handle_get_user(it->io, &user), TG_EFORKED);
    CHECK_CODE(tg_handle_set_user(it->io, NULL, NULL), TG_EFORKED);
    CHECK_CODE(tg_handle_get_info(it->io, &info), TG_EFORKED);
    CHECK_CODE(tg_handle_ref(it->io), TG_EFORKED);
    CHECK_CODE(tg_handle_unref(it->io), TG_EFORKED);
    CHECK_CODE(tg_handle_cancel(it->io), TG_EFORKED);
    CHECK_CODE(tg_io_set_interest(it->io, 0), TG_EFORKED);
    CHECK_CODE(tg_io_get_interest(it->io, &word), TG_EFORKED);
    CHECK_CODE(tg_io_get_fd(it->io, &fd), TG_EFORKED);
    CHECK_CODE(tg_io_set_timeout(it->io, SECOND), TG_EFORKED);
    CHECK_CODE(tg_timer_start(it->timer, 0, 0), TG_EFORKED);
    CHECK_CODE(tg_timer_start_at(it->timer, TG_CLOCK_MONOTONIC, 0, 0), TG_EFORKED);
    CHECK_CODE(tg_timer_stop(it->timer), TG_EFORKED);
    CHECK_CODE(tg_timer_restart(it->timer), TG_EFORKED);
    CHECK_CODE(tg_timer_get_remaining_ns(it->timer, &ns), TG_EFORKED);
    CHECK_CODE(tg_async_send(it->async), TG_EFORKED);
    CHECK_CODE(tg_hook_stop(it->hook), TG_EFORKED);
    CHECK_CODE(tg_hook_start(it->hook), TG_EFORKED);
    CHECK_EQ(word + loop + (uint64_t)fd + (uint64_t)ns, 28);
    CHECK(user == &loop);
}

/* mutation: the loop does not look whether it was inherited. */
static void h57_every_call_in_the_child_says_so(void)
{
    fork_scene it;
    pid_t child;
    scene_open(&it);
    child = harness_fork();
    if (child == 0) {
        tg_io_options io = TG_IO_OPTIONS_INIT;
        tg_handle handle = 7;
        io.callback = on_io;
        every_loop_call_is_forked(&it);
        every_handle_call_is_forked(&it);
        CHECK_CODE(tg_io_open(it.loop, it.ends[1], TG_WRITE, &io, &handle), TG_EFORKED);
        CHECK_EQ(handle, 7);
        for (int i = 0; i < 5; i++) CHECK_EQ(it.users[i].released, 0);
        CHECK(tg_loop_free(it.loop) >= 0);
        for (int i = 0; i < 5; i++) CHECK_EQ(it.users[i].released, 1);
        harness_child_end();
    }
    harness_wait(child);
    scene_check_works(&it); /* nothing of the parent's was touched */
    scene_close(&it);
}

/* mutation: freeing in the child removes its watchers from the parent's poller object. */
static void h57_free_in_the_child_leaves_the_parent_alone(void)
{
    fork_scene it;
    pid_t child;
    int fds;
    scene_open(&it);
    fds = harness_open_fds();
    child = harness_fork();
    if (child == 0) {
        CHECK(tg_loop_free(it.loop) >= 0);
        CHECK_CODE(tg_loop_run(it.loop), TG_ESTALE);
        CHECK(harness_open_fds() < fds); /* the child's copies are closed */
        CHECK(fcntl(it.ends[0], F_GETFD) >= 0); /* but not what is the program's */
        harness_child_end();
    }
    harness_wait(child);
    scene_check_works(&it);
    scene_close(&it);
}

/* mutation: reopen does not open the loop's port for the child. */
static void h57_reopen_rebuilds_in_the_child(void)
{
    fork_scene it;
    pid_t child;
    int to_child[2];
    scene_open(&it);
    make_pipe(to_child);
    child = harness_fork();
    if (child == 0) {
        CHECK_CODE(tg_loop_reopen(it.loop), 0);
        MUST(dup3(to_child[0], it.ends[0], O_CLOEXEC) >= 0); /* a pipe of the child's own */
        CHECK_CODE(tg_close(it.io), 0);
        it.io = open_io(it.loop, it.ends[0], TG_READ, on_io, &it.users[0]);
        MUST(dup3(to_child[1], it.ends[1], O_CLOEXEC) >= 0);
        scene_check_works(&it);
        CHECK_CODE(tg_loop_free(it.loop), 5);
        harness_child_end();
    }
    harness_wait(child);
    turns(it.loop, 2);
    CHECK_EQ(it.users[0].calls, 0); /* the child's traffic has not reached the parent */
    CHECK_EQ(it.users[2].calls, 0);
    CHECK_EQ(it.users[3].calls, 0);
    scene_check_works(&it);
    scene_close(&it);
    close_both(to_child);
}

/* The same watchers go on in the child, on the descriptors they were opened with.
 * mutation: reopen does not register the watchers with the new poller object. */
static void reopen_keeps_every_watcher(void)
{
    fork_scene it;
    pid_t child;
    scene_open(&it);
    child = harness_fork();
    if (child == 0) {
        CHECK_CODE(tg_loop_reopen(it.loop), 0);
        CHECK_EQ(tg_handle_is_open(it.io), 1);
        scene_check_works(&it);
        CHECK_CODE(tg_loop_free(it.loop), 5);
        harness_child_end();
    }
    harness_wait(child);
    scene_close(&it);
}

/* mutation: reopen counts deliveries from the beginning of the process. */
static void h58_signal_counts_do_not_survive_fork(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    pid_t child;
    open_signal(loop, SIGUSR1, on_signal, &it);
    MUST(raise(SIGUSR1) == 0);
    MUST(raise(SIGUSR1) == 0);
    child = harness_fork(); /* with two deliveries that the loop has not told of */
    if (child == 0) {
        CHECK_CODE(tg_loop_reopen(loop), 0);
        turns(loop, 2);
        CHECK_EQ(it.calls, 0);
        MUST(raise(SIGUSR1) == 0);
        turns(loop, 1);
        CHECK_EQ(it.calls, 1);
        CHECK_EQ(it.total, 1);
        CHECK_CODE(tg_loop_free(loop), 1);
        harness_child_end();
    }
    harness_wait(child);
    turns(loop, 1);
    CHECK_EQ(it.total, 2); /* the parent's are still its own */
    free_loop(loop, 1);
    CHECK_EQ(it.released, 1);
}

/* A signal sent to a child that has not reopened must not ring the parent's loop.
 * mutation: the signal handler rings at an inherited port. */
static void h58_a_signal_in_the_child_does_not_wake_the_parent(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    struct pollfd backend = { -1, POLLIN, 0 };
    pid_t child;
    tg_fd fd = -1;
    open_signal(loop, SIGUSR1, on_signal, &it);
    CHECK_CODE(tg_loop_get_backend_fd(loop, &fd), 0);
    backend.fd = fd;
    turns(loop, 1);
    CHECK_EQ(poll(&backend, 1, 0), 0);
    child = harness_fork();
    if (child == 0) {
        MUST(raise(SIGUSR1) == 0);
        CHECK_CODE(tg_loop_run_nowait(loop), TG_EFORKED);
        CHECK_EQ(it.calls, 0);
        CHECK(tg_loop_free(loop) >= 0);
        harness_child_end();
    }
    harness_wait(child);
    CHECK_EQ(poll(&backend, 1, 0), 0); /* nobody has rung here */
    turns(loop, 2);
    CHECK_EQ(it.calls, 0);
    free_loop(loop, 1);
}

static pid_t forked;

static void fork_inside(probe *it)
{
    it->result = it->fired;
    if (it->fired > 1) {
        CHECK_CODE(probe_close(it), 0);
        return;
    }
    forked = harness_fork();
}

static void fork_in_callback_of(uint32_t kind)
{
    tg_loop loop = new_loop();
    probe it;
    int result;
    forked = -1;
    probe_open(&it, loop, kind, fork_inside);
    probe_trigger(&it);
    result = tg_loop_run_nowait(loop);
    if (forked == 0) {
        CHECK_CODE(result, TG_EFORKED);
        CHECK_EQ(it.fired, 1);
        CHECK_CODE(tg_loop_run(loop), TG_EFORKED);
        it.closed = true;
        CHECK(tg_loop_free(loop) >= 0);
        CHECK_EQ(it.released, 1);
        harness_child_end();
    }
    CHECK(result >= 0);
    harness_wait(forked);
    probe_trigger(&it);
    CHECK_CODE(tg_loop_run(loop), 0); /* the parent goes on and ends by closing it */
    CHECK_EQ(it.fired, 2);
    free_loop(loop, 0);
    probe_check(&it);
    probe_end(&it);
}

/* mutation: a running loop does not look for a fork. */
static void h57_fork_inside_a_callback(void)
{
    for (size_t k = 0; k < PROBE_KINDS; k++) fork_in_callback_of(probe_kinds[k]);
}

/* mutation: an inherited poller is found like any other. */
static void h57_poller_in_the_child(void)
{
    tg_poller poller = 0;
    tg_poller_event event;
    int ends[2];
    tg_fd fd = -7;
    uint64_t waits = 7;
    pid_t child;
    make_pipe(ends);
    REQUIRE(tg_poller_new(NULL, &poller) == 0);
    CHECK_CODE(tg_poller_add(poller, ends[0], TG_READ, TG_LEVEL, 5), 0);
    child = harness_fork();
    if (child == 0) {
        CHECK_CODE(tg_poller_remove(poller, ends[0]), TG_EFORKED);
        CHECK_CODE(tg_poller_add(poller, ends[1], TG_WRITE, TG_LEVEL, 6), TG_EFORKED);
        CHECK_CODE(tg_poller_modify(poller, ends[0], TG_WRITE, TG_LEVEL, 6), TG_EFORKED);
        CHECK_CODE(tg_poller_wait(poller, &event, 1, 0), TG_EFORKED);
        CHECK_CODE(tg_poller_wake(poller), TG_EFORKED);
        CHECK_CODE(tg_poller_get_fd(poller, &fd), TG_EFORKED);
        CHECK_CODE(tg_poller_get_waits(poller, &waits), TG_EFORKED);
        CHECK_EQ(fd, -7);
        CHECK_EQ(waits, 7);
        CHECK(tg_poller_free(poller) >= 0 || tg_poller_free(poller) == TG_EFORKED);
        harness_child_end();
    }
    harness_wait(child);
    put(ends[1], "x");
    CHECK_EQ(tg_poller_wait(poller, &event, 1, -1), 1);
    CHECK_EQ(event.data, 5);
    CHECK_CODE(tg_poller_free(poller), 0);
    close_both(ends);
}

int main(void)
{
    harness_begin();
    RUN(h57_every_call_in_the_child_says_so);
    RUN(h57_free_in_the_child_leaves_the_parent_alone);
    RUN(h57_reopen_rebuilds_in_the_child);
    RUN(reopen_keeps_every_watcher);
    RUN(h58_signal_counts_do_not_survive_fork);
    RUN(h58_a_signal_in_the_child_does_not_wake_the_parent);
    RUN(h57_fork_inside_a_callback);
    RUN(h57_poller_in_the_child);
    return harness_end();
}
