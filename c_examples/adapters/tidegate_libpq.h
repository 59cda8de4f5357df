/* A libpq connection on a Tidegate loop. Copy this file into your program; it is yours to change.
 *
 *     static void event(tg_libpq *db) { ... }        called when connecting has ended, and after each arrival
 *
 *     tg_libpq db;
 *     tg_libpq_open(&db, loop, "host=... dbname=...", 5000000000, event, user);     0, or -1: event is never called
 *     tg_libpq_error(&db);                                   why that was so, or db.state is TG_LIBPQ_FAILED
 *     ... in event: look at db.state; if TG_LIBPQ_READY, take what has come by PQisBusy, PQgetResult and PQnotifies
 *     PQsendQuery(db.conn, "..."), tg_libpq_flush(&db);      always as a pair
 *     tg_libpq_close(&db);                                   at any time, in event as well, once; after -1, too
 *
 * Owns    the PGconn and a watcher. `db` must stay where it is until tg_libpq_close.
 * Threads all of it on the loop's thread. libpq looks host names up while everybody waits: give hostaddr. */
#ifndef TIDEGATE_LIBPQ_H
#define TIDEGATE_LIBPQ_H

#include <libpq-fe.h>
#include <tidegate.h>

typedef enum tg_libpq_state {
    TG_LIBPQ_CONNECTING,
    TG_LIBPQ_READY,
    TG_LIBPQ_FAILED /* could not connect, or lost: tg_libpq_error says why; what came can still be taken */
} tg_libpq_state;

typedef struct tg_libpq tg_libpq;
typedef void (*tg_libpq_event)(tg_libpq *db);

struct tg_libpq {
    tg_loop loop;
    PGconn *conn;
    tg_handle watcher;
    tg_libpq_state state;
    int error;          /* TG_ETIMEDOUT: the server was silent while connecting; else 0, or another of the loop's */
    int64_t timeout_ns; /* how long it may be silent then; -1: for ever */
    tg_libpq_event event;
    void *user; /* for event: nothing here looks at it */
};

static inline void tg_libpq_on_ready(tg_handle self, void *user, uint32_t ready, int status);

/* What went wrong last, in words, until the next call with db. */
static inline const char *tg_libpq_error(const tg_libpq *db)
{
    return db->error != 0 ? tg_strerror(db->error) : PQerrorMessage(db->conn);
}

static inline void tg_libpq_unwatch(tg_libpq *db)
{
    if (db->watcher != 0) tg_close(db->watcher);
    db->watcher = 0;
}

/* A watcher for the socket as it is now. While connecting libpq may close its socket and open another, for the next
 * host or another way to connect. That one can have the same number, so comparing numbers would not show it. */
static inline int tg_libpq_watch(tg_libpq *db, uint32_t interest)
{
    tg_io_options options = TG_IO_OPTIONS_INIT;
    options.callback = tg_libpq_on_ready;
    options.user = db;
    options.timeout_ns = db->state == TG_LIBPQ_CONNECTING ? db->timeout_ns : -1;
    tg_libpq_unwatch(db);
    return tg_io_open(db->loop, PQsocket(db->conn), interest, &options, &db->watcher);
}

static inline void tg_libpq_fail(tg_libpq *db, int error)
{
    tg_libpq_unwatch(db);
    db->state = TG_LIBPQ_FAILED;
    db->error = error;
}

/* Hands what is to be sent to the socket. What does not fit is sent when it does. */
static inline int tg_libpq_flush(tg_libpq *db)
{
    int left = db->state == TG_LIBPQ_READY ? PQflush(db->conn) : -1;
    if (left < 0) return -1; /* tg_libpq_error says why; a lost connection is reported by event as well */
    /* While sending libpq must also read, or both sides may wait for each other. */
    return tg_io_set_interest(db->watcher, left > 0 ? TG_READ | TG_WRITE : TG_READ);
}

/* One step of connecting. True when there is something to tell. */
static inline bool tg_libpq_connect_step(tg_libpq *db)
{
    PostgresPollingStatusType wish = PQconnectPoll(db->conn);
    int code;
    if (wish == PGRES_POLLING_FAILED) {
        tg_libpq_fail(db, 0);
        return true;
    }
    if (wish == PGRES_POLLING_OK) {
        PQsetnonblocking(db->conn, 1);
        db->state = TG_LIBPQ_READY;
    }
    code = tg_libpq_watch(db, wish == PGRES_POLLING_WRITING ? TG_WRITE : TG_READ);
    if (code < 0) tg_libpq_fail(db, code);
    return db->state != TG_LIBPQ_CONNECTING;
}

static inline void tg_libpq_on_ready(tg_handle self, void *user, uint32_t ready, int status)
{
    tg_libpq *db = user;
    bool tell = true;
    (void)self;
    if (status < 0) tg_libpq_fail(db, status); /* a timeout, or somebody closed the descriptor */
    else if (db->state == TG_LIBPQ_CONNECTING) tell = tg_libpq_connect_step(db);
    else {
        tell = (ready & TG_READ) != 0;
        if (tell && PQconsumeInput(db->conn) == 0 && PQstatus(db->conn) == CONNECTION_BAD) tg_libpq_fail(db, 0);
        else tg_libpq_flush(db);
    }
    if (tell) db->event(db); /* may close and free db: it is the last use */
}

static inline void tg_libpq_close(tg_libpq *db)
{
    tg_libpq_unwatch(db);
    PQfinish(db->conn);
    db->conn = NULL;
}

static inline int tg_libpq_open(tg_libpq *db, tg_loop loop, const char *conninfo, int64_t timeout_ns,
                                tg_libpq_event event, void *user)
{
    int code;
    db->loop = loop;
    db->watcher = 0;
    db->state = TG_LIBPQ_CONNECTING;
    db->error = 0;
    db->timeout_ns = timeout_ns;
    db->event = event;
    db->user = user;
    db->conn = PQconnectStart(conninfo);
    if (db->conn == NULL) tg_libpq_fail(db, TG_ENOMEM);
    else if (PQstatus(db->conn) == CONNECTION_BAD) tg_libpq_fail(db, 0); /* there is no socket to wait for */
    else if ((code = tg_libpq_watch(db, TG_WRITE)) < 0) tg_libpq_fail(db, code); /* as if libpq had asked to write */
    return db->state == TG_LIBPQ_FAILED ? -1 : 0;
}

#endif
