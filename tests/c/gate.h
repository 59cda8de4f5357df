/* A gate that functions on other threads wait at until the test opens it. */
#ifndef TIDEGATE_TEST_GATE_H
#define TIDEGATE_TEST_GATE_H

#include "support.h"

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int arrived, waiting, most_waiting, through;
    bool open;
} gate;

#define GATE_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, 0, false }

static inline void gate_pass(gate *it)
{
    MUST(pthread_mutex_lock(&it->lock) == 0);
    it->arrived++;
    it->waiting++;
    if (it->waiting > it->most_waiting) it->most_waiting = it->waiting;
    MUST(pthread_cond_broadcast(&it->changed) == 0);
    while (!it->open) MUST(pthread_cond_wait(&it->changed, &it->lock) == 0);
    it->waiting--;
    it->through++;
    MUST(pthread_cond_broadcast(&it->changed) == 0);
    MUST(pthread_mutex_unlock(&it->lock) == 0);
}

/* Returns when so many have come to it. */
static inline void gate_wait_arrived(gate *it, int count)
{
    MUST(pthread_mutex_lock(&it->lock) == 0);
    while (it->arrived < count) MUST(pthread_cond_wait(&it->changed, &it->lock) == 0);
    MUST(pthread_mutex_unlock(&it->lock) == 0);
}

static inline void gate_wait_through(gate *it, int count)
{
    MUST(pthread_mutex_lock(&it->lock) == 0);
    while (it->through < count) MUST(pthread_cond_wait(&it->changed, &it->lock) == 0);
    MUST(pthread_mutex_unlock(&it->lock) == 0);
}

static inline void gate_open(gate *it)
{
    MUST(pthread_mutex_lock(&it->lock) == 0);
    it->open = true;
    MUST(pthread_cond_broadcast(&it->changed) == 0);
    MUST(pthread_mutex_unlock(&it->lock) == 0);
}

static inline int gate_through(gate *it)
{
    int through;
    MUST(pthread_mutex_lock(&it->lock) == 0);
    through = it->through;
    MUST(pthread_mutex_unlock(&it->lock) == 0);
    return through;
}

/* Returns when the calling thread is the only one: what threads of the library leave is gone then. */
static inline void wait_until_alone(void)
{
    int threads;
    do {
        DIR *directory = opendir("/proc/self/task");
        MUST(directory != NULL);
        for (threads = -2; readdir(directory) != NULL;) threads++; /* "." and ".." */
        closedir(directory);
        sched_yield();
    } while (threads > 1);
}

/* Ends a child in which the library leaves on purpose what threads of the parent had in hand: it ends as another program,
 * at whose end memcheck does not look. */
static inline void child_end_leaving(void)
{
    fflush(stdout);
    if (harness_bad == 0) execlp("true", "true", (char *)NULL);
    harness_child_end();
}

static inline tg_loop new_loop_with_threads(uint32_t work_threads)
{
    tg_loop_options options = TG_LOOP_OPTIONS_INIT;
    tg_loop loop = 0;
    options.work_threads = work_threads;
    MUST(tg_loop_new(&options, &loop) == 0);
    return loop;
}

#endif
