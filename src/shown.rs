//! How values look in the text of `tg_last_error`. It is made after a call has failed; nothing of it is on another path.

use crate::address::{TG_UNIX, tg_address};
use crate::convert::{self, Members, Sized_};
use crate::types::tg_buffer;
use std::ffi::{c_char, c_int, c_void};
use std::fmt::{Display, Formatter, Result, Write};
use tidegate_reactor::base::address::{Address, MAX_PATH, UnixName};

/// How much of a text is shown. A longer one says its length.
const MOST_TEXT: usize = 80;
/// How many texts of a list are shown.
const MOST_TEXTS: usize = 8;

/// What an argument, or a member of a structure, is.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// An id as an argument; a number as a member.
    U64,
    U16,
    U32,
    Usize,
    I32,
    I64,
    Function,
    /// Memory that is not looked at.
    Pointer,
    Text,
    Texts,
    Address,
    /// A structure that begins with its size.
    Options(&'static Members),
}

impl Kind {
    /// How many bytes a member has.
    fn size(self) -> usize {
        match self {
            Kind::U16 => 2,
            Kind::U32 | Kind::I32 => 4,
            _ => 8,
        }
    }
}

/// A value that can be shown.
pub(crate) trait Show: Copy {
    const KIND: Kind;
    /// The value itself, or the address of what it points to.
    fn bits(self) -> u64;
}

macro_rules! show_numbers {
    ($($type:ty = $kind:ident),*) => {$(
        impl Show for $type {
            const KIND: Kind = Kind::$kind;
            fn bits(self) -> u64 {
                self as u64
            }
        }
    )*};
}
show_numbers!(u64 = U64, u16 = U16, u32 = U32, usize = Usize, c_int = I32, i64 = I64);

macro_rules! show_pointers {
    ($($type:ty = $kind:ident),*) => {$(
        impl Show for *const $type {
            const KIND: Kind = Kind::$kind;
            fn bits(self) -> u64 {
                self as usize as u64
            }
        }
    )*};
}
show_pointers!(
    c_char = Text,
    *mut c_char = Texts,
    tg_address = Address,
    c_void = Pointer,
    c_int = Pointer,
    tg_buffer = Pointer,
    crate::process::tg_stdio = Pointer,
    crate::udp::send::tg_outgoing = Pointer
);

impl<T: Sized_> Show for *const T {
    const KIND: Kind = Kind::Options(T::MEMBERS);
    fn bits(self) -> u64 {
        self as usize as u64
    }
}

/// Results go there: it may be uninitialised.
impl<T> Show for *mut T {
    const KIND: Kind = Kind::Pointer;
    fn bits(self) -> u64 {
        self as usize as u64
    }
}

impl<F: Copy> Show for Option<F> {
    const KIND: Kind = Kind::Function;
    fn bits(self) -> u64 {
        u64::from(self.is_some())
    }
}

/// What a member is, of the function that finds it.
pub(crate) const fn kind_of<T, M: Show>(_member: fn(&T) -> &M) -> Kind {
    M::KIND
}

/// An argument of a call that has failed.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    kind: Kind,
    bits: u64,
    /// How many bytes there are, where another argument says so.
    length: Option<usize>,
}

impl Shown {
    /// # Safety
    /// What the value points to is as its function demands it.
    pub(crate) unsafe fn new<T: Show>(value: &T) -> Shown {
        Shown { kind: T::KIND, bits: value.bits(), length: None }
    }

    /// # Safety
    /// The value is NULL, or points to so many readable bytes.
    pub(crate) unsafe fn sized<T: Show>(value: &T, length: usize) -> Shown {
        Shown { kind: T::KIND, bits: value.bits(), length: Some(length) }
    }

    /// The number, if it is an id.
    pub(crate) fn id(&self) -> Option<u64> {
        matches!(self.kind, Kind::U64).then_some(self.bits)
    }

    /// As an argument of that name.
    pub(crate) fn named(self, name: &str) -> impl Display {
        display(move |f| match (self.kind, self.length) {
            (Kind::U64, _) if !matches!(name, "length" | "token" | "data") => write!(f, "{:#x}", self.bits),
            (_, Some(length)) if self.bits != 0 => self.bytes(f, length),
            _ => show(f, name, self.kind, self.bits),
        })
    }

    fn bytes(self, f: &mut Formatter<'_>, length: usize) -> Result {
        // SAFETY: the promise of `sized`.
        match unsafe { convert::bytes(self.bits as usize as *const u8, length) } {
            Ok(bytes) => quoted(f, bytes, MOST_TEXT),
            Err(_) => write!(f, "{:#x}", self.bits),
        }
    }
}

struct Displayed<F>(F);

impl<F: Fn(&mut Formatter<'_>) -> Result> Display for Displayed<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.0(f)
    }
}

