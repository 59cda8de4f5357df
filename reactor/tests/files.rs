//! Files: what becomes of operations when the file is being opened, cannot be opened, or is closed; copies.

use std::cell::RefCell;
use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use tidegate_reactor::base::file::{Carried, FileResult};
use tidegate_reactor::event_loop::closures::{Callback, Loop};
use tidegate_reactor::io::file as steps;
use tidegate_reactor::sys::file::OpenFlags;
use tidegate_reactor::{Closures, Error, Event, Id, LoopOptions, Outcome};

/// A directory of the test's own, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("tidegate-files-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

type Log = Rc<RefCell<Vec<(u32, Result<Vec<u8>, Error>)>>>;

/// Notes under a number what was read, or how it has failed; other successes are empty.
fn noting(log: &Log, number: u32) -> Callback {
    let log = log.clone();
    Closures::callback(move |_, _, event| {
        let Event::Done(outcome) = event else { panic!("{event:?}") };
        let noted = match outcome {
            Outcome::Failed(error) | Outcome::File(FileResult { error: Some(error), .. }) => Err(*error),
            Outcome::File(FileResult { carried: Carried::Data(bytes), .. }) => Ok(bytes.clone()),
            Outcome::File(_) | Outcome::Opened(_) => Ok(Vec::new()),
            Outcome::Work(result) => Ok(result.to_ne_bytes().to_vec()),
            #[allow(unreachable_patterns)]
            other => panic!("{other:?}"),
        };
        log.borrow_mut().push((number, noted));
    })
}

fn sorted(log: &Log) -> Vec<(u32, Result<Vec<u8>, Error>)> {
    let mut all = log.borrow().clone();
    all.sort_by_key(|(number, _)| *number);
    all
}

fn threads(count: u32) -> Loop {
    Closures::new_loop_with(LoopOptions { work_threads: count, ..LoopOptions::default() }).unwrap()
}

fn reading() -> OpenFlags {
    OpenFlags { read: true, ..OpenFlags::default() }
}

fn open(event_loop: &Loop, log: &Log, path: &Path) -> Id {
    event_loop.file_open(c(path), reading(), 0, noting(log, 0), true).unwrap()
}

fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// Lets the thread that opens a pipe go when the test fails.
struct OpenedAtTheEnd(PathBuf);

impl Drop for OpenedAtTheEnd {
    fn drop(&mut self) {
        fs::OpenOptions::new().read(true).write(true).open(&self.0).unwrap();
    }
}

#[test]
fn operations_wait_for_the_open_without_a_thread() {
    // mutation: `Gate::pass` runs the job although the gate is shut: they fail with BUSY.
    let (scratch, event_loop, log) = (Scratch::new(), threads(2), Log::default());
    make_fifo(&scratch.path("fifo"));
    let _opened_at_the_end = OpenedAtTheEnd(scratch.path("fifo"));
    let file = open(&event_loop, &log, &scratch.path("fifo"));
    for number in 1..=20 {
        event_loop.file_sync(file, true, noting(&log, number), true).unwrap();
    }
    event_loop.work_open(|| 7, noting(&log, 99), true).unwrap();
    while log.borrow().is_empty() {
        event_loop.run_once().unwrap();
    }
    assert_eq!(sorted(&log).len(), 1, "one thread opens the pipe, and the other is free for work");
    assert_eq!(event_loop.file_fd(file).map_err(Error::code), Err(Error::BUSY.code()));
    let writer = fs::OpenOptions::new().write(true).open(scratch.path("fifo")).unwrap();
    event_loop.run().unwrap();
    let all = sorted(&log);
    assert_eq!(all.len(), 22);
    assert_eq!(all[0], (0, Ok(Vec::new())));
    let not_synchronised = all[1..21].iter().all(|(_, result)| *result == Err(Error::os(libc::EINVAL)));
    assert!(not_synchronised, "they have met the pipe, which has no disk: {all:?}");
    event_loop.close(file).unwrap();
    drop(writer);
}

#[test]
fn operations_on_a_file_that_cannot_be_opened_end_with_its_error() {
    // mutation: `settle` does not open the gate after a failure (it never ends).
    let (scratch, event_loop, log) = (Scratch::new(), threads(1), Log::default());
    let good = event_loop.file_open(c(&scratch.file("good", b"x")), reading(), 0, noting(&log, 9), true).unwrap();
    let file = open(&event_loop, &log, &scratch.path("missing"));
    event_loop.file_read(file, 0, 10, noting(&log, 1), true).unwrap();
    event_loop.file_copy((good, 0), (file, 0), 1, noting(&log, 2), true).unwrap();
    event_loop.run().unwrap();
    let missing = Err(Error::os(libc::ENOENT));
    assert_eq!(sorted(&log)[..3], [(0, missing.clone()), (1, missing.clone()), (2, missing)]);
    assert_eq!(event_loop.is_open(file), Ok(false));
    assert_eq!(event_loop.file_read(file, 0, 10, noting(&log, 3), true), Err(Error::STALE));
    assert_eq!(event_loop.stats().unwrap().open_handles, 1);
}

