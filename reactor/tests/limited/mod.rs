//! Tests of loops that might not end.

use std::sync::mpsc;
use std::time::Duration;

/// Long beyond what any test here takes, so that a hang fails instead of blocking the suite.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Runs a test on a thread of its own and fails when it does not end in time.
pub(crate) fn limited(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match ended.recv_timeout(TIME_LIMIT) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("no end within {TIME_LIMIT:?}"),
        _ => thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)),
    }
}
