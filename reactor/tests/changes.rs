//! Changes of files and directories.
#![cfg(target_os = "linux")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate_reactor::base::change::{
    ATTRIBUTES, CREATED, DELETED, DIRECTORY, MODIFIED, MOVED_FROM, MOVED_TO, SELF_GONE,
};
use tidegate_reactor::event_loop::closures::{Callback, Loop};
use tidegate_reactor::{Closures, Error, Event, Id};

type Seen = Rc<RefCell<Vec<(u32, String)>>>;

/// A directory of the test's own, removed at its end.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tidegate-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Place(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn noting(seen: &Seen) -> Callback {
    let seen = seen.clone();
    Closures::callback(move |_, _, event| match event {
        Event::Change { status: 0, changes, name, .. } => {
            seen.borrow_mut().push((changes, name.to_str().unwrap().to_owned()));
        }
        other => panic!("{other:?}"),
    })
}

fn watch(event_loop: &Loop, path: &std::path::Path, recursive: bool, file: bool, seen: &Seen) -> Id {
    event_loop.watch_open(path.as_os_str().as_bytes(), recursive, file, noting(seen), true).unwrap()
}

/// What inotify has told by now is there at once; directories that come up add to it.
fn turns(event_loop: &Loop) {
    for _ in 0..5 {
        event_loop.run_nowait().unwrap();
    }
}

fn take(seen: &Seen) -> Vec<(u32, String)> {
    std::mem::take(&mut *seen.borrow_mut())
}

fn list(expected: &[(u32, &str)]) -> Vec<(u32, String)> {
    expected.iter().map(|(changes, name)| (*changes, (*name).to_owned())).collect()
}

#[test]
fn a_directory_tells_of_its_entries() {
    let (place, event_loop, seen) = (Place::new(), Closures::new_loop().unwrap(), Seen::default());
    let id = watch(&event_loop, &place.0, false, false, &seen);
    fs::write(place.at("a"), "text").unwrap();
    fs::rename(place.at("a"), place.at("b")).unwrap();
    fs::remove_file(place.at("b")).unwrap();
    fs::create_dir(place.at("d")).unwrap();
    fs::write(place.at("d/unseen"), "").unwrap();
    turns(&event_loop);
    let expected = [
        (CREATED, "a"),
        (MODIFIED, "a"),
        (MOVED_FROM, "a"),
        (MOVED_TO, "b"),
        (DELETED, "b"),
        (CREATED | DIRECTORY, "d"),
    ];
    assert_eq!(take(&seen), list(&expected));
    fs::remove_dir_all(&place.0).unwrap();
    turns(&event_loop);
    assert_eq!(take(&seen).last().unwrap(), &(SELF_GONE, String::new()));
    assert_eq!(event_loop.info(id).unwrap().value, 0, "nothing is watched any more");
    assert!(!event_loop.run().unwrap(), "nothing more can come");
}

#[test]
fn new_directories_are_watched_and_nothing_in_them_is_missed_or_told_twice() {
    // mutation: `take_entry` does not look into what is new.
    let (place, event_loop, seen) = (Place::new(), Closures::new_loop().unwrap(), Seen::default());
    fs::create_dir(place.at("old")).unwrap();
    watch(&event_loop, &place.0, true, false, &seen);
    for number in 0..50 {
        let deep = place.at(&format!("d{number}/e/f"));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("file"), "").unwrap();
        if number % 3 == 0 {
            turns(&event_loop);
        }
        fs::write(place.at(&format!("d{number}/late")), "").unwrap();
    }
    fs::write(place.at("old/x"), "").unwrap();
    turns(&event_loop);
    let created: Vec<String> =
        take(&seen).into_iter().filter(|change| change.0 & CREATED != 0).map(|change| change.1).collect();
    let distinct: BTreeSet<&String> = created.iter().collect();
    assert_eq!(created.len(), distinct.len(), "told once each");
    assert_eq!(created.len(), 50 * 5 + 1);
    assert!(distinct.contains(&"d49/e/f/file".to_owned()) && distinct.contains(&"old/x".to_owned()));
}

