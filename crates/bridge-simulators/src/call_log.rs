//! The log of calls, as `GET /_sim/calls` shows it: in the order in which they were carried out, bounded.

use std::collections::VecDeque;

use serde_json::{Value, json};

/// One call that a simulator received.
#[derive(Debug)]
pub(crate) struct CallEntry {
    pub(crate) operation: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    /// What was sent, credentials and passwords masked; JSON text, which takes far less room than a tree.
    pub(crate) fields: Box<str>,
    /// The HTTP status, if an answer was sent.
    pub(crate) status: Option<u16>,
    /// The API's verdict in words, with the fault if there was one.
    pub(crate) outcome: String,
}

/// The last calls, numbered from 1 since the start or the last reset.
#[derive(Debug)]
pub(crate) struct CallLog {
    entries: VecDeque<(u64, CallEntry)>,
    count: u64,
    kept: usize,
}

impl CallLog {
    /// An empty log that drops its oldest entry when it holds `kept`.
    pub(crate) fn new(kept: usize) -> Self {
        Self { entries: VecDeque::new(), count: 0, kept: kept.max(1) }
    }

    pub(crate) fn add(&mut self, entry: CallEntry) {
        if self.entries.len() >= self.kept {
            self.entries.pop_front();
        }
        self.count += 1;
        self.entries.push_back((self.count, entry));
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.count = 0;
    }

    pub(crate) fn to_json(&self) -> Vec<Value> {
        self.entries
            .iter()
            .map(|(number, entry)| {
                json!({
                    "n": number,
                    "operation": entry.operation,
                    "method": entry.method,
                    "path": entry.path,
                    "fields": serde_json::from_str::<Value>(&entry.fields).unwrap_or_default(),
                    "status": entry.status,
                    "outcome": entry.outcome,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_drops_its_oldest_call_and_numbers_on() {
        let mut log = CallLog::new(2);
        for operation in ["a", "b", "c"] {
            log.add(CallEntry {
                operation,
                method: "GET".to_owned(),
                path: "/".to_owned(),
                fields: "{}".into(),
                status: Some(200),
                outcome: "OK".to_owned(),
            });
        }
        let calls = log.to_json();
        let numbers: Vec<_> = calls.iter().map(|call| (call["n"].as_u64(), call["operation"].as_str())).collect();
        assert_eq!(numbers, [(Some(2), Some("b")), (Some(3), Some("c"))]);
    }
}
