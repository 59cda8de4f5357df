/* An echo server on libuv as its guide shows it: memory for each read from alloc_cb, a request for each write. */
#define _GNU_SOURCE
#include "echo.h"
#include <uv.h>

static void or_die(int code)
{
  if (code < 0) {
    fprintf(stderr, "libuv: %s\n", uv_strerror(code));
    exit(1);
  }
}

struct answer {
  uv_write_t request;
  uv_buf_t buffer;
};

static void on_closed(uv_handle_t *handle)
{
  free(handle);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
  (void)handle, (void)suggested;
  *out = uv_buf_init(malloc(CHUNK), CHUNK);
}

static void on_written(uv_write_t *request, int status)
{
  struct answer *answer = (struct answer *)request;
  if (status < 0 && !uv_is_closing((uv_handle_t *)request->handle))
    uv_close((uv_handle_t *)request->handle, on_closed);
  free(answer->buffer.base);
  free(answer);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
  struct answer *answer;
  if (got > 0 && (answer = malloc(sizeof *answer)) != NULL) {
    answer->buffer = uv_buf_init(buffer->base, (unsigned)got);
    or_die(uv_write(&answer->request, stream, &answer->buffer, 1, on_written));
    return;
  }
  if (got < 0)
    uv_close((uv_handle_t *)stream, on_closed);
  free(buffer->base);
}

static void on_connection(uv_stream_t *listener, int status)
{
  uv_tcp_t *conn = malloc(sizeof *conn);
  if (status < 0 || conn == NULL)
    exit(1);
  or_die(uv_tcp_init(listener->loop, conn));
  or_die(uv_accept(listener, (uv_stream_t *)conn));
  or_die(uv_tcp_nodelay(conn, 1));
  or_die(uv_read_start((uv_stream_t *)conn, on_alloc, on_read));
}

int main(void)
{
  uv_tcp_t listener;
  or_die(uv_tcp_init(uv_default_loop(), &listener));
  or_die(uv_tcp_open(&listener, listen_somewhere()));
  or_die(uv_listen((uv_stream_t *)&listener, 4096, on_connection));
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
