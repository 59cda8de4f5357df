/* Looking up names with the system's own look-ups; nothing here asks anybody but this machine. */
#include "support.h"

typedef struct answer {
    tg_handle id;
    int calls, released, status;
    size_t count;
    tg_address first;
    char host[1100], service[64];
} answer;

static void keep_addresses(tg_handle self, void *user, int status, const tg_address *addresses, size_t count)
{
    answer *it = user;
    CHECK_EQ(self, it->id);
    CHECK_EQ(it->released, 0);
    it->calls++;
    it->status = status;
    it->count = count;
    if (count > 0) it->first = addresses[0];
}

static void keep_names(tg_handle self, void *user, int status, const char *host, const char *service)
{
    answer *it = user;
    CHECK_EQ(self, it->id);
    it->calls++;
    it->status = status;
    if (status != 0) return;
    snprintf(it->host, sizeof it->host, "%s", host);
    snprintf(it->service, sizeof it->service, "%s", service);
}

static void answer_released(void *user) { ((answer *)user)->released++; }

static answer look_up(const char *host, const char *service, uint32_t family, uint32_t flags)
{
    tg_resolve_options options = TG_RESOLVE_OPTIONS_INIT;
    tg_loop loop = new_loop();
    answer it;
    memset(&it, 0, sizeof it);
    options.callback = keep_addresses;
    options.user = &it;
    options.release = answer_released;
    options.family = family;
    options.flags = flags;
    CHECK_CODE(tg_resolve_open(loop, host, service, &options, &it.id), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    CHECK_EQ(it.calls, 1);
    CHECK_EQ(it.released, 1);
    free_loop(loop, 0);
    return it;
}

static void check_first(const answer *it, const char *shown)
{
    char text[128] = "";
    CHECK_CODE(it->status, 0);
    CHECK(it->count >= 1);
    CHECK(tg_address_format(&it->first, text, sizeof text) > 0);
    if (strcmp(text, shown) != 0) printf("# %s, expected %s\n", text, shown);
    CHECK(strcmp(text, shown) == 0);
}

/* mutation: the service is not passed on. */
static void numbers_are_their_own_addresses(void)
{
    answer it = look_up("127.0.0.1", "80", 0, 0);
    check_first(&it, "127.0.0.1:80");
    CHECK_EQ(it.count, 1);
    it = look_up("::1", "65535", TG_IPV6, TG_RESOLVE_NUMERIC_HOST);
    check_first(&it, "[::1]:65535");
    it = look_up("127.0.0.1", NULL, TG_IPV4, 0);
    check_first(&it, "127.0.0.1:0");
}

/* mutation: passive is not passed on. */
static void no_host_is_this_machine_or_everybody(void)
{
    answer it = look_up(NULL, "81", TG_IPV4, 0);
    check_first(&it, "127.0.0.1:81");
    it = look_up(NULL, "81", TG_IPV4, TG_RESOLVE_PASSIVE);
    check_first(&it, "0.0.0.0:81");
    it = look_up(NULL, NULL, TG_IPV6, TG_RESOLVE_PASSIVE);
    check_first(&it, "[::]:0");
    it = look_up(NULL, NULL, 0, 0);
    CHECK_CODE(it.status, 0);
    CHECK(it.count >= 1);
}

/* mutation: TG_RESOLVE_NUMERIC_HOST is not passed on, or the family. */
static void what_cannot_be_is_not_known(void)
{
    static const char *const names[] = { "localhost", "", "256.1.1.1", ":::", "\xff\x01", "a b", "%", "-" };
    answer it;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        it = look_up(names[i], NULL, 0, TG_RESOLVE_NUMERIC_HOST);
        CHECK_CODE(it.status, TG_ENONAME);
        CHECK_EQ(it.count, 0);
    }
    it = look_up("::1", NULL, TG_IPV4, TG_RESOLVE_NUMERIC_HOST);
    CHECK_CODE(it.status, TG_ENONAME);
    it = look_up("127.0.0.1", "no service of that name", 0, 0);
    CHECK_CODE(it.status, TG_ENONAME);
}

