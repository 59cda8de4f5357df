//! Options that sockets of several kinds have. All work on a bare descriptor.

use super::Fd;
use super::socket::{check, get_option, set_option};
use crate::base::address::Address;
use crate::base::error::{Error, Result};
use libc::{c_int, c_void, socklen_t};
use std::mem::zeroed;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which protocols a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6, and IPv4 as well unless it was told otherwise.
    V6,
    /// Unix sockets.
    Unix,
}

impl Family {
    /// Of a socket with that name.
    pub fn of(address: &Address) -> Family {
        match address {
            Address::Inet(inet) if inet.is_ipv4() => Family::V4,
            Address::Inet(_) => Family::V6,
            Address::Unix(_) => Family::Unix,
        }
    }
}

/// Whether the descriptor is a socket for datagrams.
///
/// # Errors
/// The system's: EBADF, ENOTSOCK.
pub fn is_datagram(fd: Fd) -> Result<bool> {
    Ok(get_option(&fd, libc::SOL_SOCKET, libc::SO_TYPE)? == libc::SOCK_DGRAM)
}

/// The error that waits in the socket, which is taken out of it; 0: none.
///
/// # Errors
/// The system's: EBADF, ENOTSOCK.
pub fn take_error(fd: Fd) -> Result<c_int> {
    get_option(&fd, libc::SOL_SOCKET, libc::SO_ERROR)
}

/// Lets the name be used although a socket has or had it.
///
/// # Errors
/// The system's.
pub fn reuse_address(fd: Fd) -> Result<()> {
    set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)
}

/// Lets several sockets with this option have one name; the system spreads what comes among them.
///
/// # Errors
/// The system's.
pub fn reuse_port(fd: Fd) -> Result<()> {
    set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
}

/// Lets datagrams be sent to broadcast addresses.
///
/// # Errors
/// The system's.
pub fn set_broadcast(fd: Fd, on: bool) -> Result<()> {
    set_option(&fd, libc::SOL_SOCKET, libc::SO_BROADCAST, on.into())
}

/// Whether a socket of IPv6 keeps off IPv4, whatever the system's default is.
///
/// # Errors
/// The system's: EINVAL once it is bound.
pub fn set_v6_only(fd: Fd, on: bool) -> Result<()> {
    set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, on.into())
}

/// From now on a listening TCP socket does not hear of new connections: those who begin one try again a little later, elsewhere
/// or in vain. The others, which have begun before, come in.
///
/// # Errors
/// [`Error::NOT_SUPPORTED`] on other systems than Linux; the system's: ENOMEM.
#[cfg(target_os = "linux")]
pub fn refuse_newcomers(fd: Fd) -> Result<()> {
    const fn step(code: u32, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code: code as u16, jt: 0, jf, k }
    }
    // Drops what has SYN set, the bit 2 of the header's byte 13 (RFC 9293, 3.1).
    let mut program = [
        step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 13),
        step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 1, 2),
        step(libc::BPF_RET | libc::BPF_K, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, 0, u32::MAX),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set_raw(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
}

/// Not to be had.
///
/// # Errors
/// [`Error::NOT_SUPPORTED`].
#[cfg(not(target_os = "linux"))]
pub fn refuse_newcomers(_fd: Fd) -> Result<()> {
    Err(Error::NOT_SUPPORTED)
}

/// How many bytes wait in the system to be read and to be sent at most; 0 leaves one as it is.
///
/// # Errors
/// The system's.
pub fn set_buffers(fd: Fd, receive: u32, send: u32) -> Result<()> {
    for (name, bytes) in [(libc::SO_RCVBUF, receive), (libc::SO_SNDBUF, send)] {
        if bytes > 0 {
            // The system cuts it down to its own limit, whatever it is.
            set_option(&fd, libc::SOL_SOCKET, name, c_int::try_from(bytes).unwrap_or(c_int::MAX))?;
        }
    }
    Ok(())
}

/// What the system makes of them: (receive, send).
///
/// # Errors
/// The system's.
pub fn buffers(fd: Fd) -> Result<(u32, u32)> {
    let read = |name| get_option(&fd, libc::SOL_SOCKET, name).map(c_int::unsigned_abs);
    Ok((read(libc::SO_RCVBUF)?, read(libc::SO_SNDBUF)?))
}

/// Sets an option of IPv4, or that of IPv6 and, as far as the socket speaks it, that of IPv4.
fn set_both(fd: Fd, family: Family, v4: c_int, v6: c_int, value: c_int) -> Result<()> {
    match family {
        Family::V4 => set_option(&fd, libc::IPPROTO_IP, v4, value),
        Family::V6 => {
            set_option(&fd, libc::IPPROTO_IPV6, v6, value)?;
            // Only some systems know it on such a socket, and only for the traffic of IPv4.
            let _ = set_option(&fd, libc::IPPROTO_IP, v4, value);
            Ok(())
        }
        Family::Unix => Err(Error::NOT_SUPPORTED.because("Unix sockets have no such option")),
    }
}

