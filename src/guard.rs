//! No panic crosses the boundary, and every failure leaves its words behind.

use crate::shown::Shown;
use crate::{error, inject, registry};
use std::ffi::c_int;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidegate_reactor::{Error, Result};

/// The body of every exported function that returns a code: `guard!(tg_name(argument, …), expression)`.
///
/// The expression is a `Result`; a failure becomes its code and the text of `tg_last_error`, made of the function's name and
/// arguments; a panic becomes TG_EPANIC and poisons the loop that the first argument names. Bytes whose number is another
/// argument are written `argument[number]`.
macro_rules! guard {
    ($name:ident($($argument:ident $([$length:ident])?),*), $body:expr) => {
        match $crate::guard::catch(stringify!($name), || $crate::guard::IntoCode::into_code($body)) {
            Ok(code) => code,
            Err(failure) => $crate::guard::fail(
                stringify!($name),
                failure,
                stringify!($($argument),*),
                // SAFETY: what the arguments point to is as the function's own documentation demands it.
                #[allow(unused_unsafe, reason = "one block for functions without arguments, too")]
                &unsafe { [$(shown!($argument $([$length])?)),*] },
            ),
        }
    };
}

/// An argument for the text.
macro_rules! shown {
    ($argument:ident) => {
        $crate::shown::Shown::new(&$argument)
    };
    ($argument:ident [$length:ident]) => {
        $crate::shown::Shown::sized(&$argument, $length)
    };
}

/// The same for what a signal handler may call: a failure is its code and no words, since those need memory and a lock.
macro_rules! guard_signal {
    ($name:ident($argument:ident), $body:expr) => {
        match $crate::guard::catch(stringify!($name), || $crate::guard::IntoCode::into_code($body)) {
            Ok(code) => code,
            Err($crate::guard::Failure::Error(error)) => error.code(),
            Err($crate::guard::Failure::Panic) => $crate::guard::poisoned($argument),
        }
    };
}

/// The body of an exported function whose type has no code: `total!(tg_name, fallback, expression)`.
macro_rules! total {
    ($name:ident, $fallback:expr, $body:expr) => {
        $crate::guard::run_total(stringify!($name), $fallback, || $body)
    };
}

/// What a function returns on success.
pub(crate) trait IntoCode {
    fn into_code(self) -> Result<c_int>;
}

impl IntoCode for Result<()> {
    fn into_code(self) -> Result<c_int> {
        self.map(|()| 0)
    }
}

impl IntoCode for Result<bool> {
    fn into_code(self) -> Result<c_int> {
        self.map(c_int::from)
    }
}

impl IntoCode for Result<usize> {
    fn into_code(self) -> Result<c_int> {
        self.map(|count| c_int::try_from(count).unwrap_or(c_int::MAX))
    }
}

/// Why there is no code of success.
pub(crate) enum Failure {
    Error(Error),
    Panic,
}

#[inline(always)]
pub(crate) fn catch(name: &'static str, body: impl FnOnce() -> Result<c_int>) -> std::result::Result<c_int, Failure> {
    // The closure's captures are arguments and ids; what a panic leaves half done is refused by the poisoned loop.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        inject::panic_if_asked(name);
        body()
    }));
    match outcome {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(error)) => Err(Failure::Error(error)),
        Err(payload) => {
            // Dropping the payload may panic again: it is leaked.
            std::mem::forget(payload);
            Err(Failure::Panic)
        }
    }
}

/// What is left to do after a panic.
#[cold]
pub(crate) fn poisoned(id: u64) -> c_int {
    registry::poison(id);
    Error::PANIC.code()
}

/// Puts the failure into words for `tg_last_error`; its code. If the words cannot be made, the code still says what matters.
#[cold]
pub(crate) fn fail(name: &str, failure: Failure, names: &str, arguments: &[Shown]) -> c_int {
    let error = match failure {
        Failure::Error(error) => error,
        Failure::Panic => {
            registry::poison(arguments.iter().find_map(Shown::id).unwrap_or(0));
            Error::PANIC
        }
    };
    let _ = catch_unwind(AssertUnwindSafe(|| {
        error::remember(name, error, |text| {
            for (index, (name, value)) in names.split(',').zip(arguments).enumerate() {
                let name = name.trim().trim_end_matches('_');
                write!(text, "{}{name} = {}", if index > 0 { ", " } else { "" }, value.named(name))?;
            }
            Ok(())
        });
    }));
    error.code()
}

pub(crate) fn run_total<T>(name: &'static str, fallback: T, body: impl FnOnce() -> T) -> T {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        inject::panic_if_asked(name);
        body()
    }));
    outcome.unwrap_or_else(|payload| {
        std::mem::forget(payload);
        fallback
    })
}
