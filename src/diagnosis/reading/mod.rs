//! The reading of a text: the wrappers off, and then what the words that are left mean.
//!
//! The innermost error decides. Of what fits, the highest rank decides; of one rank what ends last, since a message
//! stands before the error that it wraps; of two that end together the longer.

use super::catalogue::Cause;
use super::own::Own;
use super::peel::{self, Layers, Peeled};
use super::signatures::{self, Rank, Signature, Span};
use super::words;

/// What a text tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The cause; `unknown` where nothing fits.
    pub cause: Cause,
    /// How much the text tells; `None` where nothing fits.
    pub rank: Option<Rank>,
    /// Why, in one line. It has words of the text and of signatures only.
    pub evidence: Option<String>,
    /// What stood around the error, and the error.
    pub layers: Layers,
    /// The signature of this node's owner that fits.
    pub own: Option<&'a Own>,
}

impl Reading<'_> {
    /// `high`, `medium`, `low`; `none` where nothing fits.
    #[must_use]
    pub fn confidence(&self) -> &'static str {
        self.rank.map_or("none", Rank::confidence)
    }
}

/// Reads a text.
#[must_use]
pub fn read<'a>(text: &str, own: &'a [Own]) -> Reading<'a> {
    let reading = of_peeled(peel::peel(text), own);
    if reading.rank >= Some(Rank::Word) || !text.contains('\n') {
        return reading;
    }
    // The lines may be broken in the middle of words.
    let joined = of_peeled(peel::peel_joined(text), own);
    if joined.rank > reading.rank { joined } else { reading }
}

fn of_peeled(peeled: Peeled, own: &[Own]) -> Reading<'_> {
    let named = peeled.layers.cniscope.as_deref().and_then(Cause::from_id);
    if let Some(cause) = named.filter(|cause| *cause != Cause::Unknown) {
        let evidence = Some("cniscope on the node has named it".to_owned());
        return Reading { cause, rank: Some(Rank::Own), evidence, layers: peeled.layers, own: None };
    }
    let plugin = peeled.layers.plugin.clone();
    for error in &peeled.decisive {
        let text = error.to_ascii_lowercase();
        if let Some(own) = own.iter().find(|own| own.fits(&text, plugin.as_deref())) {
            let evidence = Some(format!("the error's text has {}, as {} says", own.quoted(), own.from));
            return Reading {
                cause: own.cause,
                rank: Some(Rank::Own),
                evidence,
                layers: peeled.layers,
                own: Some(own),
            };
        }
        if let Some(found) = judge(&text) {
            let evidence = Some(format!("the error's text has {}", found.quoted(error)));
            return Reading {
                cause: found.cause,
                rank: Some(found.rank),
                evidence,
                layers: peeled.layers,
                own: None,
            };
        }
    }
    Reading { cause: Cause::Unknown, rank: None, evidence: None, layers: peeled.layers, own: None }
}

/// What decides about a text.
struct Found {
    cause: Cause,
    rank: Rank,
    span: Span,
    signature: Option<&'static Signature>,
}

impl Found {
    fn quoted(&self, text: &str) -> String {
        match self.signature {
            Some(signature) => signature.quoted(),
            None => format!("“{}”", text.get(self.span.start..self.span.end).unwrap_or_default().trim()),
        }
    }
}

/// What decides about an innermost error in lower case.
fn judge(text: &str) -> Option<Found> {
    let by_signature = signatures::fitting(text).map(|(signature, span)| Found {
        cause: signature.cause,
        rank: signature.rank,
        span,
        signature: Some(signature),
    });
    let by_words = words::told(text).into_iter().map(|told| Found {
        cause: told.cause,
        rank: told.rank,
        span: told.span,
        signature: None,
    });
    by_signature.chain(by_words).max_by_key(|found| {
        let length = found.span.end - found.span.start;
        let length =
            found.signature.map_or(length, |signature| signature.parts.iter().map(String::len).sum());
        (found.rank, found.span.end, length)
    })
}

#[cfg(test)]
mod tests;
