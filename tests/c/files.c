/* Files: every operation against the real file system, its data checked without the library. */
#include "files.h"

#include <sys/mman.h>

static tg_loop loop;

static void setup(void)
{
    scratch_open();
    loop = new_loop();
}

static void teardown(int open_handles)
{
    free_loop(loop, open_handles);
    scratch_close();
}

static void write_all(tg_handle file, int64_t offset, const char *text)
{
    seen it;
    tg_file_options options = file_options(&it);
    tg_handle op;
    CHECK_CODE(tg_file_write(file, offset, text, strlen(text), &options, &op), 0);
    finish(loop, &it, 0, (int64_t)strlen(text));
}

static void expect_read(tg_handle file, int64_t offset, size_t length, const char *expected)
{
    seen it;
    tg_file_options options = file_options(&it);
    tg_handle op;
    CHECK_CODE(tg_file_read(file, offset, length, &options, &op), 0);
    finish(loop, &it, 0, (int64_t)strlen(expected));
    CHECK(strlen(expected) == 0 || (it.data != NULL && memcmp(it.data, expected, strlen(expected)) == 0));
    free(it.data);
}

/* mutation: `file::read` asks the system for what lies beyond the largest position. */
static void a_file_is_written_and_read_at_offsets(void)
{
    tg_handle file;
    tg_handle_info about = TG_HANDLE_INFO_INIT;
    uint32_t kind;
    tg_fd fd;
    setup();
    file = open_file(loop, "file", TG_FILE_READ | TG_FILE_WRITE | TG_FILE_CREATE);
    CHECK_CODE(tg_handle_get_kind(file, &kind), 0);
    CHECK_EQ(kind, TG_KIND_FILE);
    CHECK_CODE(tg_file_get_fd(file, &fd), 0);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK_CODE(tg_handle_get_info(file, &about), 0);
    CHECK(about.value == fd && (about.flags & TG_INFO_ACTIVE) == 0);
    write_all(file, 0, "hello world");
    write_all(file, 6, "there");
    CHECK(file_is("file", "hello there", 11));
    expect_read(file, 0, 11, "hello there");
    expect_read(file, 6, 100, "there"); /* the end comes first */
    expect_read(file, 11, 10, "");
    expect_read(file, 1000, 10, "");
    expect_read(file, 0, 0, "");
    expect_read(file, INT64_MAX - 5, 10, ""); /* beyond what any file can have */
    expect_read(file, INT64_MAX, 10, "");
    write_all(file, 13, "!");
    CHECK(file_is("file", "hello there\0\0!", 14));
    teardown(1);
}

/* The position belongs to the descriptor: reads and writes at -1 move it, those at offsets do not. */
static void the_current_position(void)
{
    tg_handle file;
    setup();
    file = open_file(loop, "file", TG_FILE_READ | TG_FILE_WRITE | TG_FILE_CREATE);
    write_all(file, -1, "abc");
    write_all(file, 0, "A");
    write_all(file, -1, "def");
    CHECK(file_is("file", "Abcdef", 6));
    expect_read(file, -1, 5, "");
    CHECK_CODE(tg_close(file), 0);
    file = open_file(loop, "file", TG_FILE_READ);
    expect_read(file, -1, 4, "Abcd");
    expect_read(file, 0, 2, "Ab");
    expect_read(file, -1, 4, "ef");
    teardown(1);
}

