/* Connections as they open, read and come to the peer's end: what descriptors they may be made of, in
 * which order their callbacks come, and that nothing spins meanwhile. */
#include "conn_support.h"

static void opening_is_told_first_and_in_the_next_turn(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    int ends[2];
    make_pair(ends);
    put(ends[1], "early");
    open_conn(loop, ends[0], &it);
    CHECK_EQ(it.events, 0);
    turns(loop, 1);
    close(ends[1]);
    UNTIL(loop, it.eofs == 1);
    CHECK(strcmp(it.order, "ode") == 0);
    CHECK_EQ(it.got, 5);
    CHECK_EQ(conn_stats(it.id).bytes_in, 5);
    free_loop(loop, 1);
    CHECK_EQ(it.released, 1);
    CHECK_EQ(it.closed, 0);
    tally_end(&it);
}

/* mutation: a connection without on_eof stays open at the peer's end. */
static void without_on_eof_the_end_is_answered_with_the_end(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = conn_options(&it);
    int ends[2];
    char byte;
    make_pair(ends);
    options.on_eof = NULL;
    open_conn_with(loop, ends[0], &options);
    put(ends[1], "bye");
    MUST(shutdown(ends[1], SHUT_WR) == 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(strcmp(it.order, "odc") == 0);
    CHECK_CODE(it.reason, 0);
    CHECK_EQ(it.released, 1);
    CHECK_EQ(read(ends[1], &byte, 1), 0);
    free_loop(loop, 0);
    close(ends[1]);
    tally_end(&it);
}

static void half_open_connections_work_in_the_other_direction(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    int ends[2];
    char text[8] = "";
    make_tcp(ends);
    open_conn(loop, ends[0], &it);
    MUST(shutdown(ends[1], SHUT_WR) == 0);
    UNTIL(loop, it.eofs == 1);
    CHECK_QUIET(loop);
    CHECK_CODE(tg_conn_write(it.id, "later", 5), 0);
    CHECK_EQ(recv(ends[1], text, sizeof text, 0), 5);
    CHECK_CODE(tg_conn_shutdown(it.id), 0);
    CHECK_CODE(tg_conn_write(it.id, "no", 2), -EPIPE);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.eofs, 1);
    CHECK_EQ(it.closed, 1);
    CHECK_CODE(it.reason, 0);
    free_loop(loop, 0);
    close(ends[1]);
    tally_end(&it);
}

/* mutation: reading goes on while it is paused; the end is told before it is resumed, or twice. */
static void h40_an_end_that_comes_while_reading_is_paused(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    int ends[2];
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    turns(loop, 1);
    CHECK_CODE(tg_conn_pause(it.id), 0);
    put(ends[1], "last words");
    close(ends[1]);
    CHECK_QUIET(loop);
    CHECK(strcmp(it.order, "o") == 0);
    CHECK_CODE(tg_conn_resume(it.id), 0);
    UNTIL(loop, it.eofs == 1);
    CHECK_QUIET(loop);
    CHECK(strcmp(it.order, "ode") == 0);
    CHECK_CODE(tg_conn_pause(it.id), 0);
    CHECK_CODE(tg_conn_resume(it.id), 0);
    CHECK_QUIET(loop);
    CHECK_EQ(it.eofs, 1);
    free_loop(loop, 1);
    tally_end(&it);
}

/* mutation: a paused connection stays registered without interest. */
static void h27_a_reset_while_paused_does_not_spin(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    int ends[2];
    make_tcp(ends);
    open_conn(loop, ends[0], &it);
    turns(loop, 1);
    CHECK_CODE(tg_conn_pause(it.id), 0);
    reset_tcp(ends[1]);
    CHECK_QUIET(loop);
    CHECK_EQ(it.closed, 0);
    CHECK_CODE(tg_conn_resume(it.id), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.closed, 1);
    CHECK_CODE(it.reason, -ECONNRESET);
    CHECK_EQ(it.eofs, 0);
    free_loop(loop, 0);
    tally_end(&it);
}

