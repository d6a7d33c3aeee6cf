//! The users of all Glance groups, their unique keys and the search of `ShowUsers.asp` (Glance dossier sections 4, 8).

use std::collections::{BTreeMap, HashMap};

/// One Glance user.
#[derive(Clone, Debug, Default)]
pub(crate) struct User {
    /// Id of the group.
    pub(crate) group: String,
    /// The partner's own id; users made in the portal may have none.
    pub(crate) partner_user_id: Option<String>,
    pub(crate) address: String,
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) email: String,
    pub(crate) role: Option<String>,
    pub(crate) suspended: bool,
    pub(crate) has_password: bool,
    pub(crate) audio_provider: Option<i64>,
}

/// Which key is held by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    PartnerUserId,
    Address,
}

/// All users by an internal number that also is the paging cursor. Keys are compared without letter case.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    users: BTreeMap<u64, User>,
    by_partner_user_id: HashMap<(String, String), u64>,
    by_address: HashMap<String, u64>,
    last_number: u64,
}

impl Directory {
    /// Adds a user, unless one of its keys is held: the address by any group, the partner id by its own.
    pub(crate) fn add(&mut self, user: User) -> Result<u64, Taken> {
        self.check_free(&user, None)?;
        self.last_number += 1;
        self.index(self.last_number, &user);
        self.users.insert(self.last_number, user);
        Ok(self.last_number)
    }

    /// Replaces a user, unless its new keys are held by another.
    pub(crate) fn replace(&mut self, number: u64, user: User) -> Result<(), Taken> {
        self.check_free(&user, Some(number))?;
        self.remove(number);
        self.index(number, &user);
        self.users.insert(number, user);
        Ok(())
    }

    /// Removes a user and frees its keys.
    pub(crate) fn remove(&mut self, number: u64) -> Option<User> {
        let user = self.users.remove(&number)?;
        if let Some(id) = &user.partner_user_id {
            self.by_partner_user_id.remove(&(user.group.clone(), fold(id)));
        }
        self.by_address.remove(&fold(&user.address));
        Some(user)
    }

    pub(crate) fn get(&self, number: u64) -> Option<&User> {
        self.users.get(&number)
    }

    pub(crate) fn by_partner_user_id(&self, group: &str, id: &str) -> Option<u64> {
        self.by_partner_user_id.get(&(group.to_owned(), fold(id))).copied()
    }

    pub(crate) fn by_address(&self, address: &str) -> Option<u64> {
        self.by_address.get(&fold(address)).copied()
    }

    pub(crate) fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// The users of `group` that fit, from number `start` on, at most `limit`, and the number where the next page starts.
    pub(crate) fn search(&self, group: &str, criteria: &Criteria, start: u64, limit: usize) -> Page<'_> {
        let exact = match (&criteria.partner_user_id, &criteria.address) {
            (Some(Pattern::Exact(id)), _) => Some(self.by_partner_user_id(group, id)),
            (_, Some(Pattern::Exact(address))) => Some(self.by_address(address)),
            _ => None,
        };
        let candidates: Box<dyn Iterator<Item = (&u64, &User)>> = match exact {
            Some(found) => Box::new(found.into_iter().filter_map(|number| self.users.get_key_value(&number))),
            None => Box::new(self.users.range(start..)),
        };
        let mut fitting =
            candidates.filter(|(number, user)| **number >= start && user.group == group && criteria.fit(user));
        let users = fitting.by_ref().take(limit).map(|(_, user)| user).collect();
        Page { users, next: fitting.next().map(|(number, _)| *number) }
    }

    fn check_free(&self, user: &User, own: Option<u64>) -> Result<(), Taken> {
        let held = |holder: Option<u64>| holder.is_some() && holder != own;
        if held(user.partner_user_id.as_deref().and_then(|id| self.by_partner_user_id(&user.group, id))) {
            return Err(Taken::PartnerUserId);
        }
        if held(self.by_address(&user.address)) {
            return Err(Taken::Address);
        }
        Ok(())
    }

    fn index(&mut self, number: u64, user: &User) {
        if let Some(id) = &user.partner_user_id {
            self.by_partner_user_id.insert((user.group.clone(), fold(id)), number);
        }
        self.by_address.insert(fold(&user.address), number);
    }
}

