/* Processes: signals to them, those of others, batches, and a loop that has come through a fork. */
#include "support.h"

#include <poll.h>
#include <sys/syscall.h>

typedef struct ended {
    int calls, released;
    int status, exit_code, signum;
} ended;

static void on_exit_of(tg_handle self, void *user, int status, int exit_code, int signum)
{
    ended *it = user;
    (void)self;
    it->calls++;
    it->status = status;
    it->exit_code = exit_code;
    it->signum = signum;
}

static void release_ended(void *user) { ((ended *)user)->released++; }

/* cat, which ends when the other end of its standard input is closed. */
static tg_handle start_cat(tg_loop loop, uint32_t flags, ended *user)
{
    const tg_stdio stdio[] = { { TG_STDIO_PIPE_IN, -1 }, { TG_STDIO_PIPE_OUT, -1 } };
    tg_process_options options = TG_PROCESS_OPTIONS_INIT;
    tg_handle process = 0;
    options.callback = user != NULL ? on_exit_of : NULL;
    options.user = user;
    options.release = user != NULL ? release_ended : NULL;
    options.file = "cat";
    options.stdio = stdio;
    options.stdio_count = 2;
    options.flags = flags;
    MUST(tg_process_open(loop, &options, &process) == 0);
    return process;
}

static int pid_of(tg_handle process)
{
    int pid = -1;
    MUST(tg_process_get_pid(process, &pid) == 0);
    return pid;
}

static int take(tg_handle process, uint32_t index)
{
    tg_fd fd = -1;
    MUST(tg_process_take_stdio(process, index, &fd) == 0);
    return fd;
}

static tg_handle watch(tg_loop loop, int pid, ended *user)
{
    tg_process_watch_options options = TG_PROCESS_WATCH_OPTIONS_INIT;
    tg_handle process = 0;
    options.callback = on_exit_of;
    options.user = user;
    options.release = release_ended;
    MUST(tg_process_watch(loop, pid, &options, &process) == 0);
    return process;
}

