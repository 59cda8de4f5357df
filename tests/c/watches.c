/* Watching files: names and cookies, files that are replaced, trees, overflow, batches, and a fork. What trees
 * do in detail is in reactor/tests/changes.rs. */
#include "support.h"

#include <sys/stat.h>

#define MOST 64

typedef struct change {
    uint32_t changes, cookie;
    int status;
    char name[256];
} change;

typedef struct watched {
    int count, released;
    uint64_t overflows;
    change all[MOST];
} watched;

static char place[64];

static const char *at(const char *name)
{
    static char paths[4][512];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", place, name);
    return paths[next];
}

static void make_place(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(place, sizeof place, "%s/tidegate-XXXXXX", base != NULL ? base : "/tmp");
    MUST(mkdtemp(place) != NULL);
}

static void touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    MUST(fd >= 0);
    close(fd);
}

static void append(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    MUST(fd >= 0);
    put(fd, text);
    close(fd);
}

static void on_change(tg_handle self, void *user, int status, const tg_change *what)
{
    watched *it = user;
    (void)self;
    CHECK_EQ(what->size, sizeof *what);
    if (what->changes & TG_CHANGE_OVERFLOW) it->overflows++;
    if (it->count < MOST) {
        change *note = &it->all[it->count];
        note->changes = what->changes;
        note->cookie = what->cookie;
        note->status = status;
        snprintf(note->name, sizeof note->name, "%s", what->name);
    }
    it->count++;
}

static void release_watched(void *user) { ((watched *)user)->released++; }

static tg_handle watch(tg_loop loop, const char *path, uint32_t flags, watched *user)
{
    tg_watch_options options = TG_WATCH_OPTIONS_INIT;
    tg_handle handle = 0;
    options.callback = on_change;
    options.user = user;
    options.release = release_watched;
    options.flags = flags;
    MUST(tg_watch_open(loop, path, &options, &handle) == 0);
    return handle;
}

static bool told(const watched *it, int index, uint32_t changes, const char *name)
{
    const change *note = &it->all[index];
    if (index < it->count && note->status == 0 && note->changes == changes && strcmp(note->name, name) == 0) return true;
    printf("# %d of %d: %#x %s, expected %#x %s\n", index, it->count, (unsigned)note->changes, note->name,
           (unsigned)changes, name);
    return false;
}

static void moves_have_a_cookie(void)
{
    tg_loop loop = new_loop();
    static watched it;
    memset(&it, 0, sizeof it);
    make_place();
    watch(loop, place, 0, &it);
    touch(at("a"));
    MUST(rename(at("a"), at("b")) == 0 && unlink(at("b")) == 0);
    turns(loop, 1); /* all of them in one turn */
    CHECK_EQ(it.count, 4);
    CHECK(told(&it, 0, TG_CHANGE_CREATED, "a"));
    CHECK(told(&it, 1, TG_CHANGE_MOVED_FROM, "a"));
    CHECK(told(&it, 2, TG_CHANGE_MOVED_TO, "b"));
    CHECK(told(&it, 3, TG_CHANGE_DELETED, "b"));
    CHECK(it.all[1].cookie != 0 && it.all[1].cookie == it.all[2].cookie);
    CHECK_EQ(it.all[0].cookie, 0);
    MUST(rmdir(place) == 0);
    CHECK_CODE(tg_loop_run(loop), 0); /* nothing keeps it alive any more */
    CHECK(told(&it, it.count - 1, TG_CHANGE_SELF_GONE, ""));
    CHECK_EQ(it.released, 0);
    free_loop(loop, 1);
    CHECK_EQ(it.released, 1);
}