/// A page of a search.
pub(crate) struct Page<'a> {
    pub(crate) users: Vec<&'a User>,
    pub(crate) next: Option<u64>,
}

/// What `ShowUsers.asp` searches for; all that is given must fit.
#[derive(Debug, Default)]
pub(crate) struct Criteria {
    pub(crate) partner_user_id: Option<Pattern>,
    pub(crate) address: Option<Pattern>,
    pub(crate) role: Option<Pattern>,
}

impl Criteria {
    fn fit(&self, user: &User) -> bool {
        let fits = |pattern: &Option<Pattern>, value: Option<&str>| pattern.as_ref().is_none_or(|p| p.fits(value));
        fits(&self.partner_user_id, user.partner_user_id.as_deref())
            && fits(&self.address, Some(&user.address))
            && fits(&self.role, user.role.as_deref())
    }
}

/// One search value. All texts are folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// `-none-`: no value at all.
    Unset,
    Exact(String),
    /// `Sales*`
    Start(String),
    /// `*34`
    End(String),
    /// `*ale*`
    Middle(String),
}

impl Pattern {
    /// Reads a value that may have `*` at its start or end; elsewhere it is an ordinary character.
    pub(crate) fn with_wildcards(text: &str) -> Self {
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(rest), Some(_)) => Self::Middle(fold(rest.strip_suffix('*').unwrap_or_default())),
            (Some(rest), None) => Self::End(fold(rest)),
            (None, Some(rest)) => Self::Start(fold(rest)),
            (None, None) => Self::Exact(fold(text)),
        }
    }

    /// Like [`Pattern::with_wildcards`], and `-none-` means without a value.
    pub(crate) fn with_wildcards_or_none(text: &str) -> Self {
        if fold(text) == NONE { Self::Unset } else { Self::with_wildcards(text) }
    }

    /// An exact value, or `-none-`.
    pub(crate) fn exact_or_none(text: &str) -> Self {
        if fold(text) == NONE { Self::Unset } else { Self::Exact(fold(text)) }
    }

    fn fits(&self, value: Option<&str>) -> bool {
        let folded = value.filter(|value| !value.is_empty()).map(fold);
        match (self, folded) {
            (Self::Unset, value) => value.is_none(),
            (_, None) => false,
            (Self::Exact(text), Some(value)) => value == *text,
            (Self::Start(text), Some(value)) => value.starts_with(text),
            (Self::End(text), Some(value)) => value.ends_with(text),
            (Self::Middle(text), Some(value)) => value.contains(text),
        }
    }
}

/// How Glance writes "no value" in roles and searches.
pub(crate) const NONE: &str = "-none-";

/// The form in which keys and roles are compared.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_at_the_start_and_at_the_end_only() {
        let check = |pattern: &str, value: &str, expected: bool| {
            assert_eq!(Pattern::with_wildcards_or_none(pattern).fits(Some(value)), expected, "{pattern} {value}");
        };
        check("Sales*", "sales-34", true);
        check("Sales*", "presales", false);
        check("*34", "Sales-34", true);
        check("*34", "345", false);
        check("*ale*", "Sales-34", true);
        check("*", "anything", true);
        check("*", "", false);
        check("Sa*s", "Sales", false);
        check("Sa*s", "sa*S", true);
        check("sales", "Sales", true);
        check("-none-", "Sales", false);
        check("-none-", "", true);
    }

    #[test]
    fn a_removed_user_frees_both_keys() {
        let user = |group: &str, id: &str, address: &str| User {
            group: group.to_owned(),
            partner_user_id: Some(id.to_owned()),
            address: address.to_owned(),
            ..User::default()
        };
        let mut directory = Directory::default();
        let number = directory.add(user("1", "a", "a.glance.net")).unwrap();
        assert_eq!(directory.add(user("1", "A", "b.glance.net")), Err(Taken::PartnerUserId));
        assert_eq!(directory.add(user("2", "a", "A.glance.net")), Err(Taken::Address));
        assert!(directory.add(user("2", "a", "b.glance.net")).is_ok());
        directory.remove(number);
        assert!(directory.add(user("1", "a", "a.glance.net")).is_ok());
    }
}
