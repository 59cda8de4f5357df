/* Connections and listeners across fork(): in the child every call says TG_EFORKED; freeing there leaves
 * everything that is shared with the parent as it is; reopening makes them the child's as well. */
#include "conn_support.h"

#include "calls.h"

#include <pty.h>
#include <termios.h>

static bool is_about_conns(const char *symbol)
{
    return strncmp(symbol, "tg_conn_", 8) == 0 || strncmp(symbol, "tg_listener_", 12) == 0 ||
           strncmp(symbol, "tg_rate_", 8) == 0;
}

/* mutation: a call does not look whether the loop was inherited. */
static void h57_every_call_in_the_child_says_so(void)
{
    scene it;
    pid_t child;
    int counted = 0;
    scene_open(&it);
    child = harness_fork();
    if (child == 0) {
        for (size_t i = 0; i < CALLS; i++) {
            if (!is_about_conns(calls[i].symbol)) continue;
            counted++;
            CHECK_CODE(calls[i].make(&it), TG_EFORKED);
        }
        CHECK(counted >= 35);
        CHECK(tg_loop_free(it.loop) >= 0);
        harness_child_end();
    }
    harness_wait(child);
    CHECK_CODE(tg_conn_write(it.conn, "x", 1), 0);
    scene_close(&it);
}

static void release_nothing(void *data, size_t length, void *argument, int status)
{
    (void)data, (void)length;
    *(int *)argument += status == 0 ? 1 : 100;
}

/* mutation: freeing in the child resets, closes for both, or gives the parent's buffers away. */
static void h57_free_in_the_child_leaves_the_parents_connections(void)
{
    tg_loop loop = new_loop();
    tally left = { .count = 0 }, right = { .count = 0 }, waits = { .count = 0 }, peer = { .count = 0 };
    int ends[2], pair[2], full[2], freed = 0;
    static char lent[1000];
    size_t all;
    pid_t child;
    make_tcp(ends);
    make_tcp(pair);
    make_pair(full);
    open_conn(loop, ends[0], &left);
    open_conn(loop, pair[0], &right);
    open_conn(loop, full[0], &waits);
    CHECK_CODE(tg_conn_pipe(left.id, right.id), 0);
    all = write_until_waiting(waits.id, 1);
    CHECK(tg_conn_write_owned(waits.id, lent, sizeof lent, release_nothing, &freed) >= 0);
    turns(loop, 2);
    child = harness_fork();
    if (child == 0) {
        CHECK(tg_loop_free(loop) >= 0);
        CHECK_EQ(freed, 100); /* its copy of the memory is given back, too */
        CHECK_EQ(left.released + right.released + waits.released, 3);
        harness_child_end();
    }
    harness_wait(child);
    put(ends[1], "there");
    while (peer.got < 5 && left.closed + right.closed == 0) turns(loop, 1), drink(pair[1], &peer, NULL);
    put(pair[1], "back");
    while (peer.got < 9 && left.closed + right.closed == 0) turns(loop, 1), drink(ends[1], &peer, NULL);
    CHECK(memcmp(peer.data, "thereback", 9) == 0);
    peer.got = 0;
    while (peer.got < all + sizeof lent) turns(loop, 1), drink(full[1], &peer, NULL);
    turns(loop, 2);
    CHECK_EQ(freed, 1);
    CHECK_CODE(tg_close(left.id), 0);
    CHECK(tg_loop_free(loop) >= 0);
    close_both((int[2]){ ends[1], pair[1] });
    close(full[1]);
    tally_end(&peer);
}

/* mutation: freeing in the child makes the shared terminal, or pipe, as it was before the parent had it. */
static void h57_h38_free_in_the_child_leaves_the_terminal(void)
{
    tg_loop loop = new_loop();
    tally it = { .count = 0 }, file = { .count = 0 };
    struct termios now;
    int master, slave, shared;
    pid_t child;
    MUST(openpty(&master, &slave, NULL, NULL, NULL) == 0);
    shared = dup(slave);
    open_conn(loop, slave, &it);
    open_conn(loop, master, &file); /* cannot be opened anew: what others share does not block now */
    CHECK_CODE(tg_conn_set_raw(it.id, 1), 0);
    child = harness_fork();
    if (child == 0) {
        CHECK(tg_loop_free(loop) >= 0);
        harness_child_end();
    }
    harness_wait(child);
    MUST(tcgetattr(shared, &now) == 0);
    CHECK_EQ(now.c_lflag & (tcflag_t)(ICANON | ECHO), 0);
    CHECK(is_nonblocking(master));
    CHECK_CODE(tg_close(it.id), 0);
    CHECK(tg_loop_free(loop) >= 0);
    close(shared);
}

