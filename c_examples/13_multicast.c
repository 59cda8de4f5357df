/* 13: one sender, two members of a multicast group, all on the loopback.
 *
 * Learnt here: members share a port (TG_UDP_REUSE_ADDRESS on each) and join the group on an
 * interface; the sender says through which interface it sends, and needs no membership; a member
 * that has left hears no more. Datagrams may be lost, so the sender goes on until everybody has
 * heard it. Ends by itself. */
#include <stdio.h>
#include <string.h>
#include <tidegate.h>

#define GROUP "239.255.42.42"

typedef struct member {
    const char *name;
    tg_handle udp;
    int heard, heard_too_late;
    int has_left;
} member;

typedef struct scene {
    member members[2];
    tg_handle sender, timer;
    tg_address group, interface_address;
    int sent;
} scene;

static scene it;

static void on_datagrams(tg_handle self, void *user, const tg_datagram *datagrams, size_t count)
{
    member *me = user;
    (void)self;
    for (size_t i = 0; i < count; i++) {
        char from[128];
        tg_address_format(datagrams[i].from, from, sizeof from);
        printf("%s heard \"%.*s\" from %s\n", me->name, (int)datagrams[i].length,
               (const char *)datagrams[i].data, from);
        if (me->has_left) me->heard_too_late++;
        else me->heard++;
    }
}

static void end(void)
{
    tg_close(it.timer);
    tg_close(it.sender);
    tg_close(it.members[0].udp);
    tg_close(it.members[1].udp); /* a membership ends with its handle */
}

/* Every 10 ms: a call to the group, until the first has heard two and left, and the second four. */
static void on_tick(tg_handle self, void *user, uint64_t missed)
{
    char text[32];
    member *first = &it.members[0], *second = &it.members[1];
    (void)self, (void)user, (void)missed;
    if (first->heard >= 2 && !first->has_left) {
        if (tg_udp_leave(first->udp, &it.group, 0, &it.interface_address, NULL) < 0)
            fprintf(stderr, "leaving: %s\n", tg_last_error());
        printf("%s leaves\n", first->name);
        first->has_left = 1;
    }
    if (second->heard >= 4 || it.sent >= 500) {
        end();
        return;
    }
    snprintf(text, sizeof text, "call %d", ++it.sent);
    if (tg_udp_send(it.sender, &it.group, text, strlen(text)) < 0)
        fprintf(stderr, "sending: %s\n", tg_last_error());
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tg_last_error());
    return 1;
}

/* The first member gets any free port; the second, and the group's address, take the same. */
static int open_member(tg_loop loop, member *me, const char *name)
{
    tg_udp_options options = TG_UDP_OPTIONS_INIT;
    tg_address local;
    me->name = name;
    options.callback = on_datagrams;
    options.user = me;
    options.flags = TG_UDP_REUSE_ADDRESS;
    if (tg_address_parse("0.0.0.0", it.group.port, &local) < 0) return failed("tg_address_parse");
    if (tg_udp_open(loop, &local, &options, &me->udp) < 0) return failed("tg_udp_open");
    if (tg_udp_get_local(me->udp, &local) < 0) return failed("tg_udp_get_local");
    it.group.port = local.port;
    if (tg_udp_join(me->udp, &it.group, 0, &it.interface_address, NULL) < 0) return failed("tg_udp_join");
    return 0;
}

static int open_sender(tg_loop loop)
{
    tg_udp_options options = TG_UDP_OPTIONS_INIT;
    tg_timer_options timer = TG_TIMER_OPTIONS_INIT;
    options.callback = on_datagrams; /* nobody answers */
    options.user = &it.members[0];
    if (tg_udp_open(loop, &it.interface_address, &options, &it.sender) < 0) return failed("tg_udp_open");
    if (tg_udp_set_multicast_interface(it.sender, 0, &it.interface_address) < 0)
        return failed("tg_udp_set_multicast_interface");
    timer.callback = on_tick;
    if (tg_timer_open(loop, 0, 10000000, &timer, &it.timer) < 0) return failed("tg_timer_open");
    return 0;
}

int main(void)
{
    tg_loop loop;
    if (tg_loop_new(NULL, &loop) < 0) return failed("tg_loop_new");
    if (tg_address_parse(GROUP, 0, &it.group) < 0 || tg_address_parse("127.0.0.1", 0, &it.interface_address) < 0)
        return failed("tg_address_parse");
    if (open_member(loop, &it.members[0], "a") != 0 || open_member(loop, &it.members[1], "b") != 0
        || open_sender(loop) != 0)
        return 1;
    if (tg_loop_run(loop) < 0) return failed("tg_loop_run");
    printf("%d calls; a heard %d and left, b heard %d\n", it.sent, it.members[0].heard, it.members[1].heard);
    if (tg_loop_free(loop) != 0) return 1;
    return it.members[1].heard >= 4 && it.members[0].heard_too_late == 0 ? 0 : 1;
}
