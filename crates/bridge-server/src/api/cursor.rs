//! Cursors (RFC 9865): where the next page of a list begins, sealed.
//!
//! Nothing is kept for a cursor: it holds the place itself, and opens only for the tenant, the addresses and the query that
//! it was made for. It is made of letters that need no escape in an address.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use scim_model::{ScimError, ScimType};
use serde::{Deserialize, Serialize};

use crate::{bridge::Bridge, clock::later, error::ApiError, provisioning::Position};

/// How long a client may pause between two pages.
pub(super) const TIMEOUT: Duration = Duration::from_secs(86_400);

#[derive(Serialize, Deserialize)]
struct Sealed {
    made: Timestamp,
    position: Position,
}

/// What a cursor belongs to.
pub(super) struct Walk<'a> {
    pub(super) tenant: &'a str,
    /// The types that the list goes over.
    pub(super) types: &'a [&'a str],
    /// The query, without what may change from page to page.
    pub(super) query: &'a str,
}

impl Walk<'_> {
    fn owner(&self) -> String {
        format!("cursor {:?} {:?} {}", self.tenant, self.types, self.query)
    }

    /// The cursor for what comes after a position.
    pub(super) fn cursor(&self, bridge: &Bridge, position: Position) -> Result<String, ApiError> {
        let sealed = Sealed { made: bridge.clock.now(), position };
        let text = serde_json::to_vec(&sealed).map_err(ApiError::internal)?;
        let bytes = bridge.sealer.seal(&self.owner(), &text).map_err(ApiError::internal)?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The position that a cursor stands for; `None` for the empty one, which is the beginning.
    ///
    /// # Errors
    /// 400 `invalidCursor` for what was not made for this walk, `expiredCursor` after a long pause.
    pub(super) fn position(&self, bridge: &Bridge, cursor: &str) -> Result<Option<Position>, ApiError> {
        if cursor.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
        let text = bridge.sealer.open(&self.owner(), &bytes).map_err(|_| invalid())?;
        let sealed: Sealed = serde_json::from_slice(&text).map_err(|_| invalid())?;
        if later(sealed.made, TIMEOUT) <= bridge.clock.now() {
            let detail = "The cursor is more than a day old: begin again with an empty one";
            return Err(ScimError::new(400, Some(ScimType::ExpiredCursor), detail).into());
        }
        Ok(Some(sealed.position))
    }
}

fn invalid() -> ApiError {
    let detail = "The cursor does not belong to this query: repeat the query as it was, or begin with an empty cursor";
    ScimError::new(400, Some(ScimType::InvalidCursor), detail).into()
}
