/*
 * Tidegate: an event loop for C. Generated from the library's sources: do not edit.
 *
 * CONVENTIONS
 *
 * Names.    tg_<noun>_<verb>. new and free: loops and pollers; open and close: what lives in a loop; start and stop,
 *           get_ and set_. Constants begin with TG_.
 * Ids.      Every object is a 64-bit number, never a pointer. 0 is none. The id of something that was closed or freed is
 *           an error (TG_ESTALE) in every function, for ever: using one by mistake harms nobody.
 * Results.  0 or a count on success, a negative code on failure. TG_E… codes are the library's, below -4000, the same on
 *           every platform; the operating system's errors come as -errno. A call that fails has changed nothing and taken
 *           nothing. Out-parameters are written only on success. tg_last_error() says in words what the last failure on
 *           this thread was.
 * Bad input is a documented code, in every function: NULL, -1, absurd sizes, unknown flags, the wrong kind of id.
 * Threads.  A loop belongs to the thread that made it, or that tg_loop_attach gave it to. From others every function
 *           answers TG_EWRONGTHREAD, except those whose documentation says "Thread: any".
 * Callbacks come only from tg_loop_run and its like, on the loop's thread, never from inside another call. They may call
 *           anything, on any handle, their own included, except run the same loop. Do not leave one by longjmp; a C++
 *           exception that leaves one ends the process with a message.
 * Users.    Each `user` pointer comes with an optional `release` function. Once a call has returned 0, release(user) is
 *           called exactly once: at the end of the turn in which the handle was closed, or when the loop is freed. After a
 *           failure it is still yours.
 * Closing   is immediate: when tg_close returns, no callback of that handle will come.
 * Options   are structures whose first member is their size, set by a macro: tg_io_options options = TG_IO_OPTIONS_INIT;
 *           NULL stands for the defaults. They are copied. Programs built against an older or newer header work: what is
 *           missing has its default, and what is too new to be known must be 0. A size that ends inside a member is refused.
 * Time      is nanoseconds in an int64_t; names end in _ns. -1 is for ever, 0 is now. Deadlines are on tg_now_ns()'s clock.
 * Fork.     In a forked child every call on an inherited loop answers TG_EFORKED, except tg_loop_free and tg_loop_reopen.
 * Failures  inside the library never cross into your program: TG_EPANIC, and the loop refuses further work.
 * Memory    that grows by what you or a peer decide is asked for and may fail (TG_ENOMEM); only small fixed allocations
 *           end the process when there is none.
 */
#ifndef TIDEGATE_H
#define TIDEGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The header's version: the part that changes when programs must be changed. */
#define TG_VERSION_MAJOR 0
/** The part that changes when something is added. */
#define TG_VERSION_MINOR 1
/** The part that changes when something is mended. */
#define TG_VERSION_PATCH 0
/** The header's version as a text; tg_version() is the library's. */
#define TG_VERSION "0.1.0"
/** The header's version as a number that grows; tg_version_number() is the library's. */
#define TG_VERSION_NUMBER ((TG_VERSION_MAJOR << 16) | (TG_VERSION_MINOR << 8) | TG_VERSION_PATCH)

/* TG_STATIC: for programs that link the static library on Windows. */
#if defined(_WIN32) && !defined(TG_STATIC)
#define TG_API __declspec(dllimport)
#elif defined(__GNUC__)
#define TG_API __attribute__((visibility("default")))
#else
#define TG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Types ----------------------------------------------------------------- */

/** A flag of every options structure of a handle: it does not keep the loop alive. */
#define TG_UNREF 1u

/** A descriptor: on Unix an int. */
typedef int tg_fd;

/** An object that lives in a loop. 0 is never one. A closed one is an error in every function, for ever. */
typedef uint64_t tg_handle;

/** A loop. */
typedef uint64_t tg_loop;

/** A poller. */
typedef uint64_t tg_poller;

/** A group of loops. */
typedef uint64_t tg_group;

/**
 * Gives back a user pointer: called exactly once for each that was accepted, on the loop's thread, after which the
 * library never touches it again. Not to be left by longjmp; a foreign exception ends the process.
 */
typedef void (*tg_release_cb)(void *user);

/** A piece of memory. */
typedef struct tg_buffer {
  /** Where it begins; may be NULL when it has no bytes. */
  const void *data;
  /** How many bytes it has. */
  size_t length;
} tg_buffer;

/**
 * Gives back memory that was lent to an operation, with how that has ended: called exactly once, on the loop's thread,
 * before user is released. Not to be left by longjmp; a foreign exception ends the process.
 */
typedef void (*tg_free_cb)(void *data, size_t length, void *user, int status);

/* ---- Errors ---------------------------------------------------------------- */

/** An argument is missing, out of range, or has unknown flags. */
#define TG_EINVAL (-4001)
/** Not enough memory. */
#define TG_ENOMEM (-4002)
/** The id is not, or is no longer, that of an open object. */
#define TG_ESTALE (-4003)
/** The id belongs to an open object of another kind. */
#define TG_EKIND (-4004)
/** The loop belongs to another thread, or to none. */
#define TG_EWRONGTHREAD (-4005)
/** A loop cannot be run, or waited for, from inside itself. */
#define TG_EREENTRANT (-4006)
/** Inherited by a fork: it can be freed, and a loop reopened. */
#define TG_EFORKED (-4007)
/** The library has failed inside; the loop, if it is in one, refuses further work and can only be freed. */
#define TG_EPANIC (-4008)
/** What was to be added is there already, or taken by something else. */
#define TG_EEXIST (-4009)
/** What the call is about is not there. */
#define TG_ENOENT (-4010)
/** The descriptor is not open, or was closed while it was watched. */
#define TG_EBADFD (-4011)
/** The time is over. */
#define TG_ETIMEDOUT (-4012)
/** A documented limit is reached, or there is not enough room. */
#define TG_ENOBUFS (-4013)
/** There is no id left to give out. */
#define TG_ELIMIT (-4014)
/** Not supported on this platform or by this object. */
#define TG_ENOTSUP (-4015)
/** What the call is about is in use at present. */
#define TG_EBUSY (-4016)
/** Cancelled before it was over. */
#define TG_ECANCELED (-4017)
/** The host or service is not known. */
#define TG_ENONAME (-4018)
/** The name service does not answer at present. */
#define TG_ETRYAGAIN (-4019)
/** The name service has failed. */
#define TG_ERESOLVE (-4020)
/** A frame is longer than the connection allows, or was cut off. */
#define TG_EFRAME (-4021)

/**
 * The name of a code: "TG_EINVAL", "EPERM" for -EPERM, "TG_OK" for 0, "TG_UNKNOWN" for anything else.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: the text is static.
 * Errors: none.
 */
TG_API const char *tg_err_name(int code);

/**
 * What a code means, in English.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: the text is static.
 * Errors: none.
 */
TG_API const char *tg_strerror(int code);

/**
 * The last failure of a call on this thread in words: function, arguments, code and reason. "" when none has failed; a
 * success leaves it alone.
 *
 * Thread: any; each has its own.
 * Callable from callbacks: yes.
 * Ownership: the text is the library's, and valid until the next call on this thread that fails.
 * Errors: none.
 */
TG_API const char *tg_last_error(void);

/* ---- Version and process --------------------------------------------------- */

/** What the process has of this library. */
typedef struct tg_process_stats {
  /** Set by the caller to the size of the structure. */
  size_t size;
  /** Loops that are not freed. */
  uint64_t live_loops;
  /** Pollers that are not freed. */
  uint64_t live_pollers;
  /** How often loops, pollers and tg_poll_once have waited since the process began. */
  uint64_t waits;
} tg_process_stats;

/**
 * The version of the library that is running: "major.minor.patch". Compare with TG_VERSION, that of the header.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: the text is static.
 * Errors: none.
 */
TG_API const char *tg_version(void);

/**
 * The same as a number: major << 16 | minor << 8 | patch. Compare with TG_VERSION_NUMBER.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Errors: none; 0 after an internal failure.
 */
TG_API uint32_t tg_version_number(void);

/**
 * What the loops of this build wait with: "epoll", "kqueue" or "iocp".
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: the text is static.
 * Errors: none.
 */
TG_API const char *tg_backend_name(void);

/**
 * Counts of the whole process, for tests and for finding leaks. out->size is set by the caller.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL, or its size is not set), TG_EPANIC.
 */
TG_API int tg_get_process_stats(struct tg_process_stats *out);

/**
 * The monotonic clock in nanoseconds: what deadlines are measured by. It stands still while the machine is suspended.
 *
 * Thread: any, and signal handlers.
 * Callable from callbacks: yes.
 * Errors: none; 0 after an internal failure.
 */
TG_API int64_t tg_now_ns(void);

/* ---- The loop -------------------------------------------------------------- */

/** Flag of tg_loop_options: events come as records from tg_batch_turn instead of callbacks. */
#define TG_LOOP_BATCH 1u

/** How a loop shall be made. Set up with TG_LOOP_OPTIONS_INIT. */
typedef struct tg_loop_options {
  /** The size of the structure. */
  size_t size;
  /** TG_LOOP_BATCH or 0. */
  uint32_t flags;
  /** Batch loops: how many records a turn may produce, 1 to 65,536; 0: 1,024. */
  uint32_t batch_records;
  /** Batch loops: how many submissions fit, 1 to 65,536; 0: 1,024. */
  uint32_t batch_submissions;
  /** How many posts may wait in the loop; 0: 1,048,576. */
  uint32_t max_posts;
  /** How many threads work and files may use, at most 1,024; 0: as many as there are processors, at least 4. */
  uint32_t work_threads;
  /** Batch loops: how many bytes the records of a turn may carry, 131,072 to 1,073,741,824; 0: 1,048,576. */
  uint32_t batch_data;
  /**
   * How many works, look-ups (those of tg_conn_connect_name included) and operations on files may wait or run at once; 0:
   * 1,048,576. More are TG_ENOBUFS.
   */
  uint32_t max_jobs;
  /** 0. */
  uint32_t reserved;
  /**
   * How many bytes operations on files may hold at once in memory of the library's: what tg_file_write and tg_file_writev
   * copy, and the room of tg_file_read; 0: 1,073,741,824. More are TG_ENOBUFS, except for one while none is held. Memory
   * that is lent to an operation does not count.
   */
  uint64_t max_job_bytes;
} tg_loop_options;

/** What a loop tells about itself. Times in nanoseconds, counts since the loop was made. */
typedef struct tg_loop_stats {
  /** Set by the caller to the size of the structure. */
  size_t size;
  /** Turns begun. */
  uint64_t turns;
  /** Events and posts delivered. */
  uint64_t events;
  /** Time spent outside the wait, in runs. */
  int64_t busy_ns;
  /** Time spent waiting. */
  int64_t idle_ns;
  /** How late the latest timer of the last turn was. */
  int64_t lag_ns;
  /** The largest lag of all. */
  int64_t max_lag_ns;
  /** The longest callback while a slow-callback hook was set (tg_loop_set_slow_callback). */
  int64_t longest_callback_ns;
  /** How often the loop has asked the operating system for events. */
  uint64_t waits;
  /** Handles open now. */
  uint64_t open_handles;
  /** Those that keep the loop alive now. */
  uint64_t active_handles;
  /** Posts and deferred calls waiting now. */
  uint64_t queued_posts;
} tg_loop_stats;

/**
 * Called after a callback that took long, on the loop's thread. handle is whose callback it was, 0: a post or deferred
 * call; it may be closed by now.
 */
typedef void (*tg_slow_cb)(tg_loop loop, void *user, tg_handle handle, int64_t duration_ns);

/**
 * Makes a loop that belongs to the calling thread. NULL options are the defaults.
 *
 * Thread: any; the caller's becomes the loop's.
 * Callable from callbacks: yes.
 * Ownership: the loop is the caller's until tg_loop_free.
 * Errors: TG_EINVAL (out is NULL, options with a wrong size, unknown flags or numbers out of range), TG_ELIMIT (1,024
 * loops and pollers are live), TG_ENOMEM, -EMFILE, -ENFILE, TG_EPANIC.
 */
TG_API int tg_loop_new(const struct tg_loop_options *options,
                       tg_loop *out);

/**
 * Frees a loop: closes what is open, gives every user back, and makes its id and those of its handles errors for ever.
 * Inside one of its callbacks the loop is stopped and freed at the end of the run, which then returns 0; until then it is
 * valid. In a forked child it closes the child's copies and leaves the parent's kernel objects alone.
 *
 * A thread that ends gives up the loops that it owns, as by tg_loop_detach: another one can attach and free them.
 *
 * Thread: the loop's; in a forked child, any.
 * Callable from callbacks: yes.
 * Returns: how many handles were open.
 * Errors: TG_EBUSY (it is a group's: see tg_group_stop), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EPANIC.
 */
TG_API int tg_loop_free(tg_loop loop);

/**
 * Runs the loop until nothing keeps it alive (no active referenced handle, nothing posted or deferred, no hold) or it is
 * stopped.
 *
 * Thread: the loop's.
 * Callable from callbacks: no, not of the same loop.
 * Returns: 1 when something is left, 0 when not.
 * Errors: TG_EREENTRANT (inside one of its callbacks), TG_ENOTSUP (a batch loop), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD,
 * TG_EFORKED (also when a callback forked: in the child), TG_EPANIC.
 */
TG_API int tg_loop_run(tg_loop loop);

/**
 * Runs turns until one has delivered an event; waits for it. Ends without one when the loop is woken or stopped. When
 * nothing keeps it alive it runs one turn that does not wait.
 *
 * Thread: the loop's.
 * Callable from callbacks: no, not of the same loop.
 * Returns: 1 when something is left, 0 when not.
 * Errors: as tg_loop_run: TG_EREENTRANT, TG_ENOTSUP, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_run_once(tg_loop loop);

/**
 * Runs one turn that does not wait, also when nothing keeps the loop alive. (None after a stop.)
 *
 * Thread: the loop's.
 * Callable from callbacks: no, not of the same loop.
 * Returns: 1 when something is left, 0 when not.
 * Errors: as tg_loop_run: TG_EREENTRANT, TG_ENOTSUP, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_run_nowait(tg_loop loop);

/**
 * Runs the loop until tg_now_ns() reaches deadline_ns, or there is another reason to end. One turn is run even when the
 * deadline has passed or nothing keeps the loop alive (then it does not wait).
 *
 * Thread: the loop's.
 * Callable from callbacks: no, not of the same loop.
 * Returns: 1 when something is left, 0 when not.
 * Errors: as tg_loop_run: TG_EREENTRANT, TG_ENOTSUP, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_run_until(tg_loop loop,
                             int64_t deadline_ns);

/**
 * Ends the run after the turn that is going on. A stop before a run counts for the next one.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_stop(tg_loop loop);

/**
 * Ends the wait that is going on, or makes the next one return at once. Nothing is delivered. A failure leaves no words in
 * tg_last_error: a signal handler could not make them.
 *
 * Thread: any, and signal handlers.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE (also the id of a poller or handle: a signal handler cannot ask), TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_wake(tg_loop loop);

/**
 * Keeps runs going although no handle does, until as many tg_loop_unhold.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_hold(tg_loop loop);

/**
 * Takes one tg_loop_hold back.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (the loop is not held), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_unhold(tg_loop loop);

/**
 * The clock reading of the turn (outside a run: of the last one), in nanoseconds: cheaper than tg_now_ns, and as old as
 * the turn.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_get_now_ns(tg_loop loop,
                              int64_t *out);

/**
 * What the loop tells about itself. out->size is set by the caller (TG_LOOP_STATS_INIT).
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL, or its size is not set), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
 * TG_EPANIC.
 */
TG_API int tg_loop_get_stats(tg_loop loop,
                             struct tg_loop_stats *out);

/**
 * Reports every callback that took threshold_ns or longer, at the price of reading the clock around each. 0 ends it
 * (callback, user and release are then NULL). The user of the hook before is released at the end of the turn.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: user is the library's once 0 was returned, until release gives it back.
 * Errors: TG_EINVAL (a negative threshold; a threshold without callback, or a threshold of 0 with any of the others),
 * TG_ENOTSUP (a batch loop), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_set_slow_callback(tg_loop loop,
                                     int64_t threshold_ns,
                                     tg_slow_cb callback,
                                     void *user,
                                     tg_release_cb release);

/* ---- Loops, threads and forks ---------------------------------------------- */

/**
 * Gives the loop up, so that another thread can take it over by tg_loop_attach. Until then no thread may use it, except
 * for what any thread may do.
 *
 * Thread: the loop's.
 * Callable from callbacks: not of the same loop.
 * Errors: TG_EBUSY (it is running, or a group's), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_detach(tg_loop loop);

/**
 * Takes a loop over that was given up by tg_loop_detach.
 *
 * Thread: any; the caller's becomes the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EWRONGTHREAD (a thread owns it), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_attach(tg_loop loop);

/**
 * In a forked child: rebuilds the inherited loop with kernel objects of its own. Its handles live on in the child; posts,
 * deferred calls and signals that were on their way stay with the parent (their users are released in the child). Inside a
 * callback the run goes on when the callback returns.
 *
 * Thread: the child's first; it becomes the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (not an inherited loop), TG_EBUSY (another thread of the parent was inside the loop at the fork: it can
 * only be freed), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_ENOMEM, -EMFILE, -ENFILE, TG_EPANIC.
 */
TG_API int tg_loop_reopen(tg_loop loop);

/* ---- A loop inside another one --------------------------------------------- */

