/* The misuse sweep of files: wrong ids, paths, offsets, lengths, flags and modes. */
#ifndef TIDEGATE_TEST_MISUSE_FILES_H
#define TIDEGATE_TEST_MISUSE_FILES_H

#include "misuse_open.h"

/* A file for the sweep that is going on. */
static tg_handle a_file;
static char file_bytes[16];

static inline void on_nothing(tg_handle self, void *user, const tg_file_result *result)
{
    (void)self;
    (void)result;
    ((counter *)user)->calls++;
}

static inline void files_begin(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    MUST(fd >= 0 && tg_file_adopt(on.loop, fd, NULL, &a_file) == 0);
    MUST(tg_loop_dump(on.loop, on.dump, sizeof on.dump) > 0);
}

static inline void files_end(void) { MUST(tg_close(a_file) == 0); }

static inline void sweep_file(int line, const char *what, int (*call)(uint64_t id))
{
    const uint64_t others[] = { on.io, on.timer, on.signal, on.async, on.prepare, on.check, on.idle };
    sweep_handle(line, what, call);
    sweep_kind(line, what, call, others, sizeof others / sizeof others[0]);
}

#define FILE_OPTIONS OPTIONS(tg_file_options, on_nothing)

/* Defines the sweep of an operation on a file: `call` uses `id`, `options` and `out`; `more` are its own mistakes. */
#define FILE_OPERATION(name, call, ...)                                                          \
    OF_ID(name##_id, FILE_OPTIONS; int code = call; UNTOUCHED(out, 7); return code;)             \
    static int name##_bare(uint64_t id, tg_file_options bare)                                    \
    {                                                                                            \
        tg_handle out = 7;                                                                       \
        tg_file_options options = bare;                                                          \
        int code = call;                                                                         \
        UNTOUCHED(out, 7);                                                                       \
        return code;                                                                             \
    }                                                                                            \
    static void sweep_##name(void)                                                               \
    {                                                                                            \
        FILE_OPTIONS;                                                                            \
        uint64_t id;                                                                             \
        tg_file_options bare = TG_FILE_OPTIONS_INIT;                                             \
        files_begin();                                                                           \
        id = a_file;                                                                             \
        sweep_file(__LINE__, #name, name##_id);                                                  \
        BAD_OPTIONS(call);                                                                       \
        BAD_RESERVED(call);                                                                      \
        REFUSED(TG_EINVAL, name##_bare(id, bare));                                               \
        __VA_ARGS__                                                                              \
        UNTOUCHED(out, 7);                                                                       \
        files_end();                                                                             \
    }

FILE_OPERATION(file_read, tg_file_read(id, 0, 1, &options, &out),
    REFUSED(TG_EINVAL, tg_file_read(id, 0, 1, &options, NULL));
    REFUSED(TG_EINVAL, tg_file_read(id, 0, 1, NULL, &out));
    REFUSED(TG_EINVAL, tg_file_read(id, -2, 1, &options, &out));
    REFUSED(TG_EINVAL, tg_file_read(id, INT64_MIN, 1, &options, &out));
    REFUSED(TG_ENOMEM, tg_file_read(id, 0, SIZE_MAX, &options, &out));
    REFUSED(TG_ENOMEM, tg_file_read(id, 0, SIZE_MAX / 2, &options, &out));)

FILE_OPERATION(file_read_into, tg_file_read_into(id, 0, file_bytes, 1, NULL, &options, &out),
    REFUSED(TG_EINVAL, tg_file_read_into(id, 0, file_bytes, 1, NULL, &options, NULL));
    REFUSED(TG_EINVAL, tg_file_read_into(id, 0, NULL, 1, NULL, &options, &out));
    REFUSED(TG_EINVAL, tg_file_read_into(id, 0, file_bytes, SIZE_MAX, NULL, &options, &out));
    REFUSED(TG_EINVAL, tg_file_read_into(id, -2, file_bytes, 1, NULL, &options, &out));)

FILE_OPERATION(file_write, tg_file_write(id, 0, "x", 1, &options, &out),
    REFUSED(TG_EINVAL, tg_file_write(id, 0, "x", 1, &options, NULL));
    REFUSED(TG_EINVAL, tg_file_write(id, 0, NULL, 1, &options, &out));
    REFUSED(TG_EINVAL, tg_file_write(id, 0, "x", SIZE_MAX, &options, &out));
    REFUSED(TG_EINVAL, tg_file_write(id, -2, "x", 1, &options, &out));)

FILE_OPERATION(file_write_owned, tg_file_write_owned(id, 0, file_bytes, 1, NULL, &options, &out),
    REFUSED(TG_EINVAL, tg_file_write_owned(id, 0, file_bytes, 1, NULL, &options, NULL));
    REFUSED(TG_EINVAL, tg_file_write_owned(id, 0, NULL, 1, NULL, &options, &out));
    REFUSED(TG_EINVAL, tg_file_write_owned(id, 0, file_bytes, SIZE_MAX, NULL, &options, &out));
    REFUSED(TG_EINVAL, tg_file_write_owned(id, -2, file_bytes, 1, NULL, &options, &out));)

static const tg_buffer one_buffer = { "x", 1 };
static const tg_buffer no_buffer = { NULL, 1 };

FILE_OPERATION(file_writev, tg_file_writev(id, 0, &one_buffer, 1, &options, &out),
    REFUSED(TG_EINVAL, tg_file_writev(id, 0, &one_buffer, 1, &options, NULL));
    REFUSED(TG_EINVAL, tg_file_writev(id, 0, NULL, 1, &options, &out));
    REFUSED(TG_EINVAL, tg_file_writev(id, 0, &no_buffer, 1, &options, &out));
    REFUSED(TG_EINVAL, tg_file_writev(id, 0, &one_buffer, SIZE_MAX, &options, &out));
    REFUSED(TG_EINVAL, tg_file_writev(id, -2, &one_buffer, 1, &options, &out));)

FILE_OPERATION(file_sync, tg_file_sync(id, 0, &options, &out),
    REFUSED(TG_EINVAL, tg_file_sync(id, 0, &options, NULL));
    REFUSED(TG_EINVAL, tg_file_sync(id, 1, &options, &out));
    REFUSED(TG_EINVAL, tg_file_sync(id, UINT32_MAX, &options, &out));)

FILE_OPERATION(file_stat, tg_file_stat(id, &options, &out),
    REFUSED(TG_EINVAL, tg_file_stat(id, &options, NULL));
    REFUSED(TG_EINVAL, tg_file_stat(id, NULL, &out));)

FILE_OPERATION(file_truncate, tg_file_truncate(id, 0, &options, &out),
    REFUSED(TG_EINVAL, tg_file_truncate(id, 0, &options, NULL));
    REFUSED(TG_EINVAL, tg_file_truncate(id, -1, &options, &out));
    REFUSED(TG_EINVAL, tg_file_truncate(id, INT64_MIN, &options, &out));)

OF_ID(file_copy_to, FILE_OPTIONS; int code = tg_file_copy(a_file, id, 0, 0, 1, &options, &out);
      UNTOUCHED(out, 7); return code;)

FILE_OPERATION(file_copy, tg_file_copy(id, a_file, 0, 0, 1, &options, &out),
    sweep_file(__LINE__, "file_copy_to", file_copy_to);
    REFUSED(TG_EINVAL, tg_file_copy(id, id, 0, 0, 1, &options, NULL));
    REFUSED(TG_EINVAL, tg_file_copy(id, id, -2, 0, 1, &options, &out));
    REFUSED(TG_EINVAL, tg_file_copy(id, id, 0, INT64_MIN, 1, &options, &out));)

OF_ID(file_fd, tg_fd out = 7; int code = tg_file_get_fd(id, &out); UNTOUCHED(out, 7); return code;)

static void sweep_file_get_fd(void)
{
    files_begin();
    sweep_file(__LINE__, "file_fd", file_fd);
    REFUSED(TG_EINVAL, tg_file_get_fd(a_file, NULL));
    files_end();
}

/* Defines the sweep of what is opened in a loop: `call` uses `id`, `options` and `out`. */
#define LOOP_OPERATION(name, call, ...)                                                \
    OF_ID(name##_id, FILE_OPTIONS; int code = call; UNTOUCHED(out, 7); return code;)   \
    static void sweep_##name(void)                                                     \
    {                                                                                  \
        FILE_OPTIONS;                                                                  \
        uint64_t id = on.loop;                                                         \
        LOOP_ID(name##_id);                                                            \
        BAD_OPTIONS(call);                                                             \
        BAD_RESERVED(call);                                                            \
        id = on.batch;                                                                 \
        REFUSED(TG_EINVAL, call);                                                      \
        options.callback = NULL;                                                       \
        REFUSED(TG_EINVAL, call);                                                      \
        id = on.loop;                                                                  \
        __VA_ARGS__                                                                    \
        UNTOUCHED(out, 7);                                                             \
    }
#define WITHOUT_CALLBACK(call) REFUSED(TG_EINVAL, call); options.callback = on_nothing

LOOP_OPERATION(file_open, tg_file_open(id, "/dev/null", TG_FILE_READ, 0, &options, &out),
    WITHOUT_CALLBACK(tg_file_open(id, "/dev/null", TG_FILE_READ, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_file_open(id, "/dev/null", TG_FILE_READ, 0, &options, NULL));
    REFUSED(TG_EINVAL, tg_file_open(id, NULL, TG_FILE_READ, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_file_open(id, "/dev/null", 0, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_file_open(id, "/dev/null", TG_FILE_READ | TG_FILE_DATA_ONLY, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_file_open(id, "/dev/null", UINT32_MAX, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_file_open(id, "/dev/null", TG_FILE_READ | TG_FILE_TRUNCATE, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_file_open(id, "/dev/null", TG_FILE_READ | TG_FILE_APPEND, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_file_open(id, "/dev/null", TG_FILE_WRITE | TG_FILE_EXCLUSIVE, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_file_open(id, "/dev/null", TG_FILE_READ, 010000, &options, &out));)

LOOP_OPERATION(file_adopt, tg_file_adopt(id, on.ends[1], &options, &out),
    REFUSED(TG_EINVAL, tg_file_adopt(id, on.ends[1], &options, NULL));
    REFUSED(TG_EBADFD, tg_file_adopt(id, -1, &options, &out));
    REFUSED(TG_EBADFD, tg_file_adopt(id, INT32_MAX, &options, &out));
    REFUSED(TG_EBADFD, tg_file_adopt(id, on.closed_fd, &options, &out));)

LOOP_OPERATION(path_stat, tg_path_stat(id, "/", 0, &options, &out),
    WITHOUT_CALLBACK(tg_path_stat(id, "/", 0, &options, &out));
    REFUSED(TG_EINVAL, tg_path_stat(id, "/", 0, &options, NULL));
    REFUSED(TG_EINVAL, tg_path_stat(id, NULL, 0, &options, &out));
    REFUSED(TG_EINVAL, tg_path_stat(id, "/", TG_FILE_READ, &options, &out));)

LOOP_OPERATION(path_rename, tg_path_rename(id, "/nowhere/a", "/nowhere/b", &options, &out),
    WITHOUT_CALLBACK(tg_path_rename(id, "/nowhere/a", "/nowhere/b", &options, &out));
    REFUSED(TG_EINVAL, tg_path_rename(id, "/nowhere/a", "/nowhere/b", &options, NULL));
    REFUSED(TG_EINVAL, tg_path_rename(id, NULL, "/nowhere/b", &options, &out));
    REFUSED(TG_EINVAL, tg_path_rename(id, "/nowhere/a", NULL, &options, &out));)

LOOP_OPERATION(path_unlink, tg_path_unlink(id, "/nowhere/a", &options, &out),
    WITHOUT_CALLBACK(tg_path_unlink(id, "/nowhere/a", &options, &out));
    REFUSED(TG_EINVAL, tg_path_unlink(id, "/nowhere/a", &options, NULL));
    REFUSED(TG_EINVAL, tg_path_unlink(id, NULL, &options, &out));)

LOOP_OPERATION(path_mkdir, tg_path_mkdir(id, "/nowhere/a", 0700, &options, &out),
    WITHOUT_CALLBACK(tg_path_mkdir(id, "/nowhere/a", 0700, &options, &out));
    REFUSED(TG_EINVAL, tg_path_mkdir(id, "/nowhere/a", 0700, &options, NULL));
    REFUSED(TG_EINVAL, tg_path_mkdir(id, "/nowhere/a", UINT32_MAX, &options, &out));
    REFUSED(TG_EINVAL, tg_path_mkdir(id, NULL, 0700, &options, &out));)

LOOP_OPERATION(path_rmdir, tg_path_rmdir(id, "/nowhere/a", &options, &out),
    WITHOUT_CALLBACK(tg_path_rmdir(id, "/nowhere/a", &options, &out));
    REFUSED(TG_EINVAL, tg_path_rmdir(id, "/nowhere/a", &options, NULL));
    REFUSED(TG_EINVAL, tg_path_rmdir(id, NULL, &options, &out));)

LOOP_OPERATION(path_list, tg_path_list(id, "/nowhere/a", &options, &out),
    WITHOUT_CALLBACK(tg_path_list(id, "/nowhere/a", &options, &out));
    REFUSED(TG_EINVAL, tg_path_list(id, "/nowhere/a", &options, NULL));
    REFUSED(TG_EINVAL, tg_path_list(id, NULL, &options, &out));)

LOOP_OPERATION(path_copy, tg_path_copy(id, "/nowhere/a", "/nowhere/b", 0, &options, &out),
    WITHOUT_CALLBACK(tg_path_copy(id, "/nowhere/a", "/nowhere/b", 0, &options, &out));
    REFUSED(TG_EINVAL, tg_path_copy(id, "/nowhere/a", "/nowhere/b", 0, &options, NULL));
    REFUSED(TG_EINVAL, tg_path_copy(id, "/nowhere/a", "/nowhere/b", TG_FILE_READ, &options, &out));
    REFUSED(TG_EINVAL, tg_path_copy(id, NULL, "/nowhere/b", 0, &options, &out));
    REFUSED(TG_EINVAL, tg_path_copy(id, "/nowhere/a", NULL, 0, &options, &out));)

#define FILE_ROWS                                                                                        \
    ROW(file_adopt), ROW(file_copy), ROW(file_get_fd), ROW(file_open), ROW(file_read), ROW(file_read_into), \
    ROW(file_stat), ROW(file_sync), ROW(file_truncate), ROW(file_write), ROW(file_write_owned),          \
    ROW(file_writev), ROW(path_copy), ROW(path_list), ROW(path_mkdir), ROW(path_rename), ROW(path_rmdir), \
    ROW(path_stat), ROW(path_unlink),

#endif
