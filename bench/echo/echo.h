/* What the echo servers share: a socket that listens on a free port of the loopback, which they print. */
#ifndef ECHO_H
#define ECHO_H
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 65536
#define MUST(call)                                                   \
  do {                                                               \
    if ((call) < 0) {                                                \
      fprintf(stderr, "%s:%d: ", __FILE__, __LINE__), perror(#call); \
      exit(1);                                                       \
    }                                                                \
  } while (0)

static inline void tell_port(unsigned port)
{
  printf("%u\n", port);
  fflush(stdout);
}

static inline int listen_somewhere(void)
{
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  MUST(fd);
  MUST(bind(fd, (struct sockaddr *)&address, sizeof address));
  MUST(listen(fd, 4096));
  MUST(getsockname(fd, (struct sockaddr *)&address, &length));
  tell_port(ntohs(address.sin_port));
  return fd;
}
#endif
