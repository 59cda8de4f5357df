/* 09: the loop inside somebody else's loop: here, a plain poll().
 *
 * Learnt here: the loop has one descriptor that becomes readable when it has something to do, and
 * says how long it may be left alone; the foreign loop waits for both and then gives it a turn that
 * does not wait. A post from another thread makes that descriptor readable too. */
#define _GNU_SOURCE /* pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <tidegate.h>
#include <unistd.h>

#define MS INT64_C(1000000)

typedef struct program {
    tg_loop loop;
    int foreign; /* write end of a pipe that only the foreign loop knows */
    int ticks, posts, foreign_events;
} program;

static void on_post(tg_loop loop, void *user)
{
    (void)loop;
    ((program *)user)->posts++;
}

static void *thread_main(void *argument)
{
    program *it = argument;
    if (tg_post(it->loop, on_post, it, NULL) < 0) fprintf(stderr, "%s\n", tg_last_error());
    return NULL;
}

static void on_tick(tg_handle self, void *user, uint64_t missed)
{
    program *it = user;
    (void)missed;
    it->ticks++;
    if (write(it->foreign, "x", 1) != 1) perror("write");
    if (it->ticks == 5) tg_close(self);
}

/* poll() has milliseconds: rounded up, so that it does not wake too early and ask again. */
static int poll_timeout(tg_loop loop)
{
    int64_t ns = -1;
    if (tg_loop_get_timeout_ns(loop, &ns) < 0 || ns < 0) return -1;
    return ns > 60000 * MS ? 60000 : (int)((ns + MS - 1) / MS);
}

static int foreign_loop(program *it, int foreign_fd)
{
    struct pollfd fds[2] = { { -1, POLLIN, 0 }, { -1, POLLIN, 0 } };
    char byte;
    int alive = 1;
    tg_fd backend;
    if (tg_loop_get_backend_fd(it->loop, &backend) < 0) return -1;
    fds[0].fd = backend;
    fds[1].fd = foreign_fd;
    while (alive != 0 || it->posts == 0 || it->foreign_events < 5) {
        if (poll(fds, 2, poll_timeout(it->loop)) < 0 && errno != EINTR) return -1;
        while (read(foreign_fd, &byte, 1) == 1) it->foreign_events++;
        /* Always: a due timer does not make the descriptor readable. */
        alive = tg_loop_run_nowait(it->loop);
        if (alive < 0) return -1;
    }
    return 0;
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tg_last_error());
    return 1;
}

int main(void)
{
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    program it = { 0, -1, 0, 0, 0 };
    pthread_t thread;
    tg_handle timer;
    int ends[2], result;

    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return perror("pipe2"), 1;
    it.foreign = ends[1];
    if (tg_loop_new(NULL, &it.loop) < 0) return failed("tg_loop_new");
    options.callback = on_tick;
    options.user = &it;
    if (tg_timer_open(it.loop, 2 * MS, 2 * MS, &options, &timer) < 0) return failed("timer");
    if (pthread_create(&thread, NULL, thread_main, &it) != 0) return 1;

    result = foreign_loop(&it, ends[0]);
    if (result < 0) return failed("the nested loop");
    pthread_join(thread, NULL);
    printf("%d ticks, %d post, %d foreign events\n", it.ticks, it.posts, it.foreign_events);
    tg_loop_free(it.loop);
    close(ends[0]);
    close(ends[1]);
    return it.ticks == 5 && it.posts == 1 && it.foreign_events == 5 ? 0 : 1;
}
