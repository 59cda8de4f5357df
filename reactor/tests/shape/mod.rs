//! What connections of the tests are like where a test does not care.

use tidegate_reactor::Id;
use tidegate_reactor::base::framing::Framing;
use tidegate_reactor::event_loop::{Shape, Timeouts};

/// The C library's watermarks and limit, no frames, and nobody to tell of ends and times. A test changes what it is about.
pub(crate) fn shape() -> Shape {
    Shape {
        timeouts: Timeouts::default(),
        high_mark: 1 << 20,
        low_mark: 1 << 18,
        limit: 1 << 26,
        hold: true,
        framing: Framing::None,
        max_frame: 65_536,
        pull: false,
        takes_descriptors: false,
        tells_eof: false,
        tells_timeout: false,
        listener: Id::NONE,
    }
}