/**
 * For nesting in a foreign loop: a descriptor that is readable while this loop has something to do. It stays the same for
 * the loop's life. Watch it for reading, sleep at most tg_loop_get_timeout_ns, then call tg_loop_run_nowait (or
 * tg_batch_turn).
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: the descriptor is the loop's; do not close it.
 * Errors: TG_EINVAL (out is NULL), -EMFILE, -ENFILE, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_get_backend_fd(tg_loop loop,
                                  tg_fd *out);

/**
 * For nesting: how many nanoseconds may pass until the loop must run even if its backend descriptor stays silent. 0: it
 * must run now; -1: any time. Ask before each sleep: it also tells the kernel what has changed.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_loop_get_timeout_ns(tg_loop loop,
                                  int64_t *out);

/* ---- What is open in a loop ------------------------------------------------ */

/**
 * The ids of the open handles: as many as there are and fit into capacity are written.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Returns: how many handles are open, which may be more than capacity.
 * Errors: TG_EINVAL (out is NULL although capacity is not 0), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
 * TG_EPANIC.
 */
TG_API int tg_loop_get_handles(tg_loop loop,
                               tg_handle *out,
                               size_t capacity);

/**
 * A text for people: one line for each open handle with id, kind, what it watches, and whether it is active and
 * referenced. As much as fits is written and ended by a zero byte, as snprintf does.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: buffer stays the caller's.
 * Returns: the length of the whole text.
 * Errors: TG_EINVAL (buffer is NULL although capacity is not 0), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
 * TG_EPANIC.
 */
TG_API int tg_loop_dump(tg_loop loop,
                        char *buffer,
                        size_t capacity);

/* ---- What all handles have ------------------------------------------------- */

/** Kind of handle: watches a descriptor. */
#define TG_KIND_IO 1u

/** Kind of handle: a timer. */
#define TG_KIND_TIMER 2u

/** Kind of handle: watches a signal. */
#define TG_KIND_SIGNAL 3u

/** Kind of handle: can be sent to from any thread. */
#define TG_KIND_ASYNC 4u

/** Kind of handle: a hook before the wait. */
#define TG_KIND_PREPARE 5u

/** Kind of handle: a hook after the I/O. */
#define TG_KIND_CHECK 6u

/** Kind of handle: a hook of every turn, which keeps the wait from blocking. */
#define TG_KIND_IDLE 7u

/** Kind of handle: work on another thread. */
#define TG_KIND_WORK 8u

/** Kind of handle: accepts connections. */
#define TG_KIND_LISTENER 15u

/** Kind of handle: a connected stream. */
#define TG_KIND_CONN 16u

/** Kind of handle: a rate limit. */
#define TG_KIND_RATE 17u

/** Kind of handle: a look-up of names. */
#define TG_KIND_RESOLVE 9u

/** Kind of handle: a file. */
#define TG_KIND_FILE 10u

/** Kind of handle: an operation on files. */
#define TG_KIND_FILE_OP 11u

/** Kind of handle: a process. */
#define TG_KIND_PROCESS 13u

/** Kind of handle: watches files. */
#define TG_KIND_WATCH 14u

/** Kind of handle: a socket for datagrams. */
#define TG_KIND_UDP 12u

/** Flag of tg_handle_info: something can still come of it (armed, started, with interest). */
#define TG_INFO_ACTIVE 1u

/** Flag of tg_handle_info: it keeps the loop alive while it is active. */
#define TG_INFO_REF 2u

/** What a handle is and does. */
typedef struct tg_handle_info {
  /** Set by the caller to the size of the structure. */
  size_t size;
  /** Its id. */
  tg_handle handle;
  /** TG_KIND_… */
  uint32_t kind;
  /** TG_INFO_… */
  uint32_t flags;
  /**
   * The descriptor (-1: a file that is not open yet), the signal's number, the timer's deadline on its clock in nanoseconds
   * (-1: stopped), the process's number, how many directories are watched; else 0.
   */
  int64_t value;
  /** What an I/O watcher waits for; else 0. */
  uint32_t interest;
  /** 0. */
  uint32_t reserved;
} tg_handle_info;

/**
 * Closes a handle of any kind. Its id is dead when this returns, no further callback of it comes, and its descriptor, if
 * it has one, has left the poller (it stays open if it is the caller's). Its user is released at the end of the turn, or
 * of the next one when none is going on.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes, the handle's own included.
 * Errors: TG_ESTALE (it is closed already: harmless), TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_close(tg_handle handle);

/**
 * Whether a value is the id of an open handle.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Returns: 1 when it is, 0 when it is not (any more).
 * Errors: TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_handle_is_open(tg_handle handle);

/**
 * Which kind of handle it is: TG_KIND_…
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_handle_get_kind(tg_handle handle,
                              uint32_t *out);

/**
 * Which loop it lives in.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_handle_get_loop(tg_handle handle,
                              tg_loop *out);

/**
 * The user pointer that it carries (on a batch loop: the number, as a pointer).
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: the pointer stays the library's until it is released.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_handle_get_user(tg_handle handle,
                              void **out);

/**
 * Gives it another user with its own release (on a batch loop: NULL). The one before is released at the end of the
 * turn.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: user is the library's once 0 was returned, until release gives it back.
 * Errors: TG_EINVAL (a release on a batch loop), TG_EBUSY (work that is not over), TG_ENOMEM, TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD,
 * TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_handle_set_user(tg_handle handle,
                              void *user,
                              tg_release_cb release);

/**
 * Everything that the library tells about a handle. out->size is set by the caller (TG_HANDLE_INFO_INIT).
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL, or its size is not set), TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD,
 * TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_handle_get_info(tg_handle handle,
                              struct tg_handle_info *out);

/**
 * Makes the handle keep the loop alive while it is active (as it does from the start, without TG_UNREF).
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_handle_ref(tg_handle handle);

/**
 * Lets runs end although the handle is active.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND (a loop or poller), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_handle_unref(tg_handle handle);

/* ---- Watching descriptors -------------------------------------------------- */

/** Bytes can be read, a connection can be accepted, or the end has come. */
#define TG_READ 1u

/** There is urgent data (TCP's out-of-band byte, a pty's change of state). */
#define TG_PRIORITY 2u

/** Bytes can be written, or a connect has ended. */
#define TG_WRITE 4u

/** Only reported, unasked: something is wrong with the descriptor. The directions asked for are reported ready as well. */
#define TG_ERROR 8u

/**
 * Reported unasked when the peer is gone; the directions asked for are then reported ready as well. Asked for, it is also
 * reported when the peer will send no more.
 */
#define TG_HANGUP 16u

/** Trigger mode: reported as long as it is ready. */
#define TG_LEVEL 0u

/** Trigger mode: reported when it becomes ready. */
#define TG_EDGE 1u

/** Trigger mode: reported once; then it has no interest until tg_io_set_interest. */
#define TG_ONESHOT 2u

/**
 * A descriptor is ready: ready has TG_READ … TG_HANGUP and status is 0. Or ready is 0 and status says why:
 * TG_ETIMEDOUT, no event came within the watcher's timeout; TG_EBADFD (or the system's code), the descriptor was closed or
 * lost: the watcher is stopped for good, close it.
 */
typedef void (*tg_io_cb)(tg_handle self, void *user, uint32_t ready, int status);

/** How a descriptor shall be watched. Set up with TG_IO_OPTIONS_INIT. */
typedef struct tg_io_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call (NULL on a batch loop). */
  tg_io_cb callback;
  /** Passed to the callback (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF or 0. */
  uint32_t flags;
  /** TG_LEVEL, TG_EDGE or TG_ONESHOT; the same for all watchers of a descriptor. */
  uint32_t mode;
  /** After so many nanoseconds without an event one comes with TG_ETIMEDOUT, again and again; 0 or -1: never. */
  int64_t timeout_ns;
} tg_io_options;

/**
 * Watches a descriptor of the caller's, which should not block and is not closed by the library: close the watcher first,
 * then the descriptor. Several watchers may share a descriptor; they are told in the order of opening. A regular file is
 * always ready. With no interest it is opened stopped.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: the descriptor stays the caller's; options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; unknown interest, mode or flags; a timeout below -1; no callback; functions on a batch
 * loop), TG_EBADFD (fd is not open), TG_EEXIST (another watcher uses another mode), TG_ENOTSUP (the mode is not to be had
 * here), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's, such as
 * -ENOSPC.
 */
TG_API int tg_io_open(tg_loop loop,
                      tg_fd fd,
                      uint32_t interest,
                      const struct tg_io_options *options,
                      tg_handle *out);

/**
 * What the watcher waits for from now on; 0 stops it. Changes within a turn are collected: however often it changes, the
 * kernel is told once. Also arms a TG_ONESHOT watcher again.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (unknown bits), TG_EBADFD (the descriptor was found to be closed), TG_ESTALE, TG_EKIND,
 * TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_io_set_interest(tg_handle io,
                              uint32_t interest);

/**
 * What the watcher waits for.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_io_get_interest(tg_handle io, uint32_t *out);

/**
 * Which descriptor it watches.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_io_get_fd(tg_handle io, tg_fd *out);

/**
 * After how many nanoseconds without an event one comes with TG_ETIMEDOUT; 0 or -1: never. Counts anew from now.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (below -1), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_io_set_timeout(tg_handle io,
                             int64_t timeout_ns);

/* ---- Timers ---------------------------------------------------------------- */

/** Clock of a deadline: tg_now_ns(). */
#define TG_CLOCK_MONOTONIC 0u

/** Clock of a deadline: nanoseconds since 1970. The timer follows when the clock is set. */
#define TG_CLOCK_REALTIME 1u

/** A timer is due. missed more ticks of a repeating one have passed meanwhile; they get no call of their own. */
typedef void (*tg_timer_cb)(tg_handle self, void *user, uint64_t missed);

/** What a timer shall do. Set up with TG_TIMER_OPTIONS_INIT. */
typedef struct tg_timer_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call (NULL on a batch loop). */
  tg_timer_cb callback;
  /** Passed to the callback (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF or 0. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved;
} tg_timer_options;

/**
 * Opens a timer and starts it: due delay_ns from now, then, if repeat_ns is above 0, at every multiple of that after
 * the first time, however late the calls are. With delay_ns -1 it is opened stopped. Timers are never early; they are
 * called in the order of their deadlines, equal ones in the order of starting. One that has fired once is stopped, not
 * closed: it can be started again.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; a delay below -1 or a negative repeat; unknown flags; no callback; functions on a batch
 * loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_timer_open(tg_loop loop,
                         int64_t delay_ns,
                         int64_t repeat_ns,
                         const struct tg_timer_options *options,
                         tg_handle *out);

/**
 * Starts it, or starts it anew: as in tg_timer_open.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (a negative time), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_timer_start(tg_handle timer,
                          int64_t delay_ns,
                          int64_t repeat_ns);

/**
 * Starts it for a reading of a clock: TG_CLOCK_MONOTONIC or TG_CLOCK_REALTIME. A deadline that has passed is due at once;
 * a repeating one keeps to the grid of its deadline.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (an unknown clock, a negative repeat), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
 * TG_EPANIC, -EMFILE.
 */
TG_API int tg_timer_start_at(tg_handle timer,
                             uint32_t clock,
                             int64_t deadline_ns,
                             int64_t repeat_ns);

/**
 * Stops it; harmless when it is stopped.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_timer_stop(tg_handle timer);

/**
 * Pushes it back: counts its repeat, or its delay if it has none, anew from the loop's next reading of the clock (late by
 * at most a turn, never early). A few nanoseconds: made for idle timeouts that are pushed back by every packet. Also
 * starts a stopped one.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (it was never started with a delay), TG_ENOTSUP (it is on TG_CLOCK_REALTIME), TG_ESTALE, TG_EKIND,
 * TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_timer_restart(tg_handle timer);

/**
 * How many nanoseconds until it is due: 0 when it is, -1 when it is stopped.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_timer_get_remaining_ns(tg_handle timer, int64_t *out);

/* ---- Signals --------------------------------------------------------------- */

/** A signal was delivered to the process, count times since the last call. */
typedef void (*tg_signal_cb)(tg_handle self, void *user, int signum, uint64_t count);

/** What a signal watcher shall do. Set up with TG_SIGNAL_OPTIONS_INIT. */
typedef struct tg_signal_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call (NULL on a batch loop). */
  tg_signal_cb callback;
  /** Passed to the callback (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF or 0. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved;
} tg_signal_options;

/**
 * Watches a signal. Any number of watchers in any number of loops may watch the same; each is told of every delivery, and
 * deliveries that come together are told together with their count. The process's disposition changes when the first
 * watcher is opened and goes back when the last one is closed, unless the program has changed it meanwhile. Signals of
 * faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL) are worth watching only when somebody sends them: a fault itself happens again
 * when the handler returns, without end.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; a number outside 1 to 64; unknown flags; no callback; functions on a batch loop),
 * -EINVAL (SIGKILL, SIGSTOP, and those that the C library keeps for itself), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND,
 * TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_signal_open(tg_loop loop,
                          int signum,
                          const struct tg_signal_options *options,
                          tg_handle *out);

/* ---- Other threads --------------------------------------------------------- */

/** A posted or deferred call has its turn. */
typedef void (*tg_post_cb)(tg_loop loop, void *user);

/** Somebody has sent to the handle, once or more since the last call. */
typedef void (*tg_async_cb)(tg_handle self, void *user);

/** What an async handle shall do. Set up with TG_ASYNC_OPTIONS_INIT. */
typedef struct tg_async_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call (NULL on a batch loop). */
  tg_async_cb callback;
  /** Passed to the callback (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF or 0. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved;
} tg_async_options;

/**
 * Calls a function on the loop's thread in its next turn, after those that were posted before. If the loop is freed first,
 * only release is called. On a batch loop callback and release are NULL, and a record with user comes.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: user is the library's once 0 was returned, until release, on the loop's thread, gives it back.
 * Errors: TG_EINVAL (no callback; functions on a batch loop), TG_ENOBUFS (as many wait as the loop's options allow),
 * TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_post(tg_loop loop,
                   tg_post_cb callback,
                   void *user,
                   tg_release_cb release);

/**
 * A handle through which any thread, and any signal handler, can make the loop call a function. It allocates nothing when
 * sent to; sends that come before the call are told together. While it is open it keeps the loop alive, unless TG_UNREF.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; unknown flags; no callback; functions on a batch loop), TG_ENOMEM, TG_ELIMIT,
 * TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_async_open(tg_loop loop,
                         const struct tg_async_options *options,
                         tg_handle *out);

/**
 * Makes the loop call the handle's function in its next turn. A failure leaves no words in tg_last_error: a signal handler
 * could not make them.
 *
 * Thread: any, and signal handlers.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE (not an open async handle, also when it is an open handle of another kind: a thread that is not the
 * loop's cannot tell), TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_async_send(tg_handle async);

/* ---- Hooks of the turn ----------------------------------------------------- */

/** The hook's place in the turn has come. */
typedef void (*tg_hook_cb)(tg_handle self, void *user);

/** What a hook shall do. Set up with TG_HOOK_OPTIONS_INIT. */
typedef struct tg_hook_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call (NULL on a batch loop). */
  tg_hook_cb callback;
  /** Passed to the callback (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF or 0. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved;
} tg_hook_options;

/**
 * A hook that is called just before the loop waits; opened started. Those of a kind are called in the order of starting.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; unknown flags; no callback; functions on a batch loop), TG_ENOMEM, TG_ELIMIT,
 * TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_prepare_open(tg_loop loop,
                           const struct tg_hook_options *options,
                           tg_handle *out);

/**
 * A hook that is called after the I/O of a turn; opened started.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; unknown flags; no callback; functions on a batch loop), TG_ENOMEM, TG_ELIMIT,
 * TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_check_open(tg_loop loop,
                         const struct tg_hook_options *options,
                         tg_handle *out);

/**
 * A hook that is called at the beginning of every turn; opened started. While one is started the loop does not sleep.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; unknown flags; no callback; functions on a batch loop), TG_ENOMEM, TG_ELIMIT,
 * TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_idle_open(tg_loop loop,
                        const struct tg_hook_options *options,
                        tg_handle *out);

/**
 * Starts a stopped hook, behind the others of its kind; harmless when it is started. It is called from the next time its
 * place in the turn comes.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_hook_start(tg_handle hook);

/**
 * Stops a hook; harmless when it is stopped.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_hook_stop(tg_handle hook);

/**
 * Calls a function in the loop's next turn: one that defers itself cannot starve the I/O. If the loop is freed first, only
 * release is called. On a batch loop callback and release are NULL, and a TG_RECORD_POST with user comes.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: user is the library's once 0 was returned, until release gives it back.
 * Errors: TG_EINVAL (no callback; functions on a batch loop), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
 * TG_EPANIC.
 */
TG_API int tg_defer(tg_loop loop,
                    tg_post_cb callback,
                    void *user,
                    tg_release_cb release);

/* ---- Work on other threads ------------------------------------------------- */

/**
 * What is to be done, on a thread of the loop's pool. user is that of the options. Not to be left by longjmp; a foreign
 * exception ends the process.
 */
typedef int64_t (*tg_work_fn)(void *user);

/**
 * The work is over: status is 0 and result what the function returned; or status says why it was not done:
 * TG_ECANCELED; TG_EFORKED, it was going on when the process forked and the loop was reopened in the child. The handle closes
 * when the callback returns.
 */
typedef void (*tg_work_cb)(tg_handle self, void *user, int status, int64_t result);

/** How work shall be reported. Set up with TG_WORK_OPTIONS_INIT. */
typedef struct tg_work_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call at the end (NULL on a batch loop). */
  tg_work_cb callback;
  /** Passed to the function and the callback (a batch loop: also the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF or 0. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved;
} tg_work_options;

/**
 * Runs a function on a thread of the loop's pool, for what would keep the loop waiting. Its result comes to the callback, on
 * the loop's thread, and the handle closes. Threads are started when they are needed, at most as many as the loop's
 * work_threads, and end after some seconds without work; all signals are blocked in them. Work waits in the order of these
 * calls. Closing the handle keeps work from being begun if it has not; if it has, it runs to its end unseen, and user is
 * released after that. tg_loop_free waits for work that is going on.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned, and the function's while it runs.
 * Errors: TG_EINVAL (run or out is NULL; unknown flags; no callback; functions on a batch loop), TG_ENOBUFS (max_jobs of
 * the loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (no thread can be
 * started).
 */
