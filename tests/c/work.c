/* Work on other threads: results, order, limits, cancelling, closing, records, signals. */
#include "gate.h"

typedef struct piece {
    gate *at;               /* where its function waits; NULL: nowhere */
    int64_t number;
    bool ran_elsewhere, action_done;
    pthread_t owner;
    tg_handle id, other;
    tg_loop loop;
    void (*action)(struct piece *); /* run by the callback */
    int calls, released, status, order;
    int64_t result;
} piece;

static int ended; /* callbacks so far */

static int64_t piece_run(void *user)
{
    piece *it = user;
    it->ran_elsewhere = !pthread_equal(pthread_self(), it->owner);
    if (it->at != NULL) gate_pass(it->at);
    return it->number * it->number;
}

static void piece_ended(tg_handle self, void *user, int status, int64_t result)
{
    piece *it = user;
    CHECK_EQ(self, it->id);
    CHECK(pthread_equal(pthread_self(), it->owner));
    CHECK_EQ(it->released, 0);
    CHECK_EQ(tg_handle_is_open(self), 1);
    it->calls++;
    it->status = status;
    it->result = result;
    it->order = ended++;
    if (it->action != NULL) it->action(it);
}

static void piece_released(void *user)
{
    piece *it = user;
    CHECK(pthread_equal(pthread_self(), it->owner));
    it->released++;
}

static void piece_open(piece *it, tg_loop loop, gate *at, int64_t number)
{
    memset(it, 0, sizeof *it);
    it->at = at;
    it->number = number;
    it->owner = pthread_self();
    it->loop = loop;
    it->id = open_work(loop, piece_run, piece_ended, it, piece_released);
}

static void piece_check(const piece *it, int calls, int status)
{
    CHECK_EQ(it->calls, calls);
    CHECK_EQ(it->released, 1);
    CHECK_CODE(it->status, status);
    if (calls > 0) CHECK_EQ(it->result, status == 0 ? it->number * it->number : 0);
    CHECK_EQ(tg_handle_is_open(it->id), 0);
}

/* mutation: the handle is not closed after the delivery. */
static void every_result_comes_once_on_the_loops_thread(void)
{
    enum { COUNT = 500 };
    static piece all[COUNT];
    tg_loop loop = new_loop();
    uint32_t kind = 0;
    char text[64];
    for (int i = 0; i < COUNT; i++) piece_open(&all[i], loop, NULL, i - 100);
    CHECK_CODE(tg_handle_get_kind(all[0].id, &kind), 0);
    CHECK_EQ(kind, TG_KIND_WORK);
    CHECK(tg_loop_dump(loop, text, sizeof text) > 0 && strstr(text, " work, active") != NULL);
    CHECK_CODE(tg_loop_run(loop), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK(all[i].ran_elsewhere);
        piece_check(&all[i], 1, 0);
    }
    free_loop(loop, 0);
}

/* mutation: a pool takes its newest job first. */
static void one_thread_keeps_the_order(void)
{
    enum { COUNT = 50 };
    piece all[COUNT];
    tg_loop loop = new_loop_with_threads(1);
    ended = 0;
    for (int i = 0; i < COUNT; i++) piece_open(&all[i], loop, NULL, i);
    CHECK_CODE(tg_loop_run(loop), 0);
    for (int i = 0; i < COUNT; i++) CHECK_EQ(all[i].order, i);
    free_loop(loop, 0);
}

/* mutation: the pool does not look at how many threads it may have. */
static void at_most_so_many_threads_as_the_options_say(void)
{
    enum { COUNT = 12, THREADS = 3 };
    piece all[COUNT];
    gate at = GATE_INIT;
    tg_loop loop = new_loop_with_threads(THREADS);
    for (int i = 0; i < COUNT; i++) piece_open(&all[i], loop, &at, i);
    gate_wait_arrived(&at, THREADS);
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0);
    for (int i = 0; i < COUNT; i++) piece_check(&all[i], 1, 0);
    CHECK(at.most_waiting <= THREADS);
    free_loop(loop, 0);
}

static void no_answer(tg_handle self, void *user, int status, const tg_address *addresses, size_t count)
{
    (void)self;
    (void)user;
    (void)status;
    (void)addresses;
    (void)count;
    harness_fail(__FILE__, __LINE__, "an answer without a question");
}

/* Those that were cancelled and are not looked at yet take room as well.
 * mutation: what runs does not count; what was cancelled does not count. */
