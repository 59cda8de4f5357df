//! Sockets: addresses as the system has them, and the calls that make and name sockets.

use super::{Fd, errno};
use crate::base::address::{Address, UnixName};
use crate::base::error::{Error, Result};
use libc::{c_int, c_void, sockaddr_in, sockaddr_in6, sockaddr_storage, sockaddr_un, socklen_t};
use std::mem::{offset_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

/// An address in the system's form.
#[derive(Clone, Copy)]
pub struct RawAddress {
    storage: sockaddr_storage,
    length: socklen_t,
}

/// Where the name begins in the address of a Unix socket.
const PATH: usize = offset_of!(sockaddr_un, sun_path);

impl RawAddress {
    /// Room for any.
    pub fn empty() -> RawAddress {
        // SAFETY: all zero is a valid sockaddr_storage.
        RawAddress { storage: unsafe { zeroed() }, length: size_of::<sockaddr_storage>() as socklen_t }
    }

    /// The system's form of an address.
    pub fn encode(address: &Address) -> RawAddress {
        match address {
            Address::Inet(SocketAddr::V4(v4)) => {
                // SAFETY: all zero is a valid sockaddr_in.
                let mut raw: sockaddr_in = unsafe { zeroed() };
                raw.sin_family = libc::AF_INET as libc::sa_family_t;
                raw.sin_port = v4.port().to_be();
                raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                RawAddress::of(raw, size_of::<sockaddr_in>())
            }
            Address::Inet(SocketAddr::V6(v6)) => {
                // SAFETY: all zero is a valid sockaddr_in6.
                let mut raw: sockaddr_in6 = unsafe { zeroed() };
                raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                raw.sin6_port = v6.port().to_be();
                raw.sin6_addr.s6_addr = v6.ip().octets();
                raw.sin6_scope_id = v6.scope_id();
                RawAddress::of(raw, size_of::<sockaddr_in6>())
            }
            Address::Unix(name) => {
                // SAFETY: all zero is a valid sockaddr_un.
                let mut raw: sockaddr_un = unsafe { zeroed() };
                raw.sun_family = libc::AF_UNIX as libc::sa_family_t;
                for (to, from) in raw.sun_path.iter_mut().zip(name.bytes()) {
                    *to = *from as libc::c_char;
                }
                // The zero behind a path is counted, an abstract name ends where its length says.
                RawAddress::of(raw, PATH + name.bytes().len() + usize::from(name.is_path()))
            }
        }
    }

    fn of<T>(raw: T, length: usize) -> RawAddress {
        const { assert!(size_of::<T>() <= size_of::<sockaddr_storage>()) };
        let mut address = RawAddress::empty();
        // SAFETY: a sockaddr_storage has room for every kind of address (checked above).
        unsafe { (&raw mut address.storage).cast::<T>().write(raw) };
        address.length = length.min(size_of::<T>()) as socklen_t;
        address
    }

    /// What a program has as a `struct sockaddr`.
    ///
    /// # Errors
    /// [`Error::INVALID`] when it cannot be one.
    pub fn from_bytes(bytes: &[u8]) -> Result<RawAddress> {
        let mut address = RawAddress::empty();
        if bytes.len() < size_of::<libc::sa_family_t>() || bytes.len() > size_of::<sockaddr_storage>() {
            return Err(Error::invalid("not the length of a socket address"));
        }
        let to = (&raw mut address.storage).cast::<u8>();
        // SAFETY: the storage has room for them (checked), and any bytes are valid in it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        address.length = bytes.len() as socklen_t;
        Ok(address)
    }

    /// Its bytes, as many as count.
    pub fn bytes(&self) -> &[u8] {
        let length = (self.length as usize).min(size_of::<sockaddr_storage>());
        // SAFETY: the storage is initialised and has at least that many bytes.
        unsafe { std::slice::from_raw_parts((&raw const self.storage).cast(), length) }
    }

    /// The family that these bytes of a program's say, if there are enough.
    pub fn family(bytes: &[u8]) -> Option<u32> {
        RawAddress::from_bytes(bytes).ok().map(|raw| raw.storage.ss_family.into())
    }

    /// What it says.
    ///
    /// # Errors
    /// [`Error::INVALID`] for other families, or too few bytes.
    pub fn decode(&self) -> Result<Address> {
        let length = self.length as usize;
        match c_int::from(self.storage.ss_family) {
            libc::AF_INET if length >= size_of::<sockaddr_in>() => {
                // SAFETY: the family says that it is one, and it has the bytes.
                let raw = unsafe { (&raw const self.storage).cast::<sockaddr_in>().read() };
                let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
                Ok(Address::Inet(SocketAddr::new(IpAddr::V4(ip), u16::from_be(raw.sin_port))))
            }
            libc::AF_INET6 if length >= size_of::<sockaddr_in6>() => {
                // SAFETY: as above.
                let raw = unsafe { (&raw const self.storage).cast::<sockaddr_in6>().read() };
                let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                Ok(Address::v6(ip, u16::from_be(raw.sin6_port), raw.sin6_scope_id))
            }
            libc::AF_UNIX => UnixName::new(unix_name(self.bytes().get(PATH..).unwrap_or_default())).map(Address::Unix),
            _ => Err(Error::invalid("not the address of an IPv4, IPv6 or Unix socket")),
        }
    }

    /// For calls that read an address.
    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    /// For calls that write an address and its length.
    pub(crate) fn as_mut(&mut self) -> (*mut libc::sockaddr, *mut socklen_t) {
        ((&raw mut self.storage).cast(), &raw mut self.length)
    }

    /// The system's structure.
    pub(crate) fn storage(&self) -> sockaddr_storage {
        self.storage
    }

    pub(crate) fn length(&self) -> socklen_t {
        self.length
    }

    pub(crate) fn set_length(&mut self, length: socklen_t) {
        self.length = length.min(size_of::<sockaddr_storage>() as socklen_t);
    }
}

/// The name without what the system counts behind it: a path ends with its zero; an abstract name has its own length.
fn unix_name(bytes: &[u8]) -> &[u8] {
    match bytes.first() {
        None | Some(0) => bytes,
        Some(_) => bytes.split(|byte| *byte == 0).next().unwrap_or_default(),
    }
}

/// What kind of socket to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// A stream: TCP or a Unix stream.
    Stream,
    /// Datagrams: UDP or Unix datagrams.
    Datagram,
}

