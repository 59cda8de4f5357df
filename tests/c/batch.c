/* Batch loops: every kind of record, the cursor, submissions and their failures, full batches. */
#include "support.h"

typedef struct batch_scene {
    tg_loop loop;
    tg_batch *batch;
} batch_scene;

static batch_scene scene_new(uint32_t records, uint32_t submissions)
{
    batch_scene it = { new_batch_loop(records, submissions), NULL };
    MUST(tg_batch_get(it.loop, &it.batch) == 0);
    it.batch->timeout_ns = 0;
    return it;
}

static void submit(tg_batch *batch, uint32_t op, tg_handle handle, int64_t a, int64_t b)
{
    tg_submission *next = &batch->submissions[batch->submission_count++];
    memset(next, 0, sizeof *next);
    next->op = op;
    next->handle = handle;
    next->a = a;
    next->b = b;
    next->user = 4242;
}

/* The first unconsumed record of that kind and handle; NULL when there is none. */
static const tg_record *find(const tg_batch *batch, uint32_t kind, tg_handle handle)
{
    for (uint32_t i = batch->record_cursor; i < batch->record_count; i++)
        if (batch->records[i].kind == kind && batch->records[i].handle == handle)
            return &batch->records[i];
    return NULL;
}

static void consume(tg_batch *batch) { batch->record_cursor = batch->record_count; }

#define USER(number) ((void *)(uintptr_t)(number))

/* mutation: the size of a record is given wrongly. */
static void header_of_a_new_batch(void)
{
    batch_scene it = scene_new(5, 7);
    CHECK_EQ(it.batch->size, sizeof(tg_batch));
    CHECK_EQ(it.batch->record_size, sizeof(tg_record));
    CHECK_EQ(it.batch->submission_size, sizeof(tg_submission));
    CHECK_EQ(it.batch->record_capacity, 5);
    CHECK_EQ(it.batch->submission_capacity, 7);
    CHECK_EQ(it.batch->record_count + it.batch->record_cursor + it.batch->submission_count, 0);
    CHECK_EQ(tg_batch_turn(it.loop), 0);
    CHECK_EQ(it.batch->flags, TG_BATCH_IDLE);
    CHECK(it.batch->now_ns > 0 && it.batch->now_ns <= tg_now_ns());
    free_loop(it.loop, 0);
    it = scene_new(0, 0);
    CHECK_EQ(it.batch->record_capacity, 1024);
    CHECK_EQ(it.batch->submission_capacity, 1024);
    free_loop(it.loop, 0);
}

typedef struct kinds {
    tg_handle io, timer, signal, async, prepare, check, idle;
    int ends[2];
} kinds;

static void open_every_kind(tg_loop loop, kinds *it)
{
    tg_io_options io = TG_IO_OPTIONS_INIT;
    tg_timer_options timer = TG_TIMER_OPTIONS_INIT;
    tg_signal_options signal = TG_SIGNAL_OPTIONS_INIT;
    tg_async_options async = TG_ASYNC_OPTIONS_INIT;
    tg_hook_options hook = TG_HOOK_OPTIONS_INIT;
    make_pipe(it->ends);
    io.user = USER(1);
    timer.user = USER(2);
    signal.user = USER(3);
    async.user = USER(4);
    CHECK_CODE(tg_io_open(loop, it->ends[0], TG_READ, &io, &it->io), 0);
    CHECK_CODE(tg_timer_open(loop, 0, 1, &timer, &it->timer), 0);
    CHECK_CODE(tg_signal_open(loop, SIGUSR1, &signal, &it->signal), 0);
    CHECK_CODE(tg_async_open(loop, &async, &it->async), 0);
    hook.user = USER(5);
    CHECK_CODE(tg_prepare_open(loop, &hook, &it->prepare), 0);
    hook.user = USER(6);
    CHECK_CODE(tg_check_open(loop, &hook, &it->check), 0);
    hook.user = USER(7);
    CHECK_CODE(tg_idle_open(loop, &hook, &it->idle), 0);
}

static void check_record(const tg_batch *batch, uint32_t kind, tg_handle handle, uint64_t user,
                         uint32_t bits, int64_t value)
{
    const tg_record *record = find(batch, kind, handle);
    CHECK(record != NULL);
    if (record == NULL) return;
    CHECK_EQ(record->user, user);
    CHECK_EQ(record->bits, bits);
    if (value >= 0) CHECK_EQ(record->value, value);
}

