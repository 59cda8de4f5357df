/* When no thread can be started. pthread_create is replaced by one of this program's, which the library calls in its place. */
#include "gate.h"

#include <dlfcn.h>

static _Atomic int to_fail; /* that many calls from now on fail */

typedef int create_fn(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    union {
        void *object;
        create_fn *function;
    } real;
    if (to_fail > 0) {
        to_fail--;
        return EAGAIN;
    }
    real.object = dlsym(RTLD_NEXT, "pthread_create");
    MUST(real.object != NULL);
    return real.function(thread, attributes, start, argument);
}

static int64_t passes(void *user)
{
    gate_pass(user);
    return 1;
}

static _Atomic int ran;

static int64_t counts(void *user)
{
    (void)user;
    ran++;
    return 1;
}

static int open_one(tg_loop loop, counter *user, tg_handle *out)
{
    tg_work_options options = TG_WORK_OPTIONS_INIT;
    options.callback = on_work;
    options.user = user;
    options.release = counter_release;
    return tg_work_open(loop, counts, &options, out);
}

/* mutation: the job stays in the queue although its thread could not be started. */
static void h66_without_a_thread_nothing_was_taken(void)
{
    tg_loop loop = new_loop();
    counter user = { .calls = 0 };
    tg_handle handle = 7;
    char dump[64] = "";
    for (int i = 0; i < 3; i++) {
        to_fail = 1;
        CHECK_CODE(open_one(loop, &user, &handle), -EAGAIN);
        CHECK_EQ(to_fail, 0);
        CHECK_EQ(handle, 7);
    }
    CHECK_EQ(tg_loop_dump(loop, dump, sizeof dump), 0);
    CHECK_CODE(tg_loop_run(loop), 0); /* nothing keeps it alive */
    CHECK_EQ(user.calls + user.released, 0);
    CHECK_CODE(open_one(loop, &user, &handle), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(user.calls, 1);
    CHECK_EQ(user.released, 1);
    CHECK_EQ(user.total, 1);
    free_loop(loop, 0);
    wait_until_alone();
    CHECK_EQ(ran, 1); /* not those that were refused */
}

/* mutation: the error is handed on although there is a thread. */
static void h66_with_one_thread_the_work_waits_for_it(void)
{
    static gate at = GATE_INIT;
    tg_loop loop = new_loop_with_threads(4);
    counter user = { .calls = 0 };
    tg_handle handle = 0, first = open_work(loop, passes, on_work, &at, NULL);
    gate_wait_arrived(&at, 1);
    to_fail = 2;
    CHECK_CODE(open_one(loop, &user, &handle), 0);
    CHECK_CODE(open_one(loop, &user, &handle), 0);
    CHECK_EQ(to_fail, 0);
    CHECK_CODE(tg_close(first), 0); /* its callback would take the gate for a counter */
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(user.calls, 2);
    CHECK_EQ(user.released, 2);
    CHECK_EQ(at.most_waiting, 1);
    free_loop(loop, 0);
    wait_until_alone();
}

/* mutation: the id stays reserved when the job could not be submitted. */
static void h66_look_ups_without_a_thread(void)
{
    tg_loop loop = new_loop();
    tg_resolve_options options = TG_RESOLVE_OPTIONS_INIT;
    tg_resolve_name_options name_options = TG_RESOLVE_NAME_OPTIONS_INIT;
    counter user = { .calls = 0 };
    tg_address address;
    tg_handle handle = 7;
    MUST(tg_address_parse("127.0.0.1", 1, &address) == 0);
    options.callback = on_resolved;
    name_options.callback = on_named;
    options.user = name_options.user = &user;
    options.release = name_options.release = counter_release;
    name_options.flags = TG_RESOLVE_NUMERIC;
    to_fail = 2;
    CHECK_CODE(tg_resolve_open(loop, "127.0.0.1", NULL, &options, &handle), -EAGAIN);
    CHECK_CODE(tg_resolve_name_open(loop, &address, &name_options, &handle), -EAGAIN);
    CHECK_EQ(handle, 7);
    CHECK_EQ(user.calls + user.released, 0);
    CHECK_CODE(tg_resolve_open(loop, "127.0.0.1", NULL, &options, &handle), 0);
    CHECK_CODE(tg_resolve_name_open(loop, &address, &name_options, &handle), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(user.calls, 2);
    CHECK_EQ(user.released, 2);
    free_loop(loop, 0);
    wait_until_alone();
}

int main(void)
{
    harness_begin();
    RUN(h66_without_a_thread_nothing_was_taken);
    RUN(h66_with_one_thread_the_work_waits_for_it);
    RUN(h66_look_ups_without_a_thread);
    return harness_end();
}
