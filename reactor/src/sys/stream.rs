//! The system calls of streams. None of them raises SIGPIPE in the program.

use super::poll_once::{entry, poll_once};
use super::socket::{RawAddress, check, own};
use super::{Fd, errno};
use crate::base::address::Address;
use crate::base::error::{Error, Result};
use crate::base::interest;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};

/// What a descriptor of a stream is, as far as calls differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// A stream socket.
    Socket,
    /// A pipe, a terminal, a device or a file.
    Other,
}

/// Whether a descriptor is a stream socket or something else that can be read and written.
///
/// # Errors
/// [`Error::BAD_FD`]; [`Error::INVALID`] for other sockets and directories.
pub fn stream_kind(fd: Fd) -> Result<StreamKind> {
    // SAFETY: all zero is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a structure of ours; a wrong number is an error of the call.
    if unsafe { libc::fstat(fd, &mut stat) } < 0 || is_place_only(flags(fd)) {
        return Err(Error::BAD_FD);
    }
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFSOCK => match super::socket::get_option(&fd, libc::SOL_SOCKET, libc::SO_TYPE)? {
            libc::SOCK_STREAM => Ok(StreamKind::Socket),
            _ => Err(Error::invalid("the socket is not a stream")),
        },
        libc::S_IFDIR => Err(Error::invalid("the descriptor is a directory")),
        _ => Ok(StreamKind::Other),
    }
}

/// How a descriptor was opened.
fn flags(fd: Fd) -> i32 {
    // SAFETY: only asks.
    unsafe { libc::fcntl(fd, libc::F_GETFL) }
}

/// Whether these are the flags of one that stands for a place in the file system only (O_PATH).
fn is_place_only(flags: i32) -> bool {
    #[cfg(target_os = "linux")]
    return flags & libc::O_PATH != 0;
    #[cfg(not(target_os = "linux"))]
    return flags & libc::O_ACCMODE > libc::O_RDWR;
}

/// Whether a stream socket listens.
///
/// # Errors
/// The system's.
pub fn listens(fd: Fd) -> Result<bool> {
    Ok(super::socket::get_option(&fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN)? != 0)
}

/// Whether it is a Unix socket.
pub fn is_unix(fd: Fd) -> bool {
    matches!(super::socket::local_address(fd), Ok(Address::Unix(_)))
}

/// The size of a regular file.
///
/// # Errors
/// [`Error::BAD_FD`]; [`Error::INVALID`] for anything else, and what cannot be read.
pub fn regular_size(fd: Fd) -> Result<i64> {
    // SAFETY: all zero is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a structure of ours; a wrong number is an error of the call.
    if unsafe { libc::fstat(fd, &mut stat) } < 0 {
        return Err(Error::BAD_FD);
    }
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Error::invalid("not a regular file"));
    }
    let flags = flags(fd);
    if flags & libc::O_ACCMODE == libc::O_WRONLY || is_place_only(flags) {
        return Err(Error::invalid("the file is not open for reading"));
    }
    Ok(stat.st_size)
}

/// Sets or clears O_NONBLOCK; whether it was set.
///
/// # Errors
/// The system's: EBADF.
pub fn set_nonblocking(fd: Fd, nonblocking: bool) -> Result<bool> {
    // SAFETY: takes no pointers.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    let wanted = if nonblocking { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    if wanted != flags {
        // SAFETY: takes no pointers.
        check(unsafe { libc::fcntl(fd, libc::F_SETFL, wanted) })?;
    }
    Ok(flags & libc::O_NONBLOCK != 0)
}

/// Repeats a call that a signal has interrupted.
#[inline(always)]
fn counted(mut call: impl FnMut() -> isize) -> Result<usize> {
    loop {
        let count = call();
        if count >= 0 {
            return Ok(count as usize);
        }
        match errno() {
            libc::EINTR => {}
            error => return Err(Error::os(error)),
        }
    }
}