static void flags_of_opening(void)
{
    static const struct { const char *name; uint32_t flags; int status; } refused[] = {
        { "none", TG_FILE_READ, -ENOENT },
        { "file", TG_FILE_WRITE | TG_FILE_CREATE | TG_FILE_EXCLUSIVE, -EEXIST },
        { "file", TG_FILE_DIRECTORY, -ENOTDIR },
        { "link", TG_FILE_READ | TG_FILE_NO_FOLLOW, -ELOOP },
        { "file/below", TG_FILE_READ, -ENOTDIR },
        { ".", TG_FILE_WRITE, -EISDIR },
    };
    struct stat about;
    tg_handle file;
    setup();
    file_with("file", "content", 7);
    MUST(symlink("file", in_scratch("link")) == 0);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        seen it;
        tg_file_options options = file_options(&it);
        CHECK_CODE(tg_file_open(loop, in_scratch(refused[i].name), refused[i].flags, 0600, &options, &file), 0);
        CHECK_CODE(tg_file_get_fd(file, &(tg_fd){ 0 }), TG_EBUSY);
        finish(loop, &it, refused[i].status, 0);
        CHECK_EQ(tg_handle_is_open(file), 0);
    }
    file = open_file(loop, "file", TG_FILE_WRITE | TG_FILE_APPEND);
    write_all(file, 0, "+");
    CHECK(file_is("file", "content+", 8));
    file = open_file(loop, "file", TG_FILE_WRITE | TG_FILE_TRUNCATE);
    CHECK(file_is("file", "", 0));
    umask(022);
    file = open_file(loop, "new", TG_FILE_WRITE | TG_FILE_CREATE | TG_FILE_EXCLUSIVE);
    MUST(stat(in_scratch("new"), &about) == 0);
    CHECK_EQ(about.st_mode & 07777, 0640);
    file = open_file(loop, ".", TG_FILE_DIRECTORY);
    teardown(4);
}

static void pieces_are_written_one_behind_the_other(void)
{
    const tg_buffer buffers[] = { { "ab", 2 }, { NULL, 0 }, { "c", 1 }, { "defg", 4 } };
    seen it;
    tg_file_options options = file_options(&it);
    tg_handle file, op;
    setup();
    file = open_file(loop, "file", TG_FILE_WRITE | TG_FILE_CREATE);
    CHECK_CODE(tg_file_writev(file, 1, buffers, 4, &options, &op), 0);
    finish(loop, &it, 0, 7);
    CHECK(file_is("file", "\0abcdefg", 8));
    options = file_options(&it);
    CHECK_CODE(tg_file_writev(file, 0, NULL, 0, &options, &op), 0);
    finish(loop, &it, 0, 0);
    teardown(1);
}

static void sync_truncate_and_stat(void)
{
    seen it;
    tg_file_options options = file_options(&it);
    struct stat about;
    tg_handle file, op;
    uint32_t kind;
    setup();
    file = open_file(loop, "file", TG_FILE_READ | TG_FILE_WRITE | TG_FILE_CREATE);
    write_all(file, 0, "0123456789");
    CHECK_CODE(tg_file_sync(file, 0, &options, &op), 0);
    CHECK_CODE(tg_handle_get_kind(op, &kind), 0);
    CHECK_EQ(kind, TG_KIND_FILE_OP);
    finish(loop, &it, 0, 0);
    options = file_options(&it);
    CHECK_CODE(tg_file_sync(file, TG_FILE_DATA_ONLY, &options, &op), 0);
    finish(loop, &it, 0, 0);
    options = file_options(&it);
    CHECK_CODE(tg_file_truncate(file, 4, &options, &op), 0);
    finish(loop, &it, 0, 0);
    CHECK(file_is("file", "0123", 4));
    options = file_options(&it);
    CHECK_CODE(tg_file_truncate(file, 6, &options, &op), 0);
    finish(loop, &it, 0, 0);
    CHECK(file_is("file", "0123\0\0", 6));
    options = file_options(&it);
    CHECK_CODE(tg_file_stat(file, &options, &op), 0);
    finish(loop, &it, 0, 0);
    MUST(stat(in_scratch("file"), &about) == 0);
    CHECK_EQ(it.info.file_size, 6);
    CHECK_EQ(it.info.file_type, TG_TYPE_REGULAR);
    CHECK_EQ(it.info.mode, about.st_mode & 07777);
    CHECK(it.info.inode == about.st_ino && it.info.device == about.st_dev);
    CHECK(it.info.uid == about.st_uid && it.info.gid == about.st_gid);
    CHECK(it.info.links == 1 && it.info.block_size == (uint64_t)about.st_blksize);
    CHECK_EQ(it.info.modified_ns, about.st_mtim.tv_sec * SECOND + about.st_mtim.tv_nsec);
    CHECK_EQ(it.info.changed_ns, about.st_ctim.tv_sec * SECOND + about.st_ctim.tv_nsec);
    teardown(1);
}

