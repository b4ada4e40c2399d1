//! HTML and SVG in which text from outside cannot become markup: names of elements and attributes are constants of this
//! program, and whatever else is written is escaped.

use std::fmt::{self, Display, Write};

/// An attribute: its name and its value.
pub type Attribute<'a> = (&'static str, &'a dyn Display);

/// A document, or a piece of one.
#[derive(Debug, Default)]
pub struct Markup {
    html: String,
    open: Vec<&'static str>,
}

/// Writes text as it may stand between tags and in a quoted attribute.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

impl Markup {
    /// Something of this program's own, as it is.
    pub fn constant(&mut self, html: &'static str) -> &mut Markup {
        self.html.push_str(html);
        self
    }

    /// Text.
    pub fn text(&mut self, text: impl Display) -> &mut Markup {
        let _ = write!(Escaping(&mut self.html), "{text}");
        self
    }

    /// The start of an element, which [`Markup::close`] ends.
    pub fn open(&mut self, name: &'static str, attributes: &[Attribute<'_>]) -> &mut Markup {
        self.tag(name, attributes);
        self.html.push('>');
        self.open.push(name);
        self
    }

    /// The end of the element that was opened last.
    pub fn close(&mut self) -> &mut Markup {
        if let Some(name) = self.open.pop() {
            let _ = write!(self.html, "</{name}>");
        }
        self
    }

    /// An element with text.
    pub fn element(
        &mut self,
        name: &'static str,
        attributes: &[Attribute<'_>],
        text: impl Display,
    ) -> &mut Markup {
        self.open(name, attributes).text(text).close()
    }

    /// An element of SVG without content.
    pub fn shape(&mut self, name: &'static str, attributes: &[Attribute<'_>]) -> &mut Markup {
        self.tag(name, attributes);
        self.html.push_str("/>");
        self
    }

    /// An element of HTML that has no end.
    pub fn void(&mut self, name: &'static str, attributes: &[Attribute<'_>]) -> &mut Markup {
        self.tag(name, attributes);
        self.html.push('>');
        self
    }

    /// A script's data, which the page's own script reads: JSON, in which nothing looks like the end of it.
    pub fn data(&mut self, id: &str, json: &str) -> &mut Markup {
        self.open("script", &[("type", &"application/json"), ("id", &id)]);
        for character in json.chars() {
            match character {
                // In JSON they stand in strings alone, where they can be written as escapes.
                '<' => self.html.push_str("\\u003c"),
                '>' => self.html.push_str("\\u003e"),
                '&' => self.html.push_str("\\u0026"),
                _ => self.html.push(character),
            }
        }
        self.close().constant("\n")
    }

    /// The whole.
    #[must_use]
    pub fn finish(self) -> String {
        debug_assert!(self.open.is_empty(), "{:?} are open", self.open);
        self.html
    }

    fn tag(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        let _ = write!(self.html, "<{name}");
        for (name, value) in attributes {
            let _ = write!(self.html, " {name}=\"");
            let _ = write!(Escaping(&mut self.html), "{value}");
            self.html.push('"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_are_escaped() {
        let mut markup = Markup::default();
        let hostile = "</title><img src=x onerror='a()'>\"&amp;";
        markup.open("p", &[("title", &hostile)]).text(hostile).close();
        let escaped = "&lt;/title&gt;&lt;img src=x onerror=&#39;a()&#39;&gt;&quot;&amp;amp;";
        assert_eq!(markup.finish(), format!("<p title=\"{escaped}\">{escaped}</p>"));
    }

    #[test]
    fn data_cannot_end_its_script_and_says_the_same() {
        let value = serde_json::json!({"</script><!--": ["<script>alert(1)</script>", "a && b", "]]>"]});
        let mut markup = Markup::default();
        markup.data("calls", &value.to_string());
        let html = markup.finish();
        let start = "<script type=\"application/json\" id=\"calls\">";
        let inner = html.strip_prefix(start).and_then(|rest| rest.strip_suffix("</script>\n")).unwrap();
        assert!(!inner.contains(['<', '>', '&']), "{inner}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(inner).unwrap(), value);
    }

    #[test]
    fn elements_end_in_their_order() {
        let mut markup = Markup::default();
        markup.open("svg", &[("width", &7)]).open("g", &[]).shape("path", &[("d", &"M0 0")]).close().close();
        markup.element("b", &[], 1.5).constant("<hr>");
        assert_eq!(markup.finish(), "<svg width=\"7\"><g><path d=\"M0 0\"/></g></svg><b>1.5</b><hr>");
    }

    proptest::proptest! {
        #[test]
        fn no_text_opens_a_tag_or_ends_an_attribute(text in "\\PC*") {
            let mut markup = Markup::default();
            markup.element("p", &[("title", &text)], &text);
            let html = markup.finish();
            proptest::prop_assert_eq!((html.matches('<').count(), html.matches('"').count()), (2, 2));
            let mut markup = Markup::default();
            markup.data("d", &serde_json::json!(text).to_string());
            proptest::prop_assert_eq!(markup.finish().matches('<').count(), 2);
        }
    }
}
