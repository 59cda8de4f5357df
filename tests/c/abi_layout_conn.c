/* The binary interface of connections, listeners, rate limits and groups, as abi_layout.c. */
#include "harness.h"

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " is " #bytes " bytes")
#define AT(type, member, offset) \
    _Static_assert(offsetof(type, member) == (offset), #type "." #member " is at " #offset)
#define IS(name, value) _Static_assert((name) == (value), #name " is " #value)

SIZE(tg_conn_options, 176);
AT(tg_conn_options, on_open, 8);
AT(tg_conn_options, on_data, 16);
AT(tg_conn_options, on_readable, 24);
AT(tg_conn_options, on_eof, 32);
AT(tg_conn_options, on_drain, 40);
AT(tg_conn_options, on_written, 48);
AT(tg_conn_options, on_timeout, 56);
AT(tg_conn_options, on_close, 64);
AT(tg_conn_options, on_descriptors, 72);
AT(tg_conn_options, user, 80);
AT(tg_conn_options, release, 88);
AT(tg_conn_options, flags, 96);
AT(tg_conn_options, framing, 100);
AT(tg_conn_options, max_frame, 104);
AT(tg_conn_options, high_watermark, 112);
AT(tg_conn_options, low_watermark, 120);
AT(tg_conn_options, limit, 128);
AT(tg_conn_options, connect_timeout_ns, 136);
AT(tg_conn_options, read_timeout_ns, 144);
AT(tg_conn_options, write_timeout_ns, 152);
AT(tg_conn_options, idle_timeout_ns, 160);
AT(tg_conn_options, linger_ns, 168);

SIZE(tg_conn_timeouts, 48);
AT(tg_conn_timeouts, connect_ns, 8);
AT(tg_conn_timeouts, read_ns, 16);
AT(tg_conn_timeouts, write_ns, 24);
AT(tg_conn_timeouts, idle_ns, 32);
AT(tg_conn_timeouts, linger_ns, 40);

SIZE(tg_conn_stats, 40);
AT(tg_conn_stats, bytes_in, 8);
AT(tg_conn_stats, bytes_out, 16);
AT(tg_conn_stats, queued, 24);
AT(tg_conn_stats, opened_ns, 32);

SIZE(tg_listener_options, 72);
AT(tg_listener_options, on_accept, 8);
AT(tg_listener_options, on_error, 16);
AT(tg_listener_options, user, 24);
AT(tg_listener_options, release, 32);
AT(tg_listener_options, conn, 40);
AT(tg_listener_options, flags, 48);
AT(tg_listener_options, backlog, 52);
AT(tg_listener_options, max_conns, 56);
AT(tg_listener_options, mode, 60);
AT(tg_listener_options, accepts_per_turn, 64);
AT(tg_listener_options, reserved, 68);

SIZE(tg_rate_options, 56);
AT(tg_rate_options, user, 8);
AT(tg_rate_options, release, 16);
AT(tg_rate_options, read, 24);
AT(tg_rate_options, write, 32);
AT(tg_rate_options, read_burst, 40);
AT(tg_rate_options, write_burst, 48);

SIZE(tg_group_options, 72);
AT(tg_group_options, on_start, 8);
AT(tg_group_options, on_stop, 16);
AT(tg_group_options, user, 24);
AT(tg_group_options, release, 32);
AT(tg_group_options, address, 40);
AT(tg_group_options, listener, 48);
AT(tg_group_options, loop_options, 56);
AT(tg_group_options, loops, 64);
AT(tg_group_options, reserved, 68);

SIZE(tg_group_stats, 80);
AT(tg_group_stats, loops, 8);
AT(tg_group_stats, conns, 16);
AT(tg_group_stats, handles, 24);
AT(tg_group_stats, turns, 32);
AT(tg_group_stats, events, 40);
AT(tg_group_stats, busy_ns, 48);
AT(tg_group_stats, idle_ns, 56);
AT(tg_group_stats, max_lag_ns, 64);
AT(tg_group_stats, largest_share, 72);

IS(TG_KIND_LISTENER, 15u);
IS(TG_KIND_CONN, 16u);
IS(TG_KIND_RATE, 17u);
IS(TG_CONN_READ_ON, 16u);
IS(TG_CONN_DELAY, 32u);
IS(TG_CONN_KEEP_ALIVE, 64u);
IS(TG_CONN_PULL, 128u);
IS(TG_CONN_DUPLICATE, 256u);
IS(TG_CONN_DESCRIPTORS, 512u);
IS(TG_FRAMING_NONE, 0u);
IS(TG_FRAMING_LINES, 1u);
IS(TG_FRAMING_LENGTH8, 2u);
IS(TG_FRAMING_LENGTH16, 3u);
IS(TG_FRAMING_LENGTH32, 4u);
IS(TG_FRAMING_LENGTH64, 5u);
IS(TG_FRAMING_LITTLE_ENDIAN, 256u);
IS(TG_TIMEOUT_READ, 1u);
IS(TG_TIMEOUT_WRITE, 2u);
IS(TG_TIMEOUT_IDLE, 3u);
IS(TG_LISTENER_NO_REUSE_ADDRESS, 16u);
IS(TG_LISTENER_REUSE_PORT, 32u);
IS(TG_LISTENER_SHED, 128u);
IS(TG_RECORD_ACCEPT, 16u);
IS(TG_RECORD_LISTENER_ERROR, 17u);
IS(TG_RECORD_CONN_OPEN, 18u);
IS(TG_RECORD_CONN_DATA, 19u);
IS(TG_RECORD_CONN_READABLE, 20u);
IS(TG_RECORD_CONN_EOF, 21u);
IS(TG_RECORD_CONN_DRAIN, 22u);
IS(TG_RECORD_CONN_TIMEOUT, 23u);
IS(TG_RECORD_CONN_WRITTEN, 24u);
IS(TG_RECORD_CONN_CLOSE, 25u);
IS(TG_RECORD_CONN_DESCRIPTORS, 26u);

#define ONLY_SIZE(type, init)                                        \
    do {                                                             \
        static const unsigned char zeroes[sizeof(type)];             \
        type it = init;                                              \
        CHECK_EQ(it.size, sizeof it);                                \
        it.size = 0;                                                 \
        CHECK(memcmp(&it, zeroes, sizeof it) == 0); /* no padding */ \
    } while (0)

/* Those of connections and listeners: the size, and nothing else. */
static void initialisers_of_zeroes(void)
{
    ONLY_SIZE(tg_conn_options, TG_CONN_OPTIONS_INIT);
    ONLY_SIZE(tg_conn_timeouts, TG_CONN_TIMEOUTS_INIT);
    ONLY_SIZE(tg_conn_stats, TG_CONN_STATS_INIT);
    ONLY_SIZE(tg_listener_options, TG_LISTENER_OPTIONS_INIT);
    ONLY_SIZE(tg_rate_options, TG_RATE_OPTIONS_INIT);
    ONLY_SIZE(tg_group_options, TG_GROUP_OPTIONS_INIT);
    ONLY_SIZE(tg_group_stats, TG_GROUP_STATS_INIT);
}

int main(void)
{
    harness_begin();
    RUN(initialisers_of_zeroes);
    return harness_end();
}
