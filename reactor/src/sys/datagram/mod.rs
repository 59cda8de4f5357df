//! Datagrams: many a system call where the system can, one after the other where it cannot.
//!
//! Nothing here ever blocks or raises SIGPIPE, whatever flags the descriptor has: an inherited one is shared with others,
//! and its flags are theirs as well.

#[cfg(all(any(target_os = "linux", target_os = "android"), not(feature = "portable-wait")))]
#[path = "many.rs"]
mod calls;
#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(feature = "portable-wait"))))]
#[path = "one.rs"]
mod calls;

use super::Fd;
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::poll_once::{entry, poll_once};
use super::socket::{RawAddress, check};
use super::socket_options::take_error as take_plain_error;
use crate::base::error::{Error, Result};
use libc::{c_int, c_void, iovec, msghdr};
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;

/// The most datagrams that one system call moves here: above it a call's own cost is gone in that of its datagrams.
pub const BATCH: usize = 64;

/// Memory for one call's datagrams: 16 of the largest that UDP has. Pages that nothing was received into cost nothing.
pub const ARENA: usize = 16 * 65_536;

/// Room for one ancillary integer, as the system aligns it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 64]);

/// What a received datagram is besides its bytes.
#[derive(Clone, Copy)]
struct Note {
    length: usize,
    truncated: bool,
    segment: u32,
}

/// A message as the calls that move many want it (the system's `mmsghdr`, where it has one).
#[derive(Clone, Copy)]
#[repr(C)]
struct Message {
    header: msghdr,
    length: libc::c_uint,
}

/// What one call needs besides the bytes. On the heap, because it is too much for a thread with a small stack.
struct Desk {
    messages: [Message; BATCH],
    parts: [iovec; BATCH],
    controls: [Control; BATCH],
    names: [RawAddress; BATCH],
}

impl Desk {
    fn new() -> Desk {
        // SAFETY: all zero is a valid msghdr.
        let message = Message { header: unsafe { zeroed() }, length: 0 };
        Desk {
            messages: [message; BATCH],
            parts: [iovec { iov_base: null_mut(), iov_len: 0 }; BATCH],
            controls: [Control([0; 64]); BATCH],
            names: [RawAddress::empty(); BATCH],
        }
    }

    /// A message of these bytes, without a name and without anything along.
    fn lay_out(&mut self, index: usize, bytes: *mut u8, length: usize) -> &mut msghdr {
        self.parts[index] = iovec { iov_base: bytes.cast(), iov_len: length };
        let message = &mut self.messages[index];
        // SAFETY: all zero is a valid msghdr.
        message.header = unsafe { zeroed() };
        message.header.msg_iov = &raw mut self.parts[index];
        message.header.msg_iovlen = 1;
        &mut message.header
    }
}

/// What a call has received, and the memory for it.
pub struct Receiver {
    /// As capacity only: what is initialised is known by `notes`.
    arena: Vec<u8>,
    desk: Desk,
    notes: [Note; BATCH],
    stride: usize,
    count: usize,
}

/// Where the datagram at `index` begins in the arena.
fn stride_of(size: usize) -> usize {
    // Whole cache lines, so that structures at the front of a datagram are aligned.
    size.next_multiple_of(64)
}

impl Receiver {
    /// Memory for [`BATCH`] datagrams at most, of [`ARENA`] bytes together.
    ///
    /// # Errors
    /// [`Error::NO_MEMORY`].
    pub fn new() -> Result<Box<Receiver>> {
        let mut arena = Vec::new();
        arena.try_reserve_exact(ARENA)?;
        let note = Note { length: 0, truncated: false, segment: 0 };
        Ok(Box::new(Receiver { arena, desk: Desk::new(), notes: [note; BATCH], stride: 64, count: 0 }))
    }