/* mutation: number and count of a signal are swapped. */
static void every_kind_of_record(void)
{
    batch_scene it = scene_new(64, 8);
    kinds all;
    const tg_record *records = it.batch->records;
    open_every_kind(it.loop, &all);
    put(all.ends[1], "x");
    MUST(raise(SIGUSR1) == 0 && raise(SIGUSR1) == 0);
    CHECK_CODE(tg_async_send(all.async), 0);
    CHECK_CODE(tg_post(it.loop, NULL, USER(8), NULL), 0);
    CHECK_CODE(tg_defer(it.loop, NULL, USER(9), NULL), 0);
    CHECK_EQ(tg_batch_turn(it.loop), 9);
    CHECK_EQ(it.batch->record_count, 9);
    CHECK(it.batch->records == records);
    check_record(it.batch, TG_RECORD_IO, all.io, 1, TG_READ, 0);
    check_record(it.batch, TG_RECORD_TIMER, all.timer, 2, 0, -1);
    check_record(it.batch, TG_RECORD_SIGNAL, all.signal, 3, SIGUSR1, 2);
    check_record(it.batch, TG_RECORD_ASYNC, all.async, 4, 0, 0);
    check_record(it.batch, TG_RECORD_HOOK, all.prepare, 5, TG_KIND_PREPARE, 0);
    check_record(it.batch, TG_RECORD_HOOK, all.check, 6, TG_KIND_CHECK, 0);
    check_record(it.batch, TG_RECORD_HOOK, all.idle, 7, TG_KIND_IDLE, 0);
    check_record(it.batch, TG_RECORD_POST, it.loop, 9, 0, 0); /* deferred calls come first */
    CHECK_EQ(it.batch->flags, 0);
    free_loop(it.loop, 7);
    close_both(all.ends);
}

/* What was not consumed is presented again, once, and no turn is made meanwhile.
 * mutation: a turn drops what was not consumed. */
static void cursor_presents_the_rest_again(void)
{
    batch_scene it = scene_new(8, 8);
    for (uintptr_t i = 0; i < 5; i++) CHECK_CODE(tg_post(it.loop, NULL, USER(i), NULL), 0);
    CHECK_EQ(tg_batch_turn(it.loop), 5);
    it.batch->record_cursor = 2;
    CHECK_CODE(tg_post(it.loop, NULL, USER(5), NULL), 0);
    it.batch->timeout_ns = -1; /* it must not wait */
    CHECK_EQ(tg_batch_turn(it.loop), 3);
    CHECK_EQ(it.batch->record_count - it.batch->record_cursor, 3);
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQ(it.batch->records[it.batch->record_cursor + i].user, 2 + i);
    consume(it.batch);
    CHECK_EQ(tg_batch_turn(it.loop), 1);
    CHECK_EQ(it.batch->records[it.batch->record_cursor].user, 5);
    consume(it.batch);
    it.batch->timeout_ns = 0;
    CHECK_EQ(tg_batch_turn(it.loop), 0);
    free_loop(it.loop, 0);
}

/* mutation: delay and repeat are swapped. */
static void every_submission(void)
{
    batch_scene it = scene_new(16, 16);
    tg_handle timer = 0, io = 0;
    int64_t left = 0;
    int ends[2];
    uint32_t interest = 0;
    make_pipe(ends);
    CHECK_CODE(tg_timer_open(it.loop, -1, 0, NULL, &timer), 0);
    CHECK_CODE(tg_io_open(it.loop, ends[0], 0, NULL, &io), 0);
    submit(it.batch, TG_SUBMIT_TIMER_START, timer, 100 * SECOND, 50 * SECOND);
    submit(it.batch, TG_SUBMIT_IO_INTEREST, io, TG_READ, 0);
    CHECK_EQ(tg_batch_turn(it.loop), 0);
    CHECK_EQ(it.batch->submission_count, 0);
    CHECK_CODE(tg_timer_get_remaining_ns(timer, &left), 0);
    CHECK(left > 60 * SECOND && left <= 100 * SECOND);
    CHECK_CODE(tg_io_get_interest(io, &interest), 0);
    CHECK_EQ(interest, TG_READ);
    submit(it.batch, TG_SUBMIT_TIMER_RESTART, timer, 0, 0);
    submit(it.batch, TG_SUBMIT_IO_TIMEOUT, io, 1, 0);
    it.batch->timeout_ns = -1;
    CHECK_EQ(tg_batch_turn(it.loop), 1);
    check_record(it.batch, TG_RECORD_IO, io, 0, 0, -1);
    CHECK_EQ(it.batch->records[0].value, TG_ETIMEDOUT);
    consume(it.batch);
    CHECK_CODE(tg_timer_get_remaining_ns(timer, &left), 0);
    CHECK(left > 10 * SECOND && left <= 50 * SECOND); /* pushed back by its repeat */
    it.batch->timeout_ns = 0;
    submit(it.batch, TG_SUBMIT_TIMER_STOP, timer, 0, 0);
    submit(it.batch, TG_SUBMIT_CLOSE, io, 0, 0);
    CHECK_EQ(tg_batch_turn(it.loop), 1);
    check_record(it.batch, TG_RECORD_CLOSED, io, 0, 0, 0);
    CHECK_CODE(tg_timer_get_remaining_ns(timer, &left), 0);
    CHECK_EQ(left, -1);
    CHECK_EQ(tg_handle_is_open(io), 0);
    free_loop(it.loop, 1);
    close_both(ends);
}

