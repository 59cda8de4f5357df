//! Changes of a file, a directory or a whole tree of directories, from the kernel's events.
//!
//! The kernel watches single directories. A file is watched through its directory, so that it may be replaced; a tree by a
//! watch in each of its directories, to which those are added that come up. What is in a new directory before its watch is
//! there has no event: it is looked for and told as created, and an event that comes for it after all is left out.

use crate::base::change;
use crate::base::error::{Error, Result};
use crate::sys::Fd;
use crate::sys::inotify::{self, Directory, Raw, mask};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

/// A file with a longer name cannot come up.
const LONGEST_NAME: usize = 255;

/// So many events are kept for directories that are being moved: as many as the kernel queues by default.
const MOST_HELD: usize = 16_384;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// 0, or the code of an error that concerns `name`.
    pub status: i32,
    /// What has happened: bits of [`change`].
    pub changes: u32,
    /// The same for both halves of a move; else 0.
    pub cookie: u32,
    /// Below the watched directory; empty for the watched path itself.
    pub name: CString,
}

/// See the module. The descriptor stays with its owner.
pub struct Changes {
    /// The directory in which everything is, and which one that was at first.
    root: Vec<u8>,
    identity: inotify::Identity,
    /// The only name in it that matters.
    only: Option<Vec<u8>>,
    recursive: bool,
    /// Watched directories below the root, by the kernel's number. The root is the empty path.
    directories: HashMap<i32, Vec<u8>>,
    queue: VecDeque<Change>,
    /// Told as created because they were found; their events may be on their way.
    found: HashSet<Vec<u8>>,
    /// Directories that have come since the last look: each is looked into once, however often it was moved meanwhile.
    come: Vec<Vec<u8>>,
    /// Directories that were moved away: within the tree, if the other half comes.
    moving: Vec<Moving>,
    over: bool,
}

/// A directory of which one half of a move has come.
struct Moving {
    cookie: u32,
    name: Vec<u8>,
    /// The watches of it and of what is below it. Another one may have its name by now.
    watches: Vec<i32>,
    /// What has happened there between the halves, which has no name before the other one comes.
    held: Vec<Held>,
    /// There was nothing more to read once since: the next time it is taken for gone. The halves follow each other, but
    /// the second may be a moment late.
    waited: bool,
}

/// An event of the kernel's, kept for later.
struct Held {
    watch: i32,
    mask: u32,
    cookie: u32,
    name: Vec<u8>,
}

impl Held {
    fn new(raw: Raw<'_>) -> Held {
        Held { watch: raw.watch, mask: raw.mask, cookie: raw.cookie, name: raw.name.to_vec() }
    }

    fn raw(&self) -> Raw<'_> {
        Raw { watch: self.watch, mask: self.mask, cookie: self.cookie, name: &self.name }
    }
}

fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

/// What is left of a path below a directory, with its slash; the directory itself leaves nothing.
fn below<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    path.strip_prefix(directory).filter(|rest| rest.is_empty() || rest[0] == b'/')
}

impl Changes {
    /// Watches a directory, with everything below it if `recursive`, or a file. `file`: it is the path of a file, which need
    /// not be there.
    ///
    /// # Errors
    /// [`Error::NOT_SUPPORTED`], [`Error::NO_MEMORY`], [`Error::INVALID`] for what cannot be the name of a file; the
    /// system's: ENOENT, EACCES, EMFILE, ENOSPC when no more directories may be watched.
    pub fn open(path: &[u8], recursive: bool, file: bool) -> Result<(Changes, OwnedFd)> {
        let fd = inotify::open()?;
        let (root, only) = place(path, file)?;
        let identity = Directory::open(&root)?.identity()?;
        let mut changes = Changes {
            root,
            identity,
            recursive: recursive && only.is_none(),
            only,
            directories: HashMap::new(),
            queue: VecDeque::new(),
            found: HashSet::new(),
            come: Vec::new(),
            moving: Vec::new(),
            over: false,
        };
        changes.walk(fd.as_raw_fd(), Vec::new(), false)?;
        Ok((changes, fd))
    }

