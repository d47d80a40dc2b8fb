//! The benchmark runs: so that it does when somebody wants its numbers. What it measures is nobody's concern here.

use std::{fs, path::PathBuf, time::Duration};

use bench::{
    cost, plot, report,
    run::{self, Case, Settings},
    subject::{Programs, Subject},
};

/// Every subject that needs nothing from another registry, once, with few recipients.
#[tokio::test(flavor = "multi_thread")]
async fn the_benchmark_measures_and_reports() {
    let repository = local_cloud::repository();
    let mut functions = local_cloud::packages::build(&repository, &["connect", "send"]).await.unwrap();
    let programs = Programs {
        connect: functions.remove("connect").unwrap(),
        send: functions.remove("send").unwrap(),
        hello: PathBuf::from(env!("CARGO_BIN_EXE_floor-hello")),
        posts: PathBuf::from(env!("CARGO_BIN_EXE_floor-posts")),
        peers: None,
    };
    let settings = Settings {
        rounds: 1,
        starts: 1,
        recipients: vec![10],
        latencies: vec![Duration::ZERO, Duration::from_millis(1)],
        growth: vec![10, 300],
        shards: vec![1, 2],
        warm_up: 20,
    };
    let measurements = run::run(&programs, &settings).await.unwrap();

    let case =
        |recipients, shards| Case { subject: Subject::Ours, recipients, shards, latency: Duration::ZERO };
    let asked = |case| measurements.broadcasts[&case][0].asked;
    for recipients in [10, 300] {
        assert_eq!(
            asked(case(recipients, 1)).read_units,
            cost::read_units(recipients as f64),
            "{recipients}"
        );
    }
    assert_eq!((asked(case(10, 1)).queries, asked(case(10, 2)).queries), (1, 2));
    assert!(measurements.broadcasts.values().flatten().all(|broadcast| broadcast.peak_memory > 1_000_000));

    let results =
        report::results(&measurements, &settings, &report::machine(&programs, &repository), &repository);
    assert!(results.contains("| this repository (Rust) | "), "{results}");
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("results.svg");
    plot::draw(&measurements, &settings, &plot).unwrap();
    assert!(fs::read_to_string(plot).unwrap().contains("this repository (Rust)"));
}