/* A submission that fails says so with its own user and does not stop the others.
 * mutation: a failure does not carry its submission's user. */
static void failing_submissions(void)
{
    batch_scene it = scene_new(16, 16), other = scene_new(4, 4);
    tg_handle timer = 0, foreign = 0;
    static const int32_t codes[] = { TG_ESTALE, TG_EKIND, TG_EINVAL, TG_EINVAL, TG_EINVAL };
    CHECK_CODE(tg_timer_open(it.loop, -1, 0, NULL, &timer), 0);
    CHECK_CODE(tg_timer_open(other.loop, -1, 0, NULL, &foreign), 0);
    submit(it.batch, TG_SUBMIT_CLOSE, 1, 0, 0);
    submit(it.batch, TG_SUBMIT_IO_INTEREST, timer, TG_READ, 0);
    submit(it.batch, 99, timer, 0, 0);
    submit(it.batch, TG_SUBMIT_TIMER_START, timer, -1, 0);
    submit(it.batch, TG_SUBMIT_TIMER_START, timer, 0, -1);
    submit(it.batch, TG_SUBMIT_CLOSE, foreign, 0, 0); /* of another loop: stale here */
    submit(it.batch, TG_SUBMIT_TIMER_START, timer, 100 * SECOND, 0);
    CHECK_EQ(tg_batch_turn(it.loop), 6);
    for (uint32_t i = 0; i < 6; i++) {
        const tg_record *record = &it.batch->records[i];
        CHECK_EQ(record->kind, TG_RECORD_FAILED);
        CHECK_EQ(record->user, 4242);
        CHECK_CODE((int)record->value, i < 5 ? codes[i] : TG_ESTALE);
    }
    CHECK_EQ(it.batch->records[0].handle, 1);
    CHECK_EQ(it.batch->records[2].bits, 99);
    CHECK_EQ(it.batch->records[5].handle, foreign);
    consume(it.batch);
    CHECK_EQ(tg_handle_is_open(foreign), 1);
    CHECK_EQ(tg_batch_turn(it.loop), 0);
    CHECK_EQ(it.batch->flags, 0); /* the last one has started the timer */
    free_loop(it.loop, 1);
    free_loop(other.loop, 1);
}

/* More events than fit: they come in the turns that follow, in order, nothing twice.
 * mutation: the sink says that it has room when it has none. */
static void small_capacity_and_more(void)
{
    batch_scene it = scene_new(3, 2);
    uint64_t next = 0;
    for (uintptr_t i = 0; i < 10; i++) CHECK_CODE(tg_post(it.loop, NULL, USER(i), NULL), 0);
    for (int round = 0; round < 10 && next < 10; round++) {
        int count = tg_batch_turn(it.loop);
        CHECK(count >= 0 && count <= 3);
        if (next + 3 < 10) CHECK_EQ(it.batch->flags & TG_BATCH_MORE, TG_BATCH_MORE);
        for (; it.batch->record_cursor < it.batch->record_count; it.batch->record_cursor++)
            CHECK_EQ(it.batch->records[it.batch->record_cursor].user, next++);
    }
    CHECK_EQ(next, 10);
    CHECK_EQ(tg_batch_turn(it.loop), 0);
    CHECK_EQ(it.batch->flags, TG_BATCH_IDLE);
    free_loop(it.loop, 0);
}

/* More failing submissions than there is room to report.
 * mutation: submissions are taken although there is no room to report a failure. */
static void failures_wait_for_room(void)
{
    batch_scene it = scene_new(2, 8);
    int failures = 0;
    for (tg_handle i = 1; i <= 5; i++) submit(it.batch, TG_SUBMIT_CLOSE, i, 0, 0);
    for (int round = 0; round < 10; round++) {
        CHECK(tg_batch_turn(it.loop) >= 0);
        for (; it.batch->record_cursor < it.batch->record_count; it.batch->record_cursor++) {
            const tg_record *record = &it.batch->records[it.batch->record_cursor];
            CHECK_EQ(record->kind, TG_RECORD_FAILED);
            CHECK_EQ(record->handle, (tg_handle)++failures);
        }
    }
    CHECK_EQ(failures, 5);
    CHECK_EQ(it.batch->submission_count, 0);
    free_loop(it.loop, 0);
}

