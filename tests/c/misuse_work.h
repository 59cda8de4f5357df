/* The misuse sweep of work on other threads, and of addresses. */
#ifndef TIDEGATE_TEST_MISUSE_WORK_H
#define TIDEGATE_TEST_MISUSE_WORK_H

#include "misuse_open.h"

OF_ID(work_open, OPTIONS(tg_work_options, on_work);
      int code = tg_work_open(id, work_hits, &options, &out); UNTOUCHED(out, 7); return code;)
OF_ID(handle_cancel, return tg_handle_cancel(id);)

static void sweep_work_open(void)
{
    OPTIONS(tg_work_options, on_work);
    LOOP_ID(work_open);
    REFUSED(TG_EINVAL, tg_work_open(on.loop, work_hits, &options, NULL));
    REFUSED(TG_EINVAL, tg_work_open(on.loop, work_hits, NULL, &out)); /* no callback */
    REFUSED(TG_EINVAL, tg_work_open(on.loop, NULL, &options, &out));
    REFUSED(TG_EINVAL, tg_work_open(on.batch, NULL, NULL, &out));
    BAD_OPTIONS(tg_work_open(on.loop, work_hits, &options, &out));
    BAD_RESERVED(tg_work_open(on.loop, work_hits, &options, &out));
    BAD_FUNCTIONS(tg_work_options, tg_work_open(on.loop, work_hits, &bare, &out),
                  tg_work_open(on.batch, work_hits, &bare, &out));
}

/* 0: a kind that none of the bench's handles has, so all of them are of another kind. */
static void sweep_handle_cancel(void) { HANDLE_OF(0, handle_cancel); }

/* An address that holds nothing but what makes it wrong; `call` uses `bad`. */
#define BAD_ADDRESS(call)                                                                     \
    do {                                                                                      \
        tg_address bad;                                                                       \
        memset(&bad, 0, sizeof bad); REFUSED(TG_EINVAL, call);                                \
        bad.family = 2; REFUSED(TG_EINVAL, call);                                             \
        bad.family = UINT32_MAX; REFUSED(TG_EINVAL, call);                                    \
        bad.family = TG_UNIX; bad.path_length = 109; REFUSED(TG_EINVAL, call);                \
        bad.path_length = UINT16_MAX; REFUSED(TG_EINVAL, call);                               \
        memset(bad.path, 'a', sizeof bad.path); bad.path_length = 108; REFUSED(TG_EINVAL, call); \
        bad.path[3] = '\0'; bad.path_length = 8; REFUSED(TG_EINVAL, call);                    \
    } while (0)

static void sweep_address_parse(void)
{
    static const char *const texts[] = {
        "", " ", "localhost", "127.0.0.1 ", "127.0.0.1.5", "256.0.0.1", "127.1", "0x7f.0.0.1", "127.0.0.1:80",
        "[::1]", "::g", ":::", "::1%", "::1%eth0", "::1%-1", "::1%4294967296", "1.2.3.4%1", "\xff\xfe",
    };
    tg_address out;
    memset(&out, 0x55, sizeof out);
    REFUSED(TG_EINVAL, tg_address_parse(NULL, 1, &out));
    REFUSED(TG_EINVAL, tg_address_parse("::1", 1, NULL));
    REFUSED(TG_EINVAL, tg_address_parse(NULL, 1, NULL));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        REFUSED(TG_EINVAL, tg_address_parse(texts[i], 1, &out));
    UNTOUCHED(out.family, 0x55555555u);
}

static void sweep_address_unix(void)
{
    tg_address out;
    char name[200];
    memset(name, 'a', sizeof name);
    memset(&out, 0x55, sizeof out);
    REFUSED(TG_EINVAL, tg_address_unix(NULL, 1, &out));
    REFUSED(TG_EINVAL, tg_address_unix(NULL, SIZE_MAX, &out));
    REFUSED(TG_EINVAL, tg_address_unix(name, SIZE_MAX, &out));
    REFUSED(TG_EINVAL, tg_address_unix(name, 4, NULL));
    REFUSED(TG_EINVAL, tg_address_unix(name, 108, &out));
    REFUSED(TG_EINVAL, tg_address_unix(name, sizeof name, &out));
    REFUSED(TG_EINVAL, tg_address_unix("a\0b", 3, &out));
    name[0] = '\0';
    REFUSED(TG_EINVAL, tg_address_unix(name, 109, &out));
    UNTOUCHED(out.family, 0x55555555u);
}