    /// The same with a new object of the kernel's, for a forked child. What had been read is forgotten.
    ///
    /// # Errors
    /// As [`Changes::open`].
    pub fn begin_anew(&mut self) -> Result<OwnedFd> {
        let fd = inotify::open()?;
        self.directories.clear();
        self.queue.clear();
        self.found.clear();
        self.come.clear();
        self.moving.clear();
        self.walk(fd.as_raw_fd(), Vec::new(), false)?;
        Ok(fd)
    }

    /// How many directories are watched.
    pub fn directories(&self) -> usize {
        if self.over { 0 } else { self.directories.len() }
    }

    /// Takes what the kernel has, as far as one read goes.
    pub fn read(&mut self, fd: Fd) {
        let mut room = [0; inotify::READ];
        match inotify::read(fd, &mut room) {
            Ok(length) => inotify::events(&room[..length]).for_each(|raw| self.take(fd, raw)),
            Err(error) => self.fail(error),
        }
        if self.over {
            return;
        }
        for directory in std::mem::take(&mut self.come) {
            self.look_into(fd, directory);
        }
        self.settle(fd);
    }

    /// The next change to be told.
    pub fn pop(&mut self) -> Option<Change> {
        self.queue.pop_front()
    }

    /// Whether another one is there.
    pub fn has_more(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether nothing will come any more.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// It cannot go on.
    pub fn fail(&mut self, error: Error) {
        self.tell(error.code(), 0, 0, b"");
        self.over = true;
    }

    fn tell(&mut self, status: i32, changes: u32, cookie: u32, name: &[u8]) {
        let name = CString::new(name).unwrap_or_default();
        if self.queue.try_reserve(1).is_ok() {
            self.queue.push_back(Change { status, changes, cookie, name });
        } else if let Some(last) = self.queue.back_mut() {
            *last = Change { status: 0, changes: change::OVERFLOW, cookie: 0, name: CString::default() };
        }
    }

    fn take(&mut self, fd: Fd, raw: Raw<'_>) {
        if self.over {
            return;
        }
        if raw.mask & mask::OVERFLOW != 0 {
            return self.overflowed(fd);
        }
        if raw.mask & mask::IGNORED != 0 {
            self.directories.remove(&raw.watch);
            return;
        }
        let Some(directory) = self.directories.get(&raw.watch).cloned() else { return };
        if let Some(at) = self.moving.iter().position(|moved| moved.watches.contains(&raw.watch)) {
            let held: usize = self.moving.iter().map(|moved| moved.held.len()).sum();
            let moved = &mut self.moving[at];
            if held >= MOST_HELD || moved.held.try_reserve(1).is_err() {
                return self.overflowed(fd);
            }
            return moved.held.push(Held::new(raw));
        }
        match &self.only {
            _ if raw.name.is_empty() => self.take_own(&directory, raw),
            Some(only) if only == raw.name => self.tell(0, bits(raw.mask), raw.cookie, b""),
            Some(_) => {}
            None => self.take_entry(fd, joined(&directory, raw.name), raw),
        }
    }

    /// A directory's own event. Of those below the root their parents tell.
    fn take_own(&mut self, directory: &[u8], raw: Raw<'_>) {
        if !directory.is_empty() {
            return;
        }
        if raw.mask & (mask::DELETE_SELF | mask::MOVE_SELF | mask::UNMOUNT) != 0 {
            self.tell(0, change::SELF_GONE, 0, b"");
            self.over = true;
        } else if raw.mask & mask::ATTRIB != 0 && self.only.is_none() {
            self.tell(0, change::ATTRIBUTES | change::DIRECTORY, 0, b"");
        }
    }

    fn take_entry(&mut self, fd: Fd, name: Vec<u8>, raw: Raw<'_>) {
        let gone = raw.mask & (mask::DELETE | mask::MOVED_FROM) != 0;
        let created = raw.mask & mask::CREATE != 0;
        let was_found = (gone || created) && self.found.remove(&name);
        if was_found && created {
            return;
        }
        self.tell(0, bits(raw.mask), raw.cookie, &name);
        if !self.recursive || raw.mask & mask::DIRECTORY == 0 {
            return;
        }
        if raw.mask & mask::MOVED_FROM != 0 {
            let under = self.directories.iter().filter(|(_, path)| below(path, &name).is_some());
            let watches = under.map(|(watch, _)| *watch).collect();
            self.moving.push(Moving { cookie: raw.cookie, name, watches, held: Vec::new(), waited: false });
        } else if raw.mask & mask::MOVED_TO != 0 {
            self.arrived(fd, raw.cookie, name);
        } else if created {
            self.has_come(fd, name);
        }
    }

    /// A directory has come to this name: from within the tree, or from elsewhere. What came up in it or had another name
    /// before its events were read could not be watched then, so that all of it is looked through.
    fn arrived(&mut self, fd: Fd, cookie: u32, name: Vec<u8>) {
        let mut held = Vec::new();
        if let Some(at) = self.moving.iter().position(|moved| moved.cookie == cookie) {
            let moved = self.moving.swap_remove(at);
            held = moved.held;
            for watch in moved.watches {
                let Some(path) = self.directories.get_mut(&watch) else { continue };
                if let Some(rest) = below(path, &moved.name) {
                    *path = [&name, rest].concat();
                }
            }
        }
        self.has_come(fd, name);
        held.iter().for_each(|held| self.take(fd, held.raw()));
    }

    fn has_come(&mut self, fd: Fd, directory: Vec<u8>) {
        if self.come.contains(&directory) {
            return;
        }
        match self.come.try_reserve(1) {
            Ok(()) => self.come.push(directory),
            Err(_) => self.look_into(fd, directory),
        }
    }

    /// Watches a directory that is new, and tells what is in it.
    fn look_into(&mut self, fd: Fd, directory: Vec<u8>) {
        let name = directory.clone();
        if let Err(error) = self.walk(fd, directory, true) {
            self.tell(error.code(), 0, 0, &name);
        }
    }

    /// Watches a directory and those below it. Those that cannot be watched because they have vanished, or may not be read,
    /// are left out; the root must be there, and the same as at first.
    fn walk(&mut self, fd: Fd, first: Vec<u8>, report: bool) -> Result<()> {
        let root = Directory::open(&self.root)?;
        if root.identity()? != self.identity {
            return Err(Error::os(libc::ESTALE));
        }
        let mut rest = vec![first];
        while let Some(directory) = rest.pop() {
            // Open until it has been read: its name may be another one's by then.
            let Some(opened) = unless_passing(&directory, root.below(&directory))? else { continue };
            let Some(watch) = unless_passing(&directory, opened.watch(fd))? else { continue };
            self.directories.try_reserve(1)?;
            let known = self.directories.insert(watch, directory.clone());
            // It is here, whatever was taken for it before.
            self.moving.iter_mut().for_each(|moved| moved.watches.retain(|other| *other != watch));
            if !self.recursive {
                continue;
            }
            let report = report && known.is_none_or(|known| known != directory);
            for (name, is_directory) in unless_passing(&directory, opened.entries())?.unwrap_or_default() {
                let name = joined(&directory, &name);
                if report {
                    self.report_found(&name, is_directory)?;
                }
                if is_directory {
                    rest.try_reserve(1)?;
                    rest.push(name);
                }
            }
        }
        Ok(())
    }

    fn report_found(&mut self, name: &[u8], is_directory: bool) -> Result<()> {
        let directory = if is_directory { change::DIRECTORY } else { 0 };
        self.tell(0, change::CREATED | directory, 0, name);
        self.found.try_reserve(1)?;
        self.found.insert(name.to_vec());
        Ok(())
    }

    /// Events were lost: which directories there are must be found out anew.
    fn overflowed(&mut self, fd: Fd) {
        self.tell(0, change::OVERFLOW, 0, b"");
        self.found.clear();
        self.come.clear();
        self.moving.clear();
        if !self.recursive {
            return;
        }
        let before = std::mem::take(&mut self.directories);
        if let Err(error) = self.walk(fd, Vec::new(), false) {
            return self.fail(error);
        }
        for watch in before.into_keys().filter(|watch| !self.directories.contains_key(watch)) {
            inotify::remove(fd, watch);
        }
    }

    /// When no event is waiting, what was found has had its events. A half move that has no other half the next time either
    /// has left the tree, with what has happened there since. Should the other half come yet, it is a new directory.
    fn settle(&mut self, fd: Fd) {
        if (self.found.is_empty() && self.moving.is_empty()) || inotify::pending(fd) {
            return;
        }
        self.found.clear();
        let (gone, moving) = std::mem::take(&mut self.moving).into_iter().partition(|moved| moved.waited);
        self.moving = moving;
        self.moving.iter_mut().for_each(|moved| moved.waited = true);
        for watch in Vec::into_iter(gone).flat_map(|moved: Moving| moved.watches) {
            self.directories.remove(&watch);
            inotify::remove(fd, watch);
        }
    }
}

/// The directory that is to be watched, and the name in it.
fn place(path: &[u8], file: bool) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
    if path.is_empty() {
        return Err(Error::os(libc::ENOENT).because("the path is empty"));
    }
    if file && is_no_name(path) {
        return Err(Error::invalid("not the name of a file"));
    }
    if !file {
        if inotify::is_directory(path)? {
            return Ok((inotify::canonical(path)?, None));
        }
        inotify::exists(path)?;
    }
    let at = path.iter().rposition(|byte| *byte == b'/');
    let (directory, name) = match at {
        None => (&b"."[..], path),
        Some(0) => (&b"/"[..], &path[1..]),
        Some(at) => (&path[..at], &path[at + 1..]),
    };
    if name.len() > LONGEST_NAME {
        return Err(Error::os(libc::ENAMETOOLONG));
    }
    Ok((inotify::canonical(directory)?, Some(name.to_vec())))
}

