//! The native relay process: arguments, logging, signals and exit codes.

use std::{
    io::{IsTerminal, Write},
    num::NonZeroUsize,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, Parser, Subcommand};
use corella::{
    hub::{self, DeletionRule, Hub, HubConfig, HubLimits, OriginRule, StorageConfig},
    runtime::Progress,
    synchronizer::MemoryBudget,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Relays and keeps the documents of corella's clients.
#[derive(Parser, Debug)]
#[command(name = "corella-hub", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Host and port to listen on; port 0 takes a free one
    #[arg(long, env = "CORELLA_LISTEN", default_value = "127.0.0.1:8787", value_name = "ADDRESS")]
    listen: String,
    /// Folder of the database
    #[arg(long, env = "CORELLA_DATA", default_value = "corella-data", value_name = "DIR")]
    data: PathBuf,
    /// Keep documents in memory only; they are gone when the hub stops
    #[arg(long)]
    in_memory: bool,
    /// Folder to serve over HTTP
    #[arg(long, env = "CORELLA_WWW", value_name = "DIR")]
    www: Option<PathBuf>,
    /// What to log to standard error: error, warn, info, debug, trace, or a filter such as corella=debug
    #[arg(long, env = "CORELLA_LOG", default_value = "info", value_name = "LEVEL")]
    log: String,
    /// Log one JSON object a line
    #[arg(long)]
    log_json: bool,
    /// Lets pages of this origin connect, besides those of the hub's own host and loopback; * for all; may be repeated
    #[arg(long = "allow-origin", env = "CORELLA_ALLOW_ORIGIN", value_delimiter = ',', value_name = "ORIGIN")]
    allow_origins: Vec<OriginRule>,
    /// Largest accepted message
    #[arg(long, env = "CORELLA_MAX_MESSAGE_BYTES", default_value_t = at_least_one(HubLimits::default().message_bytes), value_name = "N")]
    max_message_bytes: NonZeroUsize,
    /// Connections at a time
    #[arg(long, env = "CORELLA_MAX_CONNECTIONS", default_value_t = at_least_one(HubLimits::default().connections), value_name = "N")]
    max_connections: NonZeroUsize,
    /// Messages a second of one client, ten seconds' worth at once; 0 for any number
    #[arg(long, env = "CORELLA_RATE_MESSAGES", default_value_t = HubLimits::default().rate_messages, value_name = "N")]
    rate_messages: u32,
    /// Bytes a second of one client, ten seconds' worth at once; 0 for any number
    #[arg(long, env = "CORELLA_RATE_BYTES", default_value_t = HubLimits::default().rate_bytes, value_name = "N")]
    rate_bytes: u64,
    /// Documents kept in memory when nobody needs them at the moment
    #[arg(long, env = "CORELLA_MEMORY_DOCUMENTS", default_value_t = HubConfig::default().memory.documents, value_name = "N")]
    memory_documents: usize,
    /// Bytes they may take, as they are stored
    #[arg(long, env = "CORELLA_MEMORY_BYTES", default_value_t = HubConfig::default().memory.bytes, value_name = "N")]
    memory_bytes: u64,
    /// Who may delete documents for everybody: nobody, creator, anyone
    #[arg(long, env = "CORELLA_DELETION", default_value = "creator", value_name = "WHO")]
    deletion: DeletionRule,
}

/// What is done with a data folder while no hub uses it.
#[derive(Subcommand, Debug)]
enum Command {
    /// Write every document and deletion to one file
    Export(Files),
    /// Merge such a file into the database
    Import(Files),
}

#[derive(Args, Debug)]
struct Files {
    /// Folder of the database
    #[arg(long, env = "CORELLA_DATA", default_value = "corella-data", value_name = "DIR")]
    data: PathBuf,
    /// The backup
    file: PathBuf,
}

