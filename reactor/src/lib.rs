//! The engine of Tidegate: an event loop over the [`polling`] crate.
//!
//! The layers, each of which may use those below it: [`event_loop`] (the loop, its turn, its commands) over [`io`]
//! (descriptors as state machines) over [`sys`] (the operating system) over [`base`] (pure data structures).
//!
//! ```
//! use tidegate_reactor::{Closures, Event};
//! use std::{cell::Cell, rc::Rc};
//!
//! let looper = Closures::new_loop()?;
//! let ticks = Rc::new(Cell::new(0));
//! let seen = ticks.clone();
//! let on_tick = Closures::callback(move |looper, timer, _event| {
//!     seen.set(seen.get() + 1);
//!     if seen.get() == 3 {
//!         looper.close(timer).unwrap();
//!     }
//! });
//! let timer = looper.timer_open(on_tick, true)?;
//! looper.timer_start(timer, 1_000_000, 1_000_000)?;
//! assert!(!looper.run()?, "nothing is left to do");
//! assert_eq!(ticks.get(), 3);
//! # Ok::<(), tidegate_reactor::Error>(())
//! ```

pub mod base;
pub mod event_loop;
pub mod io;
pub mod sys;

pub use base::error::{ERROR_TABLE, Error, Result};
pub use base::id::Id;
pub use base::interest::{self, Mode};
pub use event_loop::closures::Closures;
pub use event_loop::{Event, EventLoop, LoopOptions, Outcome, Registry, Sink};
pub use io::poller::{Poller, PollerEvent, PollerOptions};
pub use sys::Fd;
