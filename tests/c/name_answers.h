/* A look-up of this program's in place of the system's, which the library calls; and addresses that answer, refuse or never
 * answer. */
#ifndef TIDEGATE_TEST_NAME_ANSWERS_H
#define TIDEGATE_TEST_NAME_ANSWERS_H

#include "gate.h"
#include "talk.h"

#include <netdb.h>

/* What the look-up answers. Set before a connection is begun. */
static struct {
    gate *at; /* where it waits; NULL: nowhere */
    int result, count;
    struct sockaddr_storage all[4];
} answer;

/* Look-ups may still be going on when the test after them begins. */
static pthread_mutex_t answer_lock = PTHREAD_MUTEX_INITIALIZER;

static struct addrinfo *entry(const struct sockaddr_storage *address, struct addrinfo *next)
{
    struct addrinfo *it = calloc(1, sizeof *it);
    struct sockaddr_storage *copy = malloc(sizeof *copy);
    MUST(it != NULL && copy != NULL);
    *copy = *address;
    it->ai_family = address->ss_family;
    it->ai_addr = (struct sockaddr *)copy;
    it->ai_addrlen = address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    it->ai_next = next;
    return it;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    gate *at;
    int result;
    MUST(pthread_mutex_lock(&answer_lock) == 0);
    at = answer.at;
    MUST(pthread_mutex_unlock(&answer_lock) == 0);
    if (at != NULL) gate_pass(at);
    MUST(pthread_mutex_lock(&answer_lock) == 0);
    MUST(strcmp(host, "name") == 0 && strcmp(service, "service") == 0 && hints->ai_socktype == SOCK_STREAM);
    result = answer.result;
    *out = NULL;
    for (int i = answer.count - 1; i >= 0 && result == 0; i--) *out = entry(&answer.all[i], *out);
    MUST(pthread_mutex_unlock(&answer_lock) == 0);
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

static inline void answer_with(gate *at, int result)
{
    MUST(pthread_mutex_lock(&answer_lock) == 0);
    memset(&answer, 0, sizeof answer);
    answer.at = at;
    answer.result = result;
    MUST(pthread_mutex_unlock(&answer_lock) == 0);
}

static inline struct sockaddr_storage place(const char *ip, uint16_t port)
{
    struct sockaddr_storage where;
    tg_address address;
    memset(&where, 0, sizeof where);
    MUST(tg_address_parse(ip, port, &address) == 0);
    MUST(tg_address_to_sockaddr(&address, &where, sizeof where) > 0);
    return where;
}

static inline void answer_also(struct sockaddr_storage where)
{
    MUST(pthread_mutex_lock(&answer_lock) == 0);
    answer.all[answer.count++] = where;
    MUST(pthread_mutex_unlock(&answer_lock) == 0);
}

static inline socklen_t length_of(const struct sockaddr_storage *where)
{
    return where->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* A listening socket. -1: the machine has no such family. */
static inline int listen_on(const char *ip, int backlog, struct sockaddr_storage *where)
{
    socklen_t length = sizeof *where;
    int fd;
    *where = place(ip, 0);
    fd = socket(where->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    if (bind(fd, (struct sockaddr *)where, length_of(where)) < 0) {
        close(fd);
        return -1;
    }
    MUST(listen(fd, backlog) == 0 && getsockname(fd, (struct sockaddr *)where, &length) == 0);
    return fd;
}

/* Where nobody listens. */
static inline struct sockaddr_storage dead_end(const char *ip)
{
    struct sockaddr_storage where;
    int fd = listen_on(ip, 1, &where);
    if (fd >= 0) close(fd);
    else where = place(ip, 9);
    return where;
}

/* An address that never answers: the queue behind it is full. */
typedef struct hole {
    int listening, inside;
    struct sockaddr_storage where;
} hole;

static inline void hole_open(hole *it)
{
    it->listening = listen_on("127.0.0.1", 0, &it->where);
    it->inside = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(it->listening >= 0 && it->inside >= 0);
    MUST(connect(it->inside, (struct sockaddr *)&it->where, length_of(&it->where)) == 0);
}

static inline void hole_close(hole *it)
{
    close(it->listening);
    close(it->inside);
}

#endif
