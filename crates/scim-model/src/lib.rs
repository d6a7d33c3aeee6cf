//! SCIM schemas, resources and protocol messages (RFC 7643, RFC 7644), without any IO.
//!
//! A [`Catalog`] knows the schemas of a tenant. [`accept`] and [`patch`] judge what a client sends and make a [`Draft`] of
//! it; [`complete`] and [`project`] make the answer, or [`FullResource`] without parsing what is stored; [`matches`] decides a
//! filter, [`sort_value`] an order, and [`get`] selects values by path. [`bulk`] reads many writes in one message. What
//! real clients send beside the letter of the RFCs is taken by the functions of `quirks.rs` and noted in the draft, or beside
//! what was read of a query ([`Parameters`], [`read_filter`]) or round a message ([`Packing`], [`read_body`]).

mod accept;
pub mod bulk;
mod catalog;
mod change;
mod document;
mod editor;
mod error;
mod limits;
mod matching;
mod members;
mod packing;
mod parameters;
mod patch;
mod present;
mod quirks;
mod schema;
mod select;
mod sorting;
mod target;
mod text;
mod value;
mod whole;

pub use accept::{Context, accept};
pub use catalog::{
    Catalog, ENTERPRISE_URN, GROUP_URN, PROVISIONING_URN, RESOURCE_TYPE_URN, Resolved, ResourceType, SchemaError,
    TELEPHONY_URN, USER_URN,
};
pub use document::{Document, Draft, Note};
pub use error::{ERROR_URN, ScimError, ScimType};
pub use matching::{check_filter, check_filter_of_all, fold, is_beyond, matches};
pub use members::{MemberChange, MemberPatch, split_members};
pub use packing::{Packing, is_json, read_body};
pub use parameters::{Parameters, SEARCH_URN, read_filter, sort_notes};
pub use patch::{PATCH_URN, Replacement, patch};
pub use present::{LIST_RESPONSE_URN, Meta, Projection, complete, list_response, project};
pub use quirks::{Quirk, sending::has_extra_slash};
pub use schema::{Attribute, Mutability, Returned, SCHEMA_URN, Schema, Type, Uniqueness};
pub use select::get;
pub use sorting::{SortValue, check_sort, check_sort_of_all, sort_value};
pub use value::nearest_timestamp;
pub use whole::{FullResource, write_list};
