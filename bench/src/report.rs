//! The tables of RESULTS.md.

use std::{fmt::Write, fs, path::Path, process::Command, time::Duration};

use crate::{
    cost,
    figure::{Figure, separate},
    run::{Case, Measurements, Settings},
    subject::{Programs, Subject},
};

/// The machine, and the versions of what is measured, as a list.
///
/// It is asked before the measurements: what else the machine does then is part of it.
pub fn machine(programs: &Programs, repository: &Path) -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown CPU");
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes: f64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut list = format!(
        "- {}, commit {}\n- {count} CPUs ({}, {}), {:.0} GB of memory, Linux {}, load before the run {}\n- {}, AWS SDK for Rust of `Cargo.lock`\n",
        said("date", &["-u", "+%F"], repository),
        said("git", &["describe", "--always", "--dirty", "--exclude=*"], repository),
        model.trim_start_matches([' ', '\t', ':']),
        std::env::consts::ARCH,
        kilobytes / 1024.0 / 1024.0,
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
        said("rustc", &["--version"], repository),
    );
    if let Some(peers) = &programs.peers {
        let (node, python) = (peers.node.display().to_string(), peers.python.display().to_string());
        let lines = format!(
            "- Node.js {}, AWS SDK v3 of `bench/peers/node/package-lock.json`\n- {}, boto3 of `requirements/bench.txt`\n",
            said(&node, &["--version"], repository),
            said(&python, &["--version"], repository),
        );
        list.push_str(&lines);
    }
    list
}

fn said(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    if text.trim().is_empty() { format!("{program}: unknown") } else { text.trim().to_owned() }
}

/// RESULTS.md.
pub fn results(measurements: &Measurements, settings: &Settings, machine: &str, repository: &Path) -> String {
    let report = Report { measurements, settings };
    format!(
        "# Results\n\n\
        Written by `make bench`. [How it is measured](README.md). Each figure is the median of {} rounds and, in\n\
        parentheses, the lowest and the highest; each ratio is that of two figures of the same round.\n\n\
        {machine}\n\
        ![The figures as bars and lines](results.svg)\n\n\
        ## The goals\n\n{}\n\
        ## Cold start\n\n\
        Milliseconds from the start of the process to its first request for an event, and to its answer to a first `$connect`.\n\
        What Lambda does before, to fetch and unpack the package and to start an environment, is not in it.\n\n{}\n\
        ## Posts per second of CPU time\n\n\
        Of one broadcast by a warm function, by the recipients and by how long each post takes to be answered.\n\n{}\n\
        ## Posts per second\n\n\
        The same broadcasts, by the clock. The servers that answer share the machine, which bounds the first two columns.\n\n{}\n\
        ## Memory\n\n\
        The most that the process held at once, in MB, until it had posted to so many recipients.\n\n{}\n\
        ## Growth\n\n\
        A broadcast by the function of this repository, each post answered at once.\n\n{}\n{}\n\
        ## Packages\n\n{}\n\
        ## Cost\n\n\
        What the model in [`src/cost.rs`](src/cost.rs) makes of three workloads, at the prices that it names.\n\n{}",
        settings.rounds,
        report.goals(repository),
        report.cold_starts(),
        report.per_cpu_second(),
        report.per_second(),
        report.memory(),
        report.growth(),
        report.shards(),
        packages(repository),
        cost::table(),
    )
}

struct Report<'a> {
    measurements: &'a Measurements,
    settings: &'a Settings,
}

const NOT_MEASURED: &str = "not measured";

fn show(figure: Option<Figure>, digits: usize) -> String {
    figure.map_or(NOT_MEASURED.to_owned(), |figure| figure.show(digits))
}

fn table(head: &[String], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        writeln!(table, "| {} |", row.join(" | ")).unwrap_or_default(); // A string takes all that is written.
    }
    table
}

/// A broadcast as all subjects make it.
fn case(subject: Subject, recipients: usize, latency: Duration) -> Case {
    Case { subject, recipients, shards: 1, latency }
}