/* An operation on paths whose result is a status alone. */
#define PATH(expected, call)                         \
    do {                                             \
        seen it;                                     \
        tg_file_options options = file_options(&it); \
        tg_handle op;                                \
        CHECK_CODE(call, 0);                         \
        finish(loop, &it, expected, 0);              \
    } while (0)

static void names_are_made_changed_and_removed(void)
{
    char other[512];
    setup();
    file_with("file", "content", 7);
    snprintf(other, sizeof other, "%s/other", scratch);
    PATH(0, tg_path_rename(loop, in_scratch("file"), other, &options, &op));
    CHECK(file_is("other", "content", 7) && access(in_scratch("file"), F_OK) != 0);
    PATH(-ENOENT, tg_path_rename(loop, in_scratch("file"), other, &options, &op));
    PATH(0, tg_path_mkdir(loop, in_scratch("directory"), 0750, &options, &op));
    PATH(-EEXIST, tg_path_mkdir(loop, in_scratch("directory"), 0750, &options, &op));
    PATH(-EISDIR, tg_path_unlink(loop, in_scratch("directory"), &options, &op));
    file_with("directory/inside", "", 0);
    PATH(-ENOTEMPTY, tg_path_rmdir(loop, in_scratch("directory"), &options, &op));
    PATH(0, tg_path_unlink(loop, in_scratch("directory/inside"), &options, &op));
    PATH(0, tg_path_rmdir(loop, in_scratch("directory"), &options, &op));
    PATH(0, tg_path_unlink(loop, other, &options, &op));
    PATH(-ENOENT, tg_path_unlink(loop, other, &options, &op));
    PATH(-ENOENT, tg_path_list(loop, other, &options, &op));
    PATH(-ENOENT, tg_path_stat(loop, "", 0, &options, &op));
    teardown(0);
}

static void lists_and_links(void)
{
    seen it;
    tg_file_options options = file_options(&it);
    tg_handle op;
    setup();
    CHECK_CODE(tg_path_list(loop, scratch, &options, &op), 0);
    finish(loop, &it, 0, 0);
    file_with("file", "content", 7);
    MUST(symlink("file", in_scratch("link")) == 0);
    MUST(mkdir(in_scratch("directory"), 0700) == 0 && mkfifo(in_scratch("fifo"), 0600) == 0);
    options = file_options(&it);
    CHECK_CODE(tg_path_list(loop, scratch, &options, &op), 0);
    finish(loop, &it, 0, 4);
    CHECK_EQ(it.entries, 4);
    CHECK(strstr(it.names, "1 file\n") && strstr(it.names, "2 directory\n"));
    CHECK(strstr(it.names, "3 link\n") && strstr(it.names, "4 fifo\n"));
    options = file_options(&it);
    CHECK_CODE(tg_path_stat(loop, in_scratch("link"), 0, &options, &op), 0);
    finish(loop, &it, 0, 0);
    CHECK(it.info.file_type == TG_TYPE_REGULAR && it.info.file_size == 7);
    options = file_options(&it);
    CHECK_CODE(tg_path_stat(loop, in_scratch("link"), TG_FILE_NO_FOLLOW, &options, &op), 0);
    finish(loop, &it, 0, 0);
    CHECK(it.info.file_type == TG_TYPE_LINK && it.info.file_size == 4);
    teardown(0);
}

