/* 06: the same echo server without callbacks: one call takes commands, waits, and returns records.
 *
 *   06_batch_echo [PORT]          (0 or nothing: any free port; ends on SIGTERM or SIGINT)
 *
 * Learnt here: the shape for languages where a callback is dear. Records say what happened, each
 * with the user value of its handle; commands (close, new interest) are written into an array and
 * carried out by the next turn; the CLOSED record is the last of its id, so it frees. */
#include "echo.h"

typedef struct server {
    tg_loop loop;
    tg_batch *batch;
    tg_handle listener, pause;
    int fd;
    bool stopping;
} server;

/* At most two commands a record are written (256 records, 1024 submissions), so there is room. */
static void submit(server *it, uint32_t op, tg_handle handle, int64_t a)
{
    tg_submission *next = &it->batch->submissions[it->batch->submission_count++];
    memset(next, 0, sizeof *next);
    next->handle = handle;
    next->op = op;
    next->a = a;
}

static void accept_all(server *it)
{
    tg_io_options options = TG_IO_OPTIONS_INIT;
    tg_handle handle;
    echo_conn *conn;
    int result;
    while ((result = echo_accept(it->fd, &conn)) > 0) {
        options.user = conn; /* comes back as record.user */
        if (tg_io_open(it->loop, conn->fd, TG_READ, &options, &handle) >= 0) continue;
        echo_free(conn);
        result = -1;
        break;
    }
    if (result < 0) {
        submit(it, TG_SUBMIT_IO_INTEREST, it->listener, 0);
        submit(it, TG_SUBMIT_TIMER_START, it->pause, PAUSE_NS);
    }
}

static void on_conn(server *it, const tg_record *record, echo_conn *conn)
{
    if (record->value < 0 || !echo_step(conn))
        submit(it, TG_SUBMIT_CLOSE, record->handle, 0);
    else
        submit(it, TG_SUBMIT_IO_INTEREST, record->handle, echo_interest(conn));
}

static void on_record(server *it, const tg_record *record)
{
    echo_conn *conn = (echo_conn *)(uintptr_t)record->user; /* NULL: not a connection */
    if (record->kind == TG_RECORD_CLOSED) {
        if (conn != NULL) echo_free(conn);
    } else if (record->kind == TG_RECORD_SIGNAL) {
        it->stopping = true;
    } else if (record->kind == TG_RECORD_TIMER) {
        submit(it, TG_SUBMIT_IO_INTEREST, it->listener, TG_READ);
    } else if (record->kind == TG_RECORD_IO) {
        if (record->handle == it->listener) accept_all(it);
        else on_conn(it, record, conn);
    }
}

/* One call into the library for everything that happened since the last. */
static int turn(server *it)
{
    tg_batch *batch = it->batch;
    int result = tg_batch_turn(it->loop);
    while (result >= 0 && batch->record_cursor < batch->record_count)
        on_record(it, &batch->records[batch->record_cursor++]);
    return result;
}

/* Nobody calls a release here: what is open is closed, and its CLOSED records are taken. */
static int close_all(server *it)
{
    tg_handle open[64];
    int i, n;
    it->batch->timeout_ns = 0;
    while ((n = tg_loop_get_handles(it->loop, open, 64)) > 0) {
        for (i = 0; i < n && i < 64; i++) tg_close(open[i]);
        if (turn(it) < 0) return echo_failed("tg_batch_turn");
    }
    while ((n = turn(it)) > 0) { }
    return n;
}

int main(int argc, char **argv)
{
    tg_loop_options options = TG_LOOP_OPTIONS_INIT;
    server it = { 0, NULL, 0, 0, -1, false };
    tg_handle handle;
    int result = 0, port = parse_port(argc > 1 ? argv[1] : NULL);
    if (port < 0) return 2;
    options.flags = TG_LOOP_BATCH;
    options.batch_records = 256;
    if (tg_loop_new(&options, &it.loop) < 0) return echo_failed("tg_loop_new");
    it.fd = echo_listen(port);
    if (it.fd < 0 || tg_batch_get(it.loop, &it.batch) < 0 ||
        tg_io_open(it.loop, it.fd, TG_READ, NULL, &it.listener) < 0 ||
        tg_timer_open(it.loop, -1, 0, NULL, &it.pause) < 0 ||
        tg_signal_open(it.loop, SIGTERM, NULL, &handle) < 0 ||
        tg_signal_open(it.loop, SIGINT, NULL, &handle) < 0) return echo_failed("open");
    it.batch->timeout_ns = -1;
    while (!it.stopping && result >= 0) result = turn(&it);
    if (result < 0) return echo_failed("tg_batch_turn");
    result = close_all(&it);
    printf("closed, %d handles were open\n", tg_loop_free(it.loop));
    close(it.fd);
    return result < 0 ? 1 : 0;
}
