//! Gives requests of the kubelet an authority that the HTTP/2 server accepts, on their way in.
//!
//! The kubelet's plugin watcher names the path of the socket, percent-encoded, as `:authority`. That is
//! no authority (RFC 3986, section 3.2), and h2 resets the stream. Here its value is exchanged in the
//! header block; everything else passes as it is. Knows only what that takes of HTTP/2 (RFC 9113, section
//! 4.1) and of HPACK (RFC 7541, sections 5 and 6), and holds nothing but the frame that passes.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::UnixStream;

/// What stands instead: a length and that many bytes, not Huffman-coded (RFC 7541, section 5.2).
const LOCALHOST: &[u8] = b"\x09localhost";
/// Of `:authority` in the static table (RFC 7541, appendix A).
const AUTHORITY: usize = 1;
/// The beginning of every connection (RFC 9113, section 3.4).
const PREFACE: usize = 24;
/// Header frames (RFC 9113, section 6.2), and their flags PADDED and PRIORITY, which put bytes before the block.
const HEADERS: u8 = 1;
const SHIFTED: u8 = 0x8 | 0x20;
/// What a connection may hold on its way.
const BUFFER: usize = 64 << 10;

/// The other end of a connection of the kubelet, with the authority exchanged.
pub fn exchanged(client: UnixStream) -> DuplexStream {
    let (server, inside) = tokio::io::duplex(BUFFER);
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(inside);
    tokio::spawn(async move {
        // A connection that breaks ends here as it would at the server.
        let _ = exchange(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    });
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    });
    server
}

async fn exchange(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut preface = [0; PREFACE];
    from.read_exact(&mut preface).await?;
    to.write_all(&preface).await?;
    loop {
        let mut head = [0; 9];
        from.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        from.read_exact(&mut payload).await?;
        if head[3] == HEADERS
            && head[4] & SHIFTED == 0
            && let Some(block) = with_localhost(&payload)
        {
            payload = block;
            let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
            head[..3].copy_from_slice(&length.to_be_bytes()[1..]);
        }
        to.write_all(&head).await?;
        to.write_all(&payload).await?;
        to.flush().await?;
    }
}

/// The header block with another authority; nothing where it has none of its own, or is not understood.
fn with_localhost(block: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0;
    while let Some(first) = block.get(at) {
        let (prefix, literal) = match first {
            // Indexed; literal that is added to the table; size of the table; other literals.
            0x80.. => (7, false),
            0x40..=0x7f => (6, true),
            0x20..=0x3f => (5, false),
            _ => (4, true),
        };
        let (name, mut next) = integer(block, at, prefix)?;
        if literal {
            if name == 0 {
                next = after_string(block, next)?;
            }
            let end = after_string(block, next)?;
            if name == AUTHORITY {
                return Some([&block[..next], LOCALHOST, &block[end..]].concat());
            }
            next = end;
        }
        at = next;
    }
    None
}

/// An integer with a prefix of so many bits (RFC 7541, section 5.1), and where it ends.
fn integer(block: &[u8], at: usize, prefix: u32) -> Option<(usize, usize)> {
    let most = (1 << prefix) - 1;
    let mut value = usize::from(*block.get(at)?) & most;
    let mut next = at + 1;
    if value < most {
        return Some((value, next));
    }
    // Three bytes more are beyond all that a frame can hold.
    for shift in [0, 7, 14] {
        let byte = usize::from(*block.get(next)?);
        next += 1;
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, next));
        }
    }
    None
}

/// Where a string ends (RFC 7541, section 5.2).
fn after_string(block: &[u8], at: usize) -> Option<usize> {
    let (length, begin) = integer(block, at, 7)?;
    let end = begin + length;
    (end <= block.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
        let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn the_authority_is_exchanged_and_nothing_else() {
        // RFC 7541, appendix C.3.1 and C.4.1: without and with Huffman coding; then a field behind it.
        for block in [
            "828684 410f 7777772e6578616d706c652e636f6d",
            "828684 418c f1e3c2e5f23a6ba0ab90f4ff",
        ] {
            let exchanged = with_localhost(&bytes(block)).unwrap();
            assert_eq!(exchanged, bytes("828684 4109 6c6f63616c686f7374"));
            let behind = with_localhost(&bytes(&format!("{block} 4008 637573746f6d2d6b 0176")));
            let wanted = bytes("828684 4109 6c6f63616c686f7374 4008 637573746f6d2d6b 0176");
            assert_eq!(behind.unwrap(), wanted);
        }
    }

    #[test]
    fn what_has_none_or_is_cut_off_passes_as_it_is() {
        assert_eq!(
            with_localhost(&bytes("828684be5808 6e6f2d6361636865")),
            None
        );
        assert_eq!(with_localhost(&bytes("828684 410f 7777")), None);
        assert_eq!(with_localhost(&bytes("ffffffffff")), None);
        assert_eq!(with_localhost(&[]), None);
    }

    #[tokio::test]
    async fn frames_pass_in_order_and_their_lengths_are_right() {
        let path = b"%2Fvar%2Flib%2Fkubelet%2Fplugins_registry%2Fa-reg.sock";
        let mut block = bytes("8386 41");
        block.push(u8::try_from(path.len()).unwrap());
        block.extend(path);
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        sent.extend(bytes("000000 04 00 00000000"));
        sent.extend([
            0,
            0,
            u8::try_from(block.len()).unwrap(),
            HEADERS,
            4,
            0,
            0,
            0,
            1,
        ]);
        sent.extend(&block);
        sent.extend(bytes("000005 00 01 00000001 0000000000"));
        let mut got = Vec::new();
        let end = exchange(&mut sent.as_slice(), &mut got).await.unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
        let mut wanted = sent[..PREFACE + 9].to_vec();
        wanted.extend(bytes("00000d 01 04 00000001 8386 4109 6c6f63616c686f7374"));
        wanted.extend(bytes("000005 00 01 00000001 0000000000"));
        assert_eq!(got, wanted);
    }
}
