//! A simulator without its socket: the vendor, the clock, the faults and the calls log.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::call_log::{CallEntry, CallLog};
use crate::clock::Clock;
use crate::fault::{Fault, Faults, Order, operations_named};
use crate::vendor::Vendor;
use crate::wire::{MASK, Reply, Request};

/// How a call ends at the socket.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Answer after a while.
    Answer { reply: Reply, after: Duration },
    /// Close the connection without a byte.
    Close,
    /// Leave the connection open without an answer.
    Hold,
}

/// What the server threads and the handle share.
pub(crate) struct Core {
    state: Mutex<State>,
    clock: Clock,
    latency: Duration,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// A call that has arrived and is not answered yet.
pub(crate) struct UnderWay<'a>(&'a Core);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

struct State {
    vendor: Box<dyn Vendor>,
    faults: Faults,
    log: CallLog,
}

impl Core {
    pub(crate) fn new(vendor: Box<dyn Vendor>, clock: Clock, latency: Duration, calls_kept: usize) -> Self {
        let state = State { vendor, faults: Faults::default(), log: CallLog::new(calls_kept) };
        let (under_way, most_at_once) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { state: Mutex::new(state), clock, latency, under_way, most_at_once }
    }

    /// Counts a call as under way until the guard is dropped.
    pub(crate) fn enter(&self) -> UnderWay<'_> {
        let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_once.fetch_max(now, Ordering::Relaxed);
        UnderWay(self)
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out one call of the API and logs it; the work is done when this returns, however late the answer leaves.
    pub(crate) fn call(&self, request: &Request) -> Ending {
        let now = self.clock.now();
        let mut state = self.state();
        let operation = state.vendor.operation(request);
        let fields = state.vendor.fields(request);
        let fault = state.faults.take(operation);
        let mut after = self.latency;
        let (ending, verdict) = match &fault {
            None => (Some(state.vendor.answer(request, now)), None),
            Some(Fault::Status(code, retry_after)) => {
                let mut reply = state.vendor.failure(*code);
                reply.header = retry_after.map(|seconds| ("Retry-After", seconds.to_string()));
                (Some(reply), None)
            }
            Some(Fault::DropAfterApply | Fault::TimeoutAfterApply) => {
                (None, Some(state.vendor.answer(request, now).outcome))
            }
            Some(Fault::DropBefore | Fault::Timeout) => (None, None),
            Some(Fault::Garbage) => {
                let mut reply = state.vendor.answer(request, now);
                reply.status = 200;
                reply.body = "\u{1}\u{2}{<garbled".to_owned();
                (Some(reply), None)
            }
            Some(Fault::Html) => (Some(Reply::html(200, "Service is being maintained")), None),
            Some(Fault::Slow(wait)) => {
                after += *wait;
                (Some(state.vendor.answer(request, now)), None)
            }
            Some(Fault::Refuse(reason)) => (Some(state.vendor.refuse(reason)), None),
            Some(Fault::Echo) => {
                let mut reply = state.vendor.refuse(&format!("Refused to {}", request.credentials().join(" ")));
                reply.outcome = MASK.to_owned();
                (Some(reply), None)
            }
        };
        let verdict = verdict.or_else(|| ending.as_ref().map(|reply| reply.outcome.clone()));
        let outcome = match (&fault, verdict) {
            (None, verdict) => verdict.unwrap_or_default(),
            (Some(fault), None) => format!("fault {}", fault.name()),
            (Some(fault), Some(verdict)) => format!("fault {}: {verdict}", fault.name()),
        };
        state.log.add(CallEntry {
            operation,
            method: request.method.clone(),
            path: request.path.clone(),
            fields: fields.to_string().into(),
            status: ending.as_ref().map(|reply| reply.status),
            outcome,
        });
        match (ending, fault) {
            (Some(reply), _) => Ending::Answer { reply, after },
            (None, Some(Fault::Timeout | Fault::TimeoutAfterApply)) => Ending::Hold,
            (None, _) => Ending::Close,
        }
    }

    pub(crate) fn accounts(&self) -> Vec<Value> {
        self.state().vendor.accounts()
    }

    pub(crate) fn account_count(&self) -> usize {
        self.state().vendor.account_count()
    }

    pub(crate) fn calls(&self) -> Vec<Value> {
        self.state().log.to_json()
    }

    pub(crate) fn operations(&self) -> Vec<&'static str> {
        self.state().vendor.operations()
    }

    pub(crate) fn order(&self, order: Order) {
        self.state().faults.add(order);
    }

    /// Orders a fault for an operation written in any form; says whether the operation is known.
    pub(crate) fn fail_next(&self, calls: u32, fault: Fault, operation: Option<&str>) -> bool {
        let mut state = self.state();
        let operations: Vec<String> = match operation {
            None => Vec::new(),
            Some(text) => {
                let found = operations_named(text, &state.vendor.operations());
                if found.is_empty() {
                    return false;
                }
                found.into_iter().map(str::to_owned).collect()
            }
        };
        state.faults.add(Order { left: calls, fault, operations });
        true
    }

    pub(crate) fn seed(&self, account: &Value) -> Result<(), String> {
        let now = self.clock.now();
        self.state().vendor.seed(account, now)
    }

    pub(crate) fn remove(&self, key: &str) -> bool {
        self.state().vendor.remove(key)
    }

    pub(crate) fn clear_faults(&self) {
        self.state().faults = Faults::default();
    }

    pub(crate) fn reset(&self) {
        let mut state = self.state();
        state.vendor.reset();
        state.faults = Faults::default();
        state.log.clear();
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }
}
