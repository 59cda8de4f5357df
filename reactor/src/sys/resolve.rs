//! Names: the system's look-ups, which wait for answers from others and so belong on threads of their own.

use super::errno;
use super::file::{OpenFlags, open};
use super::socket::RawAddress;
use crate::base::address::Address;
use crate::base::error::{Error, Result};
use libc::{addrinfo, c_char, c_int, socklen_t};
use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};

/// The longest name that is passed on: what the system's own answers can be as long as (NI_MAXHOST). A longer one is refused;
/// none is ever cut off.
pub const MAX_NAME: usize = 1024;

/// The most addresses that are taken of an answer, whose length is the answering server's choice; several times what any
/// service is known to have.
pub const MAX_ADDRESSES: usize = 256;

/// Which addresses are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6.
    #[default]
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What is to be looked up. Names are passed to the system as they are.
#[derive(Clone, Debug, Default)]
pub struct Query {
    host: Option<CString>,
    service: Option<CString>,
    /// Which addresses are wanted.
    pub family: Family,
    /// Without a host: the address on which a server listens for everybody, instead of the machine's own.
    pub passive: bool,
    /// The host is a numeric address; nobody is asked.
    pub numeric_host: bool,
}

impl Query {
    /// Asks for a host (or none) and a service or port in decimal (or none).
    ///
    /// # Errors
    /// [`Error::INVALID`] for a name of more than [`MAX_NAME`] bytes and a port above 65,535; [`Error::NO_MEMORY`].
    pub fn new(host: Option<&CStr>, service: Option<&CStr>) -> Result<Query> {
        if service.is_some_and(|service| is_impossible_port(service.to_bytes())) {
            return Err(Error::invalid("a port is a decimal number up to 65,535"));
        }
        let (host, service) = (host.map(copy).transpose()?, service.map(copy).transpose()?);
        Ok(Query { host, service, ..Query::default() })
    }

    /// Whether the port is 0, or none is asked for.
    pub fn is_without_port(&self) -> bool {
        self.service.as_ref().is_none_or(|service| service.as_bytes().iter().all(|byte| *byte == b'0'))
    }

    fn hints(&self) -> addrinfo {
        // SAFETY: all zero is a valid addrinfo.
        let mut hints: addrinfo = unsafe { std::mem::zeroed() };
        hints.ai_family = match self.family {
            Family::Any => libc::AF_UNSPEC,
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        };
        // One entry an address, not one for each kind of socket.
        hints.ai_socktype = libc::SOCK_STREAM;
        let passive = if self.passive { libc::AI_PASSIVE } else { 0 };
        hints.ai_flags = passive | if self.numeric_host { libc::AI_NUMERICHOST } else { 0 };
        hints
    }
}