static void kill_reaches_it_and_nobody_else(void)
{
    tg_loop loop = new_loop();
    ended user = { 0, 0, 0, 0, 0 };
    tg_handle process = start_cat(loop, 0, &user);
    tg_fd fd = 7;
    CHECK_CODE(tg_process_kill(process, 0), 0);
    CHECK_CODE(tg_process_kill(process, -1), TG_EINVAL);
    CHECK_CODE(tg_process_kill(process, 65), TG_EINVAL);
    CHECK_CODE(tg_process_take_stdio(process, 2, &fd), TG_EINVAL);
    CHECK_EQ(fd, 7);
    CHECK_CODE(tg_process_kill(process, SIGTERM), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(user.status, 0);
    CHECK_EQ(user.exit_code, -1);
    CHECK_EQ(user.signum, SIGTERM);
    CHECK_EQ(user.released, 1);
    CHECK_CODE(tg_process_kill(process, 0), TG_ESTALE);
    free_loop(loop, 0);
}

/* Its callback starts the next one, as a supervisor does. */
static void restart(tg_handle self, void *user, int status, int exit_code, int signum)
{
    ended *it = user;
    tg_process_options options = TG_PROCESS_OPTIONS_INIT;
    tg_handle next;
    tg_loop loop;
    (void)signum;
    CHECK_CODE(status, 0);
    CHECK_EQ(exit_code, 1);
    CHECK_CODE(tg_handle_get_loop(self, &loop), 0);
    options.callback = restart;
    options.user = it;
    options.file = "false";
    if (++it->calls < 5) CHECK_CODE(tg_process_open(loop, &options, &next), 0);
    else CHECK_CODE(tg_close(self), 0); /* what comes by itself may come sooner */
}

static void restarted_in_its_own_callback(void)
{
    tg_loop loop = new_loop();
    ended user = { 0, 0, 0, 0, 0 };
    tg_process_options options = TG_PROCESS_OPTIONS_INIT;
    tg_handle process;
    options.callback = restart;
    options.user = &user;
    options.file = "false";
    CHECK_CODE(tg_process_open(loop, &options, &process), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(user.calls, 5);
    free_loop(loop, 0);
}

/* mutation: `Process::exit` reaps what it only watches. */
/* Where the system has none (valgrind does not know them): the call says so, and changes nothing. */
static bool without_pidfds(tg_loop loop)
{
    tg_process_watch_options options = TG_PROCESS_WATCH_OPTIONS_INIT;
    tg_handle process = 7;
    long fd = syscall(SYS_pidfd_open, getpid(), 0);
    if (fd >= 0) {
        close((int)fd);
        return false;
    }
    options.callback = on_exit_of;
    CHECK_CODE(tg_process_watch(loop, getppid(), &options, &process), TG_ENOTSUP);
    CHECK_EQ(process, 7);
    CHECK_EQ(tg_loop_get_handles(loop, NULL, 0), 0);
    return true;
}

static void any_process_can_be_watched(void)
{
    tg_loop loop = new_loop();
    ended own = { 0, 0, 0, 0, 0 }, grandchild = { 0, 0, 0, 0, 0 };
    int to[2], from[2];
    pid_t child, its = -1;
    tg_handle process;
    if (without_pidfds(loop)) {
        free_loop(loop, 0);
        return;
    }
    MUST(pipe(to) == 0 && pipe(from) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        char byte;
        pid_t mine = fork();
        close(to[1]);
        if (mine == 0) _exit(read(to[0], &byte, 1) == 0 ? 3 : 4);
        if (write(from[1], &mine, sizeof mine) != sizeof mine) _exit(1);
        _exit(waitpid(mine, NULL, 0) == mine ? 5 : 6);
    }
    close(to[0]);
    MUST(read(from[0], &its, sizeof its) == sizeof its);
    process = watch(loop, child, &own);
    CHECK_EQ(pid_of(process), child);
    watch(loop, its, &grandchild);
    turns(loop, 2);
    CHECK_EQ(own.calls + grandchild.calls, 0);
    close(to[1]);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(own.calls, 1);
    CHECK_CODE(own.status, 0);
    CHECK_EQ(own.exit_code, 5);
    CHECK_EQ(grandchild.calls, 1);
    CHECK_CODE(grandchild.status, TG_ENOTSUP);
    CHECK_EQ(grandchild.exit_code, -1);
    harness_bad += waitpid(child, NULL, 0) != child; /* it was left for us */
    CHECK_CODE(tg_process_watch(loop, child, &(tg_process_watch_options){ .size = sizeof(tg_process_watch_options),
               .callback = on_exit_of }, &process), TG_ENOENT);
    close_both(from);
    free_loop(loop, 0);
}

/* mutation: `watch` does not find out whose child it is. */
static void h60_a_watched_child_that_the_program_has_reaped(void)
{
    tg_loop loop = new_loop();
    ended it = { 0, 0, 0, 0, 0 };
    int gate[2];
    pid_t child;
    if (without_pidfds(loop)) {
        free_loop(loop, 0);
        return;
    }
    make_pipe(gate);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        char byte;
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 3 : 4);
    }
    watch(loop, child, &it);
    close_both(gate);
    MUST(waitpid(child, NULL, 0) == child);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.calls, 1);
    CHECK_CODE(it.status, TG_ENOENT);
    free_loop(loop, 0);
}

typedef struct traffic {
    size_t received, differing;
    int closed;
} traffic;

#define TRAFFIC 1000000u

static void on_eof_go_on(tg_handle self, void *user) { (void)self, (void)user; }

static void on_traffic(tg_handle self, void *user, const void *data, size_t length)
{
    traffic *it = user;
    (void)self;
    for (size_t i = 0; i < length; i++, it->received++)
        it->differing += ((const unsigned char *)data)[i] != (unsigned char)(it->received * 7);
}

static void on_traffic_over(tg_handle self, void *user, int reason)
{
    (void)self, (void)reason;
    ((traffic *)user)->closed++;
}

