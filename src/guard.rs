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
        $crate::guard::run(
            stringify!($name),
            || $crate::guard::IntoCode::into_code($body),
            || vec![$((stringify!($argument), $crate::guard::Show::show(&$argument))),*],
            || $crate::guard::first_id(&[$($crate::guard::Show::id(&$argument)),*]),
        )
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

#[inline]
pub(crate) fn run(
    name: &'static str, body: impl FnOnce() -> Result<c_int>, arguments: impl FnOnce() -> Vec<(&'static str, String)>,
    first_id: impl FnOnce() -> u64,
) -> c_int {
    // The closure's captures are arguments and ids; what a panic leaves half done is refused by the poisoned loop.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        inject::panic_if_asked(name);
        body()
    }));
    match outcome {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => fail(name, error, arguments),
        Err(payload) => panicked(name, payload, first_id()),
    }
}

#[cold]
fn fail(name: &str, error: Error, arguments: impl FnOnce() -> Vec<(&'static str, String)>) -> c_int {
    let words = catch_unwind(AssertUnwindSafe(|| {
        let list: Vec<String> = arguments().into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
        error::remember(format_args!("{name}({}): {error}", list.join(", ")));
    }));
    // The words could not be made; the code still says what matters.
    drop(words);
    error.code()
}

#[cold]
fn panicked(name: &str, payload: Box<dyn std::any::Any + Send>, poison: u64) -> c_int {
    // Dropping the payload may panic again: it is leaked.
    std::mem::forget(payload);
    registry::poison(poison);
    let _ = catch_unwind(AssertUnwindSafe(|| error::remember(format_args!("{name}: {}", Error::PANIC))));
    Error::PANIC.code()
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

/// The first argument that is an id; 0 when there is none.
pub(crate) fn first_id(ids: &[Option<u64>]) -> u64 {
    ids.iter().flatten().next().copied().unwrap_or(0)
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
show_plainly!(c_int, u32, i64, usize);

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
