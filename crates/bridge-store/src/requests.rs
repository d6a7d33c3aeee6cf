//! Requests of the journal by what came of them, by user and by time (DESIGN section 9, `request list`).

use jiff::Timestamp;

use crate::driver::parameters;
use crate::{Db, RequestEntry, RequestFilter, RequestQuery, StoreError};

/// Status from which on a request was refused.
const REFUSED: i64 = 400;

macro_rules! keys_where {
    ($who:literal) => {
        concat!(
            "SELECT key, received FROM request WHERE ",
            $who,
            " AND tenant = ?1 AND key < ?2 AND (?3 = 0 OR status >= ?4) AND received < ?5 ORDER BY key DESC"
        )
    };
}

impl Db<'_> {
    /// Requests of a tenant that the filter lets through, newest first. A scan, up to the oldest moment that is asked for.
    pub fn requests_where(
        &self,
        query: &RequestQuery,
        filter: &RequestFilter,
    ) -> Result<Vec<RequestEntry>, StoreError> {
        let before = query.before.unwrap_or(i64::MAX);
        let until = filter.until.unwrap_or(Timestamp::MAX);
        let resource = query.resource.unwrap_or_default();
        // As the journal writes bodies down.
        let named = filter.user_name.as_ref().map(|name| format!(r#""username":{}"#, serde_json::Value::from(&**name)));
        let sql = match (query.resource, &named) {
            (None, None) => keys_where!("?6 = 0 AND ?7 = ''"),
            (Some(_), None) => keys_where!("resource = ?6 AND ?7 = ''"),
            (_, Some(_)) => keys_where!("(resource = ?6 OR (resource IS NULL AND instr(lower(body), ?7) > 0))"),
        };
        let named = named.unwrap_or_default();
        let parameters = parameters![&query.tenant, before, filter.failed, REFUSED, until, resource, &named];
        let mut keys = Vec::new();
        self.session().each(sql, &parameters, |row| {
            // Keys rise with time: what comes after this is older still.
            let received = row.time(1)?;
            let is_asked = filter.since.is_none_or(|since| received >= since);
            if is_asked {
                keys.push(row.integer(0)?);
            }
            Ok(is_asked && keys.len() < query.limit)
        })?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let one = RequestQuery { tenant: query.tenant.clone(), resource: None, before: Some(key + 1), limit: 1 };
            found.extend(self.requests(&one)?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{TENANT, at, store};

    #[tokio::test]
    async fn requests_are_found_by_status_user_and_time() {
        let store = store();
        let entry = |number: i64, resource: Option<i64>, status: u16, name: &str| RequestEntry {
            key: 0,
            tenant: TENANT.into(),
            request_id: number.to_string(),
            connection: Some("okta".into()),
            method: "POST".into(),
            path: "/Users".into(),
            body: Some(json!({ "UserName": name }).to_string()),
            resource,
            notes: None,
            received: at(number),
            status: Some(status),
            outcome: None,
            finished: None,
        };
        let entries = [
            entry(1, Some(7), 201, "Ann"),
            entry(2, None, 409, "ann"),
            entry(3, Some(8), 201, "ann-marie"),
            entry(4, Some(7), 400, "Ann"),
            RequestEntry { tenant: "other".into(), ..entry(5, Some(7), 400, "Ann") },
        ];
        store.write(move |tx| entries.iter().try_for_each(|entry| tx.add_request(entry).map(drop))).await.unwrap();
        let check = |resource: Option<i64>, limit: usize, filter: RequestFilter, expected: &[&str]| {
            let query = RequestQuery { tenant: TENANT.into(), resource, limit, ..RequestQuery::default() };
            let store = &store;
            let expected = expected.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
            async move {
                let asked = filter.clone();
                let found = store.scan(move |db| db.requests_where(&query, &asked)).await.unwrap();
                let found: Vec<String> = found.into_iter().map(|entry| entry.request_id).collect();
                assert_eq!(found, expected, "{filter:?}");
            }
        };
        let all = RequestFilter::default();
        let failed = RequestFilter { failed: true, ..all.clone() };
        let ann = RequestFilter { user_name: Some("ann".into()), ..all.clone() };
        check(None, 10, all.clone(), &["4", "3", "2", "1"]).await;
        check(None, 2, all.clone(), &["4", "3"]).await;
        check(None, 10, failed.clone(), &["4", "2"]).await;
        check(Some(7), 10, all.clone(), &["4", "1"]).await;
        check(Some(7), 10, failed, &["4"]).await;
        check(Some(7), 10, ann.clone(), &["4", "2", "1"]).await;
        check(None, 10, ann, &["2"]).await;
        check(None, 10, RequestFilter { since: Some(at(3)), ..all.clone() }, &["4", "3"]).await;
        check(None, 10, RequestFilter { since: Some(at(2)), until: Some(at(3)), ..all }, &["2"]).await;
    }
}
