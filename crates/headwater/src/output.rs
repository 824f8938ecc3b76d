//! What the commands print.

use std::io::{self, ErrorKind, Write};

/// Writes to the standard output. A reader that has seen enough, such as `head`, is no error.
///
/// # Errors
///
/// Any other error of the writing.
pub fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
