//! The program of `make bench`: measures, and writes RESULTS.md and its plot.

use std::{env, fs, path::Path};

use anyhow::{Context, Result};
use bench::{
    plot, report,
    run::{self, Settings},
    subject::{Peers, Programs},
};
use clap::Parser;

/// Measures the functions against their peers, and writes bench/RESULTS.md.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often everything is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = folder.parent().context("the checkout")?;
    let program = env::current_exe()?;
    let beside = |name: &str| program.with_file_name(name);
    let programs = Programs {
        connect: beside("connect"),
        send: beside("send"),
        hello: beside("floor-hello"),
        posts: beside("floor-posts"),
        peers: Some(Peers::installed_in(&repository.join(".local/bench"))?),
    };
    let settings = Settings::full(arguments.repeat.into());
    let machine = report::machine(&programs, repository);
    let measurements = run::run(&programs, &settings).await?;
    let results = report::results(&measurements, &settings, &machine, repository);
    plot::draw(&measurements, &settings, &folder.join("results.svg"))?;
    fs::write(folder.join("RESULTS.md"), &results)?;
    println!("{results}");
    eprintln!("Written to bench/RESULTS.md and bench/results.svg");
    Ok(())
}