/* mutation: connections that were accepted do not read urgent bytes in line, or wait for them. */
static void h28_an_urgent_byte_is_one_like_the_others(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tally it = { .count = 0 };
    tg_address where;
    tg_handle listener = listen_here(loop, &door, &it, 1, &where);
    int fd = call_to(&where);
    UNTIL(loop, it.opened == 1);
    put(fd, "ab");
    MUST(send(fd, "!", 1, MSG_OOB) == 1);
    put(fd, "cd");
    UNTIL(loop, it.got == 5);
    CHECK(memcmp(it.data, "ab!cd", 5) == 0);
    CHECK_CODE(tg_conn_pause(it.id), 0);
    MUST(send(fd, "?", 1, MSG_OOB) == 1);
    CHECK_QUIET(loop);
    CHECK_CODE(tg_conn_resume(it.id), 0);
    UNTIL(loop, it.got == 6);
    CHECK_QUIET(loop);
    close(fd);
    CHECK_CODE(tg_close(listener), 0);
    free_loop(loop, 1);
    tally_end(&it);
}

static void pull(tally *it, char what)
{
    char bytes[3];
    int got;
    if (what != 'r') return;
    got = tg_conn_read(it->id, bytes, sizeof bytes);
    if (got > 0) tally_keep(it, bytes, (size_t)got);
    else if (got == 0) CHECK_CODE(tg_conn_read(it->id, bytes, sizeof bytes), 0);
    else CHECK_CODE(got, -EAGAIN);
}

static void pulling_reads_into_the_callers_memory(void)
{
    tg_loop loop = new_loop();
    tally it = { .action = pull };
    tg_conn_options options = conn_options(&it);
    int ends[2];
    char byte;
    make_pair(ends);
    options.on_data = NULL;
    options.on_readable = on_readable;
    open_conn_with(loop, ends[0], &options);
    CHECK_CODE(tg_conn_read(it.id, &byte, 1), -EAGAIN);
    CHECK_CODE(tg_conn_read(it.id, &byte, 0), 0);
    put(ends[1], "1234567");
    UNTIL(loop, it.got == 7);
    CHECK_QUIET(loop);
    CHECK_EQ(it.readable, 3); /* told again as long as something is left */
    close(ends[1]);
    UNTIL(loop, it.eofs == 1);
    CHECK_QUIET(loop);
    CHECK_EQ(it.eofs, 1);
    CHECK_CODE(tg_conn_read(it.id, &byte, 1), 0);
    free_loop(loop, 1);
    tally_end(&it);
}

static void only_who_asked_for_it_may_pull(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    int ends[2];
    char byte;
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    put(ends[1], "x");
    CHECK_CODE(tg_conn_read(it.id, &byte, 1), TG_EBUSY);
    UNTIL(loop, it.got == 1);
    free_loop(loop, 1);
    close(ends[1]);
    tally_end(&it);
}

/* A pipe in each direction. */
static void pipes_have_one_direction(void)
{
    tg_loop loop = new_loop();
    tally in = { .count = 0 }, out = { .count = 0 };
    int ends[2];
    MUST(pipe2(ends, O_CLOEXEC) == 0);
    open_conn(loop, ends[0], &in);
    open_conn(loop, ends[1], &out);
    CHECK_CODE(tg_conn_write(in.id, "x", 1), -EPIPE);
    CHECK_CODE(tg_conn_write(out.id, "through", 7), 0);
    CHECK_CODE(tg_conn_finish(out.id), 0);
    UNTIL(loop, in.eofs == 1);
    CHECK_EQ(out.closed, 1);
    CHECK_CODE(out.reason, 0);
    CHECK_EQ(out.eofs, 0);
    CHECK_EQ(in.got, 7);
    UNTIL(loop, in.closed == 1);
    CHECK_CODE(in.reason, 0);
    CHECK(strcmp(in.order, "odec") == 0);
    CHECK(strcmp(out.order, "oc") == 0);
    free_loop(loop, 0);
    tally_end(&in);
}

/* mutation: regular files are refused, or not read on. */
static void h39_a_regular_file_as_standard_input(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = conn_options(&it);
    size_t size = 300000;
    int file = pattern_file(0, size), saved = dup(0);
    options.flags = TG_CONN_DUPLICATE;
    options.on_eof = NULL;
    MUST(dup2(file, 0) == 0);
    open_conn_with(loop, 0, &options);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.got, size);
    CHECK(is_pattern(it.data, 0, it.got));
    CHECK_CODE(it.reason, 0);
    CHECK(fcntl(0, F_GETFD) >= 0);
    MUST(dup2(saved, 0) == 0);
    close(saved);
    close(file);
    free_loop(loop, 0);
    tally_end(&it);
}

