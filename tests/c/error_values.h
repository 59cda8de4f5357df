/* What the tests of the words of errors share: the check, and callbacks that never come. */
#ifndef TIDEGATE_TEST_ERROR_VALUES_H
#define TIDEGATE_TEST_ERROR_VALUES_H

#include "support.h"

static tg_loop loop;
static tg_handle out; /* never written: everything here is refused */

static inline void check_says(int line, const char *call, int code, int expected, const char *words)
{
    const char *said = tg_last_error();
    if (code != expected) printf("# line %d: %s gave %s: %s\n", line, call, tg_err_name(code), said);
    CHECK_EQ(code, expected);
    if (strstr(said, words) != NULL) return;
    printf("# line %d: no %s in: %s\n", line, words, said);
    CHECK(!"the words name the value");
}

/* The call gives this code, and leaves these words among others. */
#define SAYS(expected, words, call) check_says(__LINE__, #call, (call), (expected), (words))

static inline void never(tg_handle self, void *user)
{
    (void)self, (void)user;
    CHECK(!"nobody is called");
}

static inline void never_resolved(tg_handle self, void *user, int status, const tg_address *all, size_t count)
{
    (void)all, (void)count, (void)status;
    never(self, user);
}

static inline void never_named(tg_handle self, void *user, int status, const char *host, const char *service)
{
    (void)host, (void)service, (void)status;
    never(self, user);
}

static inline void never_done(tg_handle self, void *user, const tg_file_result *result)
{
    (void)result;
    never(self, user);
}

static inline void never_changed(tg_handle self, void *user, int status, const tg_change *change)
{
    (void)change, (void)status;
    never(self, user);
}

static inline void never_ended(tg_handle self, void *user, int status, int exit_code, int signum)
{
    (void)status, (void)exit_code, (void)signum;
    never(self, user);
}

static inline void never_received(tg_handle self, void *user, const tg_datagram *all, size_t count)
{
    (void)all, (void)count;
    never(self, user);
}

static inline tg_address address_of(const char *ip, uint16_t port)
{
    tg_address address;
    MUST(tg_address_parse(ip, port, &address) == 0);
    return address;
}

static inline tg_address unix_address(const char *name, size_t length)
{
    tg_address address;
    MUST(tg_address_unix(name, length, &address) == 0);
    return address;
}

static inline tg_handle open_udp(void)
{
    tg_udp_options options = TG_UDP_OPTIONS_INIT;
    tg_address local = address_of("127.0.0.1", 0);
    tg_handle udp;
    options.callback = never_received;
    MUST(tg_udp_open(loop, &local, &options, &udp) == 0);
    return udp;
}

static inline void begin(void)
{
    MUST(tg_loop_new(NULL, &loop) == 0);
    out = 7;
}

static inline void end(void)
{
    CHECK_EQ(out, 7);
    CHECK(tg_loop_free(loop) >= 0);
}

#endif
