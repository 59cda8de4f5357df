/* Listeners: every kind of address, Unix files, limits, and what happens when the system has no room. */
#include "conn_support.h"

/* ---- accept4 as this program wants it: the library's calls come here, too ---- */

static int failures[8], next_failure, accepts;

int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict length, int flags)
{
    accepts++;
    if (next_failure < 8 && failures[next_failure] != 0) {
        errno = failures[next_failure++];
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, address.__sockaddr__, length, flags);
}

static void fail_next(const int *errors, size_t count)
{
    memset(failures, 0, sizeof failures);
    for (size_t i = 0; i < count; i++) failures[i] = errors[i];
    next_failure = 0;
}

/* ---- Addresses ---- */

static void answer(tally *it, char what)
{
    if (what == 'd') CHECK_CODE(tg_conn_write(it->id, "pong", 4), 0);
}

/* A listener, a connection of the library's to it, and a word each way. */
static void greet(tg_address *where, const tg_address *call)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tally server = { .action = answer }, client = { .count = 0 };
    tg_conn_options accepted = conn_options(NULL), options = conn_options(&client);
    tg_listener_options listening = listener_options(&door, &accepted);
    tg_address local, peer, ours;
    tg_handle conn = 0, listener;
    accepted.release = NULL;
    door.guests = &server;
    door.room = 1;
    listener = listen_at(loop, where, &listening);
    ours = call == NULL ? *where : *call;
    ours.port = where->port;
    CHECK_CODE(tg_conn_connect(loop, &ours, &options, &conn), 0);
    CHECK_CODE(tg_conn_write(conn, "ping", 4), 0);
    UNTIL(loop, client.got == 4);
    CHECK(strcmp(server.order, "od") == 0);
    CHECK(strcmp(client.order, "od") == 0);
    CHECK_CODE(tg_conn_get_peer(conn, &peer), 0);
    CHECK(memcmp(&peer, &ours, sizeof peer) == 0);
    CHECK_CODE(tg_conn_get_local(conn, &local), 0);
    CHECK(memcmp(&local, &door.peer, sizeof local) == 0);
    CHECK_CODE(tg_conn_get_peer(server.id, &peer), 0);
    CHECK(memcmp(&peer, &local, sizeof peer) == 0);
    CHECK_CODE(tg_conn_get_local(server.id, &local), 0);
    CHECK(memcmp(&local, &ours, sizeof local) == 0);
    CHECK_CODE(tg_close(listener), 0);
    free_loop(loop, 2);
    CHECK_EQ(server.released + client.released + door.released, 3);
    tally_end(&server);
    tally_end(&client);
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 name = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0;
    if (fd >= 0) close(fd);
    return has;
}

/* mutation: `accept`, `peer_address` or tg_conn_get_local name a peer of IPv4 by a mapped address of IPv6. */
static void tcp_and_unix_addresses(void)
{
    tg_address where = address_of("127.0.0.1", 0), four = where;
    greet(&where, NULL);
    if (has_ipv6()) {
        where = address_of("::1", 0);
        greet(&where, NULL);
        where = address_of("::", 0);
        greet(&where, &four); /* IPv4 comes to an IPv6 listener */
    } else {
        SKIP_PART("listener-ipv6", "no IPv6 on this machine");
    }
    char name[64];
    int length = snprintf(name, sizeof name, "%ctidegate-test-%d", 0, (int)getpid());
    MUST(tg_address_unix(name, (size_t)length, &where) == 0);
    greet(&where, NULL);
}

static void an_ipv6_listener_for_ipv6_only(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tg_listener_options options = listener_options(&door, NULL);
    tg_address where = address_of("::", 0), four;
    tally client = { .count = 0 };
    tg_conn_options calling = conn_options(&client);
    tg_handle conn = 0;
    if (!has_ipv6()) {
        SKIP("listener-ipv6-only", "no IPv6 on this machine");
    } else {
        options.flags = TG_LISTENER_V6_ONLY;
        tg_handle listener = listen_at(loop, &where, &options);
        four = address_of("127.0.0.1", where.port);
        CHECK_CODE(tg_conn_connect(loop, &four, &calling, &conn), 0);
        UNTIL(loop, client.closed == 1);
        CHECK_CODE(client.reason, -ECONNREFUSED);
        CHECK_CODE(tg_close(listener), 0);
    }
    CHECK(tg_loop_free(loop) >= 0);
}

