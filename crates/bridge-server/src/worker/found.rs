//! Whose is the account that was found? A pure decision over the evidence (DESIGN, section 7, "Adoption").

use bridge_connectors::{Evidence, Existence, Observed, Presence};
use bridge_store::Doubt;
use jiff::Timestamp;

use crate::clock::later;
use crate::config::Adopt;
use std::time::Duration;

/// What is known about us and the key when an account is looked up.
#[derive(Debug, Clone, Copy)]
pub struct Inquiry<'a> {
    /// The remote id stored for this account, if it is linked.
    pub linked: Option<&'a str>,
    /// Whether what was found is the account of another user of this bridge.
    pub held: bool,
    /// What we may have done without seeing the effect.
    pub doubt: Doubt,
    /// Whether the natural key is a value out of a pool, so that another one can be taken.
    pub pooled: bool,
    /// The target's rule for accounts that were there before.
    pub adopt: Adopt,
    /// Our last write to the target for this key.
    pub last_write_at: Option<Timestamp>,
    /// How long a write may take to show.
    pub settle_lag: Duration,
    /// How the account is to stand.
    pub presence: Presence,
    /// The present moment.
    pub now: Timestamp,
}

/// Whose the found account is.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nobody has it: it may be made.
    Nobody,
    /// It is ours.
    Ours,
    /// It was there before and becomes ours.
    Adopt,
    /// It was there before; a person must decide.
    Review,
    /// It is somebody else's.
    Stranger,
    /// It is somebody else's, but our key came from a pool: take the next value.
    Foreign,
    /// Too early to say: a write of ours may not show yet. Look again at this moment.
    TooEarly(Timestamp),
}

/// How long to wait before looking again while a write may not show yet.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Decides.
pub fn whose(observed: &Observed, inquiry: &Inquiry<'_>) -> Found {
    let verdict = verdict(observed, inquiry);
    match (&verdict, inquiry.last_write_at) {
        (Found::Nobody | Found::Stranger | Found::Foreign | Found::Review, Some(written))
            if inquiry.doubt != Doubt::None && inquiry.now < later(written, inquiry.settle_lag) =>
        {
            Found::TooEarly(later(inquiry.now, LOOK_AGAIN).min(later(written, inquiry.settle_lag)))
        }
        (Found::Ours, Some(written))
            if inquiry.doubt == Doubt::Read
                && inquiry.now < later(written, inquiry.settle_lag)
                && !is_pressed(observed, inquiry.presence) =>
        {
            // What was seen may be the account before that write: it proves nothing, and nothing is to be compared with it.
            Found::TooEarly(later(written, inquiry.settle_lag))
        }
        _ => verdict,
    }
}

/// Whether an account that is to end is still there or usable, as far as can be seen: nobody waits with ending it.
fn is_pressed(observed: &Observed, presence: Presence) -> bool {
    match presence {
        Presence::Active => false,
        Presence::Suspended => observed.active != Some(false),
        Presence::Absent => true,
    }
}

fn verdict(observed: &Observed, inquiry: &Inquiry<'_>) -> Found {
    if observed.existence != Existence::Present {
        return Found::Nobody;
    }
    let evidence = &observed.evidence;
    let is_linked = inquiry.linked.is_some() && (evidence.remote_id || observed.remote_id.as_deref() == inquiry.linked);
    if is_linked || evidence.marker {
        return Found::Ours;
    }
    if inquiry.doubt == Doubt::Create && is_made_by_us(evidence) && !inquiry.held {
        return Found::Ours;
    }
    // A create of ours left what it was sent with, and a user of this bridge is known: who has nothing but the same e-mail
    // address is somebody else, and in nobody's way.
    let shares_email_only = !evidence.natural_key && !evidence.unique_key;
    if shares_email_only && (inquiry.doubt == Doubt::Create || inquiry.held) {
        return Found::Nobody;
    }
    if inquiry.pooled && evidence.natural_key && !evidence.unique_key {
        return Found::Foreign;
    }
    match inquiry.adopt {
        Adopt::Match if is_same_person(evidence) => Found::Adopt,
        Adopt::Match | Adopt::Review => Found::Review,
        Adopt::Never => Found::Stranger,
    }
}

/// We may have made an account with these keys and not seen the reply: every key that the target knows is ours.
fn is_made_by_us(evidence: &Evidence) -> bool {
    evidence.natural_key && evidence.unique_key && evidence.email
}