/* mutation: a FIFO is opened as a file is, and waits for its other end. */
static void copies(void)
{
    const size_t length = 300000;
    char *content = bytes_from(0, length), to_path[512];
    seen it;
    tg_file_options options = file_options(&it);
    tg_handle from, to, op;
    setup();
    file_with("from", content, length);
    from = open_file(loop, "from", TG_FILE_READ);
    to = open_file(loop, "to", TG_FILE_WRITE | TG_FILE_CREATE);
    CHECK_CODE(tg_file_copy(from, to, 0, 0, UINT64_MAX, &options, &op), 0);
    finish(loop, &it, 0, (int64_t)length);
    CHECK(file_is("to", content, length));
    options = file_options(&it);
    CHECK_CODE(tg_file_copy(from, to, 1000, 0, 5, &options, &op), 0);
    finish(loop, &it, 0, 5);
    snprintf(to_path, sizeof to_path, "%s/third", scratch);
    options = file_options(&it);
    CHECK_CODE(tg_path_copy(loop, in_scratch("from"), to_path, TG_FILE_EXCLUSIVE, &options, &op), 0);
    finish(loop, &it, 0, (int64_t)length);
    CHECK(file_is("third", content, length));
    options = file_options(&it);
    CHECK_CODE(tg_path_copy(loop, in_scratch("from"), to_path, TG_FILE_EXCLUSIVE, &options, &op), 0);
    finish(loop, &it, -EEXIST, 0);
    file_with("from", "short", 5);
    options = file_options(&it);
    CHECK_CODE(tg_path_copy(loop, in_scratch("from"), to_path, 0, &options, &op), 0);
    finish(loop, &it, 0, 5);
    CHECK(file_is("third", "short", 5));
    MUST(mkfifo(in_scratch("fifo"), 0600) == 0);
    options = file_options(&it);
    CHECK_CODE(tg_path_copy(loop, scratch_path, to_path, 0, &options, &op), 0); /* nobody will ever write to it */
    finish(loop, &it, -EINVAL, 0);
    options = file_options(&it);
    CHECK_CODE(tg_path_copy(loop, to_path, scratch_path, 0, &options, &op), 0); /* nobody reads it */
    finish(loop, &it, -ENXIO, 0);
    CHECK(file_is("third", "short", 5));
    free(content);
    teardown(2);
}

#define READS 1000
#define PIECE 100

static void a_thousand_reads_at_once(void)
{
    static seen all[READS];
    char *content = bytes_from(0, READS * PIECE);
    tg_handle file, op;
    tg_file_options opening;
    seen opened;
    setup();
    file_with("file", content, READS * PIECE);
    opening = file_options(&opened);
    CHECK_CODE(tg_file_open(loop, in_scratch("file"), TG_FILE_READ, 0, &opening, &file), 0);
    for (size_t i = 0; i < READS; i++) { /* before it is open */
        tg_file_options options = file_options(&all[i]);
        CHECK_CODE(tg_file_read(file, (int64_t)((i * 7 % READS) * PIECE), PIECE, &options, &op), 0);
    }
    CHECK_CODE(tg_loop_run(loop), 0);
    for (size_t i = 0; i < READS; i++) {
        CHECK(all[i].calls == 1 && all[i].released == 1 && all[i].status == 0);
        CHECK_EQ(all[i].value, PIECE);
        CHECK(memcmp(all[i].data, content + (i * 7 % READS) * PIECE, PIECE) == 0);
        free(all[i].data);
    }
    CHECK(opened.calls == 1 && opened.status == 0 && opened.released == 0);
    free(content);
    teardown(1);
    CHECK_EQ(opened.released, 1);
}

/* mutation: the ranges are looked at only when memory is in between; a directory is refused after the other file was
 * emptied; the permissions of a copy are left to the umask. */
static void copies_that_go_wrong_change_nothing(void)
{
    seen it;
    tg_file_options options = file_options(&it);
    struct stat stat;
    tg_handle file, op;
    char copy[512];
    mode_t before;
    setup();
    file_with("within", "0123456789", 10);
    file = open_file(loop, "within", TG_FILE_READ | TG_FILE_WRITE);
    CHECK_CODE(tg_file_copy(file, file, 0, 5, UINT64_MAX, &options, &op), 0);
    finish(loop, &it, -EINVAL, 0);
    CHECK(file_is("within", "0123456789", 10));
    options = file_options(&it);
    CHECK_CODE(tg_file_copy(file, file, 0, 20, UINT64_MAX, &options, &op), 0); /* the file grows, but there is an end */
    finish(loop, &it, 0, 10);
    CHECK(file_is("within", "0123456789\0\0\0\0\0\0\0\0\0\0" "0123456789", 30));
    options = file_options(&it);
    snprintf(copy, sizeof copy, "%s/within", scratch);
    CHECK_CODE(tg_path_copy(loop, scratch, copy, 0, &options, &op), 0);
    finish(loop, &it, -EISDIR, 0);
    CHECK(file_is("within", "0123456789\0\0\0\0\0\0\0\0\0\0" "0123456789", 30));
    before = umask(0077);
    MUST(chmod(copy, 0755) == 0);
    snprintf(copy, sizeof copy, "%s/copy", scratch);
    options = file_options(&it);
    CHECK_CODE(tg_path_copy(loop, in_scratch("within"), copy, 0, &options, &op), 0);
    finish(loop, &it, 0, 30);
    umask(before);
    MUST(lstat(copy, &stat) == 0);
    CHECK_EQ(stat.st_mode & 0777, 0755);
    teardown(1);
}

