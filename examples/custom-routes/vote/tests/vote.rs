//! The route `vote`, against a DynamoDB engine and connections that misbehave.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use lambda_websocket::{
    Broadcaster, Channel,
    delivery::poster::{Policy, Poster},
};
use serde_json::{Value, json};
use testkit::{
    connections::{Answer, Connections},
    dynamodb::ConnectionTable,
    fixtures,
};
use vote::{Poll, Votes, vote};

async fn poll(table: &ConnectionTable, connections: &Connections) -> Poll {
    let key = KeySchemaElement::builder().attribute_name("poll").key_type(KeyType::Hash);
    let attribute =
        AttributeDefinition::builder().attribute_name("poll").attribute_type(ScalarAttributeType::S);
    let create = table.client.create_table().table_name("votes").billing_mode(BillingMode::PayPerRequest);
    let create = create.key_schema(key.build().unwrap()).attribute_definitions(attribute.build().unwrap());
    create.send().await.unwrap();
    Poll {
        votes: Votes { client: table.client.clone(), table: "votes".to_owned() },
        broadcaster: Broadcaster {
            registry: table.registry(),
            poster: Poster::new(connections.client(), Policy::default()),
            continuations: None,
            notifier: None,
            history: None,
        },
    }
}

#[tokio::test]
async fn everyone_hears_the_tally_of_each_vote_and_who_is_gone_is_forgotten() {
    let (table, connections) = (ConnectionTable::start().await, Connections::start().await);
    let poll = poll(&table, &connections).await;
    for id in ["a=", "b=", "gone="] {
        poll.broadcaster.registry.add(&Channel::everyone(), &fixtures::connect(id).connection).await.unwrap();
    }
    connections.set("gone=", Answer::Refuse(410));

    for (id, option) in [("a=", "tea"), ("b=", "coffee"), ("b=", "tea")] {
        let body = json!({ "type": "vote", "option": option }).to_string();
        vote(&poll, fixtures::message(id, &body)).await.unwrap();
    }

    for id in ["a=", "b="] {
        let heard: Vec<Value> =
            connections.delivered_to(id).iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        let tally = |votes| json!({ "type": "tally", "votes": votes });
        let expected = [json!({"tea": 1}), json!({"coffee": 1, "tea": 1}), json!({"coffee": 1, "tea": 2})];
        assert_eq!(heard, expected.map(tally), "{id}");
    }
    assert_eq!(table.connection_ids().await, ["a=", "b="]);
}

#[tokio::test]
async fn what_is_no_vote_is_counted_nowhere() {
    let (table, connections) = (ConnectionTable::start().await, Connections::start().await);
    let poll = poll(&table, &connections).await;
    for (body, says) in [
        (r#"{"type":"vote"}"#, r#"The field "option" is missing."#),
        (r#"{"type":"vote","option":1}"#, r#"The field "option" must be a text."#),
        // A model does not see these.
        (r#"{"type":"vote","option":"tea","option":"tea"}"#, r#"The name "option" comes twice"#),
        (r#"{"type":"vote","option":"\ud800"}"#, "half of a surrogate pair"),
    ] {
        let reply = vote(&poll, fixtures::message("a=", body)).await.unwrap();
        let reply = serde_json::to_value(reply).unwrap();
        let answer: Value = serde_json::from_str(reply["body"].as_str().unwrap()).unwrap();
        assert_eq!(answer["type"], "error", "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(says), "{answer}");
    }
    let votes = poll.votes.client.scan().table_name("votes").send().await.unwrap();
    assert!(votes.items().is_empty(), "{votes:?}");
}