    /// Receives as many datagrams as there are, fit and are wanted, each of at most `size` bytes; how many. What was
    /// received before is gone. `segments`: whether the socket joins datagrams (see [`join_received`]).
    ///
    /// # Errors
    /// The system's: EAGAIN when there is none; what an earlier datagram has caused, such as ECONNREFUSED.
    pub fn receive(&mut self, fd: Fd, size: usize, most: usize, segments: bool) -> Result<usize> {
        self.count = 0;
        self.stride = stride_of(size.clamp(1, ARENA));
        let most = most.clamp(1, BATCH).min(ARENA / self.stride);
        for index in 0..most {
            // SAFETY: below `most`, and so inside the arena.
            let begin = unsafe { self.arena.as_mut_ptr().add(index * self.stride) };
            let (name, control) = (&raw mut self.desk.names[index], &raw mut self.desk.controls[index]);
            let header = self.desk.lay_out(index, begin, size.min(self.stride));
            // SAFETY: an address of ours, of which nothing else is borrowed.
            header.msg_name = unsafe { (*name).as_mut().0 }.cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            // Rights could be sent along to a Unix socket: without room for them the system refuses them, and none leak.
            if segments {
                header.msg_control = control.cast();
                header.msg_controllen = size_of::<Control>() as _;
            }
        }
        let count = calls::receive(fd, &mut self.desk.messages[..most])?;
        for index in 0..count {
            let Message { header, length } = self.desk.messages[index];
            self.desk.names[index].set_length(header.msg_namelen);
            let truncated = header.msg_flags & libc::MSG_TRUNC != 0;
            self.notes[index] = Note { length: (length as usize).min(size), truncated, segment: segment_of(&header) };
        }
        self.count = count;
        Ok(count)
    }

    /// How many datagrams there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The bytes of a datagram.
    pub fn data(&self, index: usize) -> &[u8] {
        if index >= self.count {
            return &[];
        }
        // SAFETY: the system has written that many bytes there, inside the arena.
        unsafe { std::slice::from_raw_parts(self.arena.as_ptr().add(index * self.stride), self.notes[index].length) }
    }

    /// Who has sent it; of no length, if that is a Unix socket without a name.
    pub fn sender(&self, index: usize) -> &RawAddress {
        &self.desk.names[index]
    }

    /// Whether it was longer than what was received of it.
    pub fn is_truncated(&self, index: usize) -> bool {
        self.notes[index].truncated
    }

    /// The size of the datagrams that were joined in it; 0 for one that stands alone.
    pub fn segment_size(&self, index: usize) -> u32 {
        self.notes[index].segment
    }
}

/// A datagram on its way out.
#[derive(Clone, Copy)]
pub struct Parcel<'a> {
    /// To whom; nobody: to whom the socket is connected.
    pub to: Option<RawAddress>,
    /// Its bytes.
    pub data: &'a [u8],
    /// The system cuts it into datagrams of this size; 0: it is one.
    pub segment: u16,
}

/// Sends datagrams, with the memory that it needs for many.
pub struct Sender(Desk);

impl Default for Sender {
    fn default() -> Sender {
        Sender(Desk::new())
    }
}

impl Sender {
    /// Sends as many datagrams as the system takes now, [`BATCH`] of the `count` that `parcel` makes at most; how many.
    ///
    /// # Errors
    /// The system's, if the first one failed: EAGAIN when there is no room, EMSGSIZE, what an earlier datagram has caused.
    pub fn send<'a>(&mut self, fd: Fd, count: usize, parcel: impl Fn(usize) -> Parcel<'a>) -> Result<usize> {
        let count = count.min(BATCH);
        let desk = &mut self.0;
        for index in 0..count {
            let parcel = parcel(index);
            let (name, control) = (&raw const desk.names[index], &raw mut desk.controls[index]);
            if let Some(to) = &parcel.to {
                desk.names[index] = *to;
            }
            let header = desk.lay_out(index, parcel.data.as_ptr().cast_mut(), parcel.data.len());
            if let Some(to) = &parcel.to {
                // SAFETY: an address of ours, just written.
                header.msg_name = unsafe { (*name).as_ptr() }.cast_mut().cast();
                header.msg_namelen = to.length();
            }
            if parcel.segment > 0 {
                // SAFETY: a control block of ours, of which nothing else is borrowed.
                attach_segment(header, unsafe { &mut *control }, parcel.segment);
            }
        }
        calls::send(fd, &mut desk.messages[..count])
    }
}

