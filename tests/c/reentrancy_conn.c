/* What a program may do from inside of each callback of a connection and a listener, and from the functions that
 * give memory back: close itself, another one, both twice, abort, finish, free the loop, try to run it. */
#include "conn_support.h"

/* ---- What is done ---- */

typedef struct stage {
    tg_loop loop;
    tally it, other; /* `it` is the one whose callback acts */
    hall door;
    int peer, other_peer;
    tg_handle listener;
    char at;          /* in which callback */
    int done, late;   /* how often it acted; callbacks of `it` after it was closed there */
    bool gone, freed; /* it was closed; the loop was */
    void (*act)(struct stage *);
} stage;

static stage on; /* one at a time: callbacks find it here */

static void close_self(stage *it)
{
    CHECK_CODE(tg_close(it->it.id), 0);
    CHECK_CODE(tg_close(it->it.id), TG_ESTALE);
    CHECK_CODE(tg_conn_write(it->it.id, "x", 1), TG_ESTALE);
    it->gone = true;
}

static void abort_self(stage *it)
{
    CHECK_CODE(tg_conn_abort(it->it.id), 0);
    CHECK_CODE(tg_conn_finish(it->it.id), TG_ESTALE);
    it->gone = true;
}

static void finish_self(stage *it)
{
    CHECK_CODE(tg_conn_finish(it->it.id), 0);
    CHECK_CODE(tg_conn_finish(it->it.id), 0);
}

static void close_other(stage *it)
{
    CHECK_CODE(tg_close(it->other.id), 0);
    CHECK_CODE(tg_close(it->other.id), TG_ESTALE);
}

static void close_everything(stage *it)
{
    (void)tg_close(it->listener);
    close_other(it);
    close_self(it);
}

static void free_the_loop(stage *it)
{
    CHECK(tg_loop_free(it->loop) >= 0);
    it->freed = true; /* at the end of the run: the turn goes on */
}

static void run_inside(stage *it)
{
    CHECK_CODE(tg_loop_run(it->loop), TG_EREENTRANT);
    CHECK_CODE(tg_loop_run_nowait(it->loop), TG_EREENTRANT);
}

static void write_and_pause(stage *it)
{
    CHECK(tg_conn_write(it->it.id, "more", 4) >= -4096);
    CHECK_CODE(tg_conn_pause(it->it.id), 0);
    CHECK(tg_conn_mark(it->it.id, 9) <= 0);
    CHECK_CODE(tg_conn_resume(it->it.id), 0);
    CHECK_CODE(tg_conn_set_framing(it->it.id, TG_FRAMING_LINES, 0), 0);
}

static void pipe_both(stage *it) { (void)tg_conn_pipe(it->it.id, it->other.id); }

static void replace_self(stage *it)
{
    tg_conn_options options = conn_options(NULL);
    tg_handle fresh = 0;
    int ends[2];
    close_self(it);
    make_pair(ends); /* the same number, most probably */
    options.release = NULL;
    options.on_open = NULL;
    options.on_data = NULL;
    options.on_eof = NULL;
    options.on_close = NULL;
    options.user = NULL;
    CHECK_CODE(tg_conn_open(it->loop, ends[0], &options, &fresh), 0);
    close(ends[1]);
}

static void (*const acts[])(stage *) = { close_self,      abort_self, finish_self,     close_other, close_everything,
                                         free_the_loop,   run_inside, write_and_pause, pipe_both,   replace_self };
static const char *const act_names[] = { "close_self",    "abort_self", "finish_self",     "close_other", "close_everything",
                                         "free_the_loop", "run_inside", "write_and_pause", "pipe_both",   "replace_self" };

static void act_at(tally *it, char what)
{
    if (on.gone) on.late++;
    if (what != on.at || on.done++ > 0) return;
    CHECK(it == &on.it);
    on.act(&on);
}

/* ---- How each callback is brought about ---- */

static void bring_about(char what)
{
    if (what == 'd' || what == 'r') put(on.peer, "1\n2\n3\n");
    if (what == 'e') MUST(shutdown(on.peer, SHUT_WR) == 0);
    if (what == 'w') CHECK_CODE(tg_conn_mark(on.it.id, 1), 0);
    if (what == 'D') write_until_waiting(on.it.id, 2000);
    if (what == 'c') reset_tcp(on.peer), on.peer = -1;
}

static void open_stage(char what)
{
    tg_conn_options options = conn_options(&on.it);
    tg_address where;
    int ends[2];
    on.loop = new_loop();
    make_tcp(ends);
    on.peer = ends[1];
    if (what == 'r') options.on_data = NULL, options.on_readable = on_readable;
    if (what == 'd') options.framing = TG_FRAMING_LINES;
    if (what == 'D') options.high_watermark = 1000;
    if (what == 't') options.idle_timeout_ns = MS;
    on.it.action = act_at;
    open_conn_with(on.loop, ends[0], &options);
    make_pair(ends);
    on.other_peer = ends[1];
    open_conn(on.loop, ends[0], &on.other);
    put(on.other_peer, "also ready");
    on.listener = listen_here(on.loop, &on.door, NULL, 0, &where);
    bring_about(what);
}

