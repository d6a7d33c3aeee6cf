//! The secrets of one account while it is worked on: passwords that the bridge makes, and those that the identity provider
//! sent. At rest they are sealed; here they cannot be printed (DESIGN, section 7, "Passwords").

use std::collections::{BTreeMap, BTreeSet};

use bridge_mapping::{AccountSchema, Generator, SecretSource};
use bridge_store::{Account as Row, StoreError};
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::seal::Sealer;

/// Opened secrets.
#[derive(Default)]
pub struct Secrets {
    /// By account field, as sent to the target.
    made: BTreeMap<String, SecretString>,
    /// By SCIM attribute, as received.
    supplied: BTreeMap<String, SecretString>,
    /// The target has refused what was made; what is made now is longer and has every class of characters.
    stronger: bool,
}

#[derive(Default, Serialize, Deserialize)]
struct AtRest {
    #[serde(default)]
    made: BTreeMap<String, String>,
    #[serde(default)]
    supplied: BTreeMap<String, String>,
    #[serde(default)]
    stronger: bool,
}

impl Secrets {
    /// Opens the sealed secrets of a row.
    pub fn open(sealer: &Sealer, row: &Row) -> Self {
        Self::opened(sealer, &owner(&row.tenant, row.resource), &row.target, row.secret.as_deref())
    }

    /// A value that does not open (its key is gone) is as good as none: it must not keep anybody in, nor refuse a write.
    fn opened(sealer: &Sealer, owner: &str, target: &str, sealed: Option<&[u8]>) -> Self {
        let opened = sealed.map(|sealed| Self::unseal(sealer, owner, sealed)).transpose();
        let opened = opened.inspect_err(|error| warn!(target.name = %target, %error, "A stored secret is left out"));
        opened.ok().flatten().unwrap_or_default()
    }

    fn unseal(sealer: &Sealer, owner: &str, sealed: &[u8]) -> Result<Self, StoreError> {
        let plain = sealer.open(owner, sealed).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let at_rest: AtRest = serde_json::from_slice(&plain)
            .map_err(|_| StoreError::Corrupt("the sealed secrets of an account".to_owned()))?;
        let secret = |values: BTreeMap<String, String>| {
            values.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect()
        };
        Ok(Self { made: secret(at_rest.made), supplied: secret(at_rest.supplied), stronger: at_rest.stronger })
    }

    /// Seals them for a row; nothing to seal is no value.
    pub fn seal(&self, sealer: &Sealer, row: &Row) -> Result<Option<Vec<u8>>, StoreError> {
        self.seal_for(sealer, &owner(&row.tenant, row.resource))
    }

    fn seal_for(&self, sealer: &Sealer, owner: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if self.made.is_empty() && self.supplied.is_empty() {
            return Ok(None);
        }
        let bare = |values: &BTreeMap<String, SecretString>| {
            values.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect()
        };
        let at_rest = AtRest { made: bare(&self.made), supplied: bare(&self.supplied), stronger: self.stronger };
        let plain = serde_json::to_vec(&at_rest).map_err(|error| StoreError::Internal(error.to_string()))?;
        sealer.seal(owner, &plain).map(Some).map_err(|error| StoreError::Internal(error.to_string()))
    }

    /// The SCIM attributes that the identity provider sent a secret for.
    pub fn supplied(&self) -> impl Iterator<Item = String> {
        self.supplied.keys().cloned()
    }

    /// What was made for the account, by the name that a plan asks for it.
    pub fn made(&self) -> BTreeSet<String> {
        self.made.keys().cloned().collect()
    }

    /// The secret for an account field.
    pub fn get(&self, field: &str) -> Option<&SecretString> {
        self.made.get(field)
    }

    /// Makes sure that there is a secret for `field`: the one made before, a fresh one, or what arrived as the SCIM
    /// attribute `attribute`. Returns whether something has to be stored before it is sent.
    pub fn ensure(
        &mut self,
        field: &str,
        source: SecretSource,
        attribute: Option<&str>,
        schema: &AccountSchema,
    ) -> bool {
        match source {
            SecretSource::Supplied => {
                let Some(value) = attribute.and_then(|attribute| self.supplied.get(attribute)) else { return false };
                let before = self.made.insert(field.to_owned(), value.clone());
                before.is_none_or(|before| before.expose_secret() != value.expose_secret())
            }
            SecretSource::Generated if self.made.contains_key(field) => false,
            SecretSource::Generated => {
                let twin = schema.field(field).and_then(|field| field.same_as.clone());
                let origin = twin.as_deref().unwrap_or(field);
                let generator = schema.field(origin).and_then(|field| field.generator);
                let stronger = self.stronger;
                let value = self.made.entry(origin.to_owned()).or_insert_with(|| make(generator, stronger)).clone();
                self.made.insert(field.to_owned(), value);
                true
            }
        }
    }

