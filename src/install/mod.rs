//! Putting cniscope in the place of real plugins, and taking it back.
//!
//! What changes bytes is pure ([`conflist`]). What changes files is [`edit`] for a list, [`binary`], and the small files
//! [`lock`], [`marker`] and [`switch`]. [`put_in`] and [`take_out`] tell the story of `install` and `uninstall`, [`standing`]
//! that of `status`.

pub mod agent;
pub mod binary;
pub mod conflist;
pub mod delegates;
pub mod edit;
pub mod edited_by_others;
pub mod holders;
pub mod lists;
pub mod loaded;
pub mod lock;
pub mod marker;
pub mod places;
pub mod put_in;
pub mod running;
pub mod standing;
pub mod switch;
pub mod take_out;
