/* Groups: loops on threads that share a port, their statistics, and how they end. */
#include "support.h"

#include <dlfcn.h>

#define LOOPS 4
#define CLIENTS 8

typedef struct shared {
    atomic_int started, stopped, released, accepted, answered, fail_at;
    atomic_int threads_seen;
} shared;

static void on_release(void *user) { atomic_fetch_add(&((shared *)user)->released, 1); }

static int on_start(tg_loop loop, void *user, uint32_t index)
{
    shared *it = user;
    CHECK_CODE(tg_loop_free(loop), TG_EBUSY);
    CHECK_CODE(tg_loop_detach(loop), TG_EBUSY);
    atomic_fetch_or(&it->threads_seen, 1 << index);
    atomic_fetch_add(&it->started, 1);
    return (int)index == atomic_load(&it->fail_at) ? -ENOSPC : 0;
}

static int on_stop(tg_loop loop, void *user, uint32_t index)
{
    (void)index;
    CHECK_CODE(tg_loop_free(loop), TG_EBUSY);
    atomic_fetch_add(&((shared *)user)->stopped, 1);
    return 0;
}

static void on_accept(tg_handle self, void *user, tg_handle conn, const tg_address *peer)
{
    (void)self;
    (void)conn;
    CHECK_EQ(peer->family, TG_IPV4);
    atomic_fetch_add(&((shared *)user)->accepted, 1);
}

/* One request a connection: answered, and the connection finished. */
static void on_request(tg_handle conn, void *user, const void *data, size_t length)
{
    (void)user;
    CHECK(tg_conn_write(conn, data, length) >= 0);
    CHECK_CODE(tg_conn_finish(conn), 0);
}

static void on_echo(tg_handle conn, void *user, const void *data, size_t length)
{
    (void)user;
    CHECK(tg_conn_write(conn, data, length) >= 0);
}

