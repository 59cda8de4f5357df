/* Re-entrancy where descriptors, neighbours, posts and forks come in: closing a descriptor under its
 * watcher, reusing its number, changing the hooks of a phase from one of them, freeing inside posts. */
#include "probe.h"

typedef struct pair_scene {
    tg_loop loop;
    int pipes[2][2];
    tg_handle watchers[2];
    counter users[2];
    counter heir_user;
    tg_handle heir;
    int spare[2]; /* a pipe without data that takes over the number of the one closed */
    int taken;    /* which of the two was closed by the other */
} pair_scene;

static pair_scene *scene;

/* Closes the other watcher and its descriptor, and gives the number to a pipe that is not ready. */
static void on_io_replace_other(tg_handle self, void *user, uint32_t ready, int status)
{
    int mine = user == &scene->users[0] ? 0 : 1, other = 1 - mine;
    on_io(self, user, ready, status);
    if (scene->heir != 0) return;
    scene->taken = other;
    CHECK_CODE(tg_close(scene->watchers[other]), 0);
    MUST(dup3(scene->spare[0], scene->pipes[other][0], O_CLOEXEC) == scene->pipes[other][0]);
    scene->heir = open_io(scene->loop, scene->pipes[other][0], TG_READ, on_io, &scene->heir_user);
    CHECK_CODE(tg_close(self), 0);
}

/* mutation: the look-up of the registration that an event names ignores the generation. */
static void h05_close_reopen_same_number_in_batch(void)
{
    pair_scene it = { .heir_user = { .enough = 1 } };
    scene = &it;
    it.loop = new_loop();
    make_pipe(it.spare);
    for (int i = 0; i < 2; i++) {
        make_pipe(it.pipes[i]);
        put(it.pipes[i][1], "x");
        it.watchers[i] = open_io(it.loop, it.pipes[i][0], TG_READ, on_io_replace_other,
                                 &it.users[i]);
    }
    turns(it.loop, 1);
    CHECK_EQ(it.users[0].calls + it.users[1].calls, 1);
    CHECK_EQ(it.heir_user.calls, 0);
    turns(it.loop, 2);
    CHECK_EQ(it.heir_user.calls, 0);
    put(it.spare[1], "y");
    CHECK_CODE(tg_loop_run(it.loop), 0);
    CHECK_EQ(it.heir_user.calls, 1);
    CHECK_EQ(it.heir_user.ready & TG_READ, TG_READ);
    free_loop(it.loop, 0);
    CHECK_EQ(it.users[0].released + it.users[1].released, 2);
    CHECK_EQ(it.heir_user.released, 1);
    for (int i = 0; i < 2; i++) close_both(it.pipes[i]);
    close_both(it.spare);
}

static void on_io_close_fd(tg_handle self, void *user, uint32_t ready, int status)
{
    counter *it = user;
    if (status == 0 && it->fd >= 0) {
        close(it->fd);
        it->fd = -1;
    }
    on_io(self, user, ready, status);
}

/* The descriptor is closed in the callback, the watcher is not. No abort, no spin, and the next
 * operation on the watcher says so, by its code or by the event that follows it.
 * mutation: a registration that the kernel refuses to change is left as it is. */
static void h07_fd_closed_under_its_watcher(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 }, tick = { .calls = 0 };
    int ends[2], result, calls;
    tg_handle watcher, timer = open_timer(loop, 0, 1, on_timer, &tick);
    make_pipe(ends);
    put(ends[1], "x");
    it.fd = ends[0];
    watcher = open_io(loop, ends[0], TG_READ, on_io_close_fd, &it);
    turns(loop, 3);
    CHECK_EQ(it.fd, -1);
    calls = it.calls;
    result = tg_io_set_interest(watcher, TG_READ | TG_HANGUP);
    if (result == 0) {
        turns(loop, 2);
        CHECK_EQ(it.calls, calls + 1);
        CHECK_CODE(it.last_status, TG_EBADFD);
    } else {
        CHECK_CODE(result, TG_EBADFD);
    }
    calls = tick.calls;
    turns(loop, 3);
    CHECK(tick.calls > calls); /* everything else works */
    CHECK_CODE(tg_close(watcher), 0);
    CHECK_CODE(tg_close(timer), 0);
    turns(loop, 1);
    CHECK_EQ(it.released, 1);
    free_loop(loop, 0);
    close(ends[1]);
}

/* The number of a descriptor that was closed under its watcher is reused: the new watcher works,
 * the old one gets TG_EBADFD once, and no event of the new descriptor.
 * mutation: a successful ADD over a known number leaves the old watchers alone. */
