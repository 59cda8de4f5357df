/* tg_last_error names the values that were wrong: texts, names, paths, addresses, numbers, elements of arrays. Options have
 * a program of their own; that every function names the id it was given is part of the misuse sweep. */
#include "error_values.h"

#include <sys/un.h>

#define EIGHTY "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

/* So many letters, in memory that ends behind the zero: reading on is seen by valgrind and the address sanitizer. */
static char *letters(size_t count)
{
    char *name = malloc(count + 1);
    MUST(name != NULL);
    memset(name, 'n', count);
    name[count] = '\0';
    return name;
}

/* mutation: texts are shown as pointers; or a quote without a backslash before it. */
static void texts(void)
{
    tg_address address;
    SAYS(TG_EINVAL, "text = \"300.1.2.3\", port = 65535,", tg_address_parse("300.1.2.3", 65535, &address));
    SAYS(TG_EINVAL, "text = NULL,", tg_address_parse(NULL, 80, &address));
    SAYS(TG_EINVAL, "text = \"\",", tg_address_parse("", 80, &address));
    SAYS(TG_EINVAL, "text = \"\\\"a\\\\\\x0a\\x7f\\xff\xc3\xa4\",",
         tg_address_parse("\"a\\\n\x7f\xff\xc3\xa4", 80, &address));
    SAYS(TG_EINVAL, "out = NULL)", tg_address_parse("::1", 80, NULL));
    /* These have no zero at their end. */
    SAYS(TG_EINVAL, "name = \"a\\x00b\", length = 3,", tg_address_unix("a\0b", 3, &address));
    SAYS(TG_EINVAL, "name = NULL, length = 3,", tg_address_unix(NULL, 3, &address));
    SAYS(TG_EINVAL, "length = 18446744073709551615,", tg_address_unix("", SIZE_MAX, &address));
}

/* mutation: a text is shown up to 81 bytes; or as a whole. */
static void long_texts_are_cut_and_say_their_length(void)
{
    tg_address address;
    char *name = letters(80);
    begin();
    SAYS(TG_EINVAL, "text = \"" EIGHTY "\",", tg_address_parse(name, 80, &address));
    free(name);
    name = letters(81);
    SAYS(TG_EINVAL, "text = \"" EIGHTY "\"… (81 bytes),", tg_address_parse(name, 80, &address));
    memcpy(name + 79, "\xc3\xa4", 2); /* one letter, which is not cut in its middle */
    SAYS(TG_EINVAL, "n\"… (81 bytes),", tg_address_parse(name, 80, &address));
    free(name);
    name = letters(1025);
    SAYS(TG_EINVAL, "\"… (1025 bytes), service = \"80\",", tg_conn_connect_name(loop, name, "80", NULL, &out));
    SAYS(TG_EINVAL, "service = \"" EIGHTY "\"… (1025 bytes)", tg_conn_connect_name(loop, "host", name, NULL, &out));
    name[200] = 'x'; /* no zero comes before the end that the length says */
    SAYS(TG_EINVAL, "name = \"" EIGHTY "\"… (1025 bytes), length = 1025,", tg_address_unix(name, 1025, &address));
    free(name);
    end();
}

/* mutation: the service is not among the arguments of the guard. */
static void hosts_services_and_ports(void)
{
    tg_resolve_options options = TG_RESOLVE_OPTIONS_INIT;
    begin();
    options.callback = never_resolved;
    SAYS(TG_EINVAL, "host = \"localhost\", service = \"99999\",",
         tg_conn_connect_name(loop, "localhost", "99999", NULL, &out));
    SAYS(TG_EINVAL, "host = NULL, service = \"80\",", tg_conn_connect_name(loop, NULL, "80", NULL, &out));
    SAYS(TG_EINVAL, "host = \"localhost\", service = \"65536\",",
         tg_resolve_open(loop, "localhost", "65536", &options, &out));
    SAYS(TG_EINVAL, "host = NULL, service = \"-1x\",", tg_resolve_open(loop, NULL, "-1x", NULL, &out));
    options.family = 77;
    SAYS(TG_EINVAL, ".family = 77", tg_resolve_open(loop, "localhost", NULL, &options, &out));
    end();
}

