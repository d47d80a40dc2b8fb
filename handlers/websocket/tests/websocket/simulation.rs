//! The simulated AWS answers as a DynamoDB engine does, and as SQS says that it does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures::TryStreamExt;
use lambda_websocket::{Channel, Registry, store::registry::DeletedRow};
use proptest::prelude::*;
use testkit::{
    dynamodb::{ConnectionTable, remove, unsubscribe},
    fixtures,
    simulation::{Call, Fate, Simulation},
    sqs::MAX_QUEUED_BYTES,
};
use tokio::time::{Instant, sleep};

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(usize, usize),
    Unsubscribe(usize, usize),
    Remove(usize),
    List(usize, u16),
}

const CHANNELS: [&str; 3] = ["*", "lobby", "user:a#1"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_usize, 0..3_usize).prop_map(|(id, channel)| Step::Add(id, channel)),
        1 => (0..6_usize, 0..3_usize).prop_map(|(id, channel)| Step::Unsubscribe(id, channel)),
        1 => (0..6_usize).prop_map(Step::Remove),
        1 => (0..3_usize, 1..4_u16).prop_map(|(channel, rows)| Step::List(channel, rows)),
    ]
}

/// Takes the step, and tells what it told, and who is in which channel then.
async fn take(registry: &Registry, step: Step) -> Vec<String> {
    let channel = |index: usize| Channel::parse(CHANNELS[index]).unwrap();
    let connection = |number: usize| fixtures::connect(&format!("c{number}=")).connection;
    let told = match step {
        Step::Add(id, to) => vec![registry.add(&channel(to), &connection(id)).await.unwrap().to_string()],
        Step::Unsubscribe(id, from) => {
            departures(&unsubscribe(registry, &channel(from), &connection(id).id).await.unwrap())
        }
        Step::Remove(id) => departures(&remove(registry, &connection(id)).await.unwrap()),
        Step::List(of, rows) => {
            let listed: Vec<_> = registry.list(&channel(of), None, rows).try_collect().await.unwrap();
            return listed.iter().map(|member| member.connection_id.to_string()).collect();
        }
    };
    let mut members = told;
    for name in CHANNELS {
        let found: Vec<_> = registry.members(&Channel::parse(name).unwrap()).try_collect().await.unwrap();
        members.extend(found.iter().map(|member| format!("{name} {}", member.id)));
    }
    members.sort();
    members
}

fn departures(departures: &[DeletedRow]) -> Vec<String> {
    departures.iter().map(|departure| format!("{departure:?}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_simulated_table_answers_as_an_engine_does(
        shards in 1..4_u8, rows_in_a_page in 1..4_usize, steps in prop::collection::vec(step(), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (engine, simulation) = (ConnectionTable::start().await, Simulation::start());
            simulation.decide(|_| Fate::Served(Duration::ZERO));
            simulation.set_rows_in_a_page(rows_in_a_page);
            let (real, simulated) = (engine.sharded_registry(shards), simulation.registry(shards));
            for step in steps {
                prop_assert_eq!(take(&simulated, step).await, take(&real, step).await, "after {:?}", step);
            }
            Ok(())
        })?;
    }
}

/// Conditions of writes and of reads, in which `id`, `#time` and others are what the table has, or has not.
const CONDITIONS: [&str; 8] = [
    "attribute_not_exists(connectionId)",
    "attribute_exists(connectionId) AND connectedAt < :time",
    "attribute_not_exists(connectedAt) OR connectedAt < :time",
    "NOT (connectedAt = :time) AND NOT begins_with(connectionId, :start)",
    "connectedAt BETWEEN :time AND :later",
    "connectedAt <> :time OR (#p = :start AND connectedAt >= :time)",
    "(attribute_not_exists(#p) OR #p > :start) AND connectedAt <= :later",
    "attribute_exists(#p) OR attribute_exists(connectedAt) AND connectedAt > :later",
];

/// A row's id and its time; whether it has a principal; what is to be done with it, on what condition.
type Write = (u8, u64, bool, bool, usize);

async fn write(client: &Client, (id, time, has_principal, puts, condition): Write) -> String {
    let text = |text: String| AttributeValue::S(text);
    let number = |number: u64| AttributeValue::N(number.to_string());
    let key = [("channel", text("lobby#0".to_owned())), ("connectionId", text(format!("c{id}=")))];
    let condition = CONDITIONS[condition];
    let mut values = vec![(":time", number(3)), (":later", number(5)), (":start", text("c1".to_owned()))];
    values.retain(|(name, _)| condition.contains(name));
    let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let names = condition.contains('#').then(|| [("#p".to_owned(), "principal".to_owned())].into());
    let old = aws_sdk_dynamodb::types::ReturnValue::AllOld;
    let (values, table) = (
        Some(values).filter(|values: &std::collections::HashMap<_, _>| !values.is_empty()),
        ConnectionTable::NAME,
    );
    let result = if puts {
        let mut put = client.put_item().table_name(table).item("connectedAt", number(time));
        for (name, value) in key {
            put = put.item(name, value);
        }
        if has_principal {
            put = put.item("principal", text("c2".to_owned()));
        }
        let put = put.condition_expression(condition).set_expression_attribute_values(values);
        let put = put.set_expression_attribute_names(names).return_values(old).send().await;
        put.map(|put| put.attributes).map_err(|error| error.into_service_error().to_string())
    } else {
        let mut delete = client.delete_item().table_name(table);
        for (name, value) in key {
            delete = delete.key(name, value);
        }
        let delete = delete.condition_expression(condition).set_expression_attribute_values(values);
        let delete = delete.set_expression_attribute_names(names).return_values(old).send().await;
        delete.map(|delete| delete.attributes).map_err(|error| error.into_service_error().to_string())
    };
    match result {
        Ok(row) => {
            format!("{:?}", row.map(|row| row.into_iter().collect::<std::collections::BTreeMap<_, _>>()))
        }
        Err(error) => error.split(':').next().unwrap().to_owned(),
    }
}