/// Reads what is there, at most the buffer; 0 is the end.
///
/// # Errors
/// The system's: EAGAIN when nothing is there, ECONNRESET.
#[inline(always)]
pub fn read(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer has that many bytes.
    counted(|| unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Writes what fits; how many bytes.
///
/// # Errors
/// The system's: EAGAIN when nothing fits, EPIPE, ECONNRESET.
#[inline]
pub fn write(fd: Fd, kind: StreamKind, bytes: &[u8]) -> Result<usize> {
    let (first, length) = (bytes.as_ptr().cast(), bytes.len());
    match kind {
        StreamKind::Socket => send(fd, bytes),
        // SAFETY: the slice has that many bytes.
        StreamKind::Other => without_sigpipe(length, || counted(|| unsafe { libc::write(fd, first, length) })),
    }
}

/// The same to a socket.
///
/// # Errors
/// As [`write`].
#[inline(always)]
pub fn send(fd: Fd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the slice has that many bytes.
    counted(|| unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) })
}

/// Writes what fits of several pieces; how many bytes.
///
/// # Errors
/// As [`write`].
pub fn write_vectored(fd: Fd, kind: StreamKind, pieces: &[IoSlice<'_>]) -> Result<usize> {
    if let [one] = pieces {
        return write(fd, kind, one);
    }
    match kind {
        StreamKind::Socket => {
            // SAFETY: all zero is a valid msghdr.
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            message.msg_iov = pieces.as_ptr().cast_mut().cast();
            message.msg_iovlen = pieces.len() as _;
            // SAFETY: IoSlice is laid out as iovec, and the pieces live through the call, which only reads them.
            counted(|| unsafe { libc::sendmsg(fd, &message, libc::MSG_NOSIGNAL) })
        }
        StreamKind::Other => without_sigpipe(pieces.iter().map(|piece| piece.len()).sum(), || {
            // SAFETY: as above.
            counted(|| unsafe { libc::writev(fd, pieces.as_ptr().cast(), pieces.len() as i32) })
        }),
    }
}

/// The most descriptors that one message can carry (SCM_MAX_FD of Linux).
pub const MOST_DESCRIPTORS: usize = 253;

/// Room for the control message of so many descriptors, aligned as its header must be.
#[repr(C, align(8))]
struct Control([u8; 1080]);

const _: () = assert!(size_of::<Control>() >= 16 + MOST_DESCRIPTORS * 4 + 16);

/// Writes what fits of some bytes to a Unix socket, and passes descriptors with the first of them.
///
/// # Errors
/// As [`write`]; [`Error::INVALID`] for more than [`MOST_DESCRIPTORS`] or no bytes.
pub fn send_with_descriptors(fd: Fd, bytes: &[u8], descriptors: &[impl AsRawFd]) -> Result<usize> {
    if descriptors.len() > MOST_DESCRIPTORS || bytes.is_empty() {
        return Err(Error::invalid("at most 253 descriptors go with at least one byte"));
    }
    let mut control = Control([0; 1080]);
    let mut piece = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: all zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut piece;
    message.msg_iovlen = 1;
    if !descriptors.is_empty() {
        let size = (descriptors.len() * size_of::<Fd>()) as u32;
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: only computes a size.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(size) } as _;
        // SAFETY: the control buffer is aligned and has room for a header and the numbers (checked above).
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size) as _;
            let data = libc::CMSG_DATA(header).cast::<Fd>();
            for (at, descriptor) in descriptors.iter().enumerate() {
                data.add(at).write_unaligned(descriptor.as_raw_fd());
            }
        }
    }
    // SAFETY: the message names memory that lives through the call.
    counted(|| unsafe { libc::sendmsg(fd, &message, libc::MSG_NOSIGNAL) })
}

/// Reads what is there, and takes the descriptors that come with it: none is lost or left open unseen.
///
/// # Errors
/// As [`read`]; [`Error::NO_MEMORY`]; EMFILE when the system could not give all of them: then bytes are lost as well.
pub fn read_with_descriptors(fd: Fd, buffer: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> Result<usize> {
    descriptors.try_reserve(MOST_DESCRIPTORS)?;
    let before = descriptors.len();
    let mut control = Control([0; 1080]);
    let mut piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>() as _;
    #[cfg(target_os = "linux")]
    let flags = libc::MSG_CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = 0;
    // SAFETY: the message names memory of ours and the buffer.
    let count = counted(|| unsafe { libc::recvmsg(fd, &mut message, flags) })?;
    // SAFETY: the kernel has filled the control buffer and set its length.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&message) };
    while !header.is_null() {
        // SAFETY: a header that the kernel wrote, with as many bytes of data as its length says.
        unsafe {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let length = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<Fd>();
                for at in 0..length / size_of::<Fd>() {
                    descriptors.push(own(data.add(at).read_unaligned())?);
                }
            }
            header = libc::CMSG_NXTHDR(&message, header);
        }
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        // The rest is lost already. The program must not take the third for the second.
        descriptors.truncate(before);
        return Err(Error::os(libc::EMFILE));
    }
    Ok(count)
}

