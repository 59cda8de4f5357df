/* How connections end: reasons, resets, the lossless finish, SIGPIPE, and what others share. */
#include "conn_support.h"

#include <pty.h>
#include <termios.h>

static void on_stream(tally *it, char what)
{
    if (what == 'd' && it->count-- == 1) { /* the request is there: the answer, and the end */
        static unsigned char answer[200000];
        pattern(answer, 0, sizeof answer);
        CHECK(tg_conn_write(it->id, answer, sizeof answer) >= 0);
        CHECK_CODE(tg_conn_finish(it->id), 0);
    }
}

/* A client that goes on sending while it is answered; how much of the answer it gets. */
static size_t answered(const tg_address *where, tg_loop loop, tally *server)
{
    int fd = call_to(where);
    tally client = { .count = 0 };
    bool ended = false, whole;
    size_t got;
    set_nonblocking(fd);
    while (!ended) {
        fill(fd);
        turns(loop, 1);
        drink(fd, &client, &ended);
    }
    whole = is_pattern(client.data, 0, client.got);
    got = client.got;
    close(fd);
    UNTIL(loop, server->closed == 1);
    CHECK(whole);
    tally_end(&client);
    return got;
}

/* mutation: finishing closes at once when everything is written, with something unread. */
static void h68_finishing_loses_nothing(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tally it;
    tg_address where;
    tg_handle listener = listen_here(loop, &door, NULL, 0, &where);
    for (int i = 0; i < harness_scale(1000); i++) {
        memset(&it, 0, sizeof it);
        it.action = on_stream;
        it.count = 1;
        door.guests = &it;
        door.room = 1;
        door.accepted = 0;
        CHECK_EQ(answered(&where, loop, &it), 200000);
        CHECK(it.reason == 0 || it.reason == -ECONNRESET); /* the client closes with our discards unread */
        tally_end(&it);
    }
    CHECK_CODE(tg_close(listener), 0);
    free_loop(loop, 0);
}

static void an_abort_is_a_reset_for_the_peer(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    int ends[2];
    char byte;
    make_tcp(ends);
    open_conn(loop, ends[0], &it);
    turns(loop, 1);
    CHECK_CODE(tg_conn_abort(it.id), 0);
    CHECK_EQ(recv(ends[1], &byte, 1, 0), -1);
    CHECK_EQ(errno, ECONNRESET);
    CHECK_CODE(tg_conn_abort(it.id), TG_ESTALE);
    turns(loop, 1);
    CHECK_EQ(it.closed, 0);
    CHECK_EQ(it.released, 1);
    free_loop(loop, 0);
    close(ends[1]);
}

static void a_reset_is_told_as_the_reason(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    int ends[2];
    make_tcp(ends);
    open_conn(loop, ends[0], &it);
    put(ends[1], "x");
    turns(loop, 1);
    reset_tcp(ends[1]);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(strcmp(it.order, "odc") == 0);
    CHECK_CODE(it.reason, -ECONNRESET);
    free_loop(loop, 0);
    tally_end(&it);
}

static int sigpipes;
static void note_sigpipe(int signum) { sigpipes += signum == SIGPIPE; }

static void try_all_writes(tally *it, int file)
{
    tg_buffer pieces[2] = { { "a", 1 }, { "b", 1 } };
    static char owned[4];
    for (int i = 0; i < 3; i++) {
        CHECK(tg_conn_write(it->id, "x", 1) < 0 || i == 0);
        CHECK(tg_conn_writev(it->id, pieces, 2) < 0 || i == 0);
        CHECK(tg_conn_write_owned(it->id, owned, 4, NULL, NULL) < 0 || i == 0);
        (void)tg_conn_send_file(it->id, file, 0, -1);
        turns(it->loop, 1);
    }
}

/* First one call each on a connection of its own, then all of them in a row. */
static void write_to(int fd, int which, int file)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_buffer pieces[2] = { { "a", 1 }, { "b", 1 } };
    static char owned[4];
    open_conn(loop, fd, &it);
    turns(loop, 1);
    if (which == 0) (void)tg_conn_write(it.id, "x", 1);
    if (which == 1) (void)tg_conn_writev(it.id, pieces, 2);
    if (which == 2) (void)tg_conn_write_owned(it.id, owned, 4, NULL, NULL);
    if (which == 3) (void)tg_conn_send_file(it.id, file, 0, -1);
    try_all_writes(&it, file);
    turns(loop, 3);
    CHECK(it.closed == 1);
    CHECK(it.reason != 0 || it.eofs > 0);
    CHECK(tg_loop_free(loop) >= 0);
    CHECK_EQ(it.released, 1);
}