/// Over how many routers what is sent may go.
///
/// # Errors
/// [`Error::NOT_SUPPORTED`] for Unix sockets, the system's.
pub fn set_ttl(fd: Fd, family: Family, hops: u8) -> Result<()> {
    set_both(fd, family, libc::IP_TTL, libc::IPV6_UNICAST_HOPS, hops.into())
}

/// The same for what is sent to groups.
///
/// # Errors
/// [`Error::NOT_SUPPORTED`] for Unix sockets, the system's.
pub fn set_multicast_ttl(fd: Fd, family: Family, hops: u8) -> Result<()> {
    set_both(fd, family, libc::IP_MULTICAST_TTL, libc::IPV6_MULTICAST_HOPS, hops.into())
}

/// Whether members on this machine hear what is sent to their groups.
///
/// # Errors
/// [`Error::NOT_SUPPORTED`] for Unix sockets, the system's.
pub fn set_multicast_loop(fd: Fd, family: Family, on: bool) -> Result<()> {
    set_both(fd, family, libc::IP_MULTICAST_LOOP, libc::IPV6_MULTICAST_LOOP, on.into())
}

/// A network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// The system chooses.
    Any,
    /// By number.
    Index(u32),
    /// By its address.
    Address(Ipv4Addr),
}

/// A group to be a member of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Its address.
    pub group: IpAddr,
    /// Only what this one sends.
    pub source: Option<IpAddr>,
    /// On which network.
    pub interface: Interface,
}

fn set_raw<T>(fd: Fd, level: c_int, name: c_int, value: &T) -> Result<()> {
    let size = size_of::<T>() as socklen_t;
    let value = std::ptr::from_ref(value).cast::<c_void>();
    // SAFETY: `value` is plain data of that size that lives through the call.
    check(unsafe { libc::setsockopt(fd, level, name, value, size) }).map(drop)
}

fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) }
}

fn mreqn(group: Ipv4Addr, interface: Interface) -> libc::ip_mreqn {
    let (address, index) = match interface {
        Interface::Any => (Ipv4Addr::UNSPECIFIED, 0),
        Interface::Index(index) => (Ipv4Addr::UNSPECIFIED, index as c_int),
        Interface::Address(address) => (address, 0),
    };
    libc::ip_mreqn { imr_multiaddr: in_addr(group), imr_address: in_addr(address), imr_ifindex: index }
}

fn index(interface: Interface) -> Result<u32> {
    match interface {
        Interface::Any => Ok(0),
        Interface::Index(index) => Ok(index),
        Interface::Address(_) => Err(Error::invalid("interfaces of IPv6 are named by their numbers")),
    }
}

/// Through which interface what is sent to groups goes.
///
/// # Errors
/// [`Error::INVALID`] for the address of an interface on a socket of IPv6, [`Error::NOT_SUPPORTED`] for Unix sockets, the
/// system's (ENODEV, EADDRNOTAVAIL).
pub fn set_multicast_interface(fd: Fd, family: Family, interface: Interface) -> Result<()> {
    let v4 = mreqn(Ipv4Addr::UNSPECIFIED, interface);
    match family {
        Family::V4 => set_raw(fd, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &v4),
        Family::V6 => {
            set_raw(fd, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &index(interface)?)?;
            // For groups of IPv4, where the socket may send to them.
            let _ = set_raw(fd, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &v4);
            Ok(())
        }
        Family::Unix => Err(Error::NOT_SUPPORTED.because("Unix sockets have no groups")),
    }
}

/// Makes the socket a member of a group.
///
/// # Errors
/// [`Error::INVALID`] when the parts do not belong together; the system's: ENODEV, EADDRINUSE for a member already.
pub fn join(fd: Fd, membership: &Membership) -> Result<()> {
    change_membership(fd, membership, true)
}

/// Ends a membership.
///
/// # Errors
/// As [`join`]; EADDRNOTAVAIL for what is not a member.
pub fn leave(fd: Fd, membership: &Membership) -> Result<()> {
    change_membership(fd, membership, false)
}

