/* Descriptor watchers over {file, pipe, socket, tty} x {level, edge, oneshot} x {one, two watchers} x
 * {orders of closing}. */
#include "support.h"

#include <termios.h>

enum source_kind { SOURCE_FILE, SOURCE_PIPE, SOURCE_SOCKET, SOURCE_TTY, SOURCES };
static const char *const source_names[] = { "file", "pipe", "socket", "tty" };

typedef struct source {
    enum source_kind kind;
    int fd;    /* what is watched for reading */
    int other; /* what makes it readable; -1: it always is */
} source;

static bool open_tty(source *it)
{
    struct termios raw;
    it->other = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (it->other < 0 || grantpt(it->other) != 0 || unlockpt(it->other) != 0) return false;
    it->fd = open(ptsname(it->other), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (it->fd < 0 || tcgetattr(it->fd, &raw) != 0) return false;
    cfmakeraw(&raw);
    return tcsetattr(it->fd, TCSANOW, &raw) == 0;
}

static int open_file(void)
{
    int fd = temporary_file();
    put(fd, "some bytes");
    MUST(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static bool source_open(source *it, enum source_kind kind)
{
    int ends[2] = { -1, -1 };
    it->kind = kind;
    if (kind == SOURCE_TTY) return open_tty(it);
    if (kind == SOURCE_FILE) ends[0] = open_file();
    if (kind == SOURCE_PIPE) make_pipe(ends);
    if (kind == SOURCE_SOCKET) make_pair(ends);
    it->fd = ends[0];
    it->other = ends[1];
    return true;
}

static void source_feed(const source *it)
{
    if (it->other >= 0) put(it->other, "x");
}

static void source_close(source *it)
{
    if (it->fd >= 0) close(it->fd);
    if (it->other >= 0) close(it->other);
}

/* Waits, by turns, until every watcher has been called `calls` times. A terminal passes its bytes on
 * in its own time, so one turn may not be enough. */
static void turns_until(tg_loop loop, const counter *users, int count, int calls)
{
    for (;;) {
        bool all = true;
        for (int i = 0; i < count; i++) all = all && users[i].calls >= calls;
        if (all) return;
        CHECK(tg_loop_run_once(loop) >= 0); /* 0: the oneshot watchers are all stopped */
    }
}

/* Unread data: level goes on, edge is silent until more comes, oneshot until it is armed again. */
static void check_mode(tg_loop loop, const source *it, uint32_t mode, tg_handle *watchers,
                       counter *users, int count)
{
    int before[2];
    source_feed(it);
    turns_until(loop, users, count, 1);
    turns(loop, 2); /* what was in flight */
    for (int i = 0; i < count; i++) before[i] = users[i].calls;
    turns(loop, 3);
    for (int i = 0; i < count; i++) {
        CHECK_CODE(users[i].last_status, 0);
        CHECK_EQ(users[i].ready & TG_READ, TG_READ);
        if (mode == TG_LEVEL) CHECK_EQ(users[i].calls, before[i] + 3);
        else if (mode == TG_ONESHOT) CHECK_EQ(users[i].calls, 1);
        else if (it->kind != SOURCE_FILE) CHECK_EQ(users[i].calls, before[i]);
    }
    source_feed(it);
    if (mode == TG_ONESHOT)
        for (int i = 0; i < count; i++) CHECK_CODE(tg_io_set_interest(watchers[i], TG_READ), 0);
    if (mode != TG_EDGE || it->kind != SOURCE_FILE)
        turns_until(loop, users, count, mode == TG_ONESHOT ? 2 : before[0] + 1);
}

enum closing { CLOSE_FORWARD, CLOSE_BACKWARD, CLOSE_FD_FIRST, CLOSE_BY_FREE, CLOSINGS };

static void close_in_order(tg_loop loop, source *it, enum closing order, tg_handle *watchers,
                           const counter *users, int count)
{
    if (order == CLOSE_FD_FIRST) {
        source_close(it);
        it->fd = it->other = -1;
    }
    if (order == CLOSE_BY_FREE) {
        free_loop(loop, count);
        return;
    }
    for (int i = 0; i < count; i++) {
        int which = order == CLOSE_BACKWARD ? count - 1 - i : i, left = count - 1 - which;
        int calls = users[left].calls;
        CHECK_CODE(tg_close(watchers[which]), 0);
        if (i + 1 == count || order == CLOSE_FD_FIRST) continue;
        CHECK_CODE(tg_io_set_interest(watchers[left], TG_READ), 0);
        source_feed(it);
        while (users[left].calls == calls) CHECK(tg_loop_run_once(loop) >= 0); /* goes on alone */
    }
    CHECK_CODE(tg_loop_run(loop), 0); /* nothing keeps it alive */
    free_loop(loop, 0);
}

static void run_combination(enum source_kind kind, uint32_t mode, int count, enum closing order)
{
    source it = { kind, -1, -1 };
    counter users[2] = { { .calls = 0 } };
    tg_handle watchers[2] = { 0, 0 };
    int bad_before = harness_bad;
    tg_loop loop;
    if (!source_open(&it, kind)) {
        source_close(&it);
        return; /* the test has said so */
    }
    loop = new_loop();
    for (int i = 0; i < count; i++)
        watchers[i] = open_io_mode(loop, it.fd, TG_READ, mode, on_io, &users[i]);
    check_mode(loop, &it, mode, watchers, users, count);
    close_in_order(loop, &it, order, watchers, users, count);
    for (int i = 0; i < count; i++) CHECK_EQ(users[i].released, 1);
    source_close(&it);
    if (harness_bad != bad_before)
        printf("# of: %s, mode %u, %d watchers, order %d\n", source_names[kind], mode, count,
               (int)order);
}

static void run_source(enum source_kind kind)
{
    static const uint32_t modes[] = { TG_LEVEL, TG_EDGE, TG_ONESHOT };
    for (size_t m = 0; m < 3; m++)
        for (int count = 1; count <= 2; count++)
            for (int order = 0; order < CLOSINGS; order++)
                run_combination(kind, modes[m], count, (enum closing)order);
}

/* mutation: EPERM of the poller object is returned to the caller. */
static void h39_file_matrix(void) { run_source(SOURCE_FILE); }

/* mutation: closing one of two watchers removes the registration of both. */
static void pipe_matrix(void) { run_source(SOURCE_PIPE); }

/* mutation: a oneshot watcher keeps its interest after it was told. */
static void socket_matrix(void) { run_source(SOURCE_SOCKET); }

/* mutation: edge is registered as level. */
static void tty_matrix(void)
{
    source it = { SOURCE_TTY, -1, -1 };
    bool there = open_tty(&it);
    source_close(&it);
    if (there) run_source(SOURCE_TTY);
    else SKIP_PART("tty_matrix", "no pseudo terminal can be opened here");
}

/* mutation: the mode of the second watcher is not compared. */
static void another_mode_on_the_same_descriptor_is_refused(void)
{
    tg_loop loop = new_loop();
    counter it = { .calls = 0 };
    tg_io_options options = TG_IO_OPTIONS_INIT;
    tg_handle first, second = 7;
    int ends[2];
    make_pipe(ends);
    first = open_io(loop, ends[0], TG_READ, on_io, &it);
    options.callback = on_io;
    options.user = &it;
    options.release = counter_release;
    options.mode = TG_EDGE;
    CHECK_CODE(tg_io_open(loop, ends[0], TG_READ, &options, &second), TG_EEXIST);
    options.mode = TG_ONESHOT;
    CHECK_CODE(tg_io_open(loop, ends[0], TG_READ, &options, &second), TG_EEXIST);
    CHECK_EQ(second, 7);
    CHECK_CODE(tg_close(first), 0);
    CHECK_CODE(tg_io_open(loop, ends[0], TG_READ, &options, &second), 0);
    free_loop(loop, 1);
    CHECK_EQ(it.released, 2);
    close_both(ends);
}

typedef struct united {
    counter base;
    int *order, *next, number;
} united;

static void on_io_note(tg_handle self, void *user, uint32_t ready, int status)
{
    united *it = user;
    it->order[(*it->next)++ % 8] = it->number;
    on_io(self, &it->base, ready, status);
}

/* Several watchers on one descriptor: each hears of what it asked for only, in opening order.
 * mutation: the interest of the last watcher replaces that of the others. */
static void watchers_of_one_descriptor_are_united(void)
{
    tg_loop loop = new_loop();
    int ends[2], order[8] = { 0 }, next = 0;
    united users[3];
    tg_io_options options = TG_IO_OPTIONS_INIT;
    tg_handle handles[3];
    static const uint32_t interests[] = { TG_READ, TG_WRITE, TG_READ | TG_WRITE };
    make_pair(ends);
    for (int i = 0; i < 3; i++) {
        users[i] = (united){ { .calls = 0 }, order, &next, i };
        options.callback = on_io_note;
        options.user = &users[i];
        REQUIRE(tg_io_open(loop, ends[0], interests[i], &options, &handles[i]) == 0);
    }
    turns(loop, 1);
    CHECK_EQ(users[0].base.calls, 0);
    CHECK_EQ(users[1].base.ready, TG_WRITE);
    CHECK_EQ(users[2].base.ready, TG_WRITE);
    put(ends[1], "x");
    next = 0;
    turns(loop, 1);
    CHECK_EQ(next, 3);
    CHECK(order[0] == 0 && order[1] == 1 && order[2] == 2);
    CHECK_EQ(users[0].base.ready, TG_READ);
    CHECK_EQ(users[1].base.ready, TG_WRITE);
    CHECK_EQ(users[2].base.ready, TG_READ | TG_WRITE);
    CHECK_CODE(tg_close(handles[2]), 0);
    CHECK_CODE(tg_io_set_interest(handles[1], 0), 0);
    next = 0;
    turns(loop, 1);
    CHECK_EQ(next, 1);
    CHECK_EQ(order[0], 0);
    free_loop(loop, 2);
    close_both(ends);
}

int main(void)
{
    harness_begin();
    RUN(h39_file_matrix);
    RUN(pipe_matrix);
    RUN(socket_matrix);
    RUN(tty_matrix);
    RUN(another_mode_on_the_same_descriptor_is_refused);
    RUN(watchers_of_one_descriptor_are_united);
    return harness_end();
}
