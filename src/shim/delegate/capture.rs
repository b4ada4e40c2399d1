//! What a delegate printed, kept up to a limit.

/// Bytes of a stream: the first ones, or the last ones, and how many there were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    bytes: Vec<u8>,
    total: u64,
    limit: usize,
    keeps: Keeps,
}

/// Which end of a stream is kept where it is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Its start: a result that is cut is worth nothing anyway.
    Start,
    /// Its end: the last words of who dies.
    End,
}

impl Capture {
    /// An empty one.
    #[must_use]
    pub fn new(limit: usize, keeps: Keeps) -> Capture {
        Capture { bytes: Vec::new(), total: 0, limit, keeps }
    }

    /// Takes what was read.
    pub fn push(&mut self, chunk: &[u8]) {
        self.total += chunk.len() as u64;
        match self.keeps {
            Keeps::Start => {
                let room = self.limit - self.bytes.len();
                self.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Keeps::End => {
                self.bytes.extend_from_slice(chunk);
                let surplus = self.bytes.len().saturating_sub(self.limit);
                self.bytes.drain(..surplus);
            }
        }
    }

    /// What was kept.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes were not kept.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.total - self.bytes.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_or_the_end_is_kept_and_the_rest_counted() {
        for (keeps, kept) in [(Keeps::Start, "abcde"), (Keeps::End, "defgh")] {
            let mut capture = Capture::new(5, keeps);
            for chunk in ["ab", "", "cdefg", "h"] {
                capture.push(chunk.as_bytes());
            }
            assert_eq!((capture.bytes(), capture.lost()), (kept.as_bytes(), 3));
        }
    }
}
