//! Every limit of the loop, with its reason.

/// Events taken from the kernel a turn. More wait in the kernel, in order; 1,024 are 12 KiB and make the cost of the wait
/// itself disappear.
pub(super) const EVENTS_PER_TURN: usize = 1024;

/// Posts that may wait in a loop's inbox unless the options say otherwise: a million of 24 bytes are what a loop that has
/// stopped running can cost.
pub const DEFAULT_MAX_POSTS: u32 = 1 << 20;

/// The longest single wait: kernels differ in what they take above this, and a wait that ends early is only repeated.
pub(super) const LONGEST_WAIT_NS: i64 = 1_000_000_000 * 86_400 * 365;
