//! A bearer token that is fetched when it is needed, kept, and renewed before it ends.

use std::collections::VecDeque;
use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::TargetError;
use crate::mask::Known;

/// So many tokens are remembered for masking: a target may still speak of one that was renewed meanwhile.
const REMEMBERED: usize = 4;

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
pub(crate) struct Tokens {
    current: Mutex<Option<Token>>,
    /// The last tokens, newest last: what a target says is masked while a new one is being fetched, too.
    latest: std::sync::Mutex<VecDeque<SecretString>>,
}

impl Tokens {
    /// The current token, or a fetched one.
    pub(crate) async fn current(
        &self,
        now: Timestamp,
        fetch: impl Future<Output = Result<Token, TargetError>>,
    ) -> Result<SecretString, TargetError> {
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref().filter(|token| now < token.renew_at) {
            return Ok(token.value.clone());
        }
        *current = None;
        let token = fetch.await?;
        self.remember(&token.value);
        Ok(current.insert(token).value.clone())
    }

    /// Forgets a token that the target no longer takes, unless somebody has renewed it meanwhile.
    pub(crate) async fn forget(&self, stale: &SecretString) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|token| token.value.expose_secret() == stale.expose_secret()) {
            *current = None;
        }
    }

    /// Forgets whatever token there is.
    pub(crate) async fn clear(&self) {
        *self.current.lock().await = None;
    }

    /// What must not appear in an error's reason: the token, and those before it.
    pub(crate) fn known(&self) -> Vec<Known> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.iter().map(|token| Known::secret(token.expose_secret())).collect()
    }

    fn remember(&self, token: &SecretString) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() == REMEMBERED {
            latest.pop_front();
        }
        latest.push_back(token.clone());
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
    async fn the_last_tokens_are_masked() {
        let tokens = Tokens::default();
        for number in 0..10 {
            fetched(&tokens, number * 100, &format!("token-{number}")).await;
        }
        tokens.clear().await;
        assert_eq!(crate::mask::clean("not token-9, nor TOKEN-6", &tokens.known()), "not ***, nor ***");
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
