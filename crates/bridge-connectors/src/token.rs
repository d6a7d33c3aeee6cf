//! A bearer token that is fetched when it is needed, kept, and renewed before it ends.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::TargetError;

/// A token and the time from which it is no longer used.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) value: SecretString,
    pub(crate) renew_at: Timestamp,
}

impl Token {
    /// A token that lives `life` from now; it is used for three quarters of that.
    pub(crate) fn living(value: SecretString, now: Timestamp, life: SignedDuration) -> Self {
        let use_for = life.checked_mul(3).map_or(life, |three| three / 4);
        Self { value, renew_at: now.checked_add(use_for).unwrap_or(now) }
    }
}

/// The current token of a target. Callers that need one at the same time wait for the one that fetches it.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<Option<Token>>);

impl Tokens {
    /// The current token, or a fetched one.
    pub(crate) async fn current(
        &self,
        now: Timestamp,
        fetch: impl Future<Output = Result<Token, TargetError>>,
    ) -> Result<SecretString, TargetError> {
        let mut current = self.0.lock().await;
        if let Some(token) = current.as_ref().filter(|token| now < token.renew_at) {
            return Ok(token.value.clone());
        }
        *current = None;
        let token = fetch.await?;
        Ok(current.insert(token).value.clone())
    }

    /// Forgets a token that the target no longer takes, unless somebody has renewed it meanwhile.
    pub(crate) async fn forget(&self, stale: &SecretString) {
        let mut current = self.0.lock().await;
        if current.as_ref().is_some_and(|token| token.value.expose_secret() == stale.expose_secret()) {
            *current = None;
        }
    }

    /// Forgets whatever token there is.
    pub(crate) async fn clear(&self) {
        *self.0.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    async fn fetched(tokens: &Tokens, now: i64, value: &str) -> String {
        let fetch = async { Ok(Token::living(value.into(), at(now), SignedDuration::from_secs(100))) };
        tokens.current(at(now), fetch).await.unwrap().expose_secret().to_owned()
    }

    #[tokio::test]
    async fn a_token_serves_three_quarters_of_its_life() {
        let tokens = Tokens::default();
        assert_eq!(fetched(&tokens, 0, "first").await, "first");
        assert_eq!(fetched(&tokens, 74, "second").await, "first");
        assert_eq!(fetched(&tokens, 75, "second").await, "second");
    }

    #[tokio::test]
    async fn a_stale_token_is_forgotten_once() {
        let tokens = Tokens::default();
        fetched(&tokens, 0, "first").await;
        tokens.forget(&"first".into()).await;
        assert_eq!(fetched(&tokens, 1, "second").await, "second");
        tokens.forget(&"first".into()).await;
        assert_eq!(fetched(&tokens, 2, "third").await, "second");
        tokens.clear().await;
        assert_eq!(fetched(&tokens, 3, "third").await, "third");
    }
}
