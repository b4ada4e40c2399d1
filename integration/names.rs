//! What differs from run to run by its nature, replaced by names that do not.

use std::collections::HashMap;

/// Gives every random name that it meets a number of its kind, in the order in which they are met: what is the same stays
/// the same, what is different stays different.
#[derive(Default)]
pub struct Names {
    met: HashMap<String, String>,
    kinds: HashMap<&'static str, usize>,
}

/// A kind of random name, and how long one at the start of the text is.
type Kind = (&'static str, fn(&[u8]) -> Option<usize>);

const KINDS: [Kind; 4] = [("mac", mac), ("veth", veth), ("time", time), ("pointer", pointer)];

impl Names {
    /// The text with every random name replaced.
    pub fn replaced(&mut self, text: &str) -> String {
        if !["veth", ":", "0x"].iter().any(|part| text.contains(part)) {
            return text.to_owned();
        }
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let found = KINDS.iter().find_map(|(kind, len)| Some((*kind, len(rest.as_bytes())?)));
            // A name that only ends like a random one is not one.
            let within_word = replaced.ends_with(|before: char| before.is_ascii_alphanumeric());
            match found {
                Some((kind, len)) if !within_word => {
                    let (name, after) = rest.split_at(len);
                    replaced.push_str(&self.number(kind, name));
                    rest = after;
                }
                _ => {
                    replaced.push(next);
                    rest = &rest[next.len_utf8()..];
                }
            }
        }
        replaced
    }

    fn number(&mut self, kind: &'static str, name: &str) -> String {
        if kind == "time" {
            return "<time>".to_owned();
        }
        let kinds = &mut self.kinds;
        let number = || {
            let number = kinds.entry(kind).or_default();
            *number += 1;
            format!("<{kind} {number}>")
        };
        self.met.entry(name.to_owned()).or_insert_with(number).clone()
    }
}

/// Whether `text` starts with `pattern`, in which `h` stands for a hexadecimal and `d` for a decimal digit.
fn fits(text: &[u8], pattern: &str) -> bool {
    text.len() >= pattern.len()
        && text.iter().zip(pattern.bytes()).all(|(byte, expected)| match expected {
            b'h' => byte.is_ascii_hexdigit(),
            b'd' => byte.is_ascii_digit(),
            other => *byte == other,
        })
}

/// A link's address. That of loopback and the groups that links join are no random ones.
fn mac(text: &[u8]) -> Option<usize> {
    const LEN: usize = 17;
    let fixed = ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:80:c2", "01:00:5e", "33:33:"];
    (fits(text, "hh:hh:hh:hh:hh:hh") && !fixed.iter().any(|fixed| text.starts_with(fixed.as_bytes())))
        .then_some(LEN)
}

/// `pkg/ip/link_linux.go`, `RandomVethName`.
fn veth(text: &[u8]) -> Option<usize> {
    let is_one = text.starts_with(b"veth") && fits(&text[4..], "hhhhhhhh");
    is_one.then_some("veth00000000".len())
}

/// The time before a line of Go's log.
fn time(text: &[u8]) -> Option<usize> {
    const PATTERN: &str = "dddd/dd/dd dd:dd:dd";
    fits(text, PATTERN).then_some(PATTERN.len())
}

/// A pointer that Go printed.
fn pointer(text: &[u8]) -> Option<usize> {
    let digits = text.strip_prefix(b"0x")?.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    (digits >= 9).then_some(2 + digits)
}

#[test]
fn random_names_are_numbered_and_nothing_else_is() {
    let mut names = Names::default();
    let text = "2026/11/21 14:41:58 veth3a84c2e7 32:9d:4b:41:d2:d3 veth3a84c2e8 8000.32:9d:4b:41:d2:d3 0x2274caf46b48 veth3a84c2e7";
    assert_eq!(names.replaced(text), "<time> <veth 1> <mac 1> <veth 2> 8000.<mac 1> <pointer 1> <veth 1>");
    for kept in
        ["00:00:00:00:00:00", "veth0", "mark 0x2000", "10.1.0.2/24", "bwpb43ec2a61a17", "fe80::1:2:3:4", "é"]
    {
        assert_eq!(names.replaced(kept), kept);
    }
}
