//! Every limit of the loop, with its reason.

/// Events taken from the kernel a turn. More wait in the kernel, in order; 1,024 are 12 KiB and make the cost of the wait
/// itself disappear.
pub(super) const EVENTS_PER_TURN: usize = 1024;

/// Posts that may wait in a loop's inbox unless the options say otherwise: a million of 24 bytes are what a loop that has
/// stopped running can cost.
pub const DEFAULT_MAX_POSTS: u32 = 1 << 20;

/// Threads for work unless the options say otherwise: as many as processors, but not fewer, because what runs there mostly
/// waits.
pub const MIN_WORK_THREADS: u32 = 4;

/// More threads than this only take turns.
pub const MAX_WORK_THREADS: u32 = 1024;

/// Threads that look up names: they only wait for answers, so a few more than processors do no harm.
pub(super) const RESOLVE_THREADS: usize = 8;

/// Descriptors that a program may be given: more than any has, and few enough to be made while the loop waits.
pub(super) const MAX_STDIO: usize = 1024;

/// The longest single wait: kernels differ in what they take above this, and a wait that ends early is only repeated.
pub(super) const LONGEST_WAIT_NS: i64 = 1_000_000_000 * 86_400 * 365;