/* mutation: TG_RESOLVE_NUMERIC is not passed on. */
static void addresses_are_named_in_digits(void)
{
    static const struct { const char *host; uint16_t port; const char *service; } all[] = {
        { "127.0.0.1", 80, "80" }, { "::1", 65535, "65535" }, { "255.255.255.255", 0, "0" },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        tg_resolve_name_options options = TG_RESOLVE_NAME_OPTIONS_INIT;
        tg_loop loop = new_loop();
        tg_address address;
        answer it;
        memset(&it, 0, sizeof it);
        options.callback = keep_names;
        options.user = &it;
        options.release = answer_released;
        options.flags = TG_RESOLVE_NUMERIC;
        MUST(tg_address_parse(all[i].host, all[i].port, &address) == 0);
        CHECK_CODE(tg_resolve_name_open(loop, &address, &options, &it.id), 0);
        memset(&address, 0xff, sizeof address); /* it was copied */
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_CODE(it.status, 0);
        CHECK(strcmp(it.host, all[i].host) == 0);
        CHECK(strcmp(it.service, all[i].service) == 0);
        CHECK_EQ(it.calls + it.released, 2);
        free_loop(loop, 0);
    }
}

/* Turns until there are that many records (a record and its TG_RECORD_CLOSED may come in different turns). */
static void next_record(tg_loop loop, tg_batch *batch, tg_record *into)
{
    while (batch->record_cursor == batch->record_count) MUST(tg_batch_turn(loop) >= 0);
    *into = batch->records[batch->record_cursor++];
}

/* mutation: the names are carried without the zero between them. */
static void records_carry_what_was_found(void)
{
    tg_loop loop = new_batch_loop(8, 8);
    tg_batch *batch = NULL;
    tg_resolve_options options = TG_RESOLVE_OPTIONS_INIT;
    tg_resolve_name_options name_options = TG_RESOLVE_NAME_OPTIONS_INIT;
    tg_handle handle = 0;
    tg_record record;
    tg_address found;
    MUST(tg_batch_get(loop, &batch) == 0);
    options.user = (void *)(uintptr_t)5;
    options.flags = TG_RESOLVE_NUMERIC_HOST;
    CHECK_CODE(tg_resolve_open(loop, "::1", "99", &options, &handle), 0);
    next_record(loop, batch, &record);
    CHECK_EQ(record.kind, TG_RECORD_RESOLVED);
    CHECK_EQ(record.handle, handle);
    CHECK_EQ(record.user, 5);
    CHECK_EQ((int)record.bits, 1);
    CHECK(record.value >= 0 && (uint64_t)record.value + sizeof found <= batch->data_count);
    CHECK_EQ(record.value % 8, 0);
    memcpy(&found, batch->data + record.value, sizeof found);
    CHECK_EQ(found.family, TG_IPV6);
    CHECK_EQ(found.port, 99);
    CHECK_EQ(found.ip[15], 1);
    next_record(loop, batch, &record);
    CHECK_EQ(record.kind, TG_RECORD_CLOSED);
    CHECK_EQ(record.handle, handle);

    name_options.flags = TG_RESOLVE_NUMERIC;
    CHECK_CODE(tg_resolve_name_open(loop, &found, &name_options, &handle), 0);
    next_record(loop, batch, &record);
    CHECK_EQ(record.kind, TG_RECORD_RESOLVED);
    CHECK_EQ((int)record.bits, 2);
    CHECK(memcmp(batch->data + record.value, "::1\0" "99", 7) == 0);
    next_record(loop, batch, &record);

    CHECK_CODE(tg_resolve_open(loop, "no number", NULL, &options, &handle), 0);
    next_record(loop, batch, &record);
    CHECK_EQ(record.kind, TG_RECORD_RESOLVED);
    CHECK_CODE((int)record.bits, TG_ENONAME);
    CHECK_EQ(record.value, 0);
    next_record(loop, batch, &record);
    CHECK_EQ(record.kind, TG_RECORD_CLOSED);
    free_loop(loop, 0);
}

int main(void)
{
    harness_begin();
    RUN(numbers_are_their_own_addresses);
    RUN(no_host_is_this_machine_or_everybody);
    RUN(what_cannot_be_is_not_known);
    RUN(addresses_are_named_in_digits);
    RUN(records_carry_what_was_found);
    return harness_end();
}