static void sweep_address_format(void)
{
    tg_address good;
    char text[64] = "abc";
    MUST(tg_address_parse("127.0.0.1", 80, &good) == 0);
    REFUSED(TG_EINVAL, tg_address_format(NULL, text, sizeof text));
    REFUSED(TG_EINVAL, tg_address_format(&good, NULL, 1));
    REFUSED(TG_EINVAL, tg_address_format(&good, text, SIZE_MAX));
    REFUSED(TG_ENOBUFS, tg_address_format(&good, NULL, 0));
    REFUSED(TG_ENOBUFS, tg_address_format(&good, text, 0));
    REFUSED(TG_ENOBUFS, tg_address_format(&good, text, strlen("127.0.0.1:80")));
    BAD_ADDRESS(tg_address_format(&bad, text, sizeof text));
    CHECK(strcmp(text, "abc") == 0);
}

static void sweep_address_from_sockaddr(void)
{
    struct sockaddr_storage from;
    tg_address out;
    memset(&from, 0, sizeof from);
    memset(&out, 0x55, sizeof out);
    REFUSED(TG_EINVAL, tg_address_from_sockaddr(NULL, sizeof from, &out));
    REFUSED(TG_EINVAL, tg_address_from_sockaddr(&from, sizeof from, &out)); /* AF_UNSPEC */
    from.ss_family = AF_INET;
    REFUSED(TG_EINVAL, tg_address_from_sockaddr(&from, sizeof(struct sockaddr_in), NULL));
    REFUSED(TG_EINVAL, tg_address_from_sockaddr(&from, 0, &out));
    REFUSED(TG_EINVAL, tg_address_from_sockaddr(&from, 1, &out));
    REFUSED(TG_EINVAL, tg_address_from_sockaddr(&from, sizeof(struct sockaddr_in) - 1, &out));
    REFUSED(TG_EINVAL, tg_address_from_sockaddr(&from, sizeof from + 1, &out));
    REFUSED(TG_EINVAL, tg_address_from_sockaddr(&from, SIZE_MAX, &out));
    from.ss_family = AF_INET6;
    REFUSED(TG_EINVAL, tg_address_from_sockaddr(&from, sizeof(struct sockaddr_in6) - 1, &out));
    from.ss_family = AF_PACKET;
    REFUSED(TG_EINVAL, tg_address_from_sockaddr(&from, sizeof from, &out));
    from.ss_family = AF_UNIX;
    memset((char *)&from + 2, 'a', sizeof from - 2);
    REFUSED(TG_EINVAL, tg_address_from_sockaddr(&from, sizeof from, &out)); /* longer than names can be */
    UNTOUCHED(out.family, 0x55555555u);
}

static void sweep_address_to_sockaddr(void)
{
    tg_address good;
    struct sockaddr_storage to;
    memset(&to, 0x55, sizeof to);
    MUST(tg_address_parse("::1", 80, &good) == 0);
    REFUSED(TG_EINVAL, tg_address_to_sockaddr(NULL, &to, sizeof to));
    REFUSED(TG_EINVAL, tg_address_to_sockaddr(&good, NULL, sizeof to));
    REFUSED(TG_EINVAL, tg_address_to_sockaddr(&good, &to, SIZE_MAX));
    REFUSED(TG_ENOBUFS, tg_address_to_sockaddr(&good, NULL, 0));
    REFUSED(TG_ENOBUFS, tg_address_to_sockaddr(&good, &to, sizeof(struct sockaddr_in6) - 1));
    BAD_ADDRESS(tg_address_to_sockaddr(&bad, &to, sizeof to));
    UNTOUCHED(to.ss_family, 0x5555);
}

#endif
