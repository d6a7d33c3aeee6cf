//! How a request is addressed and packed, judged before anything of it is read: slashes, names and headers that the RFCs do
//! not have are counted, or refused where the connection is strict. Which ones these are is known to `scim_model::Packing`.

use actix_web::{
    HttpMessage,
    dev::ServiceRequest,
    http::{
        Method, Uri,
        header::{self, HeaderName},
        uri::PathAndQuery,
    },
};
use scim_model::{Packing, has_extra_slash};

use crate::{bridge::Bridge, connections::judge_strictly, error::ApiError, provisioning::Caller};

/// The path of a request as it was sent, where it had slashes too many: the router sees it without them.
struct SentPath(String);

/// Takes slashes too many out of the path of a request, and remembers it as it was sent.
pub(super) fn straighten_path(request: &mut ServiceRequest) {
    let sent = request.uri().path();
    if !has_extra_slash(sent) {
        return;
    }
    let (sent, uri) = (sent.to_owned(), straight(request.uri()));
    request.extensions_mut().insert(SentPath(sent));
    if let Some(uri) = uri {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}

/// The address without slashes too many. None for what would be no address, which is left as it is and found nowhere.
fn straight(sent: &Uri) -> Option<Uri> {
    let parts = sent.path().split('/').filter(|part| !part.is_empty());
    let path: String = parts.flat_map(|part| ["/", part]).collect();
    let path = if path.is_empty() { "/" } else { &path };
    let query = sent.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut uri = sent.clone().into_parts();
    uri.path_and_query = Some(PathAndQuery::try_from(format!("{path}{query}")).ok()?);
    Uri::from_parts(uri).ok()
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
