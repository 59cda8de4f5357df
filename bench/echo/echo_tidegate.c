/* An echo server on a listener and its connections, with everything that they have by default: times, watermarks. */
#include <stdio.h>
#include <tidegate.h>

static int failed(const char *what)
{
  fprintf(stderr, "%s: %s\n", what, tg_last_error());
  return 1;
}

static void on_data(tg_handle conn, void *user, const void *data, size_t length)
{
  (void)user;
  /* A failure is told by the connection's end. */
  (void)tg_conn_write(conn, data, length);
}

int main(void)
{
  tg_conn_options conn = TG_CONN_OPTIONS_INIT;
  tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
  tg_address address;
  tg_handle listener;
  tg_loop loop;
  conn.on_data = on_data;
  options.conn = &conn;
  if (tg_loop_new(NULL, &loop) < 0)
    return failed("a loop");
  if (tg_address_parse("127.0.0.1", 0, &address) < 0 || tg_listener_open(loop, &address, &options, &listener) < 0 ||
      tg_listener_get_local(listener, &address) < 0)
    return failed("listening");
  printf("%u\n", (unsigned)address.port);
  fflush(stdout);
  if (tg_loop_run(loop) < 0)
    return failed("running");
  return tg_loop_free(loop) < 0 ? failed("freeing") : 0;
}
