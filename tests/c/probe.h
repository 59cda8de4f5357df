/* A probe is one watcher of any kind that can be made ready for the next turn, so that the
 * re-entrancy tests can be written once and run for every kind. */
#ifndef TIDEGATE_TEST_PROBE_H
#define TIDEGATE_TEST_PROBE_H

#include "support.h"

#include <sys/stat.h>

typedef struct probe probe;
struct probe {
    tg_loop loop;
    tg_handle id;
    uint32_t kind;
    int ends[2];              /* of an io probe: a pipe with a byte in it */
    char place[64];           /* of a watch probe: a directory */
    int fired, released;
    bool closed;              /* set by probe_close */
    int fired_after_close, released_before_close;
    void (*action)(probe *);  /* run by the callback */
    void (*at_release)(probe *);
    probe *other;
    int result;               /* for actions to leave a code in */
};

static const uint32_t probe_kinds[] = { TG_KIND_IO,      TG_KIND_TIMER, TG_KIND_SIGNAL,
                                        TG_KIND_ASYNC,   TG_KIND_PREPARE, TG_KIND_CHECK,
                                        TG_KIND_IDLE, TG_KIND_WATCH, TG_KIND_UDP };
#define PROBE_KINDS (sizeof probe_kinds / sizeof probe_kinds[0])

static inline void probe_fired(probe *it)
{
    it->fired++;
    if (it->closed) it->fired_after_close++;
    if (it->action != NULL) it->action(it);
}

static inline void probe_released(void *user)
{
    probe *it = user;
    it->released++;
    if (!it->closed) it->released_before_close++;
    if (it->at_release != NULL) it->at_release(it);
}

static inline void probe_on_io(tg_handle self, void *user, uint32_t ready, int status)
{
    (void)ready;
    CHECK_EQ(self, ((probe *)user)->id);
    CHECK_CODE(status, 0);
    probe_fired(user);
}

static inline void probe_on_timer(tg_handle self, void *user, uint64_t missed)
{
    (void)missed;
    CHECK_EQ(self, ((probe *)user)->id);
    probe_fired(user);
}

static inline void probe_on_signal(tg_handle self, void *user, int signum, uint64_t count)
{
    CHECK_EQ(self, ((probe *)user)->id);
    CHECK_EQ(signum, SIGUSR1);
    CHECK(count >= 1);
    probe_fired(user);
}

static inline void probe_on_plain(tg_handle self, void *user)
{
    CHECK_EQ(self, ((probe *)user)->id);
    probe_fired(user);
}

static inline void probe_on_change(tg_handle self, void *user, int status, const tg_change *change)
{
    CHECK_EQ(self, ((probe *)user)->id);
    CHECK_CODE(status, 0);
    CHECK_EQ(change->changes, TG_CHANGE_ATTRIBUTES | TG_CHANGE_DIRECTORY);
    probe_fired(user);
}

static inline int probe_open_io(probe *it)
{
    tg_io_options options = TG_IO_OPTIONS_INIT;
    options.callback = probe_on_io;
    options.user = it;
    options.release = probe_released;
    make_pipe(it->ends);
    put(it->ends[1], "x");
    return tg_io_open(it->loop, it->ends[0], TG_READ, &options, &it->id);
}

static inline int probe_open_timer(probe *it)
{
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    options.callback = probe_on_timer;
    options.user = it;
    options.release = probe_released;
    return tg_timer_open(it->loop, 0, 1, &options, &it->id);
}

static inline int probe_open_signal(probe *it)
{
    tg_signal_options options = TG_SIGNAL_OPTIONS_INIT;
    options.callback = probe_on_signal;
    options.user = it;
    options.release = probe_released;
    return tg_signal_open(it->loop, SIGUSR1, &options, &it->id);
}

static inline int probe_open_async(probe *it)
{
    tg_async_options options = TG_ASYNC_OPTIONS_INIT;
    options.callback = probe_on_plain;
    options.user = it;
    options.release = probe_released;
    return tg_async_open(it->loop, &options, &it->id);
}

static inline void probe_on_datagrams(tg_handle self, void *user, const tg_datagram *all, size_t count)
{
    CHECK_EQ(self, ((probe *)user)->id);
    CHECK(count >= 1 && all[0].length == 1);
    probe_fired(user);
}

