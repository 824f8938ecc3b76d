//! Buffers for the bodies of objects, used again and again.
//!
//! A body of megabytes that is allocated anew has pages that the system must first find and clear, which costs more
//! than filling them.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Most buffers that are kept while no object is written.
const MAX_KEPT: usize = 2;

/// Most bytes of a buffer that is kept: a little more than a batch has by default.
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;

/// The buffers that are free; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// An empty buffer that holds `bytes` without growing.
    pub(super) fn take(&self, bytes: usize) -> Vec<u8> {
        let kept = self.free(|free| free.pop());
        let mut buffer = kept.unwrap_or_default();
        buffer.reserve_exact(bytes);
        buffer
    }

    /// The content of a buffer, which comes back here once nobody holds the content any more.
    pub(super) fn lend(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent {
            buffer,
            home: self.clone(),
        })
    }

    fn free<T>(&self, act: impl FnOnce(&mut Vec<Vec<u8>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A buffer that is in use.
struct Lent {
    buffer: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.capacity() > MAX_KEPT_BYTES {
            return;
        }
        buffer.clear();
        self.home.free(|free| {
            if free.len() < MAX_KEPT {
                free.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_once_its_content_is_let_go() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(1000);
        buffer.extend_from_slice(b"content");
        let at = buffer.as_ptr();
        let content = buffers.lend(buffer);
        let also = content.clone();
        drop(content);
        assert_eq!(also, &b"content"[..]);
        let other = buffers.take(10);
        assert_ne!(other.as_ptr(), at, "it is still in use");
        drop(also);
        let again = buffers.take(900);
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
    }

    #[test]
    fn few_buffers_are_kept_and_none_that_is_large() {
        let buffers = Buffers::default();
        let lent: Vec<Bytes> = [10, 20, 30, MAX_KEPT_BYTES + 1]
            .map(|bytes| buffers.lend(buffers.take(bytes)))
            .into();
        drop(lent);
        let kept = buffers.free(|free| free.iter().map(Vec::capacity).max());
        assert!(kept.is_some_and(|most| most <= MAX_KEPT_BYTES));
        assert_eq!(buffers.free(|free| free.len()), MAX_KEPT);
    }
}