/* mutation: one of these paths is cast to another pointer before it comes to the guard. */
static void paths(void)
{
    tg_file_options options = TG_FILE_OPTIONS_INIT;
    tg_watch_options watch = TG_WATCH_OPTIONS_INIT;
    begin();
    options.callback = never_done;
    watch.callback = never_changed;
    SAYS(-ENOENT, "path = \"/not/there\",", tg_watch_open(loop, "/not/there", &watch, &out));
    SAYS(-ENOENT, "path = \"\",", tg_watch_open(loop, "", &watch, &out));
    SAYS(TG_EINVAL, "path = \"/p\", flags = 0x80000000, mode = 0,",
         tg_file_open(loop, "/p", 1u << 31, 0, &options, &out));
    SAYS(TG_EINVAL, "mode = 07777777,", tg_file_open(loop, "/p", TG_FILE_READ, 07777777, &options, &out));
    SAYS(TG_EINVAL, "path = \"/p\", mode = 0100644,", tg_path_mkdir(loop, "/p", 0100644, &options, &out));
    SAYS(TG_EINVAL, "path = \"/p\", flags = 0x40000000,", tg_path_stat(loop, "/p", 1u << 30, &options, &out));
    SAYS(TG_EINVAL, "from = NULL, to = \"/q\",", tg_path_rename(loop, NULL, "/q", &options, &out));
    SAYS(TG_EINVAL, "from = \"/p\", to = NULL,", tg_path_copy(loop, "/p", NULL, 0, &options, &out));
    SAYS(TG_EINVAL, "path = \"/p\",", tg_path_unlink(loop, "/p", NULL, &out));
    SAYS(TG_EINVAL, "path = \"/p\",", tg_path_rmdir(loop, "/p", NULL, &out));
    SAYS(TG_EINVAL, "path = \"/p\",", tg_path_list(loop, "/p", NULL, &out));
    end();
}

/* mutation: an address that cannot be read is shown as a pointer. */
static void addresses(void)
{
    tg_address v4 = address_of("10.1.2.3", 80), v6 = address_of("fe80::1%3", 443), wrong = v4;
    tg_address path = unix_address("/not/there/a\n", 13), name = unix_address("\0abstract", 9), none = unix_address("", 0);
    begin();
    SAYS(TG_ESTALE, "address = 10.1.2.3:80,", tg_conn_connect(0, &v4, NULL, &out));
    SAYS(TG_ESTALE, "address = [fe80::1%3]:443,", tg_conn_connect(0, &v6, NULL, &out));
    SAYS(TG_ESTALE, "address = unix:@abstract,", tg_conn_connect(0, &name, NULL, &out));
    SAYS(TG_ESTALE, "address = unix:,", tg_conn_connect(0, &none, NULL, &out));
    SAYS(-ENOENT, "address = unix:/not/there/a\\x0a,", tg_conn_connect(loop, &path, NULL, &out));
    SAYS(-ENOENT, "address = unix:/not/there/a\\x0a,", tg_listener_open(loop, &path, NULL, &out));
    wrong.family = 77;
    SAYS(TG_EINVAL, "address = family 77,", tg_conn_connect(loop, &wrong, NULL, &out));
    SAYS(TG_EINVAL, "address = family 77,", tg_listener_open(loop, &wrong, NULL, &out));
    SAYS(TG_EINVAL, "address = family 77,", tg_resolve_name_open(loop, &wrong, NULL, &out));
    SAYS(TG_EINVAL, "local = family 77,", tg_udp_open(loop, &wrong, NULL, &out));
    SAYS(TG_EINVAL, "address = family 77,", tg_address_to_sockaddr(&wrong, &path, sizeof path));
    path.path_length = 109;
    SAYS(TG_EINVAL, "path_length = 109,", tg_conn_connect(loop, &path, NULL, &out));
    path.path_length = UINT16_MAX;
    SAYS(TG_EINVAL, "path_length = 65535,", tg_address_format(&path, NULL, 0));
    SAYS(TG_EINVAL, "address = NULL,", tg_conn_connect(loop, NULL, NULL, &out));
    end();
}

/* mutation: the family is not noted. */
static void families_of_the_system(void)
{
    struct sockaddr_storage other = { .ss_family = 42 };
    tg_address address, unaligned = address_of("10.1.2.3", 80);
    char room[sizeof address + 1];
    SAYS(TG_EINVAL, "family 42", tg_address_from_sockaddr(&other, sizeof other, &address));
    other.ss_family = AF_INET;
    SAYS(TG_EINVAL, "length = 3, ", tg_address_from_sockaddr(&other, 3, &address));
    SAYS(TG_EINVAL, "length = 1, ", tg_address_from_sockaddr(&other, 1, &address));
    SAYS(TG_EINVAL, "sockaddr = NULL, length = 16,", tg_address_from_sockaddr(NULL, 16, &address));
    memcpy(room + 1, &unaligned, sizeof unaligned);
    SAYS(TG_ESTALE, "address = 10.1.2.3:80,",
         tg_conn_connect(0, (const tg_address *)(void *)(room + 1), NULL, &out));
}

