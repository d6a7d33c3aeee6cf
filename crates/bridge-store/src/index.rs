//! Which attributes a resource can be found by, and the values of a document under them (DESIGN section 5).
//!
//! The usual ones are indexed always. What the configuration adds is kept up from then on, but used for searching only once
//! [`Store::reindex`] has gone through the resources that were there before: an answer is never incomplete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use scim_filter::{AttributePath, PatchPath};
use scim_model::{Document, Resolved, ResourceType, Type, Uniqueness, fold};

use crate::{Db, IndexedValue, Store, StoreError, Tx};

/// The attributes that are always indexed, where the resource type has them.
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

/// Under which names in the table `meta` finished indexes are noted.
const META: &str = "index/";

/// What is indexed, and what of it can be searched.
#[derive(Debug)]
pub(crate) struct Index {
    /// Paths beside the usual ones.
    extra: Vec<String>,
    /// All paths, read.
    paths: Vec<PatchPath>,
    /// By tenant and type, those of the extra paths that all resources have been gone through for.
    complete: RwLock<BTreeMap<(String, String), BTreeSet<String>>>,
}

impl Default for Index {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Index {
    pub(crate) fn new(extra: &[String]) -> Self {
        let paths = USUAL.iter().copied().chain(extra.iter().map(String::as_str)).filter_map(read);
        Self { paths: paths.collect(), extra: extra.to_vec(), complete: RwLock::default() }
    }

    fn completed(&self, tenant: &str, resource_type: &str) -> BTreeSet<String> {
        let complete = self.complete.read().unwrap_or_else(PoisonError::into_inner);
        complete.get(&(tenant.to_owned(), resource_type.to_owned())).cloned().unwrap_or_default()
    }

    fn set_complete(&self, tenant: &str, resource_type: &str, paths: BTreeSet<String>) {
        let mut complete = self.complete.write().unwrap_or_else(PoisonError::into_inner);
        complete.insert((tenant.to_owned(), resource_type.to_owned()), paths);
    }

    /// Whether all live resources of the type can be found by the attribute of that name.
    pub(crate) fn is_searchable(&self, tenant: &str, resource_type: &ResourceType, name: &str) -> bool {
        if USUAL.iter().any(|path| without_urn(path) == name) {
            return true;
        }
        let is = |path: &String| {
            let path = read(path);
            path.and_then(|path| Some(index_name(understood(resource_type, &path)?))).is_some_and(|known| known == name)
        };
        !self.extra.is_empty() && self.completed(tenant, &resource_type.name).iter().any(is)
    }

    /// The values of a document, sorted, each once.
    pub(crate) fn values(&self, resource_type: &ResourceType, document: &Document) -> Vec<IndexedValue> {
        let mut values = BTreeSet::new();
        for path in &self.paths {
            let Some(resolved) = understood(resource_type, path) else { continue };
            let attribute = index_name(resolved);
            let unique = matches!(resolved.leaf().uniqueness, Uniqueness::Server | Uniqueness::Global);
            for value in scim_model::get(document.as_map(), resource_type, path) {
                if let Some(text) = value.as_str() {
                    let value = fold(resolved.leaf(), text);
                    values.insert(IndexedValue { attribute: attribute.clone(), value, unique });
                }
            }
        }
        values.into_iter().collect()
    }
}

/// The name of an attribute in the index: its path, the URN of an extension shortened.
pub(crate) fn index_name(resolved: Resolved<'_>) -> String {
    let path = resolved.path();
    let mut name = without_urn(&path).to_owned();
    // A complex attribute stands for its value, as in a filter.
    if let (None, Type::Complex, Some(value)) = (resolved.sub, resolved.attribute.kind, resolved.attribute.value()) {
        name.push('.');
        name.push_str(&value.name);
    }
    name
}

/// The path without what the URNs of extensions have in common.
fn without_urn(path: &str) -> &str {
    path.strip_prefix(EXTENSION).unwrap_or(path)
}

fn read(path: &str) -> Option<PatchPath> {
    let attribute = AttributePath::parse(path).ok()?;
    Some(PatchPath { attribute, filter: None, sub_attribute: None })
}

/// What the resource type understands by a path, if it does and the attribute is a text.
fn understood<'a>(resource_type: &'a ResourceType, path: &PatchPath) -> Option<Resolved<'a>> {
    let resolved = resource_type.resolve(&path.attribute)?;
    matches!(resolved.leaf().kind, Type::String | Type::Reference).then_some(resolved)
}

