/* hiredis' asynchronous API on a Tidegate loop. Copy this file into your program; it is yours to change.
 *
 *     redisAsyncContext *redis = redisAsyncConnect(host, port);
 *     tg_hiredis_attach(loop, redis);              0, or a negative code: the context is still yours to free
 *     redisAsyncSetConnectCallback(redis, ...);    after attaching; then commands, as ever
 *
 * Owns    a watcher, and with hiredis 1.0 or newer a timer for its timeouts. Both go when hiredis gives the
 *         connection up: after redisAsyncDisconnect or redisAsyncFree, also inside callbacks, or when it is lost.
 *         A context that hiredis has freed is gone, so reconnecting means a new one, attached anew.
 *         Freeing the loop first is harmless: the context is then attached to nothing.
 * Threads all of it on the loop's thread. hiredis writes with write(): ignore SIGPIPE in your program. */
#ifndef TIDEGATE_HIREDIS_H
#define TIDEGATE_HIREDIS_H

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate.h>

typedef struct tg_hiredis {
    redisAsyncContext *context; /* NULL once hiredis has given it up: it may be freed memory by then */
    tg_loop loop;
    tg_handle watcher, timer;
    uint32_t interest;
} tg_hiredis;

static inline void tg_hiredis_want(tg_hiredis *it, uint32_t interest)
{
    it->interest = interest;
    tg_io_set_interest(it->watcher, interest); /* costs nothing when it does not differ */
}

static inline void tg_hiredis_add_read(void *data)
{
    tg_hiredis_want(data, ((tg_hiredis *)data)->interest | TG_READ);
}

static inline void tg_hiredis_del_read(void *data)
{
    tg_hiredis_want(data, ((tg_hiredis *)data)->interest & ~TG_READ);
}

static inline void tg_hiredis_add_write(void *data)
{
    tg_hiredis_want(data, ((tg_hiredis *)data)->interest | TG_WRITE);
}

static inline void tg_hiredis_del_write(void *data)
{
    tg_hiredis_want(data, ((tg_hiredis *)data)->interest & ~TG_WRITE);
}

/* From here on hiredis calls nothing of ours: the context has no event library any more. */
static inline void tg_hiredis_forget(tg_hiredis *it)
{
    if (it->context != NULL) memset(&it->context->ev, 0, sizeof it->context->ev);
    it->context = NULL;
}

/* hiredis gives the connection up, before it closes the descriptor. */
static inline void tg_hiredis_cleanup(void *data)
{
    tg_hiredis *it = data;
    tg_hiredis_forget(it); /* old versions would call this a second time */
    tg_close(it->timer);
    tg_close(it->watcher); /* the memory lives to the end of the turn: the callback below may still look at it */
}

static inline void tg_hiredis_release(void *user)
{
    tg_hiredis_forget(user); /* only when the loop was freed first */
    free(user);
}

static inline void tg_hiredis_on_ready(tg_handle self, void *user, uint32_t ready, int status)
{
    tg_hiredis *it = user;
    (void)self;
    if (status < 0) ready = TG_READ | TG_WRITE; /* somebody closed the descriptor: hiredis sees it and disconnects */
    if ((ready & TG_READ) != 0 && it->context != NULL) redisAsyncHandleRead(it->context);
    /* Reading may have freed the context, or ended the wish to write. */
    if ((ready & it->interest & TG_WRITE) != 0 && it->context != NULL) redisAsyncHandleWrite(it->context);
}

#if HIREDIS_MAJOR >= 1
static inline void tg_hiredis_on_timer(tg_handle self, void *user, uint64_t missed)
{
    tg_hiredis *it = user;
    (void)self, (void)missed;
    if (it->context != NULL) redisAsyncHandleTimeout(it->context);
}

static inline void tg_hiredis_schedule(void *data, struct timeval after)
{
    tg_hiredis *it = data;
    int64_t delay_ns = (int64_t)after.tv_sec * 1000000000 + (int64_t)after.tv_usec * 1000;
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    options.callback = tg_hiredis_on_timer;
    options.user = it;
    if (tg_timer_start(it->timer, delay_ns, 0) == TG_ESTALE) tg_timer_open(it->loop, delay_ns, 0, &options, &it->timer);
}
#endif

static inline int tg_hiredis_attach(tg_loop loop, redisAsyncContext *context)
{
    tg_io_options options = TG_IO_OPTIONS_INIT;
    tg_hiredis *it;
    int code;
    if (context->ev.data != NULL) return TG_EEXIST;
    it = calloc(1, sizeof *it);
    if (it == NULL) return TG_ENOMEM;
    options.callback = tg_hiredis_on_ready;
    options.user = it;
    options.release = tg_hiredis_release;
    code = tg_io_open(loop, context->c.fd, 0, &options, &it->watcher);
    if (code < 0) {
        free(it);
        return code;
    }
    it->context = context;
    it->loop = loop;
    context->ev.data = it;
    context->ev.addRead = tg_hiredis_add_read;
    context->ev.delRead = tg_hiredis_del_read;
    context->ev.addWrite = tg_hiredis_add_write;
    context->ev.delWrite = tg_hiredis_del_write;
    context->ev.cleanup = tg_hiredis_cleanup;
#if HIREDIS_MAJOR >= 1
    context->ev.scheduleTimer = tg_hiredis_schedule;
#endif
    return 0;
}

#endif
