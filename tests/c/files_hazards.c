/* Files: lent memory, cancelling and closing, signals of failed writes, memory that is not there, forks. */
#include "files.h"

#include <sys/resource.h>

static tg_loop loop;

static void setup(void)
{
    scratch_open();
    loop = new_loop();
}

static void teardown(int open_handles)
{
    free_loop(loop, open_handles);
    scratch_close();
}

static tg_loop new_loop_of_one_thread(void)
{
    tg_loop_options options = TG_LOOP_OPTIONS_INIT;
    tg_loop made = 0;
    options.work_threads = 1;
    MUST(tg_loop_new(&options, &made) == 0);
    return made;
}

static void setup_one_thread(void)
{
    scratch_open();
    loop = new_loop_of_one_thread();
}

/* A pipe whose writing end is a file of the loop's, with blocking writes. */
static tg_handle adopt_pipe(int *reader)
{
    int ends[2];
    tg_handle file = 0;
    MUST(pipe2(ends, O_CLOEXEC) == 0);
    MUST(tg_file_adopt(loop, ends[1], NULL, &file) == 0);
    *reader = ends[0];
    return file;
}

#define LARGE 300000 /* more than a pipe holds */

/* An operation that is going on and cannot end before somebody reads the pipe. */
static tg_handle begin_large_write(tg_handle file, int reader, seen *it)
{
    tg_file_options options = file_options(it);
    tg_handle op = 0;
    char first;
    MUST(tg_file_write_owned(file, -1, bytes_from(0, LARGE), LARGE, seen_freed, &options, &op) == 0);
    MUST(read(reader, &first, 1) == 1); /* so it has begun */
    return op;
}

static void drain(int reader, size_t count)
{
    static char room[65536];
    while (count > 0) {
        ssize_t got = read(reader, room, count < sizeof room ? count : sizeof room);
        MUST(got > 0);
        count -= (size_t)got;
    }
}

static void check_freed(const seen *it, int calls, int free_status)
{
    CHECK_EQ(it->calls, calls);
    CHECK_EQ(it->freed, 1);
    CHECK_EQ(it->released, 1);
    CHECK(it->freed_before_released);
    CHECK_CODE(it->free_status, free_status);
}

