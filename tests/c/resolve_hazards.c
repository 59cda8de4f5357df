/* Look-ups that are slow, hostile or fail. The system's functions are replaced by those of this program, which the library
 * calls in their place. */
#include "gate.h"

#include <netdb.h>

/* What the functions below do. Set before a look-up is opened. */
static struct {
    gate *at;             /* where they wait; NULL: nowhere */
    const char *expected_host, *expected_service;
    bool names_differ;
    int result, error;    /* what they return, and leave in errno */
    int addresses;        /* how many different ones a host has */
    const char *host;     /* the name of every address */
    int flags;            /* that getnameinfo was called with */
} names;

/* Look-ups may still be going on when the test after them begins. */
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;

static bool differ(const char *one, const char *other)
{
    return one == NULL || other == NULL ? one != other : strcmp(one, other) != 0;
}

static struct addrinfo *entry(int family, unsigned number, struct addrinfo *next)
{
    struct addrinfo *it = calloc(1, sizeof *it);
    struct sockaddr_in *address = calloc(1, sizeof(struct sockaddr_storage));
    MUST(it != NULL && address != NULL);
    address->sin_family = (sa_family_t)family;
    address->sin_port = htons(80);
    address->sin_addr.s_addr = htonl(0x7f000000u + number);
    it->ai_family = family;
    it->ai_addr = (struct sockaddr *)address;
    it->ai_addrlen = sizeof *address;
    it->ai_next = next;
    return it;
}

/* Each address twice, in descending order, among those of families that are none of ours. */
static struct addrinfo *list(int count)
{
    struct addrinfo *all = entry(AF_PACKET, 1, NULL);
    for (int i = 1; i <= count; i++) {
        all = entry(AF_INET, (unsigned)i, all);
        all = entry(AF_UNIX, (unsigned)i, all);
        all = entry(AF_INET, (unsigned)i, all);
    }
    all = entry(AF_INET, 1, all);
    free(all->ai_addr);
    all->ai_addr = NULL;
    return all;
}

static gate *place_to_wait(void)
{
    gate *at;
    MUST(pthread_mutex_lock(&names_lock) == 0);
    at = names.at;
    MUST(pthread_mutex_unlock(&names_lock) == 0);
    return at;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    gate *at = place_to_wait();
    int result, error;
    if (at != NULL) gate_pass(at);
    MUST(pthread_mutex_lock(&names_lock) == 0);
    if (names.expected_host != NULL || names.expected_service != NULL)
        names.names_differ |= differ(host, names.expected_host) || differ(service, names.expected_service);
    names.names_differ |= hints == NULL || hints->ai_socktype != SOCK_STREAM;
    result = names.result;
    error = names.error;
    if (result == 0) *out = list(names.addresses);
    MUST(pthread_mutex_unlock(&names_lock) == 0);
    errno = error;
    return result;
}

void freeaddrinfo(struct addrinfo *all)
{
    while (all != NULL) {
        struct addrinfo *next = all->ai_next;
        free(all->ai_addr);
        free(all);
        all = next;
    }
}

int getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
                socklen_t service_size, int flags)
{
    if (address == NULL || length < sizeof(struct sockaddr_in)) return EAI_FAMILY;
    names.flags = flags;
    if (strlen(names.host) >= host_size) return EAI_OVERFLOW;
    memcpy(host, names.host, strlen(names.host) + 1);
    snprintf(service, service_size, "service");
    return names.result;
}

static void reset(gate *at, int addresses)
{
    MUST(pthread_mutex_lock(&names_lock) == 0);
    memset(&names, 0, sizeof names);
    names.at = at;
    names.addresses = addresses;
    MUST(pthread_mutex_unlock(&names_lock) == 0);
}

static bool names_differed(void)
{
    bool differed;
    MUST(pthread_mutex_lock(&names_lock) == 0);
    differed = names.names_differ;
    MUST(pthread_mutex_unlock(&names_lock) == 0);
    return differed;
}

typedef struct lookup {
    tg_handle id;
    int calls, released, status;
    size_t count;
    tg_address all[300];
    size_t host_length;
} lookup;

static void on_addresses(tg_handle self, void *user, int status, const tg_address *addresses, size_t count)
{
    lookup *it = user;
    CHECK_EQ(self, it->id);
    CHECK((addresses == NULL) == (status != 0));
    it->calls++;
    it->status = status;
    it->count = count;
    MUST(count <= 300);
    if (count > 0) memcpy(it->all, addresses, count * sizeof *addresses);
}

static void on_names(tg_handle self, void *user, int status, const char *host, const char *service)
{
    lookup *it = user;
    CHECK_EQ(self, it->id);
    CHECK((host == NULL) == (status != 0) && (service == NULL) == (status != 0));
    it->calls++;
    it->status = status;
    it->host_length = host != NULL ? strlen(host) : 0;
}