static inline int probe_open_udp(probe *it)
{
    tg_udp_options options = TG_UDP_OPTIONS_INIT;
    tg_address local;
    options.callback = probe_on_datagrams;
    options.user = it;
    options.release = probe_released;
    MUST(tg_address_parse("127.0.0.1", 0, &local) == 0);
    return tg_udp_open(it->loop, &local, &options, &it->id);
}

/* One datagram to itself. */
static inline void probe_send(probe *it)
{
    tg_address self;
    MUST(tg_udp_get_local(it->id, &self) == 0 && tg_udp_send(it->id, &self, "x", 1) == 0);
}

static inline int probe_open_hook(probe *it)
{
    tg_hook_options options = TG_HOOK_OPTIONS_INIT;
    options.callback = probe_on_plain;
    options.user = it;
    options.release = probe_released;
    if (it->kind == TG_KIND_PREPARE) return tg_prepare_open(it->loop, &options, &it->id);
    if (it->kind == TG_KIND_CHECK) return tg_check_open(it->loop, &options, &it->id);
    return tg_idle_open(it->loop, &options, &it->id);
}

static inline int probe_open_watch(probe *it)
{
    const char *base = getenv("TMPDIR");
    tg_watch_options options = TG_WATCH_OPTIONS_INIT;
    options.callback = probe_on_change;
    options.user = it;
    options.release = probe_released;
    snprintf(it->place, sizeof it->place, "%s/tidegate-XXXXXX", base != NULL ? base : "/tmp");
    MUST(mkdtemp(it->place) != NULL);
    return tg_watch_open(it->loop, it->place, &options, &it->id);
}

static inline void probe_open(probe *it, tg_loop loop, uint32_t kind, void (*action)(probe *))
{
    int result;
    memset(it, 0, sizeof *it);
    it->ends[0] = it->ends[1] = -1;
    it->loop = loop;
    it->kind = kind;
    it->action = action;
    if (kind == TG_KIND_IO) result = probe_open_io(it);
    else if (kind == TG_KIND_TIMER) result = probe_open_timer(it);
    else if (kind == TG_KIND_SIGNAL) result = probe_open_signal(it);
    else if (kind == TG_KIND_ASYNC) result = probe_open_async(it);
    else if (kind == TG_KIND_WATCH) result = probe_open_watch(it);
    else if (kind == TG_KIND_UDP) result = probe_open_udp(it);
    else result = probe_open_hook(it);
    MUST(result == 0);
}

/* Makes it ready for the next turn; the kinds not named here already are. A signal reaches every
 * watcher of the process, so it is enough to trigger one of several. */
static inline void probe_trigger(probe *it)
{
    if (it->kind == TG_KIND_SIGNAL) MUST(raise(SIGUSR1) == 0);
    if (it->kind == TG_KIND_ASYNC) MUST(tg_async_send(it->id) == 0);
    if (it->kind == TG_KIND_WATCH) MUST(chmod(it->place, 0700) == 0);
    if (it->kind == TG_KIND_UDP) probe_send(it);
    if (it->kind == TG_KIND_CHECK) MUST(tg_loop_wake(it->loop) == 0); /* it comes after a wait */
}

static inline int probe_close(probe *it)
{
    int result = tg_close(it->id);
    it->closed = true;
    return result;
}

static inline void probe_end(probe *it)
{
    if (it->ends[0] >= 0) close(it->ends[0]);
    if (it->ends[1] >= 0) close(it->ends[1]);
    it->ends[0] = it->ends[1] = -1;
    if (it->place[0] != '\0') MUST(rmdir(it->place) == 0);
    it->place[0] = '\0';
}

/* What must hold for every probe when its loop is gone. */
static inline void probe_check(const probe *it)
{
    CHECK_EQ(it->fired_after_close, 0);
    CHECK_EQ(it->released, 1);
    CHECK_EQ(it->released_before_close, 0);
    CHECK_EQ(tg_handle_is_open(it->id), 0);
}

static inline const char *probe_name(uint32_t kind)
{
    static const char *const names[] = { "?",     "io",      "timer", "signal",
                                         "async", "prepare", "check", "idle",
                                         [TG_KIND_WATCH] = "watch", [TG_KIND_UDP] = "udp" };
    return kind < sizeof names / sizeof names[0] && names[kind] != NULL ? names[kind] : "?";
}

#endif
