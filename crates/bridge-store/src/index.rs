//! Which attributes a resource can be found by, and the values of a document under them (DESIGN section 5).
//!
//! The usual ones are indexed for every tenant. What a tenant adds is written down in the database, together with whether
//! all resources have been gone through since: only then is it used for searching, so an answer is never incomplete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use scim_filter::{AttributePath, PatchPath};
use scim_model::{Document, Resolved, ResourceType, Type, Uniqueness, fold};

use crate::{Db, IndexedValue, Store, StoreError, Tx};

/// The attributes that are indexed for every tenant, where the resource type has them.
const USUAL: &[&str] = &[
    "userName",
    "externalId",
    "displayName",
    "emails.value",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
];

/// How the URNs of extensions begin; left out in the index, where every byte counts a million times.
const EXTENSION: &str = "urn:ietf:params:scim:schemas:extension:";

/// How many resources one transaction goes through.
const SLICE: usize = 100;

/// The values of a document under the indexed attributes. Only the store makes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexedValues {
    pub(crate) values: Vec<IndexedValue>,
    /// What was indexed when they were made.
    pub(crate) generation: u64,
}

impl IndexedValues {
    /// The values, sorted.
    #[must_use]
    pub fn values(&self) -> &[IndexedValue] {
        &self.values
    }
}

/// What tenants index beside the usual attributes, by tenant and type: path, and whether it can be searched.
type Extra = BTreeMap<(String, String), BTreeMap<String, bool>>;

/// The memory of the table `meta` about indexes.
#[derive(Debug, Default)]
pub(crate) struct Index {
    extra: RwLock<Extra>,
    generation: AtomicU64,
}

impl Index {
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn set(&self, tenant: &str, resource_type: &str, paths: BTreeMap<String, bool>) {
        let mut extra = self.extra.write().unwrap_or_else(PoisonError::into_inner);
        extra.insert((tenant.to_owned(), resource_type.to_owned()), paths);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn extra(&self, tenant: &str, resource_type: &str) -> BTreeMap<String, bool> {
        let extra = self.extra.read().unwrap_or_else(PoisonError::into_inner);
        // Most installations have none: no key is built for them.
        if extra.is_empty() {
            return BTreeMap::new();
        }
        extra.get(&(tenant.to_owned(), resource_type.to_owned())).cloned().unwrap_or_default()
    }

    /// Whether all live resources of the type can be found by this attribute.
    pub(crate) fn is_searchable(&self, tenant: &str, resource_type: &ResourceType, name: &str) -> bool {
        let is = |path: &str| known(resource_type, path).is_some_and(|(_, resolved)| index_name(resolved) == name);
        USUAL.iter().any(|path| is(path))
            || self.extra(tenant, &resource_type.name).iter().any(|(path, is_complete)| *is_complete && is(path))
    }

    /// The values of a document, sorted, each once.
    pub(crate) fn values(&self, tenant: &str, resource_type: &ResourceType, document: &Document) -> IndexedValues {
        let generation = self.generation();
        let mut values = BTreeSet::new();
        let extra = self.extra(tenant, &resource_type.name);
        for path in USUAL.iter().copied().chain(extra.keys().map(String::as_str)) {
            let Some((path, resolved)) = known(resource_type, path) else { continue };
            let attribute = index_name(resolved);
            let unique = matches!(resolved.leaf().uniqueness, Uniqueness::Server | Uniqueness::Global);
            for value in scim_model::get(document.as_map(), resource_type, &path) {
                if let Some(text) = value.as_str() {
                    let value = fold(resolved.leaf(), text);
                    values.insert(IndexedValue { attribute: attribute.clone(), value, unique });
                }
            }
        }
        IndexedValues { values: values.into_iter().collect(), generation }
    }
}

/// The name of an attribute in the index: its path, the URN of an extension shortened.
pub(crate) fn index_name(resolved: Resolved<'_>) -> String {
    let mut name = match resolved.schema {
        Some(urn) => format!("{}:{}", urn.strip_prefix(EXTENSION).unwrap_or(urn), resolved.attribute.name),
        None => resolved.attribute.name.clone(),
    };
    // A complex attribute stands for its value, as in a filter.
    let sub = resolved.sub.or_else(|| match resolved.attribute.kind {
        Type::Complex => resolved.attribute.value(),
        _ => None,
    });
    if let Some(sub) = sub {
        name.push('.');
        name.push_str(&sub.name);
    }
    name
}

/// The path as the resource type understands it, if it does and the attribute is a text.
fn known<'a>(resource_type: &'a ResourceType, path: &str) -> Option<(PatchPath, Resolved<'a>)> {
    let path = AttributePath::parse(path).ok()?;
    let resolved = resource_type.resolve(&path)?;
    let is_text = matches!(resolved.leaf().kind, Type::String | Type::Reference);
    is_text.then_some((PatchPath { attribute: path, filter: None, sub_attribute: None }, resolved))
}

