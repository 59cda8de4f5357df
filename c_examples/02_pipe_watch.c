/* 02: watching a descriptor of one's own: a pipe.
 *
 * Learnt here: the loop says when a descriptor is ready, the program reads it; descriptors are
 * non-blocking; the default mode is level (what is left unread is reported again); end of file is
 * a read of 0; closing the watcher comes before closing the descriptor, here in the release. */
#define _GNU_SOURCE /* pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <tidegate.h>
#include <unistd.h>

typedef struct reader {
    int fd;
    size_t received;
    int callbacks;
} reader;

static void on_readable(tg_handle self, void *user, uint32_t ready, int status)
{
    reader *it = user;
    char bytes[4]; /* small on purpose: the rest is reported in the next turn */
    ssize_t n;
    if (status < 0) { /* the descriptor was closed under the watcher */
        fprintf(stderr, "watcher: %s\n", tg_strerror(status));
        tg_close(self);
        return;
    }
    it->callbacks++;
    n = read(it->fd, bytes, sizeof bytes);
    if (n > 0) {
        it->received += (size_t)n;
        printf("read \"%.*s\"\n", (int)n, bytes);
    } else if (n == 0) {
        printf("end of file%s\n", (ready & TG_HANGUP) != 0 ? " (the writer hung up)" : "");
        tg_close(self);
    } else if (errno != EAGAIN && errno != EINTR) {
        perror("read");
        tg_close(self);
    }
}

static void on_released(void *user)
{
    close(((reader *)user)->fd); /* no callback of this watcher can come any more */
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tg_last_error());
    return 1;
}

int main(void)
{
    static const char message[] = "a tide gate opens by itself";
    tg_io_options options = TG_IO_OPTIONS_INIT;
    reader it = { -1, 0, 0 };
    tg_loop loop;
    tg_handle watcher;
    int ends[2];

    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return perror("pipe2"), 1;
    if (tg_loop_new(NULL, &loop) < 0) return failed("tg_loop_new");
    it.fd = ends[0];
    options.callback = on_readable;
    options.user = &it;
    options.release = on_released;
    if (tg_io_open(loop, ends[0], TG_READ, &options, &watcher) < 0) return failed("tg_io_open");

    if (write(ends[1], message, strlen(message)) < 0) return perror("write"), 1;
    close(ends[1]); /* so the reader sees the end after the bytes */

    if (tg_loop_run(loop) < 0) return failed("tg_loop_run");
    printf("%zu bytes in %d callbacks\n", it.received, it.callbacks);
    tg_loop_free(loop);
    return it.received == strlen(message) ? 0 : 1;
}
