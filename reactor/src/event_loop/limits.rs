//! Every limit of the loop, with its reason.

/// Events taken from the kernel a turn. More wait in the kernel, in order; 1,024 are 12 KiB and make the cost of the wait
/// itself disappear.
pub(super) const EVENTS_PER_TURN: usize = 1024;

/// Posts that may wait in a loop's inbox unless the options say otherwise: a million of 24 bytes are what a loop that has
/// stopped running can cost.
pub const DEFAULT_MAX_POSTS: u32 = 1 << 20;

/// Works, look-ups and operations on files that may wait or run unless the options say otherwise: as many as posts. Each takes
/// some hundreds of bytes.
pub const DEFAULT_MAX_JOBS: u32 = 1 << 20;

/// Bytes that operations on files may hold in memory of the library's unless the options say otherwise: 16,384 blocks of 64 KiB,
/// more than any disk is quicker with, and less than what ends a machine.
pub const DEFAULT_MAX_JOB_BYTES: u64 = 1 << 30;

/// Threads for work unless the options say otherwise: as many as processors, but not fewer, because what runs there mostly
/// waits.
pub const MIN_WORK_THREADS: u32 = 4;

/// More threads than this only take turns.
pub const MAX_WORK_THREADS: u32 = 1024;

/// Threads that look up names: they only wait for answers, so a few more than processors do no harm.
pub(super) const RESOLVE_THREADS: usize = 8;

/// The loop's buffer for reading: what one connection can get in a turn. Larger ones no longer save system calls, and the
/// others wait longer.
pub(super) const READ_SIZE: usize = 65_536;

/// Frames that one connection may deliver a turn; the rest comes in the next ones, so that a flood of tiny frames leaves
/// the others their turn.
pub(super) const FRAMES_PER_TURN: u32 = 1024;

/// Of the events of a turn, where they are limited, one connection's frames may be one in so many.
pub(super) const SHARE_OF_EVENTS: u32 = 16;

/// What a connection may keep of the room in which a burst of frames was held: an idle one must not cost a whole read.
pub(super) const HELD_KEPT: usize = 512;

/// Connections that one listener may accept a turn, so that those that are there are not kept waiting by a rush.
pub(super) const ACCEPTS_PER_TURN: u32 = 64;

/// How long a listener rests that has run out of descriptors or memory, unless one of its connections is closed before:
/// eight times a second, with two turns each, costs nothing, and a client hardly notices.
pub(super) const ACCEPT_RETRY_NS: i64 = 125_000_000;
/// Descriptors that a program may be given: more than any has, and few enough to be made while the loop waits.
pub const MAX_STDIO: usize = 1024;

/// The head start of an attempt to connect before the next address is tried: what RFC 8305, section 5, recommends.
pub(super) const ATTEMPT_DELAY_NS: i64 = 250_000_000;

/// The longest single wait: kernels differ in what they take above this, and a wait that ends early is only repeated.
pub(super) const LONGEST_WAIT_NS: i64 = 1_000_000_000 * 86_400 * 365;
