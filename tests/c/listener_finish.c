/* Listeners that end in good order: whoever waits is accepted, then the listener is gone, whatever else holds it up. */
#include "talk.h"

#include <sys/resource.h>

/* The user of a listener, and of its connections. */
typedef struct hall {
    int accepted, released, errors, data;
    tg_handle last;
    bool close_them;
} hall;

static void on_accept(tg_handle self, void *user, tg_handle conn, const tg_address *peer)
{
    hall *it = user;
    (void)self;
    CHECK_EQ(peer->family, TG_IPV4);
    it->accepted++;
    it->last = conn;
    if (it->close_them) CHECK_CODE(tg_close(conn), 0);
}

static void on_error(tg_handle self, void *user, int status)
{
    (void)self, (void)status;
    ((hall *)user)->errors++;
}

static void hall_released(void *user) { ((hall *)user)->released++; }

static tg_handle hall_open(tg_loop loop, hall *it, uint32_t max_conns, tg_address *address)
{
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
    tg_handle handle = 0;
    memset(it, 0, sizeof *it);
    options.on_accept = on_accept;
    options.on_error = on_error;
    options.user = it;
    options.release = hall_released;
    options.max_conns = max_conns;
    options.backlog = 256;
    MUST(tg_address_parse("127.0.0.1", 0, address) == 0);
    MUST(tg_listener_open(loop, address, &options, &handle) == 0);
    MUST(tg_listener_get_local(handle, address) == 0);
    return handle;
}

/* Connects without a word; waits until the connection is in the listener's queue. -1: refused. */
static int call_at(const tg_address *address)
{
    struct sockaddr_storage where;
    int length = tg_address_to_sockaddr(address, &where, sizeof where);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0 && length > 0);
    if (connect(fd, (struct sockaddr *)&where, (socklen_t)length) == 0) return fd;
    CHECK_EQ(errno, ECONNREFUSED);
    close(fd);
    return -1;
}

static void hang_up(int *callers, int count)
{
    for (int i = 0; i < count; i++) close(callers[i]);
}

/* mutation: listener_finish does not see to it that its turn comes. */
static void an_empty_queue_closes_it_in_the_next_turn(void)
{
    hall it;
    tg_address address;
    tg_loop loop = new_loop();
    tg_handle listener = hall_open(loop, &it, 0, &address);
    turns(loop, 3);
    CHECK_EQ(tg_handle_is_open(listener), 1);
    CHECK_CODE(tg_listener_finish(listener), 0);
    CHECK_EQ(tg_handle_is_open(listener), 1);
    CHECK_CODE(tg_listener_finish(listener), 0); /* harmless */
    CHECK_EQ(tg_loop_run(loop), 0);
    CHECK_EQ(tg_handle_is_open(listener), 0);
    CHECK(it.accepted == 0 && it.released == 1 && it.errors == 0);
    CHECK_EQ(call_at(&address), -1);
    CHECK_CODE(tg_listener_finish(listener), TG_ESTALE);
    free_loop(loop, 0);
}

/* So many wait: all are accepted, nobody is reset, and then it is gone. A turn accepts 64. */
static void finish_with(int waiting, uint32_t max_conns, bool paused)
{
    int callers[130];
    hall it;
    tg_address address;
    char byte;
    tg_loop loop = new_loop();
    tg_handle listener = hall_open(loop, &it, max_conns, &address);
    it.close_them = max_conns != 0;
    if (paused) CHECK_CODE(tg_listener_pause(listener), 0);
    for (int i = 0; i < waiting; i++) callers[i] = call_at(&address);
    CHECK_CODE(tg_listener_finish(listener), 0);
    UNTIL(loop, tg_handle_is_open(listener) == 0);
    turns(loop, 2);
    CHECK_EQ(it.accepted, waiting);
    CHECK(it.released == 1 && it.errors == 0);
    CHECK_EQ(call_at(&address), -1);
    for (int i = 0; i < waiting; i++) {
        CHECK_EQ(recv(callers[i], &byte, 1, MSG_DONTWAIT), it.close_them ? 0 : -1);
        if (!it.close_them) CHECK_EQ(errno, EAGAIN);
    }
    hang_up(callers, waiting);
    if (!it.close_them) CHECK_EQ(tg_loop_run(loop), 0);
    free_loop(loop, 0);
}

