//! The XML answers of Glance PAPI (Glance dossier sections 5 and 8 to 10).

use quick_xml::escape::partial_escape;

/// A `<response>` document under construction.
pub(crate) struct Document(String);

impl Document {
    /// Opens a document with the given status word.
    pub(crate) fn with_status(status: &str) -> Self {
        let mut document = Self("<?xml version=\"1.0\" standalone=\"yes\"?>\n<response>\n".to_owned());
        document.text(1, "status", status);
        document
    }

    /// Adds `<name>text</name>` on a line of its own.
    pub(crate) fn text(&mut self, depth: usize, name: &str, text: &str) {
        // XML 1.0 has no way to write most control characters.
        let text: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r')).collect();
        self.line(depth, &format!("<{name}>{}</{name}>", partial_escape(&text)));
    }

    /// Adds a line of markup.
    pub(crate) fn line(&mut self, depth: usize, markup: &str) {
        self.0.push_str(&"  ".repeat(depth));
        self.0.push_str(markup);
        self.0.push('\n');
    }

    /// Closes the document.
    pub(crate) fn finish(mut self) -> String {
        self.0.push_str("</response>\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_is_the_documented_document() {
        let expected = "<?xml version=\"1.0\" standalone=\"yes\"?>\n<response>\n  <status>OK</status>\n</response>\n";
        assert_eq!(Document::with_status("OK").finish(), expected);
    }

    #[test]
    fn text_is_escaped_and_stays_well_formed() {
        let mut document = Document::with_status("Failed");
        document.text(1, "reason", "a < b & \u{1}c");
        assert!(document.finish().contains("<reason>a &lt; b &amp; c</reason>"));
    }
}