impl Report<'_> {
    fn goals(&self, repository: &Path) -> String {
        let starts = |subject| self.measurements.of_starts(subject, |start| start.asked);
        let answers = |subject| self.measurements.of_starts(subject, |start| start.answered);
        let mut rows = vec![
            [
                "cold start, to the first request for an event".to_owned(),
                "at most 2 times the floor's".to_owned(),
                times(Figure::ratio(&starts(Subject::Ours), &starts(Subject::Floor))),
            ],
            [
                "the same, Node.js against ours".to_owned(),
                "at least 10 times ours".to_owned(),
                times(Figure::ratio(&starts(Subject::Node), &starts(Subject::Ours))),
            ],
            [
                "cold start, to the first answered `$connect`, Node.js against ours".to_owned(),
                "at least 10 times ours".to_owned(),
                times(Figure::ratio(&answers(Subject::Node), &answers(Subject::Ours))),
            ],
        ];
        for (subject, name, goal) in [
            (Subject::Node, "Node.js's", "at least 5"),
            (Subject::Python, "Python's", "at least 10"),
            (Subject::Floor, "the floor's", "at least 0.5"),
            (Subject::SignedFloor, "the signed floor's", "none: it tells what is done besides posts"),
        ] {
            for (recipients, latency) in self.columns() {
                let of =
                    |subject| self.measurements.posts_per_cpu_second(&case(subject, recipients, latency));
                rows.push([
                    format!("posts per second of CPU time against {name}, {}", column(recipients, latency)),
                    goal.to_owned(),
                    times(Figure::ratio(&of(Subject::Ours), &of(subject))),
                ]);
            }
        }
        let peak = |recipients| {
            let case = case(Subject::Ours, recipients, Duration::ZERO);
            self.measurements.of_broadcasts(&case, |broadcast| broadcast.peak_memory as f64 / 1.0e6)
        };
        let (most, beyond) =
            (self.settings.most(), self.settings.growth.iter().copied().max().unwrap_or_default());
        rows.push([
            format!("peak memory at {} recipients", separate(most as f64, 0)),
            "at most 40 MB".to_owned(),
            format!("{} MB", show(Figure::of(peak(most)), 1)),
        ]);
        rows.push([
            format!("the same at {} recipients", separate(beyond as f64, 0)),
            "at most 1.1 times that".to_owned(),
            times(Figure::ratio(&peak(beyond), &peak(most))),
        ]);
        rows.push([
            "largest package for arm64".to_owned(),
            "at most 2.5 MB".to_owned(),
            package_sizes(repository)
                .into_iter()
                .max_by_key(|(_, bytes)| *bytes)
                .map_or(NOT_MEASURED.to_owned(), |(name, bytes)| {
                    format!("{:.2} MB ({name})", bytes as f64 / 1.0e6)
                }),
        ]);
        table(&["what", "goal", "measured"].map(str::to_owned), rows.into_iter().map(Vec::from))
    }

    fn cold_starts(&self) -> String {
        let head =
            ["", "first request", "first answer", "first request, times the floor's"].map(str::to_owned);
        let floor = self.measurements.of_starts(Subject::Floor, |start| start.asked);
        let rows = Subject::ALL.into_iter().filter(|subject| self.measurements.starts.contains_key(subject));
        let rows = rows.map(|subject| {
            let asked = self.measurements.of_starts(subject, |start| start.asked);
            let answered = self.measurements.of_starts(subject, |start| start.answered);
            let name = if subject == Subject::Floor {
                "floor: a function that does nothing"
            } else {
                subject.name()
            };
            vec![
                name.to_owned(),
                show(Figure::of(asked.iter().copied()), 1),
                show(Figure::of(answered), 1),
                show(Figure::ratio(&asked, &floor), 2),
            ]
        });
        table(&head, rows)
    }

    /// The recipients and latencies that all subjects have in common.
    fn columns(&self) -> Vec<(usize, Duration)> {
        let latencies = self.settings.latencies.iter();
        latencies
            .flat_map(|&latency| {
                self.settings.recipients.iter().map(move |&recipients| (recipients, latency))
            })
            .collect()
    }

    fn broadcasts(&self, value: impl Fn(&Case) -> String) -> String {
        let columns = self.columns();
        let mut head = vec![String::new()];
        head.extend(columns.iter().map(|&(recipients, latency)| column(recipients, latency)));
        let rows = Subject::ALL
            .into_iter()
            .filter(|subject| self.measurements.broadcasts.keys().any(|case| case.subject == *subject));
        let rows = rows.map(|subject| {
            let name = if subject == Subject::Floor {
                "floor: an HTTP client and nothing else"
            } else {
                subject.name()
            };
            let cells =
                columns.iter().map(|&(recipients, latency)| value(&case(subject, recipients, latency)));
            [name.to_owned()].into_iter().chain(cells).collect()
        });
        table(&head, rows)
    }

    fn per_cpu_second(&self) -> String {
        self.broadcasts(|case| show(Figure::of(self.measurements.posts_per_cpu_second(case)), 0))
    }

    fn per_second(&self) -> String {
        let rate = |case: &Case| {
            self.measurements.of_broadcasts(case, |broadcast| case.recipients as f64 / broadcast.seconds)
        };
        self.broadcasts(|case| show(Figure::of(rate(case)), 0))
    }

    fn memory(&self) -> String {
        self.broadcasts(|case| {
            let peak =
                self.measurements.of_broadcasts(case, |broadcast| broadcast.peak_memory as f64 / 1.0e6);
            show(Figure::of(peak), 1)
        })
    }

    fn growth(&self) -> String {
        let case = |recipients| case(Subject::Ours, recipients, Duration::ZERO);
        let rows = self.settings.growth.iter().map(|&recipients| (recipients, case(recipients)));
        self.grown("recipients", rows)
    }

    fn shards(&self) -> String {
        let rows = self.settings.shards.iter().map(|&shards| {
            let case = case(Subject::Ours, self.settings.most(), Duration::ZERO);
            (shards.into(), Case { shards, ..case })
        });
        self.grown(&format!("shards, with {} recipients", separate(self.settings.most() as f64, 0)), rows)
    }

    fn grown(&self, name: &str, rows: impl Iterator<Item = (usize, Case)>) -> String {
        let head = [
            name,
            "seconds",
            "microseconds of CPU time for each recipient",
            "queries",
            "read units",
            "peak memory, MB",
        ];
        let rows = rows.map(|(size, case)| {
            let of = |value: fn(&Case, &crate::run::Broadcast) -> f64| {
                Figure::of(self.measurements.of_broadcasts(&case, |broadcast| value(&case, broadcast)))
            };
            let exact = |figure: Option<Figure>, digits| {
                figure.map_or(NOT_MEASURED.to_owned(), |figure| separate(figure.median, digits))
            };
            vec![
                separate(size as f64, 0),
                show(of(|_, broadcast| broadcast.seconds), 3),
                show(of(|case, broadcast| broadcast.cpu_seconds * 1.0e6 / case.recipients as f64), 1),
                exact(of(|_, broadcast| broadcast.asked.queries as f64), 0),
                exact(of(|_, broadcast| broadcast.asked.read_units), 1),
                show(of(|_, broadcast| broadcast.peak_memory as f64 / 1.0e6), 1),
            ]
        });
        table(&head.map(str::to_owned), rows)
    }
}

fn times(figure: Option<Figure>) -> String {
    figure.map_or(NOT_MEASURED.to_owned(), |figure| format!("{} times", figure.show(2)))
}

fn column(recipients: usize, latency: Duration) -> String {
    format!("{} recipients, {} ms", separate(recipients as f64, 0), latency.as_millis())
}

/// The arm64 packages of `make build`, and their size in bytes.
fn package_sizes(repository: &Path) -> Vec<(String, u64)> {
    let folders = fs::read_dir(repository.join("target/lambda")).into_iter().flatten().flatten();
    let mut sizes: Vec<_> = folders
        .filter_map(|folder| {
            let bytes = fs::metadata(folder.path().join("bootstrap.zip")).ok()?.len();
            Some((folder.file_name().to_string_lossy().into_owned(), bytes))
        })
        .collect();
    sizes.sort();
    sizes
}

fn packages(repository: &Path) -> String {
    let sizes = package_sizes(repository);
    if sizes.is_empty() {
        return "Not built: `make build` builds them.\n".to_owned();
    }
    let rows = sizes.into_iter().map(|(name, bytes)| vec![name, separate(bytes as f64, 0)]);
    table(&["package for arm64", "bytes"].map(str::to_owned), rows)
}
