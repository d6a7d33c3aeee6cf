//! What the grammar of RFC 7644 (figures 1 and 7) has not, and clients send all the same.

/// Something that the parser takes and a strict server may refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leniency {
    /// A text without quotes: `userName eq jo`. `compValue` is a JSON value.
    UnquotedValue,
    /// `True`, `FALSE` or `Null`: the grammar takes these names from JSON, where their letter case counts (RFC 8259 section 3).
    LiteralCase,
    /// White space other than the one blank round an operator, `and` and `or`. After `not` a blank may stand or not: the
    /// grammar has none there, the RFC's own examples have one.
    OtherSpaces,
    /// `emails[type eq "work"].value eq "jo@corp.test"`: nothing is compared behind the brackets of `valuePath`.
    ComparedValuePath,
}
