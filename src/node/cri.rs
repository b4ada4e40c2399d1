//! What a container runtime says of itself: the call `Status` of Kubernetes' Container Runtime Interface.
//!
//! One gRPC call with one message of two bytes. A library for it would be larger than all that is said here of HTTP/2
//! (RFC 9113): the frames that such a call needs. Headers are written without compression and not read.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::Node;

/// A client's first bytes, and its settings: `SETTINGS_INITIAL_WINDOW_SIZE` for answers beyond 64 KiB.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS_OF_CLIENT: [u8; 6] = [0, 4, 0x00, 0x40, 0x00, 0x00];
/// What the connection's window grows by, as much as the stream has.
const MORE_WINDOW: [u8; 4] = [0x00, 0x40, 0x00, 0x00];
/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// Flags of frames.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
/// The only stream.
const STREAM: u32 = 1;
/// The first version since Kubernetes 1.23, and the one before it.
const SERVICES: [&str; 2] = ["runtime.v1.RuntimeService", "runtime.v1alpha2.RuntimeService"];
/// `StatusRequest { verbose: true }`, as gRPC sends a message: not compressed, its length, its bytes.
const QUESTION: [u8; 7] = [0, 0, 0, 0, 2, 0x08, 0x01];
/// A larger answer is none.
const MAX_ANSWER: usize = 4 << 20;