TG_API int tg_work_open(tg_loop loop,
                        tg_work_fn run,
                        const struct tg_work_options *options,
                        tg_handle *out);

/**
 * Keeps work (or a look-up, or an operation on files) from being begun: its callback then comes with TG_ECANCELED, in the
 * next turn.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Returns: 1 when it is cancelled (or was already), 0 when it is running or over already: then its callback comes as usual.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_handle_cancel(tg_handle handle);

/* ---- Addresses ------------------------------------------------------------- */

/** Family of an address: the name of a Unix socket. */
#define TG_UNIX 1u

/** Family of an address: IPv4. */
#define TG_IPV4 4u

/** Family of an address: IPv6. */
#define TG_IPV6 6u

/**
 * Where a socket is, or could be. Set up with tg_address_parse, tg_address_unix or tg_address_from_sockaddr, or by hand from
 * zeroes: a member that is not of its family must be 0 (TG_EINVAL), but for what stands behind the end of path.
 */
typedef struct tg_address {
  /** TG_IPV4, TG_IPV6 or TG_UNIX. */
  uint32_t family;
  /** In the machine's byte order; 0 for Unix sockets. */
  uint16_t port;
  /** Unix sockets: how many bytes of path there are; 0 for one without a name. Else 0. */
  uint16_t path_length;
  /** IPv6: the number of the interface that a link-local address belongs to. Else 0. */
  uint32_t scope;
  /** The address as it stands in packets: 4 or 16 bytes, the others 0. */
  uint8_t ip[16];
  /** Unix sockets: the path, or a zero byte and an abstract name (Linux). */
  char path[108];
} tg_address;

/**
 * Reads a numeric address: "127.0.0.1", "::1", "fe80::1%2" (2 is the interface's number). Names are not looked up: that is
 * tg_resolve_open's work.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's.
 * Errors: TG_EINVAL (NULL, or not a numeric address), TG_EPANIC.
 */
TG_API int tg_address_parse(const char *text,
                            uint16_t port,
                            struct tg_address *out);

/**
 * The name of a Unix socket: a path, or an abstract name that begins with a zero byte.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's.
 * Errors: TG_EINVAL (NULL; a path of more than 107 bytes or with a zero byte in it; an abstract name of more than 108), TG_EPANIC.
 */
TG_API int tg_address_unix(const char *name,
                           size_t length,
                           struct tg_address *out);

/**
 * Writes an address in words: "127.0.0.1:80", "[::1]:80", or the bytes of a Unix socket's name as they are, but for "@" in the
 * place of zeroes (with which abstract names begin); 128 bytes are always enough.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's.
 * Returns: how many bytes the text has without the zero at its end.
 * Errors: TG_EINVAL (NULL, or not an address), TG_ENOBUFS (size is too small), TG_EPANIC.
 */
TG_API int tg_address_format(const struct tg_address *address,
                             char *text,
                             size_t size);

/**
 * From a struct sockaddr_in, sockaddr_in6 or sockaddr_un.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's.
 * Errors: TG_EINVAL (NULL, an unknown family, or too short), TG_EPANIC.
 */
TG_API int tg_address_from_sockaddr(const void *sockaddr, size_t length, struct tg_address *out);

/**
 * As a struct sockaddr_in, sockaddr_in6 or sockaddr_un; a struct sockaddr_storage has room for all of them.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's.
 * Returns: how many bytes it has.
 * Errors: TG_EINVAL (NULL, or not an address), TG_ENOBUFS (size is too small), TG_EPANIC.
 */
TG_API int tg_address_to_sockaddr(const struct tg_address *address,
                                  void *sockaddr,
                                  size_t size);

/* ---- Connections: how they behave ------------------------------------------ */

/**
 * Flag of tg_conn_options: reading goes on although more than the high watermark waits to be written. For a program that sends
 * much in one piece to a peer that answers before it has all of it: when both ends wait for the other to read, neither does,
 * until the write timeout ends it.
 */
#define TG_CONN_READ_ON 16u

/** Flag of tg_conn_options: small writes wait for each other (Nagle's algorithm); without, they are sent at once. */
#define TG_CONN_DELAY 32u

/** Flag of tg_conn_options: the peer of a silent TCP connection is probed. */
#define TG_CONN_KEEP_ALIVE 64u

/**
 * Flag of tg_conn_options: the library tells that there is something to read, and the program reads it with tg_conn_read.
 * Goes with on_readable; batch loops ask for it by this flag. There are neither frames nor passed descriptors then.
 */
#define TG_CONN_PULL 128u

/** Flag of tg_conn_open: the library works on a duplicate, and the descriptor stays the caller's. */
#define TG_CONN_DUPLICATE 256u

/**
 * Flag of tg_conn_options: descriptors that the peer of a Unix socket passes are taken. Goes with on_descriptors; batch
 * loops ask for it by this flag.
 */
#define TG_CONN_DESCRIPTORS 512u

/** Framing: whatever has arrived, as it arrives. */
#define TG_FRAMING_NONE 0u

/** Framing: lines, without their line feed and a carriage return before it. A last line without line feed is one, too. */
#define TG_FRAMING_LINES 1u

/** Framing: one byte says how many follow. */
#define TG_FRAMING_LENGTH8 2u

/** Framing: two bytes in network order say how many follow. */
#define TG_FRAMING_LENGTH16 3u

/** Framing: four bytes in network order say how many follow. */
#define TG_FRAMING_LENGTH32 4u

/** Framing: eight bytes in network order say how many follow. */
#define TG_FRAMING_LENGTH64 5u

/** Flag added to TG_FRAMING_LENGTH…: the lowest byte of the length comes first. */
#define TG_FRAMING_LITTLE_ENDIAN 256u

/** Time that is over: nothing was received for so long. */
#define TG_TIMEOUT_READ 1u

/** Time that is over: of what waits to be written the peer has taken nothing for so long. */
#define TG_TIMEOUT_WRITE 2u

/** Time that is over: nothing has come or gone for so long. */
#define TG_TIMEOUT_IDLE 3u

/** Something has come about on a connection: it is open, readable, at the peer's end, or drained. */
typedef void (*tg_conn_cb)(tg_handle self, void *user);

/** A connection has received bytes, or a whole frame. The memory is the library's, and valid until the callback returns. */
typedef void (*tg_conn_data_cb)(tg_handle self, void *user, const void *data, size_t length);

/** Everything accepted before a tg_conn_mark was passed to the system (status 0), or will not be (why). */
typedef void (*tg_conn_written_cb)(tg_handle self, void *user, uint64_t token, int status);

/** A time is over: which is TG_TIMEOUT_… It counts anew unless the connection is closed. */
typedef void (*tg_conn_timeout_cb)(tg_handle self, void *user, uint32_t which);

/**
 * A connection is over. reason 0: both directions ended in good order, and everything accepted was passed on. Else it may
 * not have been: TG_ETIMEDOUT; TG_EFRAME; TG_ENOMEM; the system's, such as -ECONNRESET, -EPIPE, -ECONNREFUSED. If something
 * still waited to be written, the peer sees a reset instead of an end. The handle closes when the callback returns.
 */
typedef void (*tg_conn_close_cb)(tg_handle self, void *user, int reason);

/**
 * The peer of a Unix socket has passed descriptors: count of them, with the bytes that on_data is called with next. (The
 * system tells of them by the read that they end. Frames before the one they came with may be in the same read, and then come
 * after them: a protocol with frames says in the frame that it is about the descriptors before it.) From now on they are the
 * program's to close. When the system has no numbers left for all of them, none comes, and the
 * connection ends with -EMFILE.
 */
typedef void (*tg_conn_descriptors_cb)(tg_handle self, void *user, const tg_fd *descriptors, size_t count);

/**
 * How a connection behaves. Set up with TG_CONN_OPTIONS_INIT. All callbacks may be NULL. In the numbers 0 stands for the
 * default, and in times -1 for ever.
 */
typedef struct tg_conn_options {
  /** The size of the structure. */
  size_t size;
  /** It is connected, accepted or opened. */
  tg_conn_cb on_open;
  /** It has received something. NULL: what arrives is dropped. */
  tg_conn_data_cb on_data;
  /** There is something to read for tg_conn_read; told again in every turn as long as there is. Instead of on_data. */
  tg_conn_cb on_readable;
  /** The peer has ended its direction. NULL: tg_conn_finish is called (on a batch loop a record comes, and the program does it). */
  tg_conn_cb on_eof;
  /** What waits to be written has come down to the low watermark after it was above the high one. */
  tg_conn_cb on_drain;
  /** See tg_conn_mark. */
  tg_conn_written_cb on_written;
  /** A time is over. NULL: the connection is closed with TG_ETIMEDOUT (on a batch loop a record comes, and the program closes it). */
  tg_conn_timeout_cb on_timeout;
  /** It is over. It does not come after tg_close and tg_conn_abort. */
  tg_conn_close_cb on_close;
  /** The peer of a Unix socket has passed descriptors. NULL: the system closes them. */
  tg_conn_descriptors_cb on_descriptors;
  /** Passed to the callbacks (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF, TG_CONN_… or 0. */
  uint32_t flags;
  /** TG_FRAMING_… */
  uint32_t framing;
  /**
   * The longest frame in bytes; a longer one ends the connection with TG_EFRAME, and so does one with a
   * length that the peer's end cuts off. Default: 65,536. Batch loops: at most that.
   */
  size_t max_frame;
  /**
   * Above so many bytes waiting to be written the connection's own reading rests, and writes return 1. Each completion mark
   * and each buffer of tg_conn_write_owned that waits counts 128 more, each file and passed descriptor 16 KiB. Default: 1 MiB.
   */
  size_t high_watermark;
  /** Down to so many, on_drain is called and reading goes on. Default: a quarter of the high watermark. */
  size_t low_watermark;
  /**
   * Writes that would let more wait, counted as for the high watermark, are refused with TG_ENOBUFS, and so is a single one
   * that is longer, although the system might take it at once. Default: 64 MiB, or four times the high watermark if that is
   * more.
   */
  size_t limit;
  /** How long connecting may take, in nanoseconds. Default: 30 s. Being over, it closes with TG_ETIMEDOUT. */
  int64_t connect_timeout_ns;
  /** How long nothing may be received while reading is not paused. Default: for ever (the idle timeout is the one that counts). */
  int64_t read_timeout_ns;
  /**
   * How long the peer may take nothing while something waits to be written here; what it takes from the system's buffer counts
   * (where the system tells: Linux). What waits in that buffer only is the idle timeout's matter. Default: 60 s.
   */
  int64_t write_timeout_ns;
  /**
   * How long nothing may come or go; what the peer takes from the system counts as for the write timeout. Where that counts, it
   * is never early, and may be late by as much again. Default: 1 h.
   */
  int64_t idle_timeout_ns;
  /**
   * How long tg_conn_finish waits for the peer's end once everything is written (until then the write timeout counts), and the
   * peer takes no more of it.
   * Default: 30 s. Being over, it closes with TG_ETIMEDOUT.
   */
  int64_t linger_ns;
} tg_conn_options;

/* ---- Connections ----------------------------------------------------------- */

/**
 * Makes a connection of a descriptor: a connected stream socket of any kind, a pipe, a terminal, a serial line. From now on
 * it belongs to the library (but see TG_CONN_DUPLICATE) and does not block. A terminal or pipe that is shared with other
 * processes goes on blocking for them where the system lets us open it anew (Linux); where not, it is made to block again
 * when the connection is closed. A descriptor that was opened for one direction only is at its end in the other. Programs that
 * are started do not get it, and a TCP socket has TCP_NODELAY (unless TG_CONN_DELAY), SO_KEEPALIVE (if TG_CONN_KEEP_ALIVE) and
 * SO_OOBINLINE from now on. Data flows from the next turn on.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: fd (without TG_CONN_DUPLICATE) and options->user are the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; a number of the options is out of range; on_readable beside on_data, framing or
 * on_descriptors; TG_CONN_PULL without on_readable; functions on a batch loop; a directory, a datagram socket, a socket that
 * listens), TG_EBADFD, TG_EEXIST (it is being watched, or belongs to a handle), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND,
 * TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EMFILE (TG_CONN_DUPLICATE). That a socket is not connected, or not any more, comes
 * by on_close.
 */
TG_API int tg_conn_open(tg_loop loop,
                        tg_fd fd,
                        const tg_conn_options *options,
                        tg_handle *out);

/**
 * Connects to an address, numeric or of a Unix socket. The connection is there at once and can be written to: what is written
 * goes out when it is connected, which on_open tells. A failure comes by on_close, except what the system refuses at once.
 * For names see tg_conn_connect_name.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned; the rest is copied.
 * Errors: TG_EINVAL (address or out is NULL, or not an address; a number of the options is out of range), TG_ENOMEM,
 * TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and what the system refuses at once:
 * -ECONNREFUSED, -ENOENT, -EINVAL (an empty path), -EPROTOTYPE (a datagram socket's path) and -EAGAIN (as many wait to be
 * accepted as the server allows: try again later) of Unix sockets, -ENETUNREACH, -EADDRNOTAVAIL, -EACCES, -EMFILE, -ENFILE.
 */
TG_API int tg_conn_connect(tg_loop loop,
                           const tg_address *address,
                           const tg_conn_options *options,
                           tg_handle *out);

/**
 * Connects to a host by its name: the name is looked up on a thread, then its addresses of both families are tried in turns,
 * each with a head start of 250 ms before the next one (RFC 8305); the first to succeed becomes the connection. on_open tells
 * of it; until then every call but those of all handles and tg_conn_abort answers -ENOTCONN. A failure comes by on_close:
 * TG_ENONAME, TG_ETRYAGAIN, TG_ERESOLVE, -EMFILE, TG_ETIMEDOUT (the connect timeout counts for all of it), or what the last
 * address answered. tg_close ends it at any moment.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned; the rest is copied.
 * Errors: TG_EINVAL (a NULL; a name of more than 1,024 bytes; a port of 0 or above 65,535; a number of the options is out of range),
 * TG_ENOBUFS (max_jobs of the loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC,
 * -EAGAIN (no thread can be started).
 */
TG_API int tg_conn_connect_name(tg_loop loop,
                                const char *host,
                                const char *service,
                                const tg_conn_options *options,
                                tg_handle *out);

/* ---- Connections: writing -------------------------------------------------- */

/**
 * Writes bytes: what the system takes goes out at once, the rest when it takes more. Everything is accepted or nothing is;
 * what was accepted arrives in order, or on_close says that it may not have.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: data is copied as far as it has to wait.
 * Returns: 0, or 1 when more than the high watermark waits now: wait for on_drain before writing more.
 * Errors: TG_EINVAL (data is NULL, or length is impossible), TG_ENOBUFS (more than the limit would wait), TG_ENOMEM, TG_ESTALE, TG_EKIND,
 * TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name), -EPIPE (after tg_conn_shutdown or
 * tg_conn_finish, or the connection is over); -EPIPE, -ECONNRESET and the like when the system refuses: then the connection is
 * over, after what the peer had sent before was delivered (unless reading is paused).
 */
TG_API int tg_conn_write(tg_handle conn,
                         const void *data,
                         size_t length);

/**
 * The same with several pieces, at most 1,024, as if they were one.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: the pieces are copied as far as they have to wait.
 * Returns: 0, or 1 when more than the high watermark waits now.
 * Errors: TG_EINVAL (a NULL or an impossible length; more than 1,024 pieces), and as tg_conn_write.
 */
TG_API int tg_conn_writev(tg_handle conn, const tg_buffer *buffers, size_t count);

/**
 * Writes bytes without copying them: the memory is the library's until free gives it back. With a NULL free it must stay
 * as it is as long as the connection lives. Until it is given back it counts its bytes and 128 more for the watermarks and the
 * limit.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: data is the library's once 0 or 1 was returned, until free(data, length, argument, status), which comes
 * before the connection's own release.
 * Returns: 0, or 1 when more than the high watermark waits now.
 * Errors: as tg_conn_write.
 */
TG_API int tg_conn_write_owned(tg_handle conn,
                               void *data,
                               size_t length,
                               tg_free_cb free,
                               void *argument);

/**
 * Sends a part of a file behind what waits, by the kernel alone where it can (Linux: sendfile). A file that turns out to be
 * shorter ends the connection with -EIO. While it waits it counts 16 KiB for the watermarks and the limit, whatever its length:
 * it takes no memory, but a descriptor.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: file stays the caller's, who may close it at once: the library works on a duplicate.
 * Returns: 0, or 1 when more than the high watermark waits now: wait for on_drain before sending more.
 * Errors: TG_EINVAL (a negative offset; a length below -1; an end above INT64_MAX; not a regular file that is open for
 * reading), TG_EBADFD, TG_ENOBUFS (more than the limit waits already), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD,
 * TG_EFORKED, TG_EPANIC, -EPIPE (after tg_conn_shutdown or tg_conn_finish, or the connection is over), -EMFILE, -ENOTCONN (not
 * open yet, by name).
 */
TG_API int tg_conn_send_file(tg_handle conn,
                             tg_fd file,
                             int64_t offset,
                             int64_t length);

/**
 * Passes descriptors to the peer of a Unix socket with the first of some bytes (at least one), behind what waits. The peer
 * gets duplicates. Each counts 16 KiB for the watermarks and the limit while it waits.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's, who may close the descriptors at once: the library works on duplicates.
 * Returns: 0, or 1 when more than the high watermark waits now.
 * Errors: TG_EINVAL (a NULL; no descriptors or more than 253; no bytes; not a Unix socket), TG_EBADFD, TG_ENOBUFS, TG_ENOMEM,
 * TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EPIPE, -EMFILE, -ENOTCONN (not open yet, by name).
 */
