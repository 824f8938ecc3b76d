//! `COPY (query) TO STDOUT` in text and CSV.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};

use super::connection::{Connection, Failure};
use super::copy_form::CopyForm;
use super::encode::Encoder;
use super::error::PgError;
use super::rows::Rows;

impl Connection {
    /// Sends all rows, then the tag.
    pub(super) async fn copy(&mut self, mut rows: Rows, form: &CopyForm) -> Result<(), Failure> {
        let columns = Arc::clone(&rows.columns);
        let width = columns.len();
        let response = CopyOutResponse::new(0, width as i16, vec![0; width]);
        self.feed(PgWireBackendMessage::CopyOutResponse(response))
            .await?;
        let mut sent = 0;
        if form.header {
            let mut line = BytesMut::new();
            for (index, column) in columns.iter().enumerate() {
                separate(index, form, &mut line);
                write(Some(column.name.as_bytes()), form, &mut line);
            }
            line.put_u8(b'\n');
            self.feed(data(line)).await?;
        }
        let zone = self.zone();
        loop {
            let batch = match rows.current.take() {
                Some((batch, _)) => batch,
                None => match self.watch(rows.next()).await? {
                    Some(batch) => batch?,
                    None => break,
                },
            };
            let encoder = Encoder::new(&batch, &columns, &[], zone).map_err(|error| {
                PgError::new("XX000", format!("cannot send these values: {error}"))
            })?;
            let lines = (0..batch.num_rows()).map(|row| {
                let (mut line, mut value) = (BytesMut::new(), BytesMut::new());
                for column in 0..width {
                    separate(column, form, &mut line);
                    value.clear();
                    let there = encoder.text(row, column, &mut value);
                    write(there.then_some(&value[..]), form, &mut line);
                }
                line.put_u8(b'\n');
                data(line)
            });
            self.feed_all(lines).await?;
            sent += batch.num_rows();
        }
        self.feed(PgWireBackendMessage::CopyDone(CopyDone::new()))
            .await?;
        self.complete(format!("COPY {sent}")).await
    }
}

fn data(line: BytesMut) -> PgWireBackendMessage {
    PgWireBackendMessage::CopyData(CopyData::new(Bytes::from(line)))
}

fn separate(index: usize, form: &CopyForm, line: &mut BytesMut) {
    if index > 0 {
        line.put_slice(form.delimiter.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// A value: in CSV in quotes where it must be, or where it would read as NULL; in text with its escapes.
fn write(value: Option<&[u8]>, form: &CopyForm, line: &mut BytesMut) {
    let Some(value) = value else {
        line.put_slice(form.null.as_bytes());
        return;
    };
    let delimiter = form.delimiter as u32;
    let is_delimiter = |byte: u8| u32::from(byte) == delimiter;
    if form.csv {
        let special = |byte: &u8| matches!(byte, b'"' | b'\n' | b'\r') || is_delimiter(*byte);
        if value.iter().any(special) || value == form.null.as_bytes() {
            line.put_u8(b'"');
            for byte in value {
                if *byte == b'"' {
                    line.put_u8(b'"');
                }
                line.put_u8(*byte);
            }
            line.put_u8(b'"');
        } else {
            line.put_slice(value);
        }
        return;
    }
    for byte in value {
        match byte {
            b'\\' => line.put_slice(b"\\\\"),
            b'\n' => line.put_slice(b"\\n"),
            b'\r' => line.put_slice(b"\\r"),
            b'\t' => line.put_slice(b"\\t"),
            other => {
                if is_delimiter(*other) {
                    line.put_u8(b'\\');
                }
                line.put_u8(*other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_or_escaped() {
        let written = |csv: bool, value: Option<&str>| {
            let (delimiter, null) = if csv { (',', "") } else { ('\t', "\\N") };
            let form = CopyForm {
                csv,
                delimiter,
                null: null.to_owned(),
                header: false,
            };
            let mut line = BytesMut::new();
            write(value.map(str::as_bytes), &form, &mut line);
            String::from_utf8(line.to_vec()).unwrap()
        };
        assert_eq!(written(true, Some("a,\"b\"")), "\"a,\"\"b\"\"\"");
        assert_eq!(written(true, Some("")), "\"\"");
        assert_eq!(written(true, None), "");
        assert_eq!(written(false, Some("a\tb\\")), "a\\tb\\\\");
        assert_eq!(written(false, None), "\\N");
    }
}