/// An error that waited in a socket, and whose datagram has caused it, where the system says so.
pub type Blame = (Error, Option<RawAddress>);

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use super::*;

    /// Keeps errors with the addresses of those who caused them.
    ///
    /// # Errors
    /// The system's.
    pub fn keep_errors(fd: Fd, v6: bool) -> Result<()> {
        use crate::sys::socket::set_option;
        if v6 {
            set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)?;
        }
        set_option(&fd, libc::IPPROTO_IP, libc::IP_RECVERR, 1)
    }

    /// Members of a group hear only the groups that they have joined themselves, not those of the whole machine.
    pub fn hear_own_groups_only(fd: Fd, v6: bool) {
        use crate::sys::socket::set_option;
        const IPV6_MULTICAST_ALL: c_int = 29;
        let _ = set_option(&fd, libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, 0);
        if v6 {
            // Since Linux 4.20.
            let _ = set_option(&fd, libc::IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
        }
    }

    /// The next error that waits in the socket, which is taken out of it.
    ///
    /// # Errors
    /// The system's: EBADF, ENOTSOCK.
    pub fn take_error(fd: Fd) -> Result<Option<Blame>> {
        let mut name = RawAddress::empty();
        let mut control = [Control([0; 64]); 4];
        // SAFETY: all zero is a valid msghdr.
        let mut header: msghdr = unsafe { zeroed() };
        let (address, _) = name.as_mut();
        header.msg_name = address.cast();
        header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control) as _;
        // SAFETY: the header and what it points to live through the call.
        let taken = unsafe { libc::recvmsg(fd, &mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
        if taken < 0 {
            // Unix sockets have no such queue, others may have an error that came without a datagram.
            let plain = take_plain_error(fd)?;
            return Ok((plain != 0).then_some((Error::os(plain), None)));
        }
        name.set_length(header.msg_namelen);
        let errno = errno_of(&header).unwrap_or(libc::EIO);
        if errno == 0 {
            return take_error(fd);
        }
        Ok(Some((Error::os(errno), (name.length() > 0).then_some(name))))
    }

    /// What the message from the queue of errors says.
    fn errno_of(header: &msghdr) -> Option<c_int> {
        ancillary(header, |level, kind, data| {
            let ours = (level == libc::IPPROTO_IP && kind == libc::IP_RECVERR)
                || (level == libc::IPPROTO_IPV6 && kind == libc::IPV6_RECVERR);
            if !ours || data.len() < size_of::<libc::sock_extended_err>() {
                return None;
            }
            // SAFETY: plain data, and there are as many bytes (checked).
            let extended: libc::sock_extended_err =
                unsafe { data.as_ptr().cast::<libc::sock_extended_err>().read_unaligned() };
            // What a call to send has found by itself, it has returned.
            let local = extended.ee_origin == libc::SO_EE_ORIGIN_LOCAL;
            Some(if local { 0 } else { extended.ee_errno as c_int })
        })
    }

    /// The system joins datagrams that come from one sender in a row and have one size; see [`Receiver::segment_size`].
    ///
    /// # Errors
    /// [`Error::NOT_SUPPORTED`].
    pub fn join_received(fd: Fd) -> Result<()> {
        crate::sys::socket::set_option(&fd, libc::SOL_UDP, libc::UDP_GRO, 1)
            .map_err(|_| Error::NOT_SUPPORTED.because("the system does not join datagrams of this socket"))
    }

    /// Whether the system cuts what is sent into datagrams (Linux 4.18).
    pub fn can_cut(fd: Fd) -> bool {
        crate::sys::socket::get_option(&fd, libc::SOL_UDP, libc::UDP_SEGMENT).is_ok()
    }

    pub(super) fn segment_of(header: &msghdr) -> u32 {
        let found = ancillary(header, |level, kind, data| {
            let ours = level == libc::SOL_UDP && kind == libc::UDP_GRO && data.len() >= size_of::<c_int>();
            // SAFETY: an integer of the system's, as many bytes as it has (checked).
            ours.then(|| unsafe { data.as_ptr().cast::<c_int>().read_unaligned() })
        });
        found.map_or(0, c_int::unsigned_abs)
    }

    pub(super) fn attach_segment(header: &mut msghdr, control: &mut Control, segment: u16) {
        header.msg_control = std::ptr::from_mut(control).cast();
        // SAFETY: pure arithmetic.
        header.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<u16>() as u32) } as _;
        // SAFETY: the control block has room for one message with a number in it (64 bytes, 24 are needed).
        unsafe {
            let first = libc::CMSG_FIRSTHDR(header);
            (*first).cmsg_level = libc::SOL_UDP;
            (*first).cmsg_type = libc::UDP_SEGMENT;
            (*first).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
            libc::CMSG_DATA(first).cast::<u16>().write_unaligned(segment);
        }
    }

    /// How many datagrams the system has dropped because the socket had no room for them.
    pub fn dropped(fd: Fd) -> u64 {
        const SO_MEMINFO: c_int = 55;
        const DROPS: usize = 8;
        let mut all = [0u32; DROPS + 1];
        let mut size = size_of_val(&all) as libc::socklen_t;
        let to = all.as_mut_ptr().cast::<c_void>();
        // SAFETY: room for as many bytes as `size` says.
        let got = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, SO_MEMINFO, to, &mut size) };
        if got == 0 { all[DROPS].into() } else { 0 }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use super::*;

    /// Keeps errors with the addresses of those who caused them: not here.
    ///
    /// # Errors
    /// None.
    pub fn keep_errors(_fd: Fd, _v6: bool) -> Result<()> {
        Ok(())
    }

    /// Members hear only their own groups here anyway.
    pub fn hear_own_groups_only(_fd: Fd, _v6: bool) {}

    /// The error that waits in the socket, which is taken out of it.
    ///
    /// # Errors
    /// The system's: EBADF, ENOTSOCK.
    pub fn take_error(fd: Fd) -> Result<Option<Blame>> {
        let plain = take_plain_error(fd)?;
        Ok((plain != 0).then_some((Error::os(plain), None)))
    }

    /// The system joins datagrams: not here.
    ///
    /// # Errors
    /// [`Error::NOT_SUPPORTED`].
    pub fn join_received(_fd: Fd) -> Result<()> {
        Err(Error::NOT_SUPPORTED.because("only Linux joins datagrams"))
    }

    /// Whether the system cuts what is sent into datagrams.
    pub fn can_cut(_fd: Fd) -> bool {
        false
    }

    pub(super) fn segment_of(_header: &msghdr) -> u32 {
        0
    }

    pub(super) fn attach_segment(_header: &mut msghdr, _control: &mut Control, _segment: u16) {}

    /// How many datagrams the system has dropped: it does not say.
    pub fn dropped(_fd: Fd) -> u64 {
        0
    }
}

