//! Work on other threads: results, cancelling, closing, panics.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use tidegate_reactor::event_loop::closures::{Callback, Loop};
use tidegate_reactor::{Closures, Error, Event, LoopOptions, Outcome};

type Log = Rc<RefCell<Vec<Result<i64, Error>>>>;

/// A callback that notes how work has ended.
fn noting(log: &Log) -> Callback {
    let log = log.clone();
    Closures::callback(move |_, _, event| match event {
        Event::Done(Outcome::Work(result)) => log.borrow_mut().push(Ok(*result)),
        Event::Done(Outcome::Failed(error)) => log.borrow_mut().push(Err(*error)),
        other => panic!("{other:?}"),
    })
}

fn one_thread() -> Loop {
    Closures::new_loop_with(LoopOptions { work_threads: 1, ..LoopOptions::default() }).unwrap()
}

#[test]
fn every_result_comes_once_and_the_run_ends_by_itself() {
    let (event_loop, log) = (Closures::new_loop().unwrap(), Log::default());
    for number in 0..1000 {
        event_loop.work_open(move || number, noting(&log), true).unwrap();
    }
    assert!(!event_loop.run().unwrap());
    let mut results: Vec<i64> = log.borrow().iter().map(|result| result.unwrap()).collect();
    results.sort_unstable();
    assert_eq!(results, (0..1000).collect::<Vec<_>>());
    assert_eq!(event_loop.stats().unwrap().open_handles, 0);
}

#[test]
fn one_thread_keeps_the_order() {
    let (event_loop, log) = (one_thread(), Log::default());
    for number in 0..100 {
        event_loop.work_open(move || number, noting(&log), true).unwrap();
    }
    event_loop.run().unwrap();
    assert_eq!(*log.borrow(), (0..100).map(Ok).collect::<Vec<_>>());
}

#[test]
fn a_panic_travels_to_the_completion() {
    let (event_loop, log) = (Closures::new_loop().unwrap(), Log::default());
    let panics = || std::panic::resume_unwind(Box::new("asked for"));
    event_loop.work_open(panics, noting(&log), true).unwrap();
    event_loop.work_open(|| 7, noting(&log), true).unwrap();
    event_loop.run().unwrap();
    assert!(log.borrow().contains(&Err(Error::PANIC)) && log.borrow().contains(&Ok(7)));
}

#[test]
fn h20_only_what_has_not_begun_can_be_cancelled() {
    // mutation: job_cancel does not ask whether the work was taken back.
    let (event_loop, log) = (one_thread(), Log::default());
    let (begun, wait_for_begun) = mpsc::channel();
    let (go_on, wait_to_go_on) = mpsc::channel::<()>();
    let blocks = move || {
        begun.send(()).unwrap();
        wait_to_go_on.recv().unwrap();
        1
    };
    let first = event_loop.work_open(blocks, noting(&log), true).unwrap();
    let second = event_loop.work_open(|| 2, noting(&log), true).unwrap();
    wait_for_begun.recv().unwrap();
    assert_eq!(event_loop.job_cancel(first), Ok(false));
    assert_eq!(event_loop.job_cancel(second), Ok(true));
    assert_eq!(event_loop.job_cancel(second), Ok(true), "it still is");
    assert!(log.borrow().is_empty(), "no callback comes from inside a call");
    event_loop.run_nowait().unwrap();
    assert_eq!(*log.borrow(), [Err(Error::CANCELED)], "although its thread is busy");
    go_on.send(()).unwrap();
    event_loop.run().unwrap();
    assert_eq!(*log.borrow(), [Err(Error::CANCELED), Ok(1)]);
    assert_eq!(event_loop.job_cancel(first), Err(Error::STALE));
}

#[test]
fn h11_what_closed_work_carries_is_released_after_its_thread_has_finished() {
    // mutation: job_close releases at once.
    let event_loop = one_thread();
    let (begun, wait_for_begun) = mpsc::channel();
    let (go_on, wait_to_go_on) = mpsc::channel::<()>();
    let over = Arc::new(AtomicBool::new(false));
    let witness = Rc::new(());
    let (carried, finished) = (witness.clone(), over.clone());
    let callback = Closures::callback(move |_, _, _| drop(carried.clone()));
    let blocks = move || {
        begun.send(()).unwrap();
        wait_to_go_on.recv().unwrap();
        finished.store(true, Ordering::SeqCst);
        0
    };
    let id = event_loop.work_open(blocks, callback, true).unwrap();
    wait_for_begun.recv().unwrap();
    event_loop.close(id).unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(Rc::strong_count(&witness), 2, "the thread may still use it");
    go_on.send(()).unwrap();
    drop(event_loop);
    assert!(over.load(Ordering::SeqCst), "the end of the loop waits for the thread");
    assert_eq!(Rc::strong_count(&witness), 1);
}

#[test]
fn work_that_has_not_begun_is_given_up_with_its_handle() {
    let (event_loop, log) = (one_thread(), Log::default());
    let (go_on, wait_to_go_on) = mpsc::channel::<()>();
    event_loop.work_open(move || wait_to_go_on.recv().map_or(1, |()| 0), noting(&log), true).unwrap();
    let witness = Arc::new(());
    let carried = witness.clone();
    let waits = event_loop.work_open(move || Arc::strong_count(&carried) as i64, noting(&log), true).unwrap();
    event_loop.close(waits).unwrap();
    assert_eq!(Arc::strong_count(&witness), 1, "the function is dropped at once");
    go_on.send(()).unwrap();
    event_loop.run().unwrap();
    assert_eq!(*log.borrow(), [Ok(0)]);
}