TG_API int tg_conn_write_descriptors(tg_handle conn,
                                     const tg_fd *descriptors,
                                     size_t count,
                                     const void *data,
                                     size_t length);

/**
 * Marks a place in what is written: on_written comes with the token when everything accepted until now was passed to the
 * system, or will not be. Until then it counts 128 bytes for the watermarks and the limit.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ENOBUFS (more than the limit waits already), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
 * TG_EPANIC, -EPIPE (the connection is over), -ENOTCONN (not open yet, by name).
 */
TG_API int tg_conn_mark(tg_handle conn,
                        uint64_t token);

/* ---- Connections: reading, pausing, ending --------------------------------- */

/**
 * Reads into memory of the caller's, on a connection with on_readable (or TG_CONN_PULL): what is there, at most size
 * bytes, without waiting.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: buffer stays the caller's.
 * Returns: how many bytes were read; 0 when the peer has ended its direction (or size is 0).
 * Errors: TG_EINVAL (buffer is NULL), TG_EBUSY (the data of this connection comes to on_data), TG_ESTALE, TG_EKIND,
 * TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (nothing is there, or its rate limit is used up), -ENOTCONN (not open yet, by
 * name, or being finished); -ECONNRESET and the like, after which the connection is over.
 */
TG_API int tg_conn_read(tg_handle conn,
                        void *buffer,
                        size_t size);

/**
 * Pauses reading: what the peer sends stays with the system, which slows the peer down. Its end waits, too, and that it has
 * reset the connection, unless something is written.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name).
 */
TG_API int tg_conn_pause(tg_handle conn);

/**
 * Resumes reading; harmless when it is not paused.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name).
 */
TG_API int tg_conn_resume(tg_handle conn);

/**
 * Ends our direction when everything accepted is written (half-close); further writes are refused with -EPIPE. Reading goes
 * on. When the peer ends its direction as well, the connection is over with reason 0. What another one that is relayed into it
 * still receives breaks the relay.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name).
 */
TG_API int tg_conn_shutdown(tg_handle conn);

/**
 * Ends a connection in good order and loses nothing: writes what was accepted, ends our direction, and reads and discards
 * until the peer ends its own or the linger time, which begins then, is over. Then on_close comes. (Closing at once, while
 * the peer is still sending, would reset the connection, and the peer might never see the last of what was written.) One that
 * is relayed into it is finished, too, as nothing takes what it receives any more; one into which it is relayed gets the end.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name).
 */
TG_API int tg_conn_finish(tg_handle conn);

/**
 * Closes a connection as tg_close does, and resets it: the peer sees an error instead of an end. (With TCP: pipes and Unix
 * sockets know no reset, and their peers see an end.)
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_conn_abort(tg_handle conn);

/**
 * Relays two connections into each other: what one receives is written to the other, inside the library, and reading from
 * one rests while more than the high watermark waits in the other. The end of one becomes the end of our direction of the
 * other; when both have ended, both are over with reason 0. When one breaks, the other is reset (as by tg_conn_abort) and over
 * for the same reason; when one is closed in the middle, for TG_ECANCELED. When the peer of one takes nothing any more (-EPIPE), what it has
 * sent still passes, and what would go to it is dropped: at its end the other one is finished, with the same reason if anything
 * was dropped. tg_conn_finish on one finishes both. on_data and on_readable do not come any more, and what is
 * held behind a frame that is being delivered passes on when its callback returns; the rest stays as it was. The other
 * one's limit is not looked at: at most one read comes on top of its high watermark.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (twice the same, or of different loops), TG_EEXIST (one is relayed already), TG_ENOBUFS (more is held than
 * the limit of the other one), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EPIPE (one is being
 * finished, or over), -ENOTCONN (not open yet, by name).
 */
TG_API int tg_conn_pipe(tg_handle conn,
                        tg_handle other);

/**
 * Relays one connection into another, one way: as tg_conn_pipe does with each direction. When the peer of to takes nothing
 * any more, from is reset.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: as tg_conn_pipe, -ENOTCONN (not open yet, by name).
 */
TG_API int tg_conn_forward(tg_handle from,
                           tg_handle to);

/* ---- Connections: settings and counters ------------------------------------ */

/** Option: small writes are sent at once (TCP); 0 or 1. */
#define TG_OPTION_NO_DELAY 1u

/** Option: the peer of a silent connection is probed; 0 or 1. */
#define TG_OPTION_KEEP_ALIVE 2u

/** Option: how many bytes the system keeps for sending. */
#define TG_OPTION_SEND_BUFFER 3u

/** Option: how many bytes the system keeps of what has arrived. */
#define TG_OPTION_RECEIVE_BUFFER 4u

/** Option: how many routers a packet may pass; 1 to 255. */
#define TG_OPTION_TTL 5u

/** The times of a connection. Set up with TG_CONN_TIMEOUTS_INIT; 0: the default, -1: for ever, as in tg_conn_options. */
typedef struct tg_conn_timeouts {
  /** The size of the structure. */
  size_t size;
  /** How long connecting may take. */
  int64_t connect_ns;
  /** How long nothing may be received while reading is not paused. */
  int64_t read_ns;
  /** How long the peer may take nothing of what waits to be written. */
  int64_t write_ns;
  /** How long nothing may come or go. */
  int64_t idle_ns;
  /** How long tg_conn_finish waits for the peer's end once everything is written. */
  int64_t linger_ns;
} tg_conn_timeouts;

/** What a connection has done so far. */
typedef struct tg_conn_stats {
  /** Set by the caller to the size of the structure. */
  size_t size;
  /** Bytes received. */
  uint64_t bytes_in;
  /** Bytes passed to the system. */
  uint64_t bytes_out;
  /** Bytes accepted and still waiting, those of files included. */
  uint64_t queued;
  /** When it was opened, on tg_now_ns's clock. */
  int64_t opened_ns;
} tg_conn_stats;

/**
 * Changes the times of a connection; they count anew from now.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: timeouts is copied.
 * Errors: TG_EINVAL (a time below -1), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not
 * open yet, by name).
 */
TG_API int tg_conn_set_timeouts(tg_handle conn,
                                const struct tg_conn_timeouts *timeouts);

/**
 * Changes how what arrives is cut into pieces: TG_FRAMING_…, and the longest frame in bytes (0: 65,536). It holds for what was
 * not delivered yet.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (an unknown number; a batch loop and more than 65,536 bytes), TG_ENOMEM, TG_ESTALE, TG_EKIND,
 * TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name).
 */
TG_API int tg_conn_set_framing(tg_handle conn,
                               uint32_t framing,
                               size_t max_frame);

/**
 * Changes the watermarks and the limit, in bytes; 0: the defaults, as in tg_conn_options.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (unless low ≤ high ≤ limit), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not
 * open yet, by name).
 */
TG_API int tg_conn_set_watermarks(tg_handle conn,
                                  size_t low,
                                  size_t high,
                                  size_t limit);

/**
 * What a connection has done so far. out->size is set by the caller (TG_CONN_STATS_INIT).
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL, or its size is not set), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC,
 * -ENOTCONN (not open yet, by name).
 */
TG_API int tg_conn_get_stats(tg_handle conn,
                             struct tg_conn_stats *out);

/**
 * Its descriptor, for options that the library has no words for. It must not be closed, read or written.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's; the descriptor stays the library's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by
 * name).
 */
TG_API int tg_conn_get_fd(tg_handle conn,
                          tg_fd *out);

/**
 * The address of our end: of IPv4 when the peer's is, whatever the socket's family.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTSOCK, -ENOTCONN (not
 * open yet, by name).
 */
TG_API int tg_conn_get_local(tg_handle conn,
                             tg_address *out);

/**
 * The address of the peer: of IPv4 when it comes from there, whatever the socket's family. The system forgets it when the connection breaks: what a listener accepts comes with it, which is
 * the time to keep it.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN, -ENOTSOCK.
 */
TG_API int tg_conn_get_peer(tg_handle conn,
                            tg_address *out);

/**
 * Sets an option of the socket that a connection is: TG_OPTION_…
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (an unknown option, a value out of its range), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
 * TG_EPANIC, -ENOTCONN, -ENOTSOCK, -EOPNOTSUPP (not with this protocol).
 */
TG_API int tg_conn_set_option(tg_handle conn,
                              uint32_t option,
                              int value);

/**
 * What an option of the socket that a connection is is set to: TG_OPTION_… (Linux answers twice what a buffer was set to.)
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL, an unknown option), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC,
 * -ENOTCONN, -ENOTSOCK, -EOPNOTSUPP (not with this protocol).
 */
TG_API int tg_conn_get_option(tg_handle conn,
                              uint32_t option,
                              int *out);

/**
 * Columns and rows of the terminal that a connection is.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: the out-parameters stay the caller's.
 * Errors: TG_EINVAL (a NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTTY, -ENOTCONN (not open yet,
 * by name).
 */
TG_API int tg_conn_get_window_size(tg_handle conn,
                                   uint16_t *columns,
                                   uint16_t *rows);

/**
 * Makes the terminal that a connection is hand over each key as it is typed, without echo (1), or treat lines as it did
 * before (0). Closing the connection does that, too.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (neither 0 nor 1), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTTY, -ENOTCONN (not
 * open yet, by name).
 */
TG_API int tg_conn_set_raw(tg_handle conn,
                           int raw);

/* ---- Listeners ------------------------------------------------------------- */

/** Flag of tg_listener_options: refuse the address while connections of an earlier server are not forgotten. */
#define TG_LISTENER_NO_REUSE_ADDRESS 16u

/** Flag of tg_listener_options: share the port with other listeners that ask for this; the system spreads the connections. */
#define TG_LISTENER_REUSE_PORT 32u

/** Flag of tg_listener_options: an IPv6 listener takes no IPv4 connections. */
#define TG_LISTENER_V6_ONLY 64u

/**
 * Flag of tg_listener_options: connections for which there is no descriptor are taken and closed, instead of waiting until
 * there is one.
 */
#define TG_LISTENER_SHED 128u

/**
 * A listener has accepted a connection from peer: of IPv4 when it comes from there, although the listener be one of IPv6; a
 * Unix address without a name when the peer has none. conn is open, with the callbacks of tg_listener_options.conn; give it
 * a user of its own by tg_handle_set_user, or close it.
 */
typedef void (*tg_accept_cb)(tg_handle self, void *user, tg_handle conn, const tg_address *peer);

/**
 * A listener could not accept. -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, TG_ENOMEM: there is no room at present; it rests, and goes
 * on by itself within an eighth of a second or when one of its connections is closed. Anything else: it rests until it is
 * closed.
 */
typedef void (*tg_listener_error_cb)(tg_handle self, void *user, int status);

/**
 * How a listener behaves. Set up with TG_LISTENER_OPTIONS_INIT. All callbacks may be NULL. In the numbers 0 stands for the
 * default.
 */
typedef struct tg_listener_options {
  /** The size of the structure. */
  size_t size;
  /** A connection was accepted. */
  tg_accept_cb on_accept;
  /** A connection could not be accepted. */
  tg_listener_error_cb on_error;
  /** Passed to the callbacks (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /**
   * What accepted connections are like; NULL: the defaults. Copied. Its user is passed to their callbacks until
   * tg_handle_set_user gives them another; its release must be NULL, because it would come once a connection.
   */
  const tg_conn_options *conn;
  /** TG_UNREF, TG_LISTENER_… or 0. */
  uint32_t flags;
  /** How many connections may wait in the system to be accepted. Default: 4,096 (the system may allow fewer). */
  uint32_t backlog;
  /** At so many open connections, at most 16,777,216, accepting rests until one is closed. Default: 65,536. */
  uint32_t max_conns;
  /** The permissions of a Unix socket's file, such as 0600; 0: as the process makes files. Of other addresses 0. */
  uint32_t mode;
  /** How many connections may be accepted a turn, so that a rush leaves those that are there their turn. Default: 64. */
  uint32_t accepts_per_turn;
  /** 0. */
  uint32_t reserved;
} tg_listener_options;

/**
 * Listens on an address and accepts connections: TCP over IPv4 or IPv6 (:: takes IPv4, too, unless TG_LISTENER_V6_ONLY),
 * a Unix socket by its path or abstract name. Port 0 lets the system choose; tg_listener_get_local tells which. The file
 * that a dead server has left under a Unix path is replaced, that of a living one is -EADDRINUSE; closing removes the file,
 * if it is still ours (in the process that has opened it, not in those that it has forked). A server that has bound its path and does not listen yet looks like a dead one: those that may be
 * started at the same moment need an abstract name or a lock of their own.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned; the rest is copied.
 * Errors: TG_EINVAL (address or out is NULL, or not an address; unknown flags, or TG_LISTENER_V6_ONLY without IPv6,
 * TG_LISTENER_REUSE_PORT without TCP; a number out of range; members of conn that contradict each other, see tg_conn_open; a
 * release for accepted connections; functions on a batch loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
 * TG_EPANIC, -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -ENOENT (a path in a directory that is not there), -ENODEV (the scope is
 * no interface), -EAFNOSUPPORT, -EMFILE, -ENFILE.
 */
TG_API int tg_listener_open(tg_loop loop,
                            const tg_address *address,
                            const struct tg_listener_options *options,
                            tg_handle *out);

/**
 * Accepts connections on a socket that listens already, such as one that was inherited (socket activation). It does not
 * block from now on. What the system was told about it before stays; backlog, mode and the flags about addresses must
 * be 0.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: fd and options->user are the library's once 0 was returned.
 * Errors: TG_EINVAL (not a listening stream socket; and as tg_listener_open), TG_EBADFD, TG_EEXIST (it is being watched),
 * TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_listener_adopt(tg_loop loop,
                             tg_fd fd,
                             const struct tg_listener_options *options,
                             tg_handle *out);

/**
 * Pauses accepting: connections wait in the system.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_listener_pause(tg_handle listener);

/**
 * Resumes accepting; harmless when it is not paused.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_listener_resume(tg_handle listener);

/**
 * Ends a listener in good order: accepts the connections that wait in the system's queue, then closes. Closing it at once
 * (tg_close) would reset them. At max_conns it waits for room first. Those whose connecting is under way at the moment of
 * closing are reset. One that fails for good meanwhile closes after on_error. Connections that it has accepted live on in
 * either case.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_listener_finish(tg_handle listener);

/**
 * How many of the connections that it has accepted are open.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_listener_get_conns(tg_handle listener, uint32_t *out);

/**
 * The address that it listens on, with the port that the system has chosen.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_listener_get_local(tg_handle listener, tg_address *out);

/**
 * Its socket, for options that the library has no words for. It must not be closed or accepted from.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's; the socket stays the library's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_listener_get_fd(tg_handle listener, tg_fd *out);

/* ---- Rate limits ----------------------------------------------------------- */

/** A rate limit. Set up with TG_RATE_OPTIONS_INIT. */
typedef struct tg_rate_options {
  /** The size of the structure. */
  size_t size;
  /** Only carried. */
  void *user;
  /** Gives user back; may be NULL (a batch loop: must be). */
  tg_release_cb release;
  /** Bytes that may be read a second; 0: no limit. */
  uint64_t read;
  /** Bytes that may be written a second; 0: no limit. */
  uint64_t write;
  /** Bytes that may be read at once after a pause; 0: a second's. */
  uint64_t read_burst;
  /** Bytes that may be written at once after a pause; 0: a second's. */
  uint64_t write_burst;
} tg_rate_options;

/**
 * Opens a rate limit: connections that join it (tg_conn_join_rate) together read and write no faster. One connection by
 * itself, or a whole group, is slowed down by its peers' being slowed down: nothing is lost. It never keeps a loop alive.
 * Closing it frees its connections of it.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; a release on a batch loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD,
 * TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_rate_open(tg_loop loop,
                        const struct tg_rate_options *options,
                        tg_handle *out);

/**
 * Changes a rate limit; what may come at once is there in full. user and release of the options must be NULL.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options is copied.
 * Errors: TG_EINVAL (a user or release), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_rate_set_limits(tg_handle rate,
                              const struct tg_rate_options *options);

/**
 * Lets a connection obey a rate limit, besides another one that it may obey: its own, and a group's.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (of different loops), TG_EEXIST (it obeys it already), TG_ENOBUFS (it obeys two others), TG_ESTALE,
 * TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOTCONN (not open yet, by name).
 */
TG_API int tg_conn_join_rate(tg_handle conn,
                             tg_handle rate);

/**
 * Lets a connection go without a rate limit.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ENOENT (it does not obey it), TG_ESTALE (one of them is closed), TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
 * TG_EPANIC, -ENOTCONN (not open yet, by name).
 */
TG_API int tg_conn_leave_rate(tg_handle conn,
                              tg_handle rate);

/* ---- Groups of loops ------------------------------------------------------- */

/**
 * Called on the thread of one of a group's loops: at its start, before it runs (a negative result ends the whole group and
 * is what tg_group_new returns), and when it is being stopped, to finish what would otherwise stay open.
 */
typedef int (*tg_group_cb)(tg_loop loop, void *user, uint32_t index);

/** A group of loops. Set up with TG_GROUP_OPTIONS_INIT. */
typedef struct tg_group_options {
  /** The size of the structure. */
  size_t size;
  /** Called on each thread at its start; may be NULL. */
  tg_group_cb on_start;
  /** Called on each thread when the group is being stopped; may be NULL. Its result counts for nothing. */
  tg_group_cb on_stop;
  /** Passed to the callbacks, from all threads. */
  void *user;
  /** Gives user back, on the thread that frees the group; may be NULL. */
  tg_release_cb release;
  /** Where each loop listens (Unix sockets cannot be shared like this); NULL: nowhere. Copied. */
  const tg_address *address;
  /** How; its callbacks come from all threads, and its release must be NULL. Copied, with what its conn points to. */
  const tg_listener_options *listener;
  /** What the loops are like; NULL: the defaults. Not TG_LOOP_BATCH. Copied. */
  const tg_loop_options *loop_options;
  /** How many loops, each with a thread, at most 256; 0: as many as there are processors. */
  uint32_t loops;
  /** 0. */
  uint32_t reserved;
} tg_group_options;

