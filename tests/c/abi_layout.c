/* The binary interface of 64-bit Unix in static assertions: sizes, offsets, flags, codes. */
#include "harness.h"

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " is " #bytes " bytes")
#define AT(type, member, offset) \
    _Static_assert(offsetof(type, member) == (offset), #type "." #member " is at " #offset)
#define IS(name, value) _Static_assert((name) == (value), #name " is " #value)

SIZE(tg_fd, 4);
SIZE(tg_handle, 8);
SIZE(tg_loop, 8);
SIZE(tg_poller, 8);

SIZE(tg_process_stats, 32);
AT(tg_process_stats, live_loops, 8);
AT(tg_process_stats, live_pollers, 16);
AT(tg_process_stats, waits, 24);

SIZE(tg_loop_options, 48);
AT(tg_loop_options, flags, 8);
AT(tg_loop_options, batch_records, 12);
AT(tg_loop_options, batch_submissions, 16);
AT(tg_loop_options, max_posts, 20);
AT(tg_loop_options, work_threads, 24);
AT(tg_loop_options, batch_data, 28);
AT(tg_loop_options, max_jobs, 32);
AT(tg_loop_options, reserved, 36);
AT(tg_loop_options, max_job_bytes, 40);

SIZE(tg_loop_stats, 96);
AT(tg_loop_stats, turns, 8);
AT(tg_loop_stats, events, 16);
AT(tg_loop_stats, busy_ns, 24);
AT(tg_loop_stats, idle_ns, 32);
AT(tg_loop_stats, lag_ns, 40);
AT(tg_loop_stats, max_lag_ns, 48);
AT(tg_loop_stats, longest_callback_ns, 56);
AT(tg_loop_stats, waits, 64);
AT(tg_loop_stats, open_handles, 72);
AT(tg_loop_stats, active_handles, 80);
AT(tg_loop_stats, queued_posts, 88);

SIZE(tg_handle_info, 40);
AT(tg_handle_info, handle, 8);
AT(tg_handle_info, kind, 16);
AT(tg_handle_info, flags, 20);
AT(tg_handle_info, value, 24);
AT(tg_handle_info, interest, 32);

SIZE(tg_io_options, 48);
AT(tg_io_options, callback, 8);
AT(tg_io_options, user, 16);
AT(tg_io_options, release, 24);
AT(tg_io_options, flags, 32);
AT(tg_io_options, mode, 36);
AT(tg_io_options, timeout_ns, 40);

#define PLAIN_OPTIONS(type)      \
    SIZE(type, 40);              \
    AT(type, callback, 8);       \
    AT(type, user, 16);          \
    AT(type, release, 24);       \
    AT(type, flags, 32);         \
    AT(type, reserved, 36)
PLAIN_OPTIONS(tg_timer_options);
PLAIN_OPTIONS(tg_signal_options);
PLAIN_OPTIONS(tg_async_options);
PLAIN_OPTIONS(tg_hook_options);
PLAIN_OPTIONS(tg_file_options);

SIZE(tg_buffer, 16);
AT(tg_buffer, length, 8);
SIZE(tg_file_entry, 16);
AT(tg_file_entry, name_length, 8);
AT(tg_file_entry, file_type, 12);
SIZE(tg_file_result, 48);
AT(tg_file_result, value, 8);
AT(tg_file_result, data, 16);
AT(tg_file_result, entries, 24);
AT(tg_file_result, info, 32);
AT(tg_file_result, status, 40);
SIZE(tg_file_info, 96);
AT(tg_file_info, file_size, 8);
AT(tg_file_info, blocks, 16);
AT(tg_file_info, block_size, 24);
AT(tg_file_info, inode, 32);
AT(tg_file_info, device, 40);
AT(tg_file_info, links, 48);
AT(tg_file_info, accessed_ns, 56);
AT(tg_file_info, modified_ns, 64);
AT(tg_file_info, changed_ns, 72);
AT(tg_file_info, file_type, 80);
AT(tg_file_info, mode, 84);
AT(tg_file_info, uid, 88);
AT(tg_file_info, gid, 92);
PLAIN_OPTIONS(tg_process_watch_options);
PLAIN_OPTIONS(tg_watch_options);

SIZE(tg_stdio, 8);
AT(tg_stdio, kind, 0);
AT(tg_stdio, fd, 4);
SIZE(tg_process_options, 88);
AT(tg_process_options, callback, 8);
AT(tg_process_options, user, 16);
AT(tg_process_options, release, 24);
AT(tg_process_options, file, 32);
AT(tg_process_options, argv, 40);
AT(tg_process_options, env, 48);
AT(tg_process_options, directory, 56);
AT(tg_process_options, stdio, 64);
AT(tg_process_options, flags, 72);
AT(tg_process_options, stdio_count, 76);
AT(tg_process_options, uid, 80);
AT(tg_process_options, gid, 84);
SIZE(tg_change, 24);
AT(tg_change, changes, 8);
AT(tg_change, cookie, 12);
AT(tg_change, name, 16);
PLAIN_OPTIONS(tg_work_options);
PLAIN_OPTIONS(tg_resolve_name_options);

SIZE(tg_resolve_options, 40);
AT(tg_resolve_options, callback, 8);
AT(tg_resolve_options, user, 16);
AT(tg_resolve_options, release, 24);
AT(tg_resolve_options, flags, 32);
AT(tg_resolve_options, family, 36);

SIZE(tg_address, 136);
AT(tg_address, family, 0);
AT(tg_address, port, 4);
AT(tg_address, path_length, 6);
AT(tg_address, scope, 8);
AT(tg_address, ip, 12);
AT(tg_address, path, 28);

SIZE(tg_address, 136);
SIZE(tg_udp_options, 72);
AT(tg_udp_options, callback, 8);
AT(tg_udp_options, on_error, 16);
AT(tg_udp_options, on_drain, 24);
AT(tg_udp_options, user, 32);
AT(tg_udp_options, release, 40);
AT(tg_udp_options, flags, 48);
AT(tg_udp_options, receive_size, 52);
AT(tg_udp_options, receive_batch, 56);
AT(tg_udp_options, reserved, 60);
AT(tg_udp_options, send_limit, 64);
SIZE(tg_udp_stats, 104);
AT(tg_udp_stats, received, 8);
AT(tg_udp_stats, received_bytes, 16);
AT(tg_udp_stats, truncated, 24);
AT(tg_udp_stats, receive_calls, 32);
AT(tg_udp_stats, sent, 40);
AT(tg_udp_stats, sent_bytes, 48);
AT(tg_udp_stats, send_calls, 56);
AT(tg_udp_stats, lost, 64);
AT(tg_udp_stats, errors, 72);
AT(tg_udp_stats, dropped, 80);
AT(tg_udp_stats, queued, 88);
AT(tg_udp_stats, queued_bytes, 96);
SIZE(tg_datagram, 32);
AT(tg_datagram, data, 0);
AT(tg_datagram, length, 8);
AT(tg_datagram, from, 16);
AT(tg_datagram, flags, 24);
AT(tg_datagram, segment_size, 28);
SIZE(tg_datagram_header, 152);
AT(tg_datagram_header, from, 0);
AT(tg_datagram_header, flags, 136);
AT(tg_datagram_header, segment_size, 140);
AT(tg_datagram_header, length, 144);
SIZE(tg_outgoing, 24);
AT(tg_outgoing, to, 0);
AT(tg_outgoing, data, 8);
AT(tg_outgoing, length, 16);

SIZE(tg_record, 32);
AT(tg_record, handle, 0);
AT(tg_record, user, 8);
AT(tg_record, kind, 16);
AT(tg_record, bits, 20);
AT(tg_record, value, 24);

SIZE(tg_submission, 40);
AT(tg_submission, handle, 0);
AT(tg_submission, user, 8);
AT(tg_submission, a, 16);
AT(tg_submission, b, 24);
AT(tg_submission, op, 32);
AT(tg_submission, reserved, 36);

SIZE(tg_batch, 88);
AT(tg_batch, size, 0);
AT(tg_batch, record_size, 4);
AT(tg_batch, submission_size, 8);
AT(tg_batch, record_capacity, 12);
AT(tg_batch, submission_capacity, 16);
AT(tg_batch, flags, 20);
AT(tg_batch, record_count, 24);
AT(tg_batch, record_cursor, 28);
AT(tg_batch, submission_count, 32);
AT(tg_batch, submission_cursor, 36);
AT(tg_batch, timeout_ns, 40);
AT(tg_batch, now_ns, 48);
AT(tg_batch, records, 56);
AT(tg_batch, submissions, 64);
AT(tg_batch, data, 72);
AT(tg_batch, data_count, 80);

SIZE(tg_poller_options, 16);
AT(tg_poller_options, flags, 8);
AT(tg_poller_options, adopt_fd, 12);
SIZE(tg_poller_event, 16);
AT(tg_poller_event, data, 0);
AT(tg_poller_event, ready, 8);
SIZE(tg_poll_item, 12);
AT(tg_poll_item, fd, 0);
AT(tg_poll_item, interest, 4);
AT(tg_poll_item, ready, 8);

IS(TG_EINVAL, -4001);
IS(TG_EBUSY, -4016);
IS(TG_LOOP_BATCH, 0x1u);
IS(TG_UNREF, 0x1u);
IS(TG_INFO_ACTIVE, 0x1u);
IS(TG_INFO_REF, 0x2u);
IS(TG_KIND_IO, 1u);
IS(TG_KIND_TIMER, 2u);
IS(TG_KIND_SIGNAL, 3u);
IS(TG_KIND_ASYNC, 4u);
IS(TG_KIND_PREPARE, 5u);
IS(TG_KIND_CHECK, 6u);
IS(TG_KIND_IDLE, 7u);
IS(TG_READ, 0x1u);
IS(TG_PRIORITY, 0x2u);
IS(TG_WRITE, 0x4u);
IS(TG_ERROR, 0x8u);
IS(TG_HANGUP, 0x10u);
IS(TG_INVALID, 0x20u);
IS(TG_LEVEL, 0u);
IS(TG_EDGE, 1u);
IS(TG_ONESHOT, 2u);
IS(TG_CLOCK_MONOTONIC, 0u);
IS(TG_CLOCK_REALTIME, 1u);
IS(TG_RECORD_IO, 1u);
IS(TG_RECORD_TIMER, 2u);
IS(TG_RECORD_SIGNAL, 3u);
IS(TG_RECORD_ASYNC, 4u);
IS(TG_RECORD_HOOK, 5u);
IS(TG_RECORD_POST, 6u);
IS(TG_RECORD_CLOSED, 7u);
IS(TG_RECORD_FAILED, 8u);
IS(TG_SUBMIT_CLOSE, 1u);
IS(TG_SUBMIT_IO_INTEREST, 2u);
IS(TG_SUBMIT_TIMER_START, 3u);
IS(TG_SUBMIT_TIMER_STOP, 4u);
IS(TG_SUBMIT_TIMER_RESTART, 5u);
IS(TG_SUBMIT_IO_TIMEOUT, 6u);
IS(TG_BATCH_MORE, 0x1u);
IS(TG_BATCH_STOPPED, 0x2u);
IS(TG_BATCH_IDLE, 0x4u);
IS(TG_KIND_UDP, 12u);
IS(TG_RECORD_DATAGRAM, 12u);
IS(TG_RECORD_UDP_ERROR, 13u);
IS(TG_UDP_REUSE_ADDRESS, 0x10u);
IS(TG_UDP_REUSE_PORT, 0x20u);
IS(TG_UDP_BROADCAST, 0x40u);
IS(TG_UDP_V6_ONLY, 0x80u);
IS(TG_UDP_GRO, 0x100u);
IS(TG_DATAGRAM_TRUNCATED, 0x1u);
IS(TG_POLLER_STRICT, 0x1u);
IS(TG_KIND_FILE, 10u);
IS(TG_KIND_FILE_OP, 11u);
IS(TG_RECORD_FILE, 11u);
IS(TG_FILE_READ, 0x1u);
IS(TG_FILE_WRITE, 0x2u);
IS(TG_FILE_CREATE, 0x4u);
IS(TG_FILE_EXCLUSIVE, 0x8u);
IS(TG_FILE_TRUNCATE, 0x10u);
IS(TG_FILE_APPEND, 0x20u);
IS(TG_FILE_DIRECTORY, 0x40u);
IS(TG_FILE_NO_FOLLOW, 0x80u);
IS(TG_FILE_DATA_ONLY, 0x100u);
IS(TG_FILE_MORE, 0x40000000u);
IS(TG_TYPE_UNKNOWN, 0u);
IS(TG_TYPE_BLOCK, 7u);
IS(TG_POLLER_INTERRUPTIBLE, 0x2u);
IS(TG_POLLER_NATIVE, 0x4u);
IS(TG_POLL_INTERRUPTIBLE, 0x1u);
IS(TG_POLL_NATIVE, 0x2u);
IS(TG_KIND_PROCESS, 13u);
IS(TG_KIND_WATCH, 14u);
IS(TG_RECORD_EXIT, 14u);
IS(TG_RECORD_CHANGE, 15u);
IS(TG_PROCESS_DETACHED, 0x2u);
IS(TG_PROCESS_GROUP, 0x4u);
IS(TG_PROCESS_KILL_ON_CLOSE, 0x8u);
IS(TG_PROCESS_SET_UID, 0x10u);
IS(TG_PROCESS_SET_GID, 0x20u);
IS(TG_STDIO_INHERIT, 0u);
IS(TG_STDIO_NULL, 1u);
IS(TG_STDIO_FD, 2u);
IS(TG_STDIO_PIPE_IN, 3u);
IS(TG_STDIO_PIPE_OUT, 4u);
IS(TG_STDIO_SOCKET, 5u);
IS(TG_WATCH_RECURSIVE, 0x2u);
IS(TG_WATCH_FILE, 0x4u);
IS(TG_CHANGE_CREATED, 0x1u);
IS(TG_CHANGE_DELETED, 0x2u);
IS(TG_CHANGE_MODIFIED, 0x4u);
IS(TG_CHANGE_ATTRIBUTES, 0x8u);
IS(TG_CHANGE_MOVED_FROM, 0x10u);
IS(TG_CHANGE_MOVED_TO, 0x20u);
IS(TG_CHANGE_SELF_GONE, 0x40u);
IS(TG_CHANGE_OVERFLOW, 0x80u);
IS(TG_CHANGE_DIRECTORY, 0x100u);
IS(TG_ECANCELED, -4017);
IS(TG_KIND_WORK, 8u);
IS(TG_RECORD_DONE, 9u);
IS(TG_UNIX, 1u);
IS(TG_IPV4, 4u);
IS(TG_IPV6, 6u);
IS(TG_ENONAME, -4018);
IS(TG_ETRYAGAIN, -4019);
IS(TG_ERESOLVE, -4020);
IS(TG_KIND_RESOLVE, 9u);
IS(TG_RECORD_RESOLVED, 10u);
IS(TG_RESOLVE_PASSIVE, 0x10u);
IS(TG_RESOLVE_NUMERIC_HOST, 0x20u);
IS(TG_RESOLVE_NUMERIC, 0x40u);
IS(TG_RESOLVE_NAME_REQUIRED, 0x80u);

/* The _INIT macros make what they say. */
static void initialisers(void)
{
    tg_loop_options loop = TG_LOOP_OPTIONS_INIT;
    tg_loop_stats stats = TG_LOOP_STATS_INIT;
    tg_handle_info info = TG_HANDLE_INFO_INIT;
    tg_io_options io = TG_IO_OPTIONS_INIT;
    tg_timer_options timer = TG_TIMER_OPTIONS_INIT;
    tg_signal_options signals = TG_SIGNAL_OPTIONS_INIT;
    tg_async_options async = TG_ASYNC_OPTIONS_INIT;
    tg_hook_options hook = TG_HOOK_OPTIONS_INIT;
    tg_poller_options poller = TG_POLLER_OPTIONS_INIT;
    tg_process_options process = TG_PROCESS_OPTIONS_INIT;
    tg_process_watch_options process_watch = TG_PROCESS_WATCH_OPTIONS_INIT;
    tg_watch_options watch = TG_WATCH_OPTIONS_INIT;
    tg_work_options work = TG_WORK_OPTIONS_INIT;
    tg_resolve_options resolve = TG_RESOLVE_OPTIONS_INIT;
    tg_resolve_name_options name = TG_RESOLVE_NAME_OPTIONS_INIT;
    tg_udp_options udp = TG_UDP_OPTIONS_INIT;
    tg_udp_stats udp_stats = TG_UDP_STATS_INIT;
    CHECK_EQ(udp.size, sizeof udp);
    CHECK(udp.callback == NULL && udp.on_error == NULL && udp.on_drain == NULL);
    CHECK_EQ(udp.flags + udp.receive_size + udp.receive_batch + udp.reserved + udp.send_limit, 0);
    CHECK_EQ(udp_stats.size, sizeof udp_stats);
    CHECK_EQ(loop.size, sizeof loop);
    CHECK_EQ(loop.flags + loop.batch_records + loop.batch_submissions + loop.max_posts, 0);
    CHECK_EQ(loop.work_threads + loop.batch_data + loop.max_jobs + loop.reserved + loop.max_job_bytes, 0);
    CHECK_EQ(stats.size, sizeof stats);
    CHECK_EQ(info.size, sizeof info);
    CHECK_EQ(io.size, sizeof io);
    CHECK(io.callback == NULL && io.user == NULL && io.release == NULL);
    CHECK_EQ(io.flags + io.mode + io.timeout_ns, 0);
    CHECK_EQ(timer.size, sizeof timer);
    CHECK_EQ(signals.size, sizeof signals);
    CHECK_EQ(async.size, sizeof async);
    CHECK_EQ(hook.size, sizeof hook);
    CHECK_EQ(work.size, sizeof work);
    CHECK_EQ(resolve.size, sizeof resolve);
    CHECK_EQ(name.size, sizeof name);
    CHECK_EQ(poller.size, sizeof poller);
    CHECK_EQ(poller.adopt_fd, -1);
    CHECK_EQ(process.size, sizeof process);
    CHECK(process.file == NULL && process.argv == NULL && process.env == NULL && process.directory == NULL);
    CHECK_EQ(process.flags + process.stdio_count + process.uid + process.gid, 0);
    CHECK_EQ(process_watch.size, sizeof process_watch);
    CHECK_EQ(watch.size, sizeof watch);
}

int main(void)
{
    harness_begin();
    RUN(initialisers);
    return harness_end();
}