/* mutation: freeing in the child removes the file of the parent's listener. */
static void h57_the_file_of_a_listener_stays(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tg_listener_options options = listener_options(&door, NULL);
    char path[64];
    tg_address where;
    struct stat stat;
    pid_t child;
    snprintf(path, sizeof path, "/tmp/tidegate-fork-%d", (int)getpid());
    MUST(tg_address_unix(path, strlen(path), &where) == 0);
    listen_at(loop, &where, &options);
    child = harness_fork();
    if (child == 0) {
        CHECK(tg_loop_free(loop) >= 0);
        harness_child_end();
    }
    harness_wait(child);
    CHECK_EQ(lstat(path, &stat), 0);
    close(call_to(&where));
    UNTIL(loop, door.accepted == 1);
    CHECK(tg_loop_free(loop) >= 0);
    CHECK_EQ(lstat(path, &stat), -1);
}

static void answer_in_child(tally *it, char what)
{
    if (what == 'd') CHECK_CODE(tg_conn_write(it->id, "from the child", 14), 0);
}

/* mutation: reopening does not register the connections with the new poller object. */
static void h57_reopened_connections_work_in_the_child(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tally it = { .action = answer_in_child }, guest = { .action = answer_in_child };
    tg_address where;
    int ends[2], fd;
    char text[32];
    pid_t child;
    make_pair(ends);
    open_conn(loop, ends[0], &it);
    listen_here(loop, &door, &guest, 1, &where);
    turns(loop, 1);
    child = harness_fork();
    if (child == 0) {
        close(ends[1]);
        CHECK_CODE(tg_loop_reopen(loop), 0);
        UNTIL(loop, it.got > 0 && guest.got > 0);
        CHECK_CODE(tg_conn_finish(guest.id), 0);
        CHECK_CODE(tg_conn_finish(it.id), 0);
        UNTIL(loop, guest.closed == 1 && it.closed == 1);
        CHECK(tg_loop_free(loop) >= 0);
        tally_end(&it);
        tally_end(&guest);
        harness_child_end();
    }
    CHECK(tg_loop_free(loop) >= 0);
    fd = call_to(&where);
    put(fd, "x");
    CHECK_EQ(recv(fd, text, 14, MSG_WAITALL), 14);
    put(ends[1], "y");
    MUST(fcntl(ends[1], F_SETFL, 0) == 0);
    CHECK_EQ(recv(ends[1], text, 14, MSG_WAITALL), 14);
    close(fd);
    close(ends[1]);
    harness_wait(child);
}

/* A relay that moves much, in both processes at once. */
static void relay_much(tg_loop loop, uint64_t first)
{
    tally left = { .count = 0 }, right = { .count = 0 }, peer = { .count = 0 };
    const size_t all = 1000000 + (size_t)harness_scale(40000000);
    unsigned char *bytes = malloc(all);
    size_t sent = 0;
    int ends[2], pair[2];
    MUST(bytes != NULL);
    make_tcp(ends);
    make_tcp(pair);
    open_conn(loop, ends[0], &left);
    open_conn(loop, pair[0], &right);
    CHECK_CODE(tg_conn_pipe(left.id, right.id), 0);
    pattern(bytes, first, all);
    while (peer.got < all && left.closed + right.closed == 0) {
        ssize_t count = sent < all ? send(ends[1], bytes + sent, all - sent, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        if (count > 0) sent += (size_t)count;
        turns(loop, 1);
        drink(pair[1], &peer, NULL);
    }
    CHECK_EQ(peer.got, all);
    CHECK(peer.got == all && memcmp(peer.data, bytes, all) == 0);
    free(bytes);
    tally_end(&peer);
    CHECK_CODE(tg_conn_abort(left.id), 0);
    UNTIL(loop, right.closed == 1);
    close_both((int[2]){ ends[1], pair[1] });
}

/* mutation: the pipe through which relays move bytes is shared with the parent after reopening. */
static void h57_relays_of_parent_and_child_are_not_mixed(void)
{
    tg_loop loop = new_loop();
    pid_t child;
    relay_much(loop, 7);
    child = harness_fork();
    if (child == 0) {
        CHECK_CODE(tg_loop_reopen(loop), 0);
        relay_much(loop, 1);
        CHECK(tg_loop_free(loop) >= 0);
        harness_child_end();
    }
    relay_much(loop, 100);
    harness_wait(child);
    free_loop(loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(h57_every_call_in_the_child_says_so);
    RUN(h57_free_in_the_child_leaves_the_parents_connections);
    RUN(h57_h38_free_in_the_child_leaves_the_terminal);
    RUN(h57_the_file_of_a_listener_stays);
    RUN(h57_reopened_connections_work_in_the_child);
    RUN(h57_relays_of_parent_and_child_are_not_mixed);
    return harness_end();
}
