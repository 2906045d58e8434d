//! What a server says before the SSH protocol begins (RFC 4253, section 4.2): sshd tells there why it drops
//! a connection, and a server of another protocol gives itself away. It never changes what passes through.

use crate::words;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An identification comes within this or not at all.
const MOST: usize = 2048;

/// What was heard so far.
#[derive(Debug, Default, Clone)]
pub(super) struct Greeting(Arc<Mutex<Vec<u8>>>);

impl Greeting {
    fn bytes(&self) -> Vec<u8> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn hear(&self, bytes: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() < MOST && !is_ssh(&heard) {
            let room = MOST - heard.len();
            heard.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// Whether the server has said that it speaks SSH.
    pub(super) fn is_ssh(&self) -> bool {
        is_ssh(&self.bytes())
    }

    /// What it said before that, or instead.
    pub(super) fn words(&self) -> Option<String> {
        let bytes = self.bytes();
        let before = lines(&bytes).take_while(|line| !line.starts_with(b"SSH-"));
        words::said(&before.collect::<Vec<_>>().join(&b'\n'))
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n')
}

fn is_ssh(bytes: &[u8]) -> bool {
    lines(bytes).any(|line| line.starts_with(b"SSH-"))
}

/// A stream whose first words are remembered.
pub(super) struct Overheard<S> {
    inner: S,
    greeting: Greeting,
}

impl<S> Overheard<S> {
    /// Listens in on `inner`.
    pub(super) fn new(inner: S, greeting: &Greeting) -> Self {
        Self {
            inner,
            greeting: greeting.clone(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Overheard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if polled.is_ready() {
            self.greeting.hear(&buffer.filled()[before..]);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Overheard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Greeting {
        let greeting = Greeting::default();
        for byte in text.as_bytes() {
            greeting.hear(&[*byte]);
        }
        greeting
    }

    #[test]
    fn what_stands_before_the_identification_is_told() {
        let dropped = of("Exceeded MaxStartups\r\n");
        assert!(!dropped.is_ssh());
        assert_eq!(dropped.words().unwrap(), "Exceeded MaxStartups");
        let polite = of("Property of the site\r\nSSH-2.0-OpenSSH_9.2p1 Debian\r\n");
        assert!(polite.is_ssh());
        assert_eq!(polite.words().unwrap(), "Property of the site");
        assert_eq!(of("SSH-2.0-OpenSSH_9.2p1\r\n").words(), None);
        assert_eq!(of("").words(), None);
    }

    #[test]
    fn what_comes_after_the_identification_is_not_kept() {
        let greeting = of("SSH-");
        let before = greeting.bytes();
        greeting.hear(b"2.0-x\r\nsecret");
        assert_eq!(greeting.bytes(), before);
    }

    #[test]
    fn an_endless_greeting_fills_no_memory() {
        let greeting = Greeting::default();
        for _ in 0..100 {
            greeting.hear(&[b'x'; 1000]);
        }
        assert_eq!(greeting.bytes().len(), MOST);
    }
}