/* mutation: the receivers are not noted. */
static void receivers_of_datagrams(void)
{
    tg_handle udp;
    tg_address right = address_of("127.0.0.1", 9), v6 = address_of("::1", 9), name = unix_address("/p", 2), wrong = right;
    tg_outgoing all[2] = { { &right, "x", 1 }, { &wrong, "x", 1 } };
    begin();
    udp = open_udp();
    wrong.family = 0;
    SAYS(TG_EINVAL, "to = family 0, data = ", tg_udp_send(udp, &wrong, "x", 1));
    SAYS(TG_EINVAL, "to = [::1]:9,", tg_udp_send(udp, &v6, "x", 1));
    SAYS(TG_EINVAL, "to = NULL,", tg_udp_send(udp, NULL, "x", 1));
    SAYS(TG_EINVAL, "to = unix:/p,", tg_udp_send_segments(udp, &name, "x", 1, 1));
    SAYS(TG_EINVAL, "peer = unix:/p)", tg_udp_connect(udp, &name));
    SAYS(TG_EINVAL, ": all[1].to = family 0", tg_udp_send_many(udp, all, 2));
    all[1].to = NULL;
    SAYS(TG_EINVAL, ": all[0].to = 127.0.0.1:9, all[1].to = NULL", tg_udp_send_many(udp, all, 2));
    all[1].to = &right;
    all[1].data = NULL;
    SAYS(TG_EINVAL, ".length = 1}", tg_udp_send_many(udp, all, 2));
    SAYS(TG_EINVAL, "group = 127.0.0.1:9, interface_index = 0, interface_address = NULL, source = NULL)",
         tg_udp_join(udp, &right, 0, NULL, NULL));
    SAYS(TG_EINVAL, "interface_index = 4294967295, interface_address = [::1]:9)",
         tg_udp_set_multicast_interface(udp, UINT32_MAX, &v6));
    SAYS(TG_EINVAL, "ttl = 256)", tg_udp_set_multicast_ttl(udp, 256));
    SAYS(TG_EINVAL, "ttl = 0)", tg_udp_set_ttl(udp, 0));
    CHECK_CODE(tg_close(udp), 0);
    end();
}

/* mutation: the index of the element is that of the one before. */
static void elements_of_arrays(void)
{
    tg_poll_item items[3] = { { 0, TG_READ, 0 }, { 0, TG_WRITE, 0 }, { 0, 0x8000, 0 } };
    tg_buffer buffers[2] = { { "x", 1 }, { NULL, 5 } };
    int numbers[2], ends[2];
    tg_handle conn;
    begin();
    SAYS(TG_EINVAL, ": items[2].interest = 0x8000", tg_poll_once(items, 3, 0, 0));
    SAYS(TG_EINVAL, "count = 1, timeout_ns = -9223372036854775808, flags = 0x10)",
         tg_poll_once(items, 1, INT64_MIN, 0x10));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    MUST(tg_conn_open(loop, ends[0], NULL, &conn) == 0);
    SAYS(TG_EINVAL, ": buffers[1] = {.data = 0x0, .length = 5}", tg_conn_writev(conn, buffers, 2));
    numbers[0] = ends[1];
    numbers[1] = 7654;
    SAYS(TG_EBADFD, ": descriptors[1] = 7654", tg_conn_write_descriptors(conn, numbers, 2, "x", 1));
    SAYS(TG_ESTALE, "(conn = 0x", tg_conn_writev(0, buffers, 1)); /* nothing of the call before is left */
    CHECK(strstr(tg_last_error(), "descriptors") == NULL);
    CHECK_CODE(tg_close(conn), 0);
    CHECK_EQ(close(ends[1]), 0);
    end();
}

/* mutation: numbers without a sign are shown as if they had one. */
static void numbers(void)
{
    tg_handle timer;
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    tg_poller poller;
    begin();
    options.callback = on_timer;
    MUST(tg_timer_open(loop, -1, 0, &options, &timer) == 0);
    SAYS(TG_EINVAL, "delay_ns = -9223372036854775808, repeat_ns = 9223372036854775807)",
         tg_timer_start(timer, INT64_MIN, INT64_MAX));
    SAYS(TG_EINVAL, "clock = 4294967295, deadline_ns = 1, repeat_ns = 0)",
         tg_timer_start_at(timer, UINT32_MAX, 1, 0));
    SAYS(TG_EINVAL, "signum = -2147483648,", tg_signal_open(loop, INT32_MIN, NULL, &out));
    SAYS(TG_EBADFD, "fd = -1,", tg_conn_open(loop, -1, NULL, &out));
    SAYS(TG_ESTALE, "(conn = 0xffffffffffffffff, token = 18446744073709551615)",
         tg_conn_mark(UINT64_MAX, UINT64_MAX));
    SAYS(TG_ESTALE, "from_offset = -1, to_offset = -2, length = 18446744073709551615,",
         tg_file_copy(1, 1, -1, -2, UINT64_MAX, NULL, &out));
    MUST(tg_poller_new(NULL, &poller) == 0);
    SAYS(TG_EINVAL, "interest = 0x80000000, mode = 0, data = 5)", tg_poller_modify(poller, 0, 1u << 31, 0, 5));
    CHECK_CODE(tg_poller_free(poller), 0);
    CHECK_CODE(tg_close(timer), 0);
    end();
}

