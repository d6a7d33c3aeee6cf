//! The command line as a whole: what it takes, and that nothing in it contradicts itself.

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn what_the_command_line_takes() {
    let check = |line: &str, is_taken: bool| {
        let parsed = Cli::try_parse_from(line.split_whitespace());
        assert_eq!(parsed.is_ok(), is_taken, "{line}: {:?}", parsed.err());
    };
    check("scim-bridge demo", true);
    check("scim-bridge demo --once --json --port 8080", true);
    check("scim-bridge serve --config f", true);
    check("scim-bridge serve", false);
    check("scim-bridge --log-format json serve --config f", true);
    check("scim-bridge serve --config f --log-format json", true);
    check("scim-bridge sim --glance-port 1 --netsapiens-port 2 --crm-com-port 3", true);
    check("scim-bridge sim --glance-port 70000", false);
    check("scim-bridge check --config f --online --json", true);
    check("scim-bridge check --print-schema", true);
    check("scim-bridge check", false);
    check("scim-bridge plan --config f --user u.json --tenant acme --json", true);
    check("scim-bridge plan --config f", false);
    check("scim-bridge token new --config f --label okta --expires 365d", true);
    check("scim-bridge token new --config f", false);
    check("scim-bridge token list --config f", true);
    check("scim-bridge token revoke --config f 0011223344556677", true);
    check("scim-bridge account list --config f --state parked --target pbx", true);
    check("scim-bridge account list", false);
    check("scim-bridge account retry --admin-url http://127.0.0.1:8081 u1 pbx", true);
    check("scim-bridge account retry --config f u1", false);
    check("scim-bridge account release --config f u1 pbx --tenant acme", true);
    check("scim-bridge account drop --config f u1 pbx", true);
    check("scim-bridge target list --config f", true);
    check("scim-bridge token new --config f --label", false);
    check("scim-bridge task list --config f", true);
    check("scim-bridge task done --config f u1 crm", true);
    check("scim-bridge request list --config f --resource u1", true);
    check("scim-bridge request show --config f 0197", true);
    check("scim-bridge link list --config f", true);
    check("scim-bridge link set --config f u1 pbx --remote-id 1001", true);
    check("scim-bridge account release --config f u1 pbx", true);
    check("scim-bridge account release --config f --held-at pbx", true);
    check("scim-bridge account release --config f u1", false);
    check("scim-bridge account release --config f u1 pbx --held-at pbx", false);
    check("scim-bridge store backup --config f b.db", true);
    check("scim-bridge", false);
    check("scim-bridge frobnicate", false);
}

#[test]
fn a_tenant_that_is_not_named_is_the_only_one_or_the_default_one() {
    let tenant = |text: &str| {
        let config = Config::parse(text, Path::new("/nowhere")).unwrap();
        only_tenant(&config, Path::new("bridge.toml")).map_err(|error| error.to_string())
    };
    assert_eq!(tenant("[tenants.acme]\n"), Ok("acme".to_owned()));
    assert_eq!(tenant("[tenants.acme]\n[tenants.default]\n"), Ok("default".to_owned()));
    let several = "say --tenant: in bridge.toml there are acme, corp";
    assert_eq!(tenant("[tenants.acme]\n[tenants.corp]\n"), Err(several.to_owned()));
    assert!(tenant("").unwrap_err().contains("there is no tenant in bridge.toml yet"));
}

#[test]
fn every_option_and_command_says_what_it_is_for() {
    fn walk(command: &clap::Command, path: &str) {
        for option in command.get_arguments().filter(|option| !["help", "version"].contains(&option.get_id().as_str()))
        {
            assert!(option.get_help().is_some(), "{path}: {} has no help", option.get_id());
        }
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            let path = format!("{path} {}", inner.get_name());
            assert!(inner.get_about().is_some(), "{path} has no help");
            walk(inner, &path);
        }
    }
    walk(&Cli::command(), "scim-bridge");
}