/* mutation: an adopted file's descriptor is not noted as a handle's; that of an opened one is not. */
static void h09_a_descriptor_has_one_owner(void)
{
    tg_handle file = 0, other = 7;
    tg_conn_options conn = TG_CONN_OPTIONS_INIT;
    int fd;
    setup();
    file_with("owned", "x", 1);
    fd = open(in_scratch("owned"), O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0);
    CHECK_CODE(tg_file_adopt(loop, fd, NULL, &file), 0);
    CHECK_CODE(tg_file_adopt(loop, fd, NULL, &other), TG_EEXIST);
    CHECK_CODE(tg_conn_open(loop, fd, &conn, &other), TG_EEXIST);
    CHECK_EQ(other, 7);
    CHECK_CODE(tg_close(file), 0);
    file = open_file(loop, "owned", TG_FILE_READ);
    CHECK_CODE(tg_file_get_fd(file, &fd), 0);
    CHECK_CODE(tg_file_adopt(loop, fd, NULL, &other), TG_EEXIST);
    CHECK_CODE(tg_conn_open(loop, fd, &conn, &other), TG_EEXIST);
    CHECK_CODE(tg_close(file), 0);
    teardown(0);
    CHECK(fcntl(fd, F_GETFD) < 0);
}

/* Standard input that the shell has redirected from a file. */
static void standard_input_from_a_file(void)
{
    int before = dup(0), fd, copy;
    tg_handle file = 0;
    setup();
    file_with("input", "first second", 12);
    fd = open(in_scratch("input"), O_RDONLY);
    MUST(before >= 0 && fd > 0 && dup2(fd, 0) == 0 && close(fd) == 0);
    copy = dup(0);
    CHECK_CODE(tg_file_adopt(loop, copy, NULL, &file), 0);
    expect_read(file, -1, 6, "first ");
    expect_read(file, -1, 100, "second");
    expect_read(file, -1, 100, "");
    expect_read(file, 6, 3, "sec");
    MUST(dup2(before, 0) == 0 && close(before) == 0);
    teardown(1);
    CHECK(fcntl(copy, F_GETFD) < 0); /* closed with the file */
}

static void reads_into_memory_of_the_callers(void)
{
    char room[32], *lent;
    seen it;
    tg_file_options options = file_options(&it);
    tg_handle file, op;
    setup();
    file_with("file", "0123456789", 10);
    file = open_file(loop, "file", TG_FILE_READ);
    memset(room, '?', sizeof room);
    CHECK_CODE(tg_file_read_into(file, 2, room, 4, NULL, &options, &op), 0);
    finish(loop, &it, 0, 4);
    CHECK(memcmp(room, "2345????", 8) == 0 && memcmp(it.data, "2345", 4) == 0);
    free(it.data);
    MUST((lent = malloc(100)) != NULL);
    options = file_options(&it);
    CHECK_CODE(tg_file_read_into(file, 0, lent, 100, seen_freed, &options, &op), 0);
    finish(loop, &it, 0, 10);
    CHECK(it.freed == 1 && it.freed_before_released && it.free_status == 0);
    CHECK(memcmp(it.data, "0123456789", 10) == 0);
    free(it.data);
    teardown(1);
}

/* What is asked for while the file is being opened waits, here for the writer of a FIFO.
 * mutation: reads do not count; lent memory counts; what was closed, or is over, counts on; bytes are copied, or room is
 * taken, before it is known that they may be held. */
