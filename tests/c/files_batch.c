/* Files on a loop of records. */
#include "files.h"

static tg_batch *batch_of(tg_loop of)
{
    tg_batch *batch = NULL;
    MUST(tg_batch_get(of, &batch) == 0);
    return batch;
}

/* The next record of a loop of records that is not TG_RECORD_CLOSED. */
static tg_record next_record(tg_loop of)
{
    tg_batch *batch = batch_of(of);
    for (;;) {
        while (batch->record_cursor < batch->record_count) {
            tg_record record = batch->records[batch->record_cursor++];
            if (record.kind != TG_RECORD_CLOSED) return record;
        }
        MUST(tg_batch_turn(of) >= 0);
    }
}

static tg_record record_of(tg_loop of, tg_handle handle)
{
    tg_record record = next_record(of);
    CHECK_EQ(record.handle, handle);
    CHECK_EQ(record.kind, TG_RECORD_FILE);
    return record;
}

static void operations_as_records(void)
{
    tg_loop batch = new_batch_loop(64, 8);
    const unsigned char *data;
    tg_file_options options = TG_FILE_OPTIONS_INIT;
    static char lent[200000];
    tg_handle file, op, missing;
    tg_record record;
    tg_file_info about;
    uint32_t head[2];
    scratch_open();
    file_with("file", "content", 7);
    options.user = (void *)(uintptr_t)77;
    CHECK_CODE(tg_file_open(batch, in_scratch("file"), TG_FILE_READ | TG_FILE_WRITE, 0, &options, &file), 0);
    record = record_of(batch, file);
    CHECK(record.bits == 0 && record.user == 77 && fcntl((int)record.value, F_GETFD) >= 0);
    data = batch_of(batch)->data;
    CHECK_CODE(tg_file_read(file, 0, 66048, NULL, &op), 0);
    record = record_of(batch, op);
    CHECK(record.bits == 7 && memcmp(data + record.value, "content", 7) == 0);
    CHECK_CODE(tg_file_read(file, 0, 66049, NULL, &op), TG_EINVAL);
    CHECK_CODE(tg_file_read_into(file, 0, lent, sizeof lent, NULL, NULL, &op), 0);
    record = record_of(batch, op);
    CHECK(record.bits == 0 && record.value == 7 && memcmp(lent, "content", 7) == 0);
    CHECK_CODE(tg_file_write_owned(file, 7, lent, sizeof lent, NULL, NULL, &op), 0);
    record = record_of(batch, op);
    CHECK(record.bits == 0 && record.value == sizeof lent);
    CHECK_CODE(tg_file_write_owned(file, 7, lent, sizeof lent, seen_freed, NULL, &op), TG_EINVAL);
    CHECK_CODE(tg_file_stat(file, NULL, &op), 0);
    record = record_of(batch, op);
    CHECK(record.bits == 0 && record.value % 8 == 0);
    memcpy(&about, data + record.value, sizeof about);
    CHECK(about.size == sizeof about && about.file_size == 7 + sizeof lent);
    CHECK_CODE(tg_path_list(batch, scratch, NULL, &op), 0);
    record = record_of(batch, op);
    CHECK_EQ(record.bits, 1);
    memcpy(head, data + record.value, sizeof head);
    CHECK(head[0] == TG_TYPE_REGULAR && head[1] == 4);
    CHECK(strcmp((const char *)data + record.value + 8, "file") == 0);
    CHECK_CODE(tg_file_open(batch, in_scratch("none"), TG_FILE_READ, 0, NULL, &missing), 0);
    record = record_of(batch, missing);
    CHECK_CODE((int)record.bits, -ENOENT);
    free_loop(batch, 1);
    scratch_close();
}

#define NAMES 5000
#define NAME_LENGTH 250
/* How many of those go into a record: 8 bytes before each name, and zeroes up to a multiple of 8. */
#define A_RECORD (66048 / 264)

/* A directory whose list needs 20 records. */
static void many_names(void)
{
    char name[NAME_LENGTH + 16];
    memset(name, 'n', sizeof name);
    scratch_open();
    for (int i = 0; i < NAMES; i++) {
        snprintf(name + NAME_LENGTH - 5, 16, "%05d", i);
        file_with(name, "", 0);
    }
}

/* The list of one operation, as far as it has come. */
typedef struct listed {
    tg_handle op;
    int records, lasts, closed;
    uint32_t entries;
    unsigned char times[NAMES]; /* how often each name came */
} listed;

static void take_entries(listed *it, const unsigned char *data, const tg_record *record)
{
    uint32_t head[2], count = record->bits & ~TG_FILE_MORE;
    const char *at = (const char *)data + record->value;
    MUST((int)record->bits > 0 && record->value % 8 == 0 && it->lasts == 0 && it->closed == 0);
    CHECK_EQ(count, (record->bits & TG_FILE_MORE) != 0 ? A_RECORD : NAMES - it->entries);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(head, at, sizeof head);
        MUST(head[0] == TG_TYPE_REGULAR && head[1] == NAME_LENGTH && strlen(at + 8) == NAME_LENGTH);
        it->times[atoi(at + 8 + NAME_LENGTH - 5)]++;
        at += (8 + NAME_LENGTH + 8) / 8 * 8;
    }
    it->records++;
    it->entries += count;
    it->lasts += (record->bits & TG_FILE_MORE) == 0;
}