/* mutation: `released` gives the memory back before or without the callback's status, or for every release. */
static void h19_lent_memory_is_freed_once_after_success_and_error(void)
{
    char *data = bytes_from(0, 5000), *same = bytes_from(0, 5000);
    seen it, other = { .calls = 0 };
    tg_file_options options = file_options(&it);
    tg_handle file, op;
    setup();
    file = open_file(loop, "file", TG_FILE_WRITE | TG_FILE_CREATE);
    CHECK_CODE(tg_file_write_owned(file, 10, data, 5000, seen_freed, &options, &op), 0);
    CHECK_EQ(it.freed, 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    check_freed(&it, 1, 0);
    CHECK_EQ(it.value, 5000);
    CHECK_CODE(tg_close(file), 0);

    file = open_file(loop, "file", TG_FILE_READ); /* not for writing */
    options = file_options(&it);
    CHECK_CODE(tg_file_write_owned(file, 0, same, 5000, seen_freed, &options, &op), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_CODE(it.status, -EBADF);
    check_freed(&it, 1, -EBADF);

    /* Another user: the first is released and the memory is still lent. */
    options = file_options(&it);
    CHECK_CODE(tg_file_write_owned(file, 0, bytes_from(0, 10), 10, seen_freed, &options, &op), 0);
    CHECK_CODE(tg_handle_set_user(op, &other, seen_released), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(it.released == 1 && it.freed == 0 && it.calls == 0);
    check_freed(&other, 1, -EBADF);
    teardown(1);
}

static void refused_memory_stays_the_callers(void)
{
    char *data = malloc(10);
    seen it;
    tg_file_options options = file_options(&it);
    tg_handle file, op = 7;
    setup();
    file = open_file(loop, "file", TG_FILE_WRITE | TG_FILE_CREATE);
    CHECK_CODE(tg_file_write_owned(file, -2, data, 10, seen_freed, &options, &op), TG_EINVAL);
    CHECK_CODE(tg_file_write_owned(loop, 0, data, 10, seen_freed, &options, &op), TG_EKIND);
    CHECK_CODE(tg_file_read_into(0, 0, data, 10, seen_freed, &options, &op), TG_ESTALE);
    options.callback = NULL;
    CHECK_CODE(tg_file_write_owned(file, 0, data, 10, seen_freed, &options, &op), TG_EINVAL);
    CHECK_EQ(op, 7);
    teardown(1);
    CHECK(it.freed == 0 && it.released == 0);
    free(data);
}

/* mutation: job_close releases at once. */
static void h20_lent_memory_is_freed_once_after_cancel_close_and_free(void)
{
    seen running, waiting, closed, left;
    tg_file_options options;
    tg_handle file, op_running, op;
    int reader;
    setup_one_thread();
    file = adopt_pipe(&reader);
    op_running = begin_large_write(file, reader, &running);
    options = file_options(&waiting);
    CHECK_CODE(tg_file_write_owned(file, -1, bytes_from(0, 10), 10, seen_freed, &options, &op), 0);
    CHECK_CODE(tg_handle_cancel(op), 1);
    CHECK_CODE(tg_handle_cancel(op_running), 0);
    options = file_options(&closed);
    CHECK_CODE(tg_file_write_owned(file, -1, bytes_from(0, 10), 10, seen_freed, &options, &op), 0);
    CHECK_CODE(tg_close(op), 0);
    options = file_options(&left);
    CHECK_CODE(tg_file_write_owned(file, -1, bytes_from(0, 10), 10, seen_freed, &options, &op), 0);
    CHECK(tg_loop_run_nowait(loop) >= 0);
    CHECK_CODE(waiting.status, TG_ECANCELED);
    check_freed(&waiting, 1, TG_ECANCELED);
    check_freed(&closed, 0, TG_ECANCELED);

    CHECK_CODE(tg_close(op_running), 0); /* the thread is still using its memory */
    CHECK_CODE(tg_close(file), 0);
    CHECK(tg_loop_run_nowait(loop) >= 0);
    CHECK(running.freed == 0 && running.released == 0);
    drain(reader, LARGE - 1);
    CHECK_CODE(tg_loop_free(loop), 1); /* that which is left */
    check_freed(&running, 0, TG_ECANCELED);
    check_freed(&left, 0, TG_ECANCELED);
    scratch_close();
    close(reader);
}

typedef struct acting {
    seen seen;
    tg_handle close_these[3];
    tg_loop free_this;
} acting;

static void on_file_act(tg_handle self, void *user, const tg_file_result *result)
{
    acting *it = user;
    on_file(self, user, result);
    for (size_t i = 0; i < 3; i++)
        if (it->close_these[i] != 0) CHECK_CODE(tg_close(it->close_these[i]), 0);
    if (it->free_this != 0) CHECK(tg_loop_free(it->free_this) >= 0);
    CHECK_EQ(result->value, 7); /* still valid */
}

/* mutation: dispatch takes for granted that the handle is still open after its callback. */
static void h02_h04_a_callback_closes_itself_its_file_and_its_neighbour(void)
{
    acting first;
    seen second;
    tg_file_options options = file_options(&first.seen);
    tg_handle file, op, neighbour;
    setup_one_thread();
    file_with("file", "content", 7);
    file = open_file(loop, "file", TG_FILE_READ);
    options.callback = on_file_act;
    CHECK_CODE(tg_file_read(file, 0, 10, &options, &op), 0);
    options = file_options(&second);
    CHECK_CODE(tg_file_read(file, 0, 10, &options, &neighbour), 0);
    first.close_these[0] = op;
    first.close_these[1] = file;
    first.close_these[2] = neighbour;
    first.free_this = 0;
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(first.seen.calls == 1 && first.seen.released == 1);
    teardown(0);
    CHECK(second.calls == 0 && second.released == 1);
    free(first.seen.data);
}

/* mutation: a running loop is freed at once. */
static void h03_a_callback_frees_the_loop(void)
{
    acting it;
    tg_file_options options = file_options(&it.seen);
    tg_handle file, op;
    setup();
    file_with("file", "content", 7);
    file = open_file(loop, "file", TG_FILE_READ);
    memset(it.close_these, 0, sizeof it.close_these);
    it.free_this = loop;
    options.callback = on_file_act;
    CHECK_CODE(tg_file_read(file, 0, 10, &options, &op), 0);
    CHECK(tg_loop_run(loop) >= 0);
    CHECK_CODE(tg_loop_free(loop), TG_ESTALE);
    CHECK(it.seen.calls == 1 && it.seen.released == 1);
    free(it.seen.data);
    scratch_close();
}

/* Signals that come to no thread of the program; the disposition is the default, which would end it. */
static void check_no_signal_waits(int signum)
{
    sigset_t waiting;
    MUST(sigpending(&waiting) == 0);
    CHECK_EQ(sigismember(&waiting, signum), 0);
}

/* Where the pool's threads say which signals wait for them: "SigPnd:" of each. */
static void check_no_thread_keeps(int signum)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    MUST(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) {
        char path[300], line[256];
        unsigned long long pending = 0;
        FILE *status;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        if (entry->d_name[0] == '.' || (status = fopen(path, "r")) == NULL) continue;
        while (fgets(line, sizeof line, status) != NULL)
            if (strncmp(line, "SigPnd:", 7) == 0) pending = strtoull(line + 7, NULL, 16);
        fclose(status);
        CHECK_EQ(pending & (1ULL << (signum - 1)), 0);
    }
    closedir(tasks);
}

/* mutation: `failure` does not take the signal away: it waits for the thread for ever. */
static void h35_a_write_to_a_pipe_without_reader_is_an_error(void)
{
    seen it;
    tg_file_options options = file_options(&it);
    struct sigaction before, fatal = { .sa_handler = SIG_DFL };
    tg_handle file, op;
    int reader;
    setup();
    MUST(sigaction(SIGPIPE, &fatal, &before) == 0);
    file = adopt_pipe(&reader);
    close(reader);
    CHECK_CODE(tg_file_write(file, -1, "x", 1, &options, &op), 0);
    finish(loop, &it, -EPIPE, 0);
    check_no_signal_waits(SIGPIPE);
    check_no_thread_keeps(SIGPIPE);
    CHECK(sigaction(SIGPIPE, &before, NULL) == 0);
    teardown(1);
}

/* mutation: as above. A part is written and counted. */
static void h66_a_file_that_may_not_grow_is_an_error(void)
{
    pid_t child;
    scratch_open();
    child = harness_fork();
    if (child == 0) {
        const struct rlimit limit = { 1000, RLIM_INFINITY };
        char *data = bytes_from(0, 3000);
        seen it;
        tg_file_options options = file_options(&it);
        tg_handle file, op;
        loop = new_loop();
        MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        file = open_file(loop, "file", TG_FILE_WRITE | TG_FILE_CREATE);
        CHECK_CODE(tg_file_write(file, 0, data, 3000, &options, &op), 0);
        finish(loop, &it, -EFBIG, 1000);
        check_no_thread_keeps(SIGXFSZ);
        CHECK(file_is("file", data, 1000));
        options = file_options(&it);
        CHECK_CODE(tg_file_truncate(file, 2000, &options, &op), 0);
        finish(loop, &it, -EFBIG, 0);
        check_no_thread_keeps(SIGXFSZ);
        free(data);
        free_loop(loop, 1);
        child_becomes_its_result();
    }
    harness_wait(child);
    scratch_close();
}

/* mutation: `write_all` forgets what the system has said. */
static void h66_a_full_disk_is_an_error(void)
{
    seen it;
    tg_file_options options = file_options(&it);
    tg_handle file, op;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    setup();
    MUST(full >= 0);
    CHECK_CODE(tg_file_adopt(loop, full, NULL, &file), 0);
    CHECK_CODE(tg_file_write(file, 0, "x", 1, &options, &op), 0);
    finish(loop, &it, -ENOSPC, 0);
    teardown(1);
}

/* mutation: the buffer of a read is not asked for fallibly. */
static void h66_memory_that_is_not_there_takes_nothing(void)
{
    seen it;
    tg_file_options options = file_options(&it);
    const tg_buffer buffers[] = { { "abc", 3 }, { "abc", SIZE_MAX / 2 + 1 } };
    tg_handle file, op = 7;
    setup();
    file = open_file(loop, "file", TG_FILE_READ | TG_FILE_WRITE | TG_FILE_CREATE);
    CHECK_CODE(tg_file_read(file, 0, SIZE_MAX, &options, &op), TG_ENOMEM);
    CHECK_CODE(tg_file_read(file, 0, SIZE_MAX / 2, &options, &op), TG_ENOMEM);
    CHECK_CODE(tg_file_write(file, 0, "abc", SIZE_MAX, &options, &op), TG_EINVAL);
    CHECK_CODE(tg_file_writev(file, 0, buffers, 2, &options, &op), TG_EINVAL);
    CHECK_CODE(tg_file_writev(file, 0, buffers, SIZE_MAX, &options, &op), TG_EINVAL);
    CHECK_EQ(op, 7);
    CHECK_EQ(stats_of(loop).open_handles, 1);
    CHECK(it.calls == 0 && it.released == 0);
    teardown(1);
}

static void in_the_child(tg_handle file, tg_handle opening, tg_handle op_running, seen *running)
{
    seen it;
    tg_file_options options = file_options(&it);
    tg_handle op = 7;
    CHECK_CODE(tg_file_read(file, 0, 1, &options, &op), TG_EFORKED);
    CHECK_CODE(tg_path_list(loop, scratch, &options, &op), TG_EFORKED);
    CHECK_CODE(tg_file_get_fd(file, &(tg_fd){ 0 }), TG_EFORKED);
    CHECK_CODE(tg_close(file), TG_EFORKED);
    CHECK_EQ(op, 7);
    CHECK_CODE(tg_loop_reopen(loop), 0);
    CHECK_CODE(tg_file_read(file, 0, 10, &options, &op), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(it.status == 0 && it.value == 7 && memcmp(it.data, "content", 7) == 0);
    CHECK_CODE(running->status, TG_EFORKED);
    CHECK(running->calls == 1 && running->freed == 1 && running->released == 1);
    CHECK_EQ(tg_handle_is_open(op_running), 0);
    CHECK_EQ(tg_handle_is_open(opening), 0);
    CHECK_EQ(tg_handle_is_open(file), 1);
    free(it.data);
}

/* mutation: `after_fork` is not called: the descriptors of files in use at the fork stay open in the child. */
static void h57_files_in_a_forked_child(void)
{
    seen running, opening_seen;
    tg_file_options options;
    tg_handle file, pipe_file, opening, op_running;
    int reader, writer, before, opened, reopen;
    for (reopen = 0; reopen < 2; reopen++) {
        pid_t child;
        before = harness_open_fds();
        setup();
        file_with("file", "content", 7);
        MUST(mkfifo(in_scratch("fifo"), 0600) == 0);
        file = open_file(loop, "file", TG_FILE_READ);
        pipe_file = adopt_pipe(&reader);
        op_running = begin_large_write(pipe_file, reader, &running);
        options = file_options(&opening_seen);
        CHECK_CODE(tg_file_open(loop, in_scratch("fifo"), TG_FILE_READ, 0, &options, &opening), 0);
        opened = harness_open_fds() - before;
        child = harness_fork();
        if (child == 0) {
            before = harness_open_fds() - opened;
            if (reopen == 1) in_the_child(file, opening, op_running, &running);
            CHECK(tg_loop_free(loop) >= 0);
            check_freed(&running, reopen, reopen == 1 ? TG_EFORKED : TG_ECANCELED);
            CHECK_EQ(opening_seen.released, 1);
            close(reader);
            CHECK_EQ(harness_open_fds(), before);
            child_becomes_its_result();
        }
        harness_wait(child);
        writer = open(in_scratch("fifo"), O_WRONLY | O_CLOEXEC);
        drain(reader, LARGE - 1);
        CHECK_CODE(tg_loop_run(loop), 0);
        check_freed(&running, 1, 0);
        CHECK_CODE(opening_seen.status, 0);
        teardown(3);
        close(reader);
        close(writer);
    }
}

/* The threads of the pool were started under the old user; an operation runs under the one that the process has then.
 * mutation: `sys::file::open` takes the user back that its thread was started with (setresuid for this thread alone). */
static void h63_operations_run_with_what_the_process_has_when_they_run(void)
{
    pid_t child;
    if (geteuid() != 0) {
        SKIP("h63_operations_run_with_what_the_process_has_when_they_run", "only root can be somebody else");
        return;
    }
    setup();
    file_with("secret", "x", 1);
    MUST(chmod(in_scratch("secret"), 0600) == 0 && chmod(scratch, 0755) == 0);
    child = harness_fork();
    if (child == 0) {
        tg_loop own = new_loop();
        tg_handle file = open_file(own, "secret", TG_FILE_READ); /* starts a thread */
        seen it;
        tg_file_options options = file_options(&it);
        CHECK_CODE(tg_close(file), 0);
        MUST(seteuid(65534) == 0);
        MUST(tg_file_open(own, in_scratch("secret"), TG_FILE_READ, 0, &options, &file) == 0);
        finish(own, &it, -EACCES, 0);
        free_loop(own, 0);
        tg_loop_free(loop);
        child_becomes_its_result();
    }
    harness_wait(child);
    teardown(0);
}

/* A stale file is an error, and never somebody else's descriptor. mutation: the table does not compare generations. */
static void h05_a_stale_file_hits_nobody(void)
{
    seen it;
    tg_file_options options = file_options(&it);
    tg_handle first, second, op;
    setup();
    first = open_file(loop, "first", TG_FILE_WRITE | TG_FILE_CREATE);
    CHECK_CODE(tg_close(first), 0);
    second = open_file(loop, "second", TG_FILE_WRITE | TG_FILE_CREATE);
    CHECK_CODE(tg_file_write(first, 0, "x", 1, &options, &op), TG_ESTALE);
    CHECK_CODE(tg_file_copy(second, first, 0, 0, 1, &options, &op), TG_ESTALE);
    CHECK(file_is("second", "", 0));
    teardown(1);
}

static void copies_between_loops_are_refused(void)
{
    tg_loop other;
    seen it;
    tg_file_options options = file_options(&it);
    tg_handle here, there, op;
    setup();
    here = open_file(loop, "file", TG_FILE_READ | TG_FILE_WRITE | TG_FILE_CREATE);
    other = new_loop();
    there = open_file(other, "file", TG_FILE_READ | TG_FILE_WRITE);
    CHECK_CODE(tg_file_copy(here, there, 0, 0, 1, &options, &op), TG_EINVAL);
    CHECK_CODE(tg_file_copy(here, other, 0, 0, 1, &options, &op), TG_EKIND);
    free_loop(other, 1);
    teardown(1);
}

int main(void)
{
    harness_begin();
    RUN(h19_lent_memory_is_freed_once_after_success_and_error);
    RUN(refused_memory_stays_the_callers);
    RUN(h20_lent_memory_is_freed_once_after_cancel_close_and_free);
    RUN(h02_h04_a_callback_closes_itself_its_file_and_its_neighbour);
    RUN(h03_a_callback_frees_the_loop);
    RUN(h35_a_write_to_a_pipe_without_reader_is_an_error);
    RUN(h66_a_file_that_may_not_grow_is_an_error);
    RUN(h66_a_full_disk_is_an_error);
    RUN(h66_memory_that_is_not_there_takes_nothing);
    RUN(h57_files_in_a_forked_child);
    RUN(h63_operations_run_with_what_the_process_has_when_they_run);
    RUN(h05_a_stale_file_hits_nobody);
    RUN(copies_between_loops_are_refused);
    return harness_end();
}