static void lookup_released(void *user) { ((lookup *)user)->released++; }

static int lookup_open(lookup *it, tg_loop loop, const char *host, const char *service)
{
    tg_resolve_options options = TG_RESOLVE_OPTIONS_INIT;
    memset(it, 0, offsetof(lookup, all));
    options.callback = on_addresses;
    options.user = it;
    options.release = lookup_released;
    return tg_resolve_open(loop, host, service, &options, &it->id);
}

static void stop_the_loop(tg_handle self, void *user, int status, int64_t result)
{
    on_work(self, user, status, result);
    CHECK_CODE(tg_loop_stop(((counter *)user)->loop), 0);
}

enum { SLOW = 100, THREADS = 8 };

/* mutation: look-ups take the threads of work (then this does not end). */
static void h64_slow_look_ups_keep_no_work_waiting(void)
{
    static lookup slow[SLOW];
    gate at = GATE_INIT;
    tg_loop loop = new_loop_with_threads(1);
    counter user = { .loop = loop };
    reset(&at, 1);
    for (int i = 0; i < SLOW; i++) CHECK_CODE(lookup_open(&slow[i], loop, "slow", NULL), 0);
    gate_wait_arrived(&at, THREADS);
    for (int i = 0; i < 10; i++) {
        open_work(loop, work_hits, stop_the_loop, &user, counter_release);
        CHECK_CODE(tg_loop_run(loop), 1);
        CHECK_EQ(user.calls, i + 1);
    }
    for (int i = 0; i < SLOW; i++) CHECK_EQ(slow[i].calls, 0);
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(at.most_waiting, THREADS);
    for (int i = 0; i < SLOW; i++) CHECK(slow[i].calls == 1 && slow[i].released == 1 && slow[i].count == 1);
    free_loop(loop, 0);
    wait_until_alone();
}

/* mutation: job_cancel does not ask whether the look-up was taken back. */
static void h20_look_ups_can_be_cancelled_before_they_begin(void)
{
    lookup all[THREADS + 1];
    gate at = GATE_INIT;
    tg_loop loop = new_loop();
    reset(&at, 1);
    for (int i = 0; i <= THREADS; i++) CHECK_CODE(lookup_open(&all[i], loop, "slow", NULL), 0);
    gate_wait_arrived(&at, THREADS);
    CHECK_CODE(tg_handle_cancel(all[0].id), 0);
    CHECK_CODE(tg_handle_cancel(all[THREADS].id), 1);
    turns(loop, 1);
    CHECK_EQ(all[THREADS].calls, 1);
    CHECK_CODE(all[THREADS].status, TG_ECANCELED);
    CHECK_EQ(all[0].calls, 0);
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_CODE(all[0].status, 0);
    CHECK_EQ(at.through, THREADS);
    free_loop(loop, 0);
    wait_until_alone();
}

/* mutation: a cancelled look-up leaves the record of work. */
static void a_cancelled_look_up_leaves_its_record(void)
{
    enum { ALL = THREADS + 1 };
    static gate at = GATE_INIT;
    tg_loop loop = new_batch_loop(64, 8);
    tg_batch *batch = NULL;
    tg_handle handles[ALL];
    reset(&at, 1);
    MUST(tg_batch_get(loop, &batch) == 0);
    for (int i = 0; i < ALL; i++) CHECK_CODE(tg_resolve_open(loop, "slow", NULL, NULL, &handles[i]), 0);
    gate_wait_arrived(&at, THREADS);
    CHECK_CODE(tg_handle_cancel(handles[THREADS]), 1);
    CHECK_EQ(tg_batch_turn(loop), 2);
    CHECK_EQ(batch->records[0].kind, TG_RECORD_RESOLVED);
    CHECK_EQ(batch->records[0].handle, handles[THREADS]);
    CHECK_CODE((int)batch->records[0].bits, TG_ECANCELED);
    CHECK_EQ(batch->records[1].kind, TG_RECORD_CLOSED);
    gate_open(&at);
    free_loop(loop, THREADS);
    gate_wait_through(&at, THREADS);
    wait_until_alone();
}

/* mutation: closing waits for the look-up's end, or freeing the loop does (then this does not end). */
static void h11_what_is_closed_is_released_although_the_look_up_goes_on(void)
{
    lookup closed, freed;
    static gate at = GATE_INIT;
    char host[] = "host", service[] = "80";
    tg_loop loop = new_loop();
    reset(&at, 1);
    names.expected_host = "host";
    names.expected_service = "80";
    CHECK_CODE(lookup_open(&closed, loop, host, service), 0);
    CHECK_CODE(lookup_open(&freed, loop, host, service), 0);
    memset(host, 'x', 4); /* they were copied */
    memset(service, 'x', 2);
    gate_wait_arrived(&at, 2);
    CHECK_CODE(tg_close(closed.id), 0);
    turns(loop, 1);
    CHECK_EQ(closed.released, 1);
    free_loop(loop, 1);
    CHECK_EQ(freed.released, 1);
    CHECK_EQ(gate_through(&at), 0);
    loop = new_loop(); /* in the place of the one that the look-up will tell in vain */
    gate_open(&at);
    gate_wait_through(&at, 2);
    wait_until_alone();
    turns(loop, 1);
    CHECK_EQ(closed.calls + freed.calls, 0);
    CHECK_EQ(closed.released + freed.released, 2);
    CHECK(!names_differed());
    free_loop(loop, 0);
}