/* One turn; how many records were of none of the lists. */
static int list_turn(tg_loop of, listed *lists, int count)
{
    tg_batch *batch = batch_of(of);
    int others = 0;
    MUST(tg_batch_turn(of) >= 0);
    while (batch->record_cursor < batch->record_count) {
        const tg_record *record = &batch->records[batch->record_cursor++];
        int which = 0;
        while (which < count && lists[which].op != record->handle) which++;
        if (which == count) {
            others++;
        } else if (record->kind == TG_RECORD_CLOSED) {
            lists[which].closed++;
        } else {
            CHECK_EQ(record->kind, TG_RECORD_FILE);
            CHECK_EQ(record->user, 70u + (unsigned)which);
            take_entries(&lists[which], batch->data, record);
        }
    }
    return others;
}

static void start_list(tg_loop batch, listed *lists, int which)
{
    tg_file_options options = TG_FILE_OPTIONS_INIT;
    options.user = (void *)(uintptr_t)(70 + which);
    memset(&lists[which], 0, sizeof *lists);
    MUST(tg_path_list(batch, scratch, &options, &lists[which].op) == 0);
}

/* mutation: `dispatch` closes the handle after the first record. */
static void a_list_that_is_longer_than_a_record(void)
{
    static listed lists[2];
    tg_loop batch = new_batch_loop(8, 8), loop = new_loop();
    tg_handle op;
    seen it;
    tg_file_options options = file_options(&it);
    many_names();
    start_list(batch, lists, 0);
    start_list(batch, lists, 1);
    while (lists[0].closed + lists[1].closed < 2) {
        CHECK_EQ(list_turn(batch, lists, 2), 0);
        for (int i = 0; i < 2; i++) CHECK_EQ(tg_handle_is_open(lists[i].op), lists[i].lasts == 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(lists[i].records == NAMES / A_RECORD && lists[i].lasts == 1 && lists[i].closed == 1);
        CHECK_EQ(lists[i].entries, NAMES);
        for (int name = 0; name < NAMES; name++) MUST(lists[i].times[name] == 1);
    }
    CHECK((batch_of(batch)->flags & TG_BATCH_IDLE) != 0);
    CHECK_CODE(tg_path_list(loop, scratch, &options, &op), 0);
    finish(loop, &it, 0, NAMES); /* one event: functions are shown any number */
    free_loop(batch, 0);
    free_loop(loop, 0);
    scratch_close();
}

/* mutation: `put_back_rest` leaves the rest to the same turn. */
static void a_long_list_leaves_the_others_their_turn(void)
{
    static listed list;
    tg_loop batch = new_batch_loop(64, 8);
    tg_handle io;
    int ends[2];
    many_names();
    MUST(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    CHECK_CODE(tg_io_open(batch, ends[0], TG_READ, NULL, &io), 0);
    start_list(batch, &list, 0);
    while (list.lasts == 0) {
        int before = list.records;
        CHECK_EQ(list_turn(batch, &list, 1), 1);
        CHECK(list.records <= before + 1);
    }
    CHECK_EQ(list.records, NAMES / A_RECORD);
    MUST(close(ends[1]) == 0 && tg_close(io) == 0 && close(ends[0]) == 0);
    free_loop(batch, 0);
    scratch_close();
}

/* mutation: `next_job` does not look whether the handle was closed meanwhile. */
static void a_list_is_given_up_in_the_middle(void)
{
    static listed lists[2];
    tg_loop batch = new_batch_loop(8, 8);
    many_names();
    start_list(batch, lists, 0);
    while (lists[0].records < 3) list_turn(batch, lists, 1);
    CHECK_CODE(tg_handle_cancel(lists[0].op), 0);
    CHECK_CODE(tg_close(lists[0].op), 0);
    while (lists[0].closed == 0) list_turn(batch, lists, 1);
    batch_of(batch)->timeout_ns = 0;
    for (int i = 0; i < 3; i++) list_turn(batch, lists, 1);
    CHECK(lists[0].records == 3 && lists[0].lasts == 0 && lists[0].closed == 1);
    CHECK((batch_of(batch)->flags & TG_BATCH_IDLE) != 0);
    start_list(batch, lists, 1);
    while (lists[1].records < 1) list_turn(batch, lists, 2);
    free_loop(batch, 1);
    scratch_close();
}

/* mutation: `end_inherited` leaves a job alone whose rest waits for the next turn. */
static void a_forked_child_hears_that_the_rest_is_lost(void)
{
    static listed list;
    tg_loop batch = new_batch_loop(8, 8);
    pid_t child;
    many_names();
    start_list(batch, &list, 0);
    while (list.records < 3) list_turn(batch, &list, 1);
    child = harness_fork();
    if (child == 0) {
        tg_record record;
        CHECK_CODE(tg_loop_reopen(batch), 0);
        record = record_of(batch, list.op);
        CHECK_CODE((int)record.bits, TG_EFORKED);
        free_loop(batch, 0);
        child_becomes_its_result();
    }
    harness_wait(child);
    while (list.closed == 0) list_turn(batch, &list, 1);
    CHECK_EQ(list.entries, NAMES);
    free_loop(batch, 0);
    scratch_close();
}

int main(void)
{
    harness_begin();
    RUN(operations_as_records);
    RUN(a_list_that_is_longer_than_a_record);
    RUN(a_long_list_leaves_the_others_their_turn);
    RUN(a_list_is_given_up_in_the_middle);
    RUN(a_forked_child_hears_that_the_rest_is_lost);
    return harness_end();
}