/// Keeps the only thread of a loop busy until told.
fn occupy(event_loop: &Loop, log: &Log) -> mpsc::Sender<()> {
    let (go_on, wait) = mpsc::channel::<()>();
    event_loop.work_open(move || wait.recv().map_or(1, |()| 0), noting(log, 100), true).unwrap();
    go_on
}

#[test]
fn h20_cancelling_the_open_ends_what_waits_for_it() {
    // mutation: `Opener` does nothing when it is dropped (it never ends).
    let (scratch, event_loop, log) = (Scratch::new(), threads(1), Log::default());
    let go_on = occupy(&event_loop, &log);
    let path = scratch.file("file", b"content");
    let file = open(&event_loop, &log, &path);
    let read = event_loop.file_read(file, 0, 10, noting(&log, 1), true).unwrap();
    let also = event_loop.file_read(file, 0, 10, noting(&log, 2), true).unwrap();
    assert_eq!(event_loop.job_cancel(also), Ok(true));
    assert_eq!(event_loop.job_cancel(file), Ok(true));
    go_on.send(()).unwrap();
    event_loop.run().unwrap();
    let canceled = Err(Error::CANCELED);
    assert_eq!(sorted(&log)[..3], [(0, canceled.clone()), (1, canceled.clone()), (2, canceled)]);
    assert_eq!(event_loop.is_open(file), Ok(false));
    assert_eq!(event_loop.is_open(read), Ok(false));
}

#[test]
fn h20_closing_a_file_that_was_not_begun_ends_what_waits_for_it() {
    // mutation: `Opener` does nothing when it is dropped (it never ends).
    let (scratch, event_loop, log) = (Scratch::new(), threads(1), Log::default());
    let go_on = occupy(&event_loop, &log);
    let file = open(&event_loop, &log, &scratch.file("file", b"content"));
    event_loop.file_read(file, 0, 10, noting(&log, 1), true).unwrap();
    event_loop.close(file).unwrap();
    go_on.send(()).unwrap();
    event_loop.run().unwrap();
    assert_eq!(sorted(&log)[0], (1, Err(Error::CANCELED)));
    assert_eq!(log.borrow().len(), 2, "nothing more of the file itself");
}

fn number_of_descriptors(of: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    links.filter_map(|link| fs::read_link(link.unwrap().path()).ok()).filter(|target| target == of).count()
}

#[test]
fn h05_operations_keep_the_descriptor_of_a_closed_file() {
    // mutation: `file_close` forgets its share of the descriptor.
    let (scratch, event_loop, log) = (Scratch::new(), threads(1), Log::default());
    let path = fs::canonicalize(scratch.file("file", b"content")).unwrap();
    let file = open(&event_loop, &log, &path);
    event_loop.run().unwrap();
    let go_on = occupy(&event_loop, &log);
    for number in 1..=10 {
        event_loop.file_read(file, i64::from(number % 7), 1, noting(&log, number), true).unwrap();
    }
    event_loop.close(file).unwrap();
    assert_eq!(number_of_descriptors(&path), 1);
    assert_eq!(event_loop.file_read(file, 0, 1, noting(&log, 11), true), Err(Error::STALE));
    go_on.send(()).unwrap();
    event_loop.run().unwrap();
    for (number, result) in &sorted(&log)[1..11] {
        assert_eq!(*result, Ok(vec![b"content"[*number as usize % 7]]));
    }
    drop(event_loop);
    assert_eq!(number_of_descriptors(&path), 0);
}

#[test]
fn h66_memory_that_is_not_there_changes_nothing() {
    // mutation: the buffer is made with `vec![0; length]`.
    let (scratch, event_loop, log) = (Scratch::new(), threads(1), Log::default());
    let file = open(&event_loop, &log, &scratch.file("file", b"content"));
    for length in [usize::MAX, usize::MAX / 2, isize::MAX as usize - 4096] {
        assert_eq!(event_loop.file_read(file, 0, length, noting(&log, 1), true), Err(Error::NO_MEMORY));
    }
    assert_eq!(event_loop.stats().unwrap().open_handles, 1);
    event_loop.run().unwrap();
    assert_eq!(sorted(&log), [(0, Ok(Vec::new()))]);
}

