/* 08: running code on the loop's thread, asked for by other threads.
 *
 * Learnt here: tg_post may be called from any thread and its callback runs on the loop, so what it
 * touches needs no lock; the message's memory is handed over with a release that runs exactly once,
 * called or not; a hold keeps the loop alive while others may still post; an async handle allocates
 * nothing and coalesces: several sends may arrive as one callback, never as none. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <tidegate.h>

#define THREADS 4
#define MESSAGES 1000

typedef struct totals {
    tg_loop loop;
    tg_handle nudge;
    long sum;       /* only ever touched on the loop's thread */
    int messages, finished, nudges, released;
} totals;

typedef struct message {
    totals *to;
    int value; /* -1: the last one of its thread */
} message;

static void on_message(tg_loop loop, void *user)
{
    const message *it = user;
    it->to->messages++;
    if (it->value >= 0) it->to->sum += it->value;
    else if (++it->to->finished == THREADS)
        tg_loop_unhold(loop); /* nobody will post any more: run returns after this turn */
}

static void message_released(void *user)
{
    ((message *)user)->to->released++;
    free(user);
}

static void on_nudge(tg_handle self, void *user)
{
    (void)self;
    ((totals *)user)->nudges++;
}

static bool send_message(totals *to, int value)
{
    message *it = malloc(sizeof *it);
    if (it == NULL) return false;
    it->to = to;
    it->value = value;
    if (tg_post(to->loop, on_message, it, message_released) >= 0) return true;
    free(it); /* refused: nothing was taken */
    return false;
}

static void *thread_main(void *argument)
{
    totals *to = argument;
    int i;
    for (i = 0; i < MESSAGES; i++) {
        if (!send_message(to, i)) abort();
        if (i % 100 == 0) tg_async_send(to->nudge);
    }
    if (!send_message(to, -1)) abort();
    return NULL;
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tg_last_error());
    return 1;
}

int main(void)
{
    tg_async_options options = TG_ASYNC_OPTIONS_INIT;
    totals it = { 0, 0, 0, 0, 0, 0, 0 };
    pthread_t threads[THREADS];
    long expected = (long)THREADS * MESSAGES * (MESSAGES - 1) / 2;
    int i, result;

    if (tg_loop_new(NULL, &it.loop) < 0) return failed("tg_loop_new");
    options.callback = on_nudge;
    options.user = &it;
    options.flags = TG_UNREF; /* open until the loop is freed, but no reason to go on */
    if (tg_async_open(it.loop, &options, &it.nudge) < 0) return failed("tg_async_open");
    if (tg_loop_hold(it.loop) < 0) return failed("tg_loop_hold");
    for (i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, thread_main, &it) != 0) return 1;

    result = tg_loop_run(it.loop);
    for (i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    tg_loop_free(it.loop);

    printf("%d messages, sum %ld (expected %ld), %d released\n", it.messages, it.sum, expected,
           it.released);
    printf("nudges arrived: %s\n", it.nudges > 0 ? "yes" : "NO");
    return result == 0 && it.sum == expected && it.released == it.messages && it.nudges > 0 ? 0 : 1;
}