    /// The target has refused the secret that was made for `field`: another one is made, once. False: that was done before.
    pub fn make_another(&mut self, field: &str, schema: &AccountSchema) -> bool {
        if self.stronger || self.made.remove(field).is_none() {
            return false;
        }
        self.stronger = true;
        let is_twin = |name: &String| schema.field(name).is_some_and(|twin| twin.same_as.as_deref() == Some(field));
        self.made.retain(|name, _| !is_twin(name));
        true
    }
}

/// Seals the secrets that a write brought along (SCIM attribute to value) for the account at `target`, together with what
/// is sealed there already.
pub fn seal_supplied(
    sealer: &Sealer,
    place: (&str, i64, &str),
    before: Option<&[u8]>,
    supplied: &BTreeMap<String, String>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let (tenant, resource, target) = place;
    let owner = owner(tenant, resource);
    let mut secrets = Secrets::opened(sealer, &owner, target, before);
    secrets.supplied.extend(supplied.iter().map(|(name, value)| (name.clone(), SecretString::from(value.as_str()))));
    secrets.seal_for(sealer, &owner)
}

/// Seals for the account of another resource what was made for the account that it takes over: an account that was locked
/// out is opened with it. What its own identity provider sent for it, sealed in `own`, stays.
pub fn seal_handed_over(
    sealer: &Sealer,
    row: &Row,
    to: i64,
    own: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let former = Secrets::open(sealer, row);
    let new_owner = owner(&row.tenant, to);
    let Secrets { supplied, .. } = Secrets::opened(sealer, &new_owner, &row.target, own);
    Secrets { supplied, ..former }.seal_for(sealer, &new_owner)
}

/// Whom a sealed value is bound to. Not the target by its name: that may be changed (`renamed_from`).
fn owner(tenant: &str, resource: i64) -> String {
    format!("{tenant}/{resource}")
}

/// CRM.COM's policy asks for a minimum of letters, digits and other characters (crmcom.md, section 8).
const LETTERS: &[u8] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ";
const SMALL_LETTERS: &[u8] = b"abcdefghijkmnopqrstuvwxyz";
const CAPITALS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
const DIGITS: &[u8] = b"23456789";
const OTHERS: &[u8] = b"!#%+-_";

/// How many of each class a made password has, and one that must be stronger: a policy may ask for more, or for both cases
/// of letters.
const USUAL: [(&[u8], usize); 3] = [(LETTERS, 9), (DIGITS, 4), (OTHERS, 3)];
const STRONGER: [(&[u8], usize); 4] = [(SMALL_LETTERS, 8), (CAPITALS, 6), (DIGITS, 6), (OTHERS, 4)];

