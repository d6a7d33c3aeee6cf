//! What a pool will most likely hand out next, so that a new user is mapped with the values that it gets (DESIGN, section 7,
//! "Pools").
//!
//! Which value a user gets is decided inside the write. Mapping it before that takes a guess: what follows the value that
//! was handed out last, past what the creates that are open will take. A wrong guess costs a second mapping inside the write,
//! and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bridge_store::Range;

use crate::landscape::Tenant;

/// How far the walk over each pool's values has come.
#[derive(Default)]
pub struct Guesses {
    walks: Mutex<HashMap<Name, Walk>>,
}

/// Tenant and pool.
type Name = (String, String);

#[derive(Default)]
struct Walk {
    /// The value that was handed out last; none since the start.
    last: Option<String>,
    /// How many creates count on a value after it.
    open: u64,
}

/// The values that one create counts on.
pub(super) struct Guess {
    guesses: Arc<Guesses>,
    tenant: String,
    /// By pool.
    values: BTreeMap<String, String>,
    /// Pools whose walk counts this create.
    counted: Mutex<Vec<String>>,
}

impl Guesses {
    fn walks(&self) -> MutexGuard<'_, HashMap<Name, Walk>> {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guess {
    /// Counts on nothing, and learns all the same.
    pub(super) fn nothing(guesses: &Arc<Guesses>, tenant: &Tenant) -> Self {
        let (values, counted) = (BTreeMap::new(), Mutex::default());
        Self { guesses: guesses.clone(), tenant: tenant.name.clone(), values, counted }
    }

    /// Counts on a value of each pool that an account of the tenant may use; none if of one of them nothing is known.
    pub(super) fn of(guesses: &Arc<Guesses>, tenant: &Tenant) -> Option<Self> {
        let mut guess = Self::nothing(guesses, tenant);
        for name in tenant.used_pools() {
            let Some(pool) = tenant.pools.get(name) else { continue };
            guess.count_on(name, &pool.ranges)?;
        }
        Some(guess)
    }

    fn count_on(&mut self, pool: &str, ranges: &[Range]) -> Option<()> {
        let mut walks = self.guesses.walks();
        let walk = walks.get_mut(&self.name(pool))?;
        let value = Range::following(ranges, walk.last.as_deref()?, walk.open + 1)?;
        walk.open += 1;
        drop(walks);
        self.values.insert(pool.to_owned(), value);
        self.counted.get_mut().unwrap_or_else(PoisonError::into_inner).push(pool.to_owned());
        Some(())
    }

    /// The values, by pool.
    pub(super) fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// Learns that the walk has come to its end, or goes on where nobody knows: until a value is handed out again, nothing is
    /// guessed.
    pub(super) fn was_wrong(&self, pool: &str) {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).retain(|name| name != pool);
        self.guesses.walks().remove(&self.name(pool));
    }

    /// Learns which value was handed out to this create, who had none before.
    pub(super) fn handed_out(&self, pool: &str, value: &str) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut walks = self.guesses.walks();
        let walk = walks.entry(self.name(pool)).or_default();
        walk.last = Some(value.to_owned());
        if let Some(place) = counted.iter().position(|name| name == pool) {
            counted.swap_remove(place);
            walk.open = walk.open.saturating_sub(1);
        }
    }

    fn name(&self, pool: &str) -> Name {
        (self.tenant.clone(), pool.to_owned())
    }
}

impl Drop for Guess {
    /// What was not handed out, nobody counts on any more.
    fn drop(&mut self) {
        let counted = std::mem::take(self.counted.get_mut().unwrap_or_else(PoisonError::into_inner));
        let mut walks = self.guesses.walks();
        for pool in counted {
            if let Some(walk) = walks.get_mut(&self.name(&pool)) {
                walk.open = walk.open.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGES: [Range; 2] = [Range { first: 98, last: 99, width: 3 }, Range { first: 500, last: 501, width: 3 }];

    fn guess(guesses: &Arc<Guesses>) -> Guess {
        Guess { guesses: guesses.clone(), tenant: "acme".into(), values: BTreeMap::new(), counted: Mutex::default() }
    }

    fn counting(guesses: &Arc<Guesses>) -> Option<Guess> {
        let mut counting = guess(guesses);
        counting.count_on("extension", &RANGES).map(|()| counting)
    }

    fn value(guess: &Guess) -> &str {
        &guess.values()["extension"]
    }

    #[test]
    fn creates_of_the_same_moment_count_on_one_value_each_over_all_ranges() {
        let guesses = Arc::new(Guesses::default());
        assert!(counting(&guesses).is_none(), "nothing is known yet");
        guess(&guesses).handed_out("extension", "098");
        let (first, second) = (counting(&guesses).unwrap(), counting(&guesses).unwrap());
        assert_eq!((value(&first), value(&second)), ("099", "500"));
        first.handed_out("extension", "099");
        assert_eq!(value(&counting(&guesses).unwrap()), "501");
        drop((first, second));
        assert_eq!(value(&counting(&guesses).unwrap()), "500");
    }

    #[test]
    fn where_a_pool_is_empty_nothing_is_guessed_until_a_value_is_handed_out_again() {
        let guesses = Arc::new(Guesses::default());
        guess(&guesses).handed_out("extension", "098");
        let (first, second) = (counting(&guesses).unwrap(), counting(&guesses).unwrap());
        first.was_wrong("extension");
        assert!(counting(&guesses).is_none());
        drop((first, second));
        guess(&guesses).handed_out("extension", "098");
        assert_eq!(value(&counting(&guesses).unwrap()), "099");
    }

    #[test]
    fn behind_the_last_value_and_beside_the_ranges_nothing_is_guessed() {
        let guesses = Arc::new(Guesses::default());
        for last in ["501", "700", "98"] {
            guess(&guesses).handed_out("extension", last);
            assert!(counting(&guesses).is_none(), "{last}");
        }
    }
}
