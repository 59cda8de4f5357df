//! Datagrams through the engine: batches, errors, the queue, cut and joined ones.

use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use tidegate_reactor::base::address::{Address, UnixName};
use tidegate_reactor::event_loop::UdpOption;
use tidegate_reactor::event_loop::closures::{Callback, Loop};
use tidegate_reactor::io::datagram::{Outgoing, Settings};
use tidegate_reactor::{Closures, Error, Event, Id};

fn settings() -> Settings {
    Settings {
        receive_size: 0,
        receive_batch: 0,
        send_limit: 0,
        reuse_address: false,
        reuse_port: false,
        broadcast: false,
        v6_only: false,
        join: false,
    }
}

/// What has come to a socket.
#[derive(Default)]
struct Seen {
    datagrams: RefCell<Vec<Vec<u8>>>,
    batches: RefCell<Vec<usize>>,
    errors: RefCell<Vec<(i32, Option<Address>)>>,
    drains: Cell<usize>,
}

fn noting(seen: &Rc<Seen>) -> Callback {
    let seen = seen.clone();
    Closures::callback(move |_, _, event| match event {
        Event::Datagrams(received) => {
            seen.batches.borrow_mut().push(received.len());
            seen.datagrams.borrow_mut().extend(received.iter().map(|datagram| datagram.data.to_vec()));
        }
        Event::UdpError { status, peer } => seen.errors.borrow_mut().push((status, peer.copied())),
        Event::UdpDrained => seen.drains.set(seen.drains.get() + 1),
        other => panic!("{other:?}"),
    })
}

fn loopback() -> Address {
    Address::parse("127.0.0.1", 0).unwrap()
}

fn open(event_loop: &Loop, settings: &Settings) -> (Id, Address, Rc<Seen>) {
    let seen = Rc::<Seen>::default();
    let id = event_loop.udp_open(&loopback(), settings, noting(&seen), true).unwrap();
    (id, event_loop.udp_local(id).unwrap(), seen)
}

#[test]
fn h23_a_turn_receives_once_and_keeps_the_order() {
    // mutation: `Received::iter` turns the order round.
    let event_loop = Closures::new_loop().unwrap();
    let (id, name, seen) = open(&event_loop, &Settings { receive_size: 1000, ..settings() });
    let numbers: Vec<[u8; 1]> = (0..100).map(|number| [number]).collect();
    let all: Vec<_> = numbers.iter().map(|data| Outgoing { to: Some(name), data }).collect();
    assert_eq!(event_loop.udp_send(id, &all), Ok(100));
    event_loop.run_once().unwrap();
    assert_eq!(*seen.batches.borrow(), [64]);
    event_loop.run_once().unwrap();
    assert_eq!(*seen.datagrams.borrow(), numbers);
}

#[test]
fn h47_errors_come_with_the_address_and_data_comes_after_them() {
    // mutation: `udp_error` takes the error out and tells nobody.
    let event_loop = Closures::new_loop().unwrap();
    let dead = {
        let gone = Closures::new_loop().unwrap();
        open(&gone, &settings()).1
    };
    let (id, name, seen) = open(&event_loop, &settings());
    event_loop.udp_send(id, &[Outgoing { to: Some(dead), data: b"x" }]).unwrap();
    event_loop.udp_send(id, &[Outgoing { to: Some(name), data: b"" }]).unwrap();
    while seen.datagrams.borrow().is_empty() || seen.errors.borrow().is_empty() {
        event_loop.run_once().unwrap();
    }
    assert_eq!(*seen.errors.borrow(), [(-libc_econnrefused(), Some(dead))]);
    assert_eq!(*seen.datagrams.borrow(), [b""]);
    assert!(event_loop.run_nowait().unwrap(), "the socket goes on");
    assert_eq!(event_loop.udp_stats(id).unwrap().counts.errors, 1);
}

fn libc_econnrefused() -> i32 {
    std::io::Error::from(std::io::ErrorKind::ConnectionRefused).raw_os_error().unwrap_or(111)
}

