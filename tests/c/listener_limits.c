/* More clients than descriptors, and one client that is faster than all others together. */
#include "conn_support.h"

#include <poll.h>

#define CLIENTS 500
#define DESCRIPTORS 64

/* In a child: all the clients at once. Each sends a byte, and is done when it gets one back or its connection ends;
 * how many got one. */
static int be_all_clients(const tg_address *where, bool ends_count)
{
    struct pollfd fds[CLIENTS];
    struct sockaddr_storage name;
    int length = tg_address_to_sockaddr(where, &name, sizeof name), answered = 0, open = CLIENTS;
    char byte;
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = (struct pollfd){ socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), POLLIN, 0 };
        MUST(fds[i].fd >= 0 && connect(fds[i].fd, (struct sockaddr *)&name, (socklen_t)length) == 0);
        MUST(send(fds[i].fd, "q", 1, MSG_NOSIGNAL) == 1 || ends_count);
    }
    while (open > 0) {
        MUST(poll(fds, CLIENTS, -1) > 0);
        for (int i = 0; i < CLIENTS; i++) {
            ssize_t got;
            if (fds[i].revents == 0) continue;
            got = recv(fds[i].fd, &byte, 1, MSG_DONTWAIT);
            if (got < 0 && errno == EAGAIN) continue;
            answered += got == 1;
            close(fds[i].fd);
            fds[i].fd = -1;
            open--;
        }
    }
    return answered;
}

/* The server: who is open is answered at once, or is kept waiting while `holding`. A "now" is answered even then. */
static tg_handle waiting[CLIENTS];
static int waiting_count, served, closed_conns;
static bool holding;

/* One that was open before all others: its end, the server's, and how often it has asked and was served. */
static struct {
    int fd;
    tg_fd other_end;
    int asked, served;
} regular;

static void serve(tg_handle self, void *user, const void *data, size_t length)
{
    (void)user;
    if (length == 3 && memcmp(data, "now", 3) == 0) {
        CHECK_CODE(tg_conn_write(self, "yes", 3), 0);
        regular.served++;
        return;
    }
    if (holding) {
        waiting[waiting_count++] = self;
        return;
    }
    served++;
    CHECK_CODE(tg_conn_write(self, "a", 1), 0);
}

static void serve_all(void)
{
    holding = false;
    for (int i = 0; i < waiting_count; i++) served++, CHECK_CODE(tg_conn_write(waiting[i], "a", 1), 0);
}

static void count_closed(tg_handle self, void *user, int reason)
{
    (void)self;
    (void)user;
    (void)reason;
    closed_conns++;
}

static struct rlimit limit_descriptors(rlim_t most)
{
    struct rlimit before, fewer;
    MUST(getrlimit(RLIMIT_NOFILE, &before) == 0);
    fewer = before;
    fewer.rlim_cur = most;
    MUST(setrlimit(RLIMIT_NOFILE, &fewer) == 0);
    return before;
}

static tg_handle open_server(tg_loop loop, hall *door, tg_address *where, uint32_t flags, tg_listener_error_cb on_error)
{
    tg_conn_options conn = TG_CONN_OPTIONS_INIT;
    tg_listener_options options = listener_options(door, &conn);
    conn.on_data = serve;
    conn.on_close = count_closed;
    options.on_error = on_error;
    options.flags = flags;
    *where = address_of("127.0.0.1", 0);
    served = closed_conns = waiting_count = 0;
    return listen_at(loop, where, &options);
}

/* A pipe over which the child tells how many were answered. */
static pid_t start_clients(const tg_address *where, int ends[2], bool ends_count)
{
    pid_t child;
    MUST(pipe2(ends, O_CLOEXEC) == 0);
    child = harness_fork();
    if (child == 0) {
        int answered;
        for (int fd = 3; fd < 60; fd++)
            if (fd != ends[1]) close(fd); /* the listener, among others */
        answered = be_all_clients(where, ends_count);
        MUST(write(ends[1], &answered, sizeof answered) == sizeof answered);
        harness_child_end();
    }
    close(ends[1]);
    return child;
}

