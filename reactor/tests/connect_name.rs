//! Connecting to a host by its name.

mod shape;

use shape::shape;
use std::cell::RefCell;
use std::ffi::CString;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::rc::Rc;
use tidegate_reactor::event_loop::closures::{Callback, Loop};
use tidegate_reactor::event_loop::{ConnectOptions, Shape, Timeouts};
use tidegate_reactor::sys::resolve::Query;
use tidegate_reactor::{Closures, Error, Event, Id};

type Log = Rc<RefCell<Vec<String>>>;

fn noting(log: &Log) -> Callback {
    let log = log.clone();
    Closures::callback(move |event_loop, id, event| {
        log.borrow_mut().push(format!("{event:?}"));
        if event == Event::Opened {
            let hello = std::io::IoSlice::new(b"hello");
            event_loop.conn_write(id, &[hello]).unwrap();
            event_loop.conn_finish(id).unwrap();
        }
    })
}

fn connect(event_loop: &Loop, host: &str, port: u16, connect_ns: i64, log: &Log) -> Id {
    let (host, service) = (CString::new(host).unwrap(), CString::new(port.to_string()).unwrap());
    let query = Query::new(Some(&host), Some(&service)).unwrap();
    let shape = Shape { timeouts: Timeouts { connect_ns, ..Timeouts::default() }, ..shape() };
    let options = ConnectOptions::default();
    event_loop.conn_connect_name(query, options, Rc::new(shape), noting(log), true).unwrap()
}

#[test]
fn a_host_is_found_and_connected_to() {
    let (event_loop, log) = (Closures::new_loop().unwrap(), Log::default());
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let id = connect(&event_loop, "localhost", server.local_addr().unwrap().port(), 0, &log);
    assert_eq!(event_loop.conn_stats(id).map_err(|error| error.code()), Err(-libc::ENOTCONN));
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        all
    });
    assert!(!event_loop.run().unwrap());
    assert_eq!(answers.join().unwrap(), "hello");
    assert_eq!(*log.borrow(), ["Opened", "ConnOver { reason: 0 }"]);
    assert_eq!(event_loop.is_open(id), Ok(false));
}

#[test]
fn failures_are_told_once_and_later() {
    // mutation: connect_fail does not mark that it has failed.
    let event_loop = Closures::new_loop().unwrap();
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    for (host, port, reason) in [
        ("127.0.0.1", closed, -libc::ECONNREFUSED),
        ("::1", closed, -libc::ECONNREFUSED),
        // A name that can have no addresses.
        ("a..b", 1, Error::NO_NAME.code()),
    ] {
        let log = Log::default();
        connect(&event_loop, host, port, 0, &log);
        assert!(log.borrow().is_empty(), "never from inside the call");
        event_loop.run().unwrap();
        let told = log.borrow().clone();
        assert_eq!(told.len(), 1, "{host}: {told:?}");
        if host != "a..b" {
            assert_eq!(told, [format!("ConnOver {{ reason: {reason} }}")]);
        }
        assert_eq!(event_loop.stats().unwrap().open_handles, 0);
    }
}

#[test]
fn it_can_be_closed_at_any_moment() {
    let (event_loop, log) = (Closures::new_loop().unwrap(), Log::default());
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    for turns in 0..50 {
        let id = connect(&event_loop, "localhost", port, 0, &log);
        for _ in 0..turns {
            event_loop.run_nowait().unwrap();
        }
        if event_loop.is_open(id).unwrap() {
            event_loop.conn_abort(id).unwrap();
        }
    }
    event_loop.run().unwrap();
    assert_eq!(event_loop.stats().unwrap().open_handles, 0);
}

#[test]
fn one_deadline_counts_for_all_of_it() {
    // A server that never accepts, and whose queue is full: the system answers nothing.
    let event_loop = Closures::new_loop().unwrap();
    let server = tidegate_reactor::sys::socket::new_socket(
        &tidegate_reactor::base::address::Address::parse("127.0.0.1", 0).unwrap(),
        tidegate_reactor::sys::socket::SocketKind::Stream,
    );
    let server = server.unwrap();
    use std::os::fd::AsRawFd;
    let address = tidegate_reactor::base::address::Address::parse("127.0.0.1", 0).unwrap();
    tidegate_reactor::sys::socket::bind(server.as_raw_fd(), &address).unwrap();
    tidegate_reactor::sys::stream::listen(server.as_raw_fd(), 0).unwrap();
    let port = tidegate_reactor::sys::socket::local_address(server.as_raw_fd()).unwrap().port();
    let first = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let log = Log::default();
    connect(&event_loop, "127.0.0.1", port, 50_000_000, &log);
    event_loop.run().unwrap();
    assert_eq!(*log.borrow(), [format!("ConnOver {{ reason: {} }}", Error::TIMED_OUT.code())]);
    drop(first);
}