/// The key that says who somebody is, and the e-mail address, are both equal. Where the natural key is only a number, the
/// log-in name says who somebody is.
fn is_same_person(evidence: &Evidence) -> bool {
    (evidence.natural_key || evidence.unique_key) && evidence.email
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn inquiry() -> Inquiry<'static> {
        Inquiry {
            linked: None,
            held: false,
            doubt: Doubt::None,
            pooled: false,
            adopt: Adopt::Review,
            last_write_at: None,
            settle_lag: Duration::from_secs(10),
            presence: Presence::Active,
            now: NOW,
        }
    }

    fn present(evidence: Evidence) -> Observed {
        Observed { existence: Existence::Present, remote_id: Some("1042".to_owned()), evidence, ..Observed::default() }
    }

    fn keys(natural_key: bool, unique_key: bool, email: bool) -> Evidence {
        Evidence { natural_key, unique_key, email, ..Evidence::default() }
    }

    #[test]
    fn our_marker_and_our_link_are_proof() {
        let marked = present(Evidence { marker: true, ..Evidence::default() });
        assert_eq!(whose(&marked, &Inquiry { adopt: Adopt::Never, ..inquiry() }), Found::Ours);
        let linked = Inquiry { linked: Some("1042"), adopt: Adopt::Never, ..inquiry() };
        assert_eq!(whose(&present(Evidence::default()), &linked), Found::Ours);
    }

    #[test]
    fn a_lost_reply_ends_in_our_own_account_and_not_in_a_second_one() {
        let doubtful = Inquiry { doubt: Doubt::Create, ..inquiry() };
        assert_eq!(whose(&present(keys(true, true, true)), &doubtful), Found::Ours);
        assert_eq!(whose(&present(keys(true, false, true)), &doubtful), Found::Review);
        assert_eq!(whose(&Observed::absent(), &doubtful), Found::Nobody);
    }

    #[test]
    fn an_account_that_was_there_before_follows_the_adopt_rule() {
        let same = present(keys(true, true, true));
        assert_eq!(whose(&same, &inquiry()), Found::Review);
        assert_eq!(whose(&same, &Inquiry { adopt: Adopt::Match, ..inquiry() }), Found::Adopt);
        assert_eq!(whose(&same, &Inquiry { adopt: Adopt::Never, ..inquiry() }), Found::Stranger);
        let namesake = present(keys(true, true, false));
        assert_eq!(whose(&namesake, &Inquiry { adopt: Adopt::Match, ..inquiry() }), Found::Review);
    }

    #[test]
    fn who_has_nothing_but_the_same_address_is_not_what_our_create_left_nor_another_user_of_ours() {
        let family = present(keys(false, false, true));
        let doubtful = Inquiry { doubt: Doubt::Create, ..inquiry() };
        let held = Inquiry { held: true, ..inquiry() };
        assert_eq!(whose(&family, &inquiry()), Found::Review, "made by hand, perhaps for this person");
        for adopt in [Adopt::Review, Adopt::Match, Adopt::Never] {
            assert_eq!(whose(&family, &Inquiry { adopt, ..doubtful }), Found::Nobody, "{adopt:?}");
            assert_eq!(whose(&family, &Inquiry { adopt, ..held }), Found::Nobody, "{adopt:?}");
        }
        let same = present(keys(true, true, true));
        assert_eq!(whose(&same, &Inquiry { held: true, ..doubtful }), Found::Review, "that user made it");
    }

    #[test]
    fn a_pool_value_that_somebody_else_has_is_foreign() {
        let pooled = Inquiry { pooled: true, ..inquiry() };
        assert_eq!(whose(&present(keys(true, false, false)), &pooled), Found::Foreign);
        assert_eq!(whose(&present(keys(false, true, true)), &pooled), Found::Review, "found by log-in name elsewhere");
    }

    #[test]
    fn nothing_is_final_until_our_last_write_must_have_shown() {
        let written = Inquiry { doubt: Doubt::Create, last_write_at: Some(NOW), ..inquiry() };
        let again = Found::TooEarly(later(NOW, Duration::from_secs(1)));
        assert_eq!(whose(&Observed::absent(), &written), again);
        assert_eq!(whose(&present(keys(true, false, false)), &written), again);
        let after = Inquiry { now: later(NOW, Duration::from_secs(10)), ..written };
        assert_eq!(whose(&Observed::absent(), &after), Found::Nobody);
    }

    #[test]
    fn our_own_account_is_not_believed_before_our_last_write_must_have_shown_but_a_leaver_is_pressed() {
        let seen = |active| Observed { active: Some(active), ..present(keys(true, true, true)) };
        let written = Inquiry { linked: Some("1042"), doubt: Doubt::Read, last_write_at: Some(NOW), ..inquiry() };
        let suspend = Inquiry { presence: Presence::Suspended, ..written };
        let shown = Found::TooEarly(later(NOW, Duration::from_secs(10)));
        assert_eq!(whose(&seen(true), &written), shown);
        assert_eq!(whose(&seen(false), &suspend), shown, "it may have come back since");
        assert_eq!(whose(&seen(true), &suspend), Found::Ours);
        assert_eq!(whose(&seen(false), &Inquiry { presence: Presence::Absent, ..written }), Found::Ours);
        assert_eq!(whose(&seen(true), &Inquiry { doubt: Doubt::Create, ..written }), Found::Ours, "it shows");
        assert_eq!(whose(&seen(true), &Inquiry { doubt: Doubt::None, ..written }), Found::Ours);
        let after = Inquiry { now: later(NOW, Duration::from_secs(10)), ..written };
        assert_eq!(whose(&seen(true), &after), Found::Ours);
    }
}