static tg_handle wrap(tg_loop loop, int fd, traffic *user)
{
    tg_conn_options options = TG_CONN_OPTIONS_INIT;
    tg_handle conn = 0;
    options.on_data = on_traffic;
    options.on_eof = user->closed < 0 ? on_eof_go_on : NULL; /* one that only writes has nothing to read */
    options.on_close = on_traffic_over;
    options.user = user;
    MUST(tg_conn_open(loop, fd, &options, &conn) == 0);
    return conn;
}

/* More than the pipes hold, through a program and back. */
static void pipes_of_a_program_as_connections(void)
{
    tg_loop loop = new_loop();
    ended user = { 0, 0, 0, 0, 0 };
    traffic there = { 0, 0, -1 }, back = { 0, 0, 0 };
    tg_handle process = start_cat(loop, 0, &user), to;
    unsigned char *data = malloc(TRAFFIC);
    MUST(data != NULL);
    for (size_t i = 0; i < TRAFFIC; i++) data[i] = (unsigned char)(i * 7);
    to = wrap(loop, take(process, 0), &there);
    wrap(loop, take(process, 1), &back);
    CHECK(tg_conn_write(to, data, TRAFFIC) >= 0);
    CHECK_CODE(tg_conn_finish(to), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(back.received, TRAFFIC);
    CHECK_EQ(back.differing, 0);
    CHECK_EQ(there.closed, 0); /* from -1: told once */
    CHECK_EQ(back.closed, 1);
    CHECK_CODE(user.status, 0);
    CHECK_EQ(user.exit_code, 0);
    free(data);
    free_loop(loop, 0);
}

/* mutation: the value of the record is the exit code whatever has ended it. */
static void batches_tell_ends_as_records(void)
{
    tg_loop loop = new_batch_loop(8, 8);
    tg_batch *batch = NULL;
    tg_process_options options = TG_PROCESS_OPTIONS_INIT;
    tg_handle failing = 0, killed = start_cat(loop, 0, NULL);
    int seen = 0;
    options.file = "false";
    options.user = (void *)99;
    CHECK_CODE(tg_process_open(loop, &options, &failing), 0);
    CHECK_CODE(tg_process_kill(killed, SIGKILL), 0);
    CHECK_CODE(tg_batch_get(loop, &batch), 0);
    while (seen < 4) {
        MUST(tg_batch_turn(loop) >= 0);
        for (uint32_t i = 0; i < batch->record_count; i++, seen++) {
            const tg_record *record = &batch->records[i];
            if (record->kind == TG_RECORD_CLOSED) continue;
            CHECK_EQ(record->kind, TG_RECORD_EXIT);
            CHECK_EQ(record->bits, 0);
            CHECK_EQ(record->value, record->handle == failing ? 1 : -SIGKILL);
            CHECK_EQ(record->user, record->handle == failing ? 99 : 0);
        }
        batch->record_cursor = batch->record_count;
    }
    CHECK(batch->flags & TG_BATCH_IDLE);
    free_loop(loop, 0);
}

static int exit_of(tg_loop loop, const char *script, const tg_stdio *stdio, size_t count, bool end_input)
{
    char *argv[] = { "sh", "-c", (char *)(uintptr_t)script, NULL };
    tg_process_options options = TG_PROCESS_OPTIONS_INIT;
    ended it = { 0, 0, 0, 0, 0 };
    tg_handle process = 0;
    options.callback = on_exit_of;
    options.user = &it;
    options.argv = argv;
    options.file = "sh";
    options.stdio = stdio;
    options.stdio_count = count;
    CHECK_CODE(tg_process_open(loop, &options, &process), 0);
    if (end_input) close(take(process, 0));
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_CODE(it.status, 0);
    return it.exit_code;
}

/* A daemon has closed 0, 1 and 2: what the library opens gets these numbers, and is no program's.
 * mutation: `place_descriptors` lets through whatever has the number of an inherited descriptor. */
static void what_is_inherited_is_never_the_librarys(void)
{
    static const tg_stdio piped[] = { { TG_STDIO_PIPE_IN, -1 }, { TG_STDIO_INHERIT, -1 }, { TG_STDIO_INHERIT, -1 } };
    static const tg_stdio none[10];
    pid_t child = harness_fork();
    if (child == 0) {
        tg_loop loop;
        for (int fd = 0; fd < 3; fd++) close(fd);
        loop = new_loop();
        /* Its standard input ends with our end of the pipe, of which it has no copy. */
        CHECK_EQ(exit_of(loop, "while read line; do :; done; exit 3", piped, 3, true), 3);
        CHECK_EQ(exit_of(loop, "for n in 0 1 2 3 4 5 6 7 8 9; do test ! -e /proc/$$/fd/$n || exit 1; done", none, 10, false), 0);
        CHECK_EQ(tg_loop_free(loop), 0);
        harness_child_end();
    }
    harness_wait(child);
}

/* mutation: `Process::exit` does not ask whether it is inherited. */
static void h57_processes_of_the_parent(void)
{
    tg_loop loop = new_loop();
    ended user = { 0, 0, 0, 0, 0 };
    tg_handle process = start_cat(loop, TG_PROCESS_KILL_ON_CLOSE, &user);
    pid_t child = harness_fork();
    int fds, before;
    if (child == 0) {
        int open = harness_open_fds();
        CHECK_CODE(tg_process_kill(process, SIGKILL), TG_EFORKED);
        CHECK_CODE(tg_loop_reopen(loop), 0);
        CHECK_CODE(tg_process_kill(process, SIGKILL), TG_EFORKED);
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_EQ(user.calls, 1);
        CHECK_CODE(user.status, TG_EFORKED);
        CHECK_EQ(tg_handle_is_open(process), 0);
        before = harness_open_fds();
        CHECK_EQ(before, open - 3); /* the process's own and both pipes */
        user.status = 0;
        process = start_cat(loop, 0, &user); /* the child has processes of its own */
        close(take(process, 0));
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_CODE(user.status, 0);
        CHECK_EQ(user.exit_code, 0);
        CHECK_EQ(harness_open_fds(), before);
        free_loop(loop, 0);
        harness_child_end();
    }
    harness_wait(child);
    child = harness_fork();
    if (child == 0) {
        CHECK(tg_loop_free(loop) >= 0); /* kills nobody */
        harness_child_end();
    }
    harness_wait(child);
    fds = take(process, 0);
    turns(loop, 2);
    CHECK_EQ(user.calls, 0);
    CHECK_CODE(tg_process_kill(process, 0), 0);
    close(fds);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(user.calls, 1);
    CHECK_EQ(user.exit_code, 0);
    free_loop(loop, 0);
}

/* The thread that reaps what was closed early is the parent's: a child has another one.
 * mutation: `reaper::lock` does not look for a fork. */
static void h61_closed_early_in_a_forked_child(void)
{
    int fds = harness_open_fds();
    tg_loop loop = new_loop();
    ended user = { 0, 0, 0, 0, 0 };
    tg_handle process = start_cat(loop, 0, &user);
    int end = take(process, 0);
    pid_t child;
    CHECK_CODE(tg_close(process), 0); /* the parent's thread has it now */
    child = harness_fork();
    if (child == 0) {
        int own, pid;
        CHECK_CODE(tg_loop_reopen(loop), 0);
        close(end);
        process = start_cat(loop, 0, &user);
        own = take(process, 0);
        pid = pid_of(process);
        CHECK_CODE(tg_close(process), 0);
        close(own);
        while (kill(pid, 0) == 0) sched_yield(); /* a zombie would be there still */
        free_loop(loop, 0);
        harness_child_end();
    }
    harness_wait(child);
    close(end);
    free_loop(loop, 0);
    while (harness_open_fds() > fds) sched_yield();
}

int main(void)
{
    harness_begin();
    RUN(kill_reaches_it_and_nobody_else);
    RUN(restarted_in_its_own_callback);
    RUN(any_process_can_be_watched);
    RUN(h60_a_watched_child_that_the_program_has_reaped);
    RUN(pipes_of_a_program_as_connections);
    RUN(batches_tell_ends_as_records);
    RUN(what_is_inherited_is_never_the_librarys);
    RUN(h57_processes_of_the_parent);
    RUN(h61_closed_early_in_a_forked_child);
    return harness_end();
}
