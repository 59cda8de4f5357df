/* Processes: exit codes of many children in many threads, nobody else's children touched, no zombie left, what a
 * program is given and what it is not, and processes after a fork. */
#include "support.h"

#include <grp.h>
#include <poll.h>

#define THREADS 4
#define CHILDREN 50

typedef struct ended {
    int calls, released;
    int status, exit_code, signum;
} ended;

static void on_exit_of(tg_handle self, void *user, int status, int exit_code, int signum)
{
    ended *it = user;
    it->calls++;
    it->status = status;
    it->exit_code = exit_code;
    it->signum = signum;
    CHECK_EQ(tg_handle_is_open(self), 1); /* it closes when this returns */
}

static void release_ended(void *user) { ((ended *)user)->released++; }

static tg_process_options options_for(ended *user)
{
    tg_process_options options = TG_PROCESS_OPTIONS_INIT;
    options.callback = on_exit_of;
    options.user = user;
    options.release = release_ended;
    return options;
}

static tg_handle start(tg_loop loop, const tg_process_options *options)
{
    tg_handle process = 0;
    MUST(tg_process_open(loop, options, &process) == 0);
    return process;
}

static tg_handle start_script(tg_loop loop, const char *script, uint32_t flags, const tg_stdio *stdio,
                              uint32_t count, ended *user)
{
    char text[512];
    char *argv[] = { "sh", "-c", text, NULL };
    tg_process_options options = options_for(user);
    snprintf(text, sizeof text, "%s", script);
    options.file = "sh";
    options.argv = argv;
    options.flags = flags;
    options.stdio = stdio;
    options.stdio_count = count;
    return start(loop, &options);
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

/* Everything up to the end of file; a descriptor that does not block is waited for. */
static void read_all(int fd, char *text, size_t room)
{
    size_t length = 0;
    for (;;) {
        struct pollfd item = { fd, POLLIN, 0 };
        ssize_t got;
        MUST(poll(&item, 1, -1) == 1);
        got = read(fd, text + length, room - 1 - length);
        MUST(got >= 0);
        if (got == 0) break;
        length += (size_t)got;
    }
    text[length] = '\0';
    close(fd);
}

/* 0 when there is no process of that number, else the letter of its state. */
static char state_of(int pid)
{
    char path[64], line[512];
    const char *state;
    FILE *file;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "r");
    if (file == NULL) return 0;
    if (fgets(line, sizeof line, file) == NULL) line[0] = '\0';
    fclose(file);
    state = strrchr(line, ')');
    return state == NULL ? 0 : state[2];
}

static void wait_until_gone(int pid)
{
    while (state_of(pid) != 0) sched_yield();
}

/* The library's threads close their descriptors when the last child of theirs is reaped. */
static void wait_for_descriptors(int count)
{
    while (harness_open_fds() > count) sched_yield();
}

/* ------------------------------------------------------------------ many */

static void *run_children(void *argument)
{
    int thread = *(int *)argument;
    static ended all[THREADS][CHILDREN];
    ended *mine = all[thread];
    int count = harness_scale(CHILDREN);
    tg_loop loop = new_loop();
    memset(mine, 0, sizeof all[thread]);
    for (int i = 0; i < count; i++) {
        char script[64];
        snprintf(script, sizeof script, i % 5 == 0 ? "kill -KILL $$" : "exit %d", (thread * CHILDREN + i) % 256);
        start_script(loop, script, 0, NULL, 0, &mine[i]);
        if (i % 10 == 9) turns(loop, 1);
    }
    CHECK_CODE(tg_loop_run(loop), 0);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(mine[i].calls, 1);
        CHECK_EQ(mine[i].released, 1);
        CHECK_EQ(mine[i].status, 0);
        CHECK_EQ(mine[i].exit_code, i % 5 == 0 ? -1 : (thread * CHILDREN + i) % 256);
        CHECK_EQ(mine[i].signum, i % 5 == 0 ? SIGKILL : 0);
    }
    free_loop(loop, 0);
    return NULL;
}

/* mutation: `wait_for` waits for any child (P_ALL). */
static void h60_children_of_four_loops_and_of_the_program(void)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    struct sigaction disposition;
    pid_t own = fork(); /* before all the others, and reaped after them */
    MUST(own >= 0);
    if (own == 0) _exit(42);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        MUST(pthread_create(&threads[i], NULL, run_children, &numbers[i]) == 0);
    }
    for (int i = 0; i < harness_scale(20); i++) {
        int status = system("exit 9");
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    int status = 0;
    CHECK_EQ(waitpid(own, &status, 0), own);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1); /* no child of ours is left */
    MUST(sigaction(SIGCHLD, NULL, &disposition) == 0);
    CHECK(disposition.sa_handler == SIG_DFL);
}

