//! A small, tolerant tree of an XML reply: names in lower case, text joined, attributes read as children.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// Nesting beyond this is not an answer of PAPI.
const DEEPEST: usize = 32;

/// An element of a reply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Local name in lower case.
    pub(super) name: String,
    /// The text directly inside, trimmed.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// This element and everything below it, outermost first.
    pub(super) fn all(&self) -> Vec<&Element> {
        let mut found = vec![self];
        let mut next = 0;
        while let Some(element) = found.get(next).copied() {
            found.extend(&element.children);
            next += 1;
        }
        found
    }
}

/// Reads a document's root element; the error says why it is none, without quoting it.
pub(super) fn parse(text: &str) -> Result<Element, &'static str> {
    const NOT_XML: &str = "not an XML document";
    // A byte order mark and blank lines before the declaration are common in classic ASP.
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim_start());
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    loop {
        match reader.read_event().map_err(|_| NOT_XML)? {
            Event::Start(start) if open.len() < DEEPEST && root.is_none() => open.push(element(&start)),
            Event::Start(_) => return Err("XML nested too deep, or with two roots"),
            Event::Empty(start) => close(element(&start), &mut open, &mut root),
            Event::End(_) => {
                let element = open.pop().ok_or(NOT_XML)?;
                close(element, &mut open, &mut root);
            }
            Event::Text(text) => add(&mut open, &text.xml10_content()),
            Event::CData(text) => add(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => {
                let name: &str = &reference;
                match reference.resolve_char_ref() {
                    Ok(Some(letter)) => add(&mut open, letter.encode_utf8(&mut [0; 4])),
                    Ok(None) => add(&mut open, resolve_predefined_entity(name).ok_or("an unknown XML entity")?),
                    Err(_) => return Err(NOT_XML),
                }
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    if !open.is_empty() {
        return Err("the XML document is cut off");
    }
    root.ok_or(NOT_XML)
}

fn element(start: &BytesStart<'_>) -> Element {
    let attributes = start.attributes().flatten().map(|attribute| Element {
        name: attribute.key.local_name().as_ref().to_lowercase(),
        text: quick_xml::escape::unescape(&attribute.value).map(|text| text.trim().to_owned()).unwrap_or_default(),
        children: Vec::new(),
    });
    Element { name: start.local_name().as_ref().to_lowercase(), text: String::new(), children: attributes.collect() }
}

fn close(mut element: Element, open: &mut [Element], root: &mut Option<Element>) {
    element.text = element.text.trim().to_owned();
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None => *root = root.take().or(Some(element)),
    }
}

fn add(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_becomes_a_tree() {
        let check = |xml: &str, expected: Result<&str, &str>| {
            let text =
                parse(xml).map(|root| root.child("status").map(|status| status.text.clone()).unwrap_or_default());
            assert_eq!(text.as_deref(), expected.as_ref().map(|text| *text), "{xml}");
        };
        check("<response><status>OK</status></response>", Ok("OK"));
        check(
            "\u{feff}\n<?xml version=\"1.0\" standalone=\"yes\"?>\r\n<response><status> OK\n</status></response>",
            Ok("OK"),
        );
        check("<Response xmlns='urn:x'><x:STATUS xmlns:x='urn:y'>OK</x:STATUS></Response>", Ok("OK"));
        check("<response status='OK'/>", Ok("OK"));
        check("<response><status><![CDATA[a & b]]></status></response>", Ok("a & b"));
        check("<response><status>a &amp; b &#233;</status></response>", Ok("a & b é"));
        check("<response><!-- note --><status/></response>", Ok(""));
        check("<!DOCTYPE r [<!ENTITY e 'x'>]><r><status>&e;</status></r>", Err("an unknown XML entity"));
        check("<response><status>OK</status>", Err("the XML document is cut off"));
        check("<a><b></a></b>", Err("not an XML document"));
        check("plain words", Err("not an XML document"));
        check("", Err("not an XML document"));
        check(&"<a>".repeat(100), Err("XML nested too deep, or with two roots"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn no_markup_makes_the_parser_panic(parts in proptest::collection::vec("<[a-z]>|</[a-z]>|<[a-z]/>|&[a-z#0-9]*;|<!\\[CDATA\\[|\\]\\]>|<!--|-->|<\\?|\\?>|[a-z \"'=]", 0..30)) {
            let _ = parse(&parts.concat());
        }
    }
}
