//! What the file accepts and how it refuses, as an administrator sees it.

use std::time::Duration;

use bridge_mapping::TargetKind;
use secrecy::ExposeSecret as _;

use super::*;

/// A folder with one secret in it, to resolve `{ file = "secret" }`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "s3cret\n").unwrap();
    folder
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, folder().path())
}

/// The text is refused with exactly these lines.
fn refused(text: &str, expected: &str) {
    match parse(text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => assert_eq!(error.to_string(), expected, "\n{text}"),
    }
}

const GLANCE: &str = r#"
[tenants.acme.targets.glance]
kind = "glance"
partner_login = "admin.acme.glance.net"
partner_password = { file = "secret" }
"#;

const PBX: &str = r#"
[tenants.acme.targets.pbx]
kind = "netsapiens"
base_url = "https://pbx.example/ns-api/v2"
domain = "acme.example"
api_key = { file = "secret" }
"#;

const CRM: &str = r#"
[tenants.acme.targets.crm]
kind = "crm_com"
base_url = "https://crm.example/crmapi/rest/v2/"
web_api_key = { file = "secret" }
"#;

#[test]
fn an_empty_file_is_a_bridge_without_tenants_on_loopback() {
    let config = parse("").unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.admin_listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.server.public_url.as_str(), "http://127.0.0.1:8080/");
    assert!(!config.server.public_url_is_given);
    assert_eq!(config.server.wait, Duration::from_secs(4));
    assert_eq!(config.server.max_body, 1 << 20);
    assert_eq!((config.server.bulk_max_operations, config.server.bulk_max_payload), (1000, 1 << 20));
    let store = &config.store;
    assert_eq!((store.journal_days, store.deleted_days, store.audit_days), (30, 90, 365));
    assert!(config.tenants.is_empty());
}

#[test]
fn defaults_follow_the_kind_of_target() {
    let config = parse(&[GLANCE, PBX, CRM].concat()).unwrap();
    let targets = &config.tenants["acme"].targets;
    let (glance, pbx, crm) = (&targets["glance"], &targets["pbx"], &targets["crm"]);
    assert_eq!(glance.base_url.as_str(), "https://www.glance.net/PAPI/");
    assert_eq!(pbx.base_url.as_str(), "https://pbx.example/ns-api/v2/");
    assert_eq!(
        [glance.on_delete, pbx.on_delete, crm.on_delete],
        [Deprovision::Suspend, Deprovision::Delete, Deprovision::Suspend]
    );
    assert_eq!([glance.max_in_flight, pbx.max_in_flight, crm.max_in_flight], [1, 2, 2]);
    assert_eq!([glance, pbx, crm].map(|target| target.accounts_at_once()), [1, 3, 3]);
    for target in [glance, pbx, crm] {
        assert_eq!((target.rate_per_second, target.timeout), (5, Duration::from_secs(30)));
    }
    assert_eq!(pbx.settle_lag, Duration::from_secs(10));
    assert_eq!((glance.mode, glance.adopt, glance.required), (Mode::Send, Adopt::Review, true));
    assert_eq!(glance.settings["address_suffix"], ".glance.net");
    assert_eq!(pbx.settings["domain"], "acme.example");
    assert_eq!(crm.group_wait, Duration::from_secs(900));
    assert_eq!(crm.connection.kind(), TargetKind::CrmCom);
    let ConnectorConfig::Glance(glance) = &glance.connection else { panic!("not glance") };
    let bridge_connectors::glance::Credential::Password(password) = &glance.credential else { panic!("no password") };
    assert_eq!(password.expose_secret(), "s3cret");
}

#[test]
fn a_tenant_takes_inactive_users_up_only_if_it_says_so() {
    for (line, expected) in [("", false), ("restore_on_create = false", false), ("restore_on_create = true", true)] {
        let config = parse(&format!("[tenants.acme]\n{line}\n")).unwrap();
        assert_eq!(config.tenants["acme"].restore_on_create, expected, "{line}");
    }
    let error = parse("[tenants.acme]\nrestore_on_create = \"yes\"\n").unwrap_err().to_string();
    assert!(error.contains("tenants.acme.restore_on_create"), "{error}");
}