#[test]
fn what_is_made_while_it_is_looked_for_is_told_once() {
    // mutation: `take_entry` tells again what was found.
    let (place, event_loop, seen) = (Place::new(), Closures::new_loop().unwrap(), Seen::default());
    watch(&event_loop, &place.0, true, false, &seen);
    let root = place.0.clone();
    let maker = std::thread::spawn(move || {
        for number in 0..500 {
            let directory = root.join(format!("d{number}"));
            fs::create_dir(&directory).unwrap();
            for name in ["a", "b", "c", "d", "e"] {
                fs::create_dir(directory.join(name)).unwrap();
            }
        }
    });
    while !maker.is_finished() {
        event_loop.run_nowait().unwrap();
    }
    maker.join().unwrap();
    // As long as there is something in the queue, a turn tells something.
    loop {
        let before = seen.borrow().len();
        turns(&event_loop);
        if seen.borrow().len() == before {
            break;
        }
    }
    let mut told = take(&seen);
    told.sort();
    let count = told.len();
    told.dedup();
    assert_eq!((count, told.len()), (500 * 6, 500 * 6));
    assert!(told.iter().all(|change| change.0 == CREATED | DIRECTORY));
}

#[test]
fn renamed_directories_keep_their_watches_under_the_new_name() {
    // mutation: `arrived` does not change the paths below.
    let (place, event_loop, seen) = (Place::new(), Closures::new_loop().unwrap(), Seen::default());
    fs::create_dir_all(place.at("a/b")).unwrap();
    fs::create_dir_all(place.at("ab")).unwrap();
    watch(&event_loop, &place.0, true, false, &seen);
    fs::rename(place.at("a"), place.at("c")).unwrap();
    turns(&event_loop);
    fs::write(place.at("c/b/x"), "").unwrap();
    fs::write(place.at("ab/y"), "").unwrap();
    turns(&event_loop);
    let expected = [(MOVED_FROM | DIRECTORY, "a"), (MOVED_TO | DIRECTORY, "c"), (CREATED, "c/b/x"), (CREATED, "ab/y")];
    assert_eq!(take(&seen), list(&expected));
}

#[test]
fn a_directory_that_leaves_the_tree_is_not_watched_any_more() {
    // mutation: `settle` keeps the watches of what has left.
    let (place, elsewhere) = (Place::new(), Place::new());
    let (event_loop, seen) = (Closures::new_loop().unwrap(), Seen::default());
    fs::create_dir_all(place.at("a/b")).unwrap();
    let id = watch(&event_loop, &place.0, true, false, &seen);
    fs::rename(place.at("a"), elsewhere.at("a")).unwrap();
    turns(&event_loop);
    fs::write(elsewhere.at("a/b/x"), "").unwrap();
    turns(&event_loop);
    assert_eq!(event_loop.info(id).unwrap().value, 1);
    assert_eq!(take(&seen), list(&[(MOVED_FROM | DIRECTORY, "a")]));
    fs::rename(elsewhere.at("a"), place.at("back")).unwrap();
    turns(&event_loop);
    let expected = [(MOVED_TO | DIRECTORY, "back"), (CREATED | DIRECTORY, "back/b"), (CREATED, "back/b/x")];
    assert_eq!(take(&seen), list(&expected));
}

/// Everyday sequences that are over before the first of their events is read.
const SEQUENCES: [&[(&str, &str)]; 8] = [
    &[("mkdir", "d"), ("d", "e")],
    &[("mkdir", "d"), ("mkdir", "d/b"), ("d", "z")],
    &[("mkdir", "old/new"), ("old", "z")],
    &[("../out", "in"), ("in", "here")],
    &[("mkdir", "d"), ("d", "../gone"), ("mkdir", "d")],
    &[("old", "../gone"), ("mkdir", "old"), ("mkdir", "old/sub")],
    &[("mkdir", "d"), ("d", "e"), ("mkdir", "d")],
    &[("old", "t"), ("other", "old"), ("t", "other")],
];

fn all_directories(below: &std::path::Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    let directories: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    directories.iter().flat_map(|path| [vec![path.clone()], all_directories(path)].concat()).collect()
}

