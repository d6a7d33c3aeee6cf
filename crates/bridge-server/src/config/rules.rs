//! What the mapper needs of a target's configuration.
