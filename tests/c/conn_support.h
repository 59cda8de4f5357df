/* Fixtures of the tests of connections and listeners: a user that notes everything, and peers. */
#ifndef TIDEGATE_TEST_CONN_SUPPORT_H
#define TIDEGATE_TEST_CONN_SUPPORT_H

#include "support.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/un.h>

/* What came on a connection, in which order, and the exactly-once release. */
typedef struct tally tally;
struct tally {
    tg_loop loop;
    tg_handle id;
    int opened, readable, eofs, drains, written, timeouts, closed, released;
    int reason, token_status;
    uint64_t token;
    uint32_t which;
    char order[512]; /* a letter a callback: o d r e D w t c */
    size_t events;
    unsigned char *data; /* everything that was received */
    size_t got, room;
    size_t frames;
    void (*action)(tally *, char what); /* run at the end of each callback */
    tally *other;
    int depth, count;
};

static inline void tally_note(tally *it, tg_handle self, char what)
{
    if (it->events < sizeof it->order - 1) it->order[it->events] = what;
    it->events++;
    if (it->id == 0) it->id = self;
    if (it->action != NULL) it->action(it, what);
}

static inline void tally_keep(tally *it, const void *data, size_t length)
{
    if (it->got + length > it->room) {
        it->room = (it->got + length) * 2;
        it->data = realloc(it->data, it->room);
        MUST(it->data != NULL);
    }
    if (length > 0) memcpy(it->data + it->got, data, length);
    it->got += length;
}

static inline void on_open(tg_handle self, void *user)
{
    ((tally *)user)->opened++;
    tally_note(user, self, 'o');
}

static inline void on_data(tg_handle self, void *user, const void *data, size_t length)
{
    tally *it = user;
    it->frames++;
    tally_keep(it, data, length);
    tally_note(it, self, 'd');
}

static inline void on_readable(tg_handle self, void *user)
{
    ((tally *)user)->readable++;
    tally_note(user, self, 'r');
}

static inline void on_eof(tg_handle self, void *user)
{
    ((tally *)user)->eofs++;
    tally_note(user, self, 'e');
}

static inline void on_drain(tg_handle self, void *user)
{
    ((tally *)user)->drains++;
    tally_note(user, self, 'D');
}

static inline void on_written(tg_handle self, void *user, uint64_t token, int status)
{
    tally *it = user;
    it->written++;
    it->token = token;
    it->token_status = status;
    tally_note(it, self, 'w');
}

static inline void on_timeout(tg_handle self, void *user, uint32_t which)
{
    tally *it = user;
    it->timeouts++;
    it->which = which;
    tally_note(it, self, 't');
}

static inline void on_close(tg_handle self, void *user, int reason)
{
    tally *it = user;
    it->closed++;
    it->reason = reason;
    tally_note(it, self, 'c');
}

static inline void tally_release(void *user) { ((tally *)user)->released++; }

static inline void tally_end(tally *it)
{
    free(it->data);
    it->data = NULL;
    it->got = it->room = 0;
}

/* Every callback but on_readable, which excludes on_data. */
static inline tg_conn_options conn_options(tally *it)
{
    tg_conn_options options = TG_CONN_OPTIONS_INIT;
    options.on_open = on_open;
    options.on_data = on_data;
    options.on_eof = on_eof;
    options.on_drain = on_drain;
    options.on_written = on_written;
    options.on_timeout = on_timeout;
    options.on_close = on_close;
    options.user = it;
    options.release = tally_release;
    return options;
}

static inline tg_handle open_conn_with(tg_loop loop, int fd, const tg_conn_options *options)
{
    tg_handle handle = 0;
    tally *it = options->user;
    MUST(tg_conn_open(loop, fd, options, &handle) == 0);
    if (it != NULL) it->loop = loop, it->id = handle;
    return handle;
}

static inline tg_handle open_conn(tg_loop loop, int fd, tally *it)
{
    tg_conn_options options = conn_options(it);
    return open_conn_with(loop, fd, &options);
}

/* The user of a listener. */
typedef struct hall {
    tg_loop loop;
    int accepted, errors, released, last_error;
    tg_handle last;
    tg_address peer;
    tally *guests; /* the next accepted one takes the next of these, if there are any */
    int room;
    void (*action)(struct hall *, tg_handle conn);
} hall;

