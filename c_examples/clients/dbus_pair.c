/* libdbus on the loop: a service and a client of it, on one bus, in one thread.
 *
 *   dbus_pair ADDRESS [COUNT]
 *
 * The client calls the service COUNT times without waiting, and each answer and signal is checked; then
 * with an argument far larger than a socket's buffer; then something that is never answered, which must
 * end by libdbus' timeout. At last both leave the bus, inside a callback. Ends with 0 when everything was
 * as it should be. */
#define _GNU_SOURCE
#include "../adapters/tidegate_dbus.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "org.tidegate.Example"
#define PATH "/org/tidegate/Example"
#define MATCH "type='signal',interface='" NAME "',member='Counted'"
#define LARGE_BYTES 4000000
#define CALL_MS 60000
#define SILENCE_MS 50
#define QUIET 20 /* events while nothing happens: the question, and its end */

typedef struct peer {
    DBusConnection *connection;
    tg_dbus bus;
} peer;

typedef struct program {
    tg_loop loop;
    peer *service, *client;
    uint64_t events_before; /* the loop's, when the silence began */
    dbus_uint32_t count, doubled, signals, wrong, freed;
    bool echoed, silence_ended;
    unsigned char *large;
} program;

static void on_freed(void *user) { ((program *)user)->freed++; }

static uint64_t events(const program *it)
{
    tg_loop_stats stats = TG_LOOP_STATS_INIT;
    tg_loop_get_stats(it->loop, &stats);
    return stats.events;
}

static void leave(peer *it)
{
    if (it == NULL) return;
    dbus_connection_close(it->connection); /* removes its watches */
    tg_dbus_detach(&it->bus);
    dbus_connection_unref(it->connection);
    free(it);
}

static peer *join(program *it, const char *address, DBusHandleMessageFunction filter)
{
    peer *new_peer = calloc(1, sizeof *new_peer);
    DBusConnection *connection;
    DBusError error = DBUS_ERROR_INIT;
    connection = new_peer != NULL ? dbus_connection_open_private(address, &error) : NULL;
    if (connection != NULL) { /* registering waits for the bus, but the loop does not run yet */
        new_peer->connection = connection;
        dbus_connection_set_exit_on_disconnect(connection, FALSE);
        if (dbus_bus_register(connection, &error) && dbus_connection_add_filter(connection, filter, it, on_freed) &&
            tg_dbus_attach(&new_peer->bus, it->loop, connection) == 0)
            return new_peer;
        dbus_connection_close(connection);
        dbus_connection_unref(connection);
    }
    free(new_peer);
    fprintf(stderr, "%s: %s\n", address, dbus_error_is_set(&error) ? error.message : tg_last_error());
    dbus_error_free(&error);
    return NULL;
}

/* The service answers Double and Echo, and counts the former in a signal. Silence it does not answer. */
static DBusHandlerResult on_call(DBusConnection *connection, DBusMessage *call, void *user)
{
    DBusMessage *reply, *counted;
    dbus_uint32_t number = 0;
    (void)user;
    if (dbus_message_is_method_call(call, NAME, "Silence")) return DBUS_HANDLER_RESULT_HANDLED;
    if (dbus_message_is_method_call(call, NAME, "Echo")) {
        const unsigned char *bytes;
        int length;
        reply = dbus_message_new_method_return(call);
        if (dbus_message_get_args(call, NULL, DBUS_TYPE_ARRAY, DBUS_TYPE_BYTE, &bytes, &length, DBUS_TYPE_INVALID))
            dbus_message_append_args(reply, DBUS_TYPE_ARRAY, DBUS_TYPE_BYTE, &bytes, length, DBUS_TYPE_INVALID);
    } else if (dbus_message_is_method_call(call, NAME, "Double") &&
               dbus_message_get_args(call, NULL, DBUS_TYPE_UINT32, &number, DBUS_TYPE_INVALID)) {
        counted = dbus_message_new_signal(PATH, NAME, "Counted");
        dbus_message_append_args(counted, DBUS_TYPE_UINT32, &number, DBUS_TYPE_INVALID);
        dbus_connection_send(connection, counted, NULL);
        dbus_message_unref(counted);
        number *= 2;
        reply = dbus_message_new_method_return(call);
        dbus_message_append_args(reply, DBUS_TYPE_UINT32, &number, DBUS_TYPE_INVALID);
    } else return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
    dbus_connection_send(connection, reply, NULL);
    dbus_message_unref(reply);
    return DBUS_HANDLER_RESULT_HANDLED;
}

