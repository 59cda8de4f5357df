/* The machinery of the misuse sweep: wrong ids of every sort, and a check after every refused call
 * that nothing has changed. */
#ifndef TIDEGATE_TEST_MISUSE_H
#define TIDEGATE_TEST_MISUSE_H

#include "support.h"

/* What every sweep works on: one of everything, and ids that are no good. */
typedef struct bench {
    tg_loop loop, batch, freed_loop;
    tg_poller poller, freed_poller;
    tg_group freed_group;
    tg_handle io, timer, signal, async, prepare, check, idle;
    tg_handle closed, of_freed_loop, of_batch;
    int ends[2], closed_fd;
    counter user;      /* of what is open: released once each at the end */
    counter untouched; /* of what is refused: never called, never released */
    char dump[4096];
    const char *symbol;
    int refused;
} bench;

static bench on;

static inline tg_handle open_on_batch(tg_loop loop)
{
    tg_handle handle = 0;
    MUST(tg_timer_open(loop, 3600 * SECOND, 0, NULL, &handle) == 0);
    return handle;
}

static inline void bench_open_dead_things(void)
{
    tg_group_options group = TG_GROUP_OPTIONS_INIT;
    int gone[2];
    on.freed_loop = new_loop();
    on.of_freed_loop = open_timer(on.freed_loop, SECOND, 0, on_timer, &on.user);
    MUST(tg_loop_free(on.freed_loop) == 1);
    MUST(tg_poller_new(NULL, &on.freed_poller) == 0 && tg_poller_free(on.freed_poller) == 0);
    group.loops = 1;
    MUST(tg_group_new(&group, &on.freed_group) == 0 && tg_group_free(on.freed_group) == 0);
    on.closed = open_timer(on.loop, SECOND, 0, on_timer, &on.user);
    MUST(tg_close(on.closed) == 0);
    make_pipe(gone);
    close_both(gone);
    on.closed_fd = gone[1] + 100; /* free, and far from what the library may open */
}

static inline void bench_open(void)
{
    memset(&on, 0, sizeof on);
    make_pair(on.ends);
    on.loop = new_loop();
    bench_open_dead_things();
    on.batch = new_batch_loop(8, 8);
    on.of_batch = open_on_batch(on.batch);
    MUST(tg_poller_new(NULL, &on.poller) == 0);
    MUST(tg_poller_add(on.poller, on.ends[0], TG_READ, TG_LEVEL, 1) == 0);
    on.io = open_io(on.loop, on.ends[0], TG_READ, on_io, &on.user);
    on.timer = open_timer(on.loop, 3600 * SECOND, 0, on_timer, &on.user);
    on.signal = open_signal(on.loop, SIGUSR2, on_signal, &on.user);
    on.async = open_async(on.loop, on_plain, &on.user);
    on.prepare = open_hook(on.loop, TG_KIND_PREPARE, on_plain, &on.user);
    on.check = open_hook(on.loop, TG_KIND_CHECK, on_plain, &on.user);
    on.idle = open_hook(on.loop, TG_KIND_IDLE, on_plain, &on.user);
    MUST(tg_loop_dump(on.loop, on.dump, sizeof on.dump) > 0);
}

static inline void bench_close(void)
{
    CHECK_EQ(on.untouched.calls + on.untouched.released, 0);
    CHECK_EQ(on.user.calls, 0);
    CHECK_CODE(tg_poller_free(on.poller), 0);
    CHECK_CODE(tg_loop_free(on.batch), 1);
    CHECK_CODE(tg_loop_free(on.loop), 7);
    CHECK_EQ(on.user.released, 9);
    close_both(on.ends);
}

/* What a signal handler may call is documented to leave no words: those before it stay. */
static inline bool wordless(void)
{
    return strcmp(on.symbol, "tg_loop_wake") == 0 || strcmp(on.symbol, "tg_async_send") == 0;
}

/* Whose failure the next function leaves behind. */
static inline const char *spoiler(void)
{
    return strcmp(on.symbol, "tg_io_get_fd") == 0 ? "tg_close" : "tg_io_get_fd";
}

/* Leaves another function's failure behind, so that what the next call leaves is seen to be its own. */
static inline void spoil_last_error(void)
{
    if (strcmp(spoiler(), "tg_close") == 0) (void)tg_close(0);
    else (void)tg_io_get_fd(0, NULL);
}

static inline void check_nothing_changed(int line)
{
    char now[4096];
    int length = tg_loop_dump(on.loop, now, sizeof now);
    if (length > 0 && strcmp(now, on.dump) == 0) return;
    printf("# line %d: the dump has changed:\n%s# it was:\n%s", line, now, on.dump);
    CHECK(!"a refused call has changed something");
}