#[test]
fn requests_are_limited_far_above_what_identity_providers_send_unless_it_is_told_otherwise() {
    let limit = |line: &str| {
        let config = parse(&format!("[tenants.acme]\n{line}\n")).unwrap();
        config.tenants["acme"].requests.map(|limit| (limit.per_second.get(), limit.burst.get()))
    };
    assert_eq!(limit(""), Some((500, 1_000)));
    assert_eq!(limit("limits = { requests_per_second = 50 }"), Some((50, 100)));
    assert_eq!(limit("limits = { requests_per_second = 50, burst = 5 }"), Some((50, 5)));
    assert_eq!(limit("limits = { burst = 7 }"), Some((500, 7)));
    assert_eq!(limit("limits = { requests_per_second = 0 }"), None);
    let refuse = |line: &str, expected: &str| refused(&format!("[tenants.acme]\nlimits = {{ {line} }}\n"), expected);
    refuse("burts = 5", "2:12: tenants.acme.limits.burts: unknown key; did you mean `burst`?");
    let zero = parse("[tenants.acme]\nlimits = { burst = 0 }\n").unwrap_err().to_string();
    assert!(zero.contains("2:20: tenants.acme.limits"), "{zero}");
}

#[test]
fn group_tables_keep_their_order() {
    let text = format!(
        "{GLANCE}\n[tenants.acme.targets.glance.map]\nUserRole = {{ groups = {{ Zebra = \"Z\", Ape = \"A\", \"*\" = \"B\" }} }}\n"
    );
    let config = parse(&text).unwrap();
    let groups = config.tenants["acme"].targets["glance"].map["UserRole"]["groups"].as_table().unwrap();
    assert_eq!(groups.keys().collect::<Vec<_>>(), ["Zebra", "Ape", "*"]);
}

#[test]
fn unknown_keys_are_refused_with_their_place_and_what_was_meant() {
    refused("[server]\nlisen = \"127.0.0.1:1\"\n", "2:1: server.lisen: unknown key; did you mean `listen`?");
    refused("[sever]\n", "1:2: sever: unknown key; did you mean `server`?");
    refused(
        "[store]\n  frobnicate = 1\n",
        "2:3: store.frobnicate: unknown key; there are audit_days, deleted_days, index, journal_days, keys, url",
    );
    refused(
        &format!("{GLANCE}adress_suffix = \".glance.net\"\n"),
        "6:1: tenants.acme.targets.glance.adress_suffix: unknown key; did you mean `address_suffix`?",
    );
    refused(
        &format!("{GLANCE}suspend_dial_policy = \"Deny All\"\n"),
        "6:1: tenants.acme.targets.glance.suspend_dial_policy: unknown key here; it belongs to targets of kind \"netsapiens\"",
    );
    refused(
        &format!("{CRM}templates = {{ Agent = {{ ctl = true }} }}\n"),
        "6:25: tenants.acme.targets.crm.templates.Agent.ctl: unknown key; did you mean `cti`?",
    );
    refused(
        "[server]\nadmin_token = { environment = \"X\" }",
        "2:17: server.admin_token.environment: unknown key; there are env, file",
    );
}

#[test]
fn every_unknown_key_is_reported_at_once() {
    refused(
        "[server]\na1 = 1\nlisten_ = 2\n[alert]\n",
        "2:1: server.a1: unknown key; there are admin_listen, admin_token, bulk_max_operations, bulk_max_payload, listen, max_body, public_url, shutdown_grace, wait, workers\n3:1: server.listen_: unknown key; did you mean `listen`?\n4:2: alert: unknown key; did you mean `alerts`?",
    );
}

