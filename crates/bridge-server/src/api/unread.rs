//! Bodies that nobody reads to their end.
//!
//! A refused request may have a body of any length still on its way. The web server would go on receiving a chunked one
//! for as long as the client sends it, because the connection could be used again after it. The edge keeps the unread rest
//! alive until the refusal is sent; the server then closes the connection instead.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    HttpMessage,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest},
    error::PayloadError,
    web::Bytes,
};
use futures_util::Stream;

/// What is left of the body of a request.
pub(super) struct Rest(Rc<RefCell<Source>>);

struct Source {
    payload: Payload,
    has_ended: bool,
}

impl Rest {
    /// Lends the body of a request to whoever reads it further in; `None` if there is no body.
    pub(super) fn of(request: &mut ServiceRequest) -> Option<Self> {
        let payload = match request.take_payload() {
            Payload::None => return None,
            payload => payload,
        };
        let source = Rc::new(RefCell::new(Source { payload, has_ended: false }));
        let lent: Pin<Box<dyn Stream<Item = _>>> = Box::pin(Lent(source.clone()));
        request.set_payload(lent.into());
        Some(Self(source))
    }

    /// Whether there may be more of it.
    pub(super) fn is_unread(&self) -> bool {
        !self.0.borrow().has_ended
    }
}

struct Lent(Rc<RefCell<Source>>);

impl Stream for Lent {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut source = self.0.borrow_mut();
        let next = Pin::new(&mut source.payload).poll_next(context);
        if let Poll::Ready(None | Some(Err(_))) = next {
            source.has_ended = true;
        }
        next
    }
}

/// The body of an answer that keeps the unread rest of its request until it is sent.
pub(super) struct Keeping {
    answer: BoxBody,
    _rest: Option<Rest>,
}

impl Keeping {
    pub(super) fn new(answer: BoxBody, rest: Option<Rest>) -> Self {
        Self { answer, _rest: rest.filter(Rest::is_unread) }
    }
}

impl MessageBody for Keeping {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(context)
    }
}