/** What the loops of a group have done, together. Times in nanoseconds. */
typedef struct tg_group_stats {
  /** Set by the caller to the size of the structure. */
  size_t size;
  /** Loops that are running. */
  uint64_t loops;
  /** Connections open now. */
  uint64_t conns;
  /** Handles open now. */
  uint64_t handles;
  /** Turns. */
  uint64_t turns;
  /** Events and posts delivered. */
  uint64_t events;
  /** Time spent outside the wait. */
  int64_t busy_ns;
  /** Time spent waiting. */
  int64_t idle_ns;
  /** The largest lag of a timer. */
  int64_t max_lag_ns;
  /** The largest share of one loop in the connections open now, in thousandths; 1,000 when there are none. */
  uint64_t largest_share;
} tg_group_stats;

/**
 * Makes a group: so many loops, each on a thread of its own, which listen on the same address; the system spreads the
 * connections among them. It returns when all of them run, or with the first failure. The system lets further programs of the
 * same user listen on that port in the same way, so a server that is started twice is not told by -EADDRINUSE.
 *
 * Each loop is an ordinary one, which belongs to its thread: callbacks of its handles come there, and other threads reach it
 * by tg_post and the like (tg_group_get_loop). It runs until the group is stopped, or something stops that loop.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned, until tg_group_free.
 * Errors: TG_EINVAL (out is NULL; more than 256 loops; a Unix address; TG_LOOP_BATCH; a release for listeners or
 * connections; and as tg_listener_open and tg_loop_new), TG_ELIMIT, TG_ENOMEM, TG_EPANIC, -EAGAIN (no thread can be started),
 * -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EMFILE, -ENFILE, and what on_start returns.
 */
TG_API int tg_group_new(const struct tg_group_options *options,
                        tg_group *out);

/**
 * Stops a group in good order, and returns at once: each loop stops accepting (those who wait in the system's queue are
 * accepted first), on_stop is called on each thread, and each loop ends when nothing keeps it alive, or when timeout_ns
 * have passed: then its connections are reset. tg_group_join waits for that. Another call can only shorten the time.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (a time below -1; -1 is for ever), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_group_stop(tg_group group,
                         int64_t timeout_ns);

/**
 * Waits until every loop of a group has ended and its thread is gone.
 *
 * Thread: any but those of the group.
 * Callable from callbacks: no, not of the group's loops.
 * Errors: TG_EREENTRANT (on a thread of the group), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_group_join(tg_group group);

/**
 * Frees a group: stops it without waiting for connections to finish, waits for its threads, and gives user back. In a forked
 * child, where there are no threads, it frees the child's copies of the loops as tg_loop_free does, and gives user back. A
 * child that was forked on a thread of the group is inside the callback that forked, and cannot free it there.
 *
 * Thread: any but those of the group.
 * Callable from callbacks: no, not of the group's loops.
 * Errors: TG_EREENTRANT (on a thread of the group, also in a child that was forked there), TG_ESTALE, TG_EKIND, TG_EPANIC.
 */
TG_API int tg_group_free(tg_group group);

/**
 * One of the loops, for tg_post and what else any thread may do.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's; the loop stays the group's and must not be freed.
 * Errors: TG_EINVAL (out is NULL, or there are fewer loops), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_group_get_loop(tg_group group, uint32_t index, tg_loop *out);

/**
 * The address that the loops listen on, with the port that the system has chosen.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ENOENT (the group does not listen), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_group_get_local(tg_group group,
                              tg_address *out);

/**
 * What the loops have done, together, as of their last turns. out->size is set by the caller (TG_GROUP_STATS_INIT).
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL, or its size is not set), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_group_get_stats(tg_group group,
                              struct tg_group_stats *out);

/* ---- Datagrams ------------------------------------------------------------- */

/** Flag of tg_udp_options: the name may be one that another socket has or had (SO_REUSEADDR). */
#define TG_UDP_REUSE_ADDRESS 16u

/** Flag of tg_udp_options: sockets that all have this flag share the name, and what comes is spread among them (SO_REUSEPORT). */
#define TG_UDP_REUSE_PORT 32u

/** Flag of tg_udp_options: datagrams may be sent to broadcast addresses. */
#define TG_UDP_BROADCAST 64u

/** Flag of tg_udp_options: a socket of IPv6 keeps off IPv4. Without it it speaks both, where the system can. */
#define TG_UDP_V6_ONLY 128u

/**
 * Flag of tg_udp_options: the system may join datagrams of one sender (generic receive offload, Linux 5.0 and newer): see
 * segment_size of tg_datagram.
 */
#define TG_UDP_GRO 256u

/** Flag of a received datagram: it was longer than receive_size, and its rest is lost. */
#define TG_DATAGRAM_TRUNCATED 1u

/** A datagram that was received. */
typedef struct tg_datagram {
  /** Its bytes, which must not be changed. */
  const void *data;
  /** How many there are. 0 is a datagram, too: there is no end of a socket for datagrams. */
  size_t length;
  /**
   * Who has sent it: an address of IPv4 even if it came to a socket of IPv6; TG_UNIX with path_length 0 for a Unix socket
   * without a name.
   */
  const tg_address *from;
  /** TG_DATAGRAM_TRUNCATED or 0. */
  uint32_t flags;
  /** Not 0 (with TG_UDP_GRO only): several datagrams in a row, each but the last of this size. */
  uint32_t segment_size;
} tg_datagram;

/**
 * Datagrams have come: count of them (1 to 64), in their order, received by one system call. They are the library's and valid
 * until the callback returns.
 */
typedef void (*tg_udp_cb)(tg_handle self, void *user, const struct tg_datagram *datagrams, size_t count);

/**
 * Something has gone wrong; the socket stays open, and sending and receiving go on. status says what:
 * - the network reports that a datagram sent before has not arrived: -ECONNREFUSED (nobody listens there), -EHOSTUNREACH,
 *   -EMSGSIZE …; peer is to whom it was sent (Linux), or NULL;
 * - a datagram that was waiting in the send queue was refused by the system when its turn came, and is lost; peer is to
 *   whom it was to go, or NULL for the one to whom the socket is connected;
 * - receiving has failed: -ESHUTDOWN, TG_EBADFD, -EBADF …: somebody has shut down or closed the descriptor behind the
 *   library's back. Receiving is paused then. TG_ENOMEM: there is no memory to receive into; it is tried again.
 */
typedef void (*tg_udp_error_cb)(tg_handle self, void *user, int status, const tg_address *peer);

/** Nothing waits in the send queue any more. */
typedef void (*tg_udp_drain_cb)(tg_handle self, void *user);

/** How a socket for datagrams shall be. Set up with TG_UDP_OPTIONS_INIT. On a batch loop the functions are NULL. */
typedef struct tg_udp_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call with datagrams. */
  tg_udp_cb callback;
  /** Whom to tell of errors; may be NULL. */
  tg_udp_error_cb on_error;
  /** Whom to tell that the send queue is empty again; may be NULL. */
  tg_udp_drain_cb on_drain;
  /** Passed to the callbacks (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF, TG_UDP_…, or 0. */
  uint32_t flags;
  /**
   * The largest datagram to be received whole, in bytes: at most 1,048,576, on a batch loop 65,536; with TG_UDP_GRO at least
   * 65,535. 0: 65,535, which cuts off none that UDP can have. Of longer ones the rest is lost, and the flag says so.
   */
  uint32_t receive_size;
  /**
   * How many datagrams a callback gets at most, up to 64; 0: as many as fit into 1 MiB, which each loop has once for all
   * its sockets: 16 of the default size, 64 of 16 KiB or less.
   */
  uint32_t receive_batch;
  /** 0. */
  uint32_t reserved;
  /** How many bytes may wait in the send queue, each datagram counting its length and 192 more; 0: 1,048,576. */
  uint64_t send_limit;
} tg_udp_options;

/** What a socket for datagrams has done so far, and what waits. Set up with TG_UDP_STATS_INIT. */
typedef struct tg_udp_stats {
  /** Set by the caller to the size of the structure. */
  size_t size;
  /** Datagrams received; those that the system has joined (TG_UDP_GRO) count as one. */
  uint64_t received;
  /** Their bytes. */
  uint64_t received_bytes;
  /** How many of them were cut off. */
  uint64_t truncated;
  /** System calls that have received them. */
  uint64_t receive_calls;
  /** Datagrams given to the system; those that it cuts (tg_udp_send_segments) count as one. */
  uint64_t sent;
  /** Their bytes. */
  uint64_t sent_bytes;
  /** System calls that have sent them. */
  uint64_t send_calls;
  /** Datagrams that were taken into the send queue, and could not be sent. */
  uint64_t lost;
  /** Errors that the network has reported. */
  uint64_t errors;
  /** Datagrams that the system has dropped because its buffer was full (Linux; else 0). */
  uint64_t dropped;
  /** Datagrams in the send queue. */
  uint64_t queued;
  /** How many bytes they count there. */
  uint64_t queued_bytes;
} tg_udp_stats;

/** What stands before a datagram in the data of a batch. */
typedef struct tg_datagram_header {
  /** Who has sent it. */
  tg_address from;
  /** As in tg_datagram. */
  uint32_t flags;
  /** As in tg_datagram. */
  uint32_t segment_size;
  /** How many bytes follow. */
  uint64_t length;
} tg_datagram_header;

/**
 * Opens a socket for datagrams and receives from it: UDP over IPv4 or IPv6, or Unix datagrams, by the family of local, which
 * is the socket's name. Port 0: the system chooses one; TG_UNIX with path_length 0: no name. NULL: IPv4, every interface, a
 * port that the system chooses. The file of a Unix socket's path is not removed, neither here nor when the handle is closed.
 * At most one system call receives a turn, so a flooded socket leaves the others their share. On Linux a socket is told only
 * of multicast groups that it has joined itself.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's, except options->user, which is the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; not an address; unknown flags; no callback; functions on a batch loop; TG_UDP_V6_ONLY
 * without IPv6; a size that is too large, or too small for TG_UDP_GRO), TG_ENOTSUP (TG_UDP_GRO or TG_UDP_BROADCAST not to be
 * had), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's, such as
 * -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EMFILE.
 */
TG_API int tg_udp_open(tg_loop loop,
                       const tg_address *local,
                       const struct tg_udp_options *options,
                       tg_handle *out);

/**
 * As tg_udp_open, with a socket that the caller has already: an inherited one, or one with options of its own. It is closed with
 * the handle; until then it is the library's, and must not be read, written, shut down or closed. Its flags are left as they
 * are, except that programs which are started do not inherit it.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: the descriptor and options->user are the library's once 0 was returned; after an error both are the caller's.
 * Errors: TG_EINVAL (out is NULL; not a socket for datagrams over IPv4, IPv6 or Unix; unknown flags, TG_UDP_REUSE_… or
 * TG_UDP_V6_ONLY; no callback; functions on a batch loop; a size that is too large, or too small for TG_UDP_GRO), TG_EBADFD (not
 * open), TG_EEXIST (it is being watched), TG_ENOTSUP (TG_UDP_GRO or TG_UDP_BROADCAST not to be had), TG_ENOMEM, TG_ELIMIT,
 * TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's.
 */
TG_API int tg_udp_adopt(tg_loop loop,
                        tg_fd fd,
                        const struct tg_udp_options *options,
                        tg_handle *out);

/**
 * Stops receiving: what comes waits in the system, as far as it has room. What was received already still comes. While nothing
 * waits to be sent either, the handle is not active, and errors are not reported.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_udp_pause(tg_handle udp);

/**
 * Goes on receiving after tg_udp_pause.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_udp_resume(tg_handle udp);

/**
 * What the socket has done, and what waits. out->size is set by the caller (TG_UDP_STATS_INIT).
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL, or its size is not set), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_udp_get_stats(tg_handle udp,
                            struct tg_udp_stats *out);

/* ---- Sending datagrams ----------------------------------------------------- */

/** A datagram to be sent. */
typedef struct tg_outgoing {
  /** To whom; NULL: to whom the socket is connected. */
  const tg_address *to;
  /** Its bytes; may be NULL if there are none. */
  const void *data;
  /** How many there are. */
  size_t length;
} tg_outgoing;

/**
 * Sends one datagram: at once when nothing waits in the send queue and the system has room, else as soon as it has; in order.
 * It is sent once and may be lost on its way, as datagrams may; what the network reports about it comes to on_error.
 * Of Unix sockets only what goes to the connected peer can wait: the room is in the receiver, and the system tells only of
 * the peer's.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's; what waits is copied.
 * Errors: TG_EINVAL (to is not an address of the socket's family, has port 0, or is NULL though it is not connected; data is
 * NULL), TG_ENOBUFS (the send queue is full), TG_ENOMEM, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's, such as
 * -EMSGSIZE, -EACCES (a broadcast address), -ENETUNREACH; of Unix sockets -EAGAIN (the receiver has no room), -ENOENT,
 * -ECONNREFUSED.
 */
TG_API int tg_udp_send(tg_handle udp,
                       const tg_address *to,
                       const void *data,
                       size_t length);

/**
 * Sends many datagrams in their order, 64 a system call where it can (sendmmsg). Each is treated as by tg_udp_send; when one
 * cannot be taken those behind it are not, either. All are looked at before the first is sent.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's; what waits is copied.
 * Returns: how many were taken: all, or those before the first that could not be. Sending the rest again says why.
 * Errors: if none was taken, as tg_udp_send; TG_EINVAL also when all is NULL and count is not 0.
 */
TG_API int tg_udp_send_many(tg_handle udp,
                            const struct tg_outgoing *all,
                            size_t count);

/**
 * Sends bytes as datagrams of segment_size bytes each, the last of which may be shorter: ceil(length / segment_size) of them,
 * one if there are no bytes. The system cuts up to 64 of them in one pass (generic segmentation offload, Linux 4.18 and newer);
 * where it cannot, the library does.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's; what waits is copied.
 * Returns: how many datagrams were taken: all, or those before the first that could not be.
 * Errors: if none was taken, as tg_udp_send; TG_EINVAL also when segment_size is 0.
 */
TG_API int tg_udp_send_segments(tg_handle udp,
                                const tg_address *to,
                                const void *data,
                                size_t length,
                                uint16_t segment_size);

/**
 * Connects the socket: it receives only from peer, sends there when no address is given, and is told of what the network
 * reports everywhere. Nothing is sent, and nobody is asked. A connected socket may be connected to somebody else.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's.
 * Errors: TG_EINVAL (NULL, or not an address of the socket's family; datagrams wait in the send queue), TG_ESTALE, TG_EKIND,
 * TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's, such as -ENETUNREACH; of Unix sockets -ENOENT, -ECONNREFUSED.
 */
TG_API int tg_udp_connect(tg_handle udp,
                          const tg_address *peer);

/**
 * Receives from everybody again. (On Linux a socket whose port the system has chosen may get another one at its next send.)
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (datagrams wait in the send queue), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the
 * system's.
 */
TG_API int tg_udp_disconnect(tg_handle udp);

/**
 * The socket's own name, with the port that the system has chosen.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's.
 */
TG_API int tg_udp_get_local(tg_handle udp,
                            tg_address *out);

/**
 * To whom the socket is connected.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's: -ENOTCONN.
 */
TG_API int tg_udp_get_peer(tg_handle udp,
                           tg_address *out);

/* ---- Settings of sockets for datagrams ------------------------------------- */

/**
 * Makes the socket a member of a multicast group. It receives what is sent to the group and to the socket's port, if it is
 * bound to every interface or to the group's address.
 * interface_index is the number of the network's interface (if_nametoindex); or, for IPv4, interface_address is the
 * interface's address (its port does not matter). 0 and NULL: the system chooses. For IPv6 the scope of group counts when the
 * index is 0. With a source only what that address sends is received; there may be several. Memberships end with the handle.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's.
 * Errors: TG_EINVAL (group is NULL, not a group's address, or of IPv6 although the socket is not; an interface given twice, or by address with IPv6; a source of
 * the other family), TG_ENOTSUP (a Unix socket), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the
 * system's: -ENODEV (no such interface), -EADDRINUSE (it is a member already; with the same source, Linux says -EADDRNOTAVAIL), -ENOBUFS (too many memberships).
 */
TG_API int tg_udp_join(tg_handle udp,
                       const tg_address *group,
                       uint32_t interface_index,
                       const tg_address *interface_address,
                       const tg_address *source);

/**
 * Ends a membership in a multicast group: that which tg_udp_join began with the same arguments.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's.
 * Errors: as tg_udp_join; of the system's -EADDRNOTAVAIL (it is not a member).
 */
TG_API int tg_udp_leave(tg_handle udp,
                        const tg_address *group,
                        uint32_t interface_index,
                        const tg_address *interface_address,
                        const tg_address *source);

/**
 * Through which interface datagrams to multicast groups are sent: by its number, or for IPv4 by its address. 0 and NULL: the
 * system chooses.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: everything stays the caller's.
 * Errors: TG_EINVAL (given twice; an address on a socket of IPv6), TG_ENOTSUP (a Unix socket), TG_ESTALE, TG_EKIND,
 * TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's: -ENODEV, -EADDRNOTAVAIL.
 */
TG_API int tg_udp_set_multicast_interface(tg_handle udp,
                                          uint32_t interface_index,
                                          const tg_address *interface_address);

