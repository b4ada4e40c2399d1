//! For people.
/// x
#[must_use]
pub fn run() -> u8 {
    0
}