static int broken_stream(int kind)
{
    int ends[2], slave;
    if (kind == 0 || kind == 4) make_tcp(ends);
    else if (kind == 1) make_pair(ends);
    else if (kind == 2) make_pipe(ends);
    else {
        MUST(openpty(&ends[0], &slave, NULL, NULL, NULL) == 0);
        ends[1] = slave;
    }
    if (kind == 0) reset_tcp(ends[1]);
    else if (kind == 3) close(ends[0]), ends[0] = slave;
    else close(ends[kind == 2 ? 0 : 1]); /* 4: the first bytes are sent, and answered by a reset */
    return kind == 2 ? ends[1] : ends[0];
}

/* With the signal's default the process would be gone; with a handler it would be counted.
 * mutation: a write does without MSG_NOSIGNAL, or is not guarded, or the signal is not consumed,
 * or not when a part of a file was sent before it. */
static void h35_no_write_raises_sigpipe(void)
{
    struct sigaction action, before;
    int file = pattern_file(0, 1 << 20);
    for (int pass = 0; pass < 2; pass++) {
        memset(&action, 0, sizeof action);
        action.sa_handler = pass == 0 ? SIG_DFL : note_sigpipe;
        MUST(sigaction(SIGPIPE, &action, &before) == 0);
        for (int kind = 0; kind < 5; kind++)
            for (int which = 0; which < 4; which++) write_to(broken_stream(kind), which, file);
        CHECK_EQ(sigpipes, 0);
        MUST(sigaction(SIGPIPE, &before, NULL) == 0);
    }
    close(file);
}

/* mutation: what is pending is consumed whoever raised it. */
static void h35_a_pending_sigpipe_stays_pending(void)
{
    sigset_t set, pending;
    int file = pattern_file(0, 1000);
    struct timespec now = { 0, 0 };
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    MUST(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) MUST(raise(SIGPIPE) == 0);
        for (int kind = 0; kind < 3; kind++)
            for (int which = 0; which < 4; which++) write_to(broken_stream(kind), which, file);
        MUST(sigpending(&pending) == 0);
        CHECK_EQ(sigismember(&pending, SIGPIPE), pass);
        MUST(pthread_sigmask(SIG_BLOCK, NULL, &pending) == 0);
        CHECK_EQ(sigismember(&pending, SIGPIPE), 1); /* as the program has set it */
    }
    CHECK_EQ(sigtimedwait(&set, NULL, &now), SIGPIPE);
    MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    close(file);
}

/* A pipe whose other user wants to block.
 * mutation: O_NONBLOCK is set on what was given. */
static void h38_a_shared_pipe_goes_on_blocking(void)
{
    for (int side = 0; side < 2; side++) {
        tg_loop loop = new_loop();
        tally it = { .count = 0 };
        int ends[2], shared;
        MUST(pipe2(ends, O_CLOEXEC) == 0);
        shared = dup(ends[side]);
        open_conn(loop, ends[side], &it);
        turns(loop, 1);
        CHECK(!is_nonblocking(shared));
        if (side == 1) {
            CHECK(tg_conn_write(it.id, "x", 1) >= 0);
        } else {
            put(ends[1], "x");
            UNTIL(loop, it.got == 1);
        }
        CHECK(!is_nonblocking(shared));
        CHECK_CODE(tg_close(it.id), 0);
        CHECK(!is_nonblocking(shared));
        free_loop(loop, 0);
        close(shared);
        close(ends[1 - side]);
        tally_end(&it);
    }
}

