/* hiredis on the loop: a long pipeline, publish and subscribe, and a server that dies.
 *
 *   redis_pipeline HOST PORT [COUNT [reconnect]]
 *
 * 1. COUNT times SET and GET, sent without waiting for an answer; every answer is checked.
 * 2. COUNT / 100 messages published on one connection, and received in order on another.
 * 3. With "reconnect": says "kill the server now", tries again when the connection is lost, says "no
 *    server" while there is none, and repeats a tenth of 1. Ends with 0 if all was as it should be. */
#define _GNU_SOURCE
#include "../adapters/tidegate_hiredis.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_NS INT64_C(20000000)
#define CHANNEL "tidegate:tide"
#define QUIET 20 /* events while nothing happens: some answers to PUBLISH, and the end */

typedef enum step { PIPELINE, PUBSUB, WAIT_FOR_THE_END, LOST, AGAIN, FINISHED } step;

typedef struct client {
    tg_loop loop;
    tg_handle retry;
    const char *host;
    int port;
    bool reconnect;
    step step;
    redisAsyncContext *redis, *subscriber; /* NULL while there is none */
    char why[128]; /* it was refused at once: an unknown host, for instance */
    uint64_t events_before; /* the loop's, when waiting began */
    long count, wanted, stored, fetched, published, received, wrong, refused;
} client;

static uint64_t events(const client *it)
{
    tg_loop_stats stats = TG_LOOP_STATS_INIT;
    tg_loop_get_stats(it->loop, &stats);
    return stats.events;
}

static void wrong(client *it, const char *what, const redisReply *reply)
{
    if (it->wrong++ == 0) /* the first says enough */
        fprintf(stderr, "%s: %s\n", what, reply != NULL && reply->str != NULL ? reply->str : "no reply");
}

static void finish(client *it)
{
    it->step = FINISHED;
    if (it->redis != NULL) redisAsyncDisconnect(it->redis); /* the loop ends when nothing is left to wait for */
}

/* NULL when it is refused at once: it->why says why. */
static redisAsyncContext *begin_to_connect(client *it)
{
    redisAsyncContext *context = redisAsyncConnect(it->host, it->port);
    if (context == NULL) return snprintf(it->why, sizeof it->why, "no memory"), NULL;
    context->data = it;
    if (context->err == 0 && tg_hiredis_attach(it->loop, context) == 0) return context;
    snprintf(it->why, sizeof it->why, "%s", context->err != 0 ? context->errstr : tg_last_error());
    redisAsyncFree(context);
    return NULL;
}

static void on_message(redisAsyncContext *context, void *answer, void *user)
{
    client *it = context->data;
    redisReply *reply = answer;
    (void)user;
    if (reply == NULL && it->step == PUBSUB) { /* it could not connect, or was lost; freed after this */
        it->subscriber = NULL;
        wrong(it, "subscriber", NULL);
        finish(it);
    }
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) return;
    if (strcmp(reply->element[0]->str, "subscribe") == 0) {
        for (long i = 0; i < it->published; i++) redisAsyncCommand(it->redis, NULL, NULL, "PUBLISH " CHANNEL " %ld", i);
        return;
    }
    if (strcmp(reply->element[0]->str, "message") != 0) return;
    if (strtol(reply->element[2]->str, NULL, 10) != it->received) wrong(it, "message", reply->element[2]);
    if (++it->received < it->published) return;
    it->subscriber = NULL;
    it->step = WAIT_FOR_THE_END;
    redisAsyncFree(context); /* inside its own callback: hiredis waits until we are back */
    it->events_before = events(it);
    if (it->reconnect) printf("kill the server now\n"), fflush(stdout);
    else finish(it);
}

static void subscribe(client *it)
{
    it->step = PUBSUB;
    it->subscriber = begin_to_connect(it);
    if (it->subscriber != NULL) redisAsyncCommand(it->subscriber, on_message, NULL, "SUBSCRIBE " CHANNEL);
    else fprintf(stderr, "subscriber: %s\n", it->why), it->wrong++, finish(it);
}