#[test]
fn a_file_takes_only_what_it_may() {
    let (event_loop, log) = (threads(1), Log::default());
    let code = |flags: OpenFlags| event_loop.file_open(c"/dev/null".into(), flags, 0, noting(&log, 0), true);
    let none = OpenFlags::default();
    for flags in [
        none,
        OpenFlags { truncate: true, ..reading() },
        OpenFlags { append: true, ..reading() },
        OpenFlags { exclusive: true, ..reading() },
        OpenFlags { directory: true, create: true, ..reading() },
    ] {
        assert_eq!(code(flags).map_err(Error::code), Err(Error::INVALID.code()), "{flags:?}");
    }
    let null: OwnedFd = fs::File::open("/dev/null").unwrap().into();
    let timer = event_loop.timer_open(noting(&log, 1), true).unwrap();
    assert_eq!(event_loop.file_read(timer, 0, 1, noting(&log, 1), true), Err(Error::KIND));
    assert_eq!(event_loop.file_adopt(-1, || unreachable!(), noting(&log, 1), true), Err(Error::BAD_FD));
    drop(null);
    assert!(log.borrow().is_empty());
}

fn file(path: &Path) -> OwnedFd {
    fs::File::open(path).unwrap().into()
}

fn writable(path: &Path, append: bool) -> OwnedFd {
    fs::OpenOptions::new().write(true).read(!append).append(append).create(true).open(path).unwrap().into()
}

#[test]
fn copies_take_whichever_way_the_files_allow() {
    let scratch = Scratch::new();
    let content: Vec<u8> = (0..1_000_000_u32).map(|number| ((number * 7) >> 3) as u8).collect();
    let from = scratch.file("from", &content);
    let copied = |result: FileResult, expected: usize| {
        assert_eq!((result.value, result.error), (expected as u64, None));
    };
    // The system's own way, and a range of it.
    copied(steps::copy(&file(&from), Some(0), &writable(&scratch.path("a"), false), Some(0), u64::MAX), content.len());
    assert_eq!(fs::read(scratch.path("a")).unwrap(), content);
    copied(steps::copy(&file(&from), Some(10), &writable(&scratch.path("b"), false), Some(5), 100), 100);
    assert_eq!(fs::read(scratch.path("b")).unwrap(), [&[0; 5], &content[10..110]].concat());
    // Not to a file that is appended to.
    scratch.file("c", b"before ");
    copied(steps::copy(&file(&from), None, &writable(&scratch.path("c"), true), None, u64::MAX), content.len());
    assert_eq!(fs::read(scratch.path("c")).unwrap(), [b"before ", &content[..]].concat());
    copied(steps::copy(&file(&from), Some(1), &writable(&scratch.path("c"), true), Some(0), 3), 3);
    assert_eq!(fs::read(scratch.path("c")).unwrap()[7 + content.len()..], content[1..4]);
    // A file of the kernel's, whose length is said to be 0.
    copied(
        steps::copy(
            &file(Path::new("/proc/sys/kernel/ostype")),
            Some(0),
            &writable(&scratch.path("d"), false),
            None,
            9,
        ),
        fs::read("/proc/sys/kernel/ostype").unwrap().len(),
    );
    assert_eq!(fs::read(scratch.path("d")).unwrap(), fs::read("/proc/sys/kernel/ostype").unwrap());
}

#[test]
fn copies_to_what_has_no_positions() {
    let scratch = Scratch::new();
    let from = scratch.file("from", b"0123456789");
    let (mut reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    let result = steps::copy(&file(&from), Some(2), &writer.into(), None, 5);
    assert_eq!((result.value, result.error), (5, None));
    let mut got = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut got).unwrap();
    assert_eq!(got, b"23456");
}

#[test]
fn a_copy_over_itself_is_refused() {
    // mutation: `overlaps` is not asked.
    let scratch = Scratch::new();
    let path = scratch.file("file", &[7; 1000]);
    let both = writable(&path, false);
    let result = steps::copy(&both, Some(0), &writable(&path, false), Some(10), 100);
    assert_eq!((result.value, result.error), (0, Some(Error::os(libc::EINVAL))));
    let appended = steps::copy(&both, Some(0), &writable(&path, true), None, 100);
    assert_eq!((appended.value, appended.error), (0, Some(Error::os(libc::EINVAL))));
    let apart = steps::copy(&both, Some(0), &both, Some(1000), 1000);
    assert_eq!((apart.value, apart.error), (1000, None));
    let result = steps::copy_path(&c(&path), &c(&path), false);
    assert_eq!((result.value, result.error), (0, Some(Error::os(libc::EINVAL))));
    assert_eq!(fs::read(&path).unwrap(), [7; 2000], "and nothing is lost");
    let link = scratch.path("link");
    fs::hard_link(&path, &link).unwrap();
    assert_eq!(steps::copy_path(&c(&path), &c(&link), false).error, Some(Error::os(libc::EINVAL)));
    assert_eq!(fs::read(&link).unwrap(), [7; 2000]);
}
