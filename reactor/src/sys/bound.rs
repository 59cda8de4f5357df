//! Listening sockets: bound with the options that servers want, and the files of Unix sockets.

use super::socket::{SocketKind, bind, check, new_socket, own, set_option};
use super::stream;
use crate::base::address::{Address, UnixName};
use crate::base::error::{Error, Result};
use std::os::fd::{AsRawFd, OwnedFd};

/// How a listening socket shall be made.
#[derive(Clone, Copy, Debug)]
pub struct ListenOptions {
    /// How many connections may wait to be accepted.
    pub backlog: u32,
    /// Bind although connections of an earlier server are not forgotten yet.
    pub reuse_address: bool,
    /// Share the port with other sockets that ask for this.
    pub reuse_port: bool,
    /// An IPv6 socket takes no IPv4 connections.
    pub v6_only: bool,
    /// Connections send small writes at once.
    pub no_delay: bool,
    /// Connections that nothing comes from are probed.
    pub keep_alive: bool,
    /// The permissions of a Unix socket's file; `None`: as the process makes files.
    pub mode: Option<u32>,
}

/// A listening socket on an address.
///
/// # Errors
/// The system's: EADDRINUSE, EADDRNOTAVAIL, EACCES, EAFNOSUPPORT, EMFILE.
pub fn listen(address: &Address, options: &ListenOptions) -> Result<(OwnedFd, Option<BoundPath>)> {
    let fd = new_socket(address, SocketKind::Stream)?;
    let path = match address {
        Address::Inet(_) => {
            prepare_inet(&fd, address, options)?;
            bind(fd.as_raw_fd(), address)?;
            None
        }
        Address::Unix(name) => bind_unix(&fd, address, name, options.mode)?,
    };
    stream::listen(fd.as_raw_fd(), options.backlog)?;
    Ok((fd, path))
}

/// Accepted sockets inherit these from the listening one, so that they cost no call a connection.
fn prepare_inet(fd: &OwnedFd, address: &Address, options: &ListenOptions) -> Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, options.reuse_address.into())?;
    if options.reuse_port {
        set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    }
    if address.is_v6() {
        set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, options.v6_only.into())?;
    }
    prepare_stream(fd, options.no_delay, options.keep_alive)
}

/// What both sides of a TCP connection set.
///
/// # Errors
/// The system's.
pub fn prepare_stream(fd: &impl AsRawFd, no_delay: bool, keep_alive: bool) -> Result<()> {
    // An urgent byte is a byte like any other: apart it would keep a drained socket ready for ever.
    set_option(fd, libc::SOL_SOCKET, libc::SO_OOBINLINE, 1)?;
    if no_delay {
        set_option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    }
    if keep_alive {
        set_option(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    }
    Ok(())
}

/// The file of a bound Unix socket: removed when this is dropped, unless another one has taken its place.
#[derive(Debug)]
pub struct BoundPath {
    path: Vec<u8>,
    device: u64,
    inode: u64,
    process: u32,
}

fn bind_unix(fd: &OwnedFd, address: &Address, name: &UnixName, mode: Option<u32>) -> Result<Option<BoundPath>> {
    if !name.is_path() {
        bind(fd.as_raw_fd(), address)?;
        return Ok(None);
    }
    match bind(fd.as_raw_fd(), address) {
        Err(error) if error.code() == -libc::EADDRINUSE && is_stale(address, name)? => {
            remove(name.bytes());
            bind(fd.as_raw_fd(), address)?;
        }
        bound => bound?,
    }
    let path = terminated(&absolute(name.bytes()));
    let identity = identity(&path);
    // Removed again when the rest fails.
    let bound = identity.map(|(device, inode)| BoundPath { path, device, inode, process: std::process::id() });
    if let (Some(mode), Some(bound)) = (mode, &bound) {
        // The socket does not listen yet, so that nobody comes in between.
        set_mode(bound, mode)?;
    }
    Ok(bound)
}

/// Sets the permissions of a socket's file, and of nothing that has its name meanwhile.
#[cfg(target_os = "linux")]
fn set_mode(bound: &BoundPath, mode: u32) -> Result<()> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: a string that ends with zero.
    let place = own(unsafe { libc::open(bound.path.as_ptr().cast(), flags) })?;
    let name = terminated(format!("/proc/self/fd/{}", place.as_raw_fd()).as_bytes());
    if identity_of(place.as_raw_fd()) != Some((bound.device, bound.inode)) {
        return Err(Error::os(libc::EADDRINUSE));
    }
    // SAFETY: a string that ends with zero.
    match check(unsafe { libc::chmod(name.as_ptr().cast(), mode as libc::mode_t) }) {
        // There is no /proc.
        Err(error) if error.code() == -libc::ENOENT => set_mode_by_path(bound, mode),
        changed => changed.map(drop),
    }
}

