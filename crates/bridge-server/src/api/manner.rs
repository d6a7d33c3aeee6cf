//! How a request is addressed and packed, judged before anything of it is read: slashes, names and headers that the RFCs do
//! not have are counted, or refused where the connection is strict. Which ones these are is known to `scim_model::Packing`.

use actix_web::{
    HttpMessage,
    dev::ServiceRequest,
    http::{
        Method,
        header::{self, HeaderName},
    },
};
use scim_model::{Packing, has_extra_slash};

use crate::{bridge::Bridge, connections::judge_strictly, error::ApiError, provisioning::Caller};

/// The path of a request as it was sent, where it had slashes too many: the router sees it without them.
struct SentPath(String);

/// Remembers a path that has slashes too many.
pub(super) fn remember_path(request: &ServiceRequest) {
    if has_extra_slash(request.path()) {
        request.extensions_mut().insert(SentPath(request.path().to_owned()));
    }
}

/// Counts what has to be forgiven, or refuses it.
///
/// # Errors
/// Those of [`judge_strictly`].
pub(crate) fn heed(bridge: &Bridge, caller: &Caller, request: &ServiceRequest) -> Result<(), ApiError> {
    let Some(tenant) = bridge.tenant(&caller.tenant) else { return Ok(()) };
    let extensions = request.extensions();
    let path = request.match_info().unprocessed();
    let base = request.match_info().as_str().strip_suffix(path).unwrap_or_default();
    let text = |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    let has_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    let packing = Packing {
        sent_path: extensions.get::<SentPath>().map(|SentPath(sent)| sent.strip_prefix(base).unwrap_or(sent)),
        path,
        content_type: has_body.then(|| text(header::CONTENT_TYPE).unwrap_or_default()),
        authorization: text(header::AUTHORIZATION),
        if_match: text(header::IF_MATCH),
        if_none_match: text(header::IF_NONE_MATCH),
    };
    let notes = packing.notes(&tenant.catalog);
    judge_strictly(&tenant, caller, &notes)?;
    bridge.connections.asked(caller, &notes);
    Ok(())
}
