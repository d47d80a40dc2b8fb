//! The registry, against a DynamoDB engine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{BeforeSerializationInterceptorContextMut, BeforeSerializationInterceptorContextRef},
    },
    error::BoxError,
    operation::query::QueryInput,
    types::AttributeValue,
};
use futures::{StreamExt, TryStreamExt};
use lambda_websocket::{
    Channel, Connection, Principal, Registry,
    log::chain,
    protocol::{
        cursor::Cursor,
        shards::{ShardCount, Shards},
    },
    store::registry::{DeletedRow, MemberKey, OPEN_AFTER, Subscription, expires_at},
};
use proptest::prelude::*;
use testkit::{
    dynamodb::{ConnectionTable, Row, remove, unsubscribe},
    fixtures,
};

fn connection(id: &str) -> Connection {
    fixtures::connect(id).connection
}

async fn add(registry: &Registry, ids: &[String]) {
    for id in ids {
        registry.add(&Channel::everyone(), &connection(id)).await.unwrap();
    }
}

async fn members(registry: &Registry) -> Vec<MemberKey> {
    registry.members(&Channel::everyone()).try_collect().await.unwrap()
}

/// The members' ids, in order, each as often as it is read.
async fn member_ids(registry: &Registry) -> Vec<String> {
    let mut ids: Vec<_> = members(registry).await.iter().map(|member| member.id.to_string()).collect();
    ids.sort();
    ids
}

/// So many ids, in order.
async fn forget(registry: &Registry, gone: impl IntoIterator<Item = MemberKey>) -> Vec<DeletedRow> {
    let before = fixtures::now_millis() - OPEN_AFTER.as_millis() as u64;
    let mut departures = vec![];
    for member in gone {
        let rows = registry.rows_of_gone(member).await.unwrap();
        departures.extend(registry.delete(rows, Some(before)).await.unwrap());
    }
    departures
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("c{n:04}=")).collect()
}

fn row(channel: &str, connection_id: &str, expires_at: &str) -> Row {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    Row::from([
        ("channel".to_owned(), text(channel)),
        ("connectionId".to_owned(), text(connection_id)),
        ("expiresAt".to_owned(), AttributeValue::N(expires_at.to_owned())),
    ])
}

const FAR_AWAY: &str = "4102444800"; // the year 2100

#[tokio::test]
async fn who_is_added_is_a_member_once() {
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    for _ in 0..2 {
        registry.add(&Channel::everyone(), &connection("a=")).await.unwrap();
    }
    assert_eq!(member_ids(&registry).await, ["a="]);

    let rows = table.rows().await;
    let [row] = rows.as_slice() else { panic!("one row, not {rows:?}") };
    let number = |name: &str| row[name].as_n().unwrap().parse::<u64>().unwrap();
    assert_eq!(row["channel"].as_s().unwrap(), "*#0");
    assert_eq!(row["sourceIp"].as_s().unwrap(), "203.0.113.7");
    assert!(row["userAgent"].as_s().unwrap().contains("Firefox"));
    assert_eq!(number("expiresAt"), number("connectedAt") / 1_000 + 7_800);
}

#[tokio::test]
async fn an_expired_row_is_no_member() {
    let table = ConnectionTable::start().await;
    table.put(row("*#0", "old=", "1700000000")).await;
    table.put(row("*#0", "live=", FAR_AWAY)).await;
    table.put(row("team#0", "elsewhere=", FAR_AWAY)).await;
    assert_eq!(member_ids(&table.registry()).await, ["live="]);
}

#[tokio::test]
async fn a_row_that_holds_no_id_is_passed_over() {
    let table = ConnectionTable::start().await;
    table.put(row("*#0", "not an id", FAR_AWAY)).await;
    table.put(row("*#0", "live=", FAR_AWAY)).await;
    assert_eq!(member_ids(&table.registry()).await, ["live="]);
}

#[tokio::test]
async fn members_are_read_page_after_page() {
    // A page ends at 1 MB: 1,200 rows of 2 KB are three.
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    for id in ids(1_200) {
        let mut connection = connection(&id);
        connection.user_agent = Some("x".repeat(2_000));
        registry.add(&Channel::everyone(), &connection).await.unwrap();
    }
    assert_eq!(member_ids(&registry).await, ids(1_200));
}