static void a_paused_file_rests(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = conn_options(&it);
    open_conn_with(loop, pattern_file(0, 200000), &options);
    turns(loop, 1);
    CHECK_CODE(tg_conn_pause(it.id), 0);
    turns(loop, 1);
    CHECK(it.got > 0 && it.got < 200000);
    CHECK_QUIET(loop);
    CHECK_CODE(tg_conn_resume(it.id), 0);
    UNTIL(loop, it.eofs == 1);
    CHECK_QUIET(loop);
    CHECK_EQ(it.got, 200000);
    free_loop(loop, 1);
    tally_end(&it);
}

static void what_is_no_stream_is_refused(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = conn_options(&it);
    tg_handle out = 7;
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ends[2];
    counter watcher = { .calls = 0 };
    make_pair(ends);
    CHECK_CODE(tg_conn_open(loop, fd, &options, &out), TG_EINVAL);
    CHECK_CODE(tg_conn_open(loop, datagrams, &options, &out), TG_EINVAL);
    open_io(loop, ends[0], TG_READ, on_io, &watcher);
    CHECK_CODE(tg_conn_open(loop, ends[0], &options, &out), TG_EEXIST);
    open_conn_with(loop, ends[1], &options);
    CHECK_CODE(tg_conn_open(loop, ends[1], &options, &out), TG_EEXIST);
    CHECK_EQ(out, 7);
    CHECK(fcntl(fd, F_GETFD) >= 0 && fcntl(datagrams, F_GETFD) >= 0);
    free_loop(loop, 2);
    CHECK_EQ(it.released, 1);
    close(fd);
    close(datagrams);
    close(ends[0]);
}

static void a_duplicate_leaves_the_callers_descriptor(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 };
    tg_conn_options options = conn_options(&it);
    int ends[2];
    char text[4] = "";
    make_pair(ends);
    options.flags = TG_CONN_DUPLICATE;
    open_conn_with(loop, ends[0], &options);
    CHECK_CODE(tg_conn_write(it.id, "a", 1), 0);
    CHECK_CODE(tg_close(it.id), 0);
    put(ends[0], "b");
    turns(loop, 1);
    CHECK_EQ(read(ends[1], text, 4), 2);
    free_loop(loop, 0);
    close_both(ends);
}

/* mutation: the peer's address is asked for after the connection was accepted. */
static void h48_the_peer_of_a_connection_that_was_reset(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tally it = { .count = 0 };
    tg_address where, from;
    tg_handle listener = listen_here(loop, &door, &it, 1, &where);
    int fd = call_to(&where);
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    MUST(getsockname(fd, (struct sockaddr *)&name, &length) == 0);
    reset_tcp(fd);
    UNTIL(loop, it.closed == 1);
    CHECK_EQ(door.accepted, 1);
    CHECK_CODE(tg_address_from_sockaddr(&name, length, &from), 0);
    CHECK(memcmp(&from, &door.peer, sizeof from) == 0);
    CHECK_CODE(it.reason, -ECONNRESET);
    CHECK(strcmp(it.order, "oc") == 0);
    CHECK_EQ(door.errors, 0);
    CHECK_CODE(tg_close(listener), 0);
    free_loop(loop, 0);
    tally_end(&it);
}

static tg_handle in_progress;

static void on_close_checks_depth(tally *it, char what)
{
    (void)what;
    CHECK_EQ(in_progress, 0); /* not from inside of the call that failed */
    it->count++;
}

