//! Simulated DynamoDB tables with a hash key, a range key and perhaps an index. Their copies lag behind.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    expression::{Expression, Row},
    update::Update,
};

/// The maximum size of the rows that a page of a query is read from, in bytes.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// The names of a table's keys, or of an index's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    pub(super) hash: &'static str,
    pub(super) range: &'static str,
}

/// A hash key and a range key. A number is a text of as many digits as the largest one has, so that they are in order.
type Key = (String, String);

type Rows = BTreeMap<Key, Arc<Row>>;

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    keys: Keys,
    rows: Rows,
    /// The rows that eventually consistent reads see.
    copy: Rows,
    index: Option<Index>,
    /// The changes that the copies lack: the time, the key, and the new row, or none if it was deleted.
    unheard: VecDeque<(Instant, Key, Option<Arc<Row>>)>,
}

/// The rows by other keys. It holds only the keys of each row.
#[derive(Debug)]
struct Index {
    name: &'static str,
    keys: Keys,
    rows: Rows,
}

impl Keys {
    fn of(self, row: &Value) -> Key {
        (text(&row[self.hash]), text(&row[self.range]))
    }
}

fn text(value: &Value) -> String {
    match value["N"].as_str() {
        Some(number) => format!("{:020}", number.parse::<u64>().expect("a whole number")),
        None => value["S"].as_str().expect("a text").to_owned(),
    }
}

/// The row, or the key, in a call.
fn row_of(call: &mut Value, name: &str) -> Row {
    let Value::Object(row) = call[name].take() else { panic!("{name} is an object") };
    row
}

impl Table {
    /// An empty table, perhaps with an index: by the same two attributes the other way round.
    pub(super) fn new(keys: Keys, index: Option<&'static str>) -> Self {
        let index = index.map(|name| Index {
            name,
            keys: Keys { hash: keys.range, range: keys.hash },
            rows: Rows::new(),
        });
        Self { keys, rows: Rows::new(), copy: Rows::new(), index, unheard: VecDeque::new() }
    }

    /// The keys that a call is about: those of its row, or of the start of a page.
    pub(super) fn about(&self, call: &Value) -> String {
        for name in ["Item", "Key"] {
            if call[name].is_object() {
                return format!("{:?}", self.keys.of(&call[name]));
            }
        }
        let values = &call["ExpressionAttributeValues"];
        let about = [&values[":channel"], &call["ExclusiveStartKey"]];
        format!("{} {about:?}", values[":id"])
    }

