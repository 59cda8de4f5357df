//! Watching trees where the system denies some of the calls for it.
#![cfg(target_os = "linux")]

use libc::{c_long, c_ulong, sock_filter, sock_fprog};
use std::cell::RefCell;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tidegate_reactor::event_loop::closures::{Callback, Loop};
use tidegate_reactor::{Closures, Event, Id};

type Seen = Rc<RefCell<Vec<(i32, String)>>>;

/// Does something in a thread of its own, with a directory of its own in which there is "old/deep".
fn elsewhere(name: &str, act: impl FnOnce(&Path) + Send + 'static) {
    let place = std::env::temp_dir().join(format!("tidegate-denied-{name}-{}", std::process::id()));
    fs::create_dir_all(place.join("old/deep")).unwrap();
    let path: PathBuf = place.clone();
    let result = std::thread::spawn(move || act(&path)).join();
    fs::remove_dir_all(place).unwrap();
    result.unwrap();
}

/// A system call fails in the calling thread from now on.
fn deny(call: c_long, errno: i32) {
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    // The number of the call is what a filter's data begin with.
    let mut steps = [
        step((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0, 0),
        step((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, 0, 1, call as u32),
        step((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        step((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    let none: c_ulong = 0;
    // SAFETY: numbers, and a program that lives through the call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as c_ulong, none, none, none), 0);
        let mode = c_ulong::from(libc::SECCOMP_MODE_FILTER);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
    }
}

fn noting(seen: &Seen) -> Callback {
    let seen = seen.clone();
    Closures::callback(move |_, _, event| match event {
        Event::Change { status, name, .. } => seen.borrow_mut().push((status, name.to_str().unwrap().to_owned())),
        other => panic!("{other:?}"),
    })
}

fn watch(event_loop: &Loop, path: &Path, seen: &Seen) -> Result<Id, i32> {
    let opened = event_loop.watch_open(path.as_os_str().as_bytes(), true, false, noting(seen), true);
    opened.map_err(|error| error.code())
}

fn told(event_loop: &Loop, seen: &Seen) -> Vec<(i32, String)> {
    for _ in 0..5 {
        event_loop.run_nowait().unwrap();
    }
    std::mem::take(&mut *seen.borrow_mut())
}

fn list(expected: &[(i32, &str)]) -> Vec<(i32, String)> {
    expected.iter().map(|(status, name)| (*status, (*name).to_owned())).collect()
}

#[test]
fn a_tree_that_cannot_be_listed_is_not_watched_in_part() {
    // mutation: `walk` takes a directory for empty when it cannot be listed.
    elsewhere("whole", |place| {
        let (event_loop, seen) = (Closures::new_loop().unwrap(), Seen::default());
        deny(libc::SYS_getdents64, libc::EIO);
        assert_eq!(watch(&event_loop, place, &seen), Err(-libc::EIO));
    });
}

#[test]
fn a_new_directory_that_cannot_be_listed_is_told_and_one_that_may_not_be_is_left_out() {
    // mutation: `walk` takes a directory for empty when it cannot be listed; `unless_passing` lets nothing pass.
    for (denied, expected) in [(libc::EIO, &[(0, "new"), (-libc::EIO, "new")][..]), (libc::EACCES, &[(0, "new")])] {
        elsewhere(&format!("new-{denied}"), move |place| {
            let (event_loop, seen) = (Closures::new_loop().unwrap(), Seen::default());
            watch(&event_loop, place, &seen).unwrap();
            deny(libc::SYS_getdents64, denied);
            fs::create_dir(place.join("new")).unwrap();
            assert_eq!(told(&event_loop, &seen), list(expected));
            fs::write(place.join("new/own"), "").unwrap();
            fs::write(place.join("old/deep/own"), "").unwrap();
            assert_eq!(told(&event_loop, &seen), list(&[(0, "new/own"), (0, "old/deep/own")]));
        });
    }
}

/// The calling thread has no more rights than everybody from now on.
fn be_nobody() {
    // SAFETY: numbers. The call itself is for this thread only; the C library's would be for all.
    unsafe { assert_eq!(libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY), 0) };
}

const NOBODY: libc::uid_t = 65_534;

#[test]
fn what_comes_up_below_a_directory_that_may_only_be_entered_is_watched() {
    // mutation: `below` opens the directories on the way for reading.
    elsewhere("entered", |place| {
        let (event_loop, seen) = (Closures::new_loop().unwrap(), Seen::default());
        // SAFETY: no argument.
        let nobody = if unsafe { libc::geteuid() } == 0 { Some(NOBODY) } else { None };
        for directory in [place.to_owned(), place.join("old"), place.join("old/deep")] {
            chown(directory, nobody, None).unwrap();
        }
        nobody.iter().for_each(|_| be_nobody());
        watch(&event_loop, place, &seen).unwrap();
        fs::set_permissions(place.join("old"), fs::Permissions::from_mode(0o300)).unwrap();
        fs::create_dir(place.join("old/deep/new")).unwrap();
        assert_eq!(told(&event_loop, &seen), list(&[(0, "old"), (0, "old/deep/new")]));
        fs::write(place.join("old/deep/new/own"), "").unwrap();
        assert_eq!(told(&event_loop, &seen), list(&[(0, "old/deep/new/own")]));
        fs::set_permissions(place.join("old"), fs::Permissions::from_mode(0o700)).unwrap();
    });
}