#[test]
fn values_are_refused_with_their_place() {
    refused(
        "[server]\nwait = 4\n",
        "2:8: server.wait: invalid type: integer `4`, expected a duration as text, such as \"4s\", \"250ms\", \"15m\" or \"30d\"",
    );
    refused(
        "[server]\nwait = \"soon\"\n",
        "2:8: server.wait: \"soon\" is not a duration; write \"4s\", \"250ms\", \"15m\", \"2h\" or \"30d\"",
    );
    refused("[server]\nwait = \"55s\"\n", "2:1: server.wait: is at most 50s; identity providers give up after 60 s");
    refused(
        "[server]\nlisten = \"localhost\"\n",
        "2:10: server.listen: \"localhost\" is not an IP address with a port; write \"127.0.0.1:8080\" or \"0.0.0.0:8080\"",
    );
    refused("[server]\nmax_body = \"12\"\n", "2:1: server.max_body: is at least 1KiB");
    refused("[server]\nbulk_max_payload = \"12\"\n", "2:1: server.bulk_max_payload: is at least 1KiB");
    for count in ["0", "1", "10001"] {
        let problem = "2:1: server.bulk_max_operations: is at least 2 and at most 10000";
        refused(&format!("[server]\nbulk_max_operations = {count}\n"), problem);
    }
    refused("[server]\nworkers = 0\n", "2:11: server.workers: invalid value: integer `0`, expected a nonzero usize");
    refused(
        "[store]\njournal_days = 0\n",
        "2:16: store.journal_days: invalid value: integer `0`, expected a nonzero u32",
    );
    refused(
        "[store]\nurl = \"postgres://db/bridge\"\n",
        "2:1: store.url: PostgreSQL is not built into this release; write \"sqlite:bridge.db\"",
    );
    refused("[store]\nurl = \"bridge.db\"\n", "2:1: store.url: is \"sqlite:PATH\"");
    refused("[server\n", "1:8: unclosed table, expected `]`");
    refused("tenants = 4\n", "1:11: tenants: is a table of names, not a integer");
}

#[test]
fn every_wrong_value_of_a_table_is_reported_at_once_with_its_key() {
    refused(
        "[server]\nlisten = \"localhost:7180\"\npublic_url = \"scim.acme.example\"\nwait = \"4\"\n",
        "2:10: server.listen: \"localhost:7180\" is not an IP address with a port; write \"127.0.0.1:8080\" or \"0.0.0.0:8080\"\n\
         3:14: server.public_url: is not a whole address (relative URL without a base); write \"https://scim.example.com\", scheme first\n\
         4:8: server.wait: \"4\" is not a duration; write \"4s\", \"250ms\", \"15m\", \"2h\" or \"30d\"",
    );
    refused(
        "[alerts]\nwebhook = \"hooks.example\"\n",
        "2:11: alerts.webhook: is not a whole address (relative URL without a base); write \"https://scim.example.com\", scheme first",
    );
    refused(
        &format!("{PBX}mode = \"hodl\"\nrequired = \"yes\"\nadopt = \"perhaps\"\n"),
        "7:8: tenants.acme.targets.pbx.mode: unknown variant `hodl`, expected one of `send`, `hold`, `plan`\n\
         8:12: tenants.acme.targets.pbx.required: invalid type: string \"yes\", expected a boolean\n\
         9:9: tenants.acme.targets.pbx.adopt: unknown variant `perhaps`, expected one of `review`, `match`, `never`",
    );
    refused(
        "[tenants.acme.pools.extension]\nconfirmed_by = 7\ncool_off = \"long\"\n",
        "1:1: tenants.acme.pools.extension: missing field `ranges`\n\
         2:16: tenants.acme.pools.extension.confirmed_by: invalid type: integer `7`, expected a string\n\
         3:12: tenants.acme.pools.extension.cool_off: \"long\" is not a duration; write \"4s\", \"250ms\", \"15m\", \"2h\" or \"30d\"",
    );
}

#[test]
fn two_servers_do_not_listen_at_one_address() {
    refused(
        "[server]\nlisten = \"127.0.0.1:8081\"\n",
        "1:2: server.admin_listen: is the address of listen; give the admin server another port",
    );
    assert!(parse("[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n").is_ok());
}

#[test]
fn a_scope_without_groups_is_no_list_of_none() {
    refused(
        &format!("{PBX}scope = {{ groups = [] }}\n"),
        "7:11: tenants.acme.targets.pbx.scope.groups: is empty; name the groups, or leave the key out: then everybody has an account here",
    );
}