static char directory[64];

static tg_address path_in_directory(const char *file, char *path, size_t size)
{
    tg_address address;
    int length;
    if (directory[0] == '\0') {
        snprintf(directory, sizeof directory, "/tmp/tidegate-XXXXXX");
        MUST(mkdtemp(directory) != NULL);
    }
    length = snprintf(path, size, "%s/%s", directory, file);
    MUST(tg_address_unix(path, (size_t)length, &address) == 0);
    return address;
}

/* mutation: the file of a living server is replaced, that of a dead one is not; the file stays behind. */
static void files_of_unix_sockets(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tg_listener_options options = listener_options(&door, NULL);
    char path[128];
    struct stat stat;
    tg_address where = path_in_directory("socket", path, sizeof path);
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    tg_handle out = 7, listener;
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(name.sun_path, path, strlen(path));
    MUST(bind(dead, (struct sockaddr *)&name, sizeof name) == 0 && listen(dead, 1) == 0);
    CHECK_CODE(tg_listener_open(loop, &where, &options, &out), -EADDRINUSE);
    CHECK_EQ(out, 7);
    close(dead); /* its file stays */
    options.mode = 0600;
    tg_address no_file = address_of("127.0.0.1", 0);
    CHECK_CODE(tg_listener_open(loop, &no_file, &options, &out), TG_EINVAL);
    CHECK_EQ(out, 7);
    listener = listen_at(loop, &where, &options);
    MUST(lstat(path, &stat) == 0);
    CHECK_EQ(stat.st_mode & 0777, 0600);
    close(call_to(&where));
    UNTIL(loop, door.accepted == 1);
    CHECK_EQ(door.peer.family, TG_UNIX);
    CHECK_EQ(door.peer.path_length, 0);
    CHECK_CODE(tg_close(listener), 0);
    CHECK_EQ(lstat(path, &stat), -1);
    free_loop(loop, tg_loop_get_handles(loop, NULL, 0));
}

static void files_of_others_are_left_alone(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tg_listener_options options = listener_options(&door, NULL);
    char path[128];
    struct stat stat;
    tg_address where = path_in_directory("taken", path, sizeof path);
    tg_handle out = 7, listener;
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK_CODE(tg_listener_open(loop, &where, &options, &out), -EADDRINUSE);
    MUST(lstat(path, &stat) == 0 && S_ISREG(stat.st_mode));
    close(file);
    MUST(unlink(path) == 0);
    listener = listen_at(loop, &where, &options);
    MUST(unlink(path) == 0); /* somebody else puts something in its place */
    file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK_CODE(tg_close(listener), 0);
    CHECK_EQ(lstat(path, &stat), 0);
    close(file);
    MUST(unlink(path) == 0);
    where = path_in_directory("no/such", path, sizeof path);
    CHECK_CODE(tg_listener_open(loop, &where, &options, &out), -ENOENT);
    CHECK_EQ(out, 7);
    MUST(rmdir(directory) == 0);
    free_loop(loop, 0);
    CHECK_EQ(door.released, 1);
}

/* ---- What the program decides ---- */

static void on_accept_adopts(hall *it, tg_handle conn)
{
    CHECK_CODE(tg_handle_is_open(conn), 1);
    it->last_error = 0;
}