static void h41_what_waits_for_a_thread_is_bounded(void)
{
    enum { MOST = 5 };
    piece all[MOST], one_more;
    gate at = GATE_INIT;
    tg_loop_options options = TG_LOOP_OPTIONS_INIT;
    tg_work_options work = TG_WORK_OPTIONS_INIT;
    tg_resolve_options names = TG_RESOLVE_OPTIONS_INIT;
    tg_loop loop = 0;
    tg_handle out = 7;
    options.work_threads = 1;
    options.max_jobs = MOST;
    MUST(tg_loop_new(&options, &loop) == 0);
    for (int i = 0; i < MOST; i++) piece_open(&all[i], loop, i == 0 ? &at : NULL, i);
    memset(&one_more, 0, sizeof one_more);
    work.callback = piece_ended;
    work.user = &one_more;
    work.release = piece_released;
    names.callback = no_answer;
    CHECK_CODE(tg_work_open(loop, piece_run, &work, &out), TG_ENOBUFS);
    CHECK_CODE(tg_resolve_open(loop, "localhost", "1", &names, &out), TG_ENOBUFS);
    gate_wait_arrived(&at, 1);
    CHECK_CODE(tg_work_open(loop, piece_run, &work, &out), TG_ENOBUFS); /* the one that runs counts, too */
    for (int i = 1; i < MOST; i++) CHECK_CODE(tg_close(all[i].id), 0);
    for (int i = 1; i < MOST; i++) { /* one runs and four are in the queue: one more, to have five there */
        int code = tg_work_open(loop, piece_run, &work, &out);
        CHECK_CODE(code, i == 1 ? 0 : TG_ENOBUFS);
    }
    one_more.id = out;
    one_more.owner = pthread_self();
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0);
    piece_check(&all[0], 1, 0);
    CHECK_EQ(one_more.calls, 1);
    piece_open(&one_more, loop, NULL, 9);
    CHECK_CODE(tg_loop_run(loop), 0);
    piece_check(&one_more, 1, 0);
    free_loop(loop, 0);
}

/* mutation: job_cancel does not ask whether the work was taken back; it forgets that it has cancelled. */
static void h20_what_has_not_begun_can_be_cancelled(void)
{
    piece first, second;
    gate at = GATE_INIT;
    tg_loop loop = new_loop_with_threads(1);
    piece_open(&first, loop, &at, 1);
    piece_open(&second, loop, NULL, 2);
    gate_wait_arrived(&at, 1);
    CHECK_CODE(tg_handle_cancel(first.id), 0);
    CHECK_CODE(tg_handle_cancel(second.id), 1);
    CHECK_CODE(tg_handle_cancel(second.id), 1); /* it still is */
    CHECK_EQ(second.calls, 0); /* no callback from inside a call */
    turns(loop, 1);
    piece_check(&second, 1, TG_ECANCELED);
    CHECK_EQ(first.calls, 0);
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0);
    piece_check(&first, 1, 0);
    CHECK(!second.ran_elsewhere);
    CHECK_CODE(tg_handle_cancel(first.id), TG_ESTALE);
    free_loop(loop, 0);
}

/* mutation: job_close releases at once. */
static void h11_what_closed_work_carries_is_released_after_its_function(void)
{
    piece running, queued;
    gate at = GATE_INIT;
    tg_loop loop = new_loop_with_threads(1);
    piece_open(&running, loop, &at, 1);
    piece_open(&queued, loop, NULL, 2);
    gate_wait_arrived(&at, 1);
    CHECK_CODE(tg_close(running.id), 0);
    CHECK_CODE(tg_close(queued.id), 0);
    CHECK_CODE(tg_close(running.id), TG_ESTALE);
    turns(loop, 1);
    piece_check(&queued, 0, 0);
    CHECK_EQ(running.released, 0); /* its thread is using it */
    CHECK_EQ(tg_handle_is_open(running.id), 0);
    gate_open(&at);
    free_loop(loop, 0);
    piece_check(&running, 0, 0);
    CHECK(!queued.ran_elsewhere);
    CHECK_EQ(at.through, 1);
}

/* mutation: next_job does not look among those that were closed. */
static void h11_the_release_comes_in_the_turn_after_the_function(void)
{
    piece closed, next;
    gate at = GATE_INIT;
    tg_loop loop = new_loop_with_threads(1);
    piece_open(&closed, loop, &at, 1);
    gate_wait_arrived(&at, 1);
    CHECK_CODE(tg_close(closed.id), 0);
    piece_open(&next, loop, NULL, 2);
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0); /* the one thread ends `closed` before it begins `next` */
    piece_check(&closed, 0, 0);
    piece_check(&next, 1, 0);
    free_loop(loop, 0);
}

typedef struct opener {
    gate *at;
    pid_t main_thread;
} opener;

static void *open_when_the_main_thread_waits(void *argument)
{
    opener *it = argument;
    wait_until_asleep(it->main_thread);
    CHECK_EQ(gate_through(it->at), 0);
    gate_open(it->at);
    return NULL;
}

