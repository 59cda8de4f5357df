/* Threads: what may be called from any of them races with freeing; what may not says so; a loop can
 * be handed over. Also run under helgrind. */
#include "support.h"

#define HAMMERS 4

typedef struct race {
    _Atomic uint64_t loop, async;
    atomic_bool done;
    atomic_int accepted, released, called, unexpected, off_thread;
    atomic_int what_posted, what_woke, what_sent, what_stopped; /* the latest unexpected codes */
    pthread_t owner;
} race;

static void race_release(void *user)
{
    race *it = user;
    atomic_fetch_add(&it->released, 1);
    if (!pthread_equal(pthread_self(), it->owner)) atomic_fetch_add(&it->off_thread, 1);
}

static void race_post(tg_loop loop, void *user)
{
    (void)loop;
    atomic_fetch_add(&((race *)user)->called, 1);
}

static void race_note(race *it, atomic_int *what, int code)
{
    if (code == 0 || code == TG_ESTALE || code == TG_ENOBUFS) return;
    atomic_fetch_add(&it->unexpected, 1);
    atomic_store(what, code);
}

static void race_check(race *it)
{
    CHECK_EQ(atomic_load(&it->unexpected), 0);
    CHECK_CODE(atomic_load(&it->what_posted), 0);
    CHECK_CODE(atomic_load(&it->what_woke), 0);
    CHECK_CODE(atomic_load(&it->what_sent), 0);
    CHECK_CODE(atomic_load(&it->what_stopped), 0);
}

static void *hammer(void *argument)
{
    race *it = argument;
    while (!atomic_load(&it->done)) {
        tg_loop loop = atomic_load(&it->loop);
        int posted = tg_post(loop, race_post, it, race_release);
        if (posted == 0) atomic_fetch_add(&it->accepted, 1);
        race_note(it, &it->what_posted, posted);
        race_note(it, &it->what_woke, tg_loop_wake(loop));
        race_note(it, &it->what_sent, tg_async_send(atomic_load(&it->async)));
        race_note(it, &it->what_stopped, tg_loop_stop(loop));
    }
    return NULL;
}

static void race_async(tg_handle self, void *user)
{
    (void)self;
    (void)user;
}

/* One loop after another, each hammered by four threads while it runs and while it is freed.
 * mutation: posts that wait when the loop is freed are dropped without release. */
static void h11_h14_wake_post_send_race_with_free(void)
{
    race it = { .owner = pthread_self() };
    pthread_t threads[HAMMERS];
    int rounds = harness_scale(400);
    tg_async_options options = TG_ASYNC_OPTIONS_INIT;
    options.callback = race_async;
    for (int i = 0; i < HAMMERS; i++)
        MUST(pthread_create(&threads[i], NULL, hammer, &it) == 0);
    for (int round = 0; round < rounds; round++) {
        tg_loop loop = new_loop();
        tg_handle async = 0;
        CHECK_CODE(tg_async_open(loop, &options, &async), 0);
        atomic_store(&it.async, async);
        atomic_store(&it.loop, loop);
        for (int turn = 0; turn < 3; turn++) CHECK(tg_loop_run_nowait(loop) >= 0);
        if (round % 2 == 0) CHECK_CODE(tg_close(async), 0);
        CHECK_CODE(tg_loop_free(loop), round % 2 == 0 ? 0 : 1);
    }
    atomic_store(&it.done, true);
    for (int i = 0; i < HAMMERS; i++) MUST(pthread_join(threads[i], NULL) == 0);
    race_check(&it);
    CHECK_EQ(atomic_load(&it.released), atomic_load(&it.accepted));
    CHECK_EQ(atomic_load(&it.off_thread), 0);
    CHECK(atomic_load(&it.called) <= atomic_load(&it.accepted));
}

/* The wake-up of a freed loop must not reach whoever has its descriptor number now.
 * mutation: a visit to a port does not look whether it is open. */
static void h11_h49_waking_a_freed_loop_touches_no_descriptor(void)
{
    tg_loop loop = new_loop();
    int pairs[8][2];
    char byte;
    free_loop(loop, 0);
    for (int i = 0; i < 8; i++) make_pair(pairs[i]); /* takes over the numbers it had */
    for (int i = 0; i < 10; i++) {
        CHECK_CODE(tg_loop_wake(loop), TG_ESTALE);
        CHECK_CODE(tg_loop_stop(loop), TG_ESTALE);
        CHECK_CODE(tg_post(loop, race_post, NULL, NULL), TG_ESTALE);
    }
    for (int i = 0; i < 8; i++) {
        CHECK(read(pairs[i][0], &byte, 1) < 0 && errno == EAGAIN);
        CHECK(read(pairs[i][1], &byte, 1) < 0 && errno == EAGAIN);
        close_both(pairs[i]);
    }
}

