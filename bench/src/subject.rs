//! What is measured: the functions, the same in other languages, and the floors below which nothing gets.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The functions of this repository.
    Ours,
    /// The same in JavaScript, on AWS SDK v3.
    Node,
    /// The same in Python, on boto3.
    Python,
    /// The loop of most tutorials in JavaScript: a post, and when it is answered the next.
    NodeSequential,
    /// The same in Python.
    PythonSequential,
    /// Nothing but what the work cannot do without.
    Floor,
    /// The same posts, and each signed by the SDK's own crate.
    SignedFloor,
}

impl Subject {
    /// All, in the order of tables and plots.
    pub const ALL: [Self; 7] = [
        Self::Floor,
        Self::SignedFloor,
        Self::Ours,
        Self::Node,
        Self::Python,
        Self::NodeSequential,
        Self::PythonSequential,
    ];

    /// The name in tables and plots.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "this repository (Rust)",
            Self::Node => "Node.js",
            Self::Python => "Python",
            Self::NodeSequential => "Node.js, one by one",
            Self::PythonSequential => "Python, one by one",
            Self::Floor => "floor",
            Self::SignedFloor => "floor, signed",
        }
    }

    /// Whether it is written in another language, and needs what `make bench` installs.
    fn is_peer(self) -> bool {
        !matches!(self, Self::Ours | Self::Floor | Self::SignedFloor)
    }

    /// Whether each post waits for the one before.
    pub fn is_sequential(self) -> bool {
        matches!(self, Self::NodeSequential | Self::PythonSequential)
    }
}

/// The function that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Lets a client in, and writes its row.
    Connect,
    /// Posts a message to every recipient.
    Send,
}

/// A program, and how it is called.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The function of `$connect`.
    pub connect: PathBuf,
    /// The function of `send`.
    pub send: PathBuf,
    /// The floor of a cold start.
    pub hello: PathBuf,
    /// The floor of a broadcast.
    pub posts: PathBuf,
    /// The peers, where they are installed.
    pub peers: Option<Peers>,
}

/// Where the peers are.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Node.js.
    pub node: PathBuf,
    /// Python, with boto3.
    pub python: PathBuf,
    /// Where `make bench` has put all of them.
    folder: PathBuf,
}

impl Peers {
    /// The peers as `make bench` installs them into this folder.
    ///
    /// # Errors
    /// When something of them is not there.
    pub fn installed_in(folder: &Path) -> Result<Self> {
        let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
        let peers = Self {
            node: folder.join(format!("node/node_modules/node-linux-{machine}/bin/node")),
            python: folder.join("venv/bin/python"),
            folder: folder.to_owned(),
        };
        for path in [&peers.node, &peers.python] {
            ensure!(path.exists(), "{} is not there: `make bench` installs it", path.display());
        }
        Ok(peers)
    }
}

impl Programs {
    /// The subjects that can be measured.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> + use<> {
        let with_peers = self.peers.is_some();
        Subject::ALL.into_iter().filter(move |subject| with_peers || !subject.is_peer())
    }

    /// How a subject's function is started; none where the subject has no such function.
    pub fn get(&self, subject: Subject, role: Role) -> Option<Program> {
        let native_with = |path: &PathBuf, arguments: &[&str]| {
            let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
            Some(Program { path: path.clone(), arguments, folder: PathBuf::from("/") })
        };
        let native = |path: &PathBuf| native_with(path, &[]);
        let peers = self.peers.as_ref();
        let node = |file: &str| {
            peers.map(|peers| Program {
                path: peers.node.clone(),
                arguments: vec![file.to_owned()],
                folder: peers.folder.join("node/bundles"),
            })
        };
        let python = |handler: &str| {
            peers.map(|peers| Program {
                path: peers.python.clone(),
                arguments: ["-m", "awslambdaric", handler].map(str::to_owned).to_vec(),
                folder: peers.folder.join("python"),
            })
        };
        match (subject, role) {
            (Subject::Ours, Role::Connect) => native(&self.connect),
            (Subject::Ours, Role::Send) => native(&self.send),
            (Subject::Node, Role::Connect) => node("connect.cjs"),
            (Subject::Node, Role::Send) => node("send.cjs"),
            (Subject::NodeSequential, Role::Send) => node("send-sequential.cjs"),
            (Subject::Python, Role::Connect) => python("connect.handler"),
            (Subject::Python, Role::Send) => python("send.handler"),
            (Subject::PythonSequential, Role::Send) => python("send_sequential.handler"),
            (Subject::NodeSequential | Subject::PythonSequential | Subject::SignedFloor, Role::Connect) => {
                None
            }
            (Subject::Floor, Role::Connect) => native(&self.hello),
            (Subject::Floor, Role::Send) => native(&self.posts),
            (Subject::SignedFloor, Role::Send) => native_with(&self.posts, &["signed"]),
        }
    }
}
