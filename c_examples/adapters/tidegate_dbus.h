/* A libdbus connection on a Tidegate loop. Copy this file into your program; it is yours to change.
 *
 *     tg_dbus bus;
 *     tg_dbus_attach(&bus, loop, connection);      0, or a negative code; messages are dispatched from now on
 *     tg_dbus_detach(&bus);                        at any time, in message handlers as well; once
 *
 * Owns    a watcher for each of libdbus' watches (there are two on one descriptor: one reads, one writes), a timer for
 *         each of its timeouts, a timer for dispatching, and a reference to the connection. Closing a private
 *         connection stays yours. `bus` must stay where it is until tg_dbus_detach, before the loop is freed.
 * Threads all of it on the loop's thread, sending included: libdbus switches watches on the thread that sends. */
#ifndef TIDEGATE_DBUS_H
#define TIDEGATE_DBUS_H

#include <dbus/dbus.h>
#include <tidegate.h>

typedef struct tg_dbus {
    tg_loop loop;
    DBusConnection *connection;
    tg_handle dispatch;
} tg_dbus;

/* libdbus keeps a pointer for each watch and timeout; the id is put there, so nothing is allocated. */
typedef char tg_dbus_an_id_fits_into_a_pointer[sizeof(void *) >= sizeof(tg_handle) ? 1 : -1];

static inline tg_handle tg_dbus_id(void *data) { return (tg_handle)(uintptr_t)data; }

static inline void tg_dbus_on_ready(tg_handle self, void *user, uint32_t ready, int status)
{
    unsigned flags = 0;
    (void)self;
    if ((ready & TG_READ) != 0) flags |= DBUS_WATCH_READABLE;
    if ((ready & TG_WRITE) != 0) flags |= DBUS_WATCH_WRITABLE;
    if ((ready & TG_HANGUP) != 0) flags |= DBUS_WATCH_HANGUP;
    if ((ready & TG_ERROR) != 0 || status < 0) flags |= DBUS_WATCH_ERROR;
    dbus_watch_handle(user, flags); /* may remove this watch and the other one */
}

static inline void tg_dbus_toggle_watch(DBusWatch *watch, void *data)
{
    unsigned flags = dbus_watch_get_enabled(watch) ? dbus_watch_get_flags(watch) : 0;
    (void)data;
    tg_io_set_interest(tg_dbus_id(dbus_watch_get_data(watch)), ((flags & DBUS_WATCH_READABLE) != 0 ? TG_READ : 0) |
                                                               ((flags & DBUS_WATCH_WRITABLE) != 0 ? TG_WRITE : 0));
}

static inline dbus_bool_t tg_dbus_add_watch(DBusWatch *watch, void *data)
{
    tg_io_options options = TG_IO_OPTIONS_INIT;
    tg_handle watcher;
    options.callback = tg_dbus_on_ready;
    options.user = watch; /* lives until tg_dbus_remove_watch, after which no callback comes */
    if (tg_io_open(((tg_dbus *)data)->loop, dbus_watch_get_unix_fd(watch), 0, &options, &watcher) < 0) return FALSE;
    dbus_watch_set_data(watch, (void *)(uintptr_t)watcher, NULL);
    tg_dbus_toggle_watch(watch, data);
    return TRUE;
}

static inline void tg_dbus_remove_watch(DBusWatch *watch, void *data)
{
    (void)data, tg_close(tg_dbus_id(dbus_watch_get_data(watch)));
}

static inline void tg_dbus_on_timeout(tg_handle self, void *user, uint64_t missed)
{
    (void)self, (void)missed;
    dbus_timeout_handle(user); /* may remove this timeout */
}

/* A timeout of libdbus repeats until it is switched off; switched on again it may have another interval. */
static inline void tg_dbus_toggle_timeout(DBusTimeout *timeout, void *data)
{
    tg_handle timer = tg_dbus_id(dbus_timeout_get_data(timeout));
    int milliseconds = dbus_timeout_get_interval(timeout);
    int64_t interval = milliseconds > 0 ? (int64_t)milliseconds * 1000000 : 1;
    (void)data;
    if (dbus_timeout_get_enabled(timeout)) tg_timer_start(timer, interval, interval);
    else tg_timer_stop(timer);
}

static inline dbus_bool_t tg_dbus_add_timeout(DBusTimeout *timeout, void *data)
{
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    tg_handle timer;
    options.callback = tg_dbus_on_timeout;
    options.user = timeout;
    if (tg_timer_open(((tg_dbus *)data)->loop, -1, 0, &options, &timer) < 0) return FALSE;
    dbus_timeout_set_data(timeout, (void *)(uintptr_t)timer, NULL);
    tg_dbus_toggle_timeout(timeout, data);
    return TRUE;
}

static inline void tg_dbus_remove_timeout(DBusTimeout *timeout, void *data)
{
    (void)data, tg_close(tg_dbus_id(dbus_timeout_get_data(timeout)));
}

/* There are messages to dispatch: not now, since libdbus is still at work, but in the loop's next turn. When it had no
 * memory for one, a little later: it may have some then. */
static inline void tg_dbus_on_status(DBusConnection *connection, DBusDispatchStatus status, void *data)
{
    int64_t delay_ns = status == DBUS_DISPATCH_NEED_MEMORY ? 100000000 : 0;
    (void)connection;
    if (status != DBUS_DISPATCH_COMPLETE) tg_timer_start(((tg_dbus *)data)->dispatch, delay_ns, 0);
}

/* One message a turn, so that a peer that sends without end leaves the others their share. */
static inline void tg_dbus_on_dispatch(tg_handle self, void *user, uint64_t missed)
{
    DBusConnection *connection = dbus_connection_ref(((tg_dbus *)user)->connection);
    DBusDispatchStatus status = dbus_connection_dispatch(connection);
    (void)missed;
    if (tg_handle_is_open(self) == 1) tg_dbus_on_status(connection, status, user); /* else detached, perhaps freed */
    dbus_connection_unref(connection);
}

static inline void tg_dbus_detach(tg_dbus *bus)
{
    DBusConnection *connection = bus->connection;
    dbus_connection_set_dispatch_status_function(connection, NULL, NULL, NULL);
    dbus_connection_set_watch_functions(connection, NULL, NULL, NULL, NULL, NULL); /* removes each watch */
    dbus_connection_set_timeout_functions(connection, NULL, NULL, NULL, NULL, NULL);
    tg_close(bus->dispatch);
    dbus_connection_unref(connection);
}

static inline int tg_dbus_attach(tg_dbus *bus, tg_loop loop, DBusConnection *connection)
{
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    int code;
    options.callback = tg_dbus_on_dispatch;
    options.user = bus;
    code = tg_timer_open(loop, -1, 0, &options, &bus->dispatch);
    if (code < 0) return code;
    bus->loop = loop;
    bus->connection = dbus_connection_ref(connection);
    if (!dbus_connection_set_watch_functions(connection, tg_dbus_add_watch, tg_dbus_remove_watch,
                                             tg_dbus_toggle_watch, bus, NULL) ||
        !dbus_connection_set_timeout_functions(connection, tg_dbus_add_timeout, tg_dbus_remove_timeout,
                                               tg_dbus_toggle_timeout, bus, NULL)) {
        tg_dbus_detach(bus);
        return TG_ENOMEM;
    }
    dbus_connection_set_dispatch_status_function(connection, tg_dbus_on_status, bus, NULL);
    tg_dbus_on_status(connection, dbus_connection_get_dispatch_status(connection), bus); /* what came before */
    return 0;
}

#endif
