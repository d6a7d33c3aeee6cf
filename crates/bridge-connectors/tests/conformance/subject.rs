//! A connector, the simulator it speaks to, and the account that the tests want there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bridge_connectors::{
    AccountKeys, Call, Clock, CommonConfig, Connector, Effect, Manners, Observed, Plan, Presence, TargetError, Wanted,
    crm_com, glance, netsapiens,
};
use bridge_mapping::{Account, AccountSchema, FieldValue, TargetKind};
use bridge_simulators::{
    CrmComOptions, NetsapiensOptions, Options, Simulator, credentials, start_crm_com, start_glance, start_netsapiens,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

/// The password that the tests fill in wherever a call needs one.
pub(crate) const SECRET: &str = "Planted-Secret-4711";
/// The PIN that the tests fill in.
const PIN: &str = "4711081516";
/// The SCIM id of the wanted account.
pub(crate) const MARKER: &str = "b7c1f2d0-emp-4711";

pub(crate) struct Subject {
    pub(crate) connector: Box<dyn Connector>,
    pub(crate) simulator: Simulator,
    pub(crate) account: Account,
    /// A change to the account, by difference.
    pub(crate) change: (&'static str, Value),
    /// The vendor's operations for the simulator's faults.
    pub(crate) create: &'static str,
    pub(crate) update: &'static str,
    pub(crate) read: &'static str,
    pub(crate) hands: Arc<AtomicI64>,
}

pub(crate) fn account(kind: TargetKind, fields: &Value) -> Account {
    let mut account = Account::new(kind);
    for (name, value) in fields.as_object().unwrap() {
        account.fields.insert(name.clone(), serde_json::from_value(value.clone()).unwrap());
    }
    account
}

pub(crate) fn options() -> Options {
    Options { now: Some(start()), ..Options::default() }
}

fn start() -> Timestamp {
    "2024-05-02T10:11:12Z".parse().unwrap()
}

fn clock() -> (Clock, Arc<AtomicI64>) {
    let hands = Arc::new(AtomicI64::new(start().as_second()));
    let shared = Arc::clone(&hands);
    (Arc::new(move || Timestamp::from_second(shared.load(Ordering::Relaxed)).unwrap()), hands)
}

pub(crate) fn common(simulator: &Simulator, timeout: Duration) -> CommonConfig {
    let base_url = Url::parse(&simulator.api_url()).unwrap();
    CommonConfig { base_url, timeout, manners: Manners::new(4, 0) }
}

/// Far longer than any reply takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn glance_config() -> glance::Config {
    glance::Config {
        partner_login: credentials::glance::PARTNER_LOGIN.into(),
        credential: glance::Credential::Password(credentials::glance::PARTNER_PASSWORD.into()),
        partner_id: Some(credentials::glance::PARTNER_ID.into()),
        address_suffix: ".glance.net".into(),
        element_names: BTreeMap::new(),
    }
}

pub(crate) fn netsapiens_config() -> netsapiens::Config {
    netsapiens::Config {
        domain: credentials::netsapiens::DOMAIN.into(),
        credential: netsapiens::Credential::ApiKey(credentials::netsapiens::API_KEY.into()),
        suspend_dial_policy: Some("Deny All".into()),
        delete_devices_on_suspend: false,
        synchronous: true,
    }
}

pub(crate) fn netsapiens_password() -> netsapiens::Credential {
    netsapiens::Credential::Password {
        client_id: credentials::netsapiens::CLIENT_ID.into(),
        client_secret: credentials::netsapiens::CLIENT_SECRET.into(),
        username: credentials::netsapiens::USERNAME.into(),
        password: credentials::netsapiens::PASSWORD.into(),
    }
}

pub(crate) fn crm_com_config() -> crm_com::Config {
    crm_com::Config {
        credential: crm_com::Credential::WebApiKey(credentials::crm_com::WEB_API_KEY.into()),
        unit: None,
        template_by: crm_com::TemplateBy::Name,
        templates: BTreeMap::new(),
        marker_field: "udf_string_1".into(),
        soft_lock_out: false,
        update_method: Some("users/update".into()),
        list_by: Some(crm_com::ListBy {
            filter: crm_com::ListFilter::Unit,
            by: "id".into(),
            value: credentials::crm_com::UNIT_ID.into(),
        }),
        error_patterns: Vec::new(),
    }
}

impl Subject {
    pub(crate) async fn glance() -> Self {
        Self::glance_with(glance_config(), PATIENCE).await
    }

    pub(crate) async fn glance_with(config: glance::Config, timeout: Duration) -> Self {
        let simulator = start_glance(&options()).await.unwrap();
        let (clock, hands) = clock();
        let fields = json!({
            "PartnerUserID": MARKER, "UserAddress": "dana.ortiz.acme.glance.net", "UserFirst": "Dana", "UserLast": "Ortiz",
            "UserEmail": "dana.ortiz@acme.example", "UserRole": "Support", "UserPW": {"secret": "generated"}
        });
        Self {
            connector: Box::new(glance::connect(&common(&simulator, timeout), config, clock).unwrap()),
            simulator,
            account: account(TargetKind::Glance, &fields),
            change: ("UserLast", json!("Otero")),
            create: "NewUser",
            update: "UpdateUser",
            read: "ShowUsers",
            hands,
        }
    }

    pub(crate) async fn netsapiens() -> Self {
        Self::netsapiens_with(netsapiens_config(), NetsapiensOptions::default(), PATIENCE).await
    }

    pub(crate) async fn netsapiens_with(config: netsapiens::Config, pbx: NetsapiensOptions, timeout: Duration) -> Self {
        let simulator = start_netsapiens(&Options { netsapiens: pbx, ..options() }).await.unwrap();
        let (clock, hands) = clock();
        let fields = json!({
            "user": "1042", "name-first-name": "Dana", "name-last-name": "Ortiz",
            "login-username": "dana.ortiz@acme.example", "email-address": "dana.ortiz@acme.example",
            "user-scope": "Basic User", "department": "Support", "voicemail-login-pin": {"secret": "supplied"}
        });
        Self {
            connector: Box::new(netsapiens::connect(&common(&simulator, timeout), config, clock).unwrap()),
            simulator,
            account: account(TargetKind::Netsapiens, &fields),
            change: ("department", json!("Sales")),
            create: "POST users",
            update: "PUT users/{user}",
            read: "GET users/{user}",
            hands,
        }
    }

    pub(crate) async fn crm_com() -> Self {
        let options = CrmComOptions { update_method: Some("users/update".into()), ..CrmComOptions::default() };
        Self::crm_com_with(crm_com_config(), options, PATIENCE).await
    }

    pub(crate) async fn crm_com_with(config: crm_com::Config, crm: CrmComOptions, timeout: Duration) -> Self {
        let simulator = start_crm_com(&Options { crm_com: crm, ..options() }).await.unwrap();
        let (clock, hands) = clock();
        let fields = json!({
            "user_template_identifier": "Agent", "username": "dana.ortiz", "password": {"secret": "generated"},
            "password_confirmation": {"secret": "generated"}, "first_name": "Dana", "last_name": "Ortiz",
            "email": "dana.ortiz@acme.example", "udf_string_1": MARKER
        });
        Self {
            connector: Box::new(crm_com::connect(&common(&simulator, timeout), config, clock).unwrap()),
            simulator,
            account: account(TargetKind::CrmCom, &fields),
            change: ("email", json!("dana.otero@acme.example")),
            create: "users/create",
            update: "users/update",
            read: "users/show",
            hands,
        }
    }

    /// This kind with a connector that gives up soon.
    pub(crate) async fn impatient(kind: TargetKind) -> Self {
        let soon = Duration::from_millis(700);
        match kind {
            TargetKind::Glance => Self::glance_with(glance_config(), soon).await,
            TargetKind::Netsapiens => {
                Self::netsapiens_with(netsapiens_config(), NetsapiensOptions::default(), soon).await
            }
            TargetKind::CrmCom => {
                let options = CrmComOptions { update_method: Some("users/update".into()), ..CrmComOptions::default() };
                Self::crm_com_with(crm_com_config(), options, soon).await
            }
        }
    }

    /// This kind with a credential that is wrong.
    pub(crate) async fn uninvited(kind: TargetKind) -> Self {
        match kind {
            TargetKind::Glance => {
                let credential = glance::Credential::Password(SECRET.into());
                Self::glance_with(glance::Config { credential, ..glance_config() }, PATIENCE).await
            }
            TargetKind::Netsapiens => {
                let credential = netsapiens::Credential::ApiKey(SECRET.into());
                let config = netsapiens::Config { credential, ..netsapiens_config() };
                Self::netsapiens_with(config, NetsapiensOptions::default(), PATIENCE).await
            }
            TargetKind::CrmCom => {
                let credential = crm_com::Credential::WebApiKey(SECRET.into());
                let config = crm_com::Config { credential, ..crm_com_config() };
                Self::crm_com_with(config, CrmComOptions::default(), PATIENCE).await
            }
        }
    }

    pub(crate) fn kind(&self) -> TargetKind {
        self.connector.kind()
    }

    pub(crate) fn schema(&self) -> &'static AccountSchema {
        AccountSchema::embedded(self.kind())
    }

    /// What the engine would know the account by.
    pub(crate) fn keys(&self) -> AccountKeys {
        let email = ["UserEmail", "email-address", "email"];
        let is_key = |name: &str| {
            self.schema().field(name).is_some_and(|field| field.natural_key || field.unique) || email.contains(&name)
        };
        let fields = self.account.fields.keys().filter(|name| is_key(name));
        AccountKeys {
            remote_id: None,
            fields: fields.filter_map(|name| Some((name.clone(), self.account.text(name)?.to_owned()))).collect(),
            marker: MARKER.into(),
            search: false,
        }
    }

    /// What the tests fill in for a secret of this kind.
    pub(crate) fn secret(&self) -> &'static str {
        if self.kind() == TargetKind::Netsapiens { PIN } else { SECRET }
    }

    pub(crate) fn natural_key(&self) -> String {
        self.account.natural_key(self.schema()).unwrap()
    }

    pub(crate) fn plan(&self, presence: Presence, observed: &Observed, kept: Option<&BTreeMap<String, Value>>) -> Plan {
        let keys = AccountKeys { remote_id: observed.remote_id.clone(), ..self.keys() };
        // Whatever the connectors ask for by name is known here (`secret`).
        let made = BTreeSet::from(["password_while_locked_out".to_owned()]);
        let account = Some(&self.account);
        let wanted = Wanted { presence, account, keys: &keys, kept, secrets_changed: false, made: &made };
        self.connector.plan(&wanted, observed)
    }

    /// Fills in the secrets and sends.
    pub(crate) async fn send(&self, call: &Call) -> Result<Effect, TargetError> {
        let mut call = call.clone();
        for (field, _) in call.needs_secrets() {
            call.fill(&field, self.secret().into());
        }
        self.connector.send(&call).await
    }

    /// Plans, sends every call, and returns the account as it is then known, with the snapshot of a suspension.
    pub(crate) async fn converge(
        &self,
        presence: Presence,
        observed: &Observed,
        kept: Option<&BTreeMap<String, Value>>,
    ) -> (Observed, Option<BTreeMap<String, Value>>) {
        let plan = self.plan(presence, observed, kept);
        let mut observed = observed.clone();
        let mut kept = plan.keep;
        for call in &plan.calls {
            let effect = match (self.send(call).await, &call.if_refused) {
                (Err(TargetError::Refused { .. }), Some(effect)) => effect.clone(),
                (reply, _) => reply.unwrap(),
            };
            observed.apply(&effect);
            kept.iter_mut().for_each(|kept| kept.extend(effect.kept.clone()));
        }
        (observed, kept)
    }

    /// Makes the account.
    pub(crate) async fn created(&self) -> Observed {
        self.converge(Presence::Active, &Observed::absent(), None).await.0
    }

    /// The one call that makes the account.
    pub(crate) fn create_call(&self) -> Call {
        self.plan(Presence::Active, &Observed::absent(), None).calls.remove(0)
    }

    pub(crate) async fn observe(&self) -> Observed {
        self.connector.observe(&self.keys()).await.unwrap()
    }

    pub(crate) fn set(&mut self, field: &str, value: Value) {
        self.account.fields.insert(field.into(), FieldValue::Plain(value));
    }

    /// The simulator's own account with the wanted natural key.
    pub(crate) fn remote(&self) -> Option<Value> {
        let name = &self.schema().natural_key().name;
        self.simulator.accounts().into_iter().find(|account| account[name] == json!(self.natural_key()))
    }

    /// The operations that the simulator has carried out, oldest first.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.simulator.calls().iter().map(|call| call["operation"].as_str().unwrap().to_owned()).collect()
    }
}
