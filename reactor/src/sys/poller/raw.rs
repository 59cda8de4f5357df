//! epoll's own terms.

use super::{RawControl, Ready, Registration};
use crate::base::error::{Error, Result};
use crate::base::interest::{self, Mode, Readiness};
use crate::sys::{Fd, errno};

/// Registers or changes a descriptor with the masks that `polling` has no words for.
pub(super) fn control(epoll: Fd, control: RawControl, fd: Fd, how: Registration) -> Result<()> {
    let operation = match control {
        RawControl::Add => libc::EPOLL_CTL_ADD,
        RawControl::Modify => libc::EPOLL_CTL_MOD,
    };
    let mut event = libc::epoll_event { events: mask(how), u64: how.key };
    // SAFETY: `event` lives through the call; both numbers are only looked up by the kernel.
    let result = unsafe { libc::epoll_ctl(epoll, operation, fd, &mut event) };
    if result < 0 { Err(Error::os(errno())) } else { Ok(()) }
}

fn mask(how: Registration) -> u32 {
    let mut mask = match how.mode {
        Mode::Level => 0,
        Mode::Edge => libc::EPOLLET,
        Mode::Oneshot => libc::EPOLLONESHOT,
    };
    let pairs = [
        (interest::READ, libc::EPOLLIN),
        (interest::PRIORITY, libc::EPOLLPRI),
        (interest::WRITE, libc::EPOLLOUT),
        (interest::HANGUP, libc::EPOLLRDHUP),
    ];
    for (asked, flag) in pairs {
        if how.interest & asked != 0 {
            mask |= flag;
        }
    }
    mask as u32
}

/// Our bits have the kernel's values.
const _: () = assert!(
    interest::READ == libc::EPOLLIN as u32
        && interest::PRIORITY == libc::EPOLLPRI as u32
        && interest::WRITE == libc::EPOLLOUT as u32
        && interest::ERROR == libc::EPOLLERR as u32
        && interest::HANGUP == libc::EPOLLHUP as u32
);

/// What an event of the kernel says in our terms.
#[cfg_attr(feature = "portable-wait", allow(dead_code))]
#[inline]
pub(super) fn ready(event: &libc::epoll_event) -> Ready {
    let (events, key) = (event.events, event.u64);
    let bits = events & (interest::INTERESTS | interest::ERROR);
    Ready { key, readiness: Readiness { bits, half_closed: events & libc::EPOLLRDHUP as u32 != 0 } }
}