/* Calls the service with one argument; notify is told of the answer. */
static void call(program *it, const char *method, int type, const void *value, int length, int timeout_ms,
                 DBusPendingCallNotifyFunction notify)
{
    DBusMessage *message = dbus_message_new_method_call(NAME, PATH, NAME, method);
    DBusPendingCall *pending = NULL;
    if (type == DBUS_TYPE_ARRAY)
        dbus_message_append_args(message, type, DBUS_TYPE_BYTE, value, length, DBUS_TYPE_INVALID);
    else dbus_message_append_args(message, type, value, DBUS_TYPE_INVALID);
    if (dbus_connection_send_with_reply(it->client->connection, message, &pending, timeout_ms) && pending != NULL) {
        dbus_pending_call_set_notify(pending, notify, it, NULL);
        dbus_pending_call_unref(pending); /* the connection keeps it until it is answered */
    } else it->wrong++;
    dbus_message_unref(message);
}

static void on_silence(DBusPendingCall *pending, void *user)
{
    program *it = user;
    DBusMessage *reply = dbus_pending_call_steal_reply(pending);
    it->silence_ended = dbus_message_is_error(reply, DBUS_ERROR_NO_REPLY);
    dbus_message_unref(reply);
    if (events(it) > it->events_before + QUIET) it->wrong++; /* the loop did not sleep */
    leave(it->client); /* inside its own callback */
    leave(it->service);
    it->client = it->service = NULL;
}

static void on_echo(DBusPendingCall *pending, void *user)
{
    program *it = user;
    DBusMessage *reply = dbus_pending_call_steal_reply(pending);
    const unsigned char *bytes;
    int length;
    it->echoed = dbus_message_get_args(reply, NULL, DBUS_TYPE_ARRAY, DBUS_TYPE_BYTE, &bytes, &length,
                                       DBUS_TYPE_INVALID) &&
                 length == LARGE_BYTES && memcmp(bytes, it->large, LARGE_BYTES) == 0;
    dbus_message_unref(reply);
    it->events_before = events(it);
    call(it, "Silence", DBUS_TYPE_UINT32, &it->count, 0, SILENCE_MS, on_silence);
}

static void on_doubled(DBusPendingCall *pending, void *user)
{
    program *it = user;
    DBusMessage *reply = dbus_pending_call_steal_reply(pending);
    dbus_uint32_t number;
    if (!dbus_message_get_args(reply, NULL, DBUS_TYPE_UINT32, &number, DBUS_TYPE_INVALID) || number != 2 * it->doubled)
        it->wrong++;
    dbus_message_unref(reply);
    if (++it->doubled == it->count) /* the signals came before the answers */
        call(it, "Echo", DBUS_TYPE_ARRAY, &it->large, LARGE_BYTES, CALL_MS, on_echo);
}

static DBusHandlerResult on_signal(DBusConnection *connection, DBusMessage *message, void *user)
{
    program *it = user;
    dbus_uint32_t number;
    (void)connection;
    if (!dbus_message_is_signal(message, NAME, "Counted")) return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
    if (!dbus_message_get_args(message, NULL, DBUS_TYPE_UINT32, &number, DBUS_TYPE_INVALID) || number != it->signals++)
        it->wrong++;
    return DBUS_HANDLER_RESULT_HANDLED;
}

int main(int argc, char **argv)
{
    program it;
    int result = -1, open_handles;
    memset(&it, 0, sizeof it);
    it.count = argc > 2 ? (dbus_uint32_t)strtoul(argv[2], NULL, 10) : 1000;
    it.large = malloc(LARGE_BYTES);
    if (argc < 2 || it.count == 0 || it.large == NULL) return fprintf(stderr, "usage: dbus_pair ADDRESS [COUNT]\n"), 2;
    for (unsigned i = 0; i < LARGE_BYTES; i++) it.large[i] = (unsigned char)(i % 251);
    if (tg_loop_new(NULL, &it.loop) < 0) return fprintf(stderr, "%s\n", tg_last_error()), 1;
    it.service = join(&it, argv[1], on_call);
    it.client = it.service != NULL ? join(&it, argv[1], on_signal) : NULL;
    if (it.client != NULL &&
        dbus_bus_request_name(it.service->connection, NAME, DBUS_NAME_FLAG_DO_NOT_QUEUE, NULL) ==
            DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER) {
        dbus_bus_add_match(it.client->connection, MATCH, NULL);
        for (dbus_uint32_t i = 0; i < it.count; i++) call(&it, "Double", DBUS_TYPE_UINT32, &i, 0, CALL_MS, on_doubled);
        result = tg_loop_run(it.loop); /* returns when both have left */
    }
    leave(it.client); /* after an error only */
    leave(it.service);
    open_handles = tg_loop_free(it.loop);
    free(it.large);
    dbus_shutdown();
    printf("%u of %u calls answered, %u signals, 4 MB %s, silence %s, %u wrong, %u connections of 2 freed, "
           "%d handles left\n", it.doubled, it.count, it.signals, it.echoed ? "echoed" : "lost",
           it.silence_ended ? "timed out" : "went on", it.wrong, it.freed, open_handles);
    return result == 0 && open_handles == 0 && it.wrong == 0 && it.signals == it.count && it.echoed &&
                   it.silence_ended && it.freed == 2 ? 0 : 1;
}
