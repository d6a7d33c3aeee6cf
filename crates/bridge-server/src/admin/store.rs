//! A copy of the database while everything goes on.

use std::path::PathBuf;

use actix_web::web::{Data, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Problem;
use crate::bridge::Bridge;

/// Where the copy goes: an absolute path on the machine of the bridge.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backup {
    path: PathBuf,
}

pub(super) async fn backup(bridge: Data<Bridge>, Json(Backup { path }): Json<Backup>) -> Result<Json<Value>, Problem> {
    if !path.is_absolute() {
        return Err(Problem::bad_request("path is absolute: the bridge has a folder of its own"));
    }
    bridge.store.backup(&path).await?;
    Ok(Json(json!({ "done": true, "path": path })))
}