/* mutation: `take` does not compare the name. */
static void a_file_that_is_replaced_stays_watched(void)
{
    tg_loop loop = new_loop();
    static watched it;
    memset(&it, 0, sizeof it);
    make_place();
    touch(at("log"));
    watch(loop, at("log"), 0, &it);
    append(at("log"), "one");
    append(at("log.new"), "two");
    MUST(rename(at("log.new"), at("log")) == 0); /* as an editor does */
    append(at("log"), "three");
    MUST(rename(at("log"), at("log.1")) == 0); /* as log rotation does */
    append(at("log.1"), "not seen");
    append(at("log"), "four");
    turns(loop, 1);
    CHECK_EQ(it.count, 6);
    CHECK(told(&it, 0, TG_CHANGE_MODIFIED, ""));
    CHECK(told(&it, 1, TG_CHANGE_MOVED_TO, ""));
    CHECK(told(&it, 2, TG_CHANGE_MODIFIED, ""));
    CHECK(told(&it, 3, TG_CHANGE_MOVED_FROM, ""));
    CHECK(told(&it, 4, TG_CHANGE_CREATED, ""));
    CHECK(told(&it, 5, TG_CHANGE_MODIFIED, ""));
    MUST(unlink(at("log")) == 0 && unlink(at("log.1")) == 0 && rmdir(place) == 0);
    free_loop(loop, 1);
}

static void trees(void)
{
    tg_loop loop = new_loop();
    tg_handle_info info = TG_HANDLE_INFO_INIT;
    tg_handle handle;
    static watched it;
    memset(&it, 0, sizeof it);
    make_place();
    MUST(mkdir(at("a"), 0700) == 0 && symlink("/", at("link")) == 0);
    handle = watch(loop, place, TG_WATCH_RECURSIVE, &it);
    CHECK_CODE(tg_handle_get_info(handle, &info), 0);
    CHECK_EQ(info.kind, TG_KIND_WATCH);
    CHECK_EQ(info.value, 2);
    MUST(mkdir(at("a/b"), 0700) == 0);
    touch(at("a/b/c"));
    turns(loop, 3);
    CHECK_EQ(it.count, 2);
    CHECK(told(&it, 0, TG_CHANGE_CREATED | TG_CHANGE_DIRECTORY, "a/b"));
    CHECK(told(&it, 1, TG_CHANGE_CREATED, "a/b/c"));
    MUST(unlink(at("a/b/c")) == 0 && rmdir(at("a/b")) == 0);
    turns(loop, 3);
    CHECK_EQ(it.count, 4);
    CHECK(told(&it, 3, TG_CHANGE_DELETED | TG_CHANGE_DIRECTORY, "a/b"));
    CHECK_CODE(tg_handle_get_info(handle, &info), 0);
    CHECK_EQ(info.value, 2);
    MUST(rmdir(at("a")) == 0 && unlink(at("link")) == 0 && rmdir(place) == 0);
    free_loop(loop, 1);
}

static long queue_length(void)
{
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    long length = -1;
    if (file != NULL && fscanf(file, "%ld", &length) != 1) length = -1;
    if (file != NULL) fclose(file);
    return length;
}

/* mutation: `overflowed` does not look for directories. */
static void lost_changes_are_said_to_be_lost(void)
{
    tg_loop loop = new_loop();
    long length = queue_length();
    static watched it;
    memset(&it, 0, sizeof it);
    if (length < 0 || length > 200000) {
        SKIP("lost_changes_are_said_to_be_lost", "the system's queue of changes is too long, or has no length");
        free_loop(loop, 0);
        return;
    }
    make_place();
    watch(loop, place, TG_WATCH_RECURSIVE, &it);
    for (long i = 0; i <= length; i += 2) {
        touch(at("x"));
        MUST(unlink(at("x")) == 0);
    }
    MUST(mkdir(at("lost"), 0700) == 0);
    while (it.overflows == 0) turns(loop, 1);
    it.count = 0;
    touch(at("lost/y")); /* the directory is watched although its event was lost */
    turns(loop, 2);
    CHECK_EQ(it.overflows, 1);
    CHECK_EQ(it.count, 1);
    CHECK(told(&it, 0, TG_CHANGE_CREATED, "lost/y"));
    MUST(unlink(at("lost/y")) == 0 && rmdir(at("lost")) == 0 && rmdir(place) == 0);
    free_loop(loop, 1);
}

