//! Calls on their way: secrets filled in, sent, and written into the journal with the secrets masked.

use bridge_connectors::{Call, Effect, Plan, TargetError};
use bridge_store::{AccountState, CallEntry, PLANNED, StoreError};
use jiff::Timestamp;
use serde_json::Value;

use super::duty::plain_reason;
use super::work::{End, Work};

impl Work<'_> {
    /// Fills in the secrets of a call, sends it and writes it into the journal.
    pub(super) async fn carry(&mut self, call: &Call) -> Result<Result<Effect, TargetError>, StoreError> {
        let mut filled = call.clone();
        for (field, _) in call.needs_secrets() {
            if let Some(secret) = self.secrets.get(&field) {
                filled.fill(&field, secret.clone());
            }
        }
        let started = self.bridge.clock.now();
        let reply = self.target.connector.send(&filled).await;
        let masked = serde_json::to_value(filled.masked(self.target.connector.base_url()))
            .map_err(|error| StoreError::Internal(format!("a call for the journal: {error}")))?;
        self.note(&call.operation, &masked, started, reply.as_ref().err());
        // A definite no changed nothing: there is no write to wait for. Whatever else was done was done by now at the earliest
        // as far as we know, for a target may carry out what we have stopped waiting for.
        if !matches!(reply, Err(TargetError::Conflict { .. } | TargetError::Refused { .. })) {
            self.last_write_at = Some(self.bridge.clock.now());
        }
        Ok(reply)
    }

    /// In `mode = "plan"` the plan is journaled and nothing is sent.
    pub(super) fn only_planned(&mut self, plan: &Plan) -> End {
        let now = self.bridge.clock.now();
        for call in &plan.calls {
            let masked = call.masked(self.target.connector.base_url());
            let masked = serde_json::to_value(masked).unwrap_or(Value::Null);
            self.calls.push(self.entry(&call.operation, masked, "planned".to_owned(), None, now));
        }
        End::Again {
            at: now,
            state: AccountState::Held,
            reason: plain_reason(PLANNED, format!("{} call(s) planned, none is sent in this mode", plan.calls.len())),
            counts: false,
        }
    }

    /// Writes into the journal that something was asked, and what came of it.
    pub(super) fn note(&mut self, operation: &str, masked: &Value, started: Timestamp, error: Option<&TargetError>) {
        let outcome = error.map_or_else(|| "ok".to_owned(), |error| error.code().to_owned());
        let answer = error.map(|error| Value::String(error.to_string()));
        let entry = self.entry(operation, masked.clone(), outcome, answer, started);
        self.calls.push(entry);
    }

    fn entry(&self, operation: &str, call: Value, outcome: String, answer: Option<Value>, at: Timestamp) -> CallEntry {
        let duration = self.bridge.clock.now().duration_since(at);
        CallEntry {
            key: 0,
            tenant: self.tenant.name.clone(),
            resource: self.resource.key,
            target: self.target.name.clone(),
            operation: operation.to_owned(),
            call,
            outcome,
            answer,
            attempt: self.row.attempts.saturating_add(1),
            at,
            duration: i64::try_from(duration.as_millis()).unwrap_or(i64::MAX),
        }
    }
}
