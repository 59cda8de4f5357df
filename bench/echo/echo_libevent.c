/* An echo server on libevent: bufferevents, what was read moved to what is to be written. */
#include "echo.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>

static void on_read(struct bufferevent *conn, void *user)
{
  (void)user;
  evbuffer_add_buffer(bufferevent_get_output(conn), bufferevent_get_input(conn));
}

static void on_end(struct bufferevent *conn, short events, void *user)
{
  (void)events, (void)user;
  bufferevent_free(conn);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int length,
                          void *user)
{
  int one = 1;
  struct bufferevent *conn = bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
  (void)peer, (void)length, (void)user;
  if (conn == NULL)
    exit(1);
  MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
  bufferevent_setcb(conn, on_read, NULL, on_end, NULL);
  bufferevent_enable(conn, EV_READ | EV_WRITE);
}

int main(void)
{
  struct event_base *base = event_base_new();
  if (base == NULL || evconnlistener_new(base, on_connection, NULL, LEV_OPT_CLOSE_ON_FREE, 0, listen_somewhere()) == NULL)
    return 1;
  return event_base_dispatch(base);
}