/// The ids that a query finds, from which row on, how many at once, in which order.
async fn ids(client: &Client, condition: &str, limit: i32, forward: bool) -> Vec<Vec<String>> {
    let query = client
        .query()
        .table_name(ConnectionTable::NAME)
        .consistent_read(true)
        .key_condition_expression(format!("channel = :channel AND {condition}"))
        .expression_attribute_values(":channel", AttributeValue::S("lobby#0".to_owned()))
        .expression_attribute_values(":id", AttributeValue::S("c2=".to_owned()))
        .limit(limit)
        .scan_index_forward(forward);
    let pages: Vec<_> = query.into_paginator().send().try_collect().await.unwrap();
    let id =
        |row: &std::collections::HashMap<String, AttributeValue>| row["connectionId"].as_s().unwrap().clone();
    pages.iter().map(|page| page.items().iter().map(id).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn conditions_and_orders_are_those_of_an_engine(
        writes in prop::collection::vec((0..5_u8, 0..8_u64, any::<bool>(), prop::bool::weighted(0.7), 0..CONDITIONS.len()), 1..20),
        limit in 1..4_i32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (engine, simulation) = (ConnectionTable::start().await, Simulation::start());
            simulation.decide(|_| Fate::Served(Duration::ZERO));
            let (real, simulated) = (engine.client.clone(), simulation.dynamodb());
            for step in writes {
                prop_assert_eq!(write(&simulated, step).await, write(&real, step).await, "at {:?}", step);
            }
            for condition in ["connectionId >= :id", "connectionId < :id", "connectionId = :id", "begins_with(connectionId, :id)"] {
                for forward in [true, false] {
                    let found = ids(&simulated, condition, limit, forward).await;
                    prop_assert_eq!(found, ids(&real, condition, limit, forward).await, "{} {}", condition, forward);
                }
            }
            Ok(())
        })?;
    }

    /// Numbers are given, messages recorded, numbers closed, and both ways of reading are as from an engine.
    #[test]
    fn the_simulated_history_answers_as_an_engine_does(
        steps in prop::collection::vec(0..4_u8, 0..12), after in 0..8_u64, most in 1..8_u16,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (engine, simulation) = (ConnectionTable::start().await, Simulation::start());
            let (real, simulated) = (engine.history(most).await, simulation.history(most));
            let lobby = Channel::parse("lobby").unwrap();
            let mut found = vec![];
            for history in [&real, &simulated] {
                for step in &steps {
                    let seq = history.next_seq(&lobby).await.unwrap();
                    match step {
                        0 => {} // The sender died.
                        1 => assert_eq!(history.close(&lobby, seq, 1).await.unwrap(), None),
                        _ => {
                            for _ in 0..2 {
                                history.record(&lobby, seq, "m", "frame").await.unwrap().unwrap();
                            }
                        }
                    }
                }
                found.push((
                    history.last_seq(&lobby).await.unwrap(),
                    history.after(&lobby, after).await.unwrap(),
                    history.since(&lobby, 0).await.unwrap(),
                ));
            }
            prop_assert_eq!(&found[0], &found[1]);
            prop_assert_eq!(simulation.history_rows().len(), engine.history_rows().await.len());
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_not_consistent_is_behind() {
    let simulation = Simulation::start();
    simulation.set_lag(Duration::from_secs(2));
    let client = simulation.dynamodb();
    write(&client, (1, 1, false, true, 0)).await;
    let read = async |consistent: bool| {
        let query = client.query().table_name(ConnectionTable::NAME).consistent_read(consistent);
        let query = query.key_condition_expression("channel = :channel");
        let query = query.expression_attribute_values(":channel", AttributeValue::S("lobby#0".to_owned()));
        query.send().await.unwrap().count()
    };
    assert_eq!((read(true).await, read(false).await), (1, 0));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(read(false).await, 1);
}

fn entry(id: &str, body: impl Into<String>) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_simulated_queue_takes_what_sqs_takes() {
    let simulation = Simulation::start();
    let client = simulation.sqs();
    let send = async |body: String| {
        let sent = client.send_message().queue_url("https://simulated/a").message_body(body).send().await;
        sent.map(drop).map_err(|error| error.into_service_error().meta().code().unwrap().to_owned())
    };
    let longest = "x".repeat(MAX_QUEUED_BYTES);
    for (body, refused) in [
        ("\t\n\r \u{d7ff}\u{e000}\u{fffd}\u{10000}\u{10ffff}\u{1fffe}".to_owned(), None),
        (longest.clone(), None),
        (format!("{longest}x"), Some("InvalidParameterValue")),
        ("\u{fffe}".to_owned(), Some("InvalidMessageContents")),
        ("\u{ffff}".to_owned(), Some("InvalidMessageContents")),
        ("\u{0}".to_owned(), Some("InvalidMessageContents")),
        ("\u{1f}".to_owned(), Some("InvalidMessageContents")),
    ] {
        assert_eq!(send(body.clone()).await.err().as_deref(), refused, "{body:.8?}");
    }
    assert_eq!(simulation.take_queued().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_each_message_is_taken_or_fails_alone() {
    let simulation = Simulation::start();
    simulation.decide(|call| match call {
        Call::Entry(body) if body == "unlucky" => Fate::Refused(500, Duration::ZERO),
        _ => Fate::Served(Duration::ZERO),
    });
    let client = simulation.sqs();
    let send = async |entries: Vec<SendMessageBatchRequestEntry>| {
        let sent = client.send_message_batch().queue_url("https://simulated/a").set_entries(Some(entries));
        let sent = sent
            .send()
            .await
            .map_err(|error| error.into_service_error().meta().code().unwrap().to_owned())?;
        let failed = |failed: &aws_sdk_sqs::types::BatchResultErrorEntry| {
            (failed.id().to_owned(), failed.code().to_owned(), failed.sender_fault())
        };
        Ok::<_, String>((sent.successful().len(), sent.failed().iter().map(failed).collect::<Vec<_>>()))
    };
    let entries = [entry("0", "good"), entry("1", "unlucky"), entry("2", "\u{ffff}"), entry("3", "good too")];
    let failed = vec![
        ("1".to_owned(), "InternalError".to_owned(), false),
        ("2".to_owned(), "InvalidMessageContents".to_owned(), true),
    ];
    assert_eq!(send(entries.to_vec()).await, Ok((2, failed)));
    let taken: Vec<_> = simulation.take_queued().into_iter().map(|sent| (sent.url, sent.body)).collect();
    assert_eq!(taken, ["good", "good too"].map(|body| ("https://simulated/a".to_owned(), body.to_owned())));

    let many = (0..11).map(|number| entry(&number.to_string(), "x")).collect();
    let quarter = "x".repeat(MAX_QUEUED_BYTES);
    let large = (0..5).map(|number| entry(&number.to_string(), quarter.clone())).collect();
    for (entries, refused) in [
        (many, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
        (vec![entry("0", "x"), entry("0", "x")], "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
        (vec![entry("a b", "x")], "AWS.SimpleQueueService.InvalidBatchEntryId"),
        (large, "AWS.SimpleQueueService.BatchRequestTooLong"),
    ] {
        let error: Result<_, String> = send(entries).await;
        assert!(refused.ends_with(&error.clone().unwrap_err()), "{error:?} {refused}");
    }
    assert!(simulation.take_queued().is_empty());
}

#[tokio::test(start_paused = true)]
async fn beyond_the_accounts_rate_posts_are_refused() {
    let simulation = Simulation::start();
    simulation.decide(|_| Fate::Served(Duration::ZERO));
    simulation.set_rate(10.0, 5.0);
    simulation.open("a=");
    let client = simulation.connections();
    let post = async || {
        let data = aws_sdk_apigatewaymanagement::primitives::Blob::new("x");
        client.sdk().post_to_connection().connection_id("a=").data(data).send().await.is_ok()
    };
    let posts = async |count: usize| {
        let mut passed = 0;
        for _ in 0..count {
            passed += usize::from(post().await);
        }
        passed
    };
    assert_eq!(posts(20).await, 5, "the burst");
    sleep(Duration::from_millis(300)).await;
    assert_eq!(posts(20).await, 3, "what came since");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(posts(20).await, 5, "no more than the burst");
}

#[tokio::test(start_paused = true)]
async fn a_connection_can_be_asked_for_and_closed() {
    let simulation = Simulation::start();
    simulation.open("a=");
    let client = simulation.connections();
    let client = client.sdk();
    assert!(client.get_connection().connection_id("a=").send().await.is_ok());
    client.delete_connection().connection_id("a=").send().await.unwrap();
    assert!(!simulation.is_open("a="));
    let gone = client.get_connection().connection_id("a=").send().await.unwrap_err();
    assert!(gone.into_service_error().is_gone_exception());
    let gone = client.delete_connection().connection_id("a=").send().await.unwrap_err();
    assert!(gone.into_service_error().is_gone_exception());
}

#[tokio::test(start_paused = true)]
async fn the_time_goes_by_the_tests_clock() {
    let _simulation = Simulation::start();
    let (start, before) = (Instant::now(), fixtures::now_millis());
    sleep(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!(fixtures::now_millis() - before, 24 * 60 * 60 * 1_000);
    assert_eq!(start.elapsed(), Duration::from_secs(24 * 60 * 60));
}
