//! Where frames begin and end in a stream: lines, or bytes behind their length.

use super::error::{Error, Result};

/// How a stream is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Framing {
    /// Not at all: whatever has arrived, in pieces of at most the longest frame.
    #[default]
    None,
    /// At each line feed, which is left out, and so is a carriage return before it.
    Lines,
    /// A length in front of each, of 1, 2, 4 or 8 bytes, the length of what follows it.
    Length {
        /// How many bytes the length has.
        bytes: u8,
        /// The lowest byte comes first; else the highest (network order).
        little_endian: bool,
    },
}

/// A frame found at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where its contents begin.
    pub start: usize,
    /// Where they end.
    pub end: usize,
    /// Where the next one begins.
    pub next: usize,
}

impl Framing {
    /// The first frame in `bytes`, of which the first `searched` are known to have no end of line. `None`: more bytes are
    /// needed.
    ///
    /// # Errors
    /// [`Error::FRAME`] for one that is, or is going to be, longer than `most`.
    pub fn first(self, bytes: &[u8], searched: usize, most: usize) -> Result<Option<Frame>> {
        match self {
            Framing::None if bytes.is_empty() => Ok(None),
            Framing::None => {
                let end = bytes.len().min(most.max(1));
                Ok(Some(Frame { start: 0, end, next: end }))
            }
            Framing::Lines => first_line(bytes, searched, most),
            Framing::Length { bytes: size, little_endian } => first_counted(bytes, size.into(), little_endian, most),
        }
    }

    /// What is left at the end of the stream: an unfinished line is one.
    ///
    /// # Errors
    /// [`Error::FRAME`] for a line longer than `most`, and for a counted frame that was cut off.
    pub fn last(self, bytes: &[u8], most: usize) -> Result<Option<Frame>> {
        match self {
            _ if bytes.is_empty() => return Ok(None),
            Framing::Length { .. } => return Err(Error::FRAME),
            Framing::None | Framing::Lines => {}
        }
        // A carriage return at its end belongs to it: no end of the line has followed.
        let whole = Frame { start: 0, end: bytes.len(), next: bytes.len() };
        if bytes.len() > most { Err(Error::FRAME) } else { Ok(Some(whole)) }
    }
}

fn first_line(bytes: &[u8], searched: usize, most: usize) -> Result<Option<Frame>> {
    let searched = searched.min(bytes.len());
    let Some(at) = bytes[searched..].iter().position(|byte| *byte == b'\n') else {
        // A carriage return may be the last byte of a line that is just short enough.
        return if bytes.len() > most.saturating_add(1) { Err(Error::FRAME) } else { Ok(None) };
    };
    let next = searched + at + 1;
    let end = if bytes[..next - 1].ends_with(b"\r") { next - 2 } else { next - 1 };
    if end > most { Err(Error::FRAME) } else { Ok(Some(Frame { start: 0, end, next })) }
}

fn first_counted(bytes: &[u8], size: usize, little_endian: bool, most: usize) -> Result<Option<Frame>> {
    let Some(prefix) = bytes.get(..size) else { return Ok(None) };
    let mut wide = [0; 8];
    if little_endian {
        wide[..size].copy_from_slice(prefix);
    } else {
        wide[8 - size..].copy_from_slice(prefix);
    }
    let length = if little_endian { u64::from_le_bytes(wide) } else { u64::from_be_bytes(wide) };
    if length > most as u64 {
        return Err(Error::FRAME);
    }
    // No memory has room for what a count cannot say.
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(size)).ok_or(Error::FRAME)?;
    Ok((bytes.len() >= end).then_some(Frame { start: size, end, next: end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All frames of a stream that arrives in pieces of `step` bytes.
    fn frames(framing: Framing, stream: &[u8], step: usize, most: usize) -> Result<Vec<Vec<u8>>> {
        let (mut held, mut found): (Vec<u8>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
        for piece in stream.chunks(step) {
            let mut searched = held.len();
            held.extend_from_slice(piece);
            while let Some(frame) = framing.first(&held, searched, most)? {
                found.push(held[frame.start..frame.end].to_vec());
                held.drain(..frame.next);
                searched = 0;
            }
        }
        found.extend(framing.last(&held, most)?.map(|frame| held[frame.start..frame.end].to_vec()));
        Ok(found)
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let expected: [&[u8]; 6] = [b"a", b"", b"bc\rd", b"", b"\r", b"end"];
        for step in 1..20 {
            assert_eq!(frames(Framing::Lines, b"a\n\nbc\rd\r\n\r\n\r\r\nend", step, 4).unwrap(), expected, "{step}");
        }
        assert_eq!(frames(Framing::Lines, b"abcd\r\nabcd\n", 3, 4).unwrap().len(), 2);
    }

    #[test]
    fn without_frames_pieces_are_at_most_as_long_as_one() {
        assert_eq!(frames(Framing::None, b"abcdefg", 7, 3).unwrap(), [&b"abc"[..], b"def", b"g"]);
    }

    #[test]
    fn counted_frames_are_the_same_however_they_arrive() {
        for (bytes, little_endian) in [(1, false), (2, false), (4, true), (8, true), (8, false)] {
            let framing = Framing::Length { bytes, little_endian };
            let mut stream = Vec::new();
            for content in [&b"hello"[..], b"", b"x"] {
                let length = content.len() as u64;
                let wide = if little_endian { length.to_le_bytes() } else { length.to_be_bytes() };
                let size = usize::from(bytes);
                stream.extend(if little_endian { &wide[..size] } else { &wide[8 - size..] });
                stream.extend(content);
            }
            for step in 1..stream.len() {
                assert_eq!(frames(framing, &stream, step, 5).unwrap(), [&b"hello"[..], b"", b"x"]);
            }
        }
    }

    #[test]
    fn the_last_line_is_no_longer_than_the_others() {
        // mutation: last() does not look at most.
        assert_eq!(frames(Framing::Lines, b"a\n12345678", 3, 8).unwrap(), [&b"a"[..], b"12345678"]);
        assert_eq!(frames(Framing::Lines, b"123456789", 3, 8), Err(Error::FRAME));
        assert_eq!(frames(Framing::Lines, b"12345678\r", 3, 8), Err(Error::FRAME));
        assert_eq!(frames(Framing::Lines, b"12345678\r\n", 3, 8).unwrap(), [b"12345678"]);
    }

    #[test]
    fn a_counted_frame_that_is_cut_off_is_an_error() {
        let counted = Framing::Length { bytes: 1, little_endian: false };
        assert_eq!(frames(counted, b"\x02ab", 1, 8).unwrap(), [b"ab"]);
        assert_eq!(frames(counted, b"\x02ab\x02a", 1, 8), Err(Error::FRAME));
    }

    #[test]
    fn h41_a_frame_that_will_be_too_long_is_refused_before_it_is_there() {
        // mutation: compare only finished frames.
        let counted = Framing::Length { bytes: 8, little_endian: false };
        assert_eq!(counted.first(&[255; 8], 0, 1000), Err(Error::FRAME));
        assert_eq!(Framing::Lines.first(&[b'x'; 12], 0, 10), Err(Error::FRAME));
        assert_eq!(Framing::Lines.first(&[b'x'; 11], 0, 10), Ok(None));
        assert_eq!(Framing::Lines.first(b"xxxxxxxxxxx\n", 0, 10), Err(Error::FRAME));
    }
}