    /// Every row, by its keys.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Key, &Row)> {
        self.rows.iter().map(|(key, row)| (key, &**row))
    }

    /// Writes a row, and returns the previous one.
    pub(super) fn put(&mut self, row: Row) -> Option<Arc<Row>> {
        let (key, row) = (self.keys.of(&json!(row)), Arc::new(row));
        self.unheard.push_back((Instant::now(), key.clone(), Some(Arc::clone(&row))));
        self.rows.insert(key, row)
    }

    /// Deletes a row, and returns it.
    pub(super) fn delete(&mut self, key: &Key) -> Option<Arc<Row>> {
        self.unheard.push_back((Instant::now(), key.clone(), None));
        self.rows.remove(key)
    }

    /// Deletes the rows that have expired, as DynamoDB does sooner or later.
    pub(super) fn expire(&mut self, now: u64) {
        let expires_at = |row: &Row| row.get("expiresAt")?["N"].as_str()?.parse::<u64>().ok();
        let expired: Vec<_> = self
            .rows
            .iter()
            .filter(|(_, row)| expires_at(row).is_some_and(|at| at <= now))
            .map(|(key, _)| key.clone())
            .collect();
        expired.into_iter().for_each(|key| drop(self.delete(&key)));
    }

    /// Answers a call. The copies are behind by `lag`. A page of a query has `rows_in_a_page` rows, including those
    /// that the filter leaves out.
    pub(super) fn serve(
        &mut self,
        operation: &str,
        mut call: Value,
        lag: Duration,
        rows_in_a_page: usize,
    ) -> (u16, Value) {
        match operation {
            "PutItem" | "DeleteItem" => {
                let name = if operation == "PutItem" { "Item" } else { "Key" };
                let row = row_of(&mut call, name);
                let key = self.keys.of(&json!(row));
                if !self.may_write(&call, &key) {
                    let name = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                    let mut error = json!({"__type": name, "message": "The conditional request failed"});
                    if call["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
                        && let Some(row) = self.rows.get(&key)
                    {
                        error["Item"] = json!(**row);
                    }
                    return (400, error);
                }
                let old = if operation == "PutItem" { self.put(row) } else { self.delete(&key) };
                let old = old.filter(|_| call["ReturnValues"] == "ALL_OLD");
                (200, old.map_or(json!({}), |row| json!({ "Attributes": *row })))
            }
            "UpdateItem" => {
                let key = self.keys.of(&call["Key"]);
                let mut row =
                    self.rows.get(&key).map_or_else(|| row_of(&mut call, "Key"), |row| (**row).clone());
                let changed = Update::of(&call).apply(&mut row);
                self.put(row);
                assert_eq!(call["ReturnValues"], "UPDATED_NEW", "the simulation returns what it has changed");
                (200, json!({ "Attributes": changed }))
            }
            "GetItem" => {
                let key = self.keys.of(&call["Key"]);
                let row = self.source(&call, lag).get(&key);
                (200, row.map_or(json!({}), |row| json!({ "Item": **row })))
            }
            "Query" => (200, self.query(&call, lag, rows_in_a_page)),
            other => panic!("the simulated table knows no {other}"),
        }
    }

    fn may_write(&self, call: &Value, key: &Key) -> bool {
        let condition = Expression::of(call, "ConditionExpression");
        condition.is_none_or(|condition| condition.holds(self.rows.get(key).map(|row| &**row)))
    }

    /// The rows that a read sees.
    fn source(&mut self, call: &Value, lag: Duration) -> &Rows {
        if call["ConsistentRead"] == true { &self.rows } else { self.hear(lag) }
    }

    /// A page: rows in the order of the range key, from after the start on.
    fn query(&mut self, call: &Value, lag: Duration, rows_in_a_page: usize) -> Value {
        let limit =
            call["Limit"].as_u64().map_or(usize::MAX, |limit| usize::try_from(limit).expect("a limit"));
        let limit = limit.min(rows_in_a_page);
        let table = self.keys;
        let (keys, source) = match (call["IndexName"].as_str(), &self.index) {
            (None, _) => (table, self.source(call, lag)),
            (Some(name), Some(index)) if name == index.name => {
                assert_ne!(call["ConsistentRead"], true, "an index cannot be read consistently");
                let keys = index.keys;
                self.hear(lag);
                (keys, &self.index.as_ref().expect("an index").rows)
            }
            (Some(name), _) => panic!("there is no index {name}"),
        };

        let condition = Expression::of(call, "KeyConditionExpression").expect("a condition of the keys");
        let filter = Expression::of(call, "FilterExpression");
        let start = &call["ExclusiveStartKey"];
        let start = start.is_object().then(|| keys.of(start));
        let hash = hash_of(call, keys);
        let forward = call["ScanIndexForward"] != false;
        let first = match &start {
            Some(key) if forward => Bound::Excluded(key.clone()),
            _ => Bound::Included((hash.clone(), String::new())),
        };
        let last = match &start {
            Some(key) if !forward => Bound::Excluded(key.clone()),
            _ => Bound::Unbounded,
        };
        let range = source.range((first, last));
        let of_hash = |((of, _), _): &(&Key, &Arc<Row>)| *of == hash;
        let found: Box<dyn Iterator<Item = (&Key, &Arc<Row>)>> = if forward {
            Box::new(range.take_while(of_hash))
        } else {
            Box::new(
                range.rev().skip_while(move |((of, _), _)| *of > hash_of(call, keys)).take_while(of_hash),
            )
        };

        let (mut scanned, mut bytes, mut items, mut last_key) = (0, 0, vec![], None);
        // A condition of keys holds for rows that follow each other.
        let holds = |(_, row): &(&Key, &Arc<Row>)| condition.holds(Some(row));
        for (_, row) in found.skip_while(|row| !holds(row)).take_while(holds) {
            scanned += 1;
            bytes += size(row);
            if filter.is_none_or(|filter| filter.holds(Some(row))) {
                items.push(json!(**row));
            }
            // A full page has a last key, whether or not another page follows.
            if scanned == limit || bytes >= MAX_PAGE_BYTES {
                last_key = Some(json!({table.hash: row[table.hash], table.range: row[table.range]}));
                break;
            }
        }
        let mut page = json!({"Count": items.len(), "ScannedCount": scanned, "Items": items});
        if let Some(key) = last_key {
            page["LastEvaluatedKey"] = key;
        }
        page
    }

    /// Applies the changes that are older than the lag to the copies.
    fn hear(&mut self, lag: Duration) -> &Rows {
        while let Some((since, ..)) = self.unheard.front() {
            if since.elapsed() < lag {
                break;
            }
            let Some((_, key, row)) = self.unheard.pop_front() else { break };
            if let Some(index) = &mut self.index {
                let by = (key.1.clone(), key.0.clone());
                match &row {
                    Some(_) => drop(index.rows.insert(by, Arc::new(keys_only(self.keys, &key)))),
                    None => drop(index.rows.remove(&by)),
                }
            }
            match row {
                Some(row) => drop(self.copy.insert(key, row)),
                None => drop(self.copy.remove(&key)),
            }
        }
        &self.copy
    }
}

/// The hash key that a query names: the value that the first condition compares with.
fn hash_of(call: &Value, keys: Keys) -> String {
    let condition = call["KeyConditionExpression"].as_str().unwrap_or_default();
    let name = condition.split([' ', '=']).next().unwrap_or_default();
    let name = call["ExpressionAttributeNames"][name].as_str().unwrap_or(name);
    assert_eq!(name, keys.hash, "the simulation reads a condition that begins with the hash key");
    let value = condition.split(' ').nth(2).unwrap_or_default();
    text(&call["ExpressionAttributeValues"][value])
}

fn keys_only(keys: Keys, (hash, range): &Key) -> Row {
    let text = |value: &str| json!({ "S": value });
    Row::from_iter([(keys.hash.to_owned(), text(hash)), (keys.range.to_owned(), text(range))])
}

/// A row's size, as DynamoDB counts it.
fn size(row: &Row) -> usize {
    let value = |value: &Value| {
        value["S"].as_str().map(str::len).or_else(|| value["N"].as_str().map(|number| number.len() / 2 + 1))
    };
    row.iter().map(|(name, of)| name.len() + value(of).unwrap_or_default()).sum()
}
