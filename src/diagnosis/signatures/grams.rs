//! A quick look at which signatures cannot fit a text, since a few bytes from the middle of their first part are nowhere in
//! it: of well over a thousand a handful is left to be tried.

/// Four bytes in a row.
pub(super) type Gram = [u8; 4];

/// How many bits there are for the grams of a text.
const BITS: usize = 1 << 16;

/// The grams of a text; with a few that only look like one of them.
pub(super) struct Grams {
    bits: Vec<u64>,
}

impl Grams {
    pub(super) fn of(text: &str) -> Grams {
        let mut bits = vec![0; BITS / 64];
        for gram in text.as_bytes().windows(4) {
            let bit = bit([gram[0], gram[1], gram[2], gram[3]]);
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Grams { bits }
    }

    /// Whether the text may have it. What is too short to have one may be anywhere.
    pub(super) fn may_have(&self, gram: Option<Gram>) -> bool {
        gram.is_none_or(|gram| {
            let bit = bit(gram);
            self.bits[bit / 64] & (1 << (bit % 64)) != 0
        })
    }
}

/// From the middle of a part, which is there too where the text is cut in the part's first or last third.
pub(super) fn middle(part: &str) -> Option<Gram> {
    let start = (part.len() / 2).checked_sub(2)?;
    part.as_bytes().get(start..start + 4)?.try_into().ok()
}

fn bit(gram: Gram) -> usize {
    // Fibonacci hashing: the upper bits of a product depend on all bits of the factor.
    (u32::from_le_bytes(gram).wrapping_mul(0x9e37_79b9) >> 16) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_have_its_own_grams_and_hardly_any_other() {
        let grams = Grams::of("no IP addresses available");
        for part in ["addresses", "no IP addresses available", "IP a", "ip", ""] {
            assert!(grams.may_have(middle(part)), "{part}");
        }
        assert!(!grams.may_have(middle("xtables lock")) && !Grams::of("").may_have(middle("lock")));
    }
}