#[test]
fn directories_that_move_before_they_are_looked_at_are_watched() {
    // mutation: what arrives is not looked through; what has left is removed by its name.
    for sequence in SEQUENCES {
        let (place, event_loop, seen) = (Place::new(), Closures::new_loop().unwrap(), Seen::default());
        let tree = place.at("tree");
        for name in ["tree", "tree/old", "tree/old/sub", "tree/other", "out", "out/deep"] {
            fs::create_dir(place.at(name)).unwrap();
        }
        let id = watch(&event_loop, &tree, true, false, &seen);
        for (from, to) in sequence {
            match *from {
                "mkdir" => fs::create_dir(tree.join(to)).unwrap(),
                from => fs::rename(tree.join(from), tree.join(to)).unwrap(),
            }
        }
        turns(&event_loop);
        take(&seen);
        for directory in all_directories(&tree) {
            fs::write(directory.join("probe"), "").unwrap();
            turns(&event_loop);
            let name = directory.join("probe").strip_prefix(&tree).unwrap().to_str().unwrap().to_owned();
            let told = take(&seen);
            assert_eq!(told.first(), Some(&(CREATED, name)), "{sequence:?}");
        }
        if let Ok(gone) = fs::read_dir(place.at("gone")).map(|_| place.at("gone")) {
            fs::write(gone.join("probe"), "").unwrap();
            turns(&event_loop);
            assert_eq!(take(&seen), [], "it has left the tree: {sequence:?}");
        }
        event_loop.close(id).unwrap();
    }
}

#[test]
fn the_tree_stays_the_one_that_it_was_when_a_link_to_it_is_set_anew() {
    // mutation: `place` leaves the path as it was given.
    let (place, event_loop, seen) = (Place::new(), Closures::new_loop().unwrap(), Seen::default());
    fs::create_dir_all(place.at("one")).unwrap();
    fs::create_dir_all(place.at("two/new")).unwrap();
    symlink("one", place.at("current")).unwrap();
    watch(&event_loop, &place.at("current"), true, false, &seen);
    fs::remove_file(place.at("current")).unwrap();
    symlink("two", place.at("current")).unwrap();
    fs::create_dir(place.at("one/new")).unwrap();
    turns(&event_loop);
    fs::write(place.at("two/new/other"), "").unwrap();
    fs::write(place.at("one/new/own"), "").unwrap();
    turns(&event_loop);
    assert_eq!(take(&seen), list(&[(CREATED | DIRECTORY, "new"), (CREATED, "new/own")]));
}

#[test]
fn a_tree_that_is_not_found_any_more_says_so_of_what_comes_up_in_it() {
    // mutation: `walk` does not compare the root's identity: it finds another tree.
    for replaced in [false, true] {
        let (place, event_loop, told) =
            (Place::new(), Closures::new_loop().unwrap(), Rc::new(RefCell::new(Vec::new())));
        let note = told.clone();
        let callback = Closures::callback(move |_, _, event| match event {
            Event::Change { status, name, .. } => note.borrow_mut().push((status, name.to_str().unwrap().to_owned())),
            other => panic!("{other:?}"),
        });
        fs::create_dir_all(place.at("above/tree")).unwrap();
        let path = place.at("above/tree");
        event_loop.watch_open(path.as_os_str().as_bytes(), true, false, callback, true).unwrap();
        fs::rename(place.at("above"), place.at("renamed")).unwrap();
        if replaced {
            fs::create_dir_all(place.at("above/tree/new/foreign")).unwrap();
        }
        fs::create_dir(place.at("renamed/tree/new")).unwrap();
        turns(&event_loop);
        let why = if replaced { -libc::ESTALE } else { -libc::ENOENT };
        assert_eq!(*told.borrow(), [(0, "new".to_owned()), (why, "new".to_owned())]);
    }
}

/// A directory below another one.
fn directory_in(directory: &OwnedFd, name: &CStr) -> OwnedFd {
    let (at, flags) = (directory.as_raw_fd(), libc::O_DIRECTORY | libc::O_CLOEXEC);
    // SAFETY: strings that live through the calls; the descriptor is new and nobody else's.
    unsafe {
        assert_eq!(libc::mkdirat(at, name.as_ptr(), 0o700), 0);
        OwnedFd::from_raw_fd(libc::openat(at, name.as_ptr(), flags))
    }
}