/* mutation: a failure at once is told from inside of tg_conn_connect. */
static void h43_a_connect_that_fails_at_once(void)
{
    tg_loop loop = new_loop();
    tally it = { .action = on_close_checks_depth };
    tg_conn_options options = conn_options(&it);
    tg_address where = address_of("127.0.0.1", 0), nobody;
    tg_handle conn = 7;
    hall door = { .errors = 0 };
    tg_handle listener = listen_here(loop, &door, NULL, 0, &where);
    CHECK_CODE(tg_close(listener), 0); /* its port is free now, and nobody listens */
    in_progress = 1;
    CHECK_CODE(tg_conn_connect(loop, &where, &options, &conn), 0);
    CHECK_CODE(tg_conn_write(conn, "lost", 4), 0);
    CHECK_CODE(tg_conn_mark(conn, 3), 0);
    in_progress = 0;
    CHECK_EQ(it.count, 0);
    UNTIL(loop, it.closed == 1);
    CHECK(strcmp(it.order, "wc") == 0);
    CHECK_CODE(it.reason, -ECONNREFUSED);
    CHECK_CODE(it.token_status, -ECONNREFUSED);
    MUST(tg_address_unix("/nowhere/at/all", 15, &nobody) == 0);
    conn = 7;
    CHECK_CODE(tg_conn_connect(loop, &nobody, &options, &conn), -ENOENT);
    CHECK_EQ(conn, 7);
    free_loop(loop, 0);
    CHECK_EQ(it.released, 1);
}

static void refuse_all(tally *it, char what)
{
    CHECK_EQ(in_progress, 0);
    if (what == 'o') {
        in_progress = 1;
        CHECK_CODE(tg_conn_write(it->id, "x", 1), 0);
        CHECK(tg_conn_write(it->id, "y", 1) <= 0);
        CHECK_CODE(tg_conn_mark(it->id, 1), 0);
        CHECK_CODE(tg_conn_shutdown(it->id), 0);
        in_progress = 0;
    }
}

/* mutation: tg_conn_resume delivers at once what there is. */
static void h43_no_callback_from_inside_of_a_call(void)
{
    tg_loop loop = new_loop();
    tally it = { .action = refuse_all };
    int ends[2];
    make_tcp(ends);
    MUST(shutdown(ends[1], SHUT_WR) == 0);
    open_conn(loop, ends[0], &it);
    in_progress = 1;
    CHECK_CODE(tg_conn_pause(it.id), 0);
    CHECK_CODE(tg_conn_resume(it.id), 0);
    in_progress = 0;
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(strcmp(it.order, "owec") == 0);
    free_loop(loop, 0);
    close(ends[1]);
    tally_end(&it);
}

static char *lowest;
static int rallies;

static void hit_back(tally *it, char what)
{
    char here;
    if (what != 'd') return;
    if (lowest == NULL || &here < lowest) lowest = &here;
    it->got = 0;
    if (++rallies == harness_scale(20000)) CHECK_CODE(tg_loop_stop(it->loop), 0);
    CHECK_CODE(tg_conn_write(it->id, "ball", 4), 0);
}

/* mutation: what is written to another connection of the loop is delivered at once. */
static void h44_ping_pong_keeps_the_stack_flat(void)
{
    tg_loop loop = new_loop();
    tally left = { .action = hit_back }, right = { .action = hit_back };
    char here;
    int ends[2];
    make_pair(ends);
    open_conn(loop, ends[0], &left);
    open_conn(loop, ends[1], &right);
    CHECK_CODE(tg_conn_write(left.id, "ball", 4), 0);
    CHECK(tg_loop_run(loop) >= 0);
    CHECK_EQ(rallies, harness_scale(20000));
    CHECK(&here - lowest < 65536);
    free_loop(loop, 2);
    tally_end(&left);
    tally_end(&right);
}

int main(void)
{
    harness_begin();
    RUN(opening_is_told_first_and_in_the_next_turn);
    RUN(without_on_eof_the_end_is_answered_with_the_end);
    RUN(half_open_connections_work_in_the_other_direction);
    RUN(h40_an_end_that_comes_while_reading_is_paused);
    RUN(h27_a_reset_while_paused_does_not_spin);
    RUN(h28_an_urgent_byte_is_one_like_the_others);
    RUN(pulling_reads_into_the_callers_memory);
    RUN(only_who_asked_for_it_may_pull);
    RUN(pipes_have_one_direction);
    RUN(h39_a_regular_file_as_standard_input);
    RUN(a_paused_file_rests);
    RUN(what_is_no_stream_is_refused);
    RUN(a_duplicate_leaves_the_callers_descriptor);
    RUN(h48_the_peer_of_a_connection_that_was_reset);
    RUN(h43_a_connect_that_fails_at_once);
    RUN(h43_no_callback_from_inside_of_a_call);
    RUN(h44_ping_pong_keeps_the_stack_flat);
    return harness_end();
}
