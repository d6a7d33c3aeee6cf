//! Conversations that other identity providers lead, as recorded-style fixtures: OneLogin, JumpCloud, PingFederate, Google,
//! SailPoint, Rippling, authentik, Keycloak and more (others.md).

bridge_tests::replay_fixtures! { "others":
    authentik_group,
    authentik_user,
    aws_style,
    google_life_cycle,
    ibm_verify,
    ipsie_yardstick,
    jumpcloud_self_test,
    keycloak,
    onelogin_group,
    onelogin_user,
    pingfederate_users,
    rippling_groups,
    sailpoint_aggregation,
}