#[test]
fn a_tree_is_watched_beyond_the_longest_path_that_a_call_takes() {
    // mutation: `below` opens the whole path at once: ENAMETOOLONG.
    let (place, event_loop, seen) = (Place::new(), Closures::new_loop().unwrap(), Seen::default());
    let name = CString::new(vec![b'n'; 200]).unwrap();
    let mut deepest = OwnedFd::from(fs::File::open(&place.0).unwrap());
    for _ in 0..45 {
        deepest = directory_in(&deepest, &name);
    }
    let above = vec![name.to_str().unwrap(); 45].join("/");
    watch(&event_loop, &place.0, true, false, &seen);
    let inner = directory_in(&deepest, c"d");
    turns(&event_loop);
    assert_eq!(take(&seen), list(&[(CREATED | DIRECTORY, &format!("{above}/d"))]));
    drop(directory_in(&inner, c"e"));
    turns(&event_loop);
    assert_eq!(take(&seen), list(&[(CREATED | DIRECTORY, &format!("{above}/d/e"))]));
}

#[test]
fn what_cannot_be_a_file_is_not_watched_as_one() {
    let (place, event_loop, seen) = (Place::new(), Closures::new_loop().unwrap(), Seen::default());
    let attempt = |path: &[u8]| event_loop.watch_open(path, false, true, noting(&seen), true).unwrap_err().code();
    for path in [".", "..", "/", "x/", "x/.", "x/.."] {
        assert_eq!(attempt(path.as_bytes()), Error::INVALID.code(), "{path}");
    }
    assert_eq!(attempt(place.at(&"n".repeat(256)).as_os_str().as_bytes()), -libc::ENAMETOOLONG);
    watch(&event_loop, &place.at(&"n".repeat(255)), false, true, &seen);
}

#[test]
fn a_watched_file_survives_being_replaced() {
    let (place, event_loop, seen) = (Place::new(), Closures::new_loop().unwrap(), Seen::default());
    let file = place.at("file");
    assert_eq!(
        event_loop.watch_open(file.as_os_str().as_bytes(), false, false, noting(&seen), true).unwrap_err().code(),
        -libc::ENOENT
    );
    watch(&event_loop, &file, false, true, &seen);
    fs::write(&file, "").unwrap();
    fs::write(place.at("new"), "new").unwrap();
    fs::rename(place.at("new"), &file).unwrap();
    fs::write(place.at("other"), "other").unwrap();
    fs::OpenOptions::new().append(true).open(&file).unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::remove_file(&file).unwrap();
    turns(&event_loop);
    assert_eq!(take(&seen), list(&[(CREATED, ""), (MOVED_TO, ""), (ATTRIBUTES, ""), (DELETED, "")]));
}

#[test]
fn a_watch_closed_by_its_first_change_tells_no_more() {
    let (place, event_loop, calls) = (Place::new(), Closures::new_loop().unwrap(), Rc::new(RefCell::new(0)));
    let count = calls.clone();
    let close = Closures::callback(move |event_loop, id, _| {
        *count.borrow_mut() += 1;
        event_loop.close(id).unwrap();
    });
    event_loop.watch_open(place.0.as_os_str().as_bytes(), false, false, close, true).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(place.at(name), "").unwrap();
    }
    assert!(!event_loop.run().unwrap());
    assert_eq!(*calls.borrow(), 1);
}

#[test]
fn nothing_is_told_behind_the_end() {
    // mutation: `read` looks into what has come although the tree itself is gone: that fails, and is told.
    let (place, event_loop, seen) = (Place::new(), Closures::new_loop().unwrap(), Seen::default());
    let tree = place.at("tree");
    fs::create_dir(&tree).unwrap();
    watch(&event_loop, &tree, true, false, &seen);
    fs::create_dir(tree.join("x")).unwrap();
    fs::rename(&tree, place.at("gone")).unwrap();
    turns(&event_loop);
    assert_eq!(take(&seen), list(&[(CREATED | DIRECTORY, "x"), (SELF_GONE, "")]));
}