/// Whether a path ends as that of a directory does. (Made absolute it would lose that.)
fn is_no_name(path: &[u8]) -> bool {
    [&b""[..], b".", b".."].contains(&path.rsplit(|byte| *byte == b'/').next().unwrap_or_default())
}

/// Nothing of a directory below the root that is not there any more, or is none of our business. Anything else that fails
/// would leave a part of the tree unwatched.
fn unless_passing<T>(directory: &[u8], result: Result<T>) -> Result<Option<T>> {
    const PASSING: [i32; 5] = [libc::ENOENT, libc::ENOTDIR, libc::EACCES, libc::ELOOP, libc::ESTALE];
    match result {
        Err(error) if !directory.is_empty() && PASSING.contains(&-error.code()) => Ok(None),
        result => result.map(Some),
    }
}

fn bits(raw: u32) -> u32 {
    const TABLE: [(u32, u32); 7] = [
        (mask::CREATE, change::CREATED),
        (mask::DELETE, change::DELETED),
        (mask::MODIFY, change::MODIFIED),
        (mask::ATTRIB, change::ATTRIBUTES),
        (mask::MOVED_FROM, change::MOVED_FROM),
        (mask::MOVED_TO, change::MOVED_TO),
        (mask::DIRECTORY, change::DIRECTORY),
    ];
    TABLE.iter().filter(|(kernel, _)| raw & kernel != 0).map(|(_, ours)| ours).sum()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// A tree with the directories "a" and "a/b", and the kernel's numbers of the root, "a" and "a/b".
    fn tree(name: &str) -> (std::path::PathBuf, Changes, OwnedFd, [i32; 3]) {
        let path = std::env::temp_dir().join(format!("tidegate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        let (changes, fd) = Changes::open(path.to_str().unwrap().as_bytes(), true, false).unwrap();
        let number = |wanted: &[u8]| *changes.directories.iter().find(|(_, path)| *path == wanted).unwrap().0;
        let numbers = [number(b""), number(b"a"), number(b"a/b")];
        (path, changes, fd, numbers)
    }

    fn names(changes: &mut Changes) -> Vec<String> {
        std::iter::from_fn(|| changes.pop()).map(|change| change.name.into_string().unwrap()).collect()
    }

    fn raw(watch: i32, mask: u32, name: &str) -> Raw<'_> {
        Raw { watch, mask, cookie: 7, name: name.as_bytes() }
    }

    #[test]
    fn what_happens_between_the_halves_of_a_move_is_told_under_the_new_name() {
        // mutation: `take` drops what happens in a directory that is being moved; `settle` does not wait for the other half.
        let (path, mut changes, fd, [root, a, b]) = tree("halves");
        changes.take(fd.as_raw_fd(), raw(root, mask::MOVED_FROM | mask::DIRECTORY, "a"));
        changes.take(fd.as_raw_fd(), raw(a, mask::CREATE, "x"));
        changes.settle(fd.as_raw_fd());
        changes.take(fd.as_raw_fd(), raw(b, mask::CREATE, "y"));
        assert_eq!(names(&mut changes), ["a"]);
        std::fs::rename(path.join("a"), path.join("c")).unwrap();
        changes.take(fd.as_raw_fd(), raw(root, mask::MOVED_TO | mask::DIRECTORY, "c"));
        assert_eq!(names(&mut changes), ["c", "c/x", "c/b/y"]);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_happens_in_a_directory_that_has_left_is_forgotten() {
        // mutation: `settle` keeps what has waited.
        let (path, mut changes, fd, [root, a, _]) = tree("left");
        changes.take(fd.as_raw_fd(), raw(root, mask::MOVED_FROM | mask::DIRECTORY, "a"));
        changes.take(fd.as_raw_fd(), raw(a, mask::CREATE, "x"));
        for _ in 0..2 {
            changes.settle(fd.as_raw_fd());
        }
        assert_eq!(names(&mut changes), ["a"]);
        assert!(changes.moving.is_empty());
        assert_eq!(changes.directories(), 1);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_directory_that_has_left_and_stays_busy_is_an_overflow_in_the_end() {
        // mutation: what happens there is kept without a limit, as long as the rest of the tree is busy, too.
        let (path, mut changes, fd, [root, a, _]) = tree("busy");
        let (fd, away) = (fd.as_raw_fd(), path.with_extension("away"));
        std::fs::rename(path.join("a"), &away).unwrap();
        changes.take(fd, raw(root, mask::MOVED_FROM | mask::DIRECTORY, "a"));
        for _ in 0..MOST_HELD {
            changes.take(fd, raw(a, mask::MODIFY, "x"));
        }
        assert_eq!(names(&mut changes), ["a"]);
        changes.take(fd, raw(a, mask::MODIFY, "x"));
        assert_eq!(changes.pop().map(|change| change.changes), Some(change::OVERFLOW));
        assert!(changes.moving.is_empty() && !changes.is_over());
        assert_eq!(changes.directories(), 1, "the one that has left is watched no more");
        std::fs::remove_dir_all(path).unwrap();
        std::fs::remove_dir_all(away).unwrap();
    }

    #[test]
    fn a_tree_that_cannot_be_looked_through_after_an_overflow_is_over() {
        // mutation: `overflowed` only tells of the failure: nothing is watched any more, and nobody hears of it.
        let (path, mut changes, fd, _) = tree("overflow");
        std::fs::remove_dir_all(path).unwrap();
        changes.take(fd.as_raw_fd(), raw(-1, mask::OVERFLOW, ""));
        let told: Vec<_> = std::iter::from_fn(|| changes.pop()).map(|change| (change.status, change.changes)).collect();
        assert_eq!(told, [(0, change::OVERFLOW), (-libc::ENOENT, 0)]);
        assert!(changes.is_over());
    }
}