#[tokio::test]
async fn everyone_is_found_once_however_many_shards_there_are() {
    for shards in [1, 4, 64] {
        let table = ConnectionTable::start().await;
        let registry = table.sharded_registry(shards);
        add(&registry, &ids(100)).await;
        assert_eq!(member_ids(&registry).await, ids(100), "{shards} shards");
    }
}

#[tokio::test]
async fn the_connections_of_a_channel_are_spread_over_its_shards() {
    let table = ConnectionTable::start().await;
    add(&table.sharded_registry(4), &ids(100)).await;
    let mut rows = BTreeMap::new();
    for row in table.rows().await {
        *rows.entry(row["channel"].as_s().unwrap().clone()).or_insert(0) += 1;
    }
    let rows: Vec<_> = rows.iter().map(|(shard, count)| (shard.as_str(), *count)).collect();
    assert_eq!(rows, [("*#0", 25), ("*#1", 25), ("*#2", 25), ("*#3", 25)]);
}

#[tokio::test]
async fn with_more_shards_everyone_is_found_and_forgotten() {
    let table = ConnectionTable::start().await;
    let (before, after) = (table.sharded_registry(2), table.sharded_registry(4));
    let (old, new) = (&ids(100)[..50], &ids(100)[50..]);
    add(&before, old).await;
    add(&after, new).await;
    assert_eq!(member_ids(&after).await, ids(100));
    forget(&after, members(&after).await).await;
    assert!(table.rows().await.is_empty());
}

#[tokio::test]
async fn with_fewer_shards_some_are_not_read_and_yet_removed() {
    let table = ConnectionTable::start().await;
    let (before, after) = (table.sharded_registry(4), table.sharded_registry(2));
    add(&before, &ids(100)).await;
    assert_eq!(members(&after).await.len(), 50);
    for id in ids(100) {
        remove(&after, &connection(&id)).await.unwrap();
    }
    assert!(table.rows().await.is_empty());
}

#[tokio::test]
async fn the_shards_of_before_are_read_until_nobody_is_in_them() {
    let table = ConnectionTable::start().await;
    let count = |count: u8| count.to_string().parse::<ShardCount>().unwrap();
    add(&table.sharded_registry(8), &ids(50)).await;
    let shards = Shards { channel: count(1), everyone: count(2), former: count(8) };
    let registry = Registry::new(table.client.clone(), ConnectionTable::NAME, shards);
    add(&registry, &ids(100)[50..]).await;
    assert_eq!(member_ids(&registry).await, ids(100));
    for id in &ids(100)[..50] {
        remove(&registry, &connection(id)).await.unwrap();
    }
    let without =
        Registry::new(table.client.clone(), ConnectionTable::NAME, Shards { former: count(1), ..shards });
    assert_eq!(member_ids(&without).await, ids(100)[50..], "all others are in the shards of now");
}

/// Notes the partitions that are queried, and fails the query of one.
#[derive(Clone, Debug, Default)]
struct Queries {
    partitions: Arc<Mutex<HashSet<String>>>,
    failing: Option<&'static str>,
}

/// The registry with 4 shards, behind a client whose calls are watched.
fn watched(table: &ConnectionTable, by: impl Intercept + 'static) -> Registry {
    let config = table.client.config().to_builder().interceptor(by).build();
    Registry::new(Client::from_conf(config), ConnectionTable::NAME, "4".parse().unwrap())
}

