//! A file cut into blocks of whole lines, without a look at what the lines say.

use std::io::{self, Read};
use std::mem;

use memchr::{memchr, memrchr};

/// How much is read at once.
const BLOCK: u64 = 512 * 1024;
/// A longer line is none of ours.
const MAX_LINE: usize = 10 << 20;

/// The blocks of a file.
pub struct Blocks<F> {
    file: F,
    /// The start of a line whose end is in the next block.
    rest: Vec<u8>,
    /// Within a line that is too long.
    is_skipping: bool,
    too_long: usize,
    ended: io::Result<()>,
}

impl<F: Read> Blocks<F> {
    /// Nothing is read yet.
    pub fn of(file: F) -> Blocks<F> {
        Blocks { file, rest: Vec::new(), is_skipping: false, too_long: 0, ended: Ok(()) }
    }

    /// Puts the next lines into the block; false if these were the last ones. The very last line may have no end.
    pub fn next(&mut self, block: &mut Vec<u8>) -> bool {
        block.clear();
        block.append(&mut self.rest);
        loop {
            let before = block.len();
            let read = self.file.by_ref().take(BLOCK).read_to_end(block);
            let is_last = !matches!(read, Ok(1..));
            self.ended = read.map(|_| ());
            if let Some(newline) = memrchr(b'\n', &block[before..]) {
                let end = before + newline + 1;
                self.rest.extend_from_slice(&block[end..]);
                block.truncate(end);
                if mem::take(&mut self.is_skipping) {
                    block.drain(..=memchr(b'\n', block).unwrap_or_default());
                }
                return true;
            }
            if self.is_skipping || block.len() > MAX_LINE {
                self.too_long += usize::from(!mem::replace(&mut self.is_skipping, true));
                block.clear();
            }
            if is_last {
                return false;
            }
        }
    }

    /// How many lines were too long.
    ///
    /// # Errors
    /// If the file could be read only so far.
    pub fn end(self) -> io::Result<usize> {
        self.ended.map(|()| self.too_long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of a text, and how many of its lines were too long.
    fn blocks(text: &[u8]) -> (Vec<Vec<u8>>, usize) {
        let mut blocks = Blocks::of(text);
        let mut found = Vec::new();
        let mut block = b"what stood in it before".to_vec();
        loop {
            let goes_on = blocks.next(&mut block);
            found.push(block.clone());
            if !goes_on {
                return (found, blocks.end().unwrap());
            }
        }
    }

    #[test]
    fn blocks_are_whole_lines_and_lose_nothing() {
        let line = |number: usize| format!("{number}:{}\n", "x".repeat(number * 7919 % 300_000));
        let text: String = (0..40).map(line).collect();
        for text in [text.as_bytes(), text.trim_end().as_bytes(), b"", b"\n", b"torn"] {
            let (blocks, too_long) = blocks(text);
            let (last, others) = blocks.split_last().unwrap();
            assert!(others.iter().all(|block| block.ends_with(b"\n")));
            assert!(!last[..last.len().saturating_sub(1)].contains(&b'\n') || last.ends_with(b"\n"));
            assert_eq!((blocks.concat(), too_long), (text.to_vec(), 0));
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_with_little_memory() {
        let long = "x".repeat(3 * MAX_LINE);
        let fits = "y".repeat(MAX_LINE - 1000);
        for (text, expected) in [
            (format!("a\n{long}\nb\nc"), "a\nb\nc".to_owned()),
            (format!("{long}\nb\n"), "b\n".to_owned()),
            (format!("a\n{long}"), "a\n".to_owned()),
            (format!("a\n{fits}\nb\n{long}\n"), format!("a\n{fits}\nb\n")),
        ] {
            let (blocks, too_long) = blocks(text.as_bytes());
            assert!(blocks.concat() == expected.as_bytes() && too_long == 1);
            assert!(blocks.iter().all(|block| block.len() <= MAX_LINE + 2 * 512 * 1024));
        }
    }

    #[test]
    fn what_can_be_read_of_a_file_that_breaks_off_is_read() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
        let mut blocks = Blocks::of(b"a\nb\nc".chain(Broken));
        let mut block = Vec::new();
        assert!(blocks.next(&mut block));
        assert_eq!(block, b"a\nb\n");
        assert!(!blocks.next(&mut block));
        assert_eq!((block.as_slice(), blocks.end().is_err()), (b"c".as_slice(), true));
    }
}