/* mutation: the pool is dropped, not finished. */
static void h67_free_waits_for_the_function(void)
{
    piece it;
    gate at = GATE_INIT;
    opener other = { &at, getpid() };
    pthread_t thread;
    tg_loop loop = new_loop();
    piece_open(&it, loop, &at, 1);
    gate_wait_arrived(&at, 1);
    MUST(pthread_create(&thread, NULL, open_when_the_main_thread_waits, &other) == 0);
    free_loop(loop, 1);
    CHECK_EQ(at.through, 1);
    piece_check(&it, 0, 0);
    MUST(pthread_join(thread, NULL) == 0);
}

static void close_itself(piece *it) { CHECK_CODE(tg_close(it->id), 0); }
static void close_other(piece *it) { it->action_done = tg_close(it->other) == 0; }
static void run_inside(piece *it) { CHECK_CODE(tg_loop_run(it->loop), TG_EREENTRANT); }
static void free_the_loop(piece *it) { CHECK(tg_loop_free(it->loop) >= 0); }
static void cancel_itself(piece *it) { CHECK_CODE(tg_handle_cancel(it->id), 0); }

/* mutation: next_job leaves the task in the slot, so that the handle waits for its end once more. */
static void h02_h03_what_a_callback_may_do(void)
{
    void (*const actions[])(piece *) = { close_itself, run_inside, cancel_itself };
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        tg_loop loop = new_loop();
        piece it;
        piece_open(&it, loop, NULL, 3);
        it.action = actions[i];
        CHECK_CODE(tg_loop_run(loop), 0);
        piece_check(&it, 1, 0);
        free_loop(loop, 0);
    }
}

/* mutation: tg_loop_free frees a loop that is running at once. */
static void h67_free_inside_the_callback(void)
{
    tg_loop loop = new_loop();
    piece it;
    piece_open(&it, loop, NULL, 3);
    it.action = free_the_loop;
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.calls, 1);
    CHECK_EQ(it.released, 1);
    CHECK_CODE(tg_loop_run(loop), TG_ESTALE);
}

/* mutation: next_job does not look among those that were closed. */
static void h04_h12_close_another_that_has_ended_too(void)
{
    piece blocks, a, b;
    gate at = GATE_INIT;
    tg_loop loop = new_loop_with_threads(1);
    piece_open(&blocks, loop, &at, 1);
    gate_wait_arrived(&at, 1);
    piece_open(&a, loop, NULL, 2);
    piece_open(&b, loop, NULL, 3);
    a.action = b.action = close_other;
    a.other = b.id;
    b.other = a.id;
    CHECK_CODE(tg_handle_cancel(a.id), 1);
    CHECK_CODE(tg_handle_cancel(b.id), 1);
    turns(loop, 1);
    piece_check(&a, 1, TG_ECANCELED);
    piece_check(&b, 0, 0);
    CHECK(a.action_done);
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0);
    free_loop(loop, 0);
}

/* mutation: change_user does not look whether a thread uses what it releases. */
static void h11_the_user_of_work_that_is_not_over_cannot_be_changed(void)
{
    piece it;
    counter other = { .calls = 0 };
    gate at = GATE_INIT;
    tg_loop loop = new_loop();
    piece_open(&it, loop, &at, 1);
    gate_wait_arrived(&at, 1);
    CHECK_CODE(tg_handle_set_user(it.id, &other, counter_release), TG_EBUSY);
    turns(loop, 1);
    CHECK_EQ(it.released + other.released, 0);
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0);
    piece_check(&it, 1, 0);
    free_loop(loop, 0);
}

/* mutation: TG_UNREF is ignored. */
static void unreferenced_work_keeps_no_run_going(void)
{
    piece it;
    gate at = GATE_INIT;
    tg_work_options options = TG_WORK_OPTIONS_INIT;
    tg_loop loop = new_loop();
    piece_open(&it, loop, NULL, 0); /* only for its fields */
    CHECK_CODE(tg_loop_run(loop), 0);
    it.at = &at;
    it.calls = it.released = 0;
    options.callback = piece_ended;
    options.user = &it;
    options.release = piece_released;
    options.flags = TG_UNREF;
    CHECK_CODE(tg_work_open(loop, piece_run, &options, &it.id), 0);
    gate_wait_arrived(&at, 1);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.calls, 0);
    CHECK_CODE(tg_handle_ref(it.id), 0);
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0);
    piece_check(&it, 1, 0);
    free_loop(loop, 0);
}

static int64_t blocked_signals(void *user)
{
    sigset_t mask;
    int64_t blocked = 0;
    (void)user;
    if (pthread_sigmask(SIG_BLOCK, NULL, &mask) != 0) return -1;
    for (int signum = 1; signum <= SIGSYS; signum++)
        if (signum != SIGKILL && signum != SIGSTOP) blocked += sigismember(&mask, signum) == 1;
    return blocked;
}

