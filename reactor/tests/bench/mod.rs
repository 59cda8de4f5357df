//! A loop whose clock is set by hand.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use tidegate_reactor::event_loop::clock::ManualClock;
use tidegate_reactor::event_loop::closures::{Callback, Loop};
use tidegate_reactor::event_loop::{Clock, Shape};
use tidegate_reactor::{Closures, Event, Id, LoopOptions};

pub(crate) const SECOND: i64 = 1_000_000_000;

pub(crate) struct Bench {
    pub(crate) event_loop: Loop,
    pub(crate) clock: Rc<ManualClock>,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let clock = Rc::new(ManualClock::default());
        let options = LoopOptions { clock: Clock::Manual(clock.clone()), ..LoopOptions::default() };
        Bench { event_loop: Closures::new_loop_with(options).unwrap(), clock }
    }

    pub(crate) fn wrap(&self, stream: impl Into<OwnedFd>, shape: Shape, callback: Callback) -> Id {
        let mut fd = Some(stream.into());
        self.event_loop.conn_open(&mut fd, Rc::new(shape), callback, true).unwrap()
    }

    pub(crate) fn turns(&self, count: usize) {
        for _ in 0..count {
            self.event_loop.run_nowait().unwrap();
        }
    }

    pub(crate) fn after(&self, nanoseconds: i64) {
        self.clock.monotonic_ns.set(self.clock.monotonic_ns.get() + nanoseconds);
        self.turns(20);
    }
}

pub(crate) fn nothing() -> Callback {
    Closures::callback(|_, _, _| {})
}

/// A callback that notes why it is over.
pub(crate) fn ending(over: &Rc<Cell<Option<i32>>>) -> Callback {
    let over = over.clone();
    Closures::callback(move |_, _, event| {
        if let Event::ConnOver { reason } = event {
            over.set(Some(reason));
        }
    })
}
