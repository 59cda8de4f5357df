/* An echo server as one writes it by hand: level-triggered epoll, one read an event into one buffer, written at once.
 * Only what the peer does not take is kept, and while some is the peer is not read from. */
#define _GNU_SOURCE
#include "echo.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

enum { EVENTS = 1024 };

struct conn {
  int fd;
  /* What the peer has not taken yet. */
  char *rest;
  size_t length, done;
};

static int epoll, listener;
static char buffer[CHUNK];

static void drop(struct conn *conn)
{
  close(conn->fd);
  free(conn->rest);
  free(conn);
}

static void wait_for(struct conn *conn, uint32_t events)
{
  struct epoll_event event;
  memset(&event, 0, sizeof event);
  event.events = events;
  event.data.ptr = conn;
  MUST(epoll_ctl(epoll, EPOLL_CTL_MOD, conn->fd, &event));
}

static void keep(struct conn *conn, const char *data, size_t length)
{
  conn->rest = malloc(length);
  if (conn->rest == NULL) {
    drop(conn);
    return;
  }
  memcpy(conn->rest, data, length);
  conn->length = length;
  conn->done = 0;
  wait_for(conn, EPOLLOUT);
}

static void read_and_answer(struct conn *conn)
{
  ssize_t got = read(conn->fd, buffer, sizeof buffer);
  if (got <= 0) {
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
      drop(conn);
    return;
  }
  ssize_t sent = send(conn->fd, buffer, (size_t)got, MSG_NOSIGNAL);
  if (sent == got)
    return;
  if (sent < 0 && errno != EAGAIN && errno != EINTR)
    drop(conn);
  else
    keep(conn, buffer + (sent < 0 ? 0 : sent), (size_t)(got - (sent < 0 ? 0 : sent)));
}

static void answer_the_rest(struct conn *conn)
{
  ssize_t sent = send(conn->fd, conn->rest + conn->done, conn->length - conn->done, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno != EAGAIN && errno != EINTR)
      drop(conn);
    return;
  }
  conn->done += (size_t)sent;
  if (conn->done < conn->length)
    return;
  free(conn->rest);
  conn->rest = NULL;
  wait_for(conn, EPOLLIN);
}

static void accept_one(void)
{
  struct epoll_event event;
  int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0)
    return;
  struct conn *conn = calloc(1, sizeof *conn);
  if (conn == NULL) {
    close(fd);
    return;
  }
  MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
  conn->fd = fd;
  memset(&event, 0, sizeof event);
  event.events = EPOLLIN;
  event.data.ptr = conn;
  MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

int main(void)
{
  static struct epoll_event events[EVENTS];
  struct epoll_event event;
  MUST(epoll = epoll_create1(EPOLL_CLOEXEC));
  listener = listen_somewhere();
  memset(&event, 0, sizeof event);
  event.events = EPOLLIN;
  MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
  for (;;) {
    int count = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      struct conn *conn = events[i].data.ptr;
      if (conn == NULL)
        accept_one();
      else if (conn->rest != NULL)
        answer_the_rest(conn);
      else
        read_and_answer(conn);
    }
  }
}