#[test]
fn what_waits_is_bounded_and_goes_out_in_order_when_there_is_room() {
    // mutation: `enqueue` puts datagrams at the front.
    let name = format!("\0tidegate-test-{}", std::process::id());
    let receiver = {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        UnixDatagram::bind_addr(&address).unwrap()
    };
    let (event_loop, seen) = (Closures::new_loop().unwrap(), Rc::<Seen>::default());
    let limited = Settings { send_limit: 10 * 200, ..settings() };
    let nameless = Address::Unix(UnixName::NONE);
    let id = event_loop.udp_open(&nameless, &limited, noting(&seen), true).unwrap();
    let to = Address::Unix(UnixName::new(name.as_bytes()).unwrap());
    event_loop.udp_connect(id, Some(&to)).unwrap();
    let mut sent = 0u64;
    let refused = loop {
        match event_loop.udp_send(id, &[Outgoing { to: None, data: &sent.to_ne_bytes() }]) {
            Ok(count) => sent += count as u64,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code(), Error::NO_BUFFERS.code());
    assert_eq!(event_loop.udp_stats(id).unwrap().queued, 10);
    let mut bytes = [0; 8];
    for expected in 0..sent {
        while event_loop.udp_stats(id).unwrap().queued > 0 && expected + 10 >= sent {
            event_loop.run_once().unwrap();
        }
        receiver.recv(&mut bytes).unwrap();
        assert_eq!(u64::from_ne_bytes(bytes), expected);
        event_loop.run_nowait().unwrap();
    }
    assert_eq!(seen.drains.get(), 1);
    assert_eq!(event_loop.udp_stats(id).unwrap().counts.sent, sent);
}

#[test]
fn segments_arrive_as_datagrams_of_their_size() {
    // mutation: `send_segments` forgets what is left after the last whole cut, or cuts in the middle of a segment.
    let event_loop = Closures::new_loop().unwrap();
    let (id, name, seen) = open(&event_loop, &settings());
    let data: Vec<u8> = (0..128_500u32).map(|number| number as u8).collect();
    let expected: Vec<&[u8]> = data.chunks(1000).collect();
    // All of them wait in it at once.
    event_loop.udp_set(id, UdpOption::Buffers(1 << 20, 0)).unwrap();
    let sent = event_loop.udp_send_segments(id, Some(&name), &data, 1000).unwrap();
    assert_eq!(sent, expected.len());
    while seen.datagrams.borrow().len() < expected.len() {
        event_loop.run_once().unwrap();
    }
    assert_eq!(*seen.datagrams.borrow(), expected);
    assert_eq!(event_loop.udp_send_segments(id, Some(&name), &data, 0).unwrap_err().code(), Error::INVALID.code());
}

#[test]
fn h10_a_refused_socket_leaves_nothing_behind() {
    // mutation: `udp_open` reserves the place before it makes the socket.
    let event_loop = Closures::new_loop().unwrap();
    let (_, name, _) = open(&event_loop, &settings());
    let witness = Rc::new(());
    let kept = witness.clone();
    let callback = Closures::callback(move |_, _, _| drop(kept.clone()));
    assert!(event_loop.udp_open(&name, &settings(), callback, true).is_err());
    assert_eq!(Rc::strong_count(&witness), 1, "the callback is the caller's again");
    assert_eq!(event_loop.open_handles(), 1);
}

#[test]
fn h04_a_socket_that_is_closed_in_its_callback_is_told_no_more() {
    // mutation: after the callback the socket is taken to be open.
    let event_loop = Closures::new_loop().unwrap();
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let close = Closures::callback(move |event_loop: &Loop, id, _| {
        count.set(count.get() + 1);
        event_loop.close(id).unwrap();
    });
    let id = event_loop.udp_open(&loopback(), &Settings { receive_batch: 1, ..settings() }, close, true).unwrap();
    let name = event_loop.udp_local(id).unwrap();
    event_loop.udp_send(id, &[Outgoing { to: Some(name), data: b"x" }; 3]).unwrap();
    assert!(!event_loop.run().unwrap());
    assert_eq!(calls.get(), 1);
}