static int answered_clients(int fd)
{
    int answered = -1;
    MUST(read(fd, &answered, sizeof answered) == sizeof answered);
    close(fd);
    return answered;
}

/* At the limit valgrind accepts, closes the connection, and says EMFILE: the client is lost before we know of it. */
static bool loses_clients_at_the_limit(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

/* The listener has just failed, and rests: the regular asks. Its question is there when this returns. */
static void ask_while_starved(tg_handle self, void *user, int status)
{
    struct pollfd there = { regular.other_end, POLLIN, 0 };
    on_accept_error(self, user, status);
    if (regular.asked == 3) return;
    put(regular.fd, "now");
    MUST(poll(&there, 1, -1) == 1);
    regular.asked++;
}

/* Waits for the listener's next failure; the turn after it serves the regular, while nothing has come free. */
static void served_while_starved(tg_loop loop, const hall *door)
{
    char answer[3];
    int asked = regular.asked, accepted = door->accepted;
    while (regular.asked == asked) CHECK(tg_loop_run_once(loop) >= 0);
    turns(loop, 1);
    REQUIRE(regular.served == asked + 1);
    CHECK(recv(regular.fd, answer, 3, MSG_WAITALL) == 3 && memcmp(answer, "yes", 3) == 0);
    CHECK_EQ(dup(regular.fd), -1);
    CHECK_EQ(errno, EMFILE);
    CHECK_EQ(door->accepted, accepted);
    CHECK_EQ(closed_conns + served, 0);
}

/* Nothing comes free for a while: few turns, and one that is open is served. Then all are.
 * mutation: a listener without descriptors does not rest, or rests for ever; while it rests, connections are not read from. */
static void h21_more_clients_than_descriptors(void)
{
    if (loses_clients_at_the_limit()) {
        SKIP("more clients than descriptors under valgrind", "valgrind closes what it accepts at the limit");
        return;
    }
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tg_address where;
    struct rlimit before;
    uint64_t turns_before;
    int ends[2], errors_before, accepted;
    pid_t child;
    tg_handle listener = open_server(loop, &door, &where, 0, ask_while_starved);
    holding = true;
    regular.fd = call_to(&where);
    UNTIL(loop, door.accepted == 1);
    CHECK_CODE(tg_conn_get_fd(door.last, &regular.other_end), 0);
    regular.asked = 3; /* not yet */
    child = start_clients(&where, ends, false);
    before = limit_descriptors(DESCRIPTORS);
    UNTIL(loop, door.errors >= 2 && waiting_count == door.accepted - 1);
    CHECK_CODE(door.last_error, -EMFILE);
    accepted = door.accepted;
    CHECK(accepted > 20 && accepted < DESCRIPTORS);
    CHECK_EQ(served, 0);
    regular.asked = regular.served = 0;
    for (int i = 0; i < 3; i++) served_while_starved(loop, &door);
    errors_before = door.errors;
    turns_before = stats_of(loop).turns;
    CHECK(tg_loop_run_until(loop, tg_now_ns() + 500 * MS) >= 0);
    CHECK(door.errors - errors_before <= 10); /* twenty a second at most */
    CHECK(stats_of(loop).turns - turns_before <= 10);
    CHECK_EQ(waiting_count, door.accepted - 1);
    serve_all();
    UNTIL(loop, closed_conns == CLIENTS);
    MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK_EQ(served, CLIENTS);
    close(regular.fd);
    UNTIL(loop, closed_conns == CLIENTS + 1);
    CHECK_EQ(answered_clients(ends[0]), CLIENTS);
    harness_wait(child);
    CHECK_CODE(tg_close(listener), 0);
    free_loop(loop, 0);
}

/* mutation: the descriptor that is kept for this is not given up, or not taken back. */
static void h21_shedding(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tg_address where;
    struct rlimit before;
    int ends[2], answered;
    pid_t child;
    tg_handle listener = open_server(loop, &door, &where, TG_LISTENER_SHED, on_accept_error);
    holding = true;
    child = start_clients(&where, ends, true);
    before = limit_descriptors(DESCRIPTORS);
    UNTIL(loop, door.errors >= 1 && waiting_count == door.accepted && door.accepted > 20);
    for (int i = 0; i < harness_scale(200); i++) turns(loop, 1);
    serve_all();
    CHECK_CODE(tg_loop_hold(loop), 0);
    struct pollfd told = { ends[0], POLLIN, 0 };
    while (poll(&told, 1, 0) == 0) CHECK(tg_loop_run_until(loop, tg_now_ns() + 5 * MS) >= 0);
    CHECK_CODE(tg_loop_unhold(loop), 0);
    answered = answered_clients(ends[0]);
    MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
    harness_wait(child);
    CHECK(answered >= 20 && answered < CLIENTS);
    CHECK(served >= answered);
    CHECK_CODE(tg_close(listener), 0);
    UNTIL(loop, closed_conns == door.accepted);
    free_loop(loop, 0);
}

/* The last descriptor is used up, but nobody is waiting for another one: Linux says EMFILE all the same.
 * mutation: that is told as a failure. */
static void h21_the_last_descriptor_is_no_failure(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tg_address where;
    tg_handle listener = open_server(loop, &door, &where, 0, on_accept_error);
    int client = call_to(&where), next = dup(client);
    struct rlimit before;
    MUST(next >= 0 && close(next) == 0);
    before = limit_descriptors((rlim_t)next + 1);
    UNTIL(loop, door.accepted == 1);
    turns(loop, 2);
    CHECK_QUIET(loop);
    CHECK_EQ(dup(client), -1); /* there was none left */
    CHECK_EQ(door.errors, 0);
    MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
    close(client);
    UNTIL(loop, closed_conns == 1);
    CHECK_CODE(tg_close(listener), 0);
    free_loop(loop, 0);
}

/* ---- One that is faster than the others ---- */

#define OTHERS 50

static int reads_of_flood, reads_of_others, rounds_unfair;
static bool others_ready;

static void on_flood(tally *it, char what)
{
    if (what != 'd') return;
    it->got = 0;
    /* Between two reads of the flood each of the others has had its turn. */
    if (others_ready && reads_of_flood > 0 && reads_of_others < OTHERS) rounds_unfair++;
    reads_of_flood++;
    reads_of_others = 0;
}

static void on_other(tally *it, char what)
{
    if (what != 'd') return;
    it->got = 0;
    reads_of_others++;
}

/* mutation: a connection is read until nothing is left. */
static void h23_a_flood_leaves_the_others_their_turn(void)
{
    tg_loop loop = new_loop();
    static tally flood, others[OTHERS];
    int ends[2], pairs[OTHERS][2];
    make_pair(ends);
    flood.action = on_flood;
    open_conn(loop, ends[0], &flood);
    for (int i = 0; i < OTHERS; i++) {
        make_pair(pairs[i]);
        others[i].action = on_other;
        open_conn(loop, pairs[i][0], &others[i]);
    }
    turns(loop, 1);
    others_ready = true;
    reads_of_others = OTHERS;
    for (int round = 0; round < 100; round++) {
        int before = reads_of_flood;
        fill(ends[1]);
        for (int i = 0; i < OTHERS; i++) put(pairs[i][1], "x");
        turns(loop, 1);
        CHECK_EQ(reads_of_flood - before, 1); /* although more was there than it was given */
    }
    CHECK_EQ(rounds_unfair, 0);
    free_loop(loop, OTHERS + 1);
    close(ends[1]);
    tally_end(&flood);
    for (int i = 0; i < OTHERS; i++) close(pairs[i][1]), tally_end(&others[i]);
}

int main(void)
{
    harness_begin();
    RUN(h21_more_clients_than_descriptors);
    RUN(h21_shedding);
    RUN(h21_the_last_descriptor_is_no_failure);
    RUN(h23_a_flood_leaves_the_others_their_turn);
    return harness_end();
}
