//! Maps a SCIM resource to the account that a target should hold: pure, with lineage.