pub(crate) fn display(show: impl Fn(&mut Formatter<'_>) -> Result) -> impl Display {
    Displayed(show)
}

fn show(f: &mut Formatter<'_>, name: &str, kind: Kind, bits: u64) -> Result {
    match kind {
        Kind::U32 if name.ends_with("flags") || name == "interest" => write!(f, "{bits:#x}"),
        // As chmod has it.
        Kind::U32 if name == "mode" && bits > 7 => write!(f, "0{bits:o}"),
        Kind::U64 | Kind::U16 | Kind::U32 | Kind::Usize => write!(f, "{bits}"),
        Kind::I32 => write!(f, "{}", bits as i32),
        Kind::I64 => write!(f, "{}", bits as i64),
        _ if bits == 0 => f.write_str("NULL"),
        Kind::Function => f.write_str("a function"),
        Kind::Text => show_text(f, bits),
        // An environment may have passwords in it.
        Kind::Texts if name != "env" => show_texts(f, bits),
        Kind::Texts | Kind::Pointer => write!(f, "{bits:#x}"),
        Kind::Address => {
            // SAFETY: not NULL, and readable by the promise of `Shown`.
            let there = unsafe { convert::value(bits as usize as *const tg_address) };
            there.map_or(Ok(()), |there| show_address(f, &there))
        }
        Kind::Options(members) => show_options(f, bits as usize as *const c_void, members),
    }
}

fn show_text(f: &mut Formatter<'_>, bits: u64) -> Result {
    // SAFETY: a string by the promise of `Shown`.
    let text = unsafe { convert::string_or_null(bits as usize as *const c_char) };
    text.map_or(Ok(()), |text| quoted(f, text.to_bytes(), MOST_TEXT))
}

fn show_texts(f: &mut Formatter<'_>, bits: u64) -> Result {
    f.write_char('[')?;
    // SAFETY: a list that ends with NULL by the promise of `Shown`.
    let list = unsafe { convert::first_strings(bits as usize as *const *const c_char, MOST_TEXTS) };
    for (index, text) in list.enumerate() {
        f.write_str(if index > 0 { ", " } else { "" })?;
        match text {
            Some(text) => quoted(f, text.to_bytes(), MOST_TEXT)?,
            None => f.write_char('…')?,
        }
    }
    f.write_char(']')
}

/// In quotes, with escapes for what is no text.
fn quoted(f: &mut Formatter<'_>, bytes: &[u8], most: usize) -> Result {
    f.write_char('"')?;
    let end = escaped(f, bytes, most)?;
    f.write_char('"')?;
    if end { Ok(()) } else { write!(f, "… ({} bytes)", bytes.len()) }
}

/// Whether that was all.
fn escaped(f: &mut Formatter<'_>, bytes: &[u8], most: usize) -> std::result::Result<bool, std::fmt::Error> {
    let mut shown = 0;
    for chunk in bytes.utf8_chunks() {
        for one in chunk.valid().chars() {
            shown += one.len_utf8();
            match one {
                _ if shown > most => return Ok(false),
                '"' | '\\' => write!(f, "\\{one}")?,
                // A byte each, as all of them are below 256.
                _ if one.is_control() => write!(f, "\\x{:02x}", u32::from(one))?,
                _ => f.write_char(one)?,
            }
        }
        for byte in chunk.invalid() {
            shown += 1;
            if shown > most {
                return Ok(false);
            }
            write!(f, "\\x{byte:02x}")?;
        }
    }
    Ok(true)
}

fn show_address(f: &mut Formatter<'_>, address: &tg_address) -> Result {
    match address.to_engine() {
        Ok(Address::Unix(name)) => show_unix(f, &name),
        Ok(inet) => write!(f, "{inet}"),
        Err(_) if address.family == TG_UNIX => write!(f, "a Unix path with path_length = {}", address.path_length),
        Err(_) => write!(f, "family {}", address.family),
    }
}

fn show_unix(f: &mut Formatter<'_>, name: &UnixName) -> Result {
    let (mark, name) = match name.bytes().split_first() {
        Some((0, rest)) => ("@", rest),
        _ => ("", name.bytes()),
    };
    write!(f, "unix:{mark}")?;
    escaped(f, name, MAX_PATH).map(drop)
}

/// The members that are set. Functions and pointers come last: they are seldom what was wrong.
fn show_options(f: &mut Formatter<'_>, options: *const c_void, members: &Members) -> Result {
    // SAFETY: the structure has its size member at least.
    let (size, known) = unsafe { convert::sizes(options, members) };
    f.write_char('{')?;
    let mut between = "";
    if size != members.whole {
        write!(f, ".size = {size}")?;
        between = ", ";
    }
    for last in [false, true] {
        for ((name, offset), kind) in members.names.split(',').zip(members.offsets).zip(members.kinds) {
            let (name, behind) = (name.trim(), matches!(kind, Kind::Function | Kind::Pointer));
            if behind != last || offset + kind.size() > known.unwrap_or(0) {
                continue;
            }
            // SAFETY: the structure has so many bytes.
            let bits = unsafe { convert::member(options, *offset, kind.size()) };
            // No descriptor is -1; in everything else 0 is the default.
            let usual = if name.ends_with("fd") { u64::from(u32::MAX) } else { 0 };
            if bits != usual {
                write!(f, "{between}.{name} = ")?;
                show(f, name, *kind, bits)?;
                between = ", ";
            }
        }
    }
    f.write_char('}')
}