#[test]
fn secrets_are_never_written_in_the_file() {
    let how = "write { env = \"NAME\" } for an environment variable or { file = \"path\" } for a file that holds it";
    refused(
        "[server]\nadmin_token = \"hunter2\"\n",
        &format!("2:15: server.admin_token: a secret is not written in this file; {how}"),
    );
    refused(
        "[server]\nadmin_token = 7\n",
        &format!("2:15: server.admin_token: a secret is not written in this file; {how}"),
    );
    refused("[server]\nadmin_token = {}\n", &format!("2:15: server.admin_token: a secret has a source; {how}"));
    refused(
        "[server]\nadmin_token = { env = \"A\", file = \"b\" }\n",
        &format!("2:15: server.admin_token: a secret has one source; {how}"),
    );
    refused(
        "[server]\nadmin_token = { env = \"NO_SUCH_VARIABLE_HERE\" }\n",
        "2:1: server.admin_token: the environment variable NO_SUCH_VARIABLE_HERE is not set",
    );
    refused(
        "[store]\nkeys = [{ file = \"secret\" }]\n",
        "2:1: store.keys: a key is 32 bytes in base64; this is not base64",
    );
}

#[test]
fn whatever_stands_where_a_secret_is_expected_is_never_repeated() {
    let targets = format!("{GLANCE}{PBX}{CRM}");
    let mut places = Vec::from(["partner_password", "\napi_key", "web_api_key"].map(|key| {
        let line = format!("{key} = {{ file = \"secret\" }}");
        let (before, after) = targets.split_once(&line).unwrap();
        (format!("{before}{key} = "), after.to_owned())
    }));
    places.push(("[server]\nadmin_token = ".to_owned(), String::new()));
    places.push(("[store]\nkeys = ".to_owned(), String::new()));
    places.push(("[alerts]\nwebhook = \"https://hooks.example/\"\ntoken = ".to_owned(), String::new()));
    for (before, after) in places {
        for literal in [
            "\"31337\"",
            "'''31337'''",
            "31337",
            "-31337",
            "31337.5",
            "31337000000000000000",
            "31337000000000000000000000000000000000000000000000",
            "0x31337",
            "1979-05-27T07:32:00.31337Z",
            "[\"31337\"]",
            "[31337]",
            "[[\"31337\"]]",
            "[{ env = 31337 }]",
            "{ env = 31337 }",
            "{ file = [\"31337\"] }",
            "{ env = { file = \"31337\" } }",
            "s31337",
        ] {
            let error = parse(&format!("{before}{literal}{after}\n")).unwrap_err().to_string();
            assert!(!error.contains("31337"), "{literal}: {error}");
        }
        assert!(parse(&format!("{before}true{after}\n")).is_err());
    }
}

#[test]
fn secrets_are_never_printed() {
    let text = format!("{}{GLANCE}", "[server]\nadmin_token = { file = \"secret\" }\n");
    assert!(!format!("{:?}", parse(&text).unwrap()).contains("s3cret"));
}

#[test]
fn the_admin_api_beyond_loopback_needs_a_token() {
    refused(
        "[server]\nadmin_listen = \"0.0.0.0:8081\"\n",
        "1:2: server.admin_token: is missing; beyond loopback the admin API needs a bearer token",
    );
    assert!(parse("[server]\nadmin_listen = \"0.0.0.0:8081\"\nadmin_token = { file = \"secret\" }\n").is_ok());
}

#[test]
fn listening_on_every_address_needs_a_public_one() {
    refused(
        "[server]\nlisten = \"0.0.0.0:8080\"\n",
        "1:2: server.public_url: is missing; listen is every address of this machine, clients need one",
    );
}

#[test]
fn names_are_what_a_url_and_a_rule_can_carry() {
    refused(
        "[tenants.Acme_1]\n",
        "1:10: tenants.Acme_1: a tenant's name is part of its URL: up to 63 lower-case letters, digits and dashes, a letter or digit first",
    );
    refused(
        &GLANCE.replace("targets.glance", "targets.\"gl ance\""),
        "2:23: tenants.acme.targets.gl ance: a target's name is up to 63 lower-case letters, digits, dashes and underscores, a letter or digit first",
    );
    refused(
        "[tenants.acme.pools.my-pool]\nranges = [\"1-9\"]\n",
        "1:21: tenants.acme.pools.my-pool: a pool's name is used as assigned.NAME: up to 63 lower-case letters, digits and underscores, a letter first",
    );
}