/* mutation: close queues the release of the user twice. */
static void h04_h12_closed_is_the_last_of_its_id(void)
{
    batch_scene it = scene_new(64, 64);
    tg_handle timers[8];
    bool closed[8] = { false };
    int closings = 0;
    for (int i = 0; i < 8; i++)
        CHECK_CODE(tg_timer_open(it.loop, 0, 1, NULL, &timers[i]), 0);
    for (int round = 0; round < 20; round++) {
        CHECK(tg_batch_turn(it.loop) >= 0);
        for (; it.batch->record_cursor < it.batch->record_count; it.batch->record_cursor++) {
            const tg_record *record = &it.batch->records[it.batch->record_cursor];
            int i = 0;
            while (i < 8 && timers[i] != record->handle) i++;
            REQUIRE(i < 8);
            CHECK(!closed[i]);
            closed[i] = record->kind == TG_RECORD_CLOSED;
            closings += closed[i];
        }
        if (round < 4) submit(it.batch, TG_SUBMIT_CLOSE, timers[round], 0, 0);
        else if (round < 8) CHECK_CODE(tg_close(timers[round]), 0);
    }
    CHECK_EQ(closings, 8);
    CHECK_EQ(it.batch->flags, TG_BATCH_IDLE);
    free_loop(it.loop, 0);
}

/* A close between two turns, with records of the handle unconsumed: they are still there, and CLOSED
 * comes after them.
 * mutation: a turn drops what was not consumed. */
static void h19_closed_comes_after_what_is_unconsumed(void)
{
    batch_scene it = scene_new(8, 8);
    tg_handle timer = 0;
    CHECK_CODE(tg_timer_open(it.loop, 0, 0, NULL, &timer), 0);
    CHECK_EQ(tg_batch_turn(it.loop), 1);
    CHECK_CODE(tg_close(timer), 0);
    CHECK(tg_batch_turn(it.loop) >= 1);
    CHECK_EQ(it.batch->records[it.batch->record_cursor].kind, TG_RECORD_TIMER);
    it.batch->record_cursor++;
    if (it.batch->record_cursor == it.batch->record_count) CHECK_EQ(tg_batch_turn(it.loop), 1);
    check_record(it.batch, TG_RECORD_CLOSED, timer, 0, 0, 0);
    free_loop(it.loop, 0);
}

static void *stop_the_loop(void *argument)
{
    wait_until_asleep(getpid()); /* the main thread is in its turn's wait */
    CHECK_CODE(tg_loop_stop(*(tg_loop *)argument), 0);
    return NULL;
}

/* mutation: stop leaves its mark without waking. */
static void stop_ends_the_wait(void)
{
    batch_scene it = scene_new(8, 8);
    pthread_t thread;
    CHECK_CODE(tg_loop_hold(it.loop), 0);
    it.batch->timeout_ns = -1;
    MUST(pthread_create(&thread, NULL, stop_the_loop, &it.loop) == 0);
    CHECK_EQ(tg_batch_turn(it.loop), 0);
    CHECK_EQ(it.batch->flags, TG_BATCH_STOPPED);
    MUST(pthread_join(thread, NULL) == 0);
    it.batch->timeout_ns = 0;
    CHECK_EQ(tg_batch_turn(it.loop), 0);
    CHECK_EQ(it.batch->flags, 0); /* told once */
    free_loop(it.loop, 0);
}

/* The caller may write what it likes into the shared memory: the library does not follow it.
 * mutation: what is unconsumed is computed from the caller's record_count. */
static void shared_memory_is_not_trusted(void)
{
    batch_scene it = scene_new(4, 4);
    tg_record *records = it.batch->records;
    it.batch->records = NULL;
    it.batch->submissions = (tg_submission *)(uintptr_t)16;
    it.batch->record_capacity = it.batch->submission_capacity = UINT32_MAX;
    CHECK_CODE(tg_post(it.loop, NULL, USER(3), NULL), 0);
    CHECK_EQ(tg_batch_turn(it.loop), 1);
    CHECK(it.batch->records == records);
    CHECK_EQ(it.batch->records[0].user, 3);
    CHECK_EQ(it.batch->record_capacity, 4);
    it.batch->record_count = UINT32_MAX; /* the library has its own */
    CHECK_EQ(tg_batch_turn(it.loop), 1);
    CHECK_EQ(it.batch->record_count, 1);
    it.batch->record_count = 0; /* that consumes nothing: the cursor does */
    CHECK_EQ(tg_batch_turn(it.loop), 1);
    CHECK_EQ(it.batch->records[0].user, 3);
    free_loop(it.loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(header_of_a_new_batch);
    RUN(every_kind_of_record);
    RUN(cursor_presents_the_rest_again);
    RUN(every_submission);
    RUN(failing_submissions);
    RUN(small_capacity_and_more);
    RUN(failures_wait_for_room);
    RUN(h04_h12_closed_is_the_last_of_its_id);
    RUN(h19_closed_comes_after_what_is_unconsumed);
    RUN(stop_ends_the_wait);
    RUN(shared_memory_is_not_trusted);
    return harness_end();
}