static tg_group open_group(shared *it, tg_conn_data_cb on_data, uint16_t *port)
{
    tg_group_options options = TG_GROUP_OPTIONS_INIT;
    tg_listener_options listener = TG_LISTENER_OPTIONS_INIT;
    tg_conn_options conn = TG_CONN_OPTIONS_INIT;
    tg_address address;
    tg_group group = 0;
    conn.on_data = on_data;
    listener.conn = &conn;
    listener.on_accept = on_accept;
    listener.user = it;
    MUST(tg_address_parse("127.0.0.1", 0, &address) == 0);
    options.address = &address;
    options.listener = &listener;
    options.loops = LOOPS;
    options.on_start = on_start;
    options.on_stop = on_stop;
    options.user = it;
    options.release = on_release;
    MUST(tg_group_new(&options, &group) == 0);
    MUST(tg_group_get_local(group, &address) == 0);
    *port = address.port;
    return group;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    MUST(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

static shared new_shared(void)
{
    shared it;
    memset(&it, 0, sizeof it);
    atomic_store(&it.fail_at, -1);
    return it;
}

/* mutation: `check_not_of_group` finds nothing. */
static void loops_share_a_port_and_add_up(void)
{
    shared it = new_shared();
    uint16_t port;
    tg_group group = open_group(&it, on_echo, &port);
    tg_group_stats stats = TG_GROUP_STATS_INIT;
    int fds[64];
    char byte;
    CHECK_EQ(atomic_load(&it.started), LOOPS);
    CHECK_EQ(atomic_load(&it.threads_seen), (1 << LOOPS) - 1);
    for (int i = 0; i < 64; i++) MUST((fds[i] = connect_to(port)) >= 0);
    for (int i = 0; i < 64; i++) {
        MUST(write(fds[i], "x", 1) == 1);
        MUST(read(fds[i], &byte, 1) == 1 && byte == 'x');
    }
    /* Each loop counts at the end of its turn, which the answer above does not wait for. */
    do CHECK_CODE(tg_group_get_stats(group, &stats), 0);
    while (stats.conns != 64 || stats.events < 128);
    CHECK_EQ(stats.loops, LOOPS);
    CHECK_EQ(atomic_load(&it.accepted), 64);
    CHECK(stats.largest_share < 1000);
    CHECK(stats.turns > 0);
    for (int i = 0; i < 64; i++) close(fds[i]);
    CHECK_CODE(tg_group_free(group), 0);
    CHECK_EQ(atomic_load(&it.released), 1);
    CHECK_EQ(atomic_load(&it.stopped), LOOPS);
}

typedef struct client {
    shared *it;
    uint16_t port;
} client;

/* Asks until nobody listens any more. */
static void *ask(void *argument)
{
    client *me = argument;
    for (;;) {
        char answer[5];
        int fd = connect_to(me->port);
        if (fd < 0) return NULL;
        if (send(fd, "hello", 5, MSG_NOSIGNAL) == 5 && recv(fd, answer, 5, MSG_WAITALL) == 5)
            atomic_fetch_add(&me->it->answered, 1);
        close(fd);
    }
}

/* mutation: wind_up closes the listeners instead of finishing them, or calls cut_off at once. */
static void a_stop_under_load_loses_no_accepted_request(void)
{
    shared it = new_shared();
    uint16_t port;
    tg_group group = open_group(&it, on_request, &port);
    pthread_t threads[CLIENTS];
    client me = { &it, port };
    for (int i = 0; i < CLIENTS; i++) MUST(pthread_create(&threads[i], NULL, ask, &me) == 0);
    while (atomic_load(&it.answered) < 200) sched_yield();
    CHECK_CODE(tg_group_stop(group, 30 * SECOND), 0);
    CHECK_CODE(tg_group_join(group), 0);
    for (int i = 0; i < CLIENTS; i++) MUST(pthread_join(threads[i], NULL) == 0);
    CHECK_EQ(atomic_load(&it.answered), atomic_load(&it.accepted));
    CHECK_CODE(tg_group_free(group), 0);
    CHECK_EQ(atomic_load(&it.released), 1);
}

static void a_client_that_stays_is_cut_off_in_the_end(void)
{
    shared it = new_shared();
    uint16_t port;
    tg_group group = open_group(&it, on_echo, &port);
    tg_group_stats stats = TG_GROUP_STATS_INIT;
    char byte;
    int fd = connect_to(port);
    MUST(fd >= 0 && write(fd, "x", 1) == 1 && read(fd, &byte, 1) == 1);
    CHECK_CODE(tg_group_stop(group, -1), 0);
    CHECK_CODE(tg_group_stop(group, 20 * MS), 0); /* only shortens */
    CHECK_CODE(tg_group_join(group), 0);
    CHECK(read(fd, &byte, 1) < 0 && errno == ECONNRESET);
    CHECK_CODE(tg_group_get_stats(group, &stats), 0);
    CHECK_EQ(stats.loops, 0);
    CHECK_EQ(stats.conns, 0);
    CHECK_CODE(tg_group_free(group), 0);
    close(fd);
}

static void a_failed_start_has_taken_nothing(void)
{
    shared it = new_shared();
    tg_group_options options = TG_GROUP_OPTIONS_INIT;
    tg_group group = 7;
    atomic_store(&it.fail_at, 2);
    options.loops = LOOPS;
    options.on_start = on_start;
    options.user = &it;
    options.release = on_release;
    CHECK_CODE(tg_group_new(&options, &group), -ENOSPC);
    CHECK_EQ(group, 7);
    CHECK_EQ(atomic_load(&it.released), 0);
    CHECK_EQ(atomic_load(&it.started), 3);
}

static atomic_int ones;
static void counts_one(void *user)
{
    (void)user;
    atomic_fetch_add(&ones, 1);
}

static void on_posted(tg_loop loop, void *user)
{
    tg_group group = *(tg_group *)user;
    CHECK_CODE(tg_group_join(group), TG_EREENTRANT);
    CHECK_CODE(tg_group_free(group), TG_EREENTRANT);
    (void)loop;
}

static void on_posted_at_last(tg_loop loop, void *user)
{
    (void)user;
    CHECK_CODE(tg_loop_stop(loop), 0);
}

/* From outside loops are reached by posts, from inside nobody waits for himself. What is refused changes nothing: the loop goes on.
 * mutation: tg_group_free stops the group before it looks at the thread. */
static void threads_of_the_group_cannot_wait_for_it(void)
{
    tg_group_options options = TG_GROUP_OPTIONS_INIT;
    static tg_group group;
    tg_loop loop = 0;
    tg_address address;
    int turns_before;
    options.loops = 1;
    MUST(tg_group_new(&options, &group) == 0);
    CHECK_CODE(tg_group_get_local(group, &address), TG_ENOENT);
    CHECK_CODE(tg_group_get_loop(group, 1, &loop), TG_EINVAL);
    CHECK_CODE(tg_group_get_loop(group, 0, &loop), 0);
    CHECK_CODE(tg_loop_hold(loop), TG_EWRONGTHREAD);
    for (turns_before = 0; turns_before < 20; turns_before++) {
        if (tg_post(loop, on_posted, &group, counts_one) != 0) break;
        while (atomic_load(&ones) <= turns_before) sched_yield();
    }
    CHECK_EQ(turns_before, 20);
    CHECK_CODE(tg_post(loop, on_posted_at_last, NULL, NULL), 0);
    CHECK_CODE(tg_group_join(group), 0);
    CHECK_CODE(tg_group_free(group), 0);
}

/* What each call says of that id; nothing is written to what it was given. */
static void check_stale(tg_group group)
{
    tg_group_stats stats = TG_GROUP_STATS_INIT;
    tg_loop loop = 7;
    tg_address address;
    memset(&address, 7, sizeof address);
    stats.turns = 77;
    CHECK_CODE(tg_group_stop(group, 0), TG_ESTALE);
    CHECK_CODE(tg_group_stop(group, -2), TG_ESTALE);
    CHECK_CODE(tg_group_join(group), TG_ESTALE);
    CHECK_CODE(tg_group_free(group), TG_ESTALE);
    CHECK_CODE(tg_group_get_loop(group, 0, &loop), TG_ESTALE);
    CHECK_CODE(tg_group_get_loop(group, 1000, &loop), TG_ESTALE);
    CHECK_CODE(tg_group_get_local(group, &address), TG_ESTALE);
    CHECK_CODE(tg_group_get_stats(group, &stats), TG_ESTALE);
    CHECK(loop == 7 && address.family == 0x07070707u && stats.turns == 77);
}

static void *check_stale_here(void *group)
{
    check_stale(*(tg_group *)group);
    return NULL;
}

/* An id's place among those of all loops, pollers and groups (reactor/src/base/id.rs). */
enum { PLACES = 1024 };
static unsigned place_of(uint64_t id) { return (unsigned)(id >> 50) % PLACES; }

/* Places are given away in turn: makes that of `id` the next. */
static void come_round_to(uint64_t id)
{
    tg_poller poller = 0;
    for (int i = 0; i < PLACES && (i == 0 || (place_of(poller) + 1) % PLACES != place_of(id)); i++)
        MUST(tg_poller_new(NULL, &poller) == 0 && tg_poller_free(poller) == 0);
}

/* Every call on a freed group's id, on any thread, before and after the group's place has a new owner, which feels nothing.
 * mutation: `find` compares the places of ids only; tg_group_free leaves the group where it is found. */
static void h01_every_call_with_a_freed_groups_id_is_stale(void)
{
    shared it = new_shared(), other = new_shared();
    uint16_t port;
    tg_group freed = open_group(&it, on_echo, &port), heir;
    tg_group_stats stats = TG_GROUP_STATS_INIT;
    tg_loop loop = 0;
    pthread_t thread;
    char byte;
    int fd;
    CHECK_CODE(tg_group_get_loop(freed, 0, &loop), 0);
    CHECK_CODE(tg_group_free(freed), 0);
    check_stale(freed);
    come_round_to(freed);
    heir = open_group(&other, on_echo, &port);
    CHECK(heir != freed && place_of(heir) == place_of(freed));
    check_stale(freed);
    MUST(pthread_create(&thread, NULL, check_stale_here, &freed) == 0 && pthread_join(thread, NULL) == 0);
    CHECK_CODE(tg_post(loop, on_posted, &freed, NULL), TG_ESTALE); /* nor is one of its loops there */
    CHECK_CODE(tg_loop_stop(loop), TG_ESTALE);
    CHECK_EQ(atomic_load(&it.released), 1);
    fd = connect_to(port);
    MUST(fd >= 0 && write(fd, "x", 1) == 1 && read(fd, &byte, 1) == 1);
    CHECK_CODE(tg_group_get_stats(heir, &stats), 0);
    CHECK_EQ(stats.loops, LOOPS);
    CHECK_EQ(atomic_load(&other.stopped) + atomic_load(&other.released), 0);
    close(fd);
    CHECK_CODE(tg_group_free(heir), 0);
    check_stale(heir);
}

/* mutation: the loops are left to themselves in the child: their sockets stay open, and the port outlives the server. */
static void h57_a_group_in_a_forked_child(void)
{
    shared it = new_shared();
    uint16_t port;
    int before = harness_open_fds();
    tg_group group;
    pid_t child;
    if (harness_slow()) {
        SKIP("h57_a_group_in_a_forked_child", "valgrind knows nothing of the parent's threads in the child");
        return;
    }
    group = open_group(&it, on_echo, &port);
    while (harness_others_run()) sched_yield(); /* so that all are waiting, and none is in the middle of something */
    child = harness_fork();
    if (child == 0) {
        tg_loop loop = 0;
        CHECK_CODE(tg_group_get_loop(group, 0, &loop), TG_EFORKED);
        CHECK_CODE(tg_group_stop(group, 0), TG_EFORKED);
        CHECK_CODE(tg_group_free(group), 0);
        CHECK_CODE(tg_group_free(group), TG_ESTALE);
        CHECK_EQ(atomic_load(&it.released), 1);
        CHECK_EQ(harness_open_fds(), before);
        harness_child_end();
    }
    harness_wait(child);
    close(connect_to(port)); /* the parent goes on */
    CHECK_CODE(tg_group_free(group), 0);
    CHECK_EQ(atomic_load(&it.released), 1);
}

/* malloc is replaced by one of this program's, which the library calls in its place (but for tools that bring their own). So
 * many handles that a list of them all has a size which nothing else asks for. */
enum { TIMERS = 1000 };
static _Thread_local bool refusing; /* lists of that size, on this thread */
static atomic_int refused;

#ifdef __SANITIZE_ADDRESS__
static bool malloc_is_ours(void) { return false; }
#else
static bool malloc_is_ours(void) { return !harness_slow(); }

void *malloc(size_t size)
{
    static void *(*_Atomic real)(size_t);
    void *object;
    if (refusing && size >= TIMERS * sizeof(tg_handle) && size < (TIMERS + 16) * sizeof(tg_handle)) {
        atomic_fetch_add(&refused, 1);
        return NULL;
    }
    if (atomic_load(&real) == NULL) {
        void *(*function)(size_t);
        object = dlsym(RTLD_NEXT, "malloc");
        memcpy(&function, &object, sizeof function);
        atomic_store(&real, function);
    }
    return atomic_load(&real)(size);
}
#endif

static int open_timers(tg_loop loop, void *user, uint32_t index)
{
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    tg_handle handle;
    (void)user;
    (void)index;
    options.callback = on_timer;
    for (int i = 0; i < TIMERS; i++) MUST(tg_timer_open(loop, -1, 0, &options, &handle) == 0);
    return 0;
}

static int refuse_memory(tg_loop loop, void *user, uint32_t index)
{
    (void)loop;
    (void)user;
    (void)index;
    refusing = true;
    return 0;
}

/* Its listeners cannot be listed when their time has come, nor its connections afterwards: the loop ends all the same.
 * mutation: `on_all_are_in` drops the error; `cut_off` hands on that of the list before it stops the loop. */
static void h66_without_memory_a_stopped_group_still_ends(void)
{
    tg_group_options options = TG_GROUP_OPTIONS_INIT;
    tg_listener_options listener = TG_LISTENER_OPTIONS_INIT;
    tg_conn_options conn = TG_CONN_OPTIONS_INIT;
    tg_address address;
    tg_group group = 0;
    if (!malloc_is_ours()) {
        SKIP("h66_without_memory_a_stopped_group_still_ends", "memcheck and the address sanitizer have a malloc of their own");
        return;
    }
    MUST(tg_address_parse("127.0.0.1", 0, &address) == 0);
    conn.on_data = on_echo;
    listener.conn = &conn;
    options.address = &address;
    options.listener = &listener;
    options.loops = 1;
    options.on_start = open_timers;
    options.on_stop = refuse_memory;
    MUST(tg_group_new(&options, &group) == 0);
    CHECK_CODE(tg_group_stop(group, -1), 0);
    CHECK_CODE(tg_group_join(group), 0);
    CHECK_EQ(atomic_load(&refused), 2);
    CHECK_CODE(tg_group_free(group), 0);
}

static void bad_input(void)
{
    tg_group_options options = TG_GROUP_OPTIONS_INIT;
    tg_listener_options listener = TG_LISTENER_OPTIONS_INIT;
    tg_loop_options batch = TG_LOOP_OPTIONS_INIT;
    tg_group_stats stats = TG_GROUP_STATS_INIT;
    tg_group group = 7;
    tg_loop loop = new_loop();
    tg_address address;
    batch.flags = TG_LOOP_BATCH;
    CHECK_CODE(tg_group_new(&options, NULL), TG_EINVAL);
    options.loops = 257;
    CHECK_CODE(tg_group_new(&options, &group), TG_EINVAL);
    options.loops = 1;
    options.listener = &listener;
    CHECK_CODE(tg_group_new(&options, &group), TG_EINVAL);
    MUST(tg_address_unix("/tmp/x", 6, &address) == 0);
    options.address = &address;
    CHECK_CODE(tg_group_new(&options, &group), TG_EINVAL);
    MUST(tg_address_parse("127.0.0.1", 0, &address) == 0);
    listener.release = on_release;
    CHECK_CODE(tg_group_new(&options, &group), TG_EINVAL);
    listener.release = NULL;
    listener.mode = 0600; /* what tg_listener_open refuses */
    CHECK_CODE(tg_group_new(&options, &group), TG_EINVAL);
    listener.mode = 0;
    listener.flags = TG_LISTENER_V6_ONLY;
    CHECK_CODE(tg_group_new(&options, &group), TG_EINVAL);
    listener.flags = 0;
    options.loop_options = &batch;
    CHECK_CODE(tg_group_new(&options, &group), TG_EINVAL);
    CHECK_EQ(group, 7);
    CHECK_CODE(tg_group_stop(loop, 0), TG_EKIND);
    CHECK_CODE(tg_group_stop(0, 0), TG_ESTALE);
    CHECK_CODE(tg_group_get_stats(UINT64_MAX, &stats), TG_ESTALE);
    free_loop(loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(loops_share_a_port_and_add_up);
    RUN(a_stop_under_load_loses_no_accepted_request);
    RUN(a_client_that_stays_is_cut_off_in_the_end);
    RUN(a_failed_start_has_taken_nothing);
    RUN(threads_of_the_group_cannot_wait_for_it);
    RUN(h01_every_call_with_a_freed_groups_id_is_stale);
    RUN(h57_a_group_in_a_forked_child);
    RUN(h66_without_memory_a_stopped_group_still_ends);
    RUN(bad_input);
    return harness_end();
}
