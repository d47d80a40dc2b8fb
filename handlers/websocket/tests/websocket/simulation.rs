//! The simulated table answers as a DynamoDB engine does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use futures::TryStreamExt;
use lambda_websocket::{
    channel::Channel,
    registry::{Departure, Registry},
};
use proptest::prelude::*;
use testkit::{
    dynamodb::ConnectionTable,
    fixtures,
    simulation::{Fate, Simulation},
};

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
            departures(registry.unsubscribe(&channel(from), &connection(id).id).await.unwrap())
        }
        Step::Remove(id) => departures(registry.remove(&connection(id)).await.unwrap()),
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

fn departures(departures: Vec<Departure>) -> Vec<String> {
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