static void inherited_sockets(void)
{
    tg_loop loop = new_loop();
    hall door = { .action = on_accept_adopts };
    tg_listener_options options = listener_options(&door, NULL);
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tg_handle listener = 7;
    tg_address where;
    tg_fd same = -1;
    MUST(bind(fd, (struct sockaddr *)&name, sizeof name) == 0);
    CHECK_CODE(tg_listener_adopt(loop, fd, &options, &listener), TG_EINVAL); /* it does not listen */
    MUST(listen(fd, 5) == 0);
    options.backlog = 5;
    CHECK_CODE(tg_listener_adopt(loop, fd, &options, &listener), TG_EINVAL);
    CHECK_EQ(listener, 7);
    options.backlog = 0;
    CHECK_CODE(tg_listener_adopt(loop, fd, &options, &listener), 0);
    CHECK_CODE(tg_listener_get_fd(listener, &same), 0);
    CHECK_EQ(same, fd);
    CHECK_CODE(tg_listener_get_local(listener, &where), 0);
    close(call_to(&where));
    UNTIL(loop, door.accepted == 1);
    CHECK_CODE(tg_close(listener), 0);
    CHECK_CODE(tg_loop_run(loop), 0); /* the connection ends by itself */
    free_loop(loop, 0);
    CHECK_EQ(door.released, 1);
}

static void pausing_and_resuming(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tally it = { .count = 0 };
    tg_address where;
    tg_handle listener = listen_here(loop, &door, &it, 1, &where);
    int fd;
    CHECK_CODE(tg_listener_pause(listener), 0);
    fd = call_to(&where);
    CHECK_QUIET(loop);
    CHECK_EQ(door.accepted, 0);
    CHECK_CODE(tg_listener_resume(listener), 0);
    UNTIL(loop, it.opened == 1);
    CHECK_CODE(tg_listener_resume(listener), 0);
    free_loop(loop, 2);
    close(fd);
}

/* mutation: the count of open connections is not looked at, or closing one does not resume. */
static void as_many_as_max_conns(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tally guests[6];
    tg_conn_options conn = conn_options(NULL);
    tg_listener_options options = listener_options(&door, &conn);
    tg_address where = address_of("127.0.0.1", 0);
    tg_handle listener;
    uint32_t open = 7;
    int fds[6];
    memset(guests, 0, sizeof guests);
    conn.release = NULL;
    options.max_conns = 2;
    door.guests = guests;
    door.room = 6;
    listener = listen_at(loop, &where, &options);
    for (int i = 0; i < 6; i++) fds[i] = call_to(&where);
    UNTIL(loop, door.accepted == 2);
    for (int i = 0; i < 6; i++) {
        CHECK_QUIET(loop);
        CHECK_EQ(door.accepted, i < 4 ? i + 2 : 6);
        CHECK_CODE(tg_listener_get_conns(listener, &open), 0);
        CHECK_EQ(open, i < 5 ? 2 : 1);
        CHECK_CODE(tg_close(guests[i].id), 0);
    }
    CHECK_CODE(tg_listener_get_conns(listener, &open), 0);
    CHECK_EQ(open, 0);
    free_loop(loop, 1);
    for (int i = 0; i < 6; i++) close(fds[i]), CHECK_EQ(guests[i].released, 1);
}

/* mutation: closing the listener closes what it has accepted, or keeps the run from ending. */
static void h68_its_connections_outlive_the_listener(void)
{
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tally guests[3];
    tg_address where;
    tg_handle listener;
    int fds[3];
    char text[4];
    memset(guests, 0, sizeof guests);
    listener = listen_here(loop, &door, guests, 3, &where);
    for (int i = 0; i < 3; i++) fds[i] = call_to(&where);
    UNTIL(loop, guests[2].opened == 1);
    CHECK_CODE(tg_close(listener), 0);
    turns(loop, 1);
    CHECK_EQ(door.released, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_CODE(tg_conn_write(guests[i].id, "bye", 3), 0);
        CHECK_CODE(tg_conn_finish(guests[i].id), 0);
        CHECK_EQ(recv(fds[i], text, 3, MSG_WAITALL), 3);
        close(fds[i]);
    }
    CHECK_CODE(tg_loop_run(loop), 0);
    for (int i = 0; i < 3; i++) CHECK_CODE(guests[i].reason, 0);
    free_loop(loop, 0);
}

