//! Putting cniscope in the place of real plugins, and taking it back.
//!
//! What changes bytes is pure ([`conflist`]); what changes files is [`edit`], [`lock`] and [`marker`].

pub mod conflist;
pub mod edit;
pub mod edited_by_others;
pub mod lock;
pub mod marker;
pub mod places;
