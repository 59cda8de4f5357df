/* Fixtures of the tests of names, rate limits and descriptors on connections: what has come, and peers. */
#ifndef TIDEGATE_TEST_TALK_H
#define TIDEGATE_TEST_TALK_H

#include "support.h"

/* The user of a connection. */
typedef struct talk talk;
struct talk {
    tg_handle id;
    int opened, drains, eofs, written, closed, released, reason;
    size_t got;               /* bytes that were received */
    unsigned char bytes[256]; /* the first of them */
    int events;
    int batches, count;       /* of descriptors: times, and how many */
    size_t got_before;        /* bytes that had been received when the last ones came */
    tg_fd all[600];
    void (*action)(talk *, char what); /* run at the end of each callback */
};

static inline void talk_event(talk *it, tg_handle self, char what)
{
    if (it->id == 0) it->id = self;
    CHECK_EQ(self, it->id);
    CHECK_EQ(it->closed - (what == 'c'), 0); /* nothing comes behind the end */
    it->events++;
    if (it->action != NULL) it->action(it, what);
}

static inline void talk_opened(tg_handle self, void *user)
{
    ((talk *)user)->opened++;
    talk_event(user, self, 'o');
}

static inline void talk_data(tg_handle self, void *user, const void *data, size_t length)
{
    talk *it = user;
    size_t room = it->got < sizeof it->bytes ? sizeof it->bytes - it->got : 0;
    if (length < room) room = length;
    if (room > 0) memcpy(it->bytes + it->got, data, room);
    it->got += length;
    talk_event(it, self, 'd');
}

static inline void talk_eof(tg_handle self, void *user)
{
    ((talk *)user)->eofs++;
    talk_event(user, self, 'e');
}

static inline void talk_drain(tg_handle self, void *user)
{
    ((talk *)user)->drains++;
    talk_event(user, self, 'D');
}

static inline void talk_written(tg_handle self, void *user, uint64_t token, int status)
{
    (void)token, (void)status;
    ((talk *)user)->written++;
    talk_event(user, self, 'w');
}

static inline void talk_closed(tg_handle self, void *user, int reason)
{
    talk *it = user;
    it->closed++;
    it->reason = reason;
    talk_event(it, self, 'c');
}

static inline void talk_descriptors(tg_handle self, void *user, const tg_fd *descriptors, size_t count)
{
    talk *it = user;
    MUST((size_t)it->count + count <= sizeof it->all / sizeof it->all[0]);
    memcpy(it->all + it->count, descriptors, count * sizeof *descriptors);
    it->count += (int)count;
    it->batches++;
    it->got_before = it->got;
    talk_event(it, self, 'p');
}

static inline void talk_close_descriptors(talk *it)
{
    while (it->count > 0) CHECK_EQ(close(it->all[--it->count]), 0);
}

static inline void talk_released(void *user) { ((talk *)user)->released++; }

/* Without on_eof: the connection is finished at its peer's end. */
static inline tg_conn_options talk_options(talk *it)
{
    tg_conn_options options = TG_CONN_OPTIONS_INIT;
    options.on_open = talk_opened;
    options.on_data = talk_data;
    options.on_drain = talk_drain;
    options.on_written = talk_written;
    options.on_close = talk_closed;
    options.user = it;
    options.release = talk_released;
    return options;
}

static inline tg_handle talk_open_with(tg_loop loop, int fd, const tg_conn_options *options)
{
    tg_handle handle = 0;
    MUST(tg_conn_open(loop, fd, options, &handle) == 0);
    if (options->user != NULL) ((talk *)options->user)->id = handle;
    return handle;
}

static inline tg_handle talk_open(tg_loop loop, int fd, talk *it)
{
    tg_conn_options options = talk_options(it);
    return talk_open_with(loop, fd, &options);
}

/* A connection over one end of a pair; the other end is the test's. */
static inline tg_handle talk_with(tg_loop loop, talk *it, int *peer)
{
    int ends[2];
    make_pair(ends);
    *peer = ends[1];
    return talk_open(loop, ends[0], it);
}

/* Reads what is there without waiting; how many bytes. */
static inline size_t drink(int fd)
{
    static char bytes[65536];
    size_t all = 0;
    ssize_t got;
    while ((got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) all += (size_t)got;
    return all;
}

#endif
