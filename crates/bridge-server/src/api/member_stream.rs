//! Answers with groups that have more members than one read brings: the rest is read, page by page, while the answer is
//! being sent, so that a group of 100,000 needs no more memory than one of 1,000.
//!
//! The members stand last in a group, and the resources last in a list, so the text around them is known beforehand. If a
//! page cannot be read, the answer breaks off: no client takes half a list for a whole one.

use std::{collections::VecDeque, sync::Arc};

use actix_web::web::{Bytes, Data};
use futures_util::{Stream, stream};
use scim_model::{Projection, ResourceType, list_response, project};
use serde_json::{Map, Value};
use tracing::error;

use crate::{
    bridge::Bridge,
    error::ApiError,
    landscape::Tenant,
    provisioning::{self, MoreMembers, Shown},
};

/// An answer in parts.
#[derive(Default)]
pub(super) struct Parts(VecDeque<Part>);

enum Part {
    Text(Bytes),
    /// Members from here on.
    Members {
        more: MoreMembers,
        /// Whether there is a member before them, which a comma has to follow.
        is_first: bool,
    },
}

impl Parts {
    /// Puts a comma between this resource and the one before.
    pub(super) fn separate(&mut self) {
        if !self.0.is_empty() {
            self.text(",");
        }
    }

    /// A resource.
    pub(super) fn resource(
        &mut self,
        resource_type: &ResourceType,
        shown: Shown,
        projection: &Projection,
    ) -> Result<(), ApiError> {
        let mut text = Vec::new();
        shown.resource.write(resource_type, projection, &mut text).map_err(ApiError::internal)?;
        let text = String::from_utf8(text).map_err(ApiError::internal)?;
        match (shown.more_members, text.strip_suffix("]}")) {
            (Some(more), Some(head)) => {
                // A projection may leave nothing of the members so far.
                let is_first = head.ends_with('[');
                self.text(head);
                self.0.push_back(Part::Members { more, is_first });
                self.text("]}");
            }
            (Some(_), None) => return Err(ApiError::internal("the members of a group do not stand last")),
            (None, _) => self.text(&text),
        }
        Ok(())
    }

    /// These resources as a page of a list.
    pub(super) fn in_list(self, total: u64, start_index: u64) -> Result<Self, ApiError> {
        self.within(list_response(Vec::new(), total, start_index))
    }

    /// These resources in a list message that has none yet.
    pub(super) fn within(mut self, mut list: Value) -> Result<Self, ApiError> {
        let count = self.0.iter().filter(|part| matches!(part, Part::Text(text) if text.starts_with(b"{"))).count();
        list["itemsPerPage"] = Value::from(count);
        let text = list.to_string();
        let head = text.strip_suffix("]}").ok_or_else(|| ApiError::internal("the resources do not stand last"))?;
        self.0.push_front(Part::Text(Bytes::copy_from_slice(head.as_bytes())));
        self.text("]}");
        Ok(self)
    }

    fn text(&mut self, text: &str) {
        self.0.push_back(Part::Text(Bytes::copy_from_slice(text.as_bytes())));
    }

    /// The texts, where no members follow.
    pub(super) fn text_alone(self) -> Vec<u8> {
        let mut body = Vec::new();
        for part in self.0 {
            if let Part::Text(text) = part {
                body.extend_from_slice(&text);
            }
        }
        body
    }

    /// The body of the answer.
    pub(super) fn stream(
        self,
        bridge: &Data<Bridge>,
        tenant: &Arc<Tenant>,
        resource_type: &ResourceType,
        projection: &Projection,
    ) -> impl Stream<Item = Result<Bytes, ApiError>> + use<> {
        let source = Source {
            bridge: bridge.clone(),
            tenant: tenant.clone(),
            resource_type: resource_type.clone(),
            projection: projection.clone(),
        };
        stream::try_unfold((self.0, source), |(mut parts, source)| async move {
            let chunk = match parts.pop_front() {
                None => return Ok(None),
                Some(Part::Text(text)) => text,
                Some(Part::Members { more, is_first }) => {
                    let (text, more) = source.page(more, is_first).await?;
                    if let Some(more) = more {
                        parts.push_front(Part::Members { more, is_first: is_first && text.is_empty() });
                    }
                    text
                }
            };
            Ok(Some((chunk, (parts, source))))
        })
    }
}

/// Where further members come from.
struct Source {
    bridge: Data<Bridge>,
    tenant: Arc<Tenant>,
    resource_type: ResourceType,
    projection: Projection,
}

impl Source {
    async fn page(&self, more: MoreMembers, is_first: bool) -> Result<(Bytes, Option<MoreMembers>), ApiError> {
        let read = provisioning::more_members(&self.bridge, &self.tenant, more).await;
        let (members, more) =
            read.inspect_err(|error| error!(%error, "An answer breaks off: the members cannot be read"))?;
        let page = Map::from_iter([("members".to_owned(), Value::Array(members))]);
        let mut text = String::new();
        if let Some(Value::Array(members)) = project(&self.resource_type, page, &self.projection).remove("members") {
            for (number, member) in members.iter().enumerate() {
                if number > 0 || !is_first {
                    text.push(',');
                }
                text.push_str(&member.to_string());
            }
        }
        Ok((Bytes::from(text), more))
    }
}
