/* 11: copying a file with several reads and writes in flight.
 *
 * Learnt here: files are read and written on other threads, and the loop goes on meanwhile; operations
 * may be asked for before the file is open; each has an offset, because they have no order among each
 * other; memory can be lent to an operation instead of being copied, until its callback comes. What must
 * come after something else waits for it: nothing is thrown away before it is known that the two are not
 * one file, by whatever names.
 * (tg_path_copy and tg_file_copy do the same inside the system.)
 *
 * 11_file_copy FROM TO, or without arguments: makes a file of its own, copies it, and compares. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate.h>
#include <unistd.h>

#define IN_FLIGHT 8
#define BLOCK 65536

typedef struct copy copy;
typedef struct block {
    copy *of;
    int64_t offset;
    char bytes[BLOCK]; /* lent to one operation at a time */
} block;

struct copy {
    tg_handle from, to;
    int64_t next_offset, copied;
    int failed; /* the first status that was not 0 */
    int known;
    uint64_t device[2], inode[2]; /* which files they are */
    block blocks[IN_FLIGHT];
};

static void fail(copy *it, const char *what, int status)
{
    if (it->failed != 0) return;
    it->failed = status;
    fprintf(stderr, "%s: %s\n", what, tg_strerror(status));
}

static void start_reading(block *it);

static void on_written(tg_handle self, void *user, const tg_file_result *result)
{
    block *it = user;
    (void)self;
    it->of->copied += result->value;
    if (result->status < 0) fail(it->of, "writing", result->status);
    else start_reading(it);
}

static void on_read(tg_handle self, void *user, const tg_file_result *result)
{
    tg_file_options options = TG_FILE_OPTIONS_INIT;
    block *it = user;
    int code;
    (void)self;
    if (result->status < 0) fail(it->of, "reading", result->status);
    if (result->status < 0 || result->value == 0) return; /* the end: this block has nothing to do */
    options.callback = on_written;
    options.user = it;
    code = tg_file_write_owned(it->of->to, it->offset, it->bytes, (size_t)result->value, NULL, &options,
                               &self);
    if (code < 0) fail(it->of, "tg_file_write_owned", code);
}

static void start_reading(block *it)
{
    tg_file_options options = TG_FILE_OPTIONS_INIT;
    tg_handle op;
    int code;
    if (it->of->failed != 0) return;
    it->offset = it->of->next_offset;
    it->of->next_offset += BLOCK;
    options.callback = on_read;
    options.user = it;
    code = tg_file_read_into(it->of->from, it->offset, it->bytes, BLOCK, NULL, &options, &op);
    if (code < 0) fail(it->of, "tg_file_read_into", code);
}

static void on_done(tg_handle self, void *user, const tg_file_result *result)
{
    (void)self;
    if (result->status < 0) fail(user, "opening, emptying or synchronising", result->status);
}

static void on_stat(tg_handle self, void *user, const tg_file_result *result)
{
    copy *it = user;
    (void)self;
    if (result->status < 0) {
        fail(it, "looking at a file", result->status);
        return;
    }
    it->device[it->known] = result->info->device;
    it->inode[it->known++] = result->info->inode;
}

/* Runs until all that was asked for is over: open files do not keep the loop going, operations do. */
static int wait_for(copy *it, tg_loop loop, int code)
{
    if (code == 0) code = tg_loop_run(loop);
    if (code < 0) fail(it, "the loop", code);
    return it->failed == 0;
}

/* Opens a file, and asks which one it is. */
static int open_file(copy *it, tg_loop loop, const char *path, uint32_t flags, tg_handle *out)
{
    tg_file_options options = TG_FILE_OPTIONS_INIT;
    tg_handle op;
    int code;
    options.callback = on_done;
    options.user = it;
    code = tg_file_open(loop, path, flags, 0644, &options, out);
    options.callback = on_stat;
    if (code == 0) code = tg_file_stat(*out, &options, &op); /* at once: it waits until the file is open */
    return wait_for(it, loop, code);
}

/* Opens both, and is 1 if they are two files. The target is as it was. */
static int open_both(copy *it, tg_loop loop, const char *from, const char *to)
{
    if (!open_file(it, loop, from, TG_FILE_READ, &it->from)) return 0;
    if (!open_file(it, loop, to, TG_FILE_WRITE | TG_FILE_CREATE, &it->to)) return 0;
    if (it->device[0] != it->device[1] || it->inode[0] != it->inode[1]) return 1;
    fprintf(stderr, "%s and %s are the same file\n", from, to);
    return 0;
}

static int copy_file(const char *from, const char *to, copy *it)
{
    tg_file_options options = TG_FILE_OPTIONS_INIT;
    tg_handle op;
    tg_loop loop;
    int i, ok;

    if (tg_loop_new(NULL, &loop) < 0) return -1;
    options.callback = on_done;
    options.user = it;
    ok = open_both(it, loop, from, to) && wait_for(it, loop, tg_file_truncate(it->to, 0, &options, &op));
    for (i = 0; i < IN_FLIGHT && ok; i++) {
        it->blocks[i].of = it;
        start_reading(&it->blocks[i]);
    }
    ok = ok && wait_for(it, loop, 0) && wait_for(it, loop, tg_file_sync(it->to, 0, &options, &op));
    tg_loop_free(loop); /* closes both */
    return ok ? 0 : -1;
}

static int make_file(const char *path, long length)
{
    FILE *file = fopen(path, "wb");
    long i;
    if (file == NULL) return -1;
    for (i = 0; i < length; i++) fputc((int)((i * 31 + (i >> 8)) & 0xff), file);
    return fclose(file);
}

static int same(const char *first, const char *second)
{
    FILE *a = fopen(first, "rb"), *b = fopen(second, "rb");
    int of_a = 0, of_b = 0;
    while (a != NULL && b != NULL && of_a == of_b && of_a != EOF) {
        of_a = fgetc(a);
        of_b = fgetc(b);
    }
    if (a != NULL) fclose(a);
    if (b != NULL) fclose(b);
    return a != NULL && b != NULL && of_a == EOF && of_b == EOF;
}

int main(int argc, char **argv)
{
    static copy it;
    char directory[] = "/tmp/tidegate-copy-XXXXXX", from[64], to[64];
    int ok;
    if (argc == 3) return copy_file(argv[1], argv[2], &it) == 0 ? 0 : 1;
    if (mkdtemp(directory) == NULL) return 1;
    snprintf(from, sizeof from, "%s/from", directory);
    snprintf(to, sizeof to, "%s/to", directory);
    ok = make_file(from, 3000001) == 0 && copy_file(from, to, &it) == 0 && same(from, to);
    printf("%" PRId64 " bytes copied, the files are %s\n", it.copied, ok ? "the same" : "NOT THE SAME");
    remove(from);
    remove(to);
    rmdir(directory);
    return ok ? 0 : 1;
}
