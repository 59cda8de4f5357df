//! Chapter: addresses.

use crate::convert::{self, Out, out};
use crate::error::noted;
use std::ffi::{c_char, c_int, c_void};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tidegate_reactor::base::address::{Address, UnixName};
use tidegate_reactor::sys::socket::RawAddress;
use tidegate_reactor::{Error, Result};

/// Family of an address: the name of a Unix socket.
pub const TG_UNIX: u32 = 1;
/// Family of an address: IPv4.
pub const TG_IPV4: u32 = 4;
/// Family of an address: IPv6.
pub const TG_IPV6: u32 = 6;

/// Where a socket is, or could be. Set up with tg_address_parse, tg_address_unix or tg_address_from_sockaddr, or by hand from
/// zeroes: a member that is not of its family must be 0 (TG_EINVAL), but for what stands behind the end of `path`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct tg_address {
    /// TG_IPV4, TG_IPV6 or TG_UNIX.
    pub family: u32,
    /// In the machine's byte order; 0 for Unix sockets.
    pub port: u16,
    /// Unix sockets: how many bytes of `path` there are; 0 for one without a name. Else 0.
    pub path_length: u16,
    /// IPv6: the number of the interface that a link-local address belongs to. Else 0.
    pub scope: u32,
    /// The address as it stands in packets: 4 or 16 bytes, the others 0.
    pub ip: [u8; 16],
    /// Unix sockets: the path, or a zero byte and an abstract name (Linux).
    pub path: [c_char; 108],
}

// SAFETY: repr(C), and its members fill it.
unsafe impl convert::Plain for tg_address {}
const _: () = assert!(size_of::<tg_address>() == 4 + 2 + 2 + 4 + 16 + 108);

impl tg_address {
    /// As C has it.
    pub(crate) fn from_engine(address: &Address) -> tg_address {
        let mut raw =
            tg_address { family: 0, port: address.port(), path_length: 0, scope: 0, ip: [0; 16], path: [0; 108] };
        match address {
            Address::Inet(SocketAddr::V4(v4)) => {
                raw.family = TG_IPV4;
                raw.ip[..4].copy_from_slice(&v4.ip().octets());
            }
            Address::Inet(SocketAddr::V6(v6)) => {
                (raw.family, raw.scope) = (TG_IPV6, v6.scope_id());
                raw.ip = v6.ip().octets();
            }
            Address::Unix(name) => {
                (raw.family, raw.path_length) = (TG_UNIX, name.bytes().len() as u16);
                for (to, from) in raw.path.iter_mut().zip(name.bytes()) {
                    *to = *from as c_char;
                }
            }
        }
        raw
    }

    /// As the engine has it.
    ///
    /// # Errors
    /// [`Error::INVALID`].
    pub(crate) fn to_engine(self) -> Result<Address> {
        let v4 = Ipv4Addr::new(self.ip[0], self.ip[1], self.ip[2], self.ip[3]);
        let others = match self.family {
            TG_IPV4 => self.scope == 0 && self.path_length == 0 && self.ip[4..] == [0; 12],
            TG_IPV6 => self.path_length == 0,
            _ => self.scope == 0 && self.port == 0 && self.ip == [0; 16],
        };
        match self.family {
            TG_IPV4 | TG_IPV6 | TG_UNIX if !others => {
                Err(Error::invalid("a member of an address that is not of its family is not 0"))
            }
            TG_IPV4 => Ok(Address::Inet(SocketAddr::new(IpAddr::V4(v4), self.port))),
            TG_IPV6 => Ok(Address::v6(Ipv6Addr::from(self.ip), self.port, self.scope)),
            TG_UNIX if usize::from(self.path_length) <= self.path.len() => {
                let bytes = self.path.map(|byte| byte as u8);
                UnixName::new(&bytes[..self.path_length.into()]).map(Address::Unix)
            }
            TG_UNIX => Err(Error::invalid("the path of an address is longer than it can be")),
            _ => Err(Error::invalid("the family of an address is not TG_IPV4, TG_IPV6 or TG_UNIX")),
        }
    }
}