/// A socket of the address's family that neither blocks nor is inherited by programs that are started.
///
/// # Errors
/// The system's: EMFILE, ENFILE, EAFNOSUPPORT, ENOBUFS.
pub fn new_socket(address: &Address, kind: SocketKind) -> Result<OwnedFd> {
    let family = match address {
        Address::Inet(SocketAddr::V4(_)) => libc::AF_INET,
        Address::Inet(SocketAddr::V6(_)) => libc::AF_INET6,
        Address::Unix(_) => libc::AF_UNIX,
    };
    let kind = match kind {
        SocketKind::Stream => libc::SOCK_STREAM,
        SocketKind::Datagram => libc::SOCK_DGRAM,
    };
    // SAFETY: takes no pointers.
    own(unsafe { libc::socket(family, kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0) })
}

/// The descriptor that a system call has just made.
///
/// # Errors
/// The system's, when it has made none.
pub(crate) fn own(fd: c_int) -> Result<OwnedFd> {
    check(fd)?;
    // SAFETY: just made by the call, with no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The result of a system call.
///
/// # Errors
/// The system's, for -1.
pub(crate) fn check(result: c_int) -> Result<c_int> {
    if result < 0 { Err(Error::os(errno())) } else { Ok(result) }
}

/// Closes a descriptor that the program may have closed behind our back: then nothing happens. (Dropping it would end the
/// process in builds with debug assertions.)
pub fn close(fd: OwnedFd) {
    // SAFETY: ours, and nobody uses it any more.
    unsafe { libc::close(fd.into_raw_fd()) };
}

/// Another number for what a descriptor means.
///
/// # Errors
/// [`Error::BAD_FD`]; the system's: EMFILE.
pub fn duplicate(fd: Fd) -> Result<OwnedFd> {
    // SAFETY: takes no pointers; a wrong number is an error of the call.
    match own(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) }) {
        Err(error) if error.code() == -libc::EBADF => Err(Error::BAD_FD),
        duplicated => duplicated,
    }
}

