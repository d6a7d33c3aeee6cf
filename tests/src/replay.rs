//! Replays recorded-style fixtures against the running bridge.
