/* libpq on the loop: connecting, queries, LISTEN and NOTIFY, and a connection that is lost.
 *
 *   pg_listen CONNINFO [COUNT]
 *
 * One connection listens. When it does, another is opened: it asks some queries, among them one with a
 * parameter far larger than a socket's buffer, and notifies the first one COUNT times. At last it has the
 * server end the listener's session, which must be noticed although nothing is being asked (libpq prints
 * the server's last words). Ends with 0 when everything was as it should be. */
#define _GNU_SOURCE
#include "../adapters/tidegate_libpq.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_NS INT64_C(20000000000)
#define TIDES 1000000 /* the large parameter: so many times "tide" */

typedef enum parameter { NONE, LARGE, COUNT, LISTENER, PARAMETERS } parameter;

static const struct query {
    const char *sql, *expected; /* the first value of the answer; NULL: an error */
    parameter parameter;
} queries[] = {
    { "SELECT sum(n) FROM generate_series(1, 1000) n", "500500", NONE },
    { "SELECT $1 = repeat('tide', 1000000)", "t", LARGE },
    { "SELECT 1 / 0", NULL, NONE },
    { "SELECT 'row', repeat('x', 1000) FROM generate_series(1, $1::int)", "row", COUNT },
    { "SELECT pg_notify('tide', n::text) FROM generate_series(1, $1::int) n", "", COUNT },
    { "SELECT pg_terminate_backend($1::int)", "t", LISTENER },
};
#define QUERIES (sizeof queries / sizeof queries[0])

typedef struct program {
    tg_loop loop;
    tg_libpq listener, worker;
    const char *conninfo, *parameters[PARAMETERS];
    char number[24], pid[24];
    size_t next; /* the query that is asked, or will be */
    bool listening, asking, lost, wrong;
    long count, notified;
} program;

static void wrong(program *it, tg_libpq *db, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tg_libpq_error(db));
    it->wrong = true;
    tg_loop_stop(it->loop);
}

/* Asks the next query if its time has come: the last one, which ends the listener, waits for the notifications. */
static void proceed(program *it)
{
    const struct query *next = &queries[it->next];
    tg_libpq *db = &it->worker;
    if (it->asking || it->next == QUERIES) return;
    if (next->parameter == LISTENER && it->notified < it->count) return;
    it->asking = true;
    if (!PQsendQueryParams(db->conn, next->sql, next->parameter == NONE ? 0 : 1, NULL,
                           &it->parameters[next->parameter], NULL, NULL, 0) ||
        tg_libpq_flush(db) < 0)
        wrong(it, db, next->sql);
}

static bool right(const program *it, const PGresult *result)
{
    const struct query *asked = &queries[it->next];
    if (asked->expected == NULL) return PQresultStatus(result) == PGRES_FATAL_ERROR;
    return PQresultStatus(result) == PGRES_TUPLES_OK &&
           PQntuples(result) == (asked->parameter == COUNT ? it->count : 1) &&
           strcmp(PQgetvalue(result, 0, 0), asked->expected) == 0;
}

static void on_worker(tg_libpq *db)
{
    program *it = db->user;
    if (db->state == TG_LIBPQ_FAILED) {
        wrong(it, db, "worker");
        return;
    }
    while (it->asking && !PQisBusy(db->conn)) {
        PGresult *result = PQgetResult(db->conn);
        if (result != NULL) {
            if (!right(it, result)) wrong(it, db, queries[it->next].sql);
            PQclear(result);
        } else { /* the answer is complete */
            it->asking = false;
            it->next++;
        }
    }
    if (it->next == QUERIES) tg_libpq_close(db); /* inside its own callback */
    else proceed(it);
}

static void take_notifications(program *it, tg_libpq *db)
{
    PGnotify *notify;
    while ((notify = PQnotifies(db->conn)) != NULL) {
        bool in_order = strtol(notify->extra, NULL, 10) == ++it->notified;
        if (!in_order || strcmp(notify->relname, "tide") != 0) wrong(it, db, "another notification");
        PQfreemem(notify);
    }
}

static void on_listener(tg_libpq *db)
{
    program *it = db->user;
    if (db->state == TG_LIBPQ_FAILED) {
        it->lost = it->next + 1 >= QUERIES; /* by the last query */
        if (!it->lost) wrong(it, db, "listener");
        return; /* nothing is watched any more: the loop ends, and main closes it */
    }
    if (!it->asking && !it->listening) { /* connected */
        it->asking = true;
        snprintf(it->pid, sizeof it->pid, "%d", PQbackendPID(db->conn));
        if (!PQsendQuery(db->conn, "LISTEN tide") || tg_libpq_flush(db) < 0) wrong(it, db, "LISTEN");
        return;
    }
    while (!it->listening && !PQisBusy(db->conn)) {
        PGresult *result = PQgetResult(db->conn);
        if (result == NULL) {
            it->listening = true;
            it->asking = false;
            if (tg_libpq_open(&it->worker, it->loop, it->conninfo, CONNECT_NS, on_worker, it) < 0)
                wrong(it, &it->worker, "worker");
        } else if (PQresultStatus(result) != PGRES_COMMAND_OK) wrong(it, db, "LISTEN");
        PQclear(result);
    }
    if (!it->listening) return;
    take_notifications(it, db);
    if (it->worker.state == TG_LIBPQ_READY) proceed(it);
}

static char *tides(void)
{
    char *text = malloc(4 * (size_t)TIDES + 1);
    size_t i;
    if (text == NULL) return NULL;
    for (i = 0; i < TIDES; i++) memcpy(text + 4 * i, "tide", 4);
    text[4 * (size_t)TIDES] = '\0';
    return text;
}

int main(int argc, char **argv)
{
    program it;
    char *large = tides();
    int result, open_handles;
    if (argc < 2 || large == NULL) return fprintf(stderr, "usage: pg_listen CONNINFO [COUNT]\n"), 2;
    memset(&it, 0, sizeof it);
    it.conninfo = argv[1];
    it.count = argc > 2 ? strtol(argv[2], NULL, 10) : 1000;
    snprintf(it.number, sizeof it.number, "%ld", it.count);
    it.parameters[LARGE] = large;
    it.parameters[COUNT] = it.number;
    it.parameters[LISTENER] = it.pid;
    if (tg_loop_new(NULL, &it.loop) < 0) return fprintf(stderr, "%s\n", tg_last_error()), 1;
    if (tg_libpq_open(&it.listener, it.loop, it.conninfo, CONNECT_NS, on_listener, &it) < 0)
        wrong(&it, &it.listener, "connect");
    result = tg_loop_run(it.loop);
    if (it.listener.conn != NULL) tg_libpq_close(&it.listener);
    if (it.worker.conn != NULL) tg_libpq_close(&it.worker); /* after an error only */
    open_handles = tg_loop_free(it.loop);
    free(large);
    printf("%zu of %zu queries answered, %ld of %ld notifications, the ended session was %s, %d handles left\n",
           it.next, QUERIES, it.notified, it.count, it.lost ? "noticed" : "not noticed", open_handles);
    return result == 0 && open_handles == 0 && !it.wrong && it.lost && it.next == QUERIES &&
                   it.notified == it.count ? 0 : 1;
}
