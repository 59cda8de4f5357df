/* Connections by name that are under way at a fork: the look-up's thread and its answer are the parent's, and the attempts
 * are shared. In the child every call says so, freeing leaves them alone, and reopening ends them; the parent connects. */
#include "name_answers.h"

#include <poll.h>

/* Where it is at the fork. */
enum stage { QUEUED, LOOKING_UP, LOOKED_UP, TRYING, STAGES };
/* As many names as the library looks up at once (RESOLVE_THREADS in reactor/src/event_loop/limits.rs). */
enum { LOOK_UPS = 8 };
/* What the child does. */
enum way { FREE, END_ON_REOPENING, CLOSE_AFTER_REOPENING, WAYS };

typedef struct scene {
    enum stage stage;
    tg_loop loop;
    talk user;
    counter others[LOOK_UPS];      /* look-ups that keep all threads busy while it is QUEUED */
    gate at;
    hole nowhere;                  /* where it tries, until somebody is let in there */
    int listening;                 /* where it gets at once */
    struct sockaddr_storage where;
    int fds;                       /* open before there was a loop */
    int opened;                    /* how many more at the fork; valgrind itself has fewer in a child */
} scene;

static tg_handle connect_by_name(tg_loop loop, talk *user)
{
    tg_conn_options options = talk_options(user);
    CHECK_CODE(tg_conn_connect_name(loop, "name", "service", &options, &user->id), 0);
    return user->id;
}

static void look_up(tg_loop loop, counter *user)
{
    tg_resolve_options options = TG_RESOLVE_OPTIONS_INIT;
    tg_handle handle = 0;
    options.callback = on_resolved;
    options.user = user;
    options.release = counter_release;
    MUST(tg_resolve_open(loop, "name", "service", &options, &handle) == 0);
}

static void scene_open(scene *it, enum stage stage)
{
    memset(it, 0, sizeof *it);
    it->stage = stage;
    it->at = (gate)GATE_INIT;
    hole_open(&it->nowhere);
    it->listening = listen_on("127.0.0.1", 5, &it->where);
    it->fds = harness_open_fds();
    it->loop = new_loop();
    answer_with(stage == TRYING ? NULL : &it->at, 0);
    answer_also(stage == TRYING ? it->nowhere.where : it->where);
    for (int i = 0; stage == QUEUED && i < LOOK_UPS; i++) look_up(it->loop, &it->others[i]);
    if (stage == QUEUED) gate_wait_arrived(&it->at, LOOK_UPS);
    connect_by_name(it->loop, &it->user);
}

/* Goes on until it is where it shall be at the fork, and the threads do nothing. */
static void reach_stage(scene *it)
{
    struct pollfd wakes = { -1, POLLIN, 0 };
    int fds;
    CHECK_CODE(tg_loop_get_backend_fd(it->loop, &wakes.fd), 0);
    fds = harness_open_fds();
    if (it->stage != TRYING) gate_wait_arrived(&it->at, it->stage == QUEUED ? LOOK_UPS : 1);
    if (it->stage == LOOKED_UP) {
        gate_open(&it->at);
        MUST(poll(&wakes, 1, -1) == 1); /* the answer is there, and nobody has fetched it */
    }
    while (it->stage == TRYING && harness_open_fds() == fds) {
        MUST(poll(&wakes, 1, -1) == 1);
        turns(it->loop, 1);
    }
    CHECK_EQ(it->user.events, 0);
    it->opened = harness_open_fds() - it->fds;
}

static void every_call_says_so(tg_loop loop, tg_handle conn)
{
    talk refused = { .id = 0 };
    tg_conn_options options = talk_options(&refused);
    tg_conn_stats stats = TG_CONN_STATS_INIT;
    tg_address address;
    tg_handle out = 7;
    tg_fd fd = 7;
    uint32_t kind = 7;
    CHECK_CODE(tg_conn_connect_name(loop, "name", "service", &options, &out), TG_EFORKED);
    CHECK_CODE(tg_conn_write(conn, "x", 1), TG_EFORKED);
    CHECK_CODE(tg_conn_pause(conn), TG_EFORKED);
    CHECK_CODE(tg_conn_finish(conn), TG_EFORKED);
    CHECK_CODE(tg_conn_abort(conn), TG_EFORKED);
    CHECK_CODE(tg_conn_get_stats(conn, &stats), TG_EFORKED);
    CHECK_CODE(tg_conn_get_peer(conn, &address), TG_EFORKED);
    CHECK_CODE(tg_conn_get_fd(conn, &fd), TG_EFORKED);
    CHECK_CODE(tg_handle_is_open(conn), TG_EFORKED);
    CHECK_CODE(tg_handle_get_kind(conn, &kind), TG_EFORKED);
    CHECK_CODE(tg_handle_unref(conn), TG_EFORKED);
    CHECK_CODE(tg_close(conn), TG_EFORKED);
    CHECK_CODE(tg_loop_run_nowait(loop), TG_EFORKED);
    CHECK(out == 7 && fd == 7 && kind == 7 && refused.released == 0);
}

