//! The wire format of Protocol Buffers, read where it lies: a field at a time, nothing is copied.
//!
//! Types made by a generator would hold a message as a tree: 2 bytes of an empty message become some 100, and a body of
//! 8 MiB far more than ingest may take (`adr/0036`). What is read here is held against those types in tests.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

/// The bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is not the message that `content-type` says: {0}")]
pub struct Malformed(pub(crate) String);

impl Malformed {
    pub(crate) fn new(what: impl Into<String>) -> Malformed {
        Malformed(what.into())
    }
}

/// A field's value, as the wire tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// The fields of a message: number and value, in the order in which they stand. Ends behind what is malformed.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Fields<'a> {
        Fields(message)
    }

    fn field(&mut self) -> Result<(u32, Wire<'a>), Malformed> {
        let key = varint(&mut self.0)?;
        let number =
            u32::try_from(key >> 3).map_err(|_| Malformed::new("a field's number is too large"))?;
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut self.0)?),
            1 => Wire::Fixed64(self.take()?),
            2 => {
                let length = varint(&mut self.0)?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let Some((bytes, rest)) = self.0.split_at_checked(length) else {
                    return Err(cut_off());
                };
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(self.take()?),
            other => {
                return Err(Malformed::new(format!(
                    "field {number} has the wire type {other}"
                )));
            }
        };
        Ok((number, value))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((bytes, rest)) = self.0.split_first_chunk() else {
            return Err(cut_off());
        };
        self.0 = rest;
        Ok(*bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for (at, byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *rest = &rest[at + 1..];
            return Ok(value);
        }
    }
    Err(if rest.len() < 10 {
        cut_off()
    } else {
        Malformed::new("a number has more than 10 bytes")
    })
}

fn cut_off() -> Malformed {
    Malformed::new("it ends in the middle of a field")
}

impl<'a> Wire<'a> {
    /// A message or bytes.
    pub(crate) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed::new("a number stands where a message belongs")),
        }
    }

    pub(crate) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::new("a text is not UTF-8"))
    }

    /// A whole number of any type but those with `s` in front.
    pub(crate) fn number(self) -> Result<u64, Malformed> {
        match self {
            Wire::Varint(value) => Ok(value),
            Wire::Fixed64(bytes) => Ok(u64::from_le_bytes(bytes)),
            Wire::Fixed32(bytes) => Ok(u32::from_le_bytes(bytes).into()),
            Wire::Bytes(_) => Err(Malformed::new("a message stands where a number belongs")),
        }
    }

    /// A `sint32` or `sint64`.
    pub(crate) fn zigzag(self) -> Result<i64, Malformed> {
        self.number().map(unzigzag)
    }

    pub(crate) fn double(self) -> Result<f64, Malformed> {
        match self {
            Wire::Fixed64(bytes) => Ok(f64::from_le_bytes(bytes)),
            _ => Err(Malformed::new("a double is not of 8 bytes")),
        }
    }

    /// Appends a repeated field of fixed numbers of 8 bytes, packed or one by one.
    pub(crate) fn extend_fixed64<T>(
        self,
        out: &mut Vec<T>,
        read: fn([u8; 8]) -> T,
    ) -> Result<(), Malformed> {
        match self {
            Wire::Fixed64(bytes) => out.push(read(bytes)),
            Wire::Bytes(packed) => {
                let (numbers, rest) = packed.as_chunks();
                if !rest.is_empty() {
                    return Err(cut_off());
                }
                out.extend(numbers.iter().map(|bytes| read(*bytes)));
            }
            _ => return Err(Malformed::new("a list of numbers has another type")),
        }
        Ok(())
    }

    /// Appends a repeated field of numbers of any length, packed or one by one. Nothing past `most` numbers, for one of
    /// a byte takes eight here.
    pub(crate) fn extend_varint<T>(
        self,
        out: &mut Vec<T>,
        most: usize,
        read: fn(u64) -> T,
    ) -> Result<(), Malformed> {
        match self {
            Wire::Varint(value) if out.len() < most => out.push(read(value)),
            Wire::Varint(_) => {}
            Wire::Bytes(mut packed) => {
                while !packed.is_empty() && out.len() < most {
                    out.push(read(varint(&mut packed)?));
                }
            }
            _ => return Err(Malformed::new("a list of numbers has another type")),
        }
        Ok(())
    }
}

/// Undoes what keeps small negative numbers short.
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Appends a field that holds a number, unless it is 0.
pub(crate) fn put_number(out: &mut Vec<u8>, field: u32, value: u64) {
    if value > 0 {
        put_varint(out, u64::from(field) << 3);
        put_varint(out, value);
    }
}

/// Appends a field that holds a message or a text, unless it is empty.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_varint(out, u64::from(field) << 3 | 2);
        put_varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_each_type_are_read() {
        let mut message = vec![];
        put_number(&mut message, 1, 300);
        put_bytes(&mut message, 2, b"text");
        message.extend([
            3 << 3 | 1,
            0,
            0,
            0,
            0,
            0,
            0,
            0xf0,
            0x3f,
            4 << 3 | 5,
            7,
            0,
            0,
            0,
        ]);
        let fields: Vec<_> = Fields::of(&message).map(Result::unwrap).collect();
        assert_eq!(fields[0], (1, Wire::Varint(300)));
        assert_eq!(fields[1].1.text(), Ok("text"));
        assert_eq!(fields[2].1.double(), Ok(1.0));
        assert_eq!(fields[3].1.number(), Ok(7));
        assert_eq!([0, 1, 2, 3].map(unzigzag), [0, -1, 1, -2]);
    }

    #[test]
    fn what_is_cut_off_or_no_message_is_said() {
        for (bytes, said) in [
            (&[0x0a, 5, b'a'][..], "ends in the middle"),
            (&[0x09, 1, 2], "ends in the middle"),
            (&[0x08], "ends in the middle"),
            (
                &[
                    0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
                ],
                "more than 10 bytes",
            ),
            (&[0x0b, 1], "wire type 3"),
        ] {
            let error = Fields::of(bytes).find_map(Result::err).unwrap();
            assert!(error.to_string().contains(said), "{bytes:?}: {error}");
        }
    }
}