/* mutation: `reap` takes ECHILD for "has not ended". */
static void h60_children_reaped_by_somebody_else(void)
{
    const tg_stdio stdio = { TG_STDIO_PIPE_IN, -1 };
    tg_loop loop = new_loop();
    ended stolen = { 0, 0, 0, 0, 0 }, ignored = { 0, 0, 0, 0, 0 };
    tg_handle process = start_script(loop, "read x; exit 3", 0, &stdio, 1, &stolen);
    int status;
    close(take(process, 0));
    CHECK_EQ(waitpid(-1, &status, 0), pid_of(process));
    CHECK_CODE(tg_process_kill(process, SIGTERM), TG_ENOENT); /* nobody else is hit */
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(stolen.calls, 1);
    CHECK_CODE(stolen.status, TG_ENOENT);
    CHECK_EQ(stolen.exit_code, -1);
    CHECK_EQ(stolen.signum, 0);
    MUST(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    start_script(loop, "exit 3", 0, NULL, 0, &ignored);
    CHECK_CODE(tg_loop_run(loop), 0);
    MUST(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
    CHECK_EQ(ignored.calls, 1);
    CHECK_CODE(ignored.status, TG_ENOENT);
    free_loop(loop, 0);
}

/* --------------------------------------------------------------- zombies */

/* mutation: `Process::leave` does not hand the child to the reaper. */
static void h61_closed_before_the_end(void)
{
    const tg_stdio stdio = { TG_STDIO_PIPE_IN, -1 };
    int fds = harness_open_fds(), pids[8], ends[8];
    tg_loop loop = new_loop();
    ended users[8];
    memset(users, 0, sizeof users);
    for (int i = 0; i < 8; i++) {
        tg_handle process =
            start_script(loop, "read x; exit 3", i % 2 ? TG_PROCESS_KILL_ON_CLOSE : 0, &stdio, 1, &users[i]);
        pids[i] = pid_of(process);
        ends[i] = take(process, 0);
        if (i < 4) CHECK_CODE(tg_close(process), 0);
    }
    free_loop(loop, 4);
    for (int i = 1; i < 8; i += 2) wait_until_gone(pids[i]); /* killed */
    for (int i = 0; i < 8; i += 2) CHECK(state_of(pids[i]) != 0 && state_of(pids[i]) != 'Z');
    for (int i = 0; i < 8; i++) close(ends[i]);
    for (int i = 0; i < 8; i += 2) wait_until_gone(pids[i]);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(users[i].calls, 0);
        CHECK_EQ(users[i].released, 1);
    }
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_EQ(errno, ECHILD);
    wait_for_descriptors(fds);
}

/* A child that cannot become the program is no child afterwards.
 * mutation: `spawn` does not wait for the end of what has failed. */
static void h61_a_failed_start_leaves_nothing(void)
{
    tg_loop loop = new_loop();
    ended user = { 0, 0, 0, 0, 0 };
    tg_process_options options = options_for(&user);
    tg_handle process = 7;
    options.file = "/does/not/exist";
    CHECK_CODE(tg_process_open(loop, &options, &process), -ENOENT);
    options.file = "true";
    options.uid = options.gid = UINT32_MAX; /* what looking up a user that is not there gives: not a way to stay root */
    for (uint32_t flag = TG_PROCESS_SET_UID; flag != 0; flag = flag == TG_PROCESS_SET_UID ? TG_PROCESS_SET_GID : 0) {
        options.flags = flag;
        CHECK_CODE(tg_process_open(loop, &options, &process), TG_EINVAL);
    }
    options.flags = 0;
    options.file = "/etc/passwd";
    CHECK_CODE(tg_process_open(loop, &options, &process), -EACCES);
    options.file = "true";
    options.directory = "/etc/passwd";
    CHECK_CODE(tg_process_open(loop, &options, &process), -ENOTDIR);
    CHECK_EQ(process, 7);
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_EQ(errno, ECHILD);
    free_loop(loop, 0);
    CHECK_EQ(user.released, 0); /* nothing was taken */
}

/* The library neither takes other people's children away nor waits for them: who is process 1 reaps orphans itself, as
 * the guide shows. mutation: `wait_for` waits for any child (P_ALL). */
static void h62_a_program_reaps_what_it_has_not_started(void)
{
    tg_loop loop = new_loop();
    ended user = { 0, 0, 0, 0, 0 };
    siginfo_t info;
    pid_t orphan = fork(), ours;
    MUST(orphan >= 0);
    if (orphan == 0) _exit(5);
    ours = pid_of(start_script(loop, "exit 6", 0, NULL, 0, &user));
    MUST(waitid(P_PID, (id_t)ours, &info, WEXITED | WNOWAIT) == 0); /* both are over */
    MUST(waitid(P_PID, (id_t)orphan, &info, WEXITED | WNOWAIT) == 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(user.exit_code, 6);
    CHECK_EQ(state_of(orphan), 'Z');
    CHECK_EQ(waitpid(orphan, NULL, 0), orphan);
    free_loop(loop, 0);
}

/* ------------------------------------------------- what a program is given */

/* mutation: `default_signals` is left out, or the mask is not emptied. */
static void programs_start_with_default_signals_and_none_blocked(void)
{
    const tg_stdio stdio[] = { { TG_STDIO_NULL, -1 }, { TG_STDIO_PIPE_OUT, -1 } };
    tg_loop loop = new_loop();
    ended user = { 0, 0, 0, 0, 0 };
    char text[512];
    sigset_t set, before;
    int end;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    MUST(pthread_sigmask(SIG_BLOCK, &set, &before) == 0);
    MUST(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    end = take(start_script(loop, "exec grep -E 'Sig(Blk|Ign)' /proc/self/status", 0, stdio, 2, &user), 1);
    MUST(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    MUST(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    read_all(end, text, sizeof text);
    CHECK(user.status == 0 && user.exit_code == 0 && user.signum == 0);
    CHECK(strcmp(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n") == 0);
    if (harness_bad > 0) printf("# status %d, code %d, signal %d: %s\n", user.status, user.exit_code, user.signum, text);
    free_loop(loop, 0);
}

/* mutation: a pipe's ends are not close-on-exec. */
static void programs_get_no_descriptor_of_the_library(void)
{
    const tg_stdio stdio[] = { { TG_STDIO_NULL, -1 }, { TG_STDIO_PIPE_OUT, -1 }, { TG_STDIO_SOCKET, -1 } };
    tg_loop loop = new_loop();
    ended users[2] = { { 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0 } };
    char text[512];
    int ends[4];
    ends[0] = take(start_script(loop, "read x", 0, stdio, 2, &users[0]), 1);
    tg_handle second = start_script(loop, "exec ls /proc/self/fd", 0, stdio, 3, &users[1]);
    ends[1] = take(second, 1);
    ends[2] = take(second, 2);
    CHECK(fcntl(ends[2], F_GETFL) & O_NONBLOCK);
    CHECK_CODE(tg_loop_run(loop), 0);
    read_all(ends[1], text, sizeof text);
    /* ls itself has one open: the directory. This program's own are its harness's, all close-on-exec or below 3. */
    CHECK(strcmp(text, "0\n1\n2\n3\n") == 0);
    if (strcmp(text, "0\n1\n2\n3\n") != 0) printf("# %s\n", text);
    close(ends[0]);
    close(ends[2]);
    free_loop(loop, 0);
}

/* mutation: `Descriptors::new` makes both ends of a pipe non-blocking. */
static void h38_shared_descriptors_keep_their_flags(void)
{
    tg_stdio stdio[] = { { TG_STDIO_INHERIT, -1 }, { TG_STDIO_FD, -1 }, { TG_STDIO_PIPE_OUT, -1 } };
    tg_loop loop = new_loop();
    ended user = { 0, 0, 0, 0, 0 };
    int ends[2], flags = fcntl(0, F_GETFL), end;
    char text[256];
    MUST(pipe2(ends, O_CLOEXEC) == 0);
    stdio[1].fd = ends[1];
    end = take(start_script(loop, "echo out; grep flags /proc/self/fdinfo/2 >&2", 0, stdio, 3, &user), 2);
    CHECK(fcntl(end, F_GETFL) & O_NONBLOCK);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(fcntl(0, F_GETFL), flags);
    CHECK_EQ(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    close(ends[1]);
    read_all(ends[0], text, sizeof text);
    CHECK(strcmp(text, "out\n") == 0);
    read_all(end, text, sizeof text);
    CHECK_EQ(strtol(text + strlen("flags:"), NULL, 8) & O_NONBLOCK, 0);
    free_loop(loop, 0);
}

static void environment_and_directory(void)
{
    const tg_stdio stdio[] = { { TG_STDIO_NULL, -1 }, { TG_STDIO_PIPE_OUT, -1 } };
    char *argv[] = { "name", "-c", "echo $0 $WORD $(pwd)", NULL };
    char *env[] = { "PATH=/nowhere::/bin:/usr/bin", "WORD=said", NULL };
    tg_loop loop = new_loop();
    ended user = { 0, 0, 0, 0, 0 };
    tg_process_options options = options_for(&user);
    char text[256];
    int end;
    options.file = "sh";
    options.argv = argv;
    options.env = env;
    options.directory = "/";
    options.stdio = stdio;
    options.stdio_count = 2;
    end = take(start(loop, &options), 1);
    CHECK_CODE(tg_loop_run(loop), 0);
    read_all(end, text, sizeof text);
    CHECK(strcmp(text, "name said /\n") == 0);
    env[0] = "PATH=/nowhere";
    CHECK_CODE(tg_process_open(loop, &options, &(tg_handle){ 0 }), -ENOENT);
    free_loop(loop, 0);
}

static void sessions_and_groups(void)
{
    const tg_stdio stdio = { TG_STDIO_PIPE_IN, -1 };
    const uint32_t flags[] = { 0, TG_PROCESS_GROUP, TG_PROCESS_DETACHED, TG_PROCESS_DETACHED | TG_PROCESS_GROUP };
    tg_loop loop = new_loop();
    ended users[4];
    memset(users, 0, sizeof users);
    for (int i = 0; i < 4; i++) {
        tg_handle process = start_script(loop, "read x", flags[i], &stdio, 1, &users[i]);
        int pid = pid_of(process);
        CHECK_EQ(getsid(pid), flags[i] & TG_PROCESS_DETACHED ? pid : getsid(0));
        CHECK_EQ(getpgid(pid), flags[i] != 0 ? pid : getpgid(0));
        close(take(process, 0));
    }
    CHECK_CODE(tg_loop_run(loop), 0);
    free_loop(loop, 0);
}

/* mutation: `change_user` does not drop the groups. */
static void as_another_user(void)
{
    const tg_stdio stdio[] = { { TG_STDIO_NULL, -1 }, { TG_STDIO_PIPE_OUT, -1 } };
    char *argv[] = { "sh", "-c", "grep -E '^(Uid|Gid|Groups):' /proc/self/status", NULL };
    tg_loop loop = new_loop();
    ended user = { 0, 0, 0, 0, 0 };
    tg_process_options options = options_for(&user);
    tg_handle process = 7;
    options.file = "sh";
    options.argv = argv;
    options.stdio = stdio;
    options.stdio_count = 2;
    options.flags = TG_PROCESS_SET_UID | TG_PROCESS_SET_GID;
    options.uid = 65534;
    options.gid = 65533;
    if (geteuid() != 0) {
        CHECK_CODE(tg_process_open(loop, &options, &process), -EPERM);
        CHECK_EQ(process, 7);
    } else {
        char text[256];
        gid_t before[256], extra = 65532;
        int end, count = getgroups(256, before);
        MUST(count >= 0 && setgroups(1, &extra) == 0); /* so that there is one to be dropped */
        end = take(start(loop, &options), 1);
        MUST(setgroups((size_t)count, before) == 0);
        CHECK_CODE(tg_loop_run(loop), 0);
        read_all(end, text, sizeof text);
        CHECK(strstr(text, "Uid:\t65534\t65534\t65534\t65534\n") != NULL);
        CHECK(strstr(text, "Gid:\t65533\t65533\t65533\t65533\n") != NULL);
        CHECK(strstr(text, "Groups:\t \n") != NULL);
        CHECK_EQ(geteuid(), 0);
    }
    free_loop(loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(h60_children_of_four_loops_and_of_the_program);
    RUN(h60_children_reaped_by_somebody_else);
    RUN(h61_closed_before_the_end);
    RUN(h61_a_failed_start_leaves_nothing);
    RUN(h62_a_program_reaps_what_it_has_not_started);
    RUN(programs_start_with_default_signals_and_none_blocked);
    RUN(programs_get_no_descriptor_of_the_library);
    RUN(h38_shared_descriptors_keep_their_flags);
    RUN(environment_and_directory);
    RUN(sessions_and_groups);
    RUN(as_another_user);
    return harness_end();
}
