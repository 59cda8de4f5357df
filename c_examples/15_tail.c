/* 15: what is appended to a file, as it comes (tail -F).
 *
 *   15_tail FILE
 *
 * Learnt here: a watched file is watched by its name, so it may be appended to, cut short, moved away and
 * made anew (log rotation), or not be there yet; the watch says that something has happened, the program
 * looks what. Looking may wait for a disk, so it is done with operations on files, one after the other.
 * Ends on SIGTERM or SIGINT. Without a file it shows itself on one of its own. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate.h>
#include <unistd.h>

typedef enum step { IDLE, STAT_NAME, OPEN, STAT_FILE, READ } step;

typedef struct tail {
    const char *path;
    tg_loop loop;
    step step;              /* the operation that is under way: never more than one */
    int again;              /* something has happened since it was looked at the name */
    int gone;               /* the directory is: this look is the last */
    tg_handle file;         /* 0: none is open */
    tg_file_info is;        /* which one it is */
    int replaced;           /* another one has its name */
    int64_t offset;         /* how far it has been shown */
    int64_t shown, written; /* all bytes; the demonstration waits until what it has written was shown */
    int result;             /* what main returns */
} tail;

static int failed(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

static void give_up(tail *it, const char *why)
{
    it->result = failed(it->path, why);
    tg_loop_stop(it->loop);
}

static void on_answer(tg_handle self, void *user, const tg_file_result *answer);

/* Begins an operation. What happens meanwhile is looked at when the look that is under way is over. */
static void go_on(tail *it, step next)
{
    tg_file_options options = TG_FILE_OPTIONS_INIT;
    tg_handle op;
    int code = 0;
    options.callback = on_answer;
    options.user = it;
    it->step = next == IDLE && it->again ? STAT_NAME : next;
    if (it->step == STAT_NAME) it->again = 0;
    switch (it->step) {
    case IDLE: code = it->gone ? tg_loop_stop(it->loop) : 0; break;
    case STAT_NAME: code = tg_path_stat(it->loop, it->path, 0, &options, &op); break;
    case OPEN:
        it->offset = it->replaced = 0;
        code = tg_file_open(it->loop, it->path, TG_FILE_READ, 0, &options, &it->file);
        break;
    case STAT_FILE: code = tg_file_stat(it->file, &options, &op); break;
    case READ: code = tg_file_read(it->file, it->offset, 65536, &options, &op); break;
    }
    if (code < 0) give_up(it, tg_last_error());
}

/* While nothing has the name, the file that had it is kept: whoever has it open may still be writing. */
static step name_known(tail *it, const tg_file_info *named)
{
    it->replaced = named != NULL && (it->file == 0 || named->inode != it->is.inode || named->device != it->is.device);
    return it->file != 0 ? STAT_FILE : it->replaced ? OPEN : IDLE;
}

static step file_known(tail *it, const tg_file_info *info)
{
    it->is = *info;
    if (info->file_size < (uint64_t)it->offset) {
        fprintf(stderr, "-- cut short\n");
        it->offset = 0;
    }
    return READ;
}

/* Reads until there is no more; then goes over to the file that has the name now, if that is another. */
static step bytes_came(tail *it, const tg_file_result *read)
{
    fwrite(read->data, 1, (size_t)read->value, stdout); /* waits while nobody takes it */
    fflush(stdout);
    it->offset += read->value;
    it->shown += read->value;
    if (read->value > 0) return READ;
    if (!it->replaced) return IDLE;
    tg_close(it->file);
    return OPEN;
}

static void on_answer(tg_handle self, void *user, const tg_file_result *answer)
{
    tail *it = user;
    (void)self;
    if (answer->status < 0 && answer->status != -ENOENT) failed(it->path, tg_strerror(answer->status));
    if (answer->status < 0 && it->step == OPEN) it->file = 0; /* its handle closes by itself */
    /* Others may keep a reader waiting for ever, or have no end: the name is asked before it is opened. If a FIFO
     * takes it in between, OPEN waits for its writer: on a thread, and signals still end the program (see main). */
    if (answer->info != NULL && answer->info->file_type != TG_TYPE_REGULAR) give_up(it, "not a regular file");
    else if (it->step == STAT_NAME) go_on(it, name_known(it, answer->info)); /* NULL: nothing has the name */
    else if (it->step == STAT_FILE && answer->status == 0) go_on(it, file_known(it, answer->info));
    else if (it->step == READ && answer->status == 0) go_on(it, bytes_came(it, answer));
    else if (it->step == OPEN && answer->status == 0) go_on(it, STAT_FILE);
    else go_on(it, IDLE);
}

static void on_change(tg_handle self, void *user, int status, const tg_change *change)
{
    tail *it = user;
    if (status < 0 || (change->changes & TG_CHANGE_SELF_GONE) != 0) {
        fprintf(stderr, "-- the directory is gone\n");
        tg_close(self);
        it->gone = 1;
    }
    it->again = 1; /* several changes may be behind this one; the file system says what is so now */
    if (it->step == IDLE) go_on(it, IDLE);
}

static void on_signal(tg_handle self, void *user, int signum, uint64_t count)
{
    (void)self, (void)signum, (void)count;
    tg_loop_stop(((tail *)user)->loop);
}

/* The demonstration: one thing after another happens to the file. */
static void write_to(tail *it, int flags, const char *text)
{
    int fd = open(it->path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) != 0) perror(it->path);
    it->written += (int64_t)strlen(text);
}

static void on_tick(tg_handle self, void *user, uint64_t missed)
{
    static int tick;
    tail *it = user;
    char old[256];
    (void)self, (void)missed;
    if (it->shown < it->written) return;
    snprintf(old, sizeof old, "%s.1", it->path);
    switch (tick++) {
    case 0: write_to(it, O_APPEND, "two\n"); break;
    case 1: write_to(it, O_TRUNC, "3\n"); break;
    case 2: rename(it->path, old), write_to(it, 0, "four, in a new file\n"); break;
    default:
        if (unlink(it->path) != 0 || unlink(old) != 0) perror(it->path);
        tg_loop_stop(it->loop);
    }
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
    if (tg_watch_open(it->loop, it->path, &watch, &handle) < 0
        || tg_signal_open(it->loop, SIGTERM, &signals, &handle) < 0
        || tg_signal_open(it->loop, SIGINT, &signals, &handle) < 0)
        return failed(it->path, tg_last_error());
    go_on(it, STAT_NAME);
    return tg_loop_run(it->loop) < 0 ? failed("tg_loop_run", tg_last_error()) : it->result;
}

int main(int argc, char **argv)
{
    char place[] = "/tmp/tail-XXXXXX", path[64];
    tg_timer_options steps = TG_TIMER_OPTIONS_INIT;
    tail it = { .path = argc > 1 ? argv[1] : path };
    tg_handle timer;
    if (tg_loop_new(NULL, &it.loop) < 0) return failed("tg_loop_new", tg_last_error());
    if (argc < 2) {
        if (mkdtemp(place) == NULL) return perror(place), 1;
        snprintf(path, sizeof path, "%s/log", place);
        write_to(&it, 0, "one\n");
        steps.callback = on_tick;
        steps.user = &it;
        if (tg_timer_open(it.loop, 20000000, 20000000, &steps, &timer) < 0) return failed("timer", tg_last_error());
    }
    it.result = follow(&it);
    if (argc < 2 && rmdir(place) != 0) it.result = 1;
    if (it.step != OPEN) tg_loop_free(it.loop); /* it would wait for OPEN, for ever if that is for a FIFO */
    return it.result;
}