/* It is connected, says so once, and is closed in good order by both. */
static void connects(tg_loop loop, talk *user, int listening)
{
    int peer;
    UNTIL(loop, user->opened + user->closed > 0);
    CHECK(user->opened == 1 && user->closed == 0);
    peer = accept(listening, NULL, NULL);
    CHECK(peer >= 0);
    CHECK_CODE(tg_conn_finish(user->id), 0);
    close(peer);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(user->closed == 1 && user->released == 1 && user->reason == 0);
}

/* A reopened loop connects by name with threads of its own. */
static void connect_anew(tg_loop loop)
{
    struct sockaddr_storage where;
    int listening = listen_on("127.0.0.1", 5, &where);
    talk user = { .id = 0 };
    answer_with(NULL, 0);
    answer_also(where);
    connect_by_name(loop, &user);
    connects(loop, &user, listening);
    close(listening);
}

static void be_the_child(scene *it, enum way way)
{
    int fds = harness_open_fds() - it->opened;
    every_call_says_so(it->loop, it->user.id);
    if (way == FREE) {
        free_loop(it->loop, it->stage == QUEUED ? 1 + LOOK_UPS : 1);
        CHECK_EQ(it->user.events, 0);
    } else {
        CHECK_CODE(tg_loop_reopen(it->loop), 0);
        if (way == CLOSE_AFTER_REOPENING) CHECK_CODE(tg_close(it->user.id), 0);
        CHECK_CODE(tg_loop_run(it->loop), 0);
        CHECK(it->user.opened == 0 && it->user.closed == (way == END_ON_REOPENING));
        if (way == END_ON_REOPENING) CHECK_CODE(it->user.reason, TG_EFORKED);
        CHECK_CODE(tg_conn_abort(it->user.id), TG_ESTALE);
        connect_anew(it->loop);
        free_loop(it->loop, 0);
    }
    CHECK_EQ(it->user.released, 1);
    CHECK_EQ(harness_open_fds(), fds); /* neither the attempt's descriptor nor another one stays open here */
    child_end_leaving();
}

static void be_the_parent(scene *it)
{
    int guest = -1;
    CHECK_EQ(it->user.events + it->user.released, 0);
    if (it->stage <= LOOKING_UP) gate_open(&it->at);
    if (it->stage == TRYING) MUST((guest = accept(it->nowhere.listening, NULL, NULL)) >= 0); /* there is room for it */
    connects(it->loop, &it->user, it->stage == TRYING ? it->nowhere.listening : it->listening);
    free_loop(it->loop, 0);
    wait_until_alone();
    if (guest >= 0) close(guest);
    CHECK_EQ(harness_open_fds(), it->fds);
}

/* mutation: `restore_after_fork` leaves it as it is, or `connect_after_fork` does not leave the look-up to the parent; freeing in
 * the child does without both `forget_kernel` and `leave_poller_to_parent`, and takes the attempt out of the poller object
 * that is shared. */
static void h57_a_connection_by_name_that_is_under_way(void)
{
    for (enum stage stage = 0; stage < STAGES; stage++) {
        for (enum way way = 0; way < WAYS; way++) {
            static scene it;
            pid_t child;
            scene_open(&it, stage);
            reach_stage(&it);
            child = harness_fork();
            if (child == 0) be_the_child(&it, way);
            harness_wait(child);
            be_the_parent(&it);
            hole_close(&it.nowhere);
            close(it.listening);
        }
    }
}

int main(void)
{
    harness_begin();
    RUN(h57_a_connection_by_name_that_is_under_way);
    return harness_end();
}