#[test]
fn pools_hold_ranges_that_a_target_confirms() {
    let pool = |keys: &str| format!("{PBX}[tenants.acme.pools.extension]\n{keys}\n");
    let config =
        parse(&pool("ranges = [\"0100-0199\", \"1000-1999\"]\nconfirmed_by = \"pbx\"\ncool_off = \"7d\"")).unwrap();
    let extension = &config.tenants["acme"].pools["extension"];
    assert_eq!(extension.ranges[0].text(100), "0100");
    assert_eq!(extension.cool_off, Duration::from_secs(7 * 86_400));
    refused(&pool("ranges = []"), "8:1: tenants.acme.pools.extension.ranges: is empty; write [\"1000-1999\"]");
    refused(
        &pool("ranges = [\"1000-1999\", \"1999-2999\"]"),
        "8:1: tenants.acme.pools.extension.ranges: 1999-2999 overlaps an earlier range",
    );
    refused(
        &pool("ranges = [\"1999-1000\"]"),
        "8:10: tenants.acme.pools.extension.ranges: \"1999-1000\" runs backwards; write the smaller number first",
    );
    refused(
        &pool("ranges = [\"1-9\"]\nconfirmed_by = \"pxb\""),
        "9:1: tenants.acme.pools.extension.confirmed_by: there is no target \"pxb\"; did you mean \"pbx\"?",
    );
}

#[test]
fn the_order_of_targets_never_leads_back() {
    refused(
        &format!("{PBX}after = [\"crm\"]\n"),
        "7:1: tenants.acme.targets.pbx.after: there is no target \"crm\"; there are pbx",
    );
    refused(
        &format!("{PBX}after = [\"pbx\"]\n"),
        "7:1: tenants.acme.targets.pbx.after: leads back to itself: pbx after pbx",
    );
    refused(
        &format!("{PBX}after = [\"crm\"]\n{CRM}after = [\"pbx\"]\n"),
        "7:1: tenants.acme.targets.pbx.after: leads back to itself: pbx after crm after pbx\n\
         13:1: tenants.acme.targets.crm.after: leads back to itself: crm after pbx after crm",
    );
    assert!(parse(&format!("{PBX}after = []\n{CRM}after = [\"pbx\"]\n")).is_ok());
}

#[test]
fn credentials_travel_over_https_or_within_the_machine() {
    let with = |address: &str| PBX.replace("https://pbx.example/ns-api/v2", address);
    refused(
        &with("http://pbx.example/ns-api/v2"),
        "4:1: tenants.acme.targets.pbx.base_url: starts with https://; plain http is for loopback only, because a credential is sent along",
    );
    refused(&with("ftp://pbx.example/"), "4:1: tenants.acme.targets.pbx.base_url: starts with https://");
    refused(
        &with("https://me:pw@pbx.example/"),
        "4:1: tenants.acme.targets.pbx.base_url: holds a credential; credentials have their own keys",
    );
    refused(
        &with("https://pbx.example/?a=b"),
        "4:1: tenants.acme.targets.pbx.base_url: ends with the path; it has no query and no fragment",
    );
    for address in ["http://127.0.0.1:9/x", "http://[::1]:9/x", "http://localhost:9/x"] {
        assert!(parse(&with(address)).is_ok(), "{address}");
    }
    refused(
        "[alerts]\nwebhook = \"https://me:pw@hooks.example/\"\n",
        "2:1: alerts.webhook: holds a credential; credentials have their own keys",
    );
    // Some are signed in their query, and some are secrets as a whole.
    let webhook = |text: &str| parse(&format!("[alerts]\nwebhook = {text}\n")).unwrap().alerts.unwrap().webhook;
    assert_eq!(webhook("\"https://hooks.example/x?sig=1\"").as_str(), "https://hooks.example/x?sig=1");
    refused(
        "[alerts]\nwebhook = \"http://hooks.example/\"\n",
        "2:1: alerts.webhook: starts with https://; plain http is for loopback only, because a credential is sent along",
    );
}