/// Copies from a file to a stream inside the kernel; how many bytes, 0 at the end of the file.
///
/// # Errors
/// The system's; EINVAL and ENOSYS where it cannot do this between the two.
#[cfg(target_os = "linux")]
pub fn send_file(fd: Fd, file: Fd, offset: i64, length: usize) -> Result<usize> {
    let mut from = offset;
    // SAFETY: the offset is a variable of ours.
    without_sigpipe(length, || counted(|| unsafe { libc::sendfile(fd, file, &mut from, length) }))
}

/// Where there is no such call of that shape.
///
/// # Errors
/// ENOSYS.
#[cfg(not(target_os = "linux"))]
pub fn send_file(_fd: Fd, _file: Fd, _offset: i64, _length: usize) -> Result<usize> {
    Err(Error::os(libc::ENOSYS))
}

/// Reads from a place in a file; how many bytes, 0 at its end.
///
/// # Errors
/// The system's.
pub fn read_at(file: Fd, buffer: &mut [u8], offset: i64) -> Result<usize> {
    // SAFETY: the buffer has that many bytes.
    counted(|| unsafe { libc::pread(file, buffer.as_mut_ptr().cast(), buffer.len(), offset) })
}

/// Writes `length` bytes in a way that may raise SIGPIPE in this thread, also when it has written some of them before. A
/// signal that the program was waiting for itself stays pending.
pub(super) fn without_sigpipe(length: usize, write: impl FnOnce() -> Result<usize>) -> Result<usize> {
    // SAFETY: all zero is a valid set; the calls only write to sets of ours.
    let (before, pending) = unsafe {
        let mut sets: [libc::sigset_t; 3] = std::mem::zeroed();
        let [pipe, before, pending] = &mut sets;
        libc::sigemptyset(pipe);
        libc::sigaddset(pipe, libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, pipe, before);
        libc::sigpending(pending);
        (sets[1], libc::sigismember(&sets[2], libc::SIGPIPE) == 1)
    };
    let result = write();
    if !pending && result != Ok(length) {
        super::signal::take_own(libc::SIGPIPE);
    }
    // SAFETY: puts back what was found above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    result
}

/// How many bytes that were written the peer's system has not taken yet (TCP), or the peer itself (pipes, terminals, and Unix
/// sockets, which count what they need besides, and a piece of some 32 KiB until all of it is taken), where the system can tell.
pub fn not_taken(fd: Fd, kind: StreamKind) -> Option<i64> {
    #[cfg(target_os = "linux")]
    {
        let mut count: i32 = 0;
        // SAFETY: an int to write to.
        let mut ask = |what| unsafe { libc::ioctl(fd, what, &raw mut count) == 0 };
        // A pipe says at either end how much is in it; a socket's answer would be about what it has received.
        let told = ask(libc::TIOCOUTQ) || (kind == StreamKind::Other && ask(libc::FIONREAD));
        told.then_some(count.into())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (fd, kind);
        None
    }
}

/// Whether something of an interest is to be had now.
pub fn is_ready(fd: Fd, interest: u32) -> bool {
    let of = |bit: u32, event: i16| if interest & bit != 0 { event } else { 0 };
    let mut look = [entry(fd, of(interest::READ, libc::POLLIN) | of(interest::WRITE, libc::POLLOUT))];
    interest != 0 && poll_once(&mut look, 0).is_ok_and(|found| found > 0)
}

/// Whether the peer's end has come, perhaps behind bytes that have not been read; `false` where the system does not tell.
pub fn peer_has_ended(fd: Fd) -> bool {
    #[cfg(target_os = "linux")]
    {
        let mut look = [entry(fd, libc::POLLRDHUP)];
        poll_once(&mut look, 0).is_ok_and(|found| found > 0)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = fd;
        false
    }
}

/// No more will be written.
///
/// # Errors
/// The system's: ENOTCONN.
pub fn shut_write(fd: Fd) -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::shutdown(fd, libc::SHUT_WR) }).map(drop)
}

/// Makes closing the socket reset the connection.
pub fn reset_on_close(fd: Fd) {
    let hard = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: a structure of ours. A failure leaves an ordinary close.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, (&raw const hard).cast(), size) };
}

