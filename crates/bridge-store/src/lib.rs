//! Keeps resources, accounts, assignments, credentials and the journal; group commit on SQLite.
