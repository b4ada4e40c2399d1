//! As much of the ELF format as tells why a kernel would not start a program (elf(5), execve(2)).

/// What kind of program a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// An ELF program.
    Elf(Elf),
    /// A script, with the interpreter of its first line.
    Script(String),
    /// Neither: the kernel refuses it.
    Other,
}

/// What the headers of an ELF program say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// The machine, e.g. `x86_64`; a number where it has no name here.
    pub machine: String,
    /// How long the file has to be at least, in bytes.
    pub needs: u64,
    /// The dynamic loader that it asks for.
    pub loader: Option<String>,
}

/// How much of a file's start is read.
pub const START: u64 = 4096;

const MACHINES: [(u16, &str); 8] = [
    (3, "x86"),
    (20, "powerpc"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
];
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;

/// Reads the first bytes of a program.
#[must_use]
pub fn read(start: &[u8]) -> Format {
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let interpreter = String::from_utf8_lossy(line);
        return Format::Script(interpreter.split_ascii_whitespace().next().unwrap_or_default().to_owned());
    }
    header(start).map_or(Format::Other, Format::Elf)
}

/// Whether a program for `machine` runs on a machine of the kind that this program was built for.
#[must_use]
pub fn runs_here(machine: &str) -> bool {
    machine == std::env::consts::ARCH || (machine == "x86" && std::env::consts::ARCH == "x86_64")
}

fn header(start: &[u8]) -> Option<Elf> {
    let ident = start.get(..16)?;
    if &ident[..4] != b"\x7fELF" {
        return None;
    }
    let fields = Fields { bytes: start, wide: ident[4] == 2, little: ident[5] == 1 };
    let number = fields.half(18)?;
    let machine = MACHINES
        .iter()
        .find(|(known, _)| *known == number)
        .map_or_else(|| format!("machine {number}"), |(_, name)| (*name).to_owned());
    let (table, size, count) = if fields.wide {
        (fields.address(32)?, fields.half(54)?, fields.half(56)?)
    } else {
        (fields.address(28)?, fields.half(42)?, fields.half(44)?)
    };
    let mut elf = Elf { machine, needs: 64, loader: None };
    for position in 0..u64::from(count) {
        let Ok(at) = usize::try_from(table.saturating_add(position * u64::from(size))) else { break };
        let Some((kind, offset, length)) = fields.program_header(at) else { break };
        if kind == PT_LOAD {
            elf.needs = elf.needs.max(offset.saturating_add(length));
        }
        if kind == PT_INTERP {
            elf.loader = text(start, offset, length);
        }
    }
    Some(elf)
}

fn text(start: &[u8], offset: u64, length: u64) -> Option<String> {
    let from = usize::try_from(offset).ok()?;
    let to = usize::try_from(offset.checked_add(length)?).ok()?;
    let text = start.get(from..to)?;
    Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned())
}

struct Fields<'a> {
    bytes: &'a [u8],
    wide: bool,
    little: bool,
}

impl Fields<'_> {
    fn number(&self, at: usize, length: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let fold = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        Some(if self.little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) })
    }

    fn half(&self, at: usize) -> Option<u16> {
        u16::try_from(self.number(at, 2)?).ok()
    }

    fn address(&self, at: usize) -> Option<u64> {
        self.number(at, if self.wide { 8 } else { 4 })
    }

    /// The kind of the header at this place, and where its segment stands in the file and how long it is there.
    fn program_header(&self, at: usize) -> Option<(u32, u64, u64)> {
        let kind = u32::try_from(self.number(at, 4)?).ok()?;
        let (offset, length) = if self.wide { (8, 32) } else { (4, 16) };
        Some((kind, self.address(at.checked_add(offset)?)?, self.address(at.checked_add(length)?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_test_is_a_program_for_this_machine() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        let Format::Elf(elf) = read(&program[..4096]) else { panic!("no ELF") };
        assert!(runs_here(&elf.machine), "{elf:?}");
        assert!(elf.needs <= program.len() as u64 && elf.needs > 64);
    }

    #[test]
    fn other_contents_are_told_apart() {
        let mut arm = b"\x7fELF\x02\x01\x01".to_vec();
        arm.resize(64, 0);
        arm[18] = 183;
        let expected = Elf { machine: "aarch64".into(), needs: 64, loader: None };
        let table: &[(&[u8], Format)] = &[
            (b"", Format::Other),
            (b"MZ", Format::Other),
            (b"\x7fELF", Format::Other),
            (b"#!/bin/sh -e\necho", Format::Script("/bin/sh".into())),
            (b"#!", Format::Script(String::new())),
            (&arm, Format::Elf(expected)),
        ];
        for (start, format) in table {
            assert_eq!(&read(start), format);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_panic(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 16..200), wide in 0u8..3) {
            bytes[..4].copy_from_slice(b"\x7fELF");
            bytes[4] = wide;
            let _ = read(&bytes);
        }
    }
}
