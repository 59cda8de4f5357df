/* Pools of threads across fork(): the child's own threads have nothing to do with those that only the parent has. */
#include "gate.h"

static void works(tg_loop loop)
{
    counter it = { .calls = 0 };
    open_work(loop, work_hits, on_work, &it, counter_release);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.calls, 1);
}

/* A thread of the parent's pool sleeps at the fork; a new one of the child's may get its memory.
 * mutation: locks keep the threads that wait for them in a table of the process, as parking_lot does: within a hundred forks
 * a child hangs or dies. */
static void h57_new_threads_in_the_child_beside_sleeping_ones_of_the_parent(void)
{
    for (int i = 0; i < harness_scale(100) && harness_bad == 0; i++) {
        tg_loop loop = new_loop();
        pid_t child;
        works(loop);
        child = harness_fork();
        if (child == 0) {
            void *kept[100]; /* so that each child's memory is laid out a little differently */
            for (int k = 0; k < i; k++) MUST((kept[k] = malloc(200)) != NULL);
            CHECK_CODE(tg_loop_reopen(loop), 0);
            works(loop);
            free_loop(loop, 0);
            for (int k = 0; k < i; k++) free(kept[k]);
            child_end_leaving();
        }
        harness_wait(child);
        free_loop(loop, 0);
    }
}

int main(void)
{
    harness_begin();
    RUN(h57_new_threads_in_the_child_beside_sleeping_ones_of_the_parent);
    return harness_end();
}
