//! Processes: how they end, what they are given, who reaps them.

use std::cell::RefCell;
use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use tidegate_reactor::event_loop::closures::Callback;
use tidegate_reactor::sys::process::{Command, Stdio};
use tidegate_reactor::{Closures, Error, Event};

type Ends = Rc<RefCell<Vec<(i32, i32, i32)>>>;

fn noting(ends: &Ends) -> Callback {
    let ends = ends.clone();
    Closures::callback(move |_, _, event| match event {
        Event::Exit { status, code, signal } => ends.borrow_mut().push((status, code, signal)),
        other => panic!("{other:?}"),
    })
}

fn plain<'a>(argv: &'a [&'a CStr], stdio: &'a [Stdio]) -> Command<'a> {
    Command {
        file: argv[0],
        argv,
        env: None,
        directory: None,
        stdio,
        session: false,
        group: false,
        uid: None,
        gid: None,
    }
}

/// What a program wrote into its pipe, to the end. A program that another test starts at the same time holds a copy of
/// the other end until it is executed, so the end may have to be waited for.
fn text_of(pipe: OwnedFd) -> String {
    // SAFETY: plain system calls.
    unsafe {
        let flags = libc::fcntl(pipe.as_raw_fd(), libc::F_GETFL);
        assert_eq!(libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK), 0);
    }
    let mut text = String::new();
    File::from(pipe).read_to_string(&mut text).unwrap();
    text
}

fn state_of(pid: i32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit(')').next()?.trim().chars().next()
}

#[test]
fn exit_codes_and_signals_are_told_and_the_handle_closes() {
    let (event_loop, ends) = (Closures::new_loop().unwrap(), Ends::default());
    for argv in [[c"sh", c"-c", c"exit 0"], [c"sh", c"-c", c"exit 7"], [c"sh", c"-c", c"kill -TERM $$"]] {
        event_loop.process_open(&plain(&argv, &[]), false, noting(&ends), true).unwrap();
        assert!(!event_loop.run().unwrap());
    }
    assert_eq!(*ends.borrow(), [(0, 0, 0), (0, 7, 0), (0, -1, 15)]);
    assert_eq!(event_loop.stats().unwrap().open_handles, 0);
}

#[test]
fn what_keeps_a_program_from_starting_is_the_answer() {
    let (event_loop, ends) = (Closures::new_loop().unwrap(), Ends::default());
    let attempt = |command: &Command<'_>| event_loop.process_open(command, false, noting(&ends), true).unwrap_err();
    assert_eq!(attempt(&plain(&[c"/does/not/exist"], &[])).code(), -libc::ENOENT);
    assert_eq!(attempt(&plain(&[c"there-is-no-such-program"], &[])).code(), -libc::ENOENT);
    assert_eq!(attempt(&plain(&[c""], &[])).code(), -libc::ENOENT);
    assert_eq!(attempt(&plain(&[c"/etc/passwd"], &[])).code(), -libc::EACCES);
    assert_eq!(attempt(&plain(&[c"/etc/passwd/x"], &[])).code(), -libc::ENOTDIR);
    assert_eq!(attempt(&Command { directory: Some(c"/does/not"), ..plain(&[c"true"], &[]) }).code(), -libc::ENOENT);
    assert_eq!(attempt(&plain(&[c"true"], &[Stdio::Fd(-1)])), Error::BAD_FD);
    assert!(!event_loop.run().unwrap());
    assert!(ends.borrow().is_empty());
}

#[test]
fn pipes_and_the_environment_reach_the_program() {
    let (event_loop, ends) = (Closures::new_loop().unwrap(), Ends::default());
    let argv = [c"sh", c"-c", c"read x; echo \"$x $GREETING $PWD\" >&2; exec true"];
    let env = [c"PATH=/nowhere:/bin:/usr/bin", c"GREETING=hello"];
    let command = Command {
        env: Some(&env),
        directory: Some(c"/"),
        ..plain(&argv, &[Stdio::PipeIn, Stdio::Null, Stdio::PipeOut])
    };
    let id = event_loop.process_open(&command, false, noting(&ends), true).unwrap();
    let mut to = File::from(event_loop.process_take_stdio(id, 0).unwrap());
    let from = event_loop.process_take_stdio(id, 2).unwrap();
    assert_eq!(event_loop.process_take_stdio(id, 0).unwrap_err().code(), Error::NOT_FOUND.code());
    assert_eq!(event_loop.process_take_stdio(id, 1).unwrap_err().code(), Error::NOT_FOUND.code());
    assert_eq!(event_loop.process_take_stdio(id, 3).unwrap_err().code(), Error::INVALID.code());
    to.write_all(b"word\n").unwrap();
    event_loop.run().unwrap();
    assert_eq!(text_of(from), "word hello /\n");
    assert_eq!(*ends.borrow(), [(0, 0, 0)]);
}