fn make(generator: Option<Generator>, stronger: bool) -> SecretString {
    let mut rng = rand::rng();
    let text: String = match generator {
        Some(Generator::Pin) => (0..6).map(|_| char::from(rng.random_range(b'0'..=b'9'))).collect(),
        Some(Generator::Password) | None => {
            let classes: &[(&[u8], usize)] = if stronger { &STRONGER } else { &USUAL };
            let mut characters: Vec<u8> = classes
                .iter()
                .flat_map(|&(set, count)| std::iter::repeat_n(set, count))
                .filter_map(|set| set.choose(&mut rng).copied())
                .collect();
            characters.shuffle(&mut rng);
            characters.into_iter().map(char::from).collect()
        }
    };
    SecretString::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge_mapping::TargetKind;

    #[test]
    fn a_made_password_meets_the_policy() {
        for _ in 0..200 {
            for (stronger, expected) in [(false, (9, 4, 3, 16)), (true, (14, 6, 4, 24))] {
                let password = make(Some(Generator::Password), stronger);
                let text = password.expose_secret();
                let count = |set: &[u8]| text.bytes().filter(|byte| set.contains(byte)).count();
                assert_eq!((count(LETTERS), count(DIGITS), count(OTHERS), text.len()), expected);
                assert!(!stronger || (count(CAPITALS), count(SMALL_LETTERS)) == (6, 8));
            }
        }
    }

    #[test]
    fn the_confirmation_repeats_the_password_and_both_are_made_once() {
        let schema = AccountSchema::embedded(TargetKind::CrmCom);
        let mut secrets = Secrets::default();
        assert!(secrets.ensure("password", SecretSource::Generated, None, schema));
        assert!(secrets.ensure("password_confirmation", SecretSource::Generated, None, schema));
        assert!(!secrets.ensure("password", SecretSource::Generated, None, schema));
        let text = |field| secrets.get(field).unwrap().expose_secret().to_owned();
        assert_eq!(text("password"), text("password_confirmation"));
    }

    #[test]
    fn a_password_of_the_identity_provider_is_remembered_as_what_was_sent() {
        let schema = AccountSchema::embedded(TargetKind::CrmCom);
        let mut secrets = Secrets::default();
        let mut ensure = |supplied: &str| {
            secrets.supplied.insert("password".to_owned(), SecretString::from(supplied));
            secrets.ensure("password", SecretSource::Supplied, Some("password"), schema)
        };
        assert!(ensure("kJ8!random"), "it is to be stored before it is sent");
        assert!(!ensure("kJ8!random"));
        assert!(ensure("kJ8!random2"));
        assert!(!secrets.ensure("password", SecretSource::Generated, None, schema), "the old one when it is replaced");
    }

    #[test]
    fn a_refused_password_is_made_again_once() {
        let schema = AccountSchema::embedded(TargetKind::CrmCom);
        let mut secrets = Secrets::default();
        assert!(!secrets.make_another("password", schema), "none was made");
        let text = |secrets: &Secrets, field| secrets.get(field).unwrap().expose_secret().to_owned();
        secrets.ensure("password_confirmation", SecretSource::Generated, None, schema);
        let first = text(&secrets, "password");
        assert!(secrets.make_another("password", schema));
        for field in ["password", "password_confirmation"] {
            assert!(
                secrets.ensure(field, SecretSource::Generated, None, schema),
                "it is to be stored before it is sent"
            );
        }
        assert_ne!(text(&secrets, "password"), first);
        assert_eq!(text(&secrets, "password"), text(&secrets, "password_confirmation"));
        let sealer = Sealer::new([&[3; 32]]);
        let sealed = secrets.seal_for(&sealer, "acme/7").unwrap().unwrap();
        assert!(!Secrets::unseal(&sealer, "acme/7", &sealed).unwrap().make_another("password", schema));
    }

    #[test]
    fn sealed_secrets_open_again_and_keep_what_was_there() {
        let sealer = Sealer::new([&[3; 32]]);
        let place = ("acme", 7, "crm");
        let first = BTreeMap::from([("password".to_owned(), "kJ8!random".to_owned())]);
        let sealed = seal_supplied(&sealer, place, None, &first).unwrap().unwrap();
        let again = seal_supplied(&sealer, place, Some(&sealed), &BTreeMap::new()).unwrap().unwrap();
        let opened = Secrets::unseal(&sealer, "acme/7", &again).unwrap();
        assert_eq!(opened.supplied().collect::<Vec<_>>(), ["password"]);
        assert!(Secrets::unseal(&sealer, "acme/8", &again).is_err());
    }

    #[test]
    fn what_does_not_open_any_more_keeps_no_new_secret_out() {
        let place = ("acme", 7, "crm");
        let supply = |sealer: &Sealer, before: Option<&[u8]>, name: &str| {
            let supplied = BTreeMap::from([(name.to_owned(), "kJ8!random".to_owned())]);
            seal_supplied(sealer, place, before, &supplied).unwrap().unwrap()
        };
        let lost = supply(&Sealer::new([&[3; 32]]), None, "password");
        let sealer = Sealer::new([&[4; 32]]);
        let sealed = supply(&sealer, Some(&lost), "pin");
        assert_eq!(Secrets::unseal(&sealer, "acme/7", &sealed).unwrap().supplied().collect::<Vec<_>>(), ["pin"]);
    }
}
