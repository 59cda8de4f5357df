/* Every function from a thread that does not own the loop: the thread-safe ones work, the others give
 * TG_EWRONGTHREAD and do nothing. Takes the path of abi/symbols.txt. */
#include "calls.h"
#include "symbols.h"

static const char *call_name(size_t i) { return calls[i].symbol; }

static void table_equals_the_exported_symbols(void) { symbols_equal(call_name, CALLS); }

typedef struct answer {
    scene *scene;
    const call *call;
    int code;
} answer;

static void *call_from_thread(void *argument)
{
    answer *it = argument;
    it->code = it->call->make(it->scene);
    if (it->code < 0) CHECK(strstr(tg_last_error(), it->call->symbol) != NULL);
    return NULL;
}

static void check_one(const call *which)
{
    scene it;
    answer asked = { &it, which, 0 };
    char before[2048], after[2048];
    pthread_t thread;
    int bad_before = harness_bad;
    scene_open(&it);
    CHECK(tg_loop_dump(it.loop, before, sizeof before) > 0);
    MUST(pthread_create(&thread, NULL, call_from_thread, &asked) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    if ((which->traits & NO_CODE) != 0) CHECK_EQ(asked.code, 1);
    else if ((which->traits & ANY_THREAD) != 0) CHECK(asked.code >= 0);
    else CHECK_CODE(asked.code, TG_EWRONGTHREAD);
    CHECK(tg_loop_dump(it.loop, after, sizeof after) > 0);
    CHECK(strcmp(before, after) == 0);
    scene_close(&it);
    if (harness_bad != bad_before) printf("# of %s\n", which->symbol);
}

/* mutation: the look-up of a loop, or tg_loop_free, does not ask who owns it. */
static void wrong_thread_for_every_function(void)
{
    for (size_t i = 0; i < CALLS; i++) check_one(&calls[i]);
}

int main(int argc, char **argv)
{
    if (!symbols_from(argc, argv)) return 2;
    harness_begin();
    RUN(table_equals_the_exported_symbols);
    RUN(wrong_thread_for_every_function);
    return harness_end();
}
