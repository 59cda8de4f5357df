/* Addresses: parsed, written, and to and from the system's structures, without a byte lost. */
#include "support.h"

#include <stddef.h>
#include <sys/un.h>

static tg_address parsed(const char *text, uint16_t port)
{
    tg_address address;
    memset(&address, 0x55, sizeof address);
    MUST(tg_address_parse(text, port, &address) == 0);
    return address;
}

/* mutation: to_engine leaves the scope out. */
static void what_is_parsed_is_written_again(void)
{
    static const struct { const char *text; uint16_t port; const char *shown; } all[] = {
        { "127.0.0.1", 80, "127.0.0.1:80" },
        { "0.0.0.0", 0, "0.0.0.0:0" },
        { "255.255.255.255", 65535, "255.255.255.255:65535" },
        { "::1", 443, "[::1]:443" },
        { "::", 0, "[::]:0" },
        { "fe80::1%4294967295", 1, "[fe80::1%4294967295]:1" },
        { "2001:DB8:0:0:0:0:0:1", 2, "[2001:db8::1]:2" },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        tg_address address = parsed(all[i].text, all[i].port);
        char text[128];
        size_t length = strlen(all[i].shown);
        CHECK_EQ(tg_address_format(&address, text, sizeof text), length);
        CHECK(strcmp(text, all[i].shown) == 0);
        CHECK_EQ(tg_address_format(&address, text, length + 1), length); /* just enough */
        CHECK_CODE(tg_address_format(&address, text, length), TG_ENOBUFS);
        CHECK_EQ(address.port, all[i].port);
    }
}

/* mutation: from_engine leaves what it does not set as it was. */
static void members_that_do_not_count_are_zero(void)
{
    tg_address address = parsed("1.2.3.4", 5);
    static const tg_address zero;
    CHECK_EQ(address.family, TG_IPV4);
    CHECK(memcmp(address.ip, "\1\2\3\4\0\0\0\0\0\0\0\0\0\0\0", 16) == 0);
    CHECK_EQ(address.scope + address.path_length, 0);
    CHECK(memcmp(address.path, zero.path, sizeof zero.path) == 0);
    address = parsed("::1", 5);
    CHECK_EQ(address.family, TG_IPV6);
    CHECK(memcmp(address.ip, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) == 0);
}

/* mutation: the port stays in the byte order of packets. */
static void internet_addresses_go_to_the_system_and_back(void)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
    tg_address address = parsed("10.20.30.40", 0x1234), again;
    memset(&storage, 0x55, sizeof storage);
    CHECK_EQ(tg_address_to_sockaddr(&address, &v4, sizeof v4), sizeof v4);
    CHECK_EQ(v4.sin_family, AF_INET);
    CHECK_EQ(v4.sin_port, htons(0x1234));
    CHECK_EQ(v4.sin_addr.s_addr, htonl(0x0a141e28));
    CHECK_CODE(tg_address_from_sockaddr(&v4, sizeof v4, &again), 0);
    CHECK(memcmp(&address, &again, sizeof again) == 0);
    CHECK_EQ(tg_address_to_sockaddr(&address, &storage, sizeof storage), sizeof v4);
    CHECK_CODE(tg_address_from_sockaddr(&storage, sizeof storage, &again), 0); /* more than counts */
    CHECK(memcmp(&address, &again, sizeof again) == 0);

    address = parsed("fe80::aa:1%7", 65534);
    CHECK_EQ(tg_address_to_sockaddr(&address, &v6, sizeof v6), sizeof v6);
    CHECK_EQ(v6.sin6_family, AF_INET6);
    CHECK_EQ(v6.sin6_port, htons(65534));
    CHECK_EQ(v6.sin6_scope_id, 7);
    CHECK(memcmp(&v6.sin6_addr, address.ip, 16) == 0);
    CHECK_CODE(tg_address_from_sockaddr(&v6, sizeof v6, &again), 0);
    CHECK(memcmp(&address, &again, sizeof again) == 0);
}

/* Names of Unix sockets are bytes; 128 are enough for each, and a path comes out as it went in.
 * mutation: `text` makes words of what is no UTF-8. */
static void names_are_written_byte_by_byte(void)
{
    char name[107], text[128];
    tg_address address;
    for (int i = 0; i < 107; i++) name[i] = (char)(i % 2 == 0 ? 0xff : 0x80 + i % 64);
    CHECK_CODE(tg_address_unix(name, sizeof name, &address), 0);
    CHECK_EQ(tg_address_format(&address, text, sizeof text), 107);
    CHECK(memcmp(text, name, 107) == 0 && text[107] == '\0');
    CHECK_CODE(tg_address_unix("\0abc\0x", 6, &address), 0);
    CHECK_EQ(tg_address_format(&address, text, sizeof text), 6);
    CHECK(strcmp(text, "@abc@x") == 0);
}

/* What is not of the family is a mistake of the caller's, but for what lies behind the end of the path.
 * mutation: to_engine looks at what it needs only. */