/* mutation: O_NONBLOCK is set on what was given; closing leaves the terminal raw. */
static void h38_a_shared_terminal_goes_on_blocking(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    int master, slave, shared;
    struct termios before, now;
    MUST(openpty(&master, &slave, NULL, NULL, NULL) == 0);
    MUST(tcgetattr(slave, &before) == 0);
    shared = dup(slave);
    open_conn(loop, slave, &it);
    put(master, "ab\n");
    UNTIL(loop, it.got == 3);
    CHECK(!is_nonblocking(shared));
    CHECK_CODE(tg_conn_set_raw(it.id, 1), 0);
    CHECK_CODE(tg_conn_set_raw(it.id, 1), 0);
    MUST(tcgetattr(shared, &now) == 0);
    CHECK_EQ(now.c_lflag & (tcflag_t)(ICANON | ECHO), 0);
    CHECK_CODE(tg_conn_set_raw(it.id, 0), 0);
    MUST(tcgetattr(shared, &now) == 0);
    CHECK_EQ(now.c_lflag, before.c_lflag);
    CHECK_CODE(tg_conn_set_raw(it.id, 1), 0);
    CHECK_CODE(tg_close(it.id), 0);
    MUST(tcgetattr(shared, &now) == 0);
    CHECK_EQ(now.c_lflag, before.c_lflag); /* closing makes it as it was */
    CHECK(!is_nonblocking(shared));
    free_loop(loop, 0);
    close(master);
    close(shared);
    tally_end(&it);
}

/* The side of a terminal that its window is drawn on: opened anew it would be another terminal.
 * mutation: a master is opened anew. */
static void the_master_of_a_terminal(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    struct winsize size = { .ws_row = 24, .ws_col = 80 };
    uint16_t columns = 0, rows = 0;
    int master, slave;
    char text[8] = "";
    MUST(openpty(&master, &slave, NULL, NULL, &size) == 0);
    open_conn(loop, master, &it);
    CHECK_CODE(tg_conn_get_window_size(it.id, &columns, &rows), 0);
    CHECK_EQ(columns, 80);
    CHECK_EQ(rows, 24);
    set_nonblocking(slave);
    CHECK_CODE(tg_conn_write(it.id, "typed\n", 6), 0);
    CHECK_EQ(read(slave, text, sizeof text), 6);
    put(slave, "shown");
    UNTIL(loop, it.got >= 12); /* the echo, and what was written */
    CHECK(memcmp(it.data, "typed\r\nshown", 12) == 0);
    close(slave);
    UNTIL(loop, it.eofs == 1); /* EIO: the other side has gone */
    CHECK_QUIET(loop);
    CHECK(tg_loop_free(loop) >= 0);
    tally_end(&it);
}

static void window_and_raw_mode_are_of_terminals_only(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    uint16_t columns = 7, rows = 7;
    int ends[2];
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    CHECK_CODE(tg_conn_get_window_size(it.id, &columns, &rows), -ENOTTY);
    CHECK_CODE(tg_conn_set_raw(it.id, 1), -ENOTTY);
    CHECK_CODE(tg_conn_set_raw(it.id, 0), -ENOTTY);
    CHECK_EQ(columns + rows, 14);
    free_loop(loop, 1);
    close(ends[1]);
}

static void finish_self(tally *it, char what)
{
    if (what == 'o') CHECK_CODE(tg_conn_finish(it->id), 0);
}

/* mutation: finishing a connection that is not there yet forgets what was written. */
static void finishing_while_connecting(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tally server = { .count = 0 }, client = { .count = 0 };
    tg_conn_options options = conn_options(&client);
    tg_address where;
    tg_handle conn = 0, listener = listen_here(loop, &door, &server, 1, &where);
    CHECK_CODE(tg_conn_connect(loop, &where, &options, &conn), 0);
    CHECK_CODE(tg_conn_write(conn, "all of it", 9), 0);
    CHECK_CODE(tg_conn_finish(conn), 0);
    server.action = finish_self;
    UNTIL(loop, server.closed == 1 && client.closed == 1);
    CHECK_CODE(client.reason, 0);
    CHECK_CODE(server.reason, 0);
    CHECK_EQ(server.got, 0); /* discarded: it was finishing from the first moment on */
    CHECK_EQ(client.opened, 1);
    CHECK_CODE(tg_close(listener), 0);
    free_loop(loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(h68_finishing_loses_nothing);
    RUN(an_abort_is_a_reset_for_the_peer);
    RUN(a_reset_is_told_as_the_reason);
    RUN(h35_no_write_raises_sigpipe);
    RUN(h35_a_pending_sigpipe_stays_pending);
    RUN(h38_a_shared_pipe_goes_on_blocking);
    RUN(h38_a_shared_terminal_goes_on_blocking);
    RUN(the_master_of_a_terminal);
    RUN(window_and_raw_mode_are_of_terminals_only);
    RUN(finishing_while_connecting);
    return harness_end();
}