typedef struct fifo {
    tg_loop loop;
    int next[HAMMERS], out_of_order, finished, per_thread;
} fifo;

typedef struct item {
    fifo *to;
    int thread, number;
} item;

static void on_item(tg_loop loop, void *user)
{
    item *it = user;
    if (it->number != it->to->next[it->thread]++) it->to->out_of_order++;
    if (it->number == it->to->per_thread - 1 && ++it->to->finished == HAMMERS)
        CHECK_CODE(tg_loop_unhold(loop), 0);
}

typedef struct poster {
    fifo *to;
    int thread;
} poster;

static void *post_items(void *argument)
{
    poster *it = argument;
    for (int i = 0; i < it->to->per_thread; i++) {
        item *next = malloc(sizeof *next);
        MUST(next != NULL);
        *next = (item){ it->to, it->thread, i };
        MUST(tg_post(it->to->loop, on_item, next, free) == 0);
    }
    return NULL;
}

/* mutation: a post is put before those that wait. */
static void posts_of_a_thread_keep_their_order(void)
{
    fifo it = { .per_thread = harness_scale(5000) };
    poster posters[HAMMERS];
    pthread_t threads[HAMMERS];
    it.loop = new_loop();
    CHECK_CODE(tg_loop_hold(it.loop), 0);
    for (int i = 0; i < HAMMERS; i++) {
        posters[i] = (poster){ &it, i };
        MUST(pthread_create(&threads[i], NULL, post_items, &posters[i]) == 0);
    }
    CHECK_CODE(tg_loop_run(it.loop), 0);
    for (int i = 0; i < HAMMERS; i++) MUST(pthread_join(threads[i], NULL) == 0);
    CHECK_EQ(it.out_of_order, 0);
    CHECK_EQ(it.finished, HAMMERS);
    free_loop(it.loop, 0);
}

/* An async handle closed while another thread sends to it.
 * mutation: closing an async handle leaves its generation in place. */
static void h11_h12_async_close_races_with_send(void)
{
    race it = { .owner = pthread_self() };
    tg_async_options options = TG_ASYNC_OPTIONS_INIT;
    pthread_t threads[2];
    tg_loop loop = new_loop();
    counter user = { .calls = 0 };
    int rounds = harness_scale(2000);
    options.callback = on_plain;
    options.user = &user;
    options.release = counter_release;
    atomic_store(&it.loop, 0);
    for (int i = 0; i < 2; i++) MUST(pthread_create(&threads[i], NULL, hammer, &it) == 0);
    for (int round = 0; round < rounds; round++) {
        tg_handle async = 0;
        int calls;
        CHECK_CODE(tg_async_open(loop, &options, &async), 0);
        atomic_store(&it.async, async);
        CHECK(tg_loop_run_nowait(loop) >= 0);
        CHECK_CODE(tg_close(async), 0);
        if (tg_async_send(async) != TG_ESTALE) CHECK(!"a send to a closed handle was accepted");
        calls = user.calls;
        CHECK(tg_loop_run_nowait(loop) >= 0);
        if (user.calls != calls) CHECK(!"a callback came after the close");
    }
    atomic_store(&it.done, true);
    for (int i = 0; i < 2; i++) MUST(pthread_join(threads[i], NULL) == 0);
    race_check(&it);
    free_loop(loop, 0);
    CHECK_EQ(user.released, rounds);
}

/* The stop of another thread ends a run that would last for ever; so does a wake with run_once. */
static void *stop_from_thread(void *argument)
{
    wait_until_asleep(getpid());
    CHECK_CODE(tg_loop_stop(*(tg_loop *)argument), 0);
    return NULL;
}

static void *wake_from_thread(void *argument)
{
    wait_until_asleep(getpid());
    CHECK_CODE(tg_loop_wake(*(tg_loop *)argument), 0);
    return NULL;
}

/* mutation: stop (or wake) leaves its mark without waking. */
static void stop_and_wake_from_another_thread(void)
{
    tg_loop loop = new_loop();
    pthread_t thread;
    CHECK_CODE(tg_loop_hold(loop), 0);
    MUST(pthread_create(&thread, NULL, stop_from_thread, &loop) == 0);
    CHECK_CODE(tg_loop_run(loop), 1);
    MUST(pthread_join(thread, NULL) == 0);
    MUST(pthread_create(&thread, NULL, wake_from_thread, &loop) == 0);
    CHECK_CODE(tg_loop_run_once(loop), 1);
    MUST(pthread_join(thread, NULL) == 0);
    free_loop(loop, 0);
}