/* mutation: what was going on at the fork gets no outcome in the child (then its run does not end). */
static void h57_look_ups_in_a_forked_child(void)
{
    lookup it;
    gate at = GATE_INIT;
    tg_loop loop = new_loop();
    pid_t child;
    reset(&at, 1);
    CHECK_CODE(lookup_open(&it, loop, "slow", NULL), 0);
    gate_wait_arrived(&at, 1);
    child = harness_fork();
    if (child == 0) {
        CHECK_CODE(tg_loop_reopen(loop), 0);
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_EQ(it.calls, 1);
        CHECK_CODE(it.status, TG_EFORKED);
        CHECK_EQ(it.released, 1);
        free_loop(loop, 0);
        child_end_leaving();
    }
    harness_wait(child);
    gate_open(&at);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_CODE(it.status, 0);
    free_loop(loop, 0);
    wait_until_alone();
}

static void fill(char *text, size_t length, unsigned *state)
{
    for (size_t i = 0; i < length; i++) {
        *state = *state * 1664525u + 1013904223u;
        text[i] = (char)(1 + (*state >> 16) % 255);
    }
    text[length] = '\0';
}

/* mutation: a name that is too long is cut off. */
static void h65_names_arrive_as_they_are_or_are_refused(void)
{
    static char host[2001], service[2001];
    unsigned state = 1;
    tg_loop loop = new_loop();
    lookup it;
    reset(NULL, 1);
    for (size_t length = 0; length <= 2000; length += harness_slow() && length % 64 != 1 ? 3 : 1) {
        fill(host, length, &state);
        fill(service, 2000 - length, &state);
        names.expected_host = host;
        names.expected_service = length % 2 == 0 ? NULL : service;
        if (length > 1024 || (names.expected_service != NULL && strlen(service) > 1024)) {
            CHECK_CODE(lookup_open(&it, loop, names.expected_host, names.expected_service), TG_EINVAL);
            CHECK_EQ(it.id, 0);
        } else {
            CHECK_CODE(lookup_open(&it, loop, names.expected_host, names.expected_service), 0);
            CHECK_CODE(tg_loop_run(loop), 0);
            CHECK_EQ(it.calls + it.released, 2);
        }
    }
    CHECK(!names_differed());
    free_loop(loop, 0);
    wait_until_alone();
}

/* mutation: the port is passed on as it is, and the system takes its low bits. */
static void h65_a_port_is_never_cut_off(void)
{
    static const char *const impossible[] = { "65536", "70000", " 65536", "\v70000", "+4294967376",
                                              "18446744073709551617", "-1", " 80", "+80", "-4294901680",
                                              "-18446744073709551536" };
    static const char *const possible[] = { "65535", "0", "", "00080", "http", "-", "70000x", "-80x" };
    tg_loop loop = new_loop();
    lookup it;
    reset(NULL, 1);
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++)
        CHECK_CODE(lookup_open(&it, loop, NULL, impossible[i]), TG_EINVAL);
    for (size_t i = 0; i < sizeof possible / sizeof possible[0]; i++) {
        names.expected_service = possible[i];
        CHECK_CODE(lookup_open(&it, loop, NULL, possible[i]), 0);
        CHECK_CODE(tg_loop_run(loop), 0);
    }
    CHECK(!names_differed());
    free_loop(loop, 0);
    wait_until_alone();
}

/* mutation: EAI_SYSTEM with an errno of 0 is a success. */
static void every_failure_has_its_code(void)
{
    static const struct { int result, error, status; } all[] = {
        { EAI_NONAME, 0, TG_ENONAME },      { EAI_NODATA, 0, TG_ENONAME },   { EAI_SERVICE, 0, TG_ENONAME },
        { EAI_ADDRFAMILY, 0, TG_ENONAME },  { EAI_AGAIN, 0, TG_ETRYAGAIN },  { EAI_MEMORY, 0, TG_ENOMEM },
        { EAI_FAIL, 0, TG_ERESOLVE },       { EAI_FAMILY, 0, TG_ERESOLVE },  { EAI_BADFLAGS, 0, TG_ERESOLVE },
        { EAI_SYSTEM, EMFILE, -EMFILE },    { EAI_SYSTEM, 0, TG_ERESOLVE },  { -12345, 0, TG_ERESOLVE },
        { 12345, 0, TG_ERESOLVE },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        tg_loop loop = new_loop();
        lookup it;
        reset(NULL, 1);
        names.result = all[i].result;
        names.error = all[i].error;
        CHECK_CODE(lookup_open(&it, loop, "fails", NULL), 0);
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_CODE(it.status, all[i].status);
        CHECK_EQ(it.calls + it.released, 2);
        free_loop(loop, 0);
    }
    wait_until_alone();
}