impl Node {
    /// What the runtime that listens at this socket says of itself, by its own keys, of which containerd has `cniconfig`.
    ///
    /// # Errors
    /// Why it says nothing.
    pub fn runtime_status(&self, socket: &Path, limit: Duration) -> Result<BTreeMap<String, String>, String> {
        let mut why = String::new();
        for service in SERVICES {
            let stream = self.connect(socket).map_err(|error| error.to_string())?;
            let stream = stream.ok_or_else(|| format!("nobody listens at {}", socket.display()))?;
            match call(UnixStream::from(stream), service, limit) {
                Ok(answer) if !answer.is_empty() => return Ok(info(&answer)),
                Ok(_) => "it does not know the call Status".clone_into(&mut why),
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }
}

/// Makes the call, and gives the message that comes back; empty where it is refused.
fn call(mut stream: UnixStream, service: &str, limit: Duration) -> io::Result<Vec<u8>> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let mut sent = PREFACE.to_vec();
    sent.extend(frame(SETTINGS, 0, 0, &SETTINGS_OF_CLIENT));
    sent.extend(frame(WINDOW_UPDATE, 0, 0, &MORE_WINDOW));
    sent.extend(frame(HEADERS, END_HEADERS, STREAM, &headers(service)));
    sent.extend(frame(DATA, END_STREAM, STREAM, &QUESTION));
    stream.write_all(&sent)?;
    let mut answer = Vec::new();
    loop {
        let (kind, flags, id, content) = read_frame(&mut stream)?;
        match (kind, id) {
            (SETTINGS, _) if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            (PING, _) if flags & ACK == 0 => stream.write_all(&frame(PING, ACK, 0, &content))?,
            (DATA, STREAM) => answer.extend_from_slice(without_padding(&content, flags)),
            (RST_STREAM, STREAM) | (GOAWAY, _) => return Err(io::ErrorKind::ConnectionReset.into()),
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && id == STREAM && flags & END_STREAM != 0 {
            // Before the message stand whether it is compressed, which was not offered, and its length.
            return Ok(answer.split_off(answer.len().min(5)));
        }
        if answer.len() > MAX_ANSWER {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

/// The request's headers, as literals that are not indexed (RFC 7541, 6.2.2).
fn headers(service: &str) -> Vec<u8> {
    let path = format!("/{service}/Status");
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path.as_str()),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            // A length below 127 is one byte.
            block.push(u8::try_from(text.len()).unwrap_or(126));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(0).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(content);
    frame
}

fn read_frame(stream: &mut impl Read) -> io::Result<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let [a, b, c, kind, flags, stream_id @ ..] = head;
    let mut content = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
    stream.read_exact(&mut content)?;
    Ok((kind, flags, u32::from_be_bytes(stream_id), content))
}

fn without_padding(content: &[u8], flags: u8) -> &[u8] {
    if flags & PADDED == 0 {
        return content;
    }
    let padding = content.first().map_or(0, |length| usize::from(*length));
    content.get(1..content.len().saturating_sub(padding)).unwrap_or_default()
}

/// `info`, the field 2 of a `StatusResponse`: a map, whose entries have the key as field 1 and the value as field 2.
fn info(message: &[u8]) -> BTreeMap<String, String> {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let entries = fields(message).into_iter().filter(|(number, _)| *number == 2);
    entries
        .map(|(_, entry)| {
            let of_entry = fields(entry);
            let field =
                |wanted| of_entry.iter().find(|(number, _)| *number == wanted).map(|(_, bytes)| *bytes);
            (text(field(1)), text(field(2)))
        })
        .collect()
}

/// The fields of a message of Protocol Buffers that have a length, by their number.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    while let Some(tag) = number(&mut message) {
        let skipped = match tag & 7 {
            0 => number(&mut message).map(|_| 0),
            1 => Some(8),
            2 => {
                let length = number(&mut message).and_then(|length| usize::try_from(length).ok());
                let Some((bytes, _)) = length.and_then(|length| message.split_at_checked(length)) else {
                    break;
                };
                found.push((tag >> 3, bytes));
                Some(bytes.len())
            }
            5 => Some(4),
            _ => None,
        };
        let Some(rest) = skipped.and_then(|skipped| message.get(skipped..)) else { break };
        message = rest;
    }
    found
}

/// A number of variable length.
fn number(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// `status` with a condition, a number, and two entries of `info`, the second longer than a byte tells.
    fn message() -> Vec<u8> {
        let long = "v".repeat(300);
        let mut message = vec![0x0a, 2, 0x0a, 0, 0x18, 0x96, 0x01];
        message.extend([0x12, 8, 0x0a, 1, b'a', 0x12, 3, b'o', b'n', b'e']);
        message.extend([0x12, 0xb2, 0x02, 0x0a, 1, b'b', 0x12, 0xac, 0x02]);
        message.extend_from_slice(long.as_bytes());
        message
    }

    #[test]
    fn the_map_of_an_answer_is_read() {
        let expected = [("a", "one".to_owned()), ("b", "v".repeat(300))];
        assert_eq!(info(&message()), expected.map(|(key, value)| (key.to_owned(), value)).into());
        for length in 0..message().len() {
            info(&message()[..length]);
        }
    }

    #[test]
    fn an_answer_in_pieces_is_put_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let serve = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut sent = vec![0; PREFACE.len()];
            client.read_exact(&mut sent).unwrap();
            assert_eq!(sent, PREFACE);
            let kinds: Vec<u8> = (0..4).map(|_| read_frame(&mut client).unwrap().0).collect();
            assert_eq!(kinds, [SETTINGS, WINDOW_UPDATE, HEADERS, DATA]);
            let mut answer = vec![0, 0, 0, 1, 0];
            answer.extend(message());
            let padded = [&[3], &answer[20..], &[0; 3]].concat();
            let frames = [
                frame(SETTINGS, 0, 0, &[]),
                frame(PING, 0, 0, b"12345678"),
                frame(HEADERS, END_HEADERS, STREAM, b"?"),
                frame(DATA, 0, STREAM, &answer[..20]),
                frame(DATA, PADDED, STREAM, &padded),
                frame(HEADERS, END_HEADERS | END_STREAM, STREAM, b"?"),
            ];
            client.write_all(&frames.concat()).unwrap();
            assert_eq!(read_frame(&mut client).unwrap(), (SETTINGS, ACK, 0, vec![]));
            assert_eq!(read_frame(&mut client).unwrap(), (PING, ACK, 0, b"12345678".to_vec()));
        });
        let status = Node::this().runtime_status(&path, Duration::from_secs(30)).unwrap();
        assert_eq!(status["a"], "one");
        serve.join().unwrap();
    }

    #[test]
    fn who_does_not_answer_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let status = |limit| Node::this().runtime_status(&path, Duration::from_millis(limit));
        assert!(status(10).unwrap_err().ends_with("socket: no such file or directory"));
        let _listener = UnixListener::bind(&path).unwrap();
        assert!(status(10).is_err());
    }
}
