//! What requests of the same moment must know of each other: a repeated POST joins the first one, writes to one resource
//! take turns, and an update that is refused late restores the last document that was answered 2xx.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use scim_model::Document;
use tokio::sync::{OwnedMutexGuard, watch};

use super::Shown;
use crate::error::ApiError;

type Answer = Option<Result<Shown, ApiError>>;

/// Creates that have not been answered yet. Clients repeat a POST when they lose patience (Entra ID, Rippling); the second
/// one gets the first one's answer (DESIGN, section 6, step 5).
#[derive(Default)]
pub struct OpenRequests {
    open: Mutex<HashMap<CreateKey, watch::Receiver<Answer>>>,
}

/// What makes two creates the same: tenant, connection, folded userName and externalId.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CreateKey {
    /// The tenant.
    pub tenant: String,
    /// The connection.
    pub connection: String,
    /// The folded userName.
    pub user_name: String,
    /// The externalId, as sent.
    pub external_id: String,
}

/// The place of a create among the open ones.
pub enum Place<'a> {
    /// It is the first; its answer goes to whoever joins.
    First(First<'a>),
    /// The same create is open already; this is its answer.
    Joined(Result<Shown, ApiError>),
}

/// The first of equal creates.
pub struct First<'a> {
    requests: &'a OpenRequests,
    /// None when it is closed.
    key: Option<CreateKey>,
    answer: watch::Sender<Answer>,
}

impl OpenRequests {
    /// Opens a create, or waits for the answer of the same one.
    pub async fn open(&self, key: CreateKey) -> Place<'_> {
        loop {
            let mut first = {
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                match open.get(&key) {
                    Some(answer) => answer.clone(),
                    None => {
                        let (answer, receiver) = watch::channel(None);
                        open.insert(key.clone(), receiver);
                        return Place::First(First { requests: self, key: Some(key), answer });
                    }
                }
            };
            if let Ok(answer) = first.wait_for(Option::is_some).await
                && let Some(answer) = answer.clone()
            {
                return Place::Joined(answer);
            }
            // The first one was given up without an answer: take its place.
        }
    }
}

impl First<'_> {
    /// Gives the answer to whoever joined. Who comes later finds what was stored.
    pub fn answer(mut self, answer: &Result<Shown, ApiError>) {
        self.close();
        // Mostly nobody has joined, and an answer is a whole user.
        if self.answer.receiver_count() > 0 {
            self.answer.send_replace(Some(answer.clone()));
        }
    }

    fn close(&mut self) {
        if let Some(key) = self.key.take() {
            self.requests.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Lets the writes to one resource take turns, so that twenty parallel PATCHes need no second attempt.
#[derive(Default)]
pub struct ResourceLocks {
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// A turn at a resource; ends when dropped.
pub struct Turn<'a> {
    locks: &'a ResourceLocks,
    id: String,
    guard: Option<OwnedMutexGuard<()>>,
}

impl ResourceLocks {
    /// Waits for its turn at the resource with this id.
    pub async fn turn(&self, id: &str) -> Turn<'_> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            locks.entry(id.to_owned()).or_default().clone()
        };
        let guard = Some(lock.lock_owned().await);
        Turn { locks: self, id: id.to_owned(), guard }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut locks = self.locks.locks.lock().unwrap_or_else(PoisonError::into_inner);
        self.guard = None;
        // One reference is the map's own: nobody else waits.
        if locks.get(&self.id).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.id);
        }
    }
}

/// The last document of a resource that was answered 2xx, while a later one waits for its targets.
#[derive(Default)]
pub struct Unanswered {
    documents: Mutex<HashMap<i64, Answered>>,
}

/// A document that a client was told is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The document.
    pub document: Document,
    /// Whether the person could use the accounts.
    pub active: bool,
}

impl Unanswered {
    /// A write replaced `before`, which had been answered, or replaced one that has not been answered itself.
    pub fn begin(&self, resource: i64, before: Answered) {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).entry(resource).or_insert(before);
    }

    /// What to restore.
    pub fn last_answered(&self, resource: i64) -> Option<Answered> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).get(&resource).cloned()
    }

    /// A write was answered 2xx while a later one waits: what that one goes back to is this document.
    pub fn answered(&self, resource: i64, document: Answered) {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.entry(resource).and_modify(|before| *before = document);
    }

    /// The document in force counts as answered if the guard is dropped before its request stayed to the end.
    pub fn unless_stayed(&self, resource: i64) -> Leaver<'_> {
        Leaver { unanswered: Some((self, resource)) }
    }

    /// The document in force has been answered.
    pub fn end(&self, resource: i64) {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).remove(&resource);
    }
}

/// A request that may leave before its answer: the client closes the connection, the store fails.
pub struct Leaver<'a> {
    unanswered: Option<(&'a Unanswered, i64)>,
}

impl Leaver<'_> {
    /// It stays: what it answers decides.
    pub fn stays(mut self) {
        self.unanswered = None;
    }
}

impl Drop for Leaver<'_> {
    fn drop(&mut self) {
        if let Some((unanswered, resource)) = self.unanswered {
            unanswered.end(resource);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> CreateKey {
        CreateKey {
            tenant: "acme".to_owned(),
            connection: "okta".to_owned(),
            user_name: "ann@acme.example".to_owned(),
            external_id: "00u1".to_owned(),
        }
    }

    #[tokio::test]
    async fn the_second_of_two_equal_creates_gets_the_answer_of_the_first() {
        let requests = Arc::new(OpenRequests::default());
        let Place::First(first) = requests.open(key()).await else { panic!("nothing is open yet") };
        let second = tokio::spawn({
            let requests = requests.clone();
            async move {
                match requests.open(key()).await {
                    Place::Joined(Err(ApiError::NotFound(detail))) => detail,
                    _ => "not joined".to_owned(),
                }
            }
        });
        tokio::task::yield_now().await;
        first.answer(&Err(ApiError::NotFound("gone".to_owned())));
        assert_eq!(second.await.unwrap(), "gone");
        assert!(matches!(requests.open(key()).await, Place::First(_)));
    }

    #[tokio::test]
    async fn a_create_that_is_given_up_leaves_its_place_to_the_next() {
        let requests = Arc::new(OpenRequests::default());
        let Place::First(first) = requests.open(key()).await else { panic!("nothing is open yet") };
        let second = tokio::spawn({
            let requests = requests.clone();
            async move { matches!(requests.open(key()).await, Place::First(_)) }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(second.await.unwrap());
    }

    #[test]
    fn nothing_is_restored_behind_a_write_whose_request_went_away() {
        let unanswered = Unanswered::default();
        let before = Answered { document: Document::new(), active: true };
        unanswered.begin(7, before.clone());
        unanswered.unless_stayed(7).stays();
        assert_eq!(unanswered.last_answered(7), Some(before));
        drop(unanswered.unless_stayed(7));
        assert_eq!(unanswered.last_answered(7), None);
    }

    #[tokio::test]
    async fn turns_leave_nothing_behind() {
        let locks = ResourceLocks::default();
        drop(locks.turn("7").await);
        drop(locks.turn("7").await);
        assert!(locks.locks.lock().unwrap().is_empty());
    }
}
