/* What tests/product/integrity.py talks to: an echo that is told nothing about its peers, and at the end says what it
 * has left. It echoes in four ways, by the first byte of a connection: written, owned, relayed through a pair of sockets,
 * or read by itself. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tidegate.h>
#include <unistd.h>

#define MUST(condition)                                                            \
  do {                                                                             \
    if (!(condition)) {                                                            \
      fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, tg_last_error()); \
      exit(1);                                                                     \
    }                                                                              \
  } while (0)

static tg_loop loop;
static tg_handle listener;
static long opened, closed, lent, returned, relays;

static void on_open(tg_handle conn, void *user)
{
  (void)conn, (void)user;
  opened++;
}

static void give_back(void *data, size_t length, void *argument, int status)
{
  (void)length, (void)argument, (void)status;
  returned++;
  free(data);
}

static void echo_owned(tg_handle conn, const void *data, size_t length)
{
  void *copy = malloc(length);
  MUST(copy != NULL);
  memcpy(copy, data, length);
  if (tg_conn_write_owned(conn, copy, length, give_back, NULL) < 0)
    free(copy); /* refused: on_close tells why */
  else
    lent++;
}

static void echo_in_pieces(tg_handle conn, const void *data, size_t length)
{
  const char *bytes = data;
  size_t third = length / 3;
  const tg_buffer pieces[3] = { { bytes, third }, { bytes + third, third }, { bytes + 2 * third, length - 2 * third } };
  (void)tg_conn_writev(conn, pieces, 3);
}

static void echo_back(tg_handle conn, void *user, const void *data, size_t length)
{
  (void)user;
  (void)tg_conn_write(conn, data, length);
}

/* A pair of sockets: what comes goes through it, and back from the connection at its other end. */
static void relay(tg_handle conn, const void *data, size_t length)
{
  tg_conn_options echoing = TG_CONN_OPTIONS_INIT, passing = TG_CONN_OPTIONS_INIT;
  tg_handle near, far;
  int ends[2];
  echoing.on_data = echo_back;
  MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  MUST(tg_conn_open(loop, ends[0], &passing, &near) == 0 && tg_conn_open(loop, ends[1], &echoing, &far) == 0);
  MUST(tg_conn_write(near, data, length) >= 0);
  MUST(tg_conn_pipe(conn, near) == 0);
  relays++;
}

/* The first byte of a connection decides; it is kept in the user. */
static void on_data(tg_handle conn, void *user, const void *data, size_t length)
{
  long how = (long)(intptr_t)user;
  if (how == 0) {
    how = 1 + *(const unsigned char *)data % 4;
    MUST(tg_handle_set_user(conn, (void *)(intptr_t)how, NULL) == 0);
    if (how == 4) {
      relay(conn, data, length);
      return;
    }
  }
  if (how == 1)
    echo_back(conn, NULL, data, length);
  else if (how == 2)
    echo_owned(conn, data, length);
  else
    echo_in_pieces(conn, data, length);
}

static void on_close(tg_handle conn, void *user, int reason)
{
  (void)conn, (void)user, (void)reason;
  closed++;
}

static void on_stop(tg_handle self, void *user, int signum, uint64_t count)
{
  (void)user, (void)signum, (void)count;
  MUST(tg_close(listener) == 0 && tg_close(self) == 0);
}

int main(void)
{
  tg_conn_options conn = TG_CONN_OPTIONS_INIT;
  tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
  tg_signal_options stop = TG_SIGNAL_OPTIONS_INIT;
  tg_address where;
  tg_handle signals;
  conn.on_open = on_open;
  conn.on_data = on_data;
  conn.on_close = on_close;
  conn.high_watermark = 1 << 17;
  options.conn = &conn;
  stop.callback = on_stop;
  MUST(tg_loop_new(NULL, &loop) == 0 && tg_address_parse("127.0.0.1", 0, &where) == 0);
  MUST(tg_listener_open(loop, &where, &options, &listener) == 0 && tg_listener_get_local(listener, &where) == 0);
  MUST(tg_signal_open(loop, SIGTERM, &stop, &signals) == 0);
  printf("port %d\n", where.port);
  fflush(stdout);
  /* Ends when the listener is closed and every connection has ended by itself. */
  MUST(tg_loop_run(loop) == 0);
  printf("handles-left %d\nopened %ld\nclosed %ld\nlent %ld\nreturned %ld\nrelays %ld\n", tg_loop_free(loop), opened,
         closed, lent, returned, relays);
  return 0;
}