fn copy(name: &CStr) -> Result<CString> {
    let name = name.to_bytes_with_nul();
    if name.len() > MAX_NAME + 1 {
        return Err(Error::invalid("a name has more than 1,024 bytes"));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(name.len())?;
    bytes.extend_from_slice(name);
    CString::from_vec_with_nul(bytes).map_err(|_| Error::invalid("not a name"))
}

/// A number that is no port. The system would take its low bits, and so another port than was asked for.
fn is_impossible_port(service: &[u8]) -> bool {
    // As strtoul reads it, which takes blanks and a sign, and lets a negative number go around.
    let begin = service.iter().position(|byte| !matches!(byte, b'\t'..=b'\r' | b' ')).unwrap_or(service.len());
    let number = &service[begin..];
    let digits = number.strip_prefix(b"+").or(number.strip_prefix(b"-")).unwrap_or(number);
    let more = |port: u32, digit: &u8| port.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number && (digits.len() < service.len() || digits.iter().fold(0, more) > u32::from(u16::MAX))
}

/// The addresses of a host, in the system's order, each once; at most [`MAX_ADDRESSES`].
///
/// # Errors
/// [`Error::NO_NAME`], [`Error::TRY_AGAIN`], [`Error::RESOLVE`], [`Error::NO_MEMORY`], the system's, such as EMFILE.
pub fn look_up(query: &Query) -> Result<Vec<Address>> {
    let host = query.host.as_deref().map_or(null(), CStr::as_ptr);
    // The system refuses to look up nothing at all.
    let nothing = query.host.is_none().then_some(c"0");
    let service = query.service.as_deref().or(nothing).map_or(null(), CStr::as_ptr);
    let mut answer = Answer(null_mut());
    // SAFETY: strings and hints live through the call; the list that it makes is freed once, by `Answer`.
    check(unsafe { libc::getaddrinfo(host, service, &query.hints(), &raw mut answer.0) })?;
    answer.addresses()
}

/// A list of the system's.
struct Answer(*mut addrinfo);

impl Answer {
    fn addresses(&self) -> Result<Vec<Address>> {
        let mut all: Vec<Address> = Vec::new();
        let mut next = self.0;
        while !next.is_null() && all.len() < MAX_ADDRESSES {
            // SAFETY: an entry of the system's list, which lives as long as `self`.
            let entry = unsafe { &*next };
            next = entry.ai_next;
            // Other families are none of ours.
            let Some(address) = decode(entry).filter(|address| !all.contains(address)) else { continue };
            all.try_reserve(1)?;
            all.push(address);
        }
        if all.is_empty() { Err(Error::NO_NAME) } else { Ok(all) }
    }
}

fn decode(entry: &addrinfo) -> Option<Address> {
    if entry.ai_addr.is_null() {
        return None;
    }
    // SAFETY: the entry says how many bytes its address has.
    let bytes = unsafe { std::slice::from_raw_parts(entry.ai_addr.cast::<u8>(), entry.ai_addrlen as usize) };
    let address = RawAddress::from_bytes(bytes).and_then(|raw| raw.decode()).ok()?;
    matches!(address, Address::Inet(_)).then_some(address)
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: made by getaddrinfo and freed once.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}

/// How an address is to be named.
#[derive(Clone, Copy, Debug)]
pub struct NameQuery {
    /// Whose.
    pub address: Address,
    /// In digits; nobody is asked.
    pub numeric: bool,
    /// Digits in the place of a host's name are an error.
    pub required: bool,
}

/// What an address is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The host's name, or its address in digits.
    pub host: CString,
    /// The service's name, or the port in digits.
    pub service: CString,
}

/// The names of an address.
///
/// # Errors
/// As [`look_up`]; [`Error::NO_NAME`] when a name is required and there is none.
pub fn look_up_name(query: &NameQuery) -> Result<Names> {
    const NUMERIC: c_int = libc::NI_NUMERICHOST | libc::NI_NUMERICSERV;
    let raw = RawAddress::encode(&query.address);
    let required = if query.required { libc::NI_NAMEREQD } else { 0 };
    let flags = required | if query.numeric { NUMERIC } else { 0 };
    let (mut host, mut service) = ([0u8; MAX_NAME + 1], [0u8; MAX_NAME + 1]);
    let room = (MAX_NAME + 1) as socklen_t;
    let (to_host, to_service) = (host.as_mut_ptr().cast::<c_char>(), service.as_mut_ptr().cast::<c_char>());
    // SAFETY: the address lives through the call, and both arrays have the room that it is told of.
    #[rustfmt::skip]
    let result = unsafe {
        libc::getnameinfo(raw.as_ptr(), raw.length(), to_host, room as _, to_service, room as _, flags)
    };
    check(result)?;
    let text = |bytes: &[u8]| CStr::from_bytes_until_nul(bytes).map_err(|_| Error::RESOLVE).and_then(copy);
    Ok(Names { host: text(&host)?, service: text(&service)? })
}

/// EAI_NODATA and EAI_ADDRFAMILY, which not every system has or documents.
const NO_DATA: c_int = if cfg!(target_os = "linux") { -5 } else { 7 };
const NO_SUCH_FAMILY: c_int = if cfg!(target_os = "linux") { -9 } else { 1 };