/* mutation: the note of a call is left to the next one; the text of the record's cursor is not noted. */
static void batches(void)
{
    tg_loop_options options = TG_LOOP_OPTIONS_INIT;
    tg_loop batch;
    tg_batch *it;
    options.flags = TG_LOOP_BATCH;
    MUST(tg_loop_new(&options, &batch) == 0);
    MUST(tg_batch_get(batch, &it) == 0);
    it->record_cursor = 3;
    SAYS(TG_EINVAL, ": record_cursor = 3, record_count = 0", tg_batch_turn(batch));
    it->record_cursor = 0;
    it->timeout_ns = -2;
    SAYS(TG_EINVAL, ": timeout_ns = -2", tg_batch_turn(batch));
    it->timeout_ns = 0;
    it->submission_count = UINT32_MAX;
    SAYS(TG_EINVAL, ": submission_count = 4294967295,", tg_batch_turn(batch));
    it->submission_count = 0;
    CHECK_CODE(tg_loop_free(batch), 0);
}

static void check_reason(int line, int code, int expected, const char *reason)
{
    const char *said = tg_last_error();
    check_says(line, "reason", code, expected, reason);
    /* What is not about descriptors does not speak of them. */
    if (strstr(reason, "descriptor") == NULL && strstr(said, "descriptor") != NULL) {
        printf("# line %d: %s\n", line, said);
        CHECK(!"the words are about this call");
    }
}

#define REASON(expected, words, call) check_reason(__LINE__, (call), (expected), (words))

/* mutation: TG_ENOENT says that the descriptor is not registered, whatever was looked for. */
static void the_code_and_the_reason_agree(void)
{
    tg_process_watch_options watch = TG_PROCESS_WATCH_OPTIONS_INIT;
    tg_handle rate, conn;
    tg_rate_options limits = TG_RATE_OPTIONS_INIT;
    tg_poller poller;
    int ends[2];
    begin();
    watch.callback = never_ended;
    REASON(TG_ENOENT, "TG_ENOENT: what the call is about is not there (there is no such process)",
           tg_process_watch(loop, INT32_MAX, &watch, &out));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    MUST(tg_conn_open(loop, ends[0], NULL, &conn) == 0);
    MUST(tg_rate_open(loop, &limits, &rate) == 0);
    REASON(TG_ENOENT, "what the call is about is not there (the connection does not obey this limit)",
           tg_conn_leave_rate(conn, rate));
    CHECK_CODE(tg_conn_join_rate(conn, rate), 0);
    REASON(TG_EEXIST, "what was to be added is there already, or taken by something else (the connection obeys this limit already)",
           tg_conn_join_rate(conn, rate));
    CHECK_CODE(tg_close(conn), 0);
    CHECK_CODE(tg_close(rate), 0);
    MUST(tg_poller_new(NULL, &poller) == 0);
    REASON(TG_ENOENT, "what the call is about is not there (the descriptor is not registered)",
           tg_poller_remove(poller, ends[1]));
    MUST(tg_poller_add(poller, ends[1], TG_READ, TG_LEVEL, 0) == 0);
    REASON(TG_EEXIST, "(the descriptor is registered already)",
           tg_poller_add(poller, ends[1], TG_READ, TG_LEVEL, 0));
    CHECK_CODE(tg_poller_free(poller), 0);
    CHECK_EQ(close(ends[1]), 0);
    end();
}

static void on_inside(tg_loop self, void *user)
{
    (void)self, (void)user;
    REASON(TG_EBUSY, "TG_EBUSY: what the call is about is in use at present (the loop is running)",
           tg_loop_detach(loop));
    REASON(TG_EREENTRANT, "from inside itself (the loop is running)", tg_loop_run(loop));
}

/* mutation: TG_EBUSY has no reason. */
static void the_reason_inside_a_callback(void)
{
    begin();
    CHECK_CODE(tg_post(loop, on_inside, NULL, NULL), 0);
    CHECK(tg_loop_run_nowait(loop) >= 0);
    end();
}

int main(void)
{
    harness_begin();
    RUN(texts);
    RUN(long_texts_are_cut_and_say_their_length);
    RUN(hosts_services_and_ports);
    RUN(paths);
    RUN(addresses);
    RUN(families_of_the_system);
    RUN(receivers_of_datagrams);
    RUN(elements_of_arrays);
    RUN(numbers);
    RUN(batches);
    RUN(the_code_and_the_reason_agree);
    RUN(the_reason_inside_a_callback);
    return harness_end();
}