/**
 * Over how many routers datagrams to multicast groups may go: 0 (this machine) to 255; at first 1, this network.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (above 255), TG_ENOTSUP (a Unix socket), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and
 * the system's.
 */
TG_API int tg_udp_set_multicast_ttl(tg_handle udp,
                                    uint32_t ttl);

/**
 * Whether members on this machine receive what this socket sends to their groups (not 0, and so it is at first), or not (0).
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ENOTSUP (a Unix socket), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's.
 */
TG_API int tg_udp_set_multicast_loop(tg_handle udp,
                                     int on);

/**
 * Over how many routers datagrams to single receivers may go: 1 to 255.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (0, or above 255), TG_ENOTSUP (a Unix socket), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC,
 * and the system's.
 */
TG_API int tg_udp_set_ttl(tg_handle udp,
                          uint32_t ttl);

/**
 * Whether datagrams may be sent to broadcast addresses (not 0), or that is refused with -EACCES (0, and so it is without
 * TG_UDP_BROADCAST).
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ENOTSUP (a Unix socket), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's.
 */
TG_API int tg_udp_set_broadcast(tg_handle udp,
                                int on);

/**
 * Asks the system for buffers of these sizes in bytes, for what waits to be read and to be sent; 0 leaves one as it is. The
 * system has limits of its own, which it applies without a word: tg_udp_get_buffers tells.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's.
 */
TG_API int tg_udp_set_buffers(tg_handle udp,
                              uint32_t receive,
                              uint32_t send);

/**
 * The sizes of the system's buffers, with what the system needs for itself (Linux: twice what was asked for).
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: receive and send stay the caller's.
 * Errors: TG_EINVAL (one of them is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, and the system's.
 */
TG_API int tg_udp_get_buffers(tg_handle udp,
                              uint32_t *receive,
                              uint32_t *send);

/**
 * The socket's descriptor, for options that the library has no words for. It stays the library's: it must not be read,
 * written, shut down or closed.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's; the descriptor is the library's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_udp_get_fd(tg_handle udp,
                         tg_fd *out);

/* ---- Batches: events as records -------------------------------------------- */

/** Record: a descriptor. bits: what it is ready for; value: the status (0, TG_ETIMEDOUT, TG_EBADFD). */
#define TG_RECORD_IO 1u

/** Record: a timer. value: missed ticks. */
#define TG_RECORD_TIMER 2u

/** Record: a signal. bits: its number; value: how often. */
#define TG_RECORD_SIGNAL 3u

/** Record: an async handle was sent to. */
#define TG_RECORD_ASYNC 4u

/** Record: a hook. bits: its kind (TG_KIND_PREPARE, …). */
#define TG_RECORD_HOOK 5u

/** Record: tg_post or tg_defer. handle is the loop. */
#define TG_RECORD_POST 6u

/** Record: the handle is closed. Always the last of its id. */
#define TG_RECORD_CLOSED 7u

/** Record: a submission failed. handle and user are the submission's, bits its operation, value the code. */
#define TG_RECORD_FAILED 8u

/** Record: work is over. bits: the status as an int (0, TG_ECANCELED, TG_EFORKED); value: the result. The handle closes. */
#define TG_RECORD_DONE 9u

/**
 * Record: a file was opened, or an operation on files is over. bits, as an int, below 0: the status; value: bytes that
 * were written or copied before the error. Else, for tg_file_read, bits: how many bytes, value: where they begin in
 * the batch's data. tg_file_stat and tg_path_stat: value: where the tg_file_info begins. tg_path_list: bits: how many
 * entries, and TG_FILE_MORE if another record brings more; value: where they begin: of each its type and its name's length
 * (two uint32_t), its name, and one to eight zeroes up to a multiple of eight bytes. tg_file_open: value: the descriptor.
 * The others: bits: 0, value: how many bytes. The handle closes, except that of a file that was opened, and of a list of
 * which there is more.
 */
#define TG_RECORD_FILE 11u

/** Record: a listener has accepted a connection. value: its handle; bits: where in data its address is, a tg_address. */
#define TG_RECORD_ACCEPT 16u

/** Record: a listener could not accept. value: why (see tg_listener_error_cb). */
#define TG_RECORD_LISTENER_ERROR 17u

/** Record: a connection is open. */
#define TG_RECORD_CONN_OPEN 18u

/** Record: a connection has received bytes, or a frame. bits: how many; value: where in data they begin. */
#define TG_RECORD_CONN_DATA 19u

/** Record: a connection with TG_CONN_PULL has something to read. */
#define TG_RECORD_CONN_READABLE 20u

/**
 * Record: the peer of a connection has ended its direction. The program decides what follows, such as tg_conn_finish: nothing
 * is finished by itself on a batch loop.
 */
#define TG_RECORD_CONN_EOF 21u

/** Record: what waits in a connection is down to the low watermark. */
#define TG_RECORD_CONN_DRAIN 22u

/** Record: a time of a connection is over. bits: TG_TIMEOUT_… It counts anew: the program decides, such as tg_conn_abort. */
#define TG_RECORD_CONN_TIMEOUT 23u

/** Record: a tg_conn_mark was reached. value: its token; bits: the status as an int. */
#define TG_RECORD_CONN_WRITTEN 24u

/** Record: a connection is over. value: the reason. The handle closes. */
#define TG_RECORD_CONN_CLOSE 25u

/**
 * Record: the peer of a connection with TG_CONN_DESCRIPTORS has passed descriptors. bits: how many; value: where in
 * data they are, tg_fd by tg_fd.
 */
#define TG_RECORD_CONN_DESCRIPTORS 26u

/**
 * Record: a look-up is over. bits, as an int: how many things were found, or a negative status (see tg_resolve_cb); value: where
 * they begin in data of the batch: the addresses, one tg_address after the other; or for tg_resolve_name_open two strings,
 * the host's name and behind its zero byte the service's. The handle closes.
 */
#define TG_RECORD_RESOLVED 10u

/**
 * Record: a process has ended. bits: the status as an int (see tg_process_cb); value: what it returned, or minus the
 * number of the signal that has killed it, or 0 when the status is not 0. The handle closes.
 */
#define TG_RECORD_EXIT 14u

/**
 * Record: something that is watched has changed. bits: TG_CHANGE_…; value: where in data these stand one behind another:
 * the cookie (a uint32_t), the status (an int32_t), the name and a zero byte.
 */
#define TG_RECORD_CHANGE 15u

/**
 * Record: a datagram. value: where in the batch's data a tg_datagram_header begins; the datagram's bytes follow it. bits:
 * the header's flags.
 */
#define TG_RECORD_DATAGRAM 12u

/**
 * Record: of a socket for datagrams. bits: the status as an int: an error (see tg_udp_error_cb), or 0: nothing waits in the
 * send queue any more. value: where in the batch's data the tg_address is of the one to whom the datagram was sent that has
 * caused it; -1: that is not known.
 */
#define TG_RECORD_UDP_ERROR 13u

/** Submission: tg_close. */
#define TG_SUBMIT_CLOSE 1u

/** Submission: tg_io_set_interest. a: the interest. */
#define TG_SUBMIT_IO_INTEREST 2u

/** Submission: tg_timer_start. a: the delay, b: the repeat. */
#define TG_SUBMIT_TIMER_START 3u

/** Submission: tg_timer_stop. */
#define TG_SUBMIT_TIMER_STOP 4u

/** Submission: tg_timer_restart. */
#define TG_SUBMIT_TIMER_RESTART 5u

/** Submission: tg_io_set_timeout. a: the timeout. */
#define TG_SUBMIT_IO_TIMEOUT 6u

/** Flag of a batch: more is ready than fitted; the next turn goes on with it. */
#define TG_BATCH_MORE 1u

/** Flag of a batch: tg_loop_stop was called since the turn before. */
#define TG_BATCH_STOPPED 2u

/** Flag of a batch: nothing keeps the loop alive. */
#define TG_BATCH_IDLE 4u

/** One event. */
typedef struct tg_record {
  /** Whose. */
  tg_handle handle;
  /** The user of its options, as a number. */
  uint64_t user;
  /** TG_RECORD_… */
  uint32_t kind;
  /** See the kind. */
  uint32_t bits;
  /** See the kind. */
  int64_t value;
} tg_record;

/** One operation to be done at the beginning of the next turn. */
typedef struct tg_submission {
  /** On what. */
  tg_handle handle;
  /** Comes back in the record if it fails. */
  uint64_t user;
  /** See the operation. */
  int64_t a;
  /** See the operation. */
  int64_t b;
  /** TG_SUBMIT_… */
  uint32_t op;
  /** 0. */
  uint32_t reserved;
} tg_submission;

/** What the caller and a batch loop share. Written by the library unless it says otherwise. */
typedef struct tg_batch {
  /** The size of this structure. */
  uint32_t size;
  /** The size of a record. */
  uint32_t record_size;
  /** The size of a submission. */
  uint32_t submission_size;
  /** How many records fit. */
  uint32_t record_capacity;
  /** How many submissions fit. */
  uint32_t submission_capacity;
  /** TG_BATCH_… */
  uint32_t flags;
  /** How many records there are. */
  uint32_t record_count;
  /** Written by the caller: how many of them it has consumed. Those it has not are presented again by the next turn. */
  uint32_t record_cursor;
  /** Written by the caller: how many submissions it has written. 0 once the library has taken them all. */
  uint32_t submission_count;
  /** How many of them the library has taken. */
  uint32_t submission_cursor;
  /** Written by the caller: how long the next turn may wait; -1: for ever. At first -1. */
  int64_t timeout_ns;
  /** The clock reading of the turn. */
  int64_t now_ns;
  /** The records, valid until the next turn. */
  struct tg_record *records;
  /** Where the caller writes submissions. */
  struct tg_submission *submissions;
  /** What records carry (see their kinds), valid until the next turn. */
  uint8_t *data;
  /** How many bytes of it the records of this turn use. */
  uint64_t data_count;
} tg_batch;

/**
 * What the caller and the batch loop share.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: the memory is the loop's, and valid until tg_loop_free.
 * Errors: TG_EINVAL (out is NULL), TG_ENOTSUP (not a batch loop), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
 * TG_EPANIC.
 */
TG_API int tg_batch_get(tg_loop loop,
                        struct tg_batch **out);

/**
 * Takes the submissions, runs at most one turn of the loop, which waits at most timeout_ns, and fills the records. While
 * records are left that the caller has not consumed it takes the submissions and returns at once, with those. A call
 * that is cut off (by a signal handler that does not return, say) loses nothing: what was done is in the shared memory.
 * Closing a handle does not take back records of it that are there already; TG_RECORD_CLOSED comes after them.
 *
 * Thread: the loop's.
 * Callable from callbacks: a batch loop has none; yes from those of other loops.
 * Returns: how many records are to be consumed: from record_cursor to record_count.
 * Errors: TG_EINVAL (a cursor, count or timeout that is not possible), TG_ENOTSUP (not a batch loop), TG_ESTALE, TG_EKIND,
 * TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_batch_turn(tg_loop loop);

/* ---- The poller ------------------------------------------------------------ */

/** Flag of tg_poller_options: a regular file is refused with -EPERM, as the kernel does, instead of being always ready. */
#define TG_POLLER_STRICT 1u

/** Flag of tg_poller_options: a wait ends with -EINTR when a signal handler has run, instead of going on. */
#define TG_POLLER_INTERRUPTIBLE 2u

/**
 * Flag of tg_poller_options, Linux: masks are the kernel's own (EPOLLIN, EPOLLET, EPOLLEXCLUSIVE …), modes are 0, and
 * the kernel's errors pass through. data may be anything but all ones.
 */
#define TG_POLLER_NATIVE 4u

/** How a poller shall be made. Set up with TG_POLLER_OPTIONS_INIT. */
typedef struct tg_poller_options {
  /** The size of the structure. */
  size_t size;
  /** TG_POLLER_… */
  uint32_t flags;
  /** With TG_POLLER_NATIVE: an epoll descriptor to take over instead of making one; -1: none. */
  tg_fd adopt_fd;
} tg_poller_options;

/** One descriptor that is ready. */
typedef struct tg_poller_event {
  /** What was given when it was added. */
  uint64_t data;
  /** TG_READ … TG_HANGUP (TG_POLLER_NATIVE: the kernel's mask). */
  uint32_t ready;
  /** 0. */
  uint32_t reserved;
} tg_poller_event;

/**
 * Makes a poller: descriptors are registered once and waited for together, without callbacks. NULL options are the
 * defaults.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: the poller is the caller's until tg_poller_free; an adopted descriptor is the poller's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; options with a wrong size or unknown flags; adopt_fd without TG_POLLER_NATIVE),
 * TG_EBADFD (adopt_fd is not open), TG_ENOTSUP (TG_POLLER_NATIVE elsewhere than on Linux), TG_ELIMIT (1,024 loops and
 * pollers are live), TG_ENOMEM, -EMFILE, -ENFILE, TG_EPANIC.
 */
TG_API int tg_poller_new(const struct tg_poller_options *options,
                         tg_poller *out);

/**
 * Frees a poller. Waits that are going on in other threads end with TG_ESTALE (one on an adopted descriptor when it would
 * have ended anyway). In a forked child it closes the child's copies and leaves the parent's registrations alone.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Errors: TG_ESTALE, TG_EKIND, TG_EPANIC.
 */
TG_API int tg_poller_free(tg_poller poller);

/**
 * Adds a descriptor. data comes with its events. With no interest it is known and silent.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: the descriptor stays the caller's: remove it before it is closed.
 * Errors: TG_EINVAL (unknown bits or mode), -EINVAL (its own descriptor), TG_EBADFD, TG_EEXIST (it is added already),
 * -EPERM (a regular file, TG_POLLER_STRICT), TG_ENOTSUP (the mode is not to be had here), TG_ENOMEM, TG_ELIMIT, TG_ESTALE,
 * TG_EKIND, TG_EFORKED, TG_EPANIC; -ENOSPC and, with TG_POLLER_NATIVE, the kernel's in place of ours.
 */
TG_API int tg_poller_add(tg_poller poller,
                         tg_fd fd,
                         uint32_t interest,
                         uint32_t mode,
                         uint64_t data);

/**
 * Changes what a descriptor was added with; arms one that was reported with TG_ONESHOT again.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (unknown bits or mode), TG_ENOENT (it is not added), TG_EBADFD (it was closed), TG_ENOTSUP, TG_ESTALE,
 * TG_EKIND, TG_EFORKED, TG_EPANIC, -ENOMEM, -ENOSPC; with TG_POLLER_NATIVE the kernel's in place of ours.
 */
TG_API int tg_poller_modify(tg_poller poller,
                            tg_fd fd,
                            uint32_t interest,
                            uint32_t mode,
                            uint64_t data);

/**
 * Removes a descriptor. Waits that begin afterwards do not report it.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Errors: TG_ENOENT (it is not added), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC; with TG_POLLER_NATIVE the kernel's in
 * place of ours.
 */
TG_API int tg_poller_remove(tg_poller poller,
                            tg_fd fd);

/**
 * Waits at most timeout_ns (-1: for ever) until something is ready, and fills events from its start, with at most
 * 1,024 at once.
 *
 * Thread: any; several may wait at once.
 * Callable from callbacks: yes, but it keeps the loop from running.
 * Ownership: events stays the caller's.
 * Returns: how many are ready; 0 when the time is over or tg_poller_wake was called.
 * Errors: TG_EINVAL (events is NULL, capacity is 0, a timeout below -1), -EINTR (TG_POLLER_INTERRUPTIBLE), -EINVAL and
 * -EBADF (what was adopted is not an epoll descriptor, or was closed), TG_ENOMEM,
 * TG_ESTALE (also when it is freed meanwhile), TG_EKIND, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_poller_wait(tg_poller poller,
                          struct tg_poller_event *events,
                          size_t capacity,
                          int64_t timeout_ns);

/**
 * Ends one wait, or the next one when none is going on; it returns 0 events if nothing else is ready.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Errors: TG_ENOTSUP (the descriptor was adopted), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_poller_wake(tg_poller poller);

/**
 * The poller's own descriptor, readable while anything is ready.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: the descriptor is the poller's; do not close it.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_poller_get_fd(tg_poller poller, tg_fd *out);

/**
 * How often the poller has asked the operating system for events.
 *
 * Thread: any.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_poller_get_waits(tg_poller poller, uint64_t *out);

/* ---- Waiting once ---------------------------------------------------------- */

/** Flag of tg_poll_once: ends with -EINTR when a signal handler has run, instead of going on. */
#define TG_POLL_INTERRUPTIBLE 1u

/** Flag of tg_poll_once: interest and ready are poll(2)'s own masks. */
#define TG_POLL_NATIVE 2u

/** Only reported by tg_poll_once: the descriptor is not open. */
#define TG_INVALID 32u

/** One descriptor of a set. */
typedef struct tg_poll_item {
  /** The descriptor; a negative one is passed over. */
  tg_fd fd;
  /** What to wait for: TG_READ … TG_HANGUP. TG_ERROR and TG_HANGUP are reported unasked. */
  uint32_t interest;
  /** Written: what it is ready for, and TG_INVALID when it is not open; 0 when nothing. */
  uint32_t ready;
} tg_poll_item;

/**
 * Waits at most timeout_ns (-1: for ever) until one of a set of descriptors is ready: select() without its limit, for
 * any number of them and of any value. Nothing is registered and nothing remembered. Regular files are always ready.
 *
 * Thread: any.
 * Callable from callbacks: yes, but it keeps the loop from running.
 * Ownership: items stays the caller's; only ready is written.
 * Returns: how many have something to report; 0 when the time is over.
 * Errors: TG_EINVAL (items is NULL although count is not 0, a timeout below -1, unknown flags or bits), -EINTR
 * (TG_POLL_INTERRUPTIBLE), -EINVAL (more than the process may have descriptors), TG_ENOMEM, TG_EPANIC.
 */
