/* Groups across fork() while their threads, and those that ask for them, are in the middle of something. */
#include "gate.h"

typedef struct scene {
    tg_group group;
    tg_loop loop;
    pthread_t asker;
    atomic_bool over;
    atomic_int asked, released, returned;
} scene;

static void on_release(void *user) { atomic_fetch_add(&((scene *)user)->released, 1); }

/* Has the locks that a look-up and an answer take in its hand nearly all the time. */
static void *ask(void *user)
{
    scene *it = user;
    while (!atomic_load(&it->over)) {
        tg_group_stats stats = TG_GROUP_STATS_INIT;
        CHECK_CODE(tg_group_get_stats(it->group, &stats), 0);
        atomic_fetch_add(&it->asked, 1);
    }
    return NULL;
}

static void scene_open(scene *it)
{
    tg_group_options options = TG_GROUP_OPTIONS_INIT;
    memset(it, 0, sizeof *it);
    options.loops = 1;
    options.user = it;
    options.release = on_release;
    MUST(tg_group_new(&options, &it->group) == 0);
    MUST(tg_group_get_loop(it->group, 0, &it->loop) == 0);
    MUST(pthread_create(&it->asker, NULL, ask, it) == 0);
    while (atomic_load(&it->asked) == 0) sched_yield();
}

static void scene_close(scene *it)
{
    atomic_store(&it->over, true);
    MUST(pthread_join(it->asker, NULL) == 0);
    CHECK_CODE(tg_group_free(it->group), 0);
    CHECK_EQ(atomic_load(&it->released), 1);
}

/* harness_fork() would wait until the others sleep; and a group's threads have all signals blocked, the watchdog's too. */
static pid_t fork_at_once(void)
{
    sigset_t alarms;
    pid_t child;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    fflush(stdout);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        harness_bad = 0;
        harness_watchdog(20);
        MUST(pthread_sigmask(SIG_UNBLOCK, &alarms, NULL) == 0);
    }
    return child;
}

/* mutation: `find` takes the lock before it looks whose the group is: within some forks a child hangs. tg_group_free in the
 * child recovers the lock with nothing in it: then `user` is not given back. */
static void h57_a_look_up_that_was_going_on_at_the_fork(void)
{
    scene it;
    scene_open(&it);
    for (int i = 0; i < harness_scale(200) && harness_bad == 0; i++) {
        pid_t child = fork_at_once();
        if (child == 0) {
            tg_group_stats stats = TG_GROUP_STATS_INIT;
            tg_loop loop = 7;
            CHECK_CODE(tg_group_get_stats(it.group, &stats), TG_EFORKED);
            CHECK_CODE(tg_group_get_loop(it.group, 0, &loop), TG_EFORKED);
            CHECK_CODE(tg_group_stop(it.group, 0), TG_EFORKED);
            CHECK_CODE(tg_group_join(it.group), TG_EFORKED);
            CHECK_CODE(tg_group_free(it.group), 0);
            CHECK_CODE(tg_group_get_stats(it.group, &stats), TG_ESTALE);
            CHECK_CODE(tg_group_free(it.group), TG_ESTALE);
            CHECK(atomic_load(&it.released) == 1 && loop == 7);
            child_end_leaving();
        }
        harness_wait(child);
    }
    scene_close(&it);
}

static void free_in_the_child(tg_loop loop, void *user)
{
    scene *it = user;
    pid_t child = fork_at_once();
    if (child == 0) {
        CHECK_CODE(tg_group_free(it->group), TG_EREENTRANT);
        CHECK_CODE(tg_group_free(it->group), TG_EREENTRANT); /* nothing has changed */
        CHECK_CODE(tg_group_stop(it->group, 0), TG_EFORKED);
        CHECK_CODE(tg_loop_stop(loop), TG_EFORKED);
        CHECK_EQ(atomic_load(&it->released), 0);
        child_end_leaving();
    }
    harness_wait(child);
    atomic_fetch_add(&it->returned, 1);
}

/* The child's only thread is in the callback, whose `user` it would give back.
 * mutation: `forget` does not look at the thread. */
static void h57_a_child_of_a_groups_thread_does_not_free_it(void)
{
    scene it;
    scene_open(&it);
    MUST(tg_post(it.loop, free_in_the_child, &it, NULL) == 0);
    while (atomic_load(&it.returned) == 0) sched_yield();
    scene_close(&it);
}

/* Before a leak checker looks, which does not know the parent's threads. */
static void leave(void) { _exit(harness_bad == 0 ? 0 : 1); }

static void leave_in_the_child(tg_loop loop, void *user)
{
    scene *it = user;
    pid_t child = fork_at_once();
    (void)loop;
    if (child == 0) {
        MUST(atexit(leave) == 0);
        return;
    }
    harness_wait(child);
    atomic_fetch_add(&it->returned, 1);
}

/* The run ends, and the thread, and with its last thread the child.
 * mutation: `enter` takes the lock in the child, too: within some forks it hangs. */
static void h57_a_child_of_a_groups_thread_ends_after_its_callback(void)
{
    scene it;
    if (harness_slow()) {
        SKIP("h57_a_child_of_a_groups_thread_ends_after_its_callback",
             "valgrind counts what the parent's threads hold as lost in the child");
        return;
    }
    scene_open(&it);
    for (int i = 0; i < 200 && harness_bad == 0; i++) {
        MUST(tg_post(it.loop, leave_in_the_child, &it, NULL) == 0);
        while (atomic_load(&it.returned) <= i) sched_yield();
    }
    scene_close(&it);
}

int main(void)
{
    harness_begin();
    RUN(h57_a_look_up_that_was_going_on_at_the_fork);
    RUN(h57_a_child_of_a_groups_thread_does_not_free_it);
    RUN(h57_a_child_of_a_groups_thread_ends_after_its_callback);
    return harness_end();
}