/* mutation: threads are started with the caller's mask. */
static void threads_block_every_signal(void)
{
    counter user = { .calls = 0 };
    sigset_t before, after;
    tg_loop loop = new_loop();
    sigemptyset(&before);
    sigemptyset(&after);
    MUST(pthread_sigmask(SIG_BLOCK, NULL, &before) == 0);
    open_work(loop, blocked_signals, on_work, &user, counter_release);
    MUST(pthread_sigmask(SIG_BLOCK, NULL, &after) == 0);
    for (int signum = 1; signum <= SIGSYS; signum++)
        CHECK_EQ(sigismember(&after, signum), sigismember(&before, signum));
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(user.total, SIGSYS - 2);
    CHECK_EQ(user.released, 1);
    free_loop(loop, 0);
}

static int64_t number_of(void *user) { return -(int64_t)(uintptr_t)user; }

static void take_records(tg_loop loop, tg_batch *batch, tg_record *into, uint32_t count)
{
    uint32_t taken = 0;
    while (taken < count) {
        MUST(tg_batch_turn(loop) >= 0);
        while (batch->record_cursor < batch->record_count && taken < count)
            into[taken++] = batch->records[batch->record_cursor++];
    }
    CHECK_EQ(batch->record_cursor, batch->record_count);
}

/* mutation: status and result change places in the record. */
static void work_on_a_batch_loop(void)
{
    tg_loop loop = new_batch_loop(8, 8);
    tg_batch *batch = NULL;
    tg_work_options options = TG_WORK_OPTIONS_INIT;
    tg_record record[2];
    tg_handle handle = 0;
    MUST(tg_batch_get(loop, &batch) == 0);
    options.user = (void *)(uintptr_t)77;
    CHECK_CODE(tg_work_open(loop, number_of, &options, &handle), 0);
    take_records(loop, batch, record, 2);
    CHECK_EQ(record[0].kind, TG_RECORD_DONE);
    CHECK_EQ(record[0].handle, handle);
    CHECK_EQ(record[0].user, 77);
    CHECK_EQ(record[0].bits, 0);
    CHECK_EQ(record[0].value, -77);
    CHECK_EQ(record[1].kind, TG_RECORD_CLOSED);
    CHECK_EQ(record[1].handle, handle);
    CHECK_EQ(record[1].user, 77);
    CHECK(batch->flags & TG_BATCH_IDLE);
    free_loop(loop, 0);
}

/* mutation: the child waits for the parent's threads. */
static void h57_work_in_a_forked_child(void)
{
    piece running, fresh;
    gate at = GATE_INIT;
    tg_loop loop = new_loop();
    pid_t child;
    piece_open(&running, loop, &at, 4);
    gate_wait_arrived(&at, 1);
    child = harness_fork();
    if (child == 0) {
        CHECK_CODE(tg_handle_cancel(running.id), TG_EFORKED);
        CHECK_CODE(tg_loop_reopen(loop), 0);
        CHECK_CODE(tg_loop_run(loop), 0);
        piece_check(&running, 1, TG_EFORKED);
        piece_open(&fresh, loop, NULL, 5);
        CHECK_CODE(tg_loop_run(loop), 0);
        piece_check(&fresh, 1, 0);
        free_loop(loop, 0);
        child_end_leaving();
    }
    harness_wait(child);
    child = harness_fork();
    if (child == 0) {
        CHECK_CODE(tg_loop_free(loop), 1); /* and does not wait for a thread that is not here */
        CHECK_EQ(running.calls, 0);
        CHECK_EQ(running.released, 1);
        child_end_leaving();
    }
    harness_wait(child);
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0);
    piece_check(&running, 1, 0);
    free_loop(loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(every_result_comes_once_on_the_loops_thread);
    RUN(one_thread_keeps_the_order);
    RUN(at_most_so_many_threads_as_the_options_say);
    RUN(h41_what_waits_for_a_thread_is_bounded);
    RUN(h20_what_has_not_begun_can_be_cancelled);
    RUN(h11_what_closed_work_carries_is_released_after_its_function);
    RUN(h11_the_release_comes_in_the_turn_after_the_function);
    RUN(h67_free_waits_for_the_function);
    RUN(h02_h03_what_a_callback_may_do);
    RUN(h67_free_inside_the_callback);
    RUN(h04_h12_close_another_that_has_ended_too);
    RUN(h11_the_user_of_work_that_is_not_over_cannot_be_changed);
    RUN(unreferenced_work_keeps_no_run_going);
    RUN(threads_block_every_signal);
    RUN(work_on_a_batch_loop);
    RUN(h57_work_in_a_forked_child);
    return harness_end();
}