static inline void check_refused(int line, const char *what, int code, int expected)
{
    char words[32];
    on.refused++;
    if (code != expected)
        printf("# line %d: %s gave %d (%s), expected %d (%s): %s\n", line, what, code,
               tg_err_name(code), expected, tg_err_name(expected), tg_last_error());
    CHECK_EQ(code, expected);
    snprintf(words, sizeof words, "%s(", wordless() ? spoiler() : on.symbol);
    if (strncmp(tg_last_error(), words, strlen(words)) != 0) {
        printf("# line %d: %s left the words: %s\n", line, what, tg_last_error());
        CHECK(!"the last error names the function");
    }
    check_nothing_changed(line);
}

/* The call must give this code, leave words that begin with its name, and change nothing. */
#define REFUSED(expected, call) \
    (spoil_last_error(), check_refused(__LINE__, #call, (call), (expected)))
/* The out-parameter of the calls before is as it was set. */
#define UNTOUCHED(variable, value) CHECK((variable) == (value))

/* Every sort of id that names nothing, for functions of any kind of object. */
static inline size_t dead_ids(uint64_t ids[9])
{
    size_t n = 0;
    ids[n++] = 0;
    ids[n++] = UINT64_MAX;
    ids[n++] = 1;
    ids[n++] = on.timer + (UINT64_C(1) << 24); /* a generation that was never given out */
    ids[n++] = on.closed;
    ids[n++] = on.of_freed_loop;
    ids[n++] = on.freed_loop;
    ids[n++] = on.freed_poller;
    ids[n++] = on.freed_group;
    return n;
}

/* Closed or of another kind: which id it was is in the words. */
static inline void check_id_named(int line, const char *what, uint64_t id)
{
    char words[32];
    snprintf(words, sizeof words, " = 0x%llx", (unsigned long long)id);
    if (wordless() || strstr(tg_last_error(), words) != NULL) return;
    printf("# line %d: %s left the words: %s\n", line, what, tg_last_error());
    CHECK(!"the last error names the id");
}

static inline void sweep_dead(int line, const char *what, int (*call)(uint64_t id))
{
    uint64_t ids[9];
    size_t count = dead_ids(ids);
    for (size_t i = 0; i < count; i++) {
        spoil_last_error();
        check_refused(line, what, call(ids[i]), TG_ESTALE);
        check_id_named(line, what, ids[i]);
    }
}

static inline void sweep_kind(int line, const char *what, int (*call)(uint64_t id),
                              const uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        spoil_last_error();
        check_refused(line, what, call(ids[i]), TG_EKIND);
        check_id_named(line, what, ids[i]);
    }
}

/* A function that wants a loop: dead ids are stale; handles and pollers are another kind. */
static inline void sweep_loop(int line, const char *what, int (*call)(uint64_t id))
{
    const uint64_t others[] = { on.io, on.timer, on.idle, on.poller };
    sweep_dead(line, what, call);
    sweep_kind(line, what, call, others, 4);
}

static inline void sweep_poller(int line, const char *what, int (*call)(uint64_t id))
{
    const uint64_t others[] = { on.io, on.timer, on.idle, on.loop, on.batch };
    sweep_dead(line, what, call);
    sweep_kind(line, what, call, others, 5);
}

/* A function that wants any handle. */
static inline void sweep_handle(int line, const char *what, int (*call)(uint64_t id))
{
    const uint64_t others[] = { on.loop, on.batch, on.poller };
    sweep_dead(line, what, call);
    sweep_kind(line, what, call, others, 3);
}

/* A function that wants a handle of one kind (`hooks`: of three). */
static inline void sweep_handle_of(int line, const char *what, int (*call)(uint64_t id),
                                   uint32_t kind)
{
    const struct { uint64_t id; uint32_t kind; } all[] = {
        { on.io, TG_KIND_IO },       { on.timer, TG_KIND_TIMER },     { on.signal, TG_KIND_SIGNAL },
        { on.async, TG_KIND_ASYNC }, { on.prepare, TG_KIND_PREPARE }, { on.check, TG_KIND_CHECK },
        { on.idle, TG_KIND_IDLE },
    };
    sweep_handle(line, what, call);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        bool hook = all[i].kind >= TG_KIND_PREPARE && kind >= TG_KIND_PREPARE
                    && kind <= TG_KIND_IDLE;
        if (all[i].kind != kind && !hook) sweep_kind(line, what, call, &all[i].id, 1);
    }
}

#define LOOP_ID(call) sweep_loop(__LINE__, #call, call)
#define POLLER_ID(call) sweep_poller(__LINE__, #call, call)
#define ANY_HANDLE(call) sweep_handle(__LINE__, #call, call)
#define HANDLE_OF(kind, call) sweep_handle_of(__LINE__, #call, call, kind)
/* Declares what the sweeps above call: a function of the id alone. */
#define OF_ID(name, ...) static int name(uint64_t id) { __VA_ARGS__ }

#endif