#[test]
fn a_target_has_one_complete_credential() {
    refused(
        &GLANCE.replace("partner_password = { file = \"secret\" }", ""),
        "2:23: tenants.acme.targets.glance: needs partner_password, or api_key with partner_user_id and partner_id",
    );
    refused(
        &GLANCE.replace("partner_password", "partner_id = \"98765\"\napi_key"),
        "2:23: tenants.acme.targets.glance.partner_user_id: is missing; goes with api_key: the administrator's own partner user id",
    );
    refused(
        &format!("{GLANCE}api_key = {{ file = \"secret\" }}\n"),
        "6:1: tenants.acme.targets.glance.api_key: there is a partner_password too; keep one of them",
    );
    refused(
        &PBX.replace("api_key = { file = \"secret\" }", "username = \"bridge\""),
        "2:23: tenants.acme.targets.pbx.client_secret: is missing; a sign-in needs client_id, client_secret, username and password\n\
         2:23: tenants.acme.targets.pbx.password: is missing; a sign-in needs client_id, client_secret, username and password",
    );
    refused(
        &CRM.replace("web_api_key = { file = \"secret\" }", ""),
        "2:23: tenants.acme.targets.crm: needs web_api_key, or a sign-in: username, password and organisation",
    );
}

#[test]
fn a_target_is_asked_for_nothing_it_cannot_do() {
    refused(
        &format!("{CRM}on_delete = \"delete\"\n"),
        "6:1: tenants.acme.targets.crm.on_delete: crm_com has no way to delete a user; write \"suspend\" or \"keep\"",
    );
    refused(
        &PBX.replace("base_url = \"https://pbx.example/ns-api/v2\"\n", ""),
        "2:23: tenants.acme.targets.pbx.base_url: is missing; each netsapiens installation has its own address",
    );
    refused(
        &PBX.replace("netsapiens", "netsapien"),
        "3:8: tenants.acme.targets.pbx.kind: unknown variant `netsapien`, expected one of `glance`, `netsapiens`, `crm_com`",
    );
    refused(&PBX.replace("kind = \"netsapiens\"", ""), "2:1: tenants.acme.targets.pbx: missing field `kind`");
    refused(
        &GLANCE.replace("partner_password", "address_domain = \"acme.example\"\npartner_password"),
        "5:1: tenants.acme.targets.glance.address_domain: does not end in .glance.net, as every address here must",
    );
    refused(
        &format!("{PBX}renamed_from = \"pbx\"\n"),
        "7:1: tenants.acme.targets.pbx.renamed_from: the target pbx is still here",
    );
}

#[test]
fn a_brake_is_on_unless_it_is_told_otherwise() {
    let brake = |keys: &str| {
        let config = parse(&format!("{PBX}[tenants.acme.targets.pbx.brake]\n{keys}\n")).unwrap();
        let brake = config.tenants["acme"].targets["pbx"].brake;
        (brake.count, brake.share, brake.window.as_secs())
    };
    assert_eq!(brake(""), (Some(100), None, 3_600));
    assert_eq!(brake("count = 0"), (None, None, 3_600));
    assert_eq!(brake("count = 50\nshare = \"10%\"\nwindow = \"1d\""), (Some(50), Some(10), 86_400));
    assert_eq!(parse(PBX).unwrap().tenants["acme"].targets["pbx"].brake.count, Some(100));
    let refuse =
        |keys: &str, expected: &str| refused(&format!("{PBX}[tenants.acme.targets.pbx.brake]\n{keys}\n"), expected);
    refuse("window = \"0s\"", "8:1: tenants.acme.targets.pbx.brake.window: is more than zero");
    refuse("cuont = 1", "8:1: tenants.acme.targets.pbx.brake.cuont: unknown key; did you mean `count`?");
    refuse(
        "share = \"half\"",
        "8:9: tenants.acme.targets.pbx.brake.share: \"half\" is not a share; write \"1%\" to \"100%\"",
    );
}

#[test]
fn a_file_is_named_in_its_errors() {
    let folder = folder();
    let path = folder.path().join("bridge.toml");
    std::fs::write(&path, "[server]\nlisen = 1\n").unwrap();
    let error = Config::load(&path).unwrap_err().to_string();
    assert_eq!(error, format!("{}:2:1: server.lisen: unknown key; did you mean `listen`?", path.display()));
    let missing = Config::load(&folder.path().join("nowhere.toml")).unwrap_err().to_string();
    assert!(missing.contains("nowhere.toml: cannot be read: "), "{missing}");
}

