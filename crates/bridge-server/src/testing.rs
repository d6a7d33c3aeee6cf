//! What the tests of several modules start with.

use std::path::Path;
use std::time::Duration;

use bridge_simulators::credentials;

use crate::config::Config;

/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

/// A bridge in front of a Glance alone, whose password is in the file `password` of this folder.
pub(crate) fn glance_alone(glance: &str, folder: &Path) -> Config {
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\n\
         [tenants.default.targets.glance]\nkind = \"glance\"\nbase_url = \"{glance}\"\npartner_login = \"{}\"\n\
         partner_password = {{ file = \"password\" }}\naddress_domain = \"acme.glance.net\"\n",
        credentials::glance::PARTNER_LOGIN
    );
    Config::parse(&text, folder).unwrap()
}
