//! Searches: `POST /Users/.search`, and one over all resource types at the base URL itself, as `POST /.search` or `GET`
//! (RFC 7644 sections 3.4.2.1 and 3.4.3); lists that are sorted or walked by cursor (section 3.4.2.3, RFC 9865).

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use scim_model::{Projection, ResourceType, check_sort_of_all, list_response};
use serde_json::Value;

use super::{
    answer,
    body::ScimBody,
    cursor::Walk,
    member_stream::Parts,
    place::Place,
    query::{Paging, Query},
    resources,
};
use crate::{
    bridge::Bridge,
    error::ApiError,
    provisioning::{self, Caller, Search, SearchStart, Shown, View},
};

/// `POST /Users/.search`.
pub(super) async fn of_type(
    bridge: Data<Bridge>,
    caller: Caller,
    place: Place,
    query: Query,
    body: ScimBody,
) -> Result<HttpResponse, ApiError> {
    resources::page(&bridge, &caller, &place, &query.with_body(&body.value)?.and(body.notes)).await
}

/// `POST /.search`.
pub(super) async fn of_all(
    bridge: Data<Bridge>,
    caller: Caller,
    place: Place,
    query: Query,
    body: ScimBody,
) -> Result<HttpResponse, ApiError> {
    at_base(bridge, caller, place, query.with_body(&body.value)?.and(body.notes)).await
}

/// `GET` of the base URL: over all types.
pub(super) async fn at_base(
    bridge: Data<Bridge>,
    caller: Caller,
    place: Place,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let types: Vec<&ResourceType> = place.tenant.catalog.resource_types().iter().collect();
    page(&bridge, &caller, &place, &types, &query).await
}

/// A page of a search over these types.
pub(super) async fn page(
    bridge: &Data<Bridge>,
    caller: &Caller,
    place: &Place,
    types: &[&ResourceType],
    query: &Query,
) -> Result<HttpResponse, ApiError> {
    let projections: Vec<Projection> =
        types.iter().map(|resource_type| query.projection(resource_type)).collect::<Result<_, _>>()?;
    let shape = Shape { types, projections: &projections };
    let names: Vec<&str> = types.iter().map(|resource_type| resource_type.name.as_str()).collect();
    let identity = query.identity();
    let walk = Walk { tenant: &caller.tenant, types: &names, query: &identity };
    let paging = query.paging()?;
    let count = query.count()?;
    let start = match paging {
        Paging::Index(index) => SearchStart::Index(index),
        Paging::Cursor(cursor) => SearchStart::After(walk.position(bridge, cursor)?),
    };
    let (filter, forgiven) = query.filter(types)?;
    let order = query.order()?;
    if let Some(order) = &order {
        check_sort_of_all(types, &order.by)?;
    }
    resources::heed(bridge, caller, place, query.forgiven(types, forgiven))?;
    let search = Search {
        types: types.iter().map(|kind| (kind.name.clone(), shape.view(kind))).collect(),
        filter,
        order: order.map(|order| (order.by, order.is_descending)),
        start,
        count,
    };
    let found = provisioning::search(bridge, caller, search).await?;
    let message = match paging {
        Paging::Index(index) => list_response(Vec::new(), found.total, index),
        Paging::Cursor(_) => {
            let next = found.next.map(|position| walk.cursor(bridge, position)).transpose()?;
            by_cursor(list_response(Vec::new(), found.total, 1), next)
        }
    };
    shape.answer(bridge, place, message, found.resources)
}

/// A list message of a walk by cursor: without a position, with the cursor of the next page if there is one. The resources
/// stay last.
fn by_cursor(mut message: Value, next: Option<String>) -> Value {
    if let Some(members) = message.as_object_mut() {
        members.shift_remove("startIndex");
        let resources = members.shift_remove("Resources");
        members.extend(next.map(|next| ("nextCursor".to_owned(), Value::from(next))));
        members.extend(resources.map(|resources| ("Resources".to_owned(), resources)));
    }
    message
}

/// How resources of several types are shown.
struct Shape<'a> {
    types: &'a [&'a ResourceType],
    projections: &'a [Projection],
}

impl<'a> Shape<'a> {
    fn of(&self, name: &str) -> Result<(&'a ResourceType, &'a Projection), ApiError> {
        let mut shapes = self.types.iter().copied().zip(self.projections);
        let found = shapes.find(|(kind, _)| kind.name == name);
        found.ok_or_else(|| ApiError::internal(format!("a {name} that nobody searched for")))
    }

    fn view(&self, kind: &ResourceType) -> View {
        self.of(&kind.name).map_or_else(|_| View::default(), |(kind, projection)| View::of(kind, projection))
    }

    /// 200 with the message and these resources in it.
    fn answer(
        &self,
        bridge: &Data<Bridge>,
        place: &Place,
        message: Value,
        resources: Vec<(String, Shown)>,
    ) -> Result<HttpResponse, ApiError> {
        // Only one type has members that follow page by page.
        let long = resources.iter().find(|(_, shown)| shown.more_members.is_some()).map(|(name, _)| name.clone());
        let mut parts = Parts::default();
        for (name, resource) in resources {
            let (kind, projection) = self.of(&name)?;
            parts.separate();
            parts.resource(kind, resource, projection)?;
        }
        let parts = parts.within(message)?;
        let mut answer = answer::scim(StatusCode::OK);
        let Some(long) = long else { return Ok(answer.body(parts.text_alone())) };
        let (kind, projection) = self.of(&long)?;
        Ok(answer.streaming(parts.stream(bridge, &place.tenant, kind, projection)))
    }
}