impl Command {
    #[expect(clippy::disallowed_methods, reason = "progress is told in the time of whoever waits for it")]
    fn run(self) -> ExitCode {
        let mut told = Instant::now();
        let mut tell = |done: Progress| {
            if told.elapsed() >= Duration::from_secs(2) {
                told = Instant::now();
                eprintln!("{} of {} documents, {} bytes", done.documents, done.total, done.bytes);
            }
        };
        let outcome = match self {
            Self::Export(Files { data, file }) => hub::export(&data, &file, &mut tell)
                .map(|done| format!("{} documents and deletions, {} bytes in {}", done.documents, done.bytes, file.display())),
            Self::Import(Files { data, file }) => hub::import(&data, &file, &mut tell).map(|done| {
                let left = if done.skipped.is_empty() { String::new() } else { format!(", {} deleted here", done.skipped.len()) };
                let damaged =
                    if done.damaged.is_empty() { String::new() } else { format!(", {} with damaged records", done.damaged.len()) };
                format!("{} documents and {} deletions merged{left}{damaged}", done.documents, done.tombstones)
            }),
        };
        match outcome {
            Ok(text) => {
                println!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => refuse(1, &error.to_string()),
        }
    }
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

impl Arguments {
    fn into_config(self) -> HubConfig {
        HubConfig {
            listen: self.listen,
            storage: if self.in_memory { StorageConfig::Memory } else { StorageConfig::Directory(self.data) },
            www: self.www,
            allow_origins: self.allow_origins,
            limits: HubLimits {
                message_bytes: self.max_message_bytes.get(),
                connections: self.max_connections.get(),
                rate_messages: self.rate_messages,
                rate_bytes: self.rate_bytes,
                ..HubLimits::default()
            },
            deletion: self.deletion,
            memory: MemoryBudget { documents: self.memory_documents, bytes: self.memory_bytes },
        }
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return refuse(2, &one_line(&error)),
    };
    if let Some(command) = arguments.command {
        return command.run();
    }
    let filter = match log_filter(&arguments.log) {
        Ok(filter) => filter,
        Err(error) => return refuse(2, &format!("--log {}: {error}", arguments.log)),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if arguments.log_json {
        log.json().init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).init();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(1, &format!("cannot start: {error}")),
    };
    runtime.block_on(run(arguments.into_config()))
}

/// Returns what an argument error says, without the usage text around it.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let what = text.trim_start_matches("error:").lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("bad arguments");
    format!("{what}; see corella-hub --help")
}

/// Reads a level or a filter. A lone word that is no level would be taken for a module's name, and nothing be logged.
fn log_filter(text: &str) -> Result<EnvFilter, String> {
    if !text.contains(['=', '[', ',', ':']) {
        text.parse::<LevelFilter>()
            .map_err(|_| "expected off, error, warn, info, debug, trace, or a filter such as corella=debug".to_owned())?;
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())
}

async fn run(config: HubConfig) -> ExitCode {
    let (mut interrupt, mut terminate) = match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
        (Err(error), _) | (_, Err(error)) => return refuse(1, &format!("cannot start: {error}")),
    };
    let hub = match Hub::start(config).await {
        Ok(hub) => hub,
        Err(error) => return refuse(1, &error.to_string()),
    };
    // Whoever started the hub may have stopped reading.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "corella-hub listening on http://{}", hub.address()).and_then(|()| out.flush());
    let failed = tokio::select! {
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
        () = hub.failed() => true,
    };
    if failed {
        return refuse(1, "a defect has ended the repo; start the hub again");
    }
    let outcome = tokio::select! {
        outcome = hub.stop() => outcome.map_err(|error| error.to_string()),
        // A second signal: whoever sends it does not want to wait.
        _ = interrupt.recv() => Err("stopped without waiting".to_owned()),
        _ = terminate.recv() => Err("stopped without waiting".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(1, &error),
    }
}

fn refuse(code: u8, why: &str) -> ExitCode {
    eprintln!("corella-hub: {why}");
    ExitCode::from(code)
}