static void what_cannot_be_watched(void)
{
    tg_loop loop = new_loop();
    tg_watch_options options = TG_WATCH_OPTIONS_INIT;
    tg_handle out = 7;
    static watched it;
    memset(&it, 0, sizeof it);
    make_place();
    options.callback = on_change;
    options.user = &it;
    options.release = release_watched;
    CHECK_CODE(tg_watch_open(loop, at("none"), &options, &out), -ENOENT);
    CHECK_CODE(tg_watch_open(loop, "", &options, &out), -ENOENT);
    options.flags = TG_WATCH_FILE;
    CHECK_CODE(tg_watch_open(loop, at("none/file"), &options, &out), -ENOENT);
    CHECK_CODE(tg_watch_open(loop, "/", &options, &out), TG_EINVAL);
    touch(at("f"));
    CHECK_CODE(tg_watch_open(loop, at("f/file"), &options, &out), -ENOTDIR);
    CHECK_EQ(out, 7);
    MUST(unlink(at("f")) == 0 && rmdir(place) == 0);
    free_loop(loop, 0);
    CHECK_EQ(it.released, 0);
}

/* More changes than records: the rest comes with the next turns, in order.
 * mutation: a turn that goes on begins with the next descriptor. */
static void batches_tell_changes_as_records(void)
{
    tg_loop loop = new_batch_loop(3, 8);
    tg_watch_options options = TG_WATCH_OPTIONS_INIT;
    tg_batch *batch = NULL;
    tg_handle handle = 0;
    int seen = 0;
    make_place();
    CHECK_CODE(tg_watch_open(loop, place, &options, &handle), 0);
    for (int i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        touch(at(name));
    }
    CHECK_CODE(tg_batch_get(loop, &batch), 0);
    while (seen < 10) {
        MUST(tg_batch_turn(loop) >= 0);
        CHECK(batch->record_count <= 3);
        for (uint32_t i = 0; i < batch->record_count; i++, seen++) {
            const tg_record *record = &batch->records[i];
            const unsigned char *data = batch->data + record->value;
            char name[16];
            int32_t status;
            snprintf(name, sizeof name, "f%d", seen);
            memcpy(&status, data + 4, sizeof status);
            CHECK_EQ(record->kind, TG_RECORD_CHANGE);
            CHECK_EQ(record->bits, TG_CHANGE_CREATED);
            CHECK_EQ(status, 0);
            CHECK(strcmp((const char *)data + 8, name) == 0);
            MUST(unlink(at(name)) == 0);
        }
        batch->record_cursor = batch->record_count;
    }
    MUST(rmdir(place) == 0);
    free_loop(loop, 1);
}

/* mutation: reopen goes on with the inherited object. */
static void h57_a_forked_child_watches_for_itself(void)
{
    tg_loop loop = new_loop();
    static watched it;
    pid_t child;
    memset(&it, 0, sizeof it);
    make_place();
    watch(loop, place, TG_WATCH_RECURSIVE, &it);
    touch(at("before")); /* is the parent's to tell */
    child = harness_fork();
    if (child == 0) {
        CHECK_CODE(tg_loop_reopen(loop), 0);
        turns(loop, 2);
        CHECK_EQ(it.count, 0);
        touch(at("after"));
        turns(loop, 2);
        CHECK_EQ(it.count, 1);
        CHECK(told(&it, 0, TG_CHANGE_CREATED, "after"));
        free_loop(loop, 1);
        harness_child_end();
    }
    harness_wait(child);
    turns(loop, 2);
    CHECK_EQ(it.count, 2); /* nothing was taken away by the child */
    CHECK(told(&it, 0, TG_CHANGE_CREATED, "before"));
    CHECK(told(&it, 1, TG_CHANGE_CREATED, "after"));
    child = harness_fork();
    if (child == 0) {
        MUST(unlink(at("before")) == 0 && unlink(at("after")) == 0 && rmdir(place) == 0);
        it.count = 0;
        CHECK_CODE(tg_loop_reopen(loop), 0);
        CHECK_CODE(tg_loop_run(loop), 0); /* it says that it cannot go on, and does not */
        CHECK_EQ(it.count, 1);
        CHECK_EQ(it.all[0].status, -ENOENT);
        CHECK_EQ(it.all[0].changes, 0);
        free_loop(loop, 1);
        harness_child_end();
    }
    harness_wait(child);
    free_loop(loop, 1);
}

int main(void)
{
    harness_begin();
    RUN(moves_have_a_cookie);
    RUN(a_file_that_is_replaced_stays_watched);
    RUN(trees);
    RUN(lost_changes_are_said_to_be_lost);
    RUN(what_cannot_be_watched);
    RUN(batches_tell_changes_as_records);
    RUN(h57_a_forked_child_watches_for_itself);
    return harness_end();
}
