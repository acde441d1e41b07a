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
    DocId,
    hub::{self, Checked, DeletionRule, Hub, HubConfig, HubLimits, OriginRule, Problem, Stats, StorageConfig},
    runtime::{Progress, StoreError},
    synchronizer::{MemoryBudget, RecordRoom, Timestamp},
};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// What a process is sent that writes beyond the size its files may have.
#[cfg(target_os = "linux")]
const SIGXFSZ: i32 = 25;

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
    #[command(flatten)]
    records: RecordArguments,
}

/// Room for the records of collections, names and deletions that are remembered included; what does not fit is refused, and offered again.
#[derive(Args, Debug)]
struct RecordArguments {
    /// Records of collections; they are kept in memory
    #[arg(long, env = "CORELLA_MAX_RECORDS", default_value_t = HubLimits::default().records.records, value_name = "N")]
    max_records: usize,
    /// Bytes of them
    #[arg(long, env = "CORELLA_MAX_RECORDS_BYTES", default_value_t = HubLimits::default().records.bytes, value_name = "N")]
    max_records_bytes: usize,
    /// Records of one collection
    #[arg(long, env = "CORELLA_MAX_COLLECTION_RECORDS", default_value_t = HubLimits::default().collection_records.records, value_name = "N")]
    max_collection_records: usize,
    /// Bytes of them
    #[arg(long, env = "CORELLA_MAX_COLLECTION_BYTES", default_value_t = HubLimits::default().collection_records.bytes, value_name = "N")]
    max_collection_bytes: usize,
    /// Records one device wrote last
    #[arg(long, env = "CORELLA_MAX_DEVICE_RECORDS", default_value_t = HubLimits::default().device_records.records, value_name = "N")]
    max_device_records: usize,
    /// Bytes of them
    #[arg(long, env = "CORELLA_MAX_DEVICE_BYTES", default_value_t = HubLimits::default().device_records.bytes, value_name = "N")]
    max_device_bytes: usize,
    /// Seconds by which the clock of whoever writes a record may be ahead; what is later is refused, and offered again
    #[arg(long, env = "CORELLA_RECORD_DRIFT", default_value_t = HubLimits::default().record_drift.as_secs(), value_name = "SECONDS")]
    record_drift: u64,
    /// Days after which a device that was not seen holds back no more what deletions of records leave
    #[arg(long, env = "CORELLA_RECORD_LAPSE", default_value_t = HubLimits::default().record_lapse.as_secs() / DAY, value_name = "DAYS")]
    record_lapse: u64,
}

const DAY: u64 = 24 * 60 * 60;

/// What is done with a data folder while no hub uses it.
#[derive(Subcommand, Debug)]
enum Command {
    /// Write every document and deletion to one file
    Export(Files),
    /// Merge such a file into the database
    Import(Files),
    /// Read everything and say what is wrong with which document; changes nothing
    Check(Folder),
    /// Write documents of several records as one each, and make the file as small as it can be
    Compact(Folder),
    /// Count documents, records and bytes; changes nothing
    Stats(StatsOf),
}

#[derive(Args, Debug)]
struct Folder {
    /// Folder of the database
    #[arg(long, env = "CORELLA_DATA", default_value = "corella-data", value_name = "DIR")]
    data: PathBuf,
}

#[derive(Args, Debug)]
struct StatsOf {
    #[command(flatten)]
    folder: Folder,
    /// One JSON object, times in milliseconds since 1970
    #[arg(long)]
    json: bool,
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
            Self::Check(Folder { data }) => return checked(hub::check(&data, &mut tell)),
            Self::Compact(Folder { data }) => hub::compact(&data, &mut tell).map_err(Into::into).map(|done| {
                let left = if done.left.is_empty() {
                    String::new()
                } else {
                    format!(", {} left as they are, corella-hub check says why", done.left.len())
                };
                format!("{} bytes before, {} bytes after, {} documents written anew{left}", done.before, done.after, done.documents)
            }),
            Self::Stats(StatsOf { folder: Folder { data }, json }) => {
                hub::stats(&data).map_err(Into::into).map(|stats| if json { as_json(&stats) } else { as_text(&stats) })
            }
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

fn checked(outcome: Result<Checked, StoreError>) -> ExitCode {
    let checked = match outcome {
        Ok(checked) => checked,
        Err(error) => return refuse(1, &error.to_string()),
    };
    for Problem { doc, what } in &checked.problems {
        match doc {
            Some(doc) => println!("document {:?}: {what}", doc.as_str()),
            None => println!("{what}"),
        }
    }
    let Checked { documents, deleted, records, bytes, problems } = checked;
    println!("{documents} documents, {deleted} deletions, {records} records, {bytes} bytes");
    if problems.is_empty() { ExitCode::SUCCESS } else { refuse(1, &format!("{} problems", problems.len())) }
}

fn as_text(stats: &Stats) -> String {
    let Stats { documents, deleted, damaged, records, bytes, largest, oldest, newest, collected, file_bytes, .. } = stats;
    let mut text = format!(
        "documents           {documents}\ndeleted             {deleted}\ndamaged index rows  {damaged}\nrecords             {records}\n\
         bytes               {bytes}\ncollected records   {collected}\nbytes of the file   {file_bytes}"
    );
    if let Some((doc, bytes)) = largest {
        text += &format!("\nlargest             {bytes} bytes: {doc}");
    }
    for (name, document) in [("oldest", oldest), ("newest", newest)] {
        if let Some((doc, at)) = document {
            text += &format!("\n{name}              {} ms since 1970: {doc}", at.0);
        }
    }
    text
}

fn as_json(stats: &Stats) -> String {
    let Stats { documents, deleted, damaged, records, bytes, largest, oldest, newest, collected, file_bytes, .. } = stats;
    let at = |document: &Option<(DocId, Timestamp)>| document.as_ref().map(|(doc, at)| json!({ "id": doc.as_str(), "updated": at.0 }));
    json!({
        "documents": documents,
        "deleted": deleted,
        "damaged": damaged,
        "records": records,
        "bytes": bytes,
        "largest": largest.as_ref().map(|(doc, bytes)| json!({ "id": doc.as_str(), "bytes": bytes })),
        "oldest": at(oldest),
        "newest": at(newest),
        "collected": collected,
        "fileBytes": file_bytes,
    })
    .to_string()
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

impl Arguments {
    fn into_config(self) -> HubConfig {
        let room = self.records;
        HubConfig {
            listen: self.listen,
            storage: if self.in_memory { StorageConfig::Memory } else { StorageConfig::Directory(self.data) },
            www: self.www,
            allow_origins: self.allow_origins,
            limits: HubLimits {
                message_bytes: self.max_message_bytes.get(),
                connections: self.max_connections.get(),
                records: RecordRoom { records: room.max_records, bytes: room.max_records_bytes },
                collection_records: RecordRoom { records: room.max_collection_records, bytes: room.max_collection_bytes },
                device_records: RecordRoom { records: room.max_device_records, bytes: room.max_device_bytes },
                record_drift: Duration::from_secs(room.record_drift),
                record_lapse: Duration::from_secs(room.record_lapse.saturating_mul(DAY)),
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
    // A file that may not grow further is an error of the write, not the end of the process.
    #[cfg(target_os = "linux")]
    let _file_size = signal(SignalKind::from_raw(SIGXFSZ));
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