static void h07_reused_number_ends_the_old_watcher(void)
{
    tg_loop loop = new_loop();
    counter old_user = { .calls = 0 }, new_user = { .calls = 0 };
    int old_pipe[2], new_pipe[2];
    tg_handle old_watcher, new_watcher;
    make_pipe(old_pipe);
    make_pipe(new_pipe);
    old_watcher = open_io(loop, old_pipe[0], TG_READ, on_io, &old_user);
    turns(loop, 1);
    MUST(dup3(new_pipe[0], old_pipe[0], O_CLOEXEC) == old_pipe[0]); /* closes the old one */
    new_watcher = open_io(loop, old_pipe[0], TG_READ, on_io, &new_user);
    put(new_pipe[1], "x");
    turns(loop, 3);
    CHECK_EQ(old_user.calls, 1);
    CHECK_CODE(old_user.last_status, TG_EBADFD);
    CHECK_EQ(old_user.ready, 0);
    CHECK(new_user.calls >= 1);
    CHECK_CODE(new_user.last_status, 0);
    CHECK_EQ(tg_handle_is_open(old_watcher), 1); /* stopped, but its owner closes it */
    CHECK_CODE(tg_close(old_watcher), 0);
    new_user.calls = 0;
    turns(loop, 2);
    CHECK(new_user.calls >= 1); /* closing the old one has not reached the new descriptor */
    CHECK_CODE(tg_close(new_watcher), 0);
    free_loop(loop, 0);
    CHECK_EQ(old_user.released, 1);
    CHECK_EQ(new_user.released, 1);
    close_both(old_pipe);
    close_both(new_pipe);
}

typedef struct hook_scene {
    tg_loop loop;
    uint32_t kind;
    tg_handle hooks[5];
    counter users[5];
    counter extra;
    tg_handle extra_handle;
} hook_scene;

static hook_scene *hooks;

/* The third of five closes its neighbours and opens another one. */
static void on_hook_shuffle(tg_handle self, void *user)
{
    on_plain(self, user);
    if (hooks->extra_handle != 0) return;
    CHECK_CODE(tg_close(hooks->hooks[1]), 0);
    CHECK_CODE(tg_close(hooks->hooks[3]), 0);
    CHECK_CODE(tg_hook_stop(hooks->hooks[4]), 0);
    hooks->extra_handle = open_hook(hooks->loop, hooks->kind, on_plain, &hooks->extra);
    CHECK_CODE(tg_close(self), 0);
}

static void shuffle(uint32_t kind)
{
    hook_scene it = { .kind = kind };
    int first_calls;
    hooks = &it;
    it.loop = new_loop();
    for (int i = 0; i < 5; i++)
        it.hooks[i] = open_hook(it.loop, kind, i == 2 ? on_hook_shuffle : on_plain, &it.users[i]);
    turns(it.loop, 1);
    first_calls = it.users[0].calls;
    CHECK_EQ(first_calls, 1);
    CHECK_EQ(it.users[2].calls, 1);
    CHECK_EQ(it.users[3].calls, 0); /* closed before its turn came, in opening order */
    CHECK_EQ(it.users[4].calls, 0); /* stopped before its turn came */
    turns(it.loop, 3);
    CHECK_EQ(it.users[0].calls, first_calls + 3);
    CHECK_EQ(it.users[1].calls, 1);
    CHECK(it.extra.calls >= 3);
    free_loop(it.loop, 3); /* the first, the stopped fifth, the new one */
    for (int i = 0; i < 5; i++) CHECK_EQ(it.users[i].released, 1);
    CHECK_EQ(it.extra.released, 1);
}

/* mutation: a hook that was stopped after the phase had begun is still called. */
static void h15_neighbours_change_in_each_phase(void)
{
    shuffle(TG_KIND_PREPARE);
    shuffle(TG_KIND_CHECK);
    shuffle(TG_KIND_IDLE);
}

/* Closing a watcher whose descriptor was closed and whose number was reused touches neither the
 * new descriptor nor its watcher.
 * mutation: closing a watcher removes its number from the kernel whosever registration it is. */
static void h09_close_of_a_dead_watcher_spares_the_new_owner(void)
{
    tg_loop loop = new_loop();
    counter dead_user = { .calls = 0 }, live_user = { .calls = 0 };
    int a[2], b[2], number;
    tg_handle dead, live;
    make_pipe(a);
    number = a[0];
    dead = open_io(loop, number, TG_READ, on_io, &dead_user);
    turns(loop, 1);
    close(number);
    make_pipe(b);
    MUST(b[0] == number || dup3(b[0], number, O_CLOEXEC) == number);
    live = open_io(loop, number, TG_READ, on_io, &live_user);
    CHECK_CODE(tg_close(dead), 0);
    CHECK(fcntl(number, F_GETFD) >= 0);
    put(b[1], "x");
    turns(loop, 2);
    CHECK(live_user.calls >= 1);
    CHECK_CODE(live_user.last_status, 0);
    CHECK_CODE(tg_close(live), 0);
    CHECK(fcntl(number, F_GETFD) >= 0);
    free_loop(loop, 0);
    CHECK_EQ(dead_user.released, 1);
    if (b[0] != number) close(number);
    close(a[1]);
    close_both(b);
}

