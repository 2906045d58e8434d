//! Asks a DNS server for one address record (RFC 1035, section 4), to see whether it answers.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// How often a question is put, and how long an answer is waited for each time: what is not answered
/// was lost on a way that may be there a moment later.
const ATTEMPTS: u32 = 8;
const PATIENCE: Duration = Duration::from_millis(250);

/// Whether `server` knows an IPv4 address of `name`.
///
/// # Errors
/// Why it does not.
pub fn resolves(server: SocketAddr, name: &str) -> Result<(), String> {
    let socket = UdpSocket::bind(if server.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    })
    .map_err(|e| e.to_string())?;
    socket
        .set_read_timeout(Some(PATIENCE))
        .map_err(|e| e.to_string())?;
    let unasked = |error| format!("cannot ask {server}: {error}");
    socket.connect(server).map_err(unasked)?;
    let mut answer = [0; 512];
    for _ in 0..ATTEMPTS {
        socket.send(&query(name)).map_err(unasked)?;
        match socket.recv(&mut answer) {
            Ok(length) => {
                return judge(&answer[..length]).map_err(|reason| format!("{server} {reason}"));
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // Nobody is behind that address now; whoever asks comes again.
            Err(_) => break,
        }
    }
    Err(format!("{server} does not answer"))
}

const ID: [u8; 2] = *b"ig";

/// A query with recursion desired for an A record.
fn query(name: &str) -> Vec<u8> {
    let mut bytes = ID.to_vec();
    bytes.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

fn judge(answer: &[u8]) -> Result<(), String> {
    if answer.len() < 12 || answer[..2] != ID {
        return Err("answers something else".into());
    }
    match answer[3] & 0x0f {
        0 if u16::from_be_bytes([answer[6], answer[7]]) > 0 => Ok(()),
        0 => Err("has no address for the name".into()),
        code => Err(format!("answers with error {code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_laid_out_and_answers_are_judged() {
        assert_eq!(query("a.bc")[12..], [1, b'a', 2, b'b', b'c', 0, 0, 1, 0, 1]);
        assert!(judge(&[b'i', b'g', 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]).is_ok());
        assert_eq!(
            judge(&[b'i', b'g', 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap_err(),
            "answers with error 3"
        );
        assert!(judge(b"x").is_err());
    }
}