static void h41_bytes_that_operations_hold_are_bounded(void)
{
    static char bytes[4000], lent[4000];
    tg_loop_options limited = TG_LOOP_OPTIONS_INIT;
    const tg_buffer pieces[] = { { bytes, 300 }, { bytes, 301 } };
    tg_buffer unreadable[1];
    seen it, waiting;
    tg_file_options options = file_options(&waiting);
    tg_handle opening, file, op[8] = { 0 };
    int fifo;
    limited.max_job_bytes = 1000;
    MUST(tg_loop_new(&limited, &loop) == 0);
    scratch_open();
    MUST(mkfifo(in_scratch("fifo"), 0600) == 0);
    CHECK_CODE(tg_file_open(loop, scratch_path, TG_FILE_READ, 0, &options, &opening), 0);
    CHECK_CODE(tg_file_write(opening, -1, bytes, 400, &options, &op[0]), 0);
    CHECK_CODE(tg_file_writev(opening, -1, pieces, 2, &options, &op[7]), TG_ENOBUFS);
    CHECK_CODE(tg_file_read(opening, -1, 601, &options, &op[7]), TG_ENOBUFS);
    CHECK_CODE(tg_file_write(opening, -1, bytes, 601, &options, &op[7]), TG_ENOBUFS);
    /* What is refused is not taken or looked at before. */
    CHECK_CODE(tg_file_read(opening, -1, SIZE_MAX / 2, &options, &op[7]), TG_ENOBUFS);
    MUST((unreadable[0].data = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED);
    unreadable[0].length = 601;
    CHECK_CODE(tg_file_write(opening, -1, unreadable[0].data, 601, &options, &op[7]), TG_ENOBUFS);
    CHECK_CODE(tg_file_writev(opening, -1, unreadable, 1, &options, &op[7]), TG_ENOBUFS);
    CHECK_EQ(op[7], 0);
    CHECK_CODE(tg_file_read(opening, -1, 600, &options, &op[1]), 0);
    CHECK_CODE(tg_file_read(opening, -1, 1, &options, &op[7]), TG_ENOBUFS);
    CHECK_CODE(tg_file_write_owned(opening, -1, bytes, sizeof bytes, NULL, &options, &op[2]), 0);
    CHECK_CODE(tg_file_read_into(opening, -1, lent, sizeof lent, NULL, &options, &op[3]), 0);
    CHECK_CODE(tg_close(op[1]), 0);
    CHECK_CODE(tg_file_read(opening, -1, 600, &options, &op[4]), 0);
    for (int i = 0; i < 5; i++) CHECK_CODE(tg_close(op[i]), i == 1 ? TG_ESTALE : 0);
    CHECK_CODE(tg_file_read(opening, -1, 5000, &options, &op[5]), 0); /* one alone, of any size */
    CHECK_CODE(tg_file_write(opening, -1, bytes, 1, &options, &op[7]), TG_ENOBUFS);
    CHECK_CODE(tg_close(op[5]), 0);
    MUST((fifo = open(scratch_path, O_WRONLY | O_CLOEXEC)) >= 0 && close(fifo) == 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_CODE(tg_close(opening), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK(waiting.calls == 1 && waiting.status == 0 && waiting.released == 7); /* the opening, and six that were closed */
    file = open_file(loop, "file", TG_FILE_READ | TG_FILE_WRITE | TG_FILE_CREATE);
    for (int i = 0; i < 3; i++) { /* each when the one before is over */
        options = file_options(&it);
        CHECK_CODE(tg_file_write(file, 0, bytes, 4000, &options, &op[6]), 0);
        finish(loop, &it, 0, 4000);
        options = file_options(&it);
        CHECK_CODE(tg_file_read(file, 0, 4000, &options, &op[6]), 0);
        finish(loop, &it, 0, 4000);
        free(it.data);
    }
    teardown(1);
}

int main(void)
{
    harness_begin();
    RUN(a_file_is_written_and_read_at_offsets);
    RUN(the_current_position);
    RUN(flags_of_opening);
    RUN(pieces_are_written_one_behind_the_other);
    RUN(sync_truncate_and_stat);
    RUN(names_are_made_changed_and_removed);
    RUN(lists_and_links);
    RUN(copies);
    RUN(copies_that_go_wrong_change_nothing);
    RUN(h09_a_descriptor_has_one_owner);
    RUN(a_thousand_reads_at_once);
    RUN(standard_input_from_a_file);
    RUN(reads_into_memory_of_the_callers);
    RUN(h41_bytes_that_operations_hold_are_bounded);
    return harness_end();
}