/// Reads a numeric address: "127.0.0.1", "::1", "fe80::1%2" (2 is the interface's number). Names are not looked up: that is
/// tg_resolve_open's work.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's.
/// Errors: TG_EINVAL (NULL, or not a numeric address), TG_EPANIC.
///
/// # Safety
/// `text` is NULL or a string; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_address_parse(text: *const c_char, port: u16, out: *mut tg_address) -> c_int {
    guard!(tg_address_parse(text, port, out), {
        // SAFETY: the caller's promise.
        let (text, out) = unsafe { (convert::text(text), self::out(out)) };
        write(out, || Address::parse(text?, port))
    })
}

/// The name of a Unix socket: a path, or an abstract name that begins with a zero byte.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's.
/// Errors: TG_EINVAL (NULL; a path of more than 107 bytes or with a zero byte in it; an abstract name of more than 108), TG_EPANIC.
///
/// # Safety
/// `name` is NULL or has `length` bytes; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_address_unix(name: *const c_char, length: usize, out: *mut tg_address) -> c_int {
    guard!(tg_address_unix(name[length], length, out), {
        // SAFETY: the caller's promise.
        let (name, out) = unsafe { (convert::bytes(name.cast(), length), self::out(out)) };
        write(out, || UnixName::new(name?).map(Address::Unix))
    })
}

fn write(out: Result<Out<tg_address>>, make: impl FnOnce() -> Result<Address>) -> Result<()> {
    let out = out?;
    out.write(tg_address::from_engine(&make()?));
    Ok(())
}

/// Writes an address in words: "127.0.0.1:80", "[::1]:80", or the bytes of a Unix socket's name as they are, but for "@" in the
/// place of zeroes (with which abstract names begin); 128 bytes are always enough.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's.
/// Returns: how many bytes the text has without the zero at its end.
/// Errors: TG_EINVAL (NULL, or not an address), TG_ENOBUFS (`size` is too small), TG_EPANIC.
///
/// # Safety
/// `address` is NULL or readable; `text` is NULL or has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_address_format(address: *const tg_address, text: *mut c_char, size: usize) -> c_int {
    guard!(tg_address_format(address, text, size), {
        // SAFETY: the caller's promise.
        let (address, text) = unsafe { (convert::value(address), convert::array_out(text.cast::<u8>(), size)) };
        (|| convert::write_text(text?, address?.to_engine()?.text()))()
    })
}

/// From a `struct sockaddr_in`, `sockaddr_in6` or `sockaddr_un`.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's.
/// Errors: TG_EINVAL (NULL, an unknown family, or too short), TG_EPANIC.
///
/// # Safety
/// `sockaddr` is NULL or has `length` bytes; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_address_from_sockaddr(
    sockaddr: *const c_void, length: usize, out: *mut tg_address,
) -> c_int {
    guard!(tg_address_from_sockaddr(sockaddr, length, out), {
        // SAFETY: the caller's promise.
        let (bytes, out) = unsafe { (convert::bytes(sockaddr.cast(), length), self::out(out)) };
        write(out, || {
            let bytes = bytes?;
            RawAddress::from_bytes(bytes).and_then(|raw| raw.decode()).map_err(|error| family(error, bytes))
        })
    })
}

/// Names the family, if there are enough bytes to have one.
fn family(error: Error, sockaddr: &[u8]) -> Error {
    match RawAddress::family(sockaddr) {
        Some(family) => noted(error, format_args!("family {family}")),
        None => error,
    }
}

/// As a `struct sockaddr_in`, `sockaddr_in6` or `sockaddr_un`; a `struct sockaddr_storage` has room for all of them.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: everything stays the caller's.
/// Returns: how many bytes it has.
/// Errors: TG_EINVAL (NULL, or not an address), TG_ENOBUFS (`size` is too small), TG_EPANIC.
///
/// # Safety
/// `address` is NULL or readable; `sockaddr` is NULL or has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_address_to_sockaddr(
    address: *const tg_address, sockaddr: *mut c_void, size: usize,
) -> c_int {
    guard!(tg_address_to_sockaddr(address, sockaddr, size), {
        // SAFETY: the caller's promise.
        let (address, room) = unsafe { (convert::value(address), convert::array_out(sockaddr.cast::<u8>(), size)) };
        (|| convert::write_bytes(room?, RawAddress::encode(&address?.to_engine()?).bytes()))()
    })
}
