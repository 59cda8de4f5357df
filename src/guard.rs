//! No panic crosses the boundary, and every failure leaves its words behind.

use crate::{error, inject, registry};
use std::ffi::{c_int, c_void};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidegate_reactor::{Error, Result};

/// The body of every exported function that returns a code: `guard!(tg_name(argument, …), expression)`.
///
/// The expression is a `Result`; a failure becomes its code and the text of `tg_last_error`, made of the function's name and
/// arguments; a panic becomes TG_EPANIC and poisons the loop that the first argument names.
macro_rules! guard {
    ($name:ident($($argument:ident),*), $body:expr) => {
        match $crate::guard::catch(stringify!($name), || $crate::guard::IntoCode::into_code($body)) {
            Ok(code) => code,
            Err(failure) => $crate::guard::fail(
                stringify!($name),
                failure,
                &[$((stringify!($argument), &$argument as &dyn $crate::guard::Show)),*],
            ),
        }
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
pub(crate) fn fail(name: &str, failure: Failure, arguments: &[(&str, &dyn Show)]) -> c_int {
    let error = match failure {
        Failure::Error(error) => error,
        Failure::Panic => {
            registry::poison(arguments.iter().find_map(|(_, argument)| argument.id()).unwrap_or(0));
            Error::PANIC
        }
    };
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let shown = |(name, value): &(&str, &dyn Show)| format!("{} = {}", name.trim_end_matches('_'), value.show());
        let list: Vec<String> = arguments.iter().map(shown).collect();
        error::remember(format_args!("{name}({}): {error}", list.join(", ")));
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

/// How an argument is shown in `tg_last_error`, and whether it is an id.
pub(crate) trait Show {
    fn show(&self) -> String;
    fn id(&self) -> Option<u64> {
        None
    }
}

impl Show for u64 {
    fn show(&self) -> String {
        format!("{self:#x}")
    }
    fn id(&self) -> Option<u64> {
        Some(*self)
    }
}

macro_rules! show_plainly {
    ($($type:ty),*) => {$(
        impl Show for $type {
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
show_plainly!(c_int, u16, u32, i64, usize);

fn show_pointer(pointer: *const c_void) -> String {
    let mut text = String::new();
    if pointer.is_null() {
        text.push_str("NULL");
    } else {
        // Writing to a String does not fail.
        let _ = write!(text, "{pointer:p}");
    }
    text
}

impl<T> Show for *const T {
    fn show(&self) -> String {
        show_pointer(self.cast())
    }
}

impl<T> Show for *mut T {
    fn show(&self) -> String {
        show_pointer(self.cast_const().cast())
    }
}

impl<T> Show for Option<T> {
    fn show(&self) -> String {
        if self.is_some() { "a function".to_owned() } else { "NULL".to_owned() }
    }
}