/// Whether resources of the type have an attribute of that path that can be indexed.
fn has(resource_type: &ResourceType, path: &str) -> bool {
    read(path).is_some_and(|path| understood(resource_type, &path).is_some())
}

impl Tx<'_> {
    /// Reads which indexes are complete. Those that are not kept up any more are forgotten, if `owner` says that this
    /// process is the one that keeps them up.
    pub(crate) fn load_index(&mut self, owner: bool) -> Result<(), StoreError> {
        for (name, value) in self.meta_with_prefix(META)? {
            let Some((tenant, resource_type)) = name[META.len()..].split_once('/') else { continue };
            let mut paths: BTreeSet<String> = serde_json::from_str(&value).map_err(StoreError::corrupt)?;
            let before = paths.len();
            paths.retain(|path| self.shared().index.extra.contains(path));
            if owner && paths.len() < before {
                self.note_complete(tenant, resource_type, &paths)?;
            }
            self.shared().index.set_complete(tenant, resource_type, paths);
        }
        Ok(())
    }

    fn note_complete(&mut self, tenant: &str, resource_type: &str, paths: &BTreeSet<String>) -> Result<(), StoreError> {
        let text = serde_json::to_string(paths).map_err(|error| StoreError::Internal(error.to_string()))?;
        self.set_meta(&format!("{META}{tenant}/{resource_type}"), &text)
    }
}

impl Db<'_> {
    /// What a document is found by, for callers inside a transaction.
    #[must_use]
    pub fn indexed_values(&self, resource_type: &ResourceType, document: &Document) -> Vec<IndexedValue> {
        self.shared().index.values(resource_type, document)
    }
}

impl Store {
    /// What a document is found by.
    #[must_use]
    pub fn indexed_values(
        &self,
        _tenant: &str,
        resource_type: &ResourceType,
        document: &Document,
    ) -> Vec<IndexedValue> {
        self.inner.shared.index.values(resource_type, document)
    }

    /// Goes through all resources of a tenant and type if an attribute is indexed that was not before; returns how many
    /// resources it went through. Until then searches by that attribute are right but slow. Call it for every tenant and
    /// type after opening, while requests are served.
    pub async fn reindex(&self, tenant: &str, resource_type: &ResourceType) -> Result<u64, StoreError> {
        let index = &self.inner.shared.index;
        let wanted: BTreeSet<String> = index.extra.iter().filter(|path| has(resource_type, path)).cloned().collect();
        if index.completed(tenant, &resource_type.name) == wanted {
            return Ok(0);
        }
        let (mut after, mut count) = (0, 0);
        while let Some((last, done)) = self.reindex_slice(tenant, resource_type, after).await? {
            after = last;
            count += done;
        }
        let noted = (tenant.to_owned(), resource_type.name.clone(), wanted.clone());
        self.write(move |tx| tx.note_complete(&noted.0, &noted.1, &noted.2)).await?;
        index.set_complete(tenant, &resource_type.name, wanted);
        Ok(count)
    }

    /// Writes the values of the next resources anew; returns the key of the last one and how many there were.
    async fn reindex_slice(
        &self,
        tenant: &str,
        resource_type: &ResourceType,
        after: i64,
    ) -> Result<Option<(i64, u64)>, StoreError> {
        let (tenant, resource_type) = (tenant.to_owned(), resource_type.clone());
        self.write(move |tx| {
            let slice = tx.resources_in_any_state(&tenant, &resource_type.name, after, SLICE)?;
            for resource in &slice {
                let values = tx.indexed_values(&resource_type, &resource.document);
                tx.replace_values(resource.key, &values)?;
            }
            Ok(slice.last().map(|resource| (resource.key, slice.len() as u64)))
        })
        .await
    }
}

#[cfg(test)]
mod tests;