#[test]
fn h38_only_this_side_of_a_pipe_does_not_block() {
    // mutation: `Descriptors::new` makes both ends of a pipe non-blocking.
    let (event_loop, ends) = (Closures::new_loop().unwrap(), Ends::default());
    // The flags of the descriptors as the program has them: O_NONBLOCK is 04000.
    let script = c"for n in 0 1 3; do grep flags: /proc/self/fdinfo/$n >&2; done";
    let stdio = [Stdio::PipeIn, Stdio::PipeOut, Stdio::PipeOut, Stdio::Socket];
    let id = event_loop.process_open(&plain(&[c"sh", c"-c", script], &stdio), false, noting(&ends), true).unwrap();
    let kept: Vec<_> = (0..4).map(|index| event_loop.process_take_stdio(id, index).unwrap()).collect();
    event_loop.run().unwrap();
    for fd in &kept {
        // SAFETY: only asks.
        assert!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } & libc::O_NONBLOCK != 0);
    }
    let text = text_of(kept.into_iter().nth(2).unwrap());
    let flags: Vec<u32> = text.split_whitespace().filter_map(|word| u32::from_str_radix(word, 8).ok()).collect();
    assert_eq!(flags.len(), 3, "{text}");
    assert!(flags.iter().all(|flags| flags & 0o4000 == 0), "{text}");
}

#[test]
fn h61_closed_early_or_with_the_loop_no_zombie_is_left() {
    // mutation: `Process::leave` does not hand the child to the reaper.
    let (event_loop, ends) = (Closures::new_loop().unwrap(), Ends::default());
    let mut pids = Vec::new();
    for number in 0..20 {
        let argv = [c"sh", c"-c", c"read x; exit 3"];
        let id =
            event_loop.process_open(&plain(&argv, &[Stdio::PipeIn]), number % 2 == 0, noting(&ends), true).unwrap();
        pids.push(event_loop.process_pid(id).unwrap());
        if number < 10 {
            event_loop.close(id).unwrap();
        }
    }
    // Ends of pipes that nobody has taken are closed with their handles, so those that are not killed end as well.
    drop(event_loop);
    while pids.iter().any(|pid| state_of(*pid).is_some()) {
        std::thread::yield_now();
    }
    assert!(ends.borrow().is_empty());
}

#[test]
fn h60_a_child_that_the_program_itself_has_reaped_is_reported_as_such() {
    // mutation: `reap` takes ECHILD for "has not ended".
    let (event_loop, ends) = (Closures::new_loop().unwrap(), Ends::default());
    let argv = [c"sh", c"-c", c"read x; exit 3"];
    let id = event_loop.process_open(&plain(&argv, &[Stdio::PipeIn]), false, noting(&ends), true).unwrap();
    let pid = event_loop.process_pid(id).unwrap();
    drop(event_loop.process_take_stdio(id, 0).unwrap());
    let mut status = 0;
    // SAFETY: waits for the child made above. Without pidfds a thread of ours may come first.
    let stolen = unsafe { libc::waitpid(pid, &mut status, 0) } == pid;
    event_loop.run().unwrap();
    let expected = if stolen { (Error::NOT_FOUND.code(), -1, 0) } else { (0, 3, 0) };
    assert_eq!(*ends.borrow(), [expected]);
}

#[cfg(not(feature = "portable-process"))]
#[test]
fn any_process_can_be_watched_and_is_left_to_its_parent() {
    let (event_loop, ends) = (Closures::new_loop().unwrap(), Ends::default());
    let mut child = std::process::Command::new("sh").args(["-c", "exit 5"]).spawn().unwrap();
    let id = event_loop.process_watch(child.id() as i32, noting(&ends), true).unwrap();
    assert_eq!(event_loop.process_pid(id).unwrap(), child.id() as i32);
    event_loop.run().unwrap();
    assert_eq!(*ends.borrow(), [(0, 5, 0)]);
    assert_eq!(child.wait().unwrap().code(), Some(5), "it was left to be reaped");
    assert_eq!(
        event_loop.process_watch(child.id() as i32, noting(&ends), true).unwrap_err().code(),
        Error::NOT_FOUND.code()
    );
}

#[test]
fn killed_by_the_handle_and_gone_afterwards() {
    let (event_loop, ends) = (Closures::new_loop().unwrap(), Ends::default());
    let id = event_loop.process_open(&plain(&[c"cat"], &[Stdio::PipeIn]), false, noting(&ends), true).unwrap();
    event_loop.process_kill(id, 0).unwrap();
    assert_eq!(event_loop.process_kill(id, 65).unwrap_err().code(), Error::INVALID.code());
    event_loop.process_kill(id, libc::SIGKILL).unwrap();
    event_loop.run().unwrap();
    assert_eq!(*ends.borrow(), [(0, -1, libc::SIGKILL)]);
    assert_eq!(event_loop.process_kill(id, 0).unwrap_err(), Error::STALE);
}

#[test]
fn descriptors_find_their_places_whatever_their_numbers_are() {
    // The program's 0, 1 and 2 are this process's in another order, and 3 is a file of it.
    let (event_loop, ends) = (Closures::new_loop().unwrap(), Ends::default());
    let (first, second) = (File::open("/dev/null").unwrap(), File::open("/etc/passwd").unwrap());
    let swapped = [Stdio::Fd(second.as_raw_fd()), Stdio::Inherit, Stdio::Fd(0), Stdio::Fd(first.as_raw_fd())];
    let here = std::fs::read_link("/proc/self/fd/0").unwrap();
    let script = format!(
        "test \"$(readlink /proc/$$/fd/0)\" = /etc/passwd && test \"$(readlink /proc/$$/fd/2)\" = '{}' \
         && test \"$(readlink /proc/$$/fd/3)\" = /dev/null\0",
        here.display()
    );
    let argv = [c"sh", c"-c", CStr::from_bytes_with_nul(script.as_bytes()).unwrap()];
    event_loop.process_open(&plain(&argv, &swapped), false, noting(&ends), true).unwrap();
    event_loop.run().unwrap();
    assert_eq!(*ends.borrow(), [(0, 0, 0)]);
}
