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

/* mutation: `list` does not look at what one event may carry. */
static void a_list_that_is_too_long_for_a_record(void)
{
    tg_loop batch = new_batch_loop(8, 8), loop = new_loop();
    char name[256];
    tg_handle op;
    seen it;
    tg_file_options options = file_options(&it);
    scratch_open();
    memset(name, 'n', sizeof name);
    for (int i = 0; i < 300; i++) {
        snprintf(name + 240, 16, "%d", i);
        file_with(name, "", 0);
    }
    CHECK_CODE(tg_path_list(batch, scratch, NULL, &op), 0);
    CHECK_CODE((int)record_of(batch, op).bits, TG_ENOBUFS);
    CHECK_CODE(tg_path_list(loop, scratch, &options, &op), 0);
    finish(loop, &it, 0, 300);
    free_loop(batch, 0);
    free_loop(loop, 0);
    scratch_close();
}

int main(void)
{
    harness_begin();
    RUN(operations_as_records);
    RUN(a_list_that_is_too_long_for_a_record);
    return harness_end();
}
