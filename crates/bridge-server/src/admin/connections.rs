//! Connections: who speaks at the other end, in which dialect, what was forgiven.

use actix_web::web::{Data, Json, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, known};
use crate::bridge::Bridge;
use crate::config::Profile;
use crate::connections::Known;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Selection {
    tenant: Option<String>,
    connection: Option<String>,
}

pub(super) async fn list(bridge: Data<Bridge>, Query(selection): Query<Selection>) -> Result<Json<Value>, Problem> {
    let Selection { tenant, connection } = selection;
    known::names(&bridge, tenant.as_deref(), None)?;
    let mut known = bridge.connections.of(tenant.as_deref());
    if let Some(connection) = connection {
        let names: Vec<String> = known.iter().map(|((_, name), _)| name.clone()).collect();
        known.retain(|((_, name), _)| *name == connection);
        if known.is_empty() {
            return Err(known::missing("connection that wrote something and is named", &connection, &names));
        }
    }
    let view = |((tenant, connection), known): ((String, String), Known)| {
        let profile = bridge.tenant(&tenant).map(|tenant| tenant.profile(&connection)).unwrap_or_default();
        let profile = match profile {
            Profile::Lenient => "lenient",
            Profile::Strict => "strict",
        };
        let mut view = json!({ "tenant": tenant, "connection": connection, "profile": profile });
        if let (Value::Object(view), Ok(Value::Object(known))) = (&mut view, serde_json::to_value(known)) {
            view.extend(known);
        }
        view
    };
    Ok(Json(json!({ "connections": known.into_iter().map(view).collect::<Vec<Value>>() })))
}
