//! Resources, and the values they are found by.
//!
//! Only live resources hold their unique values and are counted and listed. Rejected and deleted ones keep their values in
//! the index, so that a later create with the same `userName` or `externalId` finds them (DESIGN section 7, "Adoption").

use jiff::Timestamp;
use scim_model::Document;

use crate::driver::{Row, parameters};
use crate::{Db, IndexedValue, NewResource, Resource, ResourceState, StoreError, Tx};

macro_rules! columns {
    () => {
        "r.key, r.tenant, r.resource_type, r.id, r.version, r.active, r.state, r.created, r.modified, r.connection, \
         r.document"
    };
}
pub(crate) use columns;

pub(crate) fn resource(row: &Row<'_>) -> Result<Resource, StoreError> {
    with_document(row, row.json(DOCUMENT)?)
}

/// The document as the text that is stored, for who only shows it.
pub(crate) fn resource_text(row: &Row<'_>) -> Result<Resource<String>, StoreError> {
    with_document(row, row.text(DOCUMENT)?)
}

/// The column of the document.
const DOCUMENT: usize = 10;

fn with_document<D>(row: &Row<'_>, document: D) -> Result<Resource<D>, StoreError> {
    Ok(Resource {
        key: row.integer(0)?,
        tenant: row.text(1)?,
        resource_type: row.text(2)?,
        id: row.text(3)?,
        version: row.integer(4)?,
        active: row.is_true(5)?,
        state: row.word(6)?,
        created: row.time(7)?,
        modified: row.time(8)?,
        connection: row.text(9)?,
        document,
    })
}

/// The condition is that of the partial index `resource_gone`: only then is it used.
const IN_STATE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM resource AS r WHERE r.state <> 'live' AND r.state = ?3 AND r.modified < ?1 ORDER BY r.modified LIMIT ?2"
);

/// Values that one statement adds: more than most users have, and few enough for a statement of each length to be kept.
const VALUES: usize = 16;

/// A value in the column `indexed`.
type Stored = (String, String, bool);

/// What a write has to know of a resource; its document need not be read for that.
struct Head {
    key: i64,
    tenant: String,
    resource_type: String,
    id: String,
    version: i64,
    state: ResourceState,
    created: Timestamp,
    connection: String,
    indexed: Vec<IndexedValue>,
}

/// The name of an attribute in the tree of values.
pub(crate) fn tree_name(resource_type: &str, attribute: &str) -> String {
    format!("{resource_type}.{attribute}")
}