TG_API int tg_poll_once(struct tg_poll_item *items,
                        size_t count,
                        int64_t timeout_ns,
                        uint32_t flags);

/* ---- Looking up names ------------------------------------------------------ */

/**
 * Flag of tg_resolve_options: without a host, the address on which a server listens for everybody, instead of this
 * machine's own (127.0.0.1, ::1).
 */
#define TG_RESOLVE_PASSIVE 16u

/** Flag of tg_resolve_options: the host is a numeric address. Nobody is asked. */
#define TG_RESOLVE_NUMERIC_HOST 32u

/** Flag of tg_resolve_name_options: host and port in digits. Nobody is asked. */
#define TG_RESOLVE_NUMERIC 64u

/** Flag of tg_resolve_name_options: digits in the place of the host's name will not do. */
#define TG_RESOLVE_NAME_REQUIRED 128u

/**
 * A look-up is over: status is 0 and there are count addresses, at least one, valid until the callback returns; or
 * status says why there are none and addresses is NULL: TG_ENONAME (no such host or service, or none of that
 * family), TG_ETRYAGAIN (the name servers do not answer), TG_ERESOLVE (they have failed), TG_ENOMEM, -errno
 * (-EMFILE: no descriptor for it), TG_ECANCELED, TG_EFORKED (it was going on when the process forked and the loop was reopened in the child). The handle
 * closes when the callback returns.
 */
typedef void (*tg_resolve_cb)(tg_handle self,
                              void *user,
                              int status,
                              const tg_address *addresses,
                              size_t count);

/** What shall be looked up, and how it is reported. Set up with TG_RESOLVE_OPTIONS_INIT. */
typedef struct tg_resolve_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call at the end (NULL on a batch loop). */
  tg_resolve_cb callback;
  /** Passed to the callback (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF, TG_RESOLVE_PASSIVE, TG_RESOLVE_NUMERIC_HOST, or 0. */
  uint32_t flags;
  /** TG_IPV4, TG_IPV6; 0: both. */
  uint32_t family;
} tg_resolve_options;

/**
 * A look-up is over: status is 0 and there are the names of the host and the service, valid until the callback
 * returns; or they are NULL and status is as for tg_resolve_cb. The handle closes when the callback returns.
 */
typedef void (*tg_resolve_name_cb)(tg_handle self,
                                   void *user,
                                   int status,
                                   const char *host,
                                   const char *service);

/** How the names of an address shall be reported. Set up with TG_RESOLVE_NAME_OPTIONS_INIT. */
typedef struct tg_resolve_name_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call at the end (NULL on a batch loop). */
  tg_resolve_name_cb callback;
  /** Passed to the callback (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF, TG_RESOLVE_NUMERIC or TG_RESOLVE_NAME_REQUIRED (not both), or 0. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved;
} tg_resolve_name_options;

/**
 * Looks up the addresses of a host, as getaddrinfo does, on a thread: the answer comes to the callback, in the system's
 * order, each address once, at most 256, and the handle closes. Look-ups have 8 threads of each loop for themselves, so
 * slow ones keep neither work nor files waiting; further ones wait in the order of these calls. (In a forked child the system's
 * look-ups may hang for ever if a thread of the parent was in the middle of one at the fork: the C library's locks stay as they
 * were. Fork while no look-up is going on, or look up before.)
 *
 * host is a name or a numeric address, of at most 1,024 bytes that are passed to the system unchanged (names in other
 * alphabets in their ASCII form). NULL: this machine, or everybody with TG_RESOLVE_PASSIVE. service is a name or a
 * port in decimal. NULL: the addresses have port 0.
 *
 * Closing the handle drops the answer; a look-up that is going on ends unseen, and user is released without waiting
 * for it. tg_loop_free does not wait for it either.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: the names are copied; options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; a name of more than 1,024 bytes; a port that is no decimal number up to 65,535; an unknown family; unknown flags;
 * no callback; functions on a batch loop), TG_ENOBUFS (max_jobs of the loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND,
 * TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (no thread can be started).
 */
TG_API int tg_resolve_open(tg_loop loop,
                           const char *host,
                           const char *service,
                           const struct tg_resolve_options *options,
                           tg_handle *out);

/**
 * Looks up what an address and its port are called, as getnameinfo does, on a thread: the names come to the callback,
 * and the handle closes. Where there is no name the digits are given instead. The threads, closing and freeing are as
 * with tg_resolve_open.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: the address is copied; options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (address or out is NULL; not an address of IPv4 or IPv6; unknown flags, or both of
 * TG_RESOLVE_NUMERIC and TG_RESOLVE_NAME_REQUIRED; no callback; functions on a batch loop), TG_ENOBUFS (max_jobs of the
 * loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (no thread can be
 * started).
 */
TG_API int tg_resolve_name_open(tg_loop loop,
                                const tg_address *address,
                                const struct tg_resolve_name_options *options,
                                tg_handle *out);

/* ---- Files ----------------------------------------------------------------- */

/** Flag: a file is opened for reading. */
#define TG_FILE_READ 1u

/** Flag: a file is opened for writing. */
#define TG_FILE_WRITE 2u

/** Flag: a file that is not there is made. */
#define TG_FILE_CREATE 4u

/** Flag: only a file that is not there is taken. Needs TG_FILE_CREATE. */
#define TG_FILE_EXCLUSIVE 8u

/** Flag: what is in the file is thrown away. Needs TG_FILE_WRITE. */
#define TG_FILE_TRUNCATE 16u

/** Flag: every write goes to the file's end, whatever its offset. Needs TG_FILE_WRITE. */
#define TG_FILE_APPEND 32u

/** Flag: only a directory is taken, to be synchronised for instance. Not with TG_FILE_CREATE. */
#define TG_FILE_DIRECTORY 64u

/** Flag: a symbolic link is not followed. */
#define TG_FILE_NO_FOLLOW 128u

/** Flag of tg_file_sync: what only describes the file (its times) need not be on the disk. */
#define TG_FILE_DATA_ONLY 256u

/**
 * In the bits of a TG_RECORD_FILE of tg_path_list, beside the number of entries: further records of the same handle bring
 * the rest.
 */
#define TG_FILE_MORE 1073741824u

/** Type of file: the file system does not tell. */
#define TG_TYPE_UNKNOWN 0u

/** Type of file: bytes with positions. */
#define TG_TYPE_REGULAR 1u

/** Type of file: a directory. */
#define TG_TYPE_DIRECTORY 2u

/** Type of file: a symbolic link. */
#define TG_TYPE_LINK 3u

/** Type of file: a named pipe. */
#define TG_TYPE_FIFO 4u

/** Type of file: the name of a Unix socket. */
#define TG_TYPE_SOCKET 5u

/** Type of file: a device of characters, such as a terminal. */
#define TG_TYPE_CHARACTER 6u

/** Type of file: a device of blocks, such as a disk. */
#define TG_TYPE_BLOCK 7u

/** A name in a directory. */
typedef struct tg_file_entry {
  /** The name alone, with a zero behind it. */
  const char *name;
  /** Its length. */
  uint32_t name_length;
  /** TG_TYPE_… */
  uint32_t file_type;
} tg_file_entry;

/** What the system knows of a file. Times in nanoseconds since 1970. */
typedef struct tg_file_info {
  /** The size of this structure. */
  size_t size;
  /** How many bytes are in it. */
  uint64_t file_size;
  /** How many blocks of 512 bytes it occupies. */
  uint64_t blocks;
  /** How many bytes are read and written best at a time. */
  uint64_t block_size;
  /** Its number in its file system. */
  uint64_t inode;
  /** Its file system. */
  uint64_t device;
  /** How many names it has. */
  uint64_t links;
  /** When it was last read, as far as the file system keeps that. */
  int64_t accessed_ns;
  /** When it was last written. */
  int64_t modified_ns;
  /** When any of this was last changed. */
  int64_t changed_ns;
  /** TG_TYPE_… */
  uint32_t file_type;
  /** Its permissions, as in chmod. */
  uint32_t mode;
  /** Its user. */
  uint32_t uid;
  /** Its group. */
  uint32_t gid;
} tg_file_info;

/** How an operation has ended. Valid until the callback returns. */
typedef struct tg_file_result {
  /** The size of this structure. */
  size_t size;
  /**
   * How many bytes were read, written or copied, or how many entries there are; the descriptor that was opened; else 0.
   * Bytes count even when an error has come after them.
   */
  int64_t value;
  /** Reads: the bytes. */
  const void *data;
  /** Lists: the entries. */
  const struct tg_file_entry *entries;
  /** Stats: the answer. */
  const struct tg_file_info *info;
  /** 0, or why not all was done: -errno, TG_ECANCELED, TG_ENOMEM, TG_EFORKED. */
  int status;
  /** 0. */
  uint32_t reserved;
} tg_file_result;

/**
 * An operation on files is over, and its handle closes when the callback returns. Or a file was opened, and its handle
 * lives on if the status is 0.
 */
typedef void (*tg_file_cb)(tg_handle self, void *user, const struct tg_file_result *result);

/** How a file or an operation shall be reported. Set up with TG_FILE_OPTIONS_INIT. */
typedef struct tg_file_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call at the end (NULL on a batch loop). */
  tg_file_cb callback;
  /** Passed to the callback (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF or 0. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved;
} tg_file_options;

/**
 * Opens a file on a thread of the loop's pool (that of tg_work_open). The callback gets status 0 and the descriptor as
 * value, and the file stays open until tg_close; or it gets the reason (-ENOENT, -EACCES, …), and the handle closes when
 * it returns. Operations may be asked for at once: they wait until the file is open, without occupying a thread, and end
 * with the same status if it cannot be. Once it is open the handle is not active: it keeps no run going.
 *
 * flags: TG_FILE_READ, _WRITE or both, and _CREATE, _EXCLUSIVE, _TRUNCATE, _APPEND, _DIRECTORY, _NO_FOLLOW. mode: the
 * permissions of a file that is made, less the process's umask. Programs that are started do not inherit the descriptor.
 * What runs on the pool runs with the user and permissions that the process has at that time, not at the time of
 * the call. Opening a named pipe waits for its other end, and occupies a thread meanwhile.
 *
 * tg_close is immediate; operations that were asked for before go on. The descriptor is closed on a thread of the pool when
 * the last of them is over, at the latest when tg_loop_free returns (in a call if no thread can be started). What closing
 * could report is lost: tg_file_sync reports it.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: path is copied; options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (path or out is NULL; flags that are unknown or do not go together; mode has other bits than
 * 07777; no callback; functions on a batch loop), TG_ENOBUFS (max_jobs of the loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE,
 * TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (no thread can be started).
 */
TG_API int tg_file_open(tg_loop loop,
                        const char *path,
                        uint32_t flags,
                        uint32_t mode,
                        const struct tg_file_options *options,
                        tg_handle *out);

/**
 * Makes a file of a descriptor that is open already: one that was inherited, or standard input that comes from a file. It is
 * the file's from then on, and closed as tg_file_open says. There is no event: options may be NULL, a callback is never
 * called. Its flags are left alone. What may wait for ever (a terminal, a pipe) occupies a thread of the pool while it is
 * read, and tg_loop_free waits for that: watch those with tg_io_open instead.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: fd and options->user are the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; unknown flags; functions on a batch loop), TG_EBADFD (fd is not open), TG_EEXIST (a
 * listener, connection or the like owns it), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
 * TG_EPANIC.
 */
TG_API int tg_file_adopt(tg_loop loop,
                         tg_fd fd,
                         const struct tg_file_options *options,
                         tg_handle *out);

/**
 * The descriptor of a file, for calls that the library does not have. It stays the file's, and must not be closed.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_EBUSY (it is being opened), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
 * TG_EPANIC.
 */
TG_API int tg_file_get_fd(tg_handle file,
                          tg_fd *out);

/* ---- Operations on open files ---------------------------------------------- */

/**
 * Reads up to length bytes at offset of a file, into memory of the operation's, which the callback is shown; fewer
 * only at the file's end, 0 behind it. offset -1: one read from the current position, which it moves; it may bring
 * fewer. The memory is taken in this call, and counts for max_job_bytes of the loop until the callback comes.
 *
 * Like all operations on files: it runs on a thread of the loop's pool, several at a time and in no order; the callback
 * comes once, and the handle closes. One that must follow another is asked for in the other's callback. tg_handle_cancel
 * keeps it from being begun; tg_close of its handle too, and if it has begun, it runs to its end unseen, after which
 * user is released.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; an offset below -1; unknown flags; no callback; functions on a batch loop; on a batch
 * loop, more than 66,048 bytes), TG_ENOBUFS (max_jobs or max_job_bytes of the loop), TG_ENOMEM (for length bytes, too), TG_ELIMIT,
 * TG_ESTALE, TG_EKIND (file is not one), TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (no thread can be started).
 */
TG_API int tg_file_read(tg_handle file,
                        int64_t offset,
                        size_t length,
                        const tg_file_options *options,
                        tg_handle *out);

/**
 * As tg_file_read, into memory of the caller's, which is lent to the operation: nobody may use it until free_function
 * is called with it, on the loop's thread, exactly once, before user is released. Its status is the callback's, or
 * TG_ECANCELED when that did not come. With NULL it is lent until the callback comes, or until user is released without
 * one. On a batch loop there are no functions: it is lent until one of the records TG_RECORD_FILE and TG_RECORD_CLOSED; the
 * number of bytes has no limit, and none of them count for max_job_bytes.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: buffer and options->user are the library's once 0 was returned.
 * Errors: those of tg_file_read; TG_EINVAL (buffer is NULL although length is not 0).
 */
TG_API int tg_file_read_into(tg_handle file,
                             int64_t offset,
                             void *buffer,
                             size_t length,
                             tg_free_cb free_function,
                             const tg_file_options *options,
                             tg_handle *out);

/**
 * Writes bytes at offset of a file: all of them, unless there is an error; then the value says how many were written
 * before it. offset -1: at the current position, which it moves. They are copied before this returns, and the copy counts
 * for max_job_bytes of the loop until the callback comes; tg_file_write_owned makes none. See tg_file_read
 * for what all operations have in common. A file that was opened with TG_FILE_APPEND takes them at its end. A
 * SIGPIPE or SIGXFSZ that this causes does not reach the program.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: data stays the caller's; options->user is the library's once 0 was returned.
 * Errors: those of tg_file_read, without the limit of a batch loop; TG_EINVAL (data is NULL although length is not 0,
 * or length is impossible).
 */
TG_API int tg_file_write(tg_handle file,
                         int64_t offset,
                         const void *data,
                         size_t length,
                         const tg_file_options *options,
                         tg_handle *out);

/**
 * As tg_file_write, from several pieces of memory, one behind the other.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: the array and what it points to stay the caller's; options->user is the library's once 0 was returned.
 * Errors: those of tg_file_write; TG_EINVAL (buffers is NULL although count is not 0, or the sum is impossible).
 */
TG_API int tg_file_writev(tg_handle file,
                          int64_t offset,
                          const tg_buffer *buffers,
                          size_t count,
                          const tg_file_options *options,
                          tg_handle *out);

/**
 * As tg_file_write, without copying, and without a limit of bytes: they are the caller's own. The memory is lent to the operation, and nobody may change it until free_function
 * is called with it, on the loop's thread, exactly once, before user is released: when the operation is over, cancelled
 * or closed, or its loop is freed. Its status is the callback's, or TG_ECANCELED when that did not come; then all, a
 * part or nothing was written. With NULL it is lent until the callback comes, or until user is released without one (on a
 * batch loop, which has no functions, until one of the records TG_RECORD_FILE and TG_RECORD_CLOSED).
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: data and options->user are the library's once 0 was returned.
 * Errors: those of tg_file_write.
 */
TG_API int tg_file_write_owned(tg_handle file,
                               int64_t offset,
                               void *data,
                               size_t length,
                               tg_free_cb free_function,
                               const tg_file_options *options,
                               tg_handle *out);

/**
 * Waits until what was written to a file is on its disk. flags: TG_FILE_DATA_ONLY or 0. Only writes that were over
 * before this was asked for are sure to be among it. See tg_file_read for what all operations have in common.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: those of tg_file_read, without its limits.
 */
TG_API int tg_file_sync(tg_handle file,
                        uint32_t flags,
                        const tg_file_options *options,
                        tg_handle *out);

/**
 * Asks what the system knows of a file: the result's info. See tg_file_read for what all operations have in common.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: those of tg_file_read, without its limits.
 */
TG_API int tg_file_stat(tg_handle file,
                        const tg_file_options *options,
                        tg_handle *out);

/**
 * Sets a file's length to file_size bytes: what is beyond is lost, what is missing is zeroes. See tg_file_read for what all
 * operations have in common.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: those of tg_file_read, without its limits; TG_EINVAL (a negative size).
 */
TG_API int tg_file_truncate(tg_handle file,
                            int64_t file_size,
                            const tg_file_options *options,
                            tg_handle *out);

/**
 * Copies up to length bytes from one file to another of the same loop, or within one; fewer at the first one's end, so
 * that UINT64_MAX copies all. Inside the system where it can (which shares the blocks, or sends them without touching
 * them), else through memory. An offset of -1 is the current position. Ranges of one file that overlap give -EINVAL. See
 * tg_file_read for what all operations have in common.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: those of tg_file_read, without its limits; TG_EINVAL (the files are of different loops).
 */
TG_API int tg_file_copy(tg_handle from,
                        tg_handle to,
                        int64_t from_offset,
                        int64_t to_offset,
                        uint64_t length,
                        const tg_file_options *options,
                        tg_handle *out);

/* ---- Operations on names of files ------------------------------------------ */

