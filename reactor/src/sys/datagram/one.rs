//! One datagram a call.

use super::{Fd, Message};
use crate::base::error::{Error, Result};
use crate::sys::errno;

/// Receives into messages that are laid out; how many.
pub(super) fn receive(fd: Fd, messages: &mut [Message]) -> Result<usize> {
    for (index, message) in messages.iter_mut().enumerate() {
        // SAFETY: the header and what it points to live through the call.
        let length = unsafe { libc::recvmsg(fd, &mut message.header, libc::MSG_DONTWAIT) };
        match libc::c_uint::try_from(length) {
            Ok(length) => message.length = length,
            // What has gone wrong will be seen by the next call.
            Err(_) if index > 0 => return Ok(index),
            Err(_) => return Err(Error::os(errno())),
        }
    }
    Ok(messages.len())
}

#[cfg(any(target_os = "macos", target_os = "ios"))]
const FLAGS: libc::c_int = libc::MSG_DONTWAIT;
#[cfg(not(any(target_os = "macos", target_os = "ios")))]
const FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Sends messages that are laid out; how many.
pub(super) fn send(fd: Fd, messages: &mut [Message]) -> Result<usize> {
    for (index, message) in messages.iter().enumerate() {
        // SAFETY: the header and what it points to live through the call; the system only reads.
        if unsafe { libc::sendmsg(fd, &message.header, FLAGS) } < 0 {
            return if index > 0 { Ok(index) } else { Err(Error::os(errno())) };
        }
    }
    Ok(messages.len())
}
