/* 15: what is appended to a file, as it comes (tail -F).
 *
 *   15_tail FILE
 *
 * Learnt here: a watched file is watched by its name, so it may be appended to, cut short, moved away
 * and made anew (log rotation), or not be there yet; the watch says that something has happened, the
 * program looks what. Ends on SIGTERM or SIGINT. Without a file it shows itself on one of its own. */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tidegate.h>
#include <unistd.h>

typedef struct tail {
    const char *path;
    tg_loop loop;
    int fd;        /* -1: there is no file */
    off_t offset;  /* how far it has been shown */
} tail;

/* Shows what is there beyond what was shown. */
static void show(tail *it)
{
    char bytes[4096];
    struct stat now;
    ssize_t n;
    if (it->fd < 0 || fstat(it->fd, &now) != 0) return;
    if (now.st_size < it->offset) {
        fprintf(stderr, "-- cut short\n");
        it->offset = 0;
    }
    while ((n = pread(it->fd, bytes, sizeof bytes, it->offset)) > 0) {
        fwrite(bytes, 1, (size_t)n, stdout);
        it->offset += n;
    }
    fflush(stdout);
}

/* The rest of the file that had the name, and then the one that has it now. */
static void change_file(tail *it)
{
    show(it);
    if (it->fd >= 0) close(it->fd);
    it->fd = open(it->path, O_RDONLY | O_CLOEXEC);
    it->offset = 0;
    show(it);
}

static void on_change(tg_handle self, void *user, int status, const tg_change *change)
{
    tail *it = user;
    struct stat ours, named;
    if (status < 0 || (change->changes & TG_CHANGE_SELF_GONE) != 0) {
        fprintf(stderr, "-- the directory is gone\n");
        tg_close(self);
        tg_loop_stop(it->loop);
        return;
    }
    /* Several changes may be behind this one; the file system says what is so now. While nothing has
     * the name, the file that had it is kept: whoever has it open may still be writing. */
    if (stat(it->path, &named) != 0
        || (it->fd >= 0 && fstat(it->fd, &ours) == 0 && ours.st_dev == named.st_dev && ours.st_ino == named.st_ino))
        show(it);
    else
        change_file(it);
}

static void on_signal(tg_handle self, void *user, int signum, uint64_t count)
{
    (void)self;
    (void)signum;
    (void)count;
    tg_loop_stop(((tail *)user)->loop);
}

/* The demonstration: one thing after another happens to the file. */
static void write_to(const char *path, int flags, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) perror(path);
    if (fd >= 0) close(fd);
}

static void on_step(tg_handle self, void *user, uint64_t missed)
{
    static int step;
    tail *it = user;
    char old[256];
    (void)missed;
    snprintf(old, sizeof old, "%s.1", it->path);
    switch (step++) {
    case 0: write_to(it->path, O_APPEND, "two\n"); break;
    case 1: write_to(it->path, O_TRUNC, "3\n"); break;
    case 2:
        if (rename(it->path, old) != 0) perror(it->path);
        write_to(it->path, O_APPEND, "four, in a new file\n");
        break;
    default:
        if (unlink(it->path) != 0 || unlink(old) != 0) perror(it->path);
        tg_close(self);
        tg_loop_stop(it->loop);
    }
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tg_last_error());
    return 1;
}

static int follow(tail *it)
{
    tg_watch_options watch = TG_WATCH_OPTIONS_INIT;
    tg_signal_options signals = TG_SIGNAL_OPTIONS_INIT;
    tg_handle handle;
    watch.callback = on_change;
    watch.flags = TG_WATCH_FILE; /* it need not be there */
    signals.callback = on_signal;
    watch.user = signals.user = it;
    /* First the watch, then the file: what comes in between is seen. */
    if (tg_watch_open(it->loop, it->path, &watch, &handle) < 0) return failed("tg_watch_open");
    if (tg_signal_open(it->loop, SIGTERM, &signals, &handle) < 0) return failed("SIGTERM");
    if (tg_signal_open(it->loop, SIGINT, &signals, &handle) < 0) return failed("SIGINT");
    change_file(it);
    return tg_loop_run(it->loop) < 0 ? failed("tg_loop_run") : 0;
}

int main(int argc, char **argv)
{
    char place[] = "/tmp/tail-XXXXXX", path[64];
    tg_timer_options steps = TG_TIMER_OPTIONS_INIT;
    tail it = { argc > 1 ? argv[1] : path, 0, -1, 0 };
    tg_handle timer;
    int result;

    if (tg_loop_new(NULL, &it.loop) < 0) return failed("tg_loop_new");
    if (argc < 2) {
        if (mkdtemp(place) == NULL) return perror(place), 1;
        snprintf(path, sizeof path, "%s/log", place);
        write_to(path, 0, "one\n");
        steps.callback = on_step;
        steps.user = &it;
        if (tg_timer_open(it.loop, 20000000, 20000000, &steps, &timer) < 0) return failed("timer");
    }
    result = follow(&it);
    if (it.fd >= 0) close(it.fd);
    if (argc < 2 && rmdir(place) != 0) result = 1;
    tg_loop_free(it.loop);
    return result;
}