impl Intercept for Queries {
    fn name(&self) -> &'static str {
        "queries"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(query) = context.input().downcast_ref::<QueryInput>() {
            let partition = query.expression_attribute_values().unwrap()[":channel"].as_s().unwrap();
            self.partitions.lock().unwrap().insert(partition.clone());
            if self.failing == Some(partition) {
                return Err("this shard is away".into());
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn the_shards_are_read_side_by_side() {
    let table = ConnectionTable::start().await;
    add(&table.sharded_registry(4), &ids(100)).await;
    let queries = Queries::default();
    let registry = watched(&table, queries.clone());
    let channel = Channel::everyone();
    let mut members = Box::pin(registry.members(&channel));
    members.next().await.unwrap().unwrap();
    assert_eq!(queries.partitions.lock().unwrap().len(), 4, "queries, when the first member is there");
}

#[tokio::test]
async fn a_shard_that_cannot_be_read_is_an_error_and_the_others_are_read() {
    let table = ConnectionTable::start().await;
    add(&table.sharded_registry(4), &ids(100)).await;
    let registry = watched(&table, Queries { failing: Some("*#2"), ..Queries::default() });
    let read: Vec<_> = registry.members(&Channel::everyone()).collect().await;
    let errors: Vec<_> = read.iter().filter_map(|member| member.as_ref().err()).collect();
    let [error] = errors.as_slice() else { panic!("one error, not {errors:?}") };
    assert!(chain(error).contains("this shard is away"), "{}", chain(error));
    assert_eq!(read.len(), 75 + 1);
}

#[tokio::test]
async fn remove_takes_a_connection_out_of_every_channel_and_leaves_the_others() {
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    let gone = connection("gone=");
    registry.add(&Channel::everyone(), &gone).await.unwrap();
    registry.add(&Channel::everyone(), &connection("live=")).await.unwrap();
    for n in 0..60 {
        table.put(row(&format!("team-{n}#0"), "gone=", FAR_AWAY)).await;
    }
    for _ in 0..2 {
        remove(&registry, &gone).await.unwrap();
        assert_eq!(table.connection_ids().await, ["live="]);
    }
}

#[tokio::test]
async fn forget_takes_many_out_of_every_channel() {
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    add(&registry, &ids(60)).await;
    for id in ["c0000=", "c0001=", "c0059="] {
        table.put(row("lobby#7", id, FAR_AWAY)).await;
    }
    let gone = members(&registry).await.into_iter().filter(|member| member.id.as_str() != "c0000=");
    let left = forget(&registry, gone).await;
    assert_eq!(left.iter().filter(|departure| departure.channel == channel("lobby")).count(), 2);
    assert_eq!(table.connection_ids().await, ["c0000=", "c0000="]);
}

/// The row is written while the client waits for the answer to `$connect`: until then a post to it is answered 410.
#[tokio::test]
async fn a_connection_that_may_be_about_to_open_is_not_forgotten() {
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    let opening = Connection { connected_at: fixtures::now_millis() - 50_000, ..connection("opening=") };
    registry.register(&opening).await.unwrap();
    registry.add(&channel("lobby"), &opening).await.unwrap();
    add(&registry, &ids(1)).await;
    forget(&registry, members(&registry).await).await;
    assert_eq!(table.connection_ids().await, ["opening=", "opening="]);
    remove(&registry, &opening).await.unwrap();
    assert!(table.rows().await.is_empty(), "its own good-bye counts at any age");
}

#[tokio::test]
async fn a_failure_names_the_operation_and_the_table() {
    let table = ConnectionTable::start().await;
    table.drop_table().await;
    let error = table.registry().add(&Channel::everyone(), &connection("a=")).await.unwrap_err();
    let sentence = chain(&error);
    assert!(sentence.starts_with("PutItem on the table connections: "), "{sentence}");
    assert!(sentence.contains("ResourceNotFoundException"), "{sentence}");
}

/// Queries of the index find nothing, as before it has caught up with the table.
#[derive(Debug)]
struct LateIndex;

impl Intercept for LateIndex {
    fn name(&self) -> &'static str {
        "late index"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(query) = context.input_mut().downcast_mut::<QueryInput>() {
            let nobody = AttributeValue::S("nobody=".to_owned());
            query.expression_attribute_values.as_mut().unwrap().insert(":id".to_owned(), nobody);
        }
        Ok(())
    }
}

#[tokio::test]
async fn who_leaves_before_the_index_knows_them_is_removed_too() {
    let table = ConnectionTable::start().await;
    let registry = watched(&table, LateIndex);
    add(&registry, &ids(20)).await;
    for id in ids(20) {
        remove(&registry, &connection(&id)).await.unwrap();
    }
    assert!(table.rows().await.is_empty());
}

fn channel(name: &str) -> Channel {
    Channel::parse(name).unwrap()
}

/// A connection of Ada's.
fn of_ada(id: &str) -> Connection {
    Connection { principal: Some(Principal::parse("ada").unwrap()), ..connection(id) }
}

/// The keys of all rows, in order.
async fn keys(table: &ConnectionTable) -> Vec<(String, String)> {
    let mut keys: Vec<_> = table
        .rows()
        .await
        .iter()
        .map(|row| ["channel", "connectionId"].map(|name| row[name].as_s().unwrap().clone()).into())
        .collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn who_is_registered_is_with_everyone_and_their_other_devices() {
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    for connection in [of_ada("a="), of_ada("b="), connection("c=")] {
        registry.register(&connection).await.unwrap();
    }
    let keys = keys(&table).await;
    let keys: Vec<_> = keys.iter().map(|(channel, id)| (channel.as_str(), id.as_str())).collect();
    assert_eq!(
        keys,
        [("*#0", "a="), ("*#0", "b="), ("*#0", "c="), ("user:ada#0", "a="), ("user:ada#0", "b=")]
    );
    for row in table.rows().await {
        let is_known = row["connectionId"].as_s().unwrap() != "c=";
        assert_eq!(row.get("principal").map(|name| name.as_s().unwrap().as_str()), is_known.then_some("ada"));
    }
}

#[tokio::test]
async fn who_subscribes_is_a_member_until_they_unsubscribe() {
    for shards in [1, 4] {
        let table = ConnectionTable::start().await;
        let registry = table.sharded_registry(shards);
        let lobby = channel("lobby");
        let connections: Vec<_> = ids(8).iter().map(|id| connection(id)).collect();
        for expected in [Subscription::Made, Subscription::Kept] {
            for connection in &connections {
                assert_eq!(registry.subscribe(&lobby, connection, 1).await.unwrap(), expected);
            }
        }
        assert_eq!(table.connection_ids().await, ids(8), "each once");
        for _ in 0..2 {
            unsubscribe(&registry, &lobby, &connections[0].id).await.unwrap();
            assert_eq!(table.connection_ids().await, ids(8)[1..]);
        }
    }
}

#[tokio::test]
async fn a_subscription_expires_with_its_connection() {
    let table = ConnectionTable::start().await;
    let mut connection = of_ada("a=");
    connection.connected_at -= 3_600_000; // an hour ago
    table.registry().subscribe(&channel("lobby"), &connection, 1).await.unwrap();
    let rows = table.rows().await;
    assert_eq!(rows[0]["expiresAt"].as_n().unwrap(), &expires_at(&connection).to_string());
    assert_eq!(rows[0]["connectedAt"].as_n().unwrap(), &connection.connected_at.to_string());
    assert_eq!(rows[0]["principal"].as_s().unwrap(), "ada");
}

#[tokio::test]
async fn a_connection_has_only_so_many_subscriptions() {
    for shards in [1, 4] {
        let table = ConnectionTable::start().await;
        let registry = table.sharded_registry(shards);
        let (a, b) = (of_ada("a="), connection("b="));
        registry.register(&a).await.unwrap(); // It does not count.
        let subscribe = async |name: &str, connection| {
            registry.subscribe(&channel(name), connection, 2).await.unwrap() != Subscription::TooMany
        };
        assert!(subscribe("one", &a).await && subscribe("two", &a).await);
        assert!(!subscribe("three", &a).await, "a third");
        assert!(subscribe("two", &a).await, "one that it has");
        assert!(subscribe("three", &b).await, "another's");
        unsubscribe(&registry, &channel("one"), &a.id).await.unwrap();
        assert!(subscribe("three", &a).await, "in the place of another");
        assert!(!subscribe("one", &a).await);
    }
}

#[tokio::test]
async fn who_subscribed_under_another_number_of_shards_can_unsubscribe_and_is_counted_once() {
    let table = ConnectionTable::start().await;
    let lobby = channel("lobby");
    for shards in [2, 4] {
        for id in ids(20) {
            let made = table.sharded_registry(shards).subscribe(&lobby, &connection(&id), 1).await.unwrap();
            assert_ne!(made, Subscription::TooMany);
        }
    }
    assert!(table.rows().await.len() > 20, "some are in two shards");
    for id in ids(20) {
        unsubscribe(&table.sharded_registry(4), &lobby, &connection(&id).id).await.unwrap();
    }
    assert!(table.rows().await.is_empty());
}

#[tokio::test]
async fn who_unsubscribes_or_leaves_before_the_index_knows_them_is_removed_too() {
    let table = ConnectionTable::start().await;
    let registry = watched(&table, LateIndex);
    for id in ids(20) {
        registry.register(&of_ada(&id)).await.unwrap();
        registry.subscribe(&channel("lobby"), &of_ada(&id), 50).await.unwrap();
        unsubscribe(&registry, &channel("lobby"), &of_ada(&id).id).await.unwrap();
        remove(&registry, &of_ada(&id)).await.unwrap();
    }
    assert!(table.rows().await.is_empty());
}

/// The ids of a channel's list, in pages of so many, each begun behind the last of the page before.
async fn pages(registry: &Registry, channel: &Channel, size: u16) -> Vec<Vec<String>> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let listed: Vec<_> =
            registry.list(channel, after.as_ref(), size).take(size.into()).try_collect().await.unwrap();
        let Some(last) = listed.last() else { return pages };
        after = Some(last.cursor());
        pages.push(listed.iter().map(|member| member.connection_id.to_string()).collect());
    }
}

#[tokio::test]
async fn a_channel_is_listed_page_after_page() {
    for shards in [1, 4] {
        let table = ConnectionTable::start().await;
        let registry = table.sharded_registry(shards);
        add(&registry, &ids(25)).await;
        registry.subscribe(&channel("lobby"), &connection("elsewhere="), 1).await.unwrap();
        for size in [1, 10, 25, 1_000] {
            let pages = pages(&registry, &Channel::everyone(), size).await;
            assert_eq!(pages.len(), 25_usize.div_ceil(size.into()), "{shards} shards, pages of {size}");
            let mut listed = pages.concat();
            listed.sort();
            assert_eq!(listed, ids(25), "{shards} shards, pages of {size}");
        }
    }
}

#[tokio::test]
async fn the_list_tells_who_and_since_when_and_leaves_out_who_expired() {
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    for n in 0..5 {
        table.put(row("lobby#0", &format!("a{n}="), "1700000000")).await;
    }
    let ada = of_ada("b=");
    registry.subscribe(&channel("lobby"), &ada, 1).await.unwrap();
    // The pages of the expired alone do not end the list.
    let listed: Vec<_> = registry.list(&channel("lobby"), None, 2).try_collect().await.unwrap();
    let [presence] = listed.as_slice() else { panic!("one, not {listed:?}") };
    assert_eq!((&presence.connection_id, presence.connected_at), (&ada.id, ada.connected_at));
    assert_eq!(presence.principal, ada.principal);
}

#[tokio::test]
async fn a_cursor_is_a_place_in_the_channel_that_is_asked_for() {
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    for id in ids(4) {
        registry.subscribe(&channel("lobby"), &connection(&id), 1).await.unwrap();
        registry.subscribe(&channel("secret"), &connection(&id.replace('c', "s")), 1).await.unwrap();
    }
    for (cursor, expected) in [
        ("0.c0001=", &ids(4)[2..]), // as it comes
        ("0.c0001x", &ids(4)[2..]), // nobody's
        ("0.a", &ids(4)),
        ("0.s0001=", &[]), // another channel's
        ("1.a", &[]),      // a shard that is not there
        ("255.a", &[]),
    ] {
        let after = Cursor::parse(cursor).unwrap();
        let listed: Vec<_> = registry.list(&channel("lobby"), Some(&after), 10).try_collect().await.unwrap();
        let listed: Vec<_> = listed.iter().map(|member| member.connection_id.to_string()).collect();
        assert_eq!(listed, expected, "{cursor}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// From 2 shards to 4, or whatever: rows are found and deleted where they were put.
    #[test]
    fn with_more_shards_those_who_were_there_are_found_and_forgotten(before in 1..=64_u8, more in 0..=63_u8) {
        let after = before.saturating_add(more).min(64);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let table = ConnectionTable::start().await;
            add(&table.sharded_registry(before), &ids(20)).await;
            let registry = table.sharded_registry(after);
            assert_eq!(member_ids(&registry).await, ids(20));
            forget(&registry, members(&registry).await).await;
            assert!(table.rows().await.is_empty());
        });
    }
}
