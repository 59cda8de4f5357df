//! Addresses of peers: IPv4, IPv6, and the names of Unix sockets.

use super::error::{Error, Result};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The longest name of a Unix socket, as Linux has it.
pub const MAX_PATH: usize = 108;

/// Where a socket is, or could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address of the internet protocols, with its port.
    Inet(SocketAddr),
    /// The name of a Unix socket.
    Unix(UnixName),
}

/// A path, an abstract name (which begins with a zero byte), or nothing, for a socket that was not bound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UnixName {
    bytes: [u8; MAX_PATH],
    length: u8,
}

impl Default for UnixName {
    /// No name.
    fn default() -> Self {
        UnixName { bytes: [0; MAX_PATH], length: 0 }
    }
}

impl UnixName {
    /// No name.
    pub const NONE: UnixName = UnixName { bytes: [0; MAX_PATH], length: 0 };

    /// A path, or an abstract name that begins with a zero byte.
    ///
    /// # Errors
    /// [`Error::INVALID`] for one that is too long or a path with a zero byte in it.
    pub fn new(name: &[u8]) -> Result<UnixName> {
        let is_abstract = name.first() == Some(&0);
        // A path needs room for the zero behind it.
        let most = if is_abstract { MAX_PATH } else { MAX_PATH - 1 };
        if name.len() > most {
            return Err(Error::invalid("the name of a Unix socket has at most 107 bytes"));
        }
        if !is_abstract && name.contains(&0) {
            return Err(Error::invalid("a path has a zero byte in it"));
        }
        let mut bytes = [0; MAX_PATH];
        bytes[..name.len()].copy_from_slice(name);
        Ok(UnixName { bytes, length: name.len() as u8 })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length.into()]
    }

    /// Whether it is a path: a file that can be removed.
    pub fn is_path(&self) -> bool {
        self.length > 0 && self.bytes[0] != 0
    }
}

impl std::fmt::Debug for UnixName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Abstract names begin with @, as `ss` and `systemd` show them.
impl std::fmt::Display for UnixName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (mark, name) = match self.bytes().split_first() {
            Some((0, rest)) => ("@", rest),
            _ => ("", self.bytes()),
        };
        write!(f, "{mark}{}", String::from_utf8_lossy(name))
    }
}

impl Address {
    /// Reads a numeric address: `127.0.0.1`, `::1`, `fe80::1%2`. No name is looked up.
    ///
    /// # Errors
    /// [`Error::INVALID`].
    pub fn parse(text: &str, port: u16) -> Result<Address> {
        let wrong = Error::invalid("not a numeric IPv4 or IPv6 address");
        let (text, scope) = match text.split_once('%') {
            Some((_, scope)) if !scope.bytes().all(|byte| byte.is_ascii_digit()) => return Err(wrong),
            Some((text, scope)) => (text, Some(scope.parse::<u32>().map_err(|_| wrong)?)),
            None => (text, None),
        };
        match (text.parse::<IpAddr>().map_err(|_| wrong)?, scope) {
            (IpAddr::V6(ip), scope) => Ok(Address::v6(ip, port, scope.unwrap_or(0))),
            (IpAddr::V4(_), Some(_)) => Err(wrong),
            (ip, None) => Ok(Address::Inet(SocketAddr::new(ip, port))),
        }
    }

    /// An IPv6 address with the number of the interface that a link-local one belongs to.
    pub fn v6(ip: Ipv6Addr, port: u16, scope: u32) -> Address {
        Address::Inet(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope)))
    }

    /// In words, with the bytes of a name as they are, but for zeroes.
    pub fn text(&self) -> Vec<u8> {
        match self {
            Address::Unix(name) => name.bytes().iter().map(|byte| if *byte == 0 { b'@' } else { *byte }).collect(),
            Address::Inet(_) => self.to_string().into_bytes(),
        }
    }

    /// One of IPv4 in place of one that stands in an IPv6 address, as sockets of IPv6 have it (RFC 4291, 2.5.5.2).
    pub fn unmapped(self) -> Address {
        let Address::Inet(SocketAddr::V6(v6)) = self else { return self };
        v6.ip().to_ipv4_mapped().map_or(self, |v4| Address::Inet(SocketAddr::new(IpAddr::V4(v4), v6.port())))
    }

    /// The port; 0 for Unix sockets.
    pub fn port(&self) -> u16 {
        match self {
            Address::Inet(address) => address.port(),
            Address::Unix(_) => 0,
        }
    }

    /// The same with another port.
    pub fn with_port(mut self, port: u16) -> Address {
        if let Address::Inet(address) = &mut self {
            address.set_port(port);
        }
        self
    }

    /// Whether it is of IPv6.
    pub fn is_v6(&self) -> bool {
        matches!(self, Address::Inet(SocketAddr::V6(_)))
    }
}

/// `127.0.0.1:80`, `[::1]:80`, a path, or `@` and an abstract name.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Inet(address) => write!(f, "{address}"),
            Address::Unix(name) => write!(f, "{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_addresses_are_read_and_shown() {
        for (text, shown) in [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("fe80::1%7", "[fe80::1%7]:80")] {
            assert_eq!(Address::parse(text, 80).unwrap().to_string(), shown);
        }
        for text in ["", "localhost", "127.0.0.1.5", "1.2.3.4%1", "::1%eth0", "::g", "127.0.0.1:80", "0x7f.1"] {
            assert!(Address::parse(text, 80).is_err(), "{text}");
        }
    }

    #[test]
    fn h65_names_of_unix_sockets_are_never_cut_off() {
        // mutation: copy what fits.
        assert!(UnixName::new(&[b'a'; MAX_PATH - 1]).is_ok());
        assert!(UnixName::new(&[b'a'; MAX_PATH]).is_err());
        assert!(UnixName::new(b"a\0b").is_err());
        let hidden = UnixName::new(b"\0name").unwrap();
        assert_eq!((hidden.is_path(), hidden.to_string().as_str()), (false, "@name"));
        assert!(UnixName::new(&[0; MAX_PATH]).is_ok());
    }
}
