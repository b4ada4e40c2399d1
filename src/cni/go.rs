//! Words as Go programs write them, where an answer has to hold the text that libcni would have shown.

use std::fmt::Write as _;

use nix::errno::Errno;

/// Go's `strconv.Quote` (the verb `%q`): a string literal in which everything is printable.
#[must_use]
pub fn quote(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_quoted(&mut quoted, character);
        }
        for byte in chunk.invalid() {
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted.push('"');
    quoted
}

fn push_quoted(quoted: &mut String, character: char) {
    match character {
        '"' => quoted.push_str("\\\""),
        '\\' => quoted.push_str("\\\\"),
        '\u{07}' => quoted.push_str("\\a"),
        '\u{08}' => quoted.push_str("\\b"),
        '\u{0c}' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\u{0b}' => quoted.push_str("\\v"),
        ' '..='~' => quoted.push(character),
        '\u{00}'..='\u{7f}' => {
            let _ = write!(quoted, "\\x{:02x}", u32::from(character));
        }
        _ if is_printable(character) => quoted.push(character),
        '\u{80}'..='\u{ffff}' => {
            let _ = write!(quoted, "\\u{:04x}", u32::from(character));
        }
        _ => {
            let _ = write!(quoted, "\\U{:08x}", u32::from(character));
        }
    }
}

/// Rust's own table stands in for `unicode.IsPrint`; they differ in combining marks alone, which Go prints.
fn is_printable(character: char) -> bool {
    character.escape_debug().next() != Some('\\')
}

/// An errno as Go's `syscall.Errno` prints it: `permission denied`.
#[must_use]
pub fn errno_text(errno: Errno) -> String {
    let text = errno.desc();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// Go's names of the Linux signals (`syscall/zerrors_linux_amd64.go`, the same on every architecture).
#[must_use]
pub fn signal_text(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "hangup",
        libc::SIGINT => "interrupt",
        libc::SIGQUIT => "quit",
        libc::SIGILL => "illegal instruction",
        libc::SIGTRAP => "trace/breakpoint trap",
        libc::SIGABRT => "aborted",
        libc::SIGBUS => "bus error",
        libc::SIGFPE => "floating point exception",
        libc::SIGKILL => "killed",
        libc::SIGUSR1 => "user defined signal 1",
        libc::SIGSEGV => "segmentation fault",
        libc::SIGUSR2 => "user defined signal 2",
        libc::SIGPIPE => "broken pipe",
        libc::SIGALRM => "alarm clock",
        libc::SIGTERM => "terminated",
        libc::SIGXCPU => "CPU time limit exceeded",
        libc::SIGXFSZ => "file size limit exceeded",
        libc::SIGSYS => "bad system call",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_is_strconv_quote() {
        let table: &[(&[u8], &str)] = &[
            (b"plain", r#""plain""#),
            (b"say \"no\"\\\n", r#""say \"no\"\\\n""#),
            (b"\x00\x1b\x7f", r#""\x00\x1b\x7f""#),
            (b"\xff\xfea", r#""\xff\xfea""#),
            ("zażółć \u{200b} \u{e000}".as_bytes(), r#""zażółć \u200b \ue000""#),
        ];
        for (bytes, expected) in table {
            assert_eq!(quote(bytes), *expected);
        }
    }

    #[test]
    fn errnos_read_as_in_go() {
        assert_eq!(errno_text(Errno::ENOEXEC), "exec format error");
        assert_eq!(errno_text(Errno::EACCES), "permission denied");
        assert_eq!(errno_text(Errno::ETXTBSY), "text file busy");
        assert_eq!(errno_text(Errno::ENOENT), "no such file or directory");
    }
}