/// Names a socket.
///
/// # Errors
/// The system's: EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOENT.
pub fn bind(fd: Fd, address: &Address) -> Result<()> {
    let raw = RawAddress::encode(address);
    // SAFETY: the address lives through the call.
    check(unsafe { libc::bind(fd, raw.as_ptr(), raw.length()) }).map(drop)
}

/// The name of a socket, as its own family has it.
///
/// # Errors
/// The system's: ENOTSOCK; [`Error::INVALID`] for other families.
pub fn local_address(fd: Fd) -> Result<Address> {
    let mut raw = RawAddress::empty();
    let (address, length) = raw.as_mut();
    // SAFETY: room for any address, and its length.
    check(unsafe { libc::getsockname(fd, address, length) })?;
    raw.decode()
}

/// The name of the other end of a socket; of IPv4 when it comes from there, whatever the socket's family.
///
/// # Errors
/// The system's: ENOTCONN once the connection is broken; [`Error::INVALID`] for other families.
pub fn peer_address(fd: Fd) -> Result<Address> {
    let mut raw = RawAddress::empty();
    let (address, length) = raw.as_mut();
    // SAFETY: room for any address, and its length.
    check(unsafe { libc::getpeername(fd, address, length) })?;
    raw.decode().map(Address::unmapped)
}

/// An integer option of a socket.
///
/// # Errors
/// The system's: ENOPROTOOPT, EINVAL, ENOTSOCK.
pub fn set_option(fd: &impl AsRawFd, level: c_int, name: c_int, value: c_int) -> Result<()> {
    let size = size_of::<c_int>() as socklen_t;
    let value = (&raw const value).cast::<c_void>();
    // SAFETY: an int of ours that lives through the call.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value, size) }).map(drop)
}

/// An integer option of a socket.
///
/// # Errors
/// The system's: ENOPROTOOPT, ENOTSOCK.
pub fn get_option(fd: &impl AsRawFd, level: c_int, name: c_int) -> Result<c_int> {
    let (mut value, mut size): (c_int, socklen_t) = (0, size_of::<c_int>() as socklen_t);
    // SAFETY: an int of ours that lives through the call.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut size) })?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_the_system_and_back() {
        let unix = |name: &[u8]| Address::Unix(UnixName::new(name).unwrap());
        let all = [
            Address::parse("127.0.0.1", 80).unwrap(),
            Address::parse("fe80::1%3", 65_535).unwrap(),
            unix(b"/tmp/x"),
            unix(b"\0hidden\0name"),
            unix(&[b'a'; 107]),
            unix(b""),
        ];
        for address in all {
            let raw = RawAddress::from_bytes(RawAddress::encode(&address).bytes()).unwrap();
            assert_eq!(raw.decode().unwrap(), address);
        }
    }

    #[test]
    fn h65_bytes_that_are_no_address_are_refused() {
        // mutation: `decode` does not look whether all bytes of an IPv6 address are there.
        let whole = RawAddress::encode(&Address::parse("::1", 1).unwrap());
        for length in 0..whole.bytes().len() {
            let cut = RawAddress::from_bytes(&whole.bytes()[..length]).and_then(|raw| raw.decode());
            assert!(cut.is_err(), "{length}");
        }
        assert!(RawAddress::from_bytes(&[0; 1000]).is_err());
    }
}