fn meta_name(tenant: &str, resource_type: &str) -> String {
    format!("index/{tenant}/{resource_type}")
}

impl Db<'_> {
    /// Reads what tenants index from the table `meta`.
    pub(crate) fn load_index(&self) -> Result<(), StoreError> {
        for (name, value) in self.meta_with_prefix("index/")? {
            let mut parts = name.splitn(3, '/').skip(1);
            if let (Some(tenant), Some(resource_type)) = (parts.next(), parts.next()) {
                let paths = serde_json::from_str(&value).map_err(StoreError::corrupt)?;
                self.shared().index.set(tenant, resource_type, paths);
            }
        }
        Ok(())
    }
}

impl Tx<'_> {
    fn save_index(
        &mut self,
        tenant: &str,
        resource_type: &str,
        paths: &BTreeMap<String, bool>,
    ) -> Result<(), StoreError> {
        let text = serde_json::to_string(paths).map_err(|error| StoreError::Internal(error.to_string()))?;
        self.set_meta(&meta_name(tenant, resource_type), &text)
    }
}

impl Store {
    /// What a document is found by. Made outside the write, which is [`StoreError::Stale`] if the tenant's indexes have
    /// changed in between.
    #[must_use]
    pub fn indexed_values(&self, tenant: &str, resource_type: &ResourceType, document: &Document) -> IndexedValues {
        self.inner.shared.index.values(tenant, resource_type, document)
    }

    /// Makes `extra` the attributes a tenant indexes beside the usual ones, going through all its resources of the type if
    /// there is a new one. Until then searches by a new attribute are right but slow. Call it at start and after a reload.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] (`attribute`) if the type does not know one of them as a text.
    pub async fn index_attributes(
        &self,
        tenant: &str,
        resource_type: &ResourceType,
        extra: &[String],
    ) -> Result<(), StoreError> {
        if extra.iter().any(|path| known(resource_type, path).is_none()) {
            return Err(StoreError::NotFound("attribute"));
        }
        let before = self.inner.shared.index.extra(tenant, &resource_type.name);
        let mut paths: BTreeMap<String, bool> =
            extra.iter().map(|path| (path.clone(), before.get(path).copied().unwrap_or(false))).collect();
        if paths == before && paths.values().all(|is_complete| *is_complete) {
            return Ok(());
        }
        self.set_index(tenant, &resource_type.name, &paths).await?;
        let mut after = 0;
        while let Some(last) = self.index_slice(tenant, resource_type, after).await? {
            after = last;
        }
        paths.values_mut().for_each(|is_complete| *is_complete = true);
        self.set_index(tenant, &resource_type.name, &paths).await
    }

    async fn set_index(
        &self,
        tenant: &str,
        resource_type: &str,
        paths: &BTreeMap<String, bool>,
    ) -> Result<(), StoreError> {
        let saved = (tenant.to_owned(), resource_type.to_owned(), paths.clone());
        self.write(move |tx| tx.save_index(&saved.0, &saved.1, &saved.2)).await?;
        self.inner.shared.index.set(tenant, resource_type, paths.clone());
        Ok(())
    }

    /// Writes the values of the next resources anew; returns the key of the last one.
    async fn index_slice(
        &self,
        tenant: &str,
        resource_type: &ResourceType,
        after: i64,
    ) -> Result<Option<i64>, StoreError> {
        let (tenant, resource_type) = (tenant.to_owned(), resource_type.clone());
        self.write(move |tx| {
            let slice = tx.resources_after(&tenant, &resource_type.name, after, SLICE)?;
            for resource in &slice {
                let values = tx.shared().index.values(&tenant, &resource_type, &resource.document);
                tx.put_values(resource, &values)?;
            }
            Ok(slice.last().map(|resource| resource.key))
        })
        .await
    }
}