#[cfg(not(target_os = "linux"))]
use set_mode_by_path as set_mode;

fn set_mode_by_path(bound: &BoundPath, mode: u32) -> Result<()> {
    // SAFETY: a string that ends with zero.
    check(unsafe { libc::chmod(bound.path.as_ptr().cast(), mode as libc::mode_t) }).map(drop)
}

#[cfg(target_os = "linux")]
fn identity_of(fd: super::Fd) -> Option<(u64, u64)> {
    // SAFETY: all zero is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a structure of ours.
    #[allow(clippy::unnecessary_cast, reason = "the fields are narrower on other systems")]
    (unsafe { libc::fstat(fd, &mut stat) } == 0).then_some((stat.st_dev as u64, stat.st_ino as u64))
}

/// Whether the file is that of a server that is gone: a socket that refuses connections.
///
/// # Errors
/// The system's: EMFILE, ENFILE when it cannot be tried.
fn is_stale(address: &Address, name: &UnixName) -> Result<bool> {
    let is_socket = metadata(&terminated(name.bytes())).is_some_and(|it| it.st_mode & libc::S_IFMT == libc::S_IFSOCK);
    let probe = new_socket(address, SocketKind::Stream)?;
    let refused = stream::connect(probe.as_raw_fd(), address).err() == Some(Error::os(libc::ECONNREFUSED));
    Ok(is_socket && refused)
}

/// The program may go to another directory before the file is removed.
fn absolute(path: &[u8]) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    match std::env::current_dir() {
        Ok(directory) if path.first() != Some(&b'/') => [directory.as_os_str().as_bytes(), b"/", path].concat(),
        _ => path.to_vec(),
    }
}

fn terminated(path: &[u8]) -> Vec<u8> {
    [path, &[0]].concat()
}

fn remove(path: &[u8]) {
    let path = terminated(path);
    // SAFETY: a string that ends with zero.
    unsafe { libc::unlink(path.as_ptr().cast()) };
}

fn metadata(path: &[u8]) -> Option<libc::stat> {
    // SAFETY: all zero is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a string that ends with zero, and a structure of ours.
    (unsafe { libc::lstat(path.as_ptr().cast(), &mut stat) } == 0).then_some(stat)
}

fn identity(path: &[u8]) -> Option<(u64, u64)> {
    #[allow(clippy::unnecessary_cast, reason = "the fields are narrower on other systems")]
    metadata(path).map(|stat| (stat.st_dev as u64, stat.st_ino as u64))
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        // A forked child has the listener, too, but not the file.
        if self.process == std::process::id() && identity(&self.path) == Some((self.device, self.inode)) {
            // SAFETY: a string that ends with zero.
            unsafe { libc::unlink(self.path.as_ptr().cast()) };
        }
    }
}

/// A descriptor that stands for one that may be needed later.
///
/// # Errors
/// The system's: EMFILE.
pub fn reserve() -> Result<OwnedFd> {
    // SAFETY: a string that ends with zero.
    own(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) })
}

/// Checks that a descriptor is a listening stream socket, and makes it ours: it does not block, no program that is started gets
/// it, and what it accepts is as the options say.
///
/// # Errors
/// [`Error::INVALID`] when it is not; [`Error::BAD_FD`].
pub fn adopt_listener(fd: super::Fd, options: &ListenOptions) -> Result<()> {
    if stream::stream_kind(fd)? != stream::StreamKind::Socket || !stream::listens(fd)? {
        return Err(Error::invalid("not a listening stream socket"));
    }
    adopt_stream(fd, options.no_delay, options.keep_alive)?;
    stream::set_nonblocking(fd, true).map(drop)
}

/// Makes a stream ours that was made elsewhere: no program that is started gets it, and a TCP socket has the options of others.
///
/// # Errors
/// The system's.
pub fn adopt_stream(fd: super::Fd, no_delay: bool, keep_alive: bool) -> Result<()> {
    stream::set_cloexec(fd)?;
    match super::socket::local_address(fd) {
        Ok(Address::Inet(_)) => prepare_stream(&fd, no_delay, keep_alive),
        _ => Ok(()),
    }
}
