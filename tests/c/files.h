/* Fixtures of the tests of files: a directory of the test's own, and what an operation has left. */
#ifndef TIDEGATE_TEST_FILES_H
#define TIDEGATE_TEST_FILES_H

#include "support.h"

#include <dirent.h>
#include <sys/stat.h>

/* The user data of an operation: what its callback was told. */
typedef struct seen {
    int calls, released, freed;
    int status, free_status;
    int64_t value;
    char *data;         /* a copy of what was read */
    tg_file_info info;
    char names[4096];   /* of a list: "type name\n" each */
    size_t entries;
    bool freed_before_released;
} seen;

static inline void on_file(tg_handle self, void *user, const tg_file_result *result)
{
    seen *it = user;
    (void)self;
    it->calls++;
    CHECK_EQ(result->size, sizeof *result);
    CHECK_EQ(result->reserved, 0);
    it->status = result->status;
    it->value = result->value;
    if (result->data != NULL && result->value > 0) {
        MUST((it->data = malloc((size_t)result->value)) != NULL);
        memcpy(it->data, result->data, (size_t)result->value);
    }
    if (result->info != NULL) {
        CHECK_EQ(result->info->size, sizeof it->info);
        it->info = *result->info;
    }
    for (int64_t i = 0; result->entries != NULL && i < result->value; i++) {
        const tg_file_entry *entry = &result->entries[i];
        size_t used = strlen(it->names);
        CHECK_EQ(strlen(entry->name), entry->name_length);
        snprintf(it->names + used, sizeof it->names - used, "%u %s\n", entry->file_type, entry->name);
        it->entries++;
    }
}

static inline void seen_released(void *user) { ((seen *)user)->released++; }

static inline void seen_freed(void *data, size_t length, void *user, int status)
{
    seen *it = user;
    (void)length;
    it->freed++;
    it->free_status = status;
    it->freed_before_released = it->released == 0;
    free(data);
}

static inline tg_file_options file_options(seen *it)
{
    tg_file_options options = TG_FILE_OPTIONS_INIT;
    memset(it, 0, sizeof *it);
    options.callback = on_file;
    options.user = it;
    options.release = seen_released;
    return options;
}

static char scratch[64];
static char scratch_path[512];

static inline void scratch_open(void)
{
    strcpy(scratch, "/tmp/tidegate-files-XXXXXX");
    MUST(mkdtemp(scratch) != NULL);
}

/* A path in the directory; the same memory every time. */
static inline const char *in_scratch(const char *name)
{
    snprintf(scratch_path, sizeof scratch_path, "%s/%s", scratch, name);
    return scratch_path;
}

/* Removes what is left in it, one level deep. */
static inline void scratch_close(void)
{
    DIR *directory = opendir(scratch);
    struct dirent *entry;
    MUST(directory != NULL);
    while ((entry = readdir(directory)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            MUST(remove(in_scratch(entry->d_name)) == 0);
    closedir(directory);
    MUST(rmdir(scratch) == 0);
}

/* Makes a file without the library. */
static inline void file_with(const char *name, const void *data, size_t length)
{
    int fd = open(in_scratch(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    MUST(fd >= 0 && write(fd, data, length) == (ssize_t)length && close(fd) == 0);
}

/* Whether a file holds exactly this, asked without the library. */
static inline bool file_is(const char *name, const void *data, size_t length)
{
    char *got = malloc(length + 1);
    int fd = open(in_scratch(name), O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 || got == NULL ? -1 : read(fd, got, length + 1);
    bool same = count == (ssize_t)length && memcmp(got, data, length) == 0;
    if (fd >= 0) close(fd);
    free(got);
    return same;
}

static inline tg_handle open_file(tg_loop loop, const char *name, uint32_t flags)
{
    seen it;
    tg_file_options options = file_options(&it);
    tg_handle file = 0;
    MUST(tg_file_open(loop, in_scratch(name), flags, 0640, &options, &file) == 0);
    options.release = NULL;
    MUST(tg_loop_run(loop) == 0);
    MUST(it.calls == 1 && it.status == 0 && tg_handle_is_open(file) == 1);
    MUST(tg_handle_set_user(file, NULL, NULL) == 0 && tg_loop_run_nowait(loop) >= 0);
    CHECK_EQ(it.released, 1);
    return file;
}

/* Runs until the operation is over, and checks what holds for each. */
static inline void finish(tg_loop loop, seen *it, int status, int64_t value)
{
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it->calls, 1);
    CHECK_EQ(it->released, 1);
    CHECK_CODE(it->status, status);
    CHECK_EQ(it->value, value);
}

/* Bytes that differ from place to place. */
static inline unsigned char byte_at(size_t place) { return (unsigned char)(place * 31 + (place >> 8)); }

static inline char *bytes_from(size_t begin, size_t length)
{
    char *bytes = malloc(length == 0 ? 1 : length);
    MUST(bytes != NULL);
    for (size_t i = 0; i < length; i++) bytes[i] = (char)byte_at(begin + i);
    return bytes;
}

/* Ends a child by another program: what the library has leaked there on purpose, because a thread of the parent may have
 * been changing it, is no finding of valgrind's or AddressSanitizer's. */
static inline void child_becomes_its_result(void)
{
    const char *result = harness_bad == 0 ? "true" : "false";
    fflush(stdout);
    execlp(result, result, (char *)NULL);
    _exit(127);
}

#endif