/* mutation: it does not look again when it has accepted as many as it may in a turn. */
static void whoever_waits_is_accepted_first(void)
{
    static const int counts[] = { 1, 2, 63, 64, 65, 128, 130 };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) finish_with(counts[i], 0, false);
}

static void a_paused_one_accepts_those_who_wait_too(void) { finish_with(3, 0, true); }

static void more_wait_than_it_may_have_at_once(void)
{
    finish_with(5, 1, false);
    finish_with(100, 2, false);
}

/* It has all the connections that it may have, and nobody waits: it ends when one of them is closed, at the latest.
 * mutation: closing a connection does not let a listener that is finishing look again. */
static void at_its_limit_it_ends_when_there_is_room(void)
{
    hall it;
    tg_address address;
    int caller, second;
    tg_loop loop = new_loop();
    tg_handle listener = hall_open(loop, &it, 1, &address);
    caller = call_at(&address);
    UNTIL(loop, it.accepted == 1);
    CHECK_CODE(tg_listener_finish(listener), 0);
    turns(loop, 5);
    CHECK_QUIET(loop);
    close(caller);
    UNTIL(loop, tg_handle_is_open(listener) == 0);
    CHECK_EQ(tg_loop_run(loop), 0);
    listener = hall_open(loop, &it, 1, &address);
    caller = call_at(&address);
    UNTIL(loop, it.accepted == 1);
    second = call_at(&address);
    CHECK_CODE(tg_listener_finish(listener), 0);
    turns(loop, 5);
    CHECK_EQ(it.accepted, 1);
    close(caller);
    UNTIL(loop, it.accepted == 2);
    close(second);
    UNTIL(loop, tg_handle_is_open(listener) == 0);
    CHECK_EQ(tg_loop_run(loop), 0);
    CHECK_EQ(it.released, 1);
    free_loop(loop, 0);
}

/* Before its turn, and when it has accepted some of those who wait. */
static void closing_ends_it_at_any_moment(void)
{
    int callers[130];
    hall it;
    tg_address address;
    int accepted;
    tg_loop loop = new_loop();
    for (int moment = 0; moment < 2; moment++) {
        tg_handle listener = hall_open(loop, &it, 0, &address);
        for (int i = 0; i < 130; i++) callers[i] = call_at(&address);
        CHECK_CODE(tg_listener_finish(listener), 0);
        turns(loop, moment);
        accepted = it.accepted;
        CHECK(accepted < 130 && (accepted > 0) == (moment > 0));
        CHECK_CODE(tg_close(listener), 0);
        turns(loop, 2);
        CHECK_EQ(it.accepted, accepted);
        CHECK_EQ(it.released, 1);
        hang_up(callers, 130);
        CHECK_EQ(tg_loop_run(loop), 0);
    }
    free_loop(loop, 0);
}

/* Its socket was shut down behind its back: it can never find out that nobody waits.
 * mutation: `listener_broken` lets one that is finishing rest. */
static void one_that_is_broken_ends_too(void)
{
    for (int rests_first = 0; rests_first < 2; rests_first++) {
        tg_loop loop = new_loop();
        hall it;
        tg_address where;
        tg_handle listener = hall_open(loop, &it, 0, &where);
        tg_fd fd = -1;
        CHECK_CODE(tg_listener_get_fd(listener, &fd), 0);
        MUST(shutdown(fd, SHUT_RDWR) == 0);
        if (rests_first) UNTIL(loop, it.errors == 1);
        CHECK_CODE(tg_listener_finish(listener), 0);
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_EQ(tg_handle_is_open(listener), 0);
        CHECK_EQ(it.errors, 1 + rests_first);
        CHECK_EQ(it.released, 1);
        free_loop(loop, 0);
    }
}

/* Somebody else who has the socket takes the one who waited, with the descriptor that a connection has left. */
typedef struct thief {
    hall *hall;
    int socket, stolen;
} thief;