/* Of GET, whose user is the number of its key, or of SET, whose user is -1. */
static void on_answer(redisAsyncContext *context, void *answer, void *user)
{
    client *it = context->data;
    const redisReply *reply = answer;
    long number = (long)(intptr_t)user;
    if (number < 0) {
        if (reply != NULL && reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "OK") == 0) it->stored++;
        else wrong(it, "SET", reply);
        return;
    }
    if (reply == NULL || reply->type != REDIS_REPLY_STRING || strtol(reply->str, NULL, 10) != 7 * number)
        wrong(it, "GET", reply);
    if (++it->fetched != it->wanted) return;
    if (it->step == PIPELINE && it->wrong == 0) subscribe(it);
    else finish(it);
}

static void send_pipeline(client *it, long count)
{
    it->wanted += count;
    for (long i = 0; i < count; i++) {
        redisAsyncCommand(it->redis, on_answer, (void *)(intptr_t)-1, "SET tidegate:%ld %ld", i, 7 * i);
        redisAsyncCommand(it->redis, on_answer, (void *)(intptr_t)i, "GET tidegate:%ld", i);
    }
}

static void on_gone(const redisAsyncContext *context, int status)
{
    client *it = context->data;
    it->redis = NULL; /* hiredis frees it */
    if (it->step == WAIT_FOR_THE_END) {
        printf("lost: %s\n", context->errstr);
        if (events(it) > it->events_before + QUIET) wrong(it, "the loop did not sleep", NULL);
        it->step = LOST;
        tg_timer_start(it->retry, RETRY_NS, 0);
    } else if (it->step != FINISHED || status != REDIS_OK) { /* nobody was asked to kill it */
        fprintf(stderr, "lost: %s\n", context->errstr);
        it->wrong++;
        if (it->subscriber != NULL) redisAsyncFree(it->subscriber);
    }
}

static void not_connected(client *it, const char *why)
{
    it->redis = NULL;
    if (it->step == LOST) {
        if (it->refused++ == 0) printf("no server\n"), fflush(stdout);
        tg_timer_start(it->retry, RETRY_NS, 0);
    } else fprintf(stderr, "connect: %s\n", why);
}

static void on_connected(const redisAsyncContext *context, int status)
{
    client *it = context->data;
    if (status == REDIS_OK) {
        it->step = it->step == LOST ? AGAIN : PIPELINE;
        send_pipeline(it, it->step == AGAIN ? (it->count + 9) / 10 : it->count);
    } else not_connected(it, context->errstr); /* hiredis frees the context */
}

static void connect_to_server(client *it)
{
    it->redis = begin_to_connect(it);
    if (it->redis != NULL) {
        redisAsyncSetConnectCallback(it->redis, on_connected);
        redisAsyncSetDisconnectCallback(it->redis, on_gone);
    } else not_connected(it, it->why);
}

static void on_retry(tg_handle self, void *user, uint64_t missed)
{
    (void)self, (void)missed;
    connect_to_server(user);
}

int main(int argc, char **argv)
{
    client it;
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    int result, open_handles;
    if (argc < 3) return fprintf(stderr, "usage: redis_pipeline HOST PORT [COUNT [reconnect]]\n"), 2;
    memset(&it, 0, sizeof it);
    it.host = argv[1], it.port = atoi(argv[2]);
    it.count = argc > 3 ? strtol(argv[3], NULL, 10) : 100000;
    it.published = (it.count + 99) / 100;
    it.reconnect = argc > 4;
    options.callback = on_retry;
    options.user = &it;
    signal(SIGPIPE, SIG_IGN); /* hiredis writes to the connection that is lost */
    if (tg_loop_new(NULL, &it.loop) < 0 || tg_timer_open(it.loop, -1, 0, &options, &it.retry) < 0) return 1;
    connect_to_server(&it);
    result = tg_loop_run(it.loop);
    tg_close(it.retry);
    open_handles = tg_loop_free(it.loop);
    printf("%ld stored, %ld fetched of %ld, %ld messages of %ld, %ld wrong, refused %ld times, %d handles left\n",
           it.stored, it.fetched, it.wanted, it.received, it.published, it.wrong, it.refused, open_handles);
    return result == 0 && open_handles == 0 && it.wrong == 0 && it.step == FINISHED &&
                   it.stored == it.wanted && it.received == it.published ? 0 : 1;
}