static void members_of_other_families_are_refused(void)
{
    char text[128];
    const tg_address v4 = parsed("1.2.3.4", 5), v6 = parsed("::1", 5);
    tg_address of_unix, wrong[8];
    MUST(tg_address_unix("/x", 2, &of_unix) == 0);
    for (int i = 0; i < 3; i++) wrong[i] = v4;
    wrong[3] = v6;
    for (int i = 4; i < 8; i++) wrong[i] = of_unix;
    wrong[0].scope = 1;
    wrong[1].path_length = 1;
    wrong[2].ip[4] = 1;
    wrong[3].path_length = 1;
    wrong[4].scope = 1;
    wrong[5].port = 1;
    wrong[6].ip[15] = 1;
    wrong[7].path_length = 109;
    for (int i = 0; i < 8; i++) CHECK_CODE(tg_address_format(&wrong[i], text, sizeof text), TG_EINVAL);
    of_unix.path[2] = 'y';
    CHECK_EQ(tg_address_format(&of_unix, text, sizeof text), 2);
}

/* The kernel's own answer, and an address that the kernel takes. */
static void a_socket_can_be_bound_to_what_comes_out(void)
{
    tg_address address = parsed("127.0.0.1", 0);
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    int size, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0);
    size = tg_address_to_sockaddr(&address, &name, sizeof name);
    CHECK(size > 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&name, (socklen_t)size), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    CHECK_CODE(tg_address_from_sockaddr(&name, length, &address), 0);
    CHECK_EQ(address.family, TG_IPV4);
    CHECK_EQ(address.port, ntohs(((struct sockaddr_in *)&name)->sin_port));
    CHECK(address.port != 0);
    close(fd);
}

static void check_unix(const char *name, size_t length, const char *shown)
{
    tg_address address, again;
    struct sockaddr_un raw;
    char text[128];
    size_t counted = offsetof(struct sockaddr_un, sun_path) + length + (length > 0 && name[0] != '\0');
    CHECK_CODE(tg_address_unix(name, length, &address), 0);
    CHECK_EQ(address.family, TG_UNIX);
    CHECK_EQ(address.port, 0);
    CHECK_EQ(address.path_length, length);
    CHECK(length == 0 || memcmp(address.path, name, length) == 0);
    CHECK_EQ(tg_address_format(&address, text, sizeof text), strlen(shown));
    CHECK(strcmp(text, shown) == 0);
    CHECK_EQ(tg_address_to_sockaddr(&address, &raw, sizeof raw), counted);
    CHECK_EQ(raw.sun_family, AF_UNIX);
    CHECK(length == 0 || memcmp(raw.sun_path, name, length) == 0);
    CHECK_CODE(tg_address_from_sockaddr(&raw, counted, &again), 0);
    CHECK(memcmp(&address, &again, sizeof again) == 0);
}

/* mutation: the zero behind a path is counted as part of an abstract name. */
static void h65_names_of_unix_sockets_keep_every_byte(void)
{
    char longest[108];
    memset(longest, 'p', sizeof longest);
    longest[107] = '\0';
    check_unix("", 0, "");
    check_unix("/tmp/socket", 11, "/tmp/socket");
    check_unix("\0hidden", 7, "@hidden");
    check_unix(longest, 107, longest);
    check_unix("relative", 8, "relative");
}

static void a_unix_socket_can_be_bound_to_an_abstract_name(void)
{
    tg_address address, bound;
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    char text[64];
    int size, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0);
    size = snprintf(text, sizeof text, "%ctidegate-address-%d", 0, (int)getpid());
    CHECK_CODE(tg_address_unix(text, (size_t)size, &address), 0);
    size = tg_address_to_sockaddr(&address, &name, sizeof name);
    CHECK_EQ(bind(fd, (struct sockaddr *)&name, (socklen_t)size), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    CHECK_CODE(tg_address_from_sockaddr(&name, length, &bound), 0);
    CHECK(memcmp(&address, &bound, sizeof bound) == 0);
    close(fd);
}

/* Structures may stand anywhere in a program's own buffers. */
static void addresses_need_no_alignment(void)
{
    static unsigned char room[2 * sizeof(tg_address)];
    tg_address *crooked = (tg_address *)(void *)(room + 1), address = parsed("127.0.0.1", 9);
    char text[64];
    memcpy(room + 1, &address, sizeof address);
    CHECK_EQ(tg_address_format(crooked, text, sizeof text), 11);
    CHECK_CODE(tg_address_parse("::1", 8, crooked), 0);
    memcpy(&address, room + 1, sizeof address);
    CHECK_EQ(address.family, TG_IPV6);
}

int main(void)
{
    harness_begin();
    RUN(what_is_parsed_is_written_again);
    RUN(members_that_do_not_count_are_zero);
    RUN(internet_addresses_go_to_the_system_and_back);
    RUN(names_are_written_byte_by_byte);
    RUN(members_of_other_families_are_refused);
    RUN(a_socket_can_be_bound_to_what_comes_out);
    RUN(h65_names_of_unix_sockets_keep_every_byte);
    RUN(a_unix_socket_can_be_bound_to_an_abstract_name);
    RUN(addresses_need_no_alignment);
    return harness_end();
}
