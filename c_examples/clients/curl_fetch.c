/* libcurl on the loop: many transfers at once, on one thread.
 *
 *   curl_fetch URL COUNT     the same URL so many times: all bodies must be equal
 *   curl_fetch FILE          each line of it: URL [SIZE HASH] (- is the standard input)
 *
 * HASH is FNV-1a, 64 bits, in hexadecimal. Everything is fetched at once, then once more, over the
 * connections that were kept. One more transfer goes to a server that never answers: it must end by
 * its timeout. Ends with 0 when everything was as it should be. */
#define _GNU_SOURCE
#include "../adapters/tidegate_curl.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS 2
#define SILENCE_MS 200L
#define FNV_START UINT64_C(14695981039346656037)
#define FNV_PRIME UINT64_C(1099511628211)

typedef struct transfer {
    char url[1024], error[CURL_ERROR_SIZE];
    uint64_t hash, wanted_hash;
    size_t size, wanted_size;
    bool wanted;
    int rounds;
    struct totals *totals;
    struct transfer *next;
} transfer;

typedef struct totals {
    transfer *first;
    unsigned long count, left, passed, failed, bytes; /* left: transfers that go on */
    long connections;
    bool silence_ended;
} totals;

static size_t on_body(char *data, size_t one, size_t length, void *user)
{
    transfer *it = user;
    size_t i;
    for (i = 0; i < length; i++) it->hash = (it->hash ^ (unsigned char)data[i]) * FNV_PRIME;
    it->size += length;
    return one * length;
}

static void judge(transfer *it, CURL *easy, CURLcode result)
{
    long status = 0, connects = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
    it->totals->connections += connects;
    it->totals->bytes += it->size;
    if (!it->wanted) { /* the first answer is what the next ones are compared with */
        transfer *other;
        for (other = it->totals->first; other != NULL; other = other->next) {
            if (other->wanted || strcmp(other->url, it->url) != 0) continue;
            other->wanted_hash = it->hash;
            other->wanted_size = it->size;
            other->wanted = true;
        }
    }
    if (result == CURLE_OK && status == 200 && it->size == it->wanted_size &&
        it->hash == it->wanted_hash) {
        it->totals->passed++;
        return;
    }
    it->totals->failed++;
    fprintf(stderr, "%s: %s, status %ld, %zu bytes of %zu, hash %016" PRIx64 " of %016" PRIx64 "\n",
            it->url, it->error[0] != '\0' ? it->error : curl_easy_strerror(result), status,
            it->size, it->wanted_size, it->hash, it->wanted_hash);
}

static void on_done(tg_curl *web, CURL *easy, CURLcode result)
{
    totals *all = web->user;
    char *user = NULL;
    transfer *it;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &user);
    it = (transfer *)user;
    if (it == NULL) all->silence_ended = result == CURLE_OPERATION_TIMEDOUT; /* the one without an answer */
    else {
        judge(it, easy, result);
        it->size = 0;
        it->hash = FNV_START;
        if (++it->rounds < ROUNDS) {
            curl_multi_add_handle(web->multi, easy);
            return;
        }
    }
    curl_easy_cleanup(easy);
    if (--all->left > 0) return;
    tg_curl_close(web); /* inside its own callback */
    free(web);
}

static bool fetch(tg_curl *web, const char *url, transfer *it, long timeout_ms)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL) return false;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, it);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    if (it != NULL) {
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, it->error);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, it);
    }
    if (curl_multi_add_handle(web->multi, easy) != CURLM_OK) return false;
    ((totals *)web->user)->left++;
    return true;
}

/* A listener that nobody accepts from: the kernel connects, and then nothing comes. */
static int fetch_silence(tg_curl *web)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    char url[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 1) != 0 || getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        perror("listen");
        return fd;
    }
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    if (!fetch(web, url, NULL, SILENCE_MS)) fprintf(stderr, "silence: not begun\n");
    return fd;
}

static bool add(totals *all, const char *line)
{
    transfer *it = calloc(1, sizeof *it);
    if (it == NULL) return false;
    it->hash = FNV_START;
    it->wanted = sscanf(line, "%1023s %zu %" SCNx64, it->url, &it->wanted_size, &it->wanted_hash) == 3;
    it->totals = all;
    it->next = all->first;
    all->first = it;
    all->count++;
    return true;
}

static bool read_list(totals *all, const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    char line[1200];
    bool good = true;
    if (file == NULL) return perror(path), false;
    while (good && fgets(line, sizeof line, file) != NULL)
        if (line[0] != '\n') good = add(all, line);
    if (file != stdin) fclose(file);
    return good;
}

static bool run(totals *all)
{
    transfer *it;
    tg_loop loop;
    tg_curl *web = malloc(sizeof *web); /* freed when the last transfer has ended */
    int silent, result;
    if (web == NULL || tg_loop_new(NULL, &loop) < 0 || tg_curl_open(web, loop, on_done, all) < 0) return false;
    silent = fetch_silence(web);
    for (it = all->first; it != NULL; it = it->next)
        if (!fetch(web, it->url, it, 0)) all->failed++;
    result = tg_loop_run(loop);
    close(silent);
    return tg_loop_free(loop) == 0 && result == 0; /* 0 handles were left open */
}

int main(int argc, char **argv)
{
    totals all = { NULL, 0, 0, 0, 0, 0, 0, false };
    long i, count = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    bool good = argc == 2 ? read_list(&all, argv[1]) : argc == 3;
    for (i = 0; good && i < count; i++) good = add(&all, argv[1]);
    if (!good || all.count == 0) return fprintf(stderr, "usage: curl_fetch URL COUNT | FILE\n"), 2;
    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) return 1;
    good = run(&all);
    if (!good) fprintf(stderr, "the loop: %s\n", tg_last_error());
    curl_global_cleanup();
    printf("%lu transfers of %lu, %lu bytes, %ld connections; the silent one %s\n", all.passed,
           ROUNDS * all.count, all.bytes, all.connections,
           all.silence_ended ? "ended by its timeout" : "did not end by its timeout");
    while (all.first != NULL) {
        transfer *next = all.first->next;
        free(all.first);
        all.first = next;
    }
    return good && all.silence_ended && all.failed == 0 && all.passed == ROUNDS * all.count ? 0 : 1;
}