static void steal(tg_handle self, void *user)
{
    thief *it = user;
    CHECK_CODE(tg_close(it->hall->last), 0);
    it->stolen = accept(it->socket, NULL, NULL);
    MUST(it->stolen >= 0);
    CHECK_CODE(tg_close(self), 0);
}

/* It finds no descriptor for the one who waits, and in the end has nobody to wait for: nothing wakes it but itself.
 * mutation: `listener_conn_closed` ends its rest without a turn that it looks in. */
static void one_that_starves_ends_when_others_take_who_waited(void)
{
    hall it;
    thief other = { &it, -1, -1 };
    tg_address address;
    tg_hook_options hook = TG_HOOK_OPTIONS_INIT;
    struct rlimit before, none_left;
    int callers[2];
    tg_fd fd = -1;
    tg_handle check = 0, listener = 0;
    tg_loop loop;
    if (harness_slow()) {
        SKIP("one_that_starves_ends_when_others_take_who_waited", "valgrind closes what it accepts at the limit");
        return;
    }
    loop = new_loop();
    listener = hall_open(loop, &it, 0, &address);
    callers[0] = call_at(&address);
    UNTIL(loop, it.accepted == 1);
    callers[1] = call_at(&address);
    CHECK_CODE(tg_listener_get_fd(listener, &fd), 0);
    other.socket = dup(fd);
    MUST(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none_left = (struct rlimit){ (rlim_t)other.socket + 1, before.rlim_max };
    for (int number = 0; number <= other.socket; number++) MUST(fcntl(number, F_GETFD) >= 0);
    MUST(setrlimit(RLIMIT_NOFILE, &none_left) == 0);
    CHECK_CODE(tg_listener_finish(listener), 0);
    UNTIL(loop, it.errors == 1);
    hook.callback = steal;
    hook.user = &other;
    CHECK_CODE(tg_check_open(loop, &hook, &check), 0);
    CHECK_CODE(tg_loop_wake(loop), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(it.accepted == 1 && tg_handle_is_open(listener) == 0);
    MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
    close(other.stolen);
    close(other.socket);
    hang_up(callers, 2);
    free_loop(loop, 0);
}

static void records_of_those_who_waited(void)
{
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
    tg_address address;
    tg_handle listener = 0;
    tg_batch *batch = NULL;
    int callers[3], accepts = 0, ends = 0;
    tg_loop loop = new_batch_loop(64, 8);
    MUST(tg_batch_get(loop, &batch) == 0);
    MUST(tg_address_parse("127.0.0.1", 0, &address) == 0);
    CHECK_CODE(tg_listener_open(loop, &address, &options, &listener), 0);
    CHECK_CODE(tg_listener_get_local(listener, &address), 0);
    for (int i = 0; i < 3; i++) callers[i] = call_at(&address);
    CHECK_CODE(tg_listener_finish(listener), 0);
    while (tg_handle_is_open(listener) == 1 || ends == 0) {
        REQUIRE(tg_batch_turn(loop) >= 0);
        for (; batch->record_cursor < batch->record_count; batch->record_cursor++) {
            const tg_record *record = &batch->records[batch->record_cursor];
            if (record->handle != listener) continue;
            if (record->kind == TG_RECORD_ACCEPT) accepts++;
            if (record->kind == TG_RECORD_CLOSED) ends++;
        }
    }
    CHECK(accepts == 3 && ends == 1);
    hang_up(callers, 3);
    free_loop(loop, 3);
}

int main(void)
{
    harness_begin();
    RUN(an_empty_queue_closes_it_in_the_next_turn);
    RUN(whoever_waits_is_accepted_first);
    RUN(a_paused_one_accepts_those_who_wait_too);
    RUN(more_wait_than_it_may_have_at_once);
    RUN(at_its_limit_it_ends_when_there_is_room);
    RUN(closing_ends_it_at_any_moment);
    RUN(one_that_is_broken_ends_too);
    RUN(one_that_starves_ends_when_others_take_who_waited);
    RUN(records_of_those_who_waited);
    return harness_end();
}