/* mutation: the sockets do not have SO_REUSEPORT. */
static void h33_two_listeners_share_a_port(void)
{
    tg_loop loop = new_loop();
    hall doors[2] = { { .errors = 0 }, { .errors = 0 } };
    tg_address where = address_of("127.0.0.1", 0);
    tg_handle out = 7;
    int fds[100];
    for (int i = 0; i < 2; i++) {
        tg_listener_options options = listener_options(&doors[i], NULL);
        options.flags = TG_LISTENER_REUSE_PORT;
        listen_at(loop, &where, &options);
    }
    tg_listener_options alone = listener_options(&doors[0], NULL);
    CHECK_CODE(tg_listener_open(loop, &where, &alone, &out), -EADDRINUSE);
    for (int i = 0; i < 100; i++) fds[i] = call_to(&where);
    UNTIL(loop, doors[0].accepted + doors[1].accepted == 100);
    /* By the hash of the addresses: less than a fifth for one of them is less likely than one in a thousand million. */
    CHECK(doors[0].accepted >= 20 && doors[1].accepted >= 20);
    for (int i = 0; i < 100; i++) close(fds[i]);
    free_loop(loop, 102);
}

/* ---- When it fails ---- */

/* mutation: an error of one connection ends the accepting, or is told. */
static void h22_errors_of_the_connection_that_was_waiting(void)
{
    static const int errors[] = { ECONNABORTED, EPROTO, EINTR, EPERM, ENETUNREACH, EHOSTDOWN };
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tally it = { .count = 0 };
    tg_address where;
    listen_here(loop, &door, &it, 1, &where);
    int fd = call_to(&where);
    fail_next(errors, 6);
    UNTIL(loop, it.opened == 1);
    CHECK_EQ(door.errors, 0);
    CHECK_EQ(next_failure, 6);
    free_loop(loop, 2);
    close(fd);
}

/* mutation: a listener that the system has no room for does not go on by itself. */
static void h22_h21_no_room_for_a_moment(void)
{
    static const int errors[] = { ENOBUFS, ENOMEM, ENFILE, EMFILE };
    for (int i = 0; i < 4; i++) {
        tg_loop loop = new_loop();
        hall door = { .errors = 0 };
        tally it = { .count = 0 };
        tg_address where;
        listen_here(loop, &door, &it, 1, &where);
        int fd = call_to(&where);
        fail_next(&errors[i], 1);
        UNTIL(loop, door.errors == 1);
        CHECK_CODE(door.last_error, -errors[i]);
        CHECK_EQ(door.accepted, 0);
        UNTIL(loop, it.opened == 1);
        CHECK_EQ(door.errors, 1);
        free_loop(loop, 2);
        close(fd);
    }
}

static void a_broken_listener_rests_until_it_is_closed(void)
{
    static const int error = EINVAL;
    tg_loop loop = new_loop();
    hall door = { .errors = 0 };
    tg_address where;
    tg_handle listener = listen_here(loop, &door, NULL, 0, &where);
    int fd = call_to(&where);
    fail_next(&error, 1);
    UNTIL(loop, door.errors == 1);
    CHECK_CODE(door.last_error, -EINVAL);
    CHECK_QUIET(loop);
    CHECK_EQ(door.errors, 1);
    CHECK_CODE(tg_close(listener), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    free_loop(loop, 0);
    close(fd);
}

int main(void)
{
    harness_begin();
    RUN(tcp_and_unix_addresses);
    RUN(an_ipv6_listener_for_ipv6_only);
    RUN(files_of_unix_sockets);
    RUN(files_of_others_are_left_alone);
    RUN(inherited_sockets);
    RUN(pausing_and_resuming);
    RUN(as_many_as_max_conns);
    RUN(h68_its_connections_outlive_the_listener);
    RUN(h33_two_listeners_share_a_port);
    RUN(h22_errors_of_the_connection_that_was_waiting);
    RUN(h22_h21_no_room_for_a_moment);
    RUN(a_broken_listener_rests_until_it_is_closed);
    return harness_end();
}