fn change_membership(fd: Fd, what: &Membership, join: bool) -> Result<()> {
    if !what.group.is_multicast() {
        return Err(Error::invalid("not the address of a group"));
    }
    match (what.group, what.source, what.interface) {
        (IpAddr::V4(group), None, interface) => {
            let name = if join { libc::IP_ADD_MEMBERSHIP } else { libc::IP_DROP_MEMBERSHIP };
            set_raw(fd, libc::IPPROTO_IP, name, &mreqn(group, interface))
        }
        (IpAddr::V4(group), Some(IpAddr::V4(source)), Interface::Address(interface)) => {
            let name = if join { libc::IP_ADD_SOURCE_MEMBERSHIP } else { libc::IP_DROP_SOURCE_MEMBERSHIP };
            // SAFETY: all zero is a valid one; systems differ in the order of its members.
            let mut request: libc::ip_mreq_source = unsafe { zeroed() };
            request.imr_multiaddr = in_addr(group);
            request.imr_interface = in_addr(interface);
            request.imr_sourceaddr = in_addr(source);
            set_raw(fd, libc::IPPROTO_IP, name, &request)
        }
        (IpAddr::V6(group), None, interface) => change_v6(fd, group, index(interface)?, join),
        (group, Some(source), interface) if group.is_ipv4() == source.is_ipv4() => {
            change_source(fd, group, source, index(interface)?, join)
        }
        _ => Err(Error::invalid("group and source are of different families")),
    }
}

fn change_v6(fd: Fd, group: Ipv6Addr, interface: u32, join: bool) -> Result<()> {
    let name = if join { libc::IPV6_ADD_MEMBERSHIP } else { libc::IPV6_DROP_MEMBERSHIP };
    // SAFETY: all zero is a valid one; the type of the number differs among systems.
    let mut request: libc::ipv6_mreq = unsafe { zeroed() };
    request.ipv6mr_multiaddr.s6_addr = group.octets();
    request.ipv6mr_interface = interface as _;
    set_raw(fd, libc::IPPROTO_IPV6, name, &request)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn change_source(fd: Fd, group: IpAddr, source: IpAddr, interface: u32, join: bool) -> Result<()> {
    use super::socket::RawAddress;
    let storage = |ip| RawAddress::encode(&Address::Inet(std::net::SocketAddr::new(ip, 0))).storage();
    let level = if group.is_ipv4() { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 };
    // SAFETY: all zero is a valid one; made so because there is room between its members that the system reads as well.
    let mut request: libc::group_source_req = unsafe { zeroed() };
    request.gsr_interface = interface;
    request.gsr_group = storage(group);
    request.gsr_source = storage(source);
    let name = if join { libc::MCAST_JOIN_SOURCE_GROUP } else { libc::MCAST_LEAVE_SOURCE_GROUP };
    set_raw(fd, level, name, &request)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn change_source(_fd: Fd, _group: IpAddr, _source: IpAddr, _interface: u32, _join: bool) -> Result<()> {
    Err(Error::NOT_SUPPORTED.because("sources are chosen by the interface's IPv4 address here"))
}

/// Options of streams, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOption {
    /// Small writes are sent at once (TCP): 0 or 1.
    NoDelay,
    /// The peer of a silent connection is probed: 0 or 1.
    KeepAlive,
    /// Bytes that the system keeps for sending.
    SendBuffer,
    /// Bytes that the system keeps of what has arrived.
    ReceiveBuffer,
    /// How many routers a packet may pass: 1 to 255.
    TimeToLive,
}

impl StreamOption {
    fn place(self, fd: Fd) -> Result<(c_int, c_int)> {
        Ok(match self {
            StreamOption::NoDelay => (libc::IPPROTO_TCP, libc::TCP_NODELAY),
            StreamOption::KeepAlive => (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
            StreamOption::SendBuffer => (libc::SOL_SOCKET, libc::SO_SNDBUF),
            StreamOption::ReceiveBuffer => (libc::SOL_SOCKET, libc::SO_RCVBUF),
            StreamOption::TimeToLive => match Family::of(&super::socket::local_address(fd)?) {
                Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
                _ => (libc::IPPROTO_IP, libc::IP_TTL),
            },
        })
    }

    /// Sets it.
    ///
    /// # Errors
    /// [`Error::INVALID`] for a value that is out of range; the system's: EOPNOTSUPP, ENOPROTOOPT, ENOTSOCK.
    pub fn set(self, fd: Fd, value: c_int) -> Result<()> {
        let fits = match self {
            StreamOption::NoDelay | StreamOption::KeepAlive => value <= 1,
            StreamOption::TimeToLive => (1..=255).contains(&value),
            StreamOption::SendBuffer | StreamOption::ReceiveBuffer => value > 0,
        };
        if value < 0 || !fits {
            return Err(Error::invalid("the value is out of the option's range"));
        }
        let (level, name) = self.place(fd)?;
        set_option(&fd, level, name, value)
    }

    /// What it is. (Linux answers twice what a buffer was set to.)
    ///
    /// # Errors
    /// The system's: EOPNOTSUPP, ENOPROTOOPT, ENOTSOCK.
    pub fn get(self, fd: Fd) -> Result<c_int> {
        let (level, name) = self.place(fd)?;
        get_option(&fd, level, name)
    }
}