/* mutation: addresses that came before are not looked for; the list is taken as long as it is. */
static void h65_each_address_once_in_the_systems_order_and_not_too_many(void)
{
    static const int counts[] = { 0, 1, 2, 100, 256, 257, 1000 };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        tg_loop loop = new_loop();
        static lookup it;
        int count = counts[i], kept = count < 256 ? count : 256;
        reset(NULL, count);
        CHECK_CODE(lookup_open(&it, loop, "many", NULL), 0);
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_CODE(it.status, count > 0 ? 0 : TG_ENONAME);
        CHECK_EQ(it.count, kept);
        for (int k = 0; k < kept && k < (int)it.count; k++) {
            int number = count - k;
            CHECK_EQ(it.all[k].family, TG_IPV4);
            CHECK_EQ(it.all[k].port, 80);
            CHECK_EQ(it.all[k].ip[2] * 256 + it.all[k].ip[3], number);
        }
        free_loop(loop, 0);
    }
    wait_until_alone();
}

/* mutation: the record is that of work; it carries nothing. */
static void h65_the_largest_answer_on_a_batch_loop(void)
{
    tg_loop loop = new_batch_loop(8, 8);
    tg_batch *batch = NULL;
    tg_handle handle = 0;
    reset(NULL, 1000);
    MUST(tg_batch_get(loop, &batch) == 0);
    CHECK_CODE(tg_resolve_open(loop, "many", NULL, NULL, &handle), 0);
    while (batch->record_count == 0) MUST(tg_batch_turn(loop) >= 0);
    CHECK_EQ(batch->records[0].kind, TG_RECORD_RESOLVED);
    CHECK_EQ((int)batch->records[0].bits, 256);
    CHECK(batch->records[0].value >= 0);
    CHECK_EQ(batch->data_count, (uint64_t)batch->records[0].value + 256 * sizeof(tg_address));
    free_loop(loop, 0);
    wait_until_alone();
}

/* mutation: the flags of a name are not passed on; a long name is cut off. */
static void h65_names_of_addresses_come_whole(void)
{
    static char host[1025];
    static const struct { uint32_t flags; int passed; } all[] = {
        { 0, 0 }, { TG_RESOLVE_NUMERIC, NI_NUMERICHOST | NI_NUMERICSERV }, { TG_RESOLVE_NAME_REQUIRED, NI_NAMEREQD },
    };
    tg_address address;
    memset(host, 'h', 1024);
    MUST(tg_address_parse("127.0.0.1", 80, &address) == 0);
    for (size_t i = 0; i < 2 * (sizeof all / sizeof all[0]); i++) {
        tg_resolve_name_options options = TG_RESOLVE_NAME_OPTIONS_INIT;
        tg_loop loop = new_loop();
        lookup it;
        memset(&it, 0, sizeof it);
        reset(NULL, 0);
        names.host = host;
        names.result = i < 3 ? 0 : EAI_NONAME;
        options.callback = on_names;
        options.user = &it;
        options.release = lookup_released;
        options.flags = all[i % 3].flags;
        CHECK_CODE(tg_resolve_name_open(loop, &address, &options, &it.id), 0);
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_EQ(names.flags, all[i % 3].passed);
        CHECK_CODE(it.status, i < 3 ? 0 : TG_ENONAME);
        CHECK_EQ(it.host_length, i < 3 ? 1024 : 0);
        CHECK_EQ(it.calls + it.released, 2);
        free_loop(loop, 0);
    }
    wait_until_alone();
}

int main(void)
{
    harness_begin();
    RUN(h64_slow_look_ups_keep_no_work_waiting);
    RUN(h20_look_ups_can_be_cancelled_before_they_begin);
    RUN(a_cancelled_look_up_leaves_its_record);
    RUN(h11_what_is_closed_is_released_although_the_look_up_goes_on);
    RUN(h57_look_ups_in_a_forked_child);
    RUN(h65_names_arrive_as_they_are_or_are_refused);
    RUN(h65_a_port_is_never_cut_off);
    RUN(every_failure_has_its_code);
    RUN(h65_each_address_once_in_the_systems_order_and_not_too_many);
    RUN(h65_the_largest_answer_on_a_batch_loop);
    RUN(h65_names_of_addresses_come_whole);
    return harness_end();
}
