/* The misuse sweep of processes and watches of files. */
#ifndef TIDEGATE_TEST_MISUSE_PROCESS_H
#define TIDEGATE_TEST_MISUSE_PROCESS_H

#include "misuse.h"
#include "misuse_open.h"

static void never_ends(tg_handle self, void *user, int status, int exit_code, int signum)
{
    (void)self, (void)status, (void)exit_code, (void)signum;
    ((counter *)user)->calls++;
}

static void never_changes(tg_handle self, void *user, int status, const tg_change *change)
{
    (void)self, (void)status, (void)change;
    ((counter *)user)->calls++;
}

OF_ID(process_open, OPTIONS(tg_process_options, never_ends); int code; options.file = "true";
      code = tg_process_open(id, &options, &out); UNTOUCHED(out, 7); return code;)
OF_ID(process_watch, OPTIONS(tg_process_watch_options, never_ends);
      int code = tg_process_watch(id, getpid(), &options, &out); UNTOUCHED(out, 7); return code;)
OF_ID(process_kill, return tg_process_kill(id, 0);)
OF_ID(process_pid, int out = 7; int code = tg_process_get_pid(id, &out); UNTOUCHED(out, 7); return code;)
OF_ID(process_stdio, tg_fd out = 7; int code = tg_process_take_stdio(id, 0, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(watch_open, OPTIONS(tg_watch_options, never_changes);
      int code = tg_watch_open(id, "/", &options, &out); UNTOUCHED(out, 7); return code;)

static void sweep_process_open_arguments(void)
{
    OPTIONS(tg_process_options, never_ends);
    tg_stdio stdio[2] = { { TG_STDIO_NULL, -1 }, { TG_STDIO_SOCKET + 1, -1 } };
    char *nothing[] = { NULL };
    REFUSED(TG_EINVAL, tg_process_open(on.loop, &options, &out)); /* no file */
    options.file = "true";
    REFUSED(TG_EINVAL, tg_process_open(on.loop, &options, NULL));
    REFUSED(TG_EINVAL, tg_process_open(on.loop, NULL, &out));
    options.argv = nothing;
    REFUSED(TG_EINVAL, tg_process_open(on.loop, &options, &out));
    options.argv = NULL;
    options.stdio = stdio;
    options.stdio_count = 2;
    REFUSED(TG_EINVAL, tg_process_open(on.loop, &options, &out));
    stdio[1].kind = UINT32_MAX;
    REFUSED(TG_EINVAL, tg_process_open(on.loop, &options, &out));
    stdio[1].kind = TG_STDIO_FD;
    REFUSED(TG_EBADFD, tg_process_open(on.loop, &options, &out));
    stdio[1].fd = on.closed_fd;
    REFUSED(TG_EBADFD, tg_process_open(on.loop, &options, &out));
    options.stdio = NULL;
    REFUSED(TG_EINVAL, tg_process_open(on.loop, &options, &out));
    options.stdio_count = 0;
    options.file = "";
    REFUSED(-ENOENT, tg_process_open(on.loop, &options, &out));
    options.file = "/does/not/exist";
    REFUSED(-ENOENT, tg_process_open(on.loop, &options, &out));
    UNTOUCHED(out, 7);
}

static void sweep_process_open_too_many(void)
{
    static tg_stdio stdio[1025];
    OPTIONS(tg_process_options, never_ends);
    options.file = "true";
    options.stdio = stdio;
    options.stdio_count = 1025;
    REFUSED(TG_EINVAL, tg_process_open(on.loop, &options, &out));
    UNTOUCHED(out, 7);
}

static void sweep_process_open(void)
{
    OPTIONS(tg_process_options, never_ends);
    size_t right = sizeof options;
    LOOP_ID(process_open);
    sweep_process_open_arguments();
    sweep_process_open_too_many();
    options.file = "true";
    options.size = 0;
    REFUSED(TG_EINVAL, tg_process_open(on.loop, &options, &out));
    options.size = SIZE_MAX;
    REFUSED(TG_EINVAL, tg_process_open(on.loop, &options, &out));
    options.size = right;
    options.flags = 0x40u;
    REFUSED(TG_EINVAL, tg_process_open(on.loop, &options, &out));
    options.flags = UINT32_MAX;
    REFUSED(TG_EINVAL, tg_process_open(on.loop, &options, &out));
    options.flags = 0;
    REFUSED(TG_EINVAL, tg_process_open(on.batch, &options, &out));
    options.callback = NULL;
    REFUSED(TG_EINVAL, tg_process_open(on.loop, &options, &out));
    UNTOUCHED(out, 7);
}

static void sweep_process_watch(void)
{
    OPTIONS(tg_process_watch_options, never_ends);
    LOOP_ID(process_watch);
    REFUSED(TG_EINVAL, tg_process_watch(on.loop, getpid(), &options, NULL));
    REFUSED(TG_EINVAL, tg_process_watch(on.loop, getpid(), NULL, &out));
    REFUSED(TG_EINVAL, tg_process_watch(on.loop, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_process_watch(on.loop, -1, &options, &out));
    REFUSED(TG_EINVAL, tg_process_watch(on.loop, INT32_MIN, &options, &out));
    REFUSED(TG_ENOENT, tg_process_watch(on.loop, INT32_MAX, &options, &out));
    BAD_OPTIONS(tg_process_watch(on.loop, getpid(), &options, &out));
    BAD_RESERVED(tg_process_watch(on.loop, getpid(), &options, &out));
    BAD_FUNCTIONS(tg_process_watch_options, tg_process_watch(on.loop, getpid(), &bare, &out),
                  tg_process_watch(on.batch, getpid(), &bare, &out));
}

/* A program in a loop of its own, so that the dump of the bench stays. */
static tg_handle process_of(tg_loop loop, int (*call)(uint64_t id))
{
    const uint64_t others[] = { on.io, on.timer, on.signal, on.async, on.prepare, on.check, on.idle };
    const tg_stdio stdio = { TG_STDIO_PIPE_IN, -1 };
    tg_process_options options = TG_PROCESS_OPTIONS_INIT;
    tg_handle process = 0;
    sweep_handle(__LINE__, "a function of processes", call);
    sweep_kind(__LINE__, "a function of processes", call, others, sizeof others / sizeof others[0]);
    options.callback = never_ends;
    options.user = &on.untouched;
    options.file = "cat";
    options.stdio = &stdio;
    options.stdio_count = 1;
    options.flags = TG_PROCESS_KILL_ON_CLOSE;
    MUST(tg_process_open(loop, &options, &process) == 0);
    return process;
}

/* The bench looks for nothing left behind at once, so it is waited for here. */
static void end_process_of(tg_loop loop, tg_handle process)
{
    CHECK_CODE(tg_process_kill(process, SIGKILL), 0);
    CHECK_CODE(tg_close(process), 0);
    CHECK_CODE(tg_loop_free(loop), 0);
    while (waitpid(-1, NULL, WNOHANG) == 0) sched_yield();
}

static void sweep_process_kill(void)
{
    tg_loop loop = new_loop();
    int fds = harness_open_fds();
    tg_handle process = process_of(loop, process_kill);
    REFUSED(TG_EINVAL, tg_process_kill(process, -1));
    REFUSED(TG_EINVAL, tg_process_kill(process, 65));
    REFUSED(TG_EINVAL, tg_process_kill(process, INT32_MIN));
    end_process_of(loop, process);
    while (harness_open_fds() >= fds) sched_yield();
}

static void sweep_process_get_pid(void)
{
    tg_loop loop = new_loop();
    int fds = harness_open_fds();
    tg_handle process = process_of(loop, process_pid);
    REFUSED(TG_EINVAL, tg_process_get_pid(process, NULL));
    end_process_of(loop, process);
    while (harness_open_fds() >= fds) sched_yield();
}

static void sweep_process_take_stdio(void)
{
    tg_loop loop = new_loop();
    int fds = harness_open_fds();
    tg_fd out = 7;
    tg_handle process = process_of(loop, process_stdio);
    REFUSED(TG_EINVAL, tg_process_take_stdio(process, 0, NULL));
    REFUSED(TG_EINVAL, tg_process_take_stdio(process, 1, &out));
    REFUSED(TG_EINVAL, tg_process_take_stdio(process, UINT32_MAX, &out));
    UNTOUCHED(out, 7);
    end_process_of(loop, process);
    while (harness_open_fds() >= fds) sched_yield();
}

static void sweep_watch_open(void)
{
    OPTIONS(tg_watch_options, never_changes);
    LOOP_ID(watch_open);
    REFUSED(TG_EINVAL, tg_watch_open(on.loop, "/", &options, NULL));
    REFUSED(TG_EINVAL, tg_watch_open(on.loop, "/", NULL, &out));
    REFUSED(TG_EINVAL, tg_watch_open(on.loop, NULL, &options, &out));
    REFUSED(-ENOENT, tg_watch_open(on.loop, "", &options, &out));
    REFUSED(-ENOENT, tg_watch_open(on.loop, "/does/not/exist", &options, &out));
    options.flags = TG_WATCH_FILE | TG_WATCH_RECURSIVE;
    REFUSED(TG_EINVAL, tg_watch_open(on.loop, "/etc/passwd", &options, &out));
    options.flags = 0x8u;
    REFUSED(TG_EINVAL, tg_watch_open(on.loop, "/", &options, &out));
    options.flags = TG_WATCH_FILE;
    REFUSED(TG_EINVAL, tg_watch_open(on.loop, "/", &options, &out));
    options.flags = UINT32_MAX;
    REFUSED(TG_EINVAL, tg_watch_open(on.loop, "/", &options, &out));
    options.flags = 0;
    options.size = 0;
    REFUSED(TG_EINVAL, tg_watch_open(on.loop, "/", &options, &out));
    options.size = sizeof options;
    BAD_RESERVED(tg_watch_open(on.loop, "/", &options, &out));
    BAD_FUNCTIONS(tg_watch_options, tg_watch_open(on.loop, "/", &bare, &out),
                  tg_watch_open(on.batch, "/", &bare, &out));
}

#define PROCESS_ROWS                                                                          \
    ROW(process_get_pid), ROW(process_kill), ROW(process_open), ROW(process_take_stdio),      \
        ROW(process_watch), ROW(watch_open)

#endif
