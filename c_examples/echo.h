/* What the four echo servers share, so that each shows only its own way of waiting: a listening
 * socket, accept, one connection's bytes, and a pipe that a signal handler writes to.
 *
 * A connection reads only while its buffer is empty: a peer that does not read its echo is not read
 * from either, so the memory of the server is bounded by the number of its connections. */
#ifndef ECHO_H
#define ECHO_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4, pipe2 */
#endif
#include "port.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tidegate.h>
#include <unistd.h>

/* How long to leave a listener alone when there is no descriptor left for a new connection. */
#define PAUSE_NS INT64_C(100000000)

typedef struct echo_conn {
    int fd;
    bool ended;      /* the peer has sent its last byte */
    size_t from, to; /* data[from .. to) is not sent yet */
    char data[16384];
} echo_conn;

/* A non-blocking listener on 127.0.0.1; prints its port. -1 and a line on stderr when it fails. */
static inline int echo_listen(int port)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        perror("listen");
        if (fd >= 0) close(fd);
        return -1;
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static inline bool echo_again(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* 1: *out is a new connection. 0: none is waiting. -1: there is no room for one now, and the
 * listener stays readable, so it must be left alone for PAUSE_NS or the server would spin. */
static inline int echo_accept(int listener, echo_conn **out)
{
    echo_conn *conn = malloc(sizeof *conn);
    if (conn == NULL) return -1;
    do conn->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (conn->fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (conn->fd < 0) {
        bool nothing = echo_again();
        free(conn);
        return nothing ? 0 : -1;
    }
    conn->ended = false;
    conn->from = conn->to = 0;
    *out = conn;
    return 1;
}

static inline void echo_free(echo_conn *conn)
{
    close(conn->fd);
    free(conn);
}

/* One read and one write, whichever is possible. False when the connection is finished: all was
 * sent after the peer's end, or it broke. */
static inline bool echo_step(echo_conn *conn)
{
    ssize_t n;
    if (conn->from == conn->to && !conn->ended) {
        n = recv(conn->fd, conn->data, sizeof conn->data, 0);
        if (n < 0 && !echo_again()) return false;
        conn->ended = n == 0;
        conn->from = 0;
        conn->to = n > 0 ? (size_t)n : 0;
    }
    if (conn->from < conn->to) {
        n = send(conn->fd, conn->data + conn->from, conn->to - conn->from, MSG_NOSIGNAL);
        if (n < 0 && !echo_again()) return false;
        if (n > 0) conn->from += (size_t)n;
    }
    return conn->from < conn->to || !conn->ended;
}

/* What the connection waits for: to write what is left, otherwise to read more. */
static inline uint32_t echo_interest(const echo_conn *conn)
{
    return conn->from < conn->to ? TG_WRITE : TG_READ;
}

static int echo_pipe[2] = { -1, -1 };

static inline void echo_on_signal(int signum)
{
    int saved = errno; /* a handler may interrupt anything */
    ssize_t ignored = write(echo_pipe[1], "x", 1);
    (void)signum;
    (void)ignored;
    errno = saved;
}

/* A descriptor that becomes readable on SIGTERM and SIGINT. Testing a flag before each wait would
 * miss the signal that comes in between; a byte in a pipe cannot be missed. -1 when it fails. */
static inline int echo_stop_fd(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = echo_on_signal;
    if (pipe2(echo_pipe, O_NONBLOCK | O_CLOEXEC) != 0) return -1;
    if (sigaction(SIGTERM, &action, NULL) != 0 || sigaction(SIGINT, &action, NULL) != 0) return -1;
    return echo_pipe[0];
}

static inline int echo_failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tg_last_error());
    return 1;
}

#endif