typedef struct handover {
    tg_loop loop;
    counter *user;
} handover;

static void *take_over(void *argument)
{
    handover *it = argument;
    counter own = { .enough = 1 };
    CHECK_CODE(tg_loop_run_nowait(it->loop), TG_EWRONGTHREAD);
    CHECK_CODE(tg_loop_attach(it->loop), 0);
    CHECK_CODE(tg_loop_attach(it->loop), TG_EWRONGTHREAD); /* a thread owns it: this one */
    open_timer(it->loop, 0, 0, on_timer, &own);
    CHECK(tg_loop_run_nowait(it->loop) >= 0);
    CHECK_EQ(own.calls, 1);
    CHECK_EQ(own.released, 1);
    CHECK(it->user->calls >= 1);
    CHECK_CODE(tg_loop_detach(it->loop), 0);
    return NULL;
}

static void on_timer_detach(tg_handle self, void *user, uint64_t missed)
{
    counter *it = user;
    it->last_status = tg_loop_detach(it->loop);
    (void)missed;
    it->calls++;
    (void)self;
}

/* mutation: detach leaves the owner in place. */
static void detach_and_attach(void)
{
    tg_loop loop = new_loop();
    counter user = { .loop = loop };
    handover it = { loop, &user };
    pthread_t thread;
    open_timer(loop, 0, 1, on_timer_detach, &user);
    turns(loop, 1);
    CHECK_CODE(user.last_status, TG_EBUSY); /* not while it runs */
    CHECK_CODE(tg_loop_attach(loop), TG_EWRONGTHREAD); /* it is attached */
    CHECK_CODE(tg_loop_detach(loop), 0);
    CHECK_CODE(tg_loop_run_nowait(loop), TG_EWRONGTHREAD);
    CHECK_CODE(tg_loop_free(loop), TG_EWRONGTHREAD);
    MUST(pthread_create(&thread, NULL, take_over, &it) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    CHECK_CODE(tg_loop_attach(loop), 0);
    turns(loop, 1);
    free_loop(loop, 1);
    CHECK_EQ(user.released, 1);
}

static void *make_and_end(void *argument)
{
    handover *it = argument;
    it->loop = new_loop();
    open_timer(it->loop, SECOND, 0, on_timer, it->user);
    return NULL;
}

/* mutation: nothing is done when a thread ends. */
static void a_loop_whose_thread_has_ended_can_be_taken_over(void)
{
    counter user = { .calls = 0 };
    handover it = { 0, &user };
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, make_and_end, &it) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    CHECK_CODE(tg_loop_free(it.loop), TG_EWRONGTHREAD);
    CHECK_CODE(tg_loop_attach(it.loop), 0);
    free_loop(it.loop, 1);
    CHECK_EQ(user.released, 1);
}

static void *fail_in_thread(void *argument)
{
    CHECK_EQ(strlen(tg_last_error()), 0); /* a new thread has no failure */
    CHECK_CODE(tg_close(*(tg_handle *)argument), TG_ESTALE);
    CHECK(strstr(tg_last_error(), "tg_close") != NULL);
    return NULL;
}

/* mutation: the last error is one for the process. */
static void last_error_belongs_to_its_thread(void)
{
    tg_handle never = UINT64_MAX;
    pthread_t thread;
    tg_loop loop = new_loop();
    CHECK_CODE(tg_handle_ref(never), TG_ESTALE);
    MUST(pthread_create(&thread, NULL, fail_in_thread, &never) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    CHECK(strstr(tg_last_error(), "tg_handle_ref") != NULL);
    turns(loop, 1);
    CHECK(strstr(tg_last_error(), "tg_handle_ref") != NULL); /* success leaves it alone */
    free_loop(loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(h11_h14_wake_post_send_race_with_free);
    RUN(h11_h49_waking_a_freed_loop_touches_no_descriptor);
    RUN(posts_of_a_thread_keep_their_order);
    RUN(h11_h12_async_close_races_with_send);
    RUN(stop_and_wake_from_another_thread);
    RUN(detach_and_attach);
    RUN(a_loop_whose_thread_has_ended_can_be_taken_over);
    RUN(last_error_belongs_to_its_thread);
    return harness_end();
}
