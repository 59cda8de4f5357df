/* c-ares on the loop: many look-ups, each asked in the callback of another.
 *
 *   cares_lookup HOST:PORT DOMAIN [COUNT]
 *
 * The server must know host-10-0-X-Y.DOMAIN as 10.0.X.Y, as dnsmasq does when it is started with
 * --synth-domain=DOMAIN,10.0.0.0/16,host-. COUNT look-ups go over UDP, a tenth as many over TCP,
 * and one to a server that never answers: it must end by c-ares' own timeout. Ends with 0 when all
 * answers were right. */
#define _GNU_SOURCE
#include "../adapters/tidegate_cares.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How many are on their way at once: a server's socket holds a few hundred datagrams, and drops what is
 * more. c-ares asks again after its timeout, so that would only be slow. */
#define WINDOW 100
#define TIMEOUT_MS 5000
#define SILENCE_MS 50

typedef struct lookups {
    const char *name, *domain;
    tg_cares dns;
    unsigned count, asked, right, wrong;
    int last_error;
} lookups;

typedef struct question {
    lookups *of;
    unsigned number;
} question;

static void ask(lookups *it);

static void on_answer(void *user, int status, int timeouts, struct ares_addrinfo *answer)
{
    question *asked = user;
    lookups *it = asked->of;
    const struct ares_addrinfo_node *node = answer != NULL ? answer->nodes : NULL;
    bool right = false;
    (void)timeouts;
    if (status == ARES_SUCCESS && node != NULL && node->ai_family == AF_INET) {
        struct sockaddr_in address;
        memcpy(&address, node->ai_addr, sizeof address);
        right = ntohl(address.sin_addr.s_addr) == (10u << 24 | asked->number) && node->ai_next == NULL;
    }
    if (right) it->right++;
    else it->wrong++;
    if (status != ARES_SUCCESS) it->last_error = status;
    if (answer != NULL) ares_freeaddrinfo(answer);
    free(asked);
    if (status != ARES_EDESTRUCTION) ask(it);
}

/* The next question, if one is left. */
static void ask(lookups *it)
{
    struct ares_addrinfo_hints hints;
    question *next;
    char host[256];
    if (it->asked == it->count || (next = malloc(sizeof *next)) == NULL) return;
    next->of = it;
    next->number = ++it->asked;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_INET;
    hints.ai_flags = ARES_AI_NOSORT;
    snprintf(host, sizeof host, "host-10-0-%u-%u.%s.", next->number >> 8, next->number & 255, it->domain);
    ares_getaddrinfo(it->dns.channel, host, NULL, &hints, on_answer, next);
}

static bool begin(lookups *it, tg_loop loop, const char *server, int flags, int timeout_ms)
{
    struct ares_options options;
    char lookup[] = "b"; /* only the server, not /etc/hosts */
    unsigned i;
    memset(&options, 0, sizeof options);
    options.flags = flags;
    options.timeout = timeout_ms;
    options.tries = 2;
    options.lookups = lookup;
    if (tg_cares_open(&it->dns, loop, &options,
                      ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS) < 0)
        return fprintf(stderr, "%s: %s\n", it->name, tg_last_error()), false;
    if (ares_set_servers_ports_csv(it->dns.channel, server) != ARES_SUCCESS) {
        fprintf(stderr, "%s: HOST:PORT expected, not %s\n", it->name, server);
        tg_cares_close(&it->dns);
        return false;
    }
    for (i = 0; i < WINDOW; i++) ask(it);
    return true;
}

/* A socket that nobody reads from. Its address is written to text. */
static int silent_server(char *text, size_t room)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        perror("silent server");
    snprintf(text, room, "127.0.0.1:%d", ntohs(address.sin_port));
    return fd;
}

static void tell(const lookups *it)
{
    printf("%s: %u of %u right%s%s\n", it->name, it->right, it->count, it->wrong > 0 ? ", else: " : "",
           it->wrong > 0 ? ares_strerror(it->last_error) : "");
}

static bool run(tg_loop loop, lookups *all, const char *server)
{
    char silent[32];
    int fd = silent_server(silent, sizeof silent), i;
    bool good = begin(&all[0], loop, server, 0, TIMEOUT_MS) &&
                begin(&all[1], loop, server, ARES_FLAG_USEVC, TIMEOUT_MS) &&
                begin(&all[2], loop, silent, 0, SILENCE_MS);
    if (good) good = tg_loop_run(loop) == 0; /* returns when nothing is being asked */
    for (i = 0; i < 3; i++) {
        tell(&all[i]);
        tg_cares_close(&all[i].dns); /* harmless when it was not opened */
    }
    close(fd);
    return tg_loop_free(loop) == 0 && good; /* 0 handles were left open */
}

int main(int argc, char **argv)
{
    unsigned count = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1000;
    lookups all[3];
    tg_loop loop;
    bool good;
    if (argc < 3 || count == 0 || count > 65535)
        return fprintf(stderr, "usage: cares_lookup HOST:PORT DOMAIN [COUNT]\n"), 2;
    memset(all, 0, sizeof all);
    all[0].name = "UDP", all[0].count = count;
    all[1].name = "TCP", all[1].count = (count + 9) / 10;
    all[2].name = "silent server", all[2].count = 1;
    all[0].domain = all[1].domain = all[2].domain = argv[2];
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS || tg_loop_new(NULL, &loop) < 0) return 1;
    good = run(loop, all, argv[1]);
    ares_library_cleanup();
    return good && all[0].right == count && all[1].right == all[1].count &&
                   all[2].wrong == 1 && all[2].last_error == ARES_ETIMEOUT ? 0 : 1;
}