/* Goes on until it has acted and for some turns more; then everything is freed. */
static void play(void)
{
    tally drunk = { .count = 0 };
    for (int i = 0; i < 100000 && on.done == 0; i++) {
        if (on.at == 'D') drink(on.peer, &drunk, NULL);
        CHECK(tg_loop_run_nowait(on.loop) >= 0);
    }
    CHECK(on.done >= 1);
    for (int i = 0; i < 5 && !on.freed; i++) turns(on.loop, 1);
    if (!on.freed) CHECK(tg_loop_free(on.loop) >= 0);
    CHECK_CODE(tg_loop_run(on.loop), TG_ESTALE);
    CHECK_EQ(on.late, 0);
    CHECK_EQ(on.it.released, 1);
    CHECK_EQ(on.other.released, 1);
    CHECK_EQ(on.door.released, 1);
    if (on.peer >= 0) close(on.peer);
    close(on.other_peer);
    tally_end(&drunk);
    tally_end(&on.it);
    tally_end(&on.other);
}

/* mutation: after a callback the connection is used without being looked up again; its buffers or its user are
 * given back twice, or never. */
static void h02_h03_h18_everything_in_every_callback(void)
{
    static const char kinds[] = "odreDwtc";
    for (const char *kind = kinds; *kind != '\0'; kind++)
        for (size_t act = 0; act < sizeof acts / sizeof acts[0]; act++) {
            int bad_before = harness_bad;
            memset(&on, 0, sizeof on);
            on.at = *kind;
            on.act = acts[act];
            open_stage(*kind);
            play();
            if (harness_bad != bad_before) printf("# of %s in '%c'\n", act_names[act], *kind);
        }
}

/* ---- In the callbacks of listeners ---- */

static void act_of_listener(hall *it, tg_handle conn)
{
    (void)it;
    on.it.id = conn;
    if (on.done++ == 0) on.act(&on);
}

static void close_listener(stage *it)
{
    CHECK_CODE(tg_close(it->listener), 0);
    CHECK_CODE(tg_close(it->listener), TG_ESTALE);
    CHECK_CODE(tg_listener_pause(it->listener), TG_ESTALE);
}

static void close_accepted(stage *it) { CHECK_CODE(tg_close(it->it.id), 0); }

static void close_both_of_them(stage *it)
{
    close_accepted(it);
    close_listener(it);
}

static void finish_accepted(stage *it) { CHECK_CODE(tg_conn_finish(it->it.id), 0); }
static void pause_listener(stage *it) { CHECK_CODE(tg_listener_pause(it->listener), 0); }

static void (*const listener_acts[])(stage *) = { close_listener,  close_accepted, close_both_of_them, finish_accepted,
                                                  pause_listener,  free_the_loop,  run_inside };

/* mutation: accepting goes on with a listener that a callback has closed. */
static void h02_h03_everything_in_on_accept(void)
{
    for (size_t act = 0; act < sizeof listener_acts / sizeof listener_acts[0]; act++) {
        tally guests[3];
        tg_address where;
        int fds[3];
        memset(&on, 0, sizeof on);
        memset(guests, 0, sizeof guests);
        on.loop = new_loop();
        on.act = listener_acts[act];
        on.door.action = act_of_listener;
        on.listener = listen_here(on.loop, &on.door, guests, 3, &where);
        for (int i = 0; i < 3; i++) fds[i] = call_to(&where);
        for (int i = 0; i < 100000 && on.done == 0; i++) CHECK(tg_loop_run_nowait(on.loop) >= 0);
        for (int i = 0; i < 3 && !on.freed; i++) turns(on.loop, 1);
        if (!on.freed) CHECK(tg_loop_free(on.loop) >= 0);
        CHECK_EQ(on.door.released, 1);
        for (int i = 0; i < on.door.accepted; i++) CHECK_EQ(guests[i].released, 1);
        for (int i = 0; i < 3; i++) close(fds[i]), tally_end(&guests[i]);
    }
}

/* ---- In the functions that give memory back ---- */

static int given_back;

static void act_when_given_back(void *data, size_t length, void *argument, int status)
{
    (void)data, (void)length, (void)argument, (void)status;
    if (given_back++ == 0) on.act(&on);
}

static void close_self_if_open(stage *it)
{
    if (tg_handle_is_open(it->it.id) == 1) CHECK_CODE(tg_close(it->it.id), 0);
}

static void write_again(stage *it)
{
    static char bytes[10];
    if (given_back < 10) (void)tg_conn_write_owned(it->it.id, bytes, sizeof bytes, act_when_given_back, NULL);
}

static void (*const free_acts[])(stage *) = { close_self_if_open, close_other, write_again, free_the_loop, run_inside };

/* mutation: what is given back is taken from a list that the function may change. */
static void h03_everything_in_a_free_function(void)
{
    static char bytes[1000];
    for (size_t act = 0; act < sizeof free_acts / sizeof free_acts[0]; act++)
        for (int closed = 0; closed < 2; closed++) {
            memset(&on, 0, sizeof on);
            given_back = 0;
            open_stage('?');
            on.act = free_acts[act];
            turns(on.loop, 1);
            if (closed == 1) write_until_waiting(on.it.id, 1);
            for (int i = 0; i < 3; i++)
                CHECK(tg_conn_write_owned(on.it.id, bytes, sizeof bytes, act_when_given_back, NULL) >= 0);
            if (closed == 1) CHECK_CODE(tg_close(on.it.id), 0);
            for (int i = 0; i < 5 && !on.freed; i++) turns(on.loop, 1);
            on.done = 1;
            CHECK(given_back >= 3);
            if (!on.freed) CHECK(tg_loop_free(on.loop) >= 0);
            CHECK_EQ(on.it.released + on.other.released + on.door.released, 3);
            close_both((int[2]){ on.peer, on.other_peer });
            tally_end(&on.it);
            tally_end(&on.other);
        }
}

int main(void)
{
    harness_begin();
    RUN(h02_h03_h18_everything_in_every_callback);
    RUN(h02_h03_everything_in_on_accept);
    RUN(h03_everything_in_a_free_function);
    return harness_end();
}
