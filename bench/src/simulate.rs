//! The program of `make simulate`: plays large broadcasts, and writes SIMULATION.md and its plot.

use std::{fs, path::Path};

use anyhow::Result;
use bench::{
    figure::separate,
    plot,
    simulation::{ACCOUNT, CONNECTS, Case, OTHERS, URGENT, run},
};

/// The members of the channels, and the budgets: the default, a greater one, and the whole rate of the account.
const CASES: [(usize, u32, u32); 6] = [
    (1_000, 5_000, 4),
    (10_000, 5_000, 4),
    (100_000, 5_000, 4),
    (1_000_000, 5_000, 4),
    (100_000, 8_000, 8),
    (100_000, 10_000, 8),
];

fn main() -> Result<()> {
    let mut rows = String::new();
    let mut curves = vec![];
    for (members, rate_limit, concurrency) in CASES {
        let case = Case { members, rate_limit, concurrency };
        let outcome = run(&case)?;
        let row = format!(
            "| {} | {} | {concurrency} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} % | {:.2} | {} |\n",
            separate(members as f64, 0),
            separate(rate_limit.into(), 0),
            outcome.until(0.5),
            outcome.until(0.99),
            outcome.until(1.0),
            outcome.of_the_budget(&case),
            outcome.connects_refused * 100.0,
            outcome.urgent_p99(),
            outcome.doubled,
        );
        eprint!("{row}");
        rows += &row;
        let name =
            format!("{} members, {} a second", separate(members as f64, 0), separate(rate_limit.into(), 0));
        curves.push((name, rate_limit.into(), outcome.reached));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    plot::draw_curves(&curves, &folder.join("simulation.svg"))?;
    let (rate, burst) = ACCOUNT;
    let text = format!(
        "# Large broadcasts, simulated

Written by `make simulate`. The functions' own code plays broadcasts on a simulated AWS. The account allows {} requests a second and bursts of {}. They are
shared by the posts of the broadcast, {CONNECTS} connects a second, and {} posts of others. A post takes 5 to 50 ms. One member in
a hundred does not keep up, and two are gone. Meanwhile a backend sends {URGENT} messages a second to one user. The CPU of the
functions, their cold starts and the time of SQS are not in it.

| members | rate limit | functions | seconds to 50 % | to 99 % | to all | of the rate | connects refused | message to one user, p99, seconds | received twice |
|---|---|---|---|---|---|---|---|---|---|
{rows}
\"Of the rate\": the members divided by the seconds, as a part of `broadcasts.rate_limit`. A channel of 1,000 is no large
broadcast: one function posts to it, as fast as it can.

![How many of the members had the message, over time](simulation.svg)
",
        separate(rate, 0),
        separate(burst, 0),
        separate(OTHERS.into(), 0),
    );
    fs::write(folder.join("SIMULATION.md"), text)?;
    eprintln!("Written to bench/SIMULATION.md and bench/simulation.svg");
    Ok(())
}
