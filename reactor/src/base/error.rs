//! The one error type of the engine, and the table of its codes.

mod table {
    include!("error_table.rs");
}
pub use table::ERROR_TABLE;

/// Why a call failed: a code of [`ERROR_TABLE`] or `-errno`, and the reason in words where it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    code: i32,
    why: &'static str,
}

/// What every fallible call of the engine returns.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub const $name: Error = Error { code: $code, why: "" };)*
    };
}

impl Error {
    codes! {
        /// An argument is out of range.
        INVALID = -4001;
        /// Memory could not be had.
        NO_MEMORY = -4002;
        /// Not, or no longer, an open object.
        STALE = -4003;
        /// Open, but of another kind.
        KIND = -4004;
        /// The loop belongs to another thread.
        WRONG_THREAD = -4005;
        /// A loop cannot be run, or waited for, from inside itself.
        REENTRANT = -4006;
        /// Inherited by a fork.
        FORKED = -4007;
        /// A panic was caught.
        PANIC = -4008;
        /// There already, or taken by something else.
        EXISTS = -4009;
        /// Not there.
        NOT_FOUND = -4010;
        /// The descriptor is not open.
        BAD_FD = -4011;
        /// The time is over.
        TIMED_OUT = -4012;
        /// A limit is reached.
        NO_BUFFERS = -4013;
        /// No id left.
        LIMIT = -4014;
        /// Not supported.
        NOT_SUPPORTED = -4015;
        /// In use at present.
        BUSY = -4016;
        /// Cancelled before it was over.
        CANCELED = -4017;
        /// No such host or service.
        NO_NAME = -4018;
        /// The name service does not answer at present.
        TRY_AGAIN = -4019;
        /// The name service has failed.
        RESOLVE = -4020;
        /// A frame is longer than the connection allows.
        FRAME = -4021;
    }

    /// [`Error::INVALID`] with the reason.
    pub const fn invalid(why: &'static str) -> Error {
        Error { code: -4001, why }
    }

    /// The same error with a reason in words.
    pub const fn because(self, why: &'static str) -> Error {
        Error { code: self.code, why }
    }

    /// An error of the operating system, which passes through as `-errno`.
    pub const fn os(errno: i32) -> Error {
        Error { code: -errno, why: "" }
    }

    /// What a program's own function has returned.
    pub const fn from_code(code: i32) -> Error {
        Error { code, why: "" }
    }

    /// Whether it is that one, for whatever reason.
    pub const fn is(self, other: Error) -> bool {
        self.code == other.code
    }

    /// The code: below -4000 one of ours, above it `-errno`.
    pub const fn code(self) -> i32 {
        self.code
    }

    /// The reason in words; empty when the code says all.
    pub const fn why(self) -> &'static str {
        self.why
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match ERROR_TABLE.iter().find(|row| row.0 == self.code) {
            Some((_, name, text)) => write!(f, "{name}: {text}")?,
            None => write!(f, "{}", std::io::Error::from_raw_os_error(-self.code))?,
        }
        if self.why.is_empty() { Ok(()) } else { write!(f, " ({})", self.why) }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        match error.raw_os_error() {
            Some(errno) => Error::os(errno),
            None if error.kind() == std::io::ErrorKind::OutOfMemory => Error::NO_MEMORY,
            None => Error::NOT_SUPPORTED,
        }
    }
}

impl From<std::collections::TryReserveError> for Error {
    fn from(_: std::collections::TryReserveError) -> Error {
        Error::NO_MEMORY
    }
}

impl From<super::timers::NoMemory> for Error {
    fn from(_: super::timers::NoMemory) -> Error {
        Error::NO_MEMORY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constant_is_in_the_table_and_numbers_are_unique() {
        let all = [
            Error::INVALID,
            Error::NO_MEMORY,
            Error::STALE,
            Error::KIND,
            Error::WRONG_THREAD,
            Error::REENTRANT,
            Error::FORKED,
            Error::PANIC,
            Error::EXISTS,
            Error::NOT_FOUND,
            Error::BAD_FD,
            Error::TIMED_OUT,
            Error::NO_BUFFERS,
            Error::LIMIT,
            Error::NOT_SUPPORTED,
            Error::BUSY,
            Error::CANCELED,
            Error::NO_NAME,
            Error::TRY_AGAIN,
            Error::RESOLVE,
            Error::FRAME,
        ];
        assert_eq!(all.len(), ERROR_TABLE.len());
        for (error, row) in all.iter().zip(ERROR_TABLE) {
            assert_eq!(error.code(), row.0, "{}", row.1);
        }
        for pair in ERROR_TABLE.windows(2) {
            assert!(pair[0].0 > pair[1].0, "codes descend without repeats");
        }
    }

    #[test]
    fn words_name_the_code_and_the_reason() {
        let text = Error::invalid("delay is negative").to_string();
        assert!(text.starts_with("TG_EINVAL") && text.ends_with("(delay is negative)"), "{text}");
        assert!(Error::os(2).to_string().contains("No such file"));
    }
}