static void on_release_post(void *user)
{
    counter *it = user;
    it->released++;
    if (it->released == 1) CHECK_CODE(tg_post(it->loop, on_post, it, counter_release), 0);
}

static void on_post_again(tg_loop loop, void *user)
{
    counter *it = user;
    it->calls++;
    if (it->calls < 3) CHECK_CODE(tg_post(loop, on_post_again, it, counter_release), 0);
    else if (it->calls < 5) CHECK_CODE(tg_defer(loop, on_post_again, it, counter_release), 0);
}

static void on_post_free(tg_loop loop, void *user)
{
    ((counter *)user)->calls++;
    ((counter *)user)->last_status = tg_loop_free(loop);
}

/* mutation: what was posted but not called is dropped without release when the loop is freed. */
static void posts_and_defers_release_exactly_once(void)
{
    tg_loop loop = new_loop();
    counter chain = { .calls = 0 }, late = { .loop = loop }, never = { .calls = 0 };
    CHECK_CODE(tg_post(loop, on_post_again, &chain, counter_release), 0);
    CHECK_CODE(tg_post(loop, on_post, &late, on_release_post), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(chain.calls, 5);
    CHECK_EQ(chain.released, 5);
    CHECK_EQ(late.calls, 2);
    CHECK_EQ(late.released, 2);
    CHECK_CODE(tg_post(loop, on_post, &never, counter_release), 0);
    CHECK_CODE(tg_defer(loop, on_post, &never, counter_release), 0);
    free_loop(loop, 0);
    CHECK_EQ(never.calls, 0);
    CHECK_EQ(never.released, 2);
}

/* mutation: the request to free a running loop is forgotten at the end of its run. */
static void h01_free_the_loop_inside_a_post(void)
{
    tg_loop loop = new_loop();
    counter freeing = { .calls = 0 }, others = { .calls = 0 }, timer = { .calls = 0 };
    open_timer(loop, SECOND, 0, on_timer, &timer);
    CHECK_CODE(tg_post(loop, on_post, &others, counter_release), 0);
    CHECK_CODE(tg_post(loop, on_post_free, &freeing, counter_release), 0);
    CHECK_CODE(tg_post(loop, on_post, &others, counter_release), 0);
    CHECK(tg_loop_run(loop) >= 0);
    CHECK_EQ(freeing.calls, 1);
    CHECK_CODE(freeing.last_status, 1);
    CHECK_EQ(freeing.released, 1);
    CHECK_EQ(others.released, 2);
    CHECK_EQ(timer.released, 1);
    CHECK_CODE(tg_loop_stop(loop), TG_ESTALE);
}

static void on_timer_swap_user(tg_handle self, void *user, uint64_t missed)
{
    counter *it = user, *next = it + 1;
    (void)missed;
    it->calls++;
    CHECK_CODE(tg_handle_set_user(self, next, counter_release), 0);
    CHECK_EQ(it->released, 0);
    if (it->enough != 0) CHECK_CODE(tg_close(self), 0);
}

/* mutation: the old user is not released. */
static void set_user_releases_the_old_one_once(void)
{
    tg_loop loop = new_loop();
    counter users[4] = { { .calls = 0 }, { .calls = 0 }, { .enough = 1 }, { .calls = 0 } };
    open_timer(loop, 0, 1, on_timer_swap_user, &users[0]);
    CHECK_CODE(tg_loop_run(loop), 0);
    for (int i = 0; i < 4; i++) CHECK_EQ(users[i].released, 1);
    CHECK_EQ(users[0].calls + users[1].calls + users[2].calls, 3);
    CHECK_EQ(users[3].calls, 0);
    free_loop(loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(h05_close_reopen_same_number_in_batch);
    RUN(h07_fd_closed_under_its_watcher);
    RUN(h07_reused_number_ends_the_old_watcher);
    RUN(h15_neighbours_change_in_each_phase);
    RUN(h09_close_of_a_dead_watcher_spares_the_new_owner);
    RUN(posts_and_defers_release_exactly_once);
    RUN(h01_free_the_loop_inside_a_post);
    RUN(set_user_releases_the_old_one_once);
    return harness_end();
}