/**
 * Asks what the system knows of a path: the result's info. flags: TG_FILE_NO_FOLLOW (of a symbolic link itself) or 0.
 * See tg_file_read for what all operations have in common.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: path is copied; options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (path or out is NULL; unknown flags; no callback; functions on a batch loop), TG_ENOBUFS (max_jobs
 * of the loop), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -EAGAIN (no thread can be
 * started).
 */
TG_API int tg_path_stat(tg_loop loop,
                        const char *path,
                        uint32_t flags,
                        const tg_file_options *options,
                        tg_handle *out);

/**
 * Gives a file the name to, in one step; a file that had it loses it. Both must be in one file system (-EXDEV). See
 * tg_file_read for what all operations have in common.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: both paths are copied; options->user is the library's once 0 was returned.
 * Errors: those of tg_path_stat.
 */
TG_API int tg_path_rename(tg_loop loop,
                          const char *from,
                          const char *to,
                          const tg_file_options *options,
                          tg_handle *out);

/**
 * Removes a name; the file goes with its last name, when nobody has it open any more. Directories: tg_path_rmdir. See
 * tg_file_read for what all operations have in common.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: path is copied; options->user is the library's once 0 was returned.
 * Errors: those of tg_path_stat.
 */
TG_API int tg_path_unlink(tg_loop loop,
                          const char *path,
                          const tg_file_options *options,
                          tg_handle *out);

/**
 * Makes a directory with the permissions mode, less the process's umask. See tg_file_read for what all operations have
 * in common.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: path is copied; options->user is the library's once 0 was returned.
 * Errors: those of tg_path_stat; TG_EINVAL (mode has other bits than 07777).
 */
TG_API int tg_path_mkdir(tg_loop loop,
                         const char *path,
                         uint32_t mode,
                         const tg_file_options *options,
                         tg_handle *out);

/**
 * Removes a directory, which must be empty. See tg_file_read for what all operations have in common.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: path is copied; options->user is the library's once 0 was returned.
 * Errors: those of tg_path_stat.
 */
TG_API int tg_path_rmdir(tg_loop loop, const char *path, const tg_file_options *options, tg_handle *out);

/**
 * Asks what is in a directory: the result's entries, without "." and "..", in the file system's order, all in one event.
 * On a batch loop a list that needs more than 66,048 bytes comes in several records, one a turn: each but the last has
 * TG_FILE_MORE in its bits, and the handle closes with the last; tg_close before keeps the rest from coming. The
 * directory is read as a whole before the first event, and what was not told yet is held in memory. See tg_file_read for what
 * all operations have in common.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: path is copied; options->user is the library's once 0 was returned.
 * Errors: those of tg_path_stat.
 */
TG_API int tg_path_list(tg_loop loop,
                        const char *path,
                        const tg_file_options *options,
                        tg_handle *out);

/**
 * Copies a file to the name to: its bytes and permissions. A file that has the name is overwritten; with
 * TG_FILE_EXCLUSIVE in flags (else 0) that is -EEXIST. A file is not copied to itself (-EINVAL). What has no
 * end is not copied (-EINVAL for a FIFO or a device; -EISDIR), nor is anything written to a FIFO (-EINVAL, or -ENXIO when nobody
 * reads it): nothing waits. Of the permissions those in 0777 are copied. After an error the copy is there, and not whole. See tg_file_read for what all operations have in common.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: both paths are copied; options->user is the library's once 0 was returned.
 * Errors: those of tg_path_stat.
 */
TG_API int tg_path_copy(tg_loop loop,
                        const char *from,
                        const char *to,
                        uint32_t flags,
                        const tg_file_options *options,
                        tg_handle *out);

/* ---- Processes ------------------------------------------------------------- */

/** Flag of a process: in a session of its own, without a terminal (setsid). */
#define TG_PROCESS_DETACHED 2u

/** Flag of a process: in a process group of its own, so that what is typed at the terminal does not reach it. */
#define TG_PROCESS_GROUP 4u

/** Flag of a process: when its handle is closed before it has ended, or its loop freed, it is killed. Without it, it goes on. */
#define TG_PROCESS_KILL_ON_CLOSE 8u

/** Flag of a process: as the user uid. Supplementary groups are dropped first. */
#define TG_PROCESS_SET_UID 16u

/** Flag of a process: as the group gid. Supplementary groups are dropped first. */
#define TG_PROCESS_SET_GID 32u

/** Descriptor of a program: the one of the same number of this process, if it is open and not marked close-on-exec. */
#define TG_STDIO_INHERIT 0u

/** Descriptor of a program: /dev/null. */
#define TG_STDIO_NULL 1u

/**
 * Descriptor of a program: a duplicate of fd, which stays the caller's. Its flags are shared: a program may be confused by
 * one that does not block.
 */
#define TG_STDIO_FD 2u

/** Descriptor of a program: a new pipe from which it reads; tg_process_take_stdio gives the end to write to. */
#define TG_STDIO_PIPE_IN 3u

/** Descriptor of a program: a new pipe to which it writes; tg_process_take_stdio gives the end to read from. */
#define TG_STDIO_PIPE_OUT 4u

/** Descriptor of a program: a new stream socket; tg_process_take_stdio gives its peer. */
#define TG_STDIO_SOCKET 5u

/**
 * The process has ended, and the handle closes when the callback returns. status is 0: exit_code is what it returned (0 to
 * 255) and signum 0, or exit_code is -1 and signum has killed it. Otherwise nothing is known but that it is over, and
 * they are -1 and 0: TG_ENOENT, somebody else in this process has reaped it (waitpid(-1), or SIGCHLD is ignored);
 * TG_ENOTSUP, it is watched and not a child of this process; TG_EFORKED, the loop was reopened in a forked child, whose
 * child it is not.
 */
typedef void (*tg_process_cb)(tg_handle self, void *user, int status, int exit_code, int signum);

/** What a descriptor of a program shall be. */
typedef struct tg_stdio {
  /** TG_STDIO_… */
  uint32_t kind;
  /** For TG_STDIO_FD; else not looked at. */
  tg_fd fd;
} tg_stdio;

/** What shall be started and how. Set up with TG_PROCESS_OPTIONS_INIT. */
typedef struct tg_process_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call at the end (NULL on a batch loop). */
  tg_process_cb callback;
  /** Passed to the callback (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** The program. Without a slash it is searched in the PATH of env, or of this process when env is NULL. */
  const char *file;
  /** Its arguments, the first of which is its name, and NULL; NULL: file alone. */
  char *const *argv;
  /** Its environment, and NULL; NULL: this process's. */
  char *const *env;
  /** Where it begins; NULL: where this process is. */
  const char *directory;
  /**
   * Its descriptors 0 to stdio_count - 1. Of 0 to 2 those that are not named are inherited; any other it has as
   * every program that is executed: those that are not close-on-exec, which all of this library's are.
   */
  const struct tg_stdio *stdio;
  /** TG_UNREF, TG_PROCESS_… or 0. */
  uint32_t flags;
  /** How many stdio has, at most 1,024. */
  uint32_t stdio_count;
  /** With TG_PROCESS_SET_UID. */
  uint32_t uid;
  /** With TG_PROCESS_SET_GID. */
  uint32_t gid;
} tg_process_options;

/** How a process shall be watched. Set up with TG_PROCESS_WATCH_OPTIONS_INIT. */
typedef struct tg_process_watch_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call at the end (NULL on a batch loop). */
  tg_process_cb callback;
  /** Passed to the callback (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF or 0. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved;
} tg_process_watch_options;

/**
 * Starts a program. When it has ended the callback is told, and the handle closes. This library reaps this child and no
 * other: no handler of SIGCHLD is needed or set, and system and waitpid(pid) of the program's own go on as ever. A handle
 * that is closed early, also by tg_loop_free, leaves no zombie: a thread of the library's reaps the child when it ends.
 * The program starts with every signal at its default and none blocked. What keeps it from being started is this call's
 * answer, also where that happens in the child. The calling thread waits until the child has become the program (some
 * hundred microseconds).
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned; everything else is read during the call.
 * Errors: TG_EINVAL (out or file is NULL; argv is empty; an unknown kind of stdio, or too many; unknown flags; no
 * callback; functions on a batch loop), TG_EBADFD (an fd that is not open), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND,
 * TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOENT (no such program, or directory), -EACCES, -ENOTDIR, -ENOEXEC (a script
 * without a first line that names its interpreter, among others), -E2BIG, -EPERM (the user or group may not be set), -EAGAIN
 * (no more processes), -EMFILE, -ENFILE, and others of execve(2).
 */
TG_API int tg_process_open(tg_loop loop,
                           const struct tg_process_options *options,
                           tg_handle *out);

/**
 * Watches any process by its number. When it has ended the callback is told, and the handle closes. How it has ended is
 * known of children of this process that nobody has reaped yet; they are left to be reaped by whoever has started them.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned.
 * Errors: TG_EINVAL (out is NULL; pid is below 1; unknown flags; no callback; functions on a batch loop), TG_ENOENT (there
 * is no such process), TG_ENOTSUP (the system has no pidfds), TG_ENOMEM, TG_ELIMIT, TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD,
 * TG_EFORKED, TG_EPANIC, -EINVAL (the number of a thread that is not the first of its process), -EMFILE, -ENFILE.
 */
TG_API int tg_process_watch(tg_loop loop,
                            int pid,
                            const struct tg_process_watch_options *options,
                            tg_handle *out);

/**
 * Sends a signal to the process (0: only looks whether it is there). It never reaches another process that has got the
 * same number since.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Errors: TG_EINVAL (a number outside 0 to 64), TG_ENOENT (the process is gone), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED
 * (also for a process of the parent's, after tg_loop_reopen), TG_EPANIC, -EPERM, -EINVAL.
 */
TG_API int tg_process_kill(tg_handle process,
                           int signum);

/**
 * The number of the process. Once the process has ended and its handle has closed, another one may get it.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: out stays the caller's.
 * Errors: TG_EINVAL (out is NULL), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_process_get_pid(tg_handle process, int *out);

/**
 * This process's end of the pipe or socket that was made for the program's descriptor index. It does not block (the
 * program's end does), and is closed when another program is executed; tg_conn_open makes a connection of it. Ends that were not
 * taken are closed with the handle.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: the descriptor is the caller's, who closes it.
 * Errors: TG_EINVAL (out is NULL; index is not below stdio_count), TG_ENOENT (it is not a pipe or socket, or was
 * taken), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC.
 */
TG_API int tg_process_take_stdio(tg_handle process,
                                 uint32_t index,
                                 tg_fd *out);

/* ---- Watching files -------------------------------------------------------- */

/** Change: it is new in its directory, or was found in a directory that is new. */
#define TG_CHANGE_CREATED 1u

/** Change: it was removed. */
#define TG_CHANGE_DELETED 2u

/** Change: its contents were changed. */
#define TG_CHANGE_MODIFIED 4u

/** Change: its permissions, owner, times or number of names were changed. */
#define TG_CHANGE_ATTRIBUTES 8u

/** Change: it was moved away from this name. */
#define TG_CHANGE_MOVED_FROM 16u

/** Change: it was moved to this name, maybe in the place of another. */
#define TG_CHANGE_MOVED_TO 32u

/** Change: the watched directory itself (of a file: its directory) was removed, moved or unmounted. Nothing more will come. */
#define TG_CHANGE_SELF_GONE 64u

/** Change: there were more changes than the system keeps, and some are lost. Look for yourself what is there. */
#define TG_CHANGE_OVERFLOW 128u

/** Change: said with the others: it is a directory. */
#define TG_CHANGE_DIRECTORY 256u

/** Flag of a watch: the directory with everything below it, also what comes up later. Symbolic links below it are not followed. */
#define TG_WATCH_RECURSIVE 2u

/** Flag of a watch: the path is that of a file, which need not be there yet. */
#define TG_WATCH_FILE 4u

/** What has changed. Valid during the callback. */
typedef struct tg_change {
  /** The size of the structure. */
  size_t size;
  /** TG_CHANGE_… */
  uint32_t changes;
  /** The same number, not 0, for both halves of a move; else 0. */
  uint32_t cookie;
  /**
   * Of whom: below the watched directory (a/b/c in a recursive watch), of whatever bytes the file system has; empty for
   * the watched path itself.
   */
  const char *name;
} tg_change;

/**
 * Something has changed. status is 0; or the code of an error, change->changes 0, and what change->name names is not
 * watched: -ENOSPC, the system watches no more directories for this user (the others go on); for the empty name the whole
 * watch has ended: the error with which tg_loop_reopen could not set it up anew in a forked child.
 */
typedef void (*tg_watch_cb)(tg_handle self, void *user, int status, const struct tg_change *change);

/** What a watch shall do. Set up with TG_WATCH_OPTIONS_INIT. */
typedef struct tg_watch_options {
  /** The size of the structure. */
  size_t size;
  /** Whom to call (NULL on a batch loop). */
  tg_watch_cb callback;
  /** Passed to the callback (a batch loop: the number in its records). */
  void *user;
  /** Gives user back; may be NULL. */
  tg_release_cb release;
  /** TG_UNREF, TG_WATCH_… or 0. */
  uint32_t flags;
  /** 0. */
  uint32_t reserved;
} tg_watch_options;

/**
 * Watches a directory or a file for changes, from this call on. Of a directory it tells what happens to its entries; of a
 * file (through its directory) what happens to that name, so that a file which is replaced, as editors and log rotation
 * do, or removed and made again, stays watched. A symbolic link to a directory is followed, once; of one to a file the link's
 * own name is watched, not what it points to. A recursive watch reads the whole tree during this call, and each new directory
 * when it comes up; what it finds there is told as created. Each watch takes one of the user's inotify objects (usually 128),
 * each directory one of the user's watches. Changes that come too fast may be told together, and beyond what the system keeps (usually 16,384) they are lost
 * and TG_CHANGE_OVERFLOW says so. Changes made on another machine of a network file system are not seen.
 *
 * Thread: the loop's.
 * Callable from callbacks: yes.
 * Ownership: options->user is the library's once 0 was returned; path is read during the call.
 * Errors: TG_EINVAL (path or out is NULL; the path cannot be that of a file; TG_WATCH_RECURSIVE with TG_WATCH_FILE; unknown
 * flags; no callback; functions on a batch loop), TG_ENOTSUP (other systems than Linux), TG_ENOMEM, TG_ELIMIT, TG_ESTALE,
 * TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED, TG_EPANIC, -ENOENT, -ENOTDIR, -EACCES, -EMFILE (no more inotify objects or
 * descriptors), -ENOSPC (no more watches), -ENAMETOOLONG.
 */
TG_API int tg_watch_open(tg_loop loop,
                         const char *path,
                         const struct tg_watch_options *options,
                         tg_handle *out);

/* -------------------------------- Initialisers -------------------------------- */

/* For example: tg_io_options options = TG_IO_OPTIONS_INIT; */
#define TG_PROCESS_STATS_INIT { sizeof(tg_process_stats), 0, 0, 0 }
#define TG_LOOP_OPTIONS_INIT { sizeof(tg_loop_options), 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define TG_LOOP_STATS_INIT { sizeof(tg_loop_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define TG_HANDLE_INFO_INIT { sizeof(tg_handle_info), 0, 0, 0, 0, 0, 0 }
#define TG_IO_OPTIONS_INIT { sizeof(tg_io_options), NULL, NULL, NULL, 0, TG_LEVEL, 0 }
#define TG_TIMER_OPTIONS_INIT { sizeof(tg_timer_options), NULL, NULL, NULL, 0, 0 }
#define TG_CONN_OPTIONS_INIT { sizeof(tg_conn_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define TG_GROUP_OPTIONS_INIT { sizeof(tg_group_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 }
#define TG_GROUP_STATS_INIT { sizeof(tg_group_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define TG_RATE_OPTIONS_INIT { sizeof(tg_rate_options), NULL, NULL, 0, 0, 0, 0 }
#define TG_CONN_TIMEOUTS_INIT { sizeof(tg_conn_timeouts), 0, 0, 0, 0, 0 }
#define TG_CONN_STATS_INIT { sizeof(tg_conn_stats), 0, 0, 0, 0 }
#define TG_LISTENER_OPTIONS_INIT { sizeof(tg_listener_options), NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0 }
#define TG_WORK_OPTIONS_INIT { sizeof(tg_work_options), NULL, NULL, NULL, 0, 0 }
#define TG_SIGNAL_OPTIONS_INIT { sizeof(tg_signal_options), NULL, NULL, NULL, 0, 0 }
#define TG_ASYNC_OPTIONS_INIT { sizeof(tg_async_options), NULL, NULL, NULL, 0, 0 }
#define TG_HOOK_OPTIONS_INIT { sizeof(tg_hook_options), NULL, NULL, NULL, 0, 0 }
#define TG_FILE_OPTIONS_INIT { sizeof(tg_file_options), NULL, NULL, NULL, 0, 0 }
#define TG_UDP_OPTIONS_INIT { sizeof(tg_udp_options), NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0 }
#define TG_UDP_STATS_INIT { sizeof(tg_udp_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define TG_POLLER_OPTIONS_INIT { sizeof(tg_poller_options), 0, -1 }
#define TG_RESOLVE_OPTIONS_INIT { sizeof(tg_resolve_options), NULL, NULL, NULL, 0, 0 }
#define TG_RESOLVE_NAME_OPTIONS_INIT { sizeof(tg_resolve_name_options), NULL, NULL, NULL, 0, 0 }
#define TG_PROCESS_OPTIONS_INIT { sizeof(tg_process_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0 }
#define TG_PROCESS_WATCH_OPTIONS_INIT { sizeof(tg_process_watch_options), NULL, NULL, NULL, 0, 0 }
#define TG_WATCH_OPTIONS_INIT { sizeof(tg_watch_options), NULL, NULL, NULL, 0, 0 }

#ifdef __cplusplus
}
#endif

#endif /* TIDEGATE_H */