/// The error that a socket has met since the last time, as -errno; 0: none.
pub fn take_error(fd: Fd) -> i32 {
    super::socket::get_option(&fd, libc::SOL_SOCKET, libc::SO_ERROR).map_or_else(|error| error.code(), |errno| -errno)
}

/// Takes a waiting connection and the address that it comes from.
///
/// # Errors
/// The system's: EAGAIN when none waits, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM.
pub fn accept(fd: Fd) -> Result<(OwnedFd, Option<Address>)> {
    let mut raw = RawAddress::empty();
    let (address, length) = raw.as_mut();
    #[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))]
    // SAFETY: room for any address, and its length.
    let accepted = unsafe { libc::accept4(fd, address, length, libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) };
    #[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd")))]
    // SAFETY: as above.
    let accepted = unsafe { libc::accept(fd, address, length) };
    let accepted = own(accepted)?;
    #[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd")))]
    prepare(&accepted)?;
    Ok((accepted, raw.decode().ok().map(Address::unmapped)))
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd")))]
fn prepare(fd: &OwnedFd) -> Result<()> {
    set_nonblocking(fd.as_raw_fd(), true)?;
    set_cloexec(fd.as_raw_fd())
}

/// Programs that are started do not get the descriptor.
///
/// # Errors
/// The system's: EBADF.
pub fn set_cloexec(fd: Fd) -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// Begins to connect; whether it is connected already.
///
/// # Errors
/// The system's: ECONNREFUSED, ENETUNREACH, EADDRNOTAVAIL, ENOENT, EACCES.
pub fn connect(fd: Fd, address: &Address) -> Result<bool> {
    let raw = RawAddress::encode(address);
    // SAFETY: the address lives through the call.
    match check(unsafe { libc::connect(fd, raw.as_ptr(), raw.length()) }) {
        Ok(_) => Ok(true),
        // Interrupted, it goes on by itself.
        Err(error) if [libc::EINPROGRESS, libc::EINTR].contains(&-error.code()) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a connection waits to be accepted.
pub fn somebody_waits(listening: Fd) -> bool {
    let mut entry = [entry(listening, libc::POLLIN)];
    poll_once(&mut entry, 0).is_ok_and(|found| found > 0)
}

/// Lets connections wait in a queue of that length.
///
/// # Errors
/// The system's: EADDRINUSE, EINVAL.
pub fn listen(fd: Fd, backlog: u32) -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::listen(fd, i32::try_from(backlog).unwrap_or(i32::MAX)) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe() -> (OwnedFd, OwnedFd) {
        let mut ends = [-1; 2];
        // SAFETY: room for two numbers.
        unsafe { libc::pipe(ends.as_mut_ptr()) };
        (own(ends[0]).unwrap(), own(ends[1]).unwrap())
    }

    /// The default disposition; Rust's runtime ignores the signal, which would hide it.
    fn with_sigpipe(act: impl FnOnce()) {
        static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _lock = ONE_AT_A_TIME.lock().unwrap();
        // SAFETY: the disposition is put back below.
        let ignored = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        act();
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGPIPE, ignored) };
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn h35_a_file_that_is_cut_off_by_its_receiver_is_no_signal() {
        // mutation: `without_sigpipe` does not look for the signal when something was written.
        let path = std::env::temp_dir().join(format!("tidegate-sendfile-{}", std::process::id()));
        let file = std::fs::File::create_new(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.set_len(1 << 20).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let sender = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop(listener.accept().unwrap());
        let file = std::fs::File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        with_sigpipe(|| {
            let (mut offset, mut calls) = (0, 0);
            while let Ok(count) = send_file(sender.as_raw_fd(), file.as_raw_fd(), offset, 1 << 20) {
                offset += count as i64;
                calls += 1;
            }
            assert!(calls > 0 && offset < 1 << 20, "{offset} in {calls}");
        });
    }

    #[test]
    fn h35_writing_to_a_closed_pipe_is_an_error_and_no_signal() {
        // mutation: `without_sigpipe` does not consume, or does not block.
        let (reading, writing) = pipe();
        drop(reading);
        with_sigpipe(|| {
            for _ in 0..3 {
                let broken = write(writing.as_raw_fd(), StreamKind::Other, b"x").unwrap_err();
                assert_eq!(broken.code(), -libc::EPIPE);
            }
        });
    }
}
