//! Many datagrams a call.

use super::{Fd, Message};
use crate::base::error::Result;
use crate::sys::socket::check;
use std::ptr::null_mut;

const _: () = assert!(size_of::<Message>() == size_of::<libc::mmsghdr>());

/// Receives into messages that are laid out; how many.
pub(super) fn receive(fd: Fd, messages: &mut [Message]) -> Result<usize> {
    let (first, count) = (messages.as_mut_ptr().cast(), messages.len() as libc::c_uint);
    // SAFETY: as many messages as it says, of the system's layout; what they point to lives through the call.
    let received = unsafe { libc::recvmmsg(fd, first, count, libc::MSG_DONTWAIT as _, null_mut()) };
    check(received).map(|received| received as usize)
}

/// Sends messages that are laid out; how many.
pub(super) fn send(fd: Fd, messages: &mut [Message]) -> Result<usize> {
    let (first, count) = (messages.as_mut_ptr().cast(), messages.len() as libc::c_uint);
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: as above; the system only reads what they point to.
    let sent = unsafe { libc::sendmmsg(fd, first, count, flags as _) };
    check(sent).map(|sent| sent as usize)
}