#[test]
fn a_database_is_found_beside_the_configuration() {
    let folder = folder();
    let config = Config::parse("[store]\nurl = \"sqlite:data/b.db\"\n", folder.path()).unwrap();
    assert_eq!(config.store.url, StoreUrl::Sqlite(folder.path().join("data/b.db")));
    let config = Config::parse("[store]\nurl = \"sqlite:///var/lib/b.db\"\n", folder.path()).unwrap();
    assert_eq!(config.store.url, StoreUrl::Sqlite("/var/lib/b.db".into()));
}

/// The example with each `{ env = … }` turned into a file, so that the test needs no environment.
fn example() -> (tempfile::TempDir, String) {
    let folder = folder();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    std::fs::write(folder.path().join("secrets/admin_token"), "t0ken").unwrap();
    std::fs::write(folder.path().join("secrets/store_key"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let text = include_str!("../../../../deploy/example.toml");
    let text = text.lines().map(|line| match line.split_once("{ env = \"") {
        Some((before, after)) => format!("{before}{{ file = \"secret\" }}{}", after.split_once('}').unwrap().1),
        None => line.to_owned(),
    });
    (folder, text.collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_example_file_is_a_valid_configuration() {
    let (folder, text) = example();
    let config = Config::parse(&text, folder.path()).unwrap();
    assert_eq!(config.tenants["acme"].targets.keys().collect::<Vec<_>>(), ["crm", "glance", "pbx"]);
    assert_eq!(config.store.keys[0].bytes()[31], 31);
}

#[test]
fn the_example_file_fits_the_printed_schema() {
    let (_folder, text) = example();
    let file = serde_json::to_value(toml::from_str::<toml::Table>(&text).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&file).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(errors, Vec::<String>::new());
    let mut wrong = file;
    wrong["tenants"]["acme"]["targets"]["glance"]["suspend_dial_policy"] = "Deny All".into();
    assert!(!validator.is_valid(&wrong), "a key of another kind of target is not in the schema");
}

#[test]
fn every_key_has_a_line_in_the_example_file() {
    fn keys(schema: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
        match schema {
            serde_json::Value::Object(object) => {
                if let Some(serde_json::Value::Object(properties)) = object.get("properties") {
                    found.extend(properties.keys().cloned());
                }
                object.values().for_each(|inner| keys(inner, found));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|inner| keys(inner, found)),
            _ => (),
        }
    }
    let mut wanted = std::collections::BTreeSet::new();
    keys(&schema::INLINED, &mut wanted);
    assert!(wanted.len() > 60, "{wanted:?}");
    let text = include_str!("../../../../deploy/example.toml");
    let has = |key: &String| {
        text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_-".contains(letter))).any(|word| word == key)
    };
    assert_eq!(wanted.iter().filter(|key| !has(key)).collect::<Vec<_>>(), Vec::<&String>::new());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "([a-z_]{1,9}|\\[|\\]|=|\"|\\{|\\}|\\.|[0-9]|\n| |#|'|é){0,60}") {
        let _ = Config::parse(&text, Path::new("/nowhere"));
    }

    #[test]
    fn no_value_makes_the_reader_panic(value in ".{0,12}", key in "wait|max_body|listen|public_url|admin_token|shutdown_grace") {
        let text = toml::to_string(&toml::Table::from_iter([(key, toml::Value::String(value))])).unwrap();
        let _ = Config::parse(&format!("[server]\n{text}"), Path::new("/nowhere"));
    }

    #[test]
    fn a_pool_hands_out_what_its_text_says(first in 0u64..100_000, more in 0u64..1_000) {
        let (first, last) = (format!("{first:06}"), format!("{:06}", first + more));
        let text = format!("[tenants.t.pools.p]\nranges = [\"{first}-{last}\"]\n");
        let range = parse(&text).unwrap().tenants["t"].pools["p"].ranges[0];
        assert_eq!((range.text(range.first), range.text(range.last)), (first, last));
    }
}