impl Db<'_> {
    /// The resource with a public id, in whatever state.
    pub fn resource_by_id(&self, tenant: &str, resource_type: &str, id: &str) -> Result<Option<Resource>, StoreError> {
        self.by_id(tenant, resource_type, id, resource)
    }

    /// Like [`Db::resource_by_id`], with the document as the text that is stored.
    pub fn resource_text_by_id(
        &self,
        tenant: &str,
        resource_type: &str,
        id: &str,
    ) -> Result<Option<Resource<String>>, StoreError> {
        self.by_id(tenant, resource_type, id, resource_text)
    }

    fn by_id<T>(
        &self,
        tenant: &str,
        resource_type: &str,
        id: &str,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM resource AS r WHERE r.tenant = ?1 AND r.id = ?2 AND r.resource_type = ?3"
        );
        self.session().query_one(sql, &parameters![tenant, id, resource_type], read)
    }

    /// The resource with a public id, of whatever type and in whatever state: ids are unique in a tenant.
    pub fn resource_of_any_type(&self, tenant: &str, id: &str) -> Result<Option<Resource>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM resource AS r WHERE r.tenant = ?1 AND r.id = ?2");
        self.session().query_one(sql, &parameters![tenant, id], resource)
    }

    /// The resource with a key of the store, in whatever state.
    pub fn resource_by_key(&self, key: i64) -> Result<Option<Resource>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM resource AS r WHERE r.key = ?1");
        self.session().query_one(sql, &parameters![key], resource)
    }

    /// The resources that have a value under an indexed attribute, in whatever state, newest first; at most 200.
    ///
    /// `folded` is the value as [`scim_model::fold`] makes it.
    pub fn resources_by_value(
        &self,
        tenant: &str,
        resource_type: &str,
        attribute: &str,
        folded: &str,
    ) -> Result<Vec<Resource>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM resource_value AS v CROSS JOIN resource AS r WHERE v.tenant = ?1 AND v.attribute = ?2 \
             AND v.value = ?3 AND r.key = v.resource ORDER BY v.resource DESC LIMIT 200"
        );
        let attribute = tree_name(resource_type, attribute);
        self.session().query(sql, &parameters![tenant, attribute, folded], resource)
    }

    /// The keys of those that [`Db::resources_by_value`] would find in a state.
    pub fn keys_by_value(
        &self,
        tenant: &str,
        resource_type: &str,
        attribute: &str,
        folded: &str,
        state: ResourceState,
    ) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT r.key FROM resource_value AS v CROSS JOIN resource AS r WHERE v.tenant = ?1 AND v.attribute = ?2 \
                   AND v.value = ?3 AND r.key = v.resource AND r.state = ?4 ORDER BY v.resource DESC LIMIT 200";
        let attribute = tree_name(resource_type, attribute);
        self.session().query(sql, &parameters![tenant, attribute, folded, state.as_str()], |row| row.integer(0))
    }

    /// Whether there is, or was, a resource that has a value under an indexed attribute.
    fn is_known_by(&self, tenant: &str, resource_type: &str, value: &IndexedValue) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM resource_value WHERE tenant = ?1 AND attribute = ?2 AND value = ?3 LIMIT 1";
        let attribute = tree_name(resource_type, &value.attribute);
        Ok(self
            .session()
            .query_one(sql, &parameters![tenant, attribute, &value.value], |row| row.is_true(0))?
            .is_some())
    }

    /// How many live resources of a type a tenant has.
    pub fn resource_count(&self, tenant: &str, resource_type: &str) -> Result<u64, StoreError> {
        Ok(self.counted(tenant, resource_type)?.0)
    }

    /// The number of live resources, and how often one came or went in the middle of the order.
    pub(crate) fn counted(&self, tenant: &str, resource_type: &str) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT live, shifts FROM resource_count WHERE tenant = ?1 AND resource_type = ?2";
        let found = self
            .session()
            .query_one(sql, &parameters![tenant, resource_type], |row| Ok((row.count(0)?, row.count(1)?)))?;
        Ok(found.unwrap_or_default())
    }

    /// Live resources in key order.
    pub(crate) fn resources_after<T>(
        &self,
        tenant: &str,
        resource_type: &str,
        after: i64,
        limit: usize,
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM resource AS r WHERE r.tenant = ?1 AND r.resource_type = ?2 AND r.state = 'live' AND r.key > ?3 \
             ORDER BY r.key LIMIT ?4"
        );
        self.session().query(sql, &parameters![tenant, resource_type, after, limit], read)
    }

    /// Resources in key order, whatever their state. Walks the table: for maintenance.
    pub(crate) fn resources_in_any_state(
        &self,
        tenant: &str,
        resource_type: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Resource>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM resource AS r WHERE r.key > ?3 AND r.tenant = ?1 AND r.resource_type = ?2 ORDER BY r.key LIMIT ?4"
        );
        self.session().query(sql, &parameters![tenant, resource_type, after, limit], resource)
    }

    /// Resources in a state other than live that have not changed since `before`, longest untouched first.
    pub fn resources_in_state(
        &self,
        state: ResourceState,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Resource>, StoreError> {
        self.session().query(IN_STATE, &parameters![before, limit, state.as_str()], resource)
    }

    /// The row of a resource without its document.
    fn head(&self, key: i64) -> Result<Head, StoreError> {
        let sql = "SELECT tenant, resource_type, id, version, state, created, connection, indexed FROM resource WHERE key = ?1";
        let head = self.session().query_one(sql, &parameters![key], |row| {
            let indexed: Vec<Stored> = row.json(7)?;
            let indexed = indexed
                .into_iter()
                .map(|(attribute, value, unique)| IndexedValue { attribute, value, unique })
                .collect();
            Ok(Head {
                key,
                tenant: row.text(0)?,
                resource_type: row.text(1)?,
                id: row.text(2)?,
                version: row.integer(3)?,
                state: row.word(4)?,
                created: row.time(5)?,
                connection: row.text(6)?,
                indexed,
            })
        })?;
        head.ok_or(StoreError::NotFound("resource"))
    }

    /// Fails if a live resource other than `key` holds one of the unique values.
    fn check_unique(
        &self,
        tenant: &str,
        resource_type: &str,
        values: &[IndexedValue],
        key: i64,
    ) -> Result<(), StoreError> {
        for value in values.iter().filter(|value| value.unique) {
            let sql = "SELECT r.key FROM resource_value AS v CROSS JOIN resource AS r WHERE v.tenant = ?1 \
                       AND v.attribute = ?2 AND v.value = ?3 AND r.key = v.resource AND r.state = 'live' \
                       AND r.key <> ?4 LIMIT 1";
            let attribute = tree_name(resource_type, &value.attribute);
            let holder = self
                .session()
                .query_one(sql, &parameters![tenant, attribute, &value.value, key], |row| row.integer(0))?;
            if let Some(holder) = holder {
                return Err(StoreError::taken(&value.attribute, holder));
            }
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// Stores a new, live resource.
    ///
    /// # Errors
    /// [`StoreError::Taken`] with the attribute and its holder if a unique value is in use, or the id (`id`).
    pub fn insert_resource(&mut self, new: &NewResource) -> Result<Resource, StoreError> {
        self.check_unique(&new.tenant, &new.resource_type, &new.values, 0)?;
        self.insert(new)
    }

    /// Like [`Tx::insert_resource`], of a resource that is none of those that are there or were: `None`, and nothing written,
    /// if another one has, or had, a unique value or one under an attribute of `identity`.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if the id is in use.
    pub fn insert_newcomer(&mut self, new: &NewResource, identity: &[&str]) -> Result<Option<Resource>, StoreError> {
        let tells = |value: &&IndexedValue| value.unique || identity.contains(&value.attribute.as_str());
        for value in new.values.iter().filter(tells) {
            if self.is_known_by(&new.tenant, &new.resource_type, value)? {
                return Ok(None);
            }
        }
        self.insert(new).map(Some)
    }

    fn insert(&self, new: &NewResource) -> Result<Resource, StoreError> {
        let sql = "INSERT INTO resource (tenant, resource_type, id, version, active, state, created, modified, \
                   connection, indexed, document) VALUES (?1, ?2, ?3, 1, ?4, 'live', ?5, ?5, ?6, ?7, ?8) \
                   ON CONFLICT DO NOTHING";
        let parameters = parameters![
            &new.tenant,
            &new.resource_type,
            &new.id,
            new.active,
            new.now,
            &new.connection,
            stored_text(&new.values)?,
            document_text(&new.document)?,
        ];
        let Some(key) = self.session().insert(sql, &parameters)? else {
            let holder = self.resource_by_id(&new.tenant, &new.resource_type, &new.id)?;
            return Err(StoreError::taken("id", holder.map_or(0, |holder| holder.key)));
        };
        self.add_values(&new.tenant, &new.resource_type, &new.values.iter().collect::<Vec<_>>(), key)?;
        self.count(&new.tenant, &new.resource_type, 1, 0)?;
        let now = whole_milliseconds(new.now)?;
        Ok(Resource {
            key,
            tenant: new.tenant.clone(),
            resource_type: new.resource_type.clone(),
            id: new.id.clone(),
            document: new.document.clone(),
            version: 1,
            active: new.active,
            created: now,
            modified: now,
            state: ResourceState::Live,
            connection: new.connection.clone(),
        })
    }

    /// Gives a resource another document, if it is still at the expected version. Its state stays.
    ///
    /// # Errors
    /// [`StoreError::Stale`] with the version it has; [`StoreError::Taken`] if it is live and a unique value is in use;
    /// [`StoreError::NotFound`].
    pub fn update_resource(
        &mut self,
        key: i64,
        expected_version: i64,
        document: &Document,
        values: &[IndexedValue],
        active: bool,
        now: Timestamp,
    ) -> Result<Resource, StoreError> {
        let head = self.head(key)?;
        if head.version != expected_version {
            return Err(StoreError::Stale { found: head.version });
        }
        let is_moved = head.indexed != values;
        if is_moved && head.state == ResourceState::Live {
            self.check_unique(&head.tenant, &head.resource_type, values, key)?;
        }
        if is_moved {
            self.put_values(&head, values)?;
        }
        let sql = "UPDATE resource SET document = ?3, active = ?4, modified = ?5, version = version + 1 \
                   WHERE key = ?1 AND version = ?2";
        let parameters = parameters![key, expected_version, document_text(document)?, active, now];
        if self.session().execute(sql, &parameters)? == 0 {
            return Err(StoreError::Stale { found: head.version });
        }
        Ok(Resource {
            key,
            tenant: head.tenant,
            resource_type: head.resource_type,
            id: head.id,
            document: document.clone(),
            version: head.version + 1,
            active,
            created: head.created,
            modified: whole_milliseconds(now)?,
            state: head.state,
            connection: head.connection,
        })
    }

    /// Counts a change that is not in the document, such as that of a group's members. Returns the new version.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if a version is expected and the resource has another; [`StoreError::NotFound`].
    pub fn touch_resource(
        &mut self,
        key: i64,
        expected_version: Option<i64>,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        let sql =
            "UPDATE resource SET modified = ?3, version = version + 1 WHERE key = ?1 AND (?2 = 0 OR version = ?2)";
        let expected = expected_version.unwrap_or_default();
        let is_changed = self.session().execute(sql, &parameters![key, expected, now])? > 0;
        let sql = "SELECT version FROM resource WHERE key = ?1";
        let version = self.session().query_one(sql, &parameters![key], |row| row.integer(0))?;
        let version = version.ok_or(StoreError::NotFound("resource"))?;
        if is_changed { Ok(version) } else { Err(StoreError::Stale { found: version }) }
    }

    /// Takes up a resource that is not live again, with another document and as if created by another connection; its id,
    /// key, accounts and assignments stay. The counterpart of `insert_resource`.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if it is not at the expected version; [`StoreError::Taken`]; [`StoreError::NotFound`].
    pub fn revive(&mut self, key: i64, expected_version: i64, new: &NewResource) -> Result<Resource, StoreError> {
        let mut revived =
            self.update_resource(key, expected_version, &new.document, &new.values, new.active, new.now)?;
        self.set_resource_state(key, revived.version, ResourceState::Live, new.now)?;
        let sql = "UPDATE resource SET connection = ?2 WHERE key = ?1";
        self.session().execute(sql, &parameters![key, &new.connection])?;
        revived.version += i64::from(revived.state != ResourceState::Live);
        revived.state = ResourceState::Live;
        revived.connection.clone_from(&new.connection);
        Ok(revived)
    }

    /// Makes a resource live, rejected or deleted; false, and nothing written, if it is not at the expected version. The
    /// version rises unless it is in that state already.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if it is to be live and another live resource has one of its unique values meanwhile;
    /// [`StoreError::NotFound`].
    pub fn set_resource_state(
        &mut self,
        key: i64,
        expected_version: i64,
        state: ResourceState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let resource = self.head(key)?;
        if resource.version != expected_version {
            return Ok(false);
        }
        if resource.state == state {
            return Ok(true);
        }
        if state == ResourceState::Live {
            self.check_unique(&resource.tenant, &resource.resource_type, &resource.indexed, key)?;
        }
        let sql =
            "UPDATE resource SET state = ?3, modified = ?4, version = version + 1 WHERE key = ?1 AND version = ?2";
        if self.session().execute(sql, &parameters![key, expected_version, state.as_str(), now])? == 0 {
            return Ok(false);
        }
        let live = |state| i64::from(state == ResourceState::Live);
        let difference = live(state) - live(resource.state);
        self.count(&resource.tenant, &resource.resource_type, difference, difference.abs())?;
        Ok(true)
    }

    /// Removes a resource that is not live, with its accounts, values and edges, for good. Its assignments must have been
    /// given back. False if there is none.
    pub fn purge_resource(&mut self, key: i64) -> Result<bool, StoreError> {
        let resource = match self.head(key) {
            Ok(resource) if resource.state != ResourceState::Live => resource,
            Ok(_) | Err(StoreError::NotFound(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        self.put_values(&resource, &[])?;
        self.session().execute("DELETE FROM account WHERE resource = ?1", &parameters![key])?;
        self.session().execute("DELETE FROM member WHERE resource = ?1", &parameters![key])?;
        Ok(self.session().execute("DELETE FROM resource WHERE key = ?1", &parameters![key])? > 0)
    }

    /// Makes these the values a resource is found by, whatever they were.
    pub(crate) fn replace_values(&mut self, key: i64, values: &[IndexedValue]) -> Result<(), StoreError> {
        let head = self.head(key)?;
        if head.indexed == values { Ok(()) } else { self.put_values(&head, values) }
    }

    /// Writes the difference between the values a resource is found by and those it is to be found by.
    fn put_values(&self, head: &Head, values: &[IndexedValue]) -> Result<(), StoreError> {
        for value in head.indexed.iter().filter(|value| !values.contains(value)) {
            let sql =
                "DELETE FROM resource_value WHERE tenant = ?1 AND attribute = ?2 AND value = ?3 AND resource = ?4";
            let attribute = tree_name(&head.resource_type, &value.attribute);
            self.session().execute(sql, &parameters![&head.tenant, attribute, &value.value, head.key])?;
        }
        let missing: Vec<&IndexedValue> = values.iter().filter(|value| !head.indexed.contains(value)).collect();
        self.add_values(&head.tenant, &head.resource_type, &missing, head.key)?;
        let sql = "UPDATE resource SET indexed = ?2 WHERE key = ?1";
        self.session().execute(sql, &parameters![head.key, stored_text(values)?])?;
        Ok(())
    }

    fn add_values(
        &self,
        tenant: &str,
        resource_type: &str,
        values: &[&IndexedValue],
        key: i64,
    ) -> Result<(), StoreError> {
        for values in values.chunks(VALUES) {
            let mut parameters = parameters![tenant, key].to_vec();
            let mut rows = Vec::with_capacity(values.len());
            for value in values {
                let place = parameters.len() + 1;
                rows.push(format!("(?1, ?{place}, ?{}, ?2)", place + 1));
                parameters.push(tree_name(resource_type, &value.attribute).into());
                parameters.push((&value.value).into());
            }
            let sql = format!(
                "INSERT INTO resource_value (tenant, attribute, value, resource) VALUES {} ON CONFLICT DO NOTHING",
                rows.join(", ")
            );
            self.session().execute(&sql, &parameters)?;
        }
        Ok(())
    }

    fn count(&self, tenant: &str, resource_type: &str, live: i64, shifts: i64) -> Result<(), StoreError> {
        let counted = parameters![tenant, resource_type, live, shifts];
        let sql = "UPDATE resource_count SET live = live + ?3, shifts = shifts + ?4 \
                   WHERE tenant = ?1 AND resource_type = ?2";
        if self.session().execute(sql, &counted)? == 0 {
            let sql = "INSERT INTO resource_count (tenant, resource_type, live, shifts) VALUES (?1, ?2, ?3, ?4)";
            self.session().execute(sql, &counted)?;
        }
        Ok(())
    }
}

fn document_text(document: &Document) -> Result<String, StoreError> {
    serde_json::to_string(document).map_err(|error| StoreError::Internal(error.to_string()))
}

fn stored_text(values: &[IndexedValue]) -> Result<String, StoreError> {
    let stored: Vec<(&str, &str, bool)> =
        values.iter().map(|value| (value.attribute.as_str(), value.value.as_str(), value.unique)).collect();
    serde_json::to_string(&stored).map_err(|error| StoreError::Internal(error.to_string()))
}

/// The time as it will be read back.
fn whole_milliseconds(time: Timestamp) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(time.as_millisecond()).map_err(StoreError::corrupt)
}

#[cfg(test)]
mod tests;