/// What the system's answer says.
fn check(result: c_int) -> Result<()> {
    let answer = match result {
        0 => return Ok(()),
        libc::EAI_NONAME | libc::EAI_SERVICE | NO_DATA | NO_SUCH_FAMILY => Error::NO_NAME,
        libc::EAI_AGAIN => Error::TRY_AGAIN,
        libc::EAI_MEMORY => return Err(Error::NO_MEMORY),
        libc::EAI_SYSTEM if errno() > 0 => return Err(Error::os(errno())),
        _ => Error::RESOLVE,
    };
    // A C library that could open neither its files nor a socket says that there is no such name.
    Err(why_nothing_can_be_opened().unwrap_or(answer))
}

/// EMFILE or ENFILE, if there is no descriptor to be had.
fn why_nothing_can_be_opened() -> Option<Error> {
    let none = |error: &Error| [-libc::EMFILE, -libc::ENFILE].contains(&error.code());
    open(c"/", OpenFlags { read: true, ..OpenFlags::default() }, 0).err().filter(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(host: Option<&CStr>, service: Option<&CStr>, family: Family, passive: bool) -> Result<Vec<Address>> {
        look_up(&Query { family, passive, numeric_host: true, ..Query::new(host, service)? })
    }

    fn one(text: &str, port: u16) -> Result<Vec<Address>> {
        Ok(vec![Address::parse(text, port).unwrap()])
    }

    #[test]
    fn numbers_are_their_own_addresses() {
        assert_eq!(numeric(Some(c"127.0.0.1"), Some(c"80"), Family::Any, false), one("127.0.0.1", 80));
        assert_eq!(numeric(Some(c"::1"), None, Family::Any, false), one("::1", 0));
        assert_eq!(numeric(Some(c"::1"), None, Family::V4, false), Err(Error::NO_NAME));
        assert_eq!(numeric(Some(c"localhost"), None, Family::Any, false), Err(Error::NO_NAME));
    }

    #[test]
    fn no_host_is_this_machine_or_everybody() {
        assert_eq!(numeric(None, Some(c"65535"), Family::V4, false), one("127.0.0.1", 65_535));
        assert_eq!(numeric(None, None, Family::V4, true), one("0.0.0.0", 0));
        assert_eq!(numeric(None, None, Family::V6, true), one("::", 0));
    }

    #[test]
    fn h65_a_name_is_refused_or_passed_on_and_a_port_is_never_cut_off() {
        // mutation: copy cuts off what is too long; is_impossible_port is always false.
        for length in 0..2000 {
            let name = CString::new(vec![b'a'; length]).unwrap();
            assert_eq!(copy(&name).is_ok(), length <= MAX_NAME, "{length}");
            if let Ok(copied) = copy(&name) {
                assert_eq!(copied, name);
            }
        }
        for port in [
            c"65536",
            c"70000",
            c"00065536",
            c"18446744073709551617",
            c" 80",
            c"+80",
            c"\x0b80",
            c"-1",
            c"-4294901680",
            c" -4294901680",
            c"-18446744073709551536",
        ] {
            assert!(Query::new(None, Some(port)).is_err(), "{port:?}");
        }
        for port in [c"65535", c"0", c"00080", c"", c"http", c"-", c"+", c"70000x", c"-80x"] {
            assert!(Query::new(None, Some(port)).is_ok(), "{port:?}");
        }
    }

    #[test]
    fn addresses_are_named_in_digits() {
        for (text, port) in [("127.0.0.1", 80), ("::1", 65_535)] {
            let address = Address::parse(text, port).unwrap();
            let names = look_up_name(&NameQuery { address, numeric: true, required: false }).unwrap();
            assert_eq!((names.host.to_str(), names.service.to_str()), (Ok(text), Ok(port.to_string().as_str())));
        }
    }

    #[test]
    fn every_failure_is_a_code_below_zero() {
        for code in -200..200 {
            if let Err(error) = check(code) {
                assert!(error.code() < 0, "{code}");
            }
        }
        assert_eq!(check(libc::EAI_AGAIN), Err(Error::TRY_AGAIN));
        assert_eq!(check(libc::EAI_FAMILY), Err(Error::RESOLVE));
    }
}