use system::{attach_segment, segment_of};
pub use system::{can_cut, dropped, hear_own_groups_only, join_received, keep_errors, take_error};

/// The first ancillary message that `look` recognises.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn ancillary<T>(header: &msghdr, mut look: impl FnMut(c_int, c_int, &[u8]) -> Option<T>) -> Option<T> {
    if header.msg_controllen == 0 {
        return None;
    }
    // SAFETY: the system has written whole messages into the control block, as far as the header says.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(header);
        while !next.is_null() {
            let length = (*next).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
            let data = std::slice::from_raw_parts(libc::CMSG_DATA(next), length);
            if let Some(found) = look((*next).cmsg_level, (*next).cmsg_type, data) {
                return Some(found);
            }
            next = libc::CMSG_NXTHDR(header, next);
        }
    }
    None
}

/// Whether somebody has shut a socket down for receiving, which is then reported for ever as something to read.
pub fn receives_no_more(fd: Fd) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut look = [entry(fd, libc::POLLRDHUP)];
        poll_once(&mut look, 0).is_ok_and(|found| found > 0) && look[0].revents & libc::POLLRDHUP != 0
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = fd;
        false
    }
}

/// Takes over a descriptor that the program gives away; it will not be inherited by programs that are started.
///
/// # Errors
/// [`Error::BAD_FD`] when it is not open.
pub fn take_over(fd: Fd) -> Result<OwnedFd> {
    // SAFETY: takes no pointers; fails for what is not open.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(Error::BAD_FD);
    }
    // SAFETY: open (just seen), and the caller's, who gives it away.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ends the connection of a socket for datagrams: it receives from everybody again.
///
/// # Errors
/// The system's.
pub fn disconnect(fd: &impl AsRawFd) -> Result<()> {
    // SAFETY: all zero is a valid sockaddr.
    let mut nobody: libc::sockaddr = unsafe { zeroed() };
    nobody.sa_family = libc::AF_UNSPEC as libc::sa_family_t;
    // SAFETY: the address lives through the call.
    let ended = unsafe { libc::connect(fd.as_raw_fd(), &nobody, size_of::<libc::sockaddr>() as libc::socklen_t) };
    match check(ended) {
        // What BSD says although it has done it.
        Err(error) if error.code() == -libc::EAFNOSUPPORT => Ok(()),
        ended => ended.map(drop),
    }
}

/// Connects a socket for datagrams, which never waits.
///
/// # Errors
/// The system's: ENETUNREACH, EACCES, ECONNREFUSED and ENOENT of Unix sockets.
pub fn connect(fd: &impl AsRawFd, to: &RawAddress) -> Result<()> {
    // SAFETY: the address lives through the call.
    check(unsafe { libc::connect(fd.as_raw_fd(), to.as_ptr(), to.length()) }).map(drop)
}