static inline void on_accept(tg_handle self, void *user, tg_handle conn, const tg_address *peer)
{
    hall *it = user;
    (void)self;
    it->last = conn;
    it->peer = *peer;
    if (it->guests != NULL && it->accepted < it->room) {
        tally *guest = &it->guests[it->accepted];
        guest->loop = it->loop;
        guest->id = conn;
        CHECK_CODE(tg_handle_set_user(conn, guest, tally_release), 0);
    }
    it->accepted++;
    if (it->action != NULL) it->action(it, conn);
}

static inline void on_accept_error(tg_handle self, void *user, int status)
{
    hall *it = user;
    (void)self;
    it->errors++;
    it->last_error = status;
}

static inline void hall_release(void *user) { ((hall *)user)->released++; }

static inline tg_listener_options listener_options(hall *it, const tg_conn_options *conn)
{
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
    options.on_accept = on_accept;
    options.on_error = on_accept_error;
    options.user = it;
    options.release = hall_release;
    options.conn = conn;
    return options;
}

static inline tg_address address_of(const char *ip, uint16_t port)
{
    tg_address address;
    MUST(tg_address_parse(ip, port, &address) == 0);
    return address;
}

static inline tg_handle listen_at(tg_loop loop, tg_address *address, const tg_listener_options *options)
{
    tg_handle handle = 0;
    hall *it = options->user;
    MUST(tg_listener_open(loop, address, options, &handle) == 0);
    MUST(tg_listener_get_local(handle, address) == 0);
    if (it != NULL) it->loop = loop;
    return handle;
}

/* A listener on the loopback; `address` becomes where. */
static inline tg_handle listen_here(tg_loop loop, hall *it, tally *guests, int room, tg_address *address)
{
    tg_conn_options conn = conn_options(NULL);
    tg_listener_options options = listener_options(it, &conn);
    conn.release = NULL;
    it->guests = guests;
    it->room = room;
    *address = address_of("127.0.0.1", 0);
    return listen_at(loop, address, &options);
}

/* A plain socket connected to an address; blocking. */
static inline int call_to(const tg_address *address)
{
    struct sockaddr_storage where;
    int length = tg_address_to_sockaddr(address, &where, sizeof where);
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(length > 0 && fd >= 0);
    MUST(connect(fd, (struct sockaddr *)&where, (socklen_t)length) == 0);
    return fd;
}

static inline void set_nonblocking(int fd) { MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0); }

/* Bytes that tell where they stand. */
static inline unsigned char pattern_at(uint64_t place) { return (unsigned char)(place * 31 + (place >> 8) * 7 + (place >> 16)); }

static inline void pattern(unsigned char *bytes, uint64_t place, size_t length)
{
    for (size_t i = 0; i < length; i++) bytes[i] = pattern_at(place + i);
}

static inline bool is_pattern(const unsigned char *bytes, uint64_t place, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != pattern_at(place + i)) return false;
    return true;
}

/* A regular file of that many bytes of the pattern from a place on. */
static inline int pattern_file(uint64_t place, size_t length)
{
    int fd = temporary_file();
    unsigned char *bytes = malloc(length + 1);
    MUST(bytes != NULL);
    pattern(bytes, place, length);
    MUST(write(fd, bytes, length) == (ssize_t)length && lseek(fd, 0, SEEK_SET) == 0);
    free(bytes);
    return fd;
}

/* Reads what is there without waiting; how many bytes, and whether the end (or an error) was met. */
static inline size_t drink(int fd, tally *into, bool *ended)
{
    unsigned char bytes[65536];
    size_t all = 0;
    ssize_t got;
    while ((got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        tally_keep(into, bytes, (size_t)got);
        all += (size_t)got;
    }
    if (ended != NULL) *ended = got == 0 || (errno != EAGAIN && errno != EINTR);
    return all;
}

/* Writes without waiting until nothing more is taken. */
static inline size_t fill(int fd)
{
    static const char bytes[65536];
    size_t all = 0;
    ssize_t sent;
    while ((sent = send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) all += (size_t)sent;
    return all;
}

/* Writes the pattern until at least so many bytes wait in the library. */
static inline size_t write_until_waiting(tg_handle conn, size_t waiting)
{
    unsigned char bytes[16384];
    size_t place = 0;
    while (conn_stats(conn).queued < waiting) {
        pattern(bytes, place, sizeof bytes);
        if (tg_conn_write(conn, bytes, sizeof bytes) < 0) break;
        place += sizeof bytes;
    }
    return place;
}

static inline bool is_nonblocking(int fd) { return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

#endif
