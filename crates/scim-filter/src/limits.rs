//! How much text and nesting the parser takes, and how forgiving it is.

/// Limits on what is parsed. Both keep a hostile filter cheap: time is linear in `length`, stack is linear in `depth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// How many parentheses, negations and brackets may be open at once. Never more than [`Limits::DEEPEST`].
    pub depth: usize,
    /// How many bytes the text may have.
    pub length: usize,
    /// Whether a value may stand without quotes (`userName eq jo`). The grammar forbids it, Entra and others send it.
    pub unquoted_literals: bool,
}

impl Limits {
    /// The deepest nesting ever taken, whatever `depth` says, so that parsing, printing, comparing and dropping a filter
    /// fit on any thread's stack.
    pub const DEEPEST: usize = 64;

    /// The usual limits, and nothing outside the RFC's grammar of values.
    pub fn strict() -> Self {
        Self { unquoted_literals: false, ..Self::default() }
    }
}

impl Default for Limits {
    /// Depth 32, 16 KiB (some 290 members in one `members[value eq … or …]`), unquoted literals taken.
    fn default() -> Self {
        Self { depth: 32, length: 16_384, unquoted_literals: true }
    }
}
