//! Ends and restarts, and the binary.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use corella::{
    DocId,
    hub::{Hub, HubConfig, StorageConfig},
    protocol::{Message, RefusalReason, Transmission},
};
use loro::{ExportMode, LoroDoc};

use crate::{
    client::{Client, End, text, version, write},
    memory, records,
};

/// The binary, killed when dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    pub(crate) fn start(data: &Path) -> Self {
        Self::with(data, &[])
    }

    fn with(data: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_corella-hub"))
            .args(["--listen", "127.0.0.1:0", "--log", "warn", "--data"])
            .arg(data)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("corella-hub listening on http://").expect(&line).parse().unwrap();
        Self { child, address }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary to its end and returns exit code and standard error.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_corella-hub")).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn stopping_says_goodbye_and_keeps_what_was_just_written() {
    let data = tempfile::tempdir().unwrap();
    let config = || HubConfig { storage: StorageConfig::Directory(data.path().join("deep/er")), ..memory() };
    let hub = Hub::start(config()).await.unwrap();
    let mut client = Client::connect(hub.address(), 1).await;
    let doc = LoroDoc::new();
    write(&doc, "kept");
    client.share("d", &doc).await;
    client.until_held("d").await;
    let (stopped, end) = tokio::join!(hub.stop(), client.ended());
    stopped.unwrap();
    assert_eq!(end, End::Closed(1001, "Server shutting down".into()));
    let hub = Hub::start(config()).await.unwrap();
    assert_eq!(text(&Client::connect(hub.address(), 2).await.fetch("d").await), "kept");
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_hub_has_everything_it_had_time_to_write() {
    let data = tempfile::tempdir().unwrap();
    let doc = LoroDoc::new();
    for round in 0..3 {
        let mut hub = Process::start(data.path());
        let mut client = Client::connect(hub.address, 1).await;
        write(&doc, &format!("{round} "));
        client.share("d", &doc).await;
        client.until_held("d").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        hub.child.kill().unwrap();
        hub.child.wait().unwrap();
        let hub = Process::start(data.path());
        let found = Client::connect(hub.address, 2).await.fetch("d").await;
        assert_eq!(text(&found), text(&doc));
    }
}

/// `CORELLA_SOAK` makes this the long form.
#[tokio::test]
async fn a_hub_killed_in_the_middle_of_writing_keeps_all_up_to_some_edit() {
    let rounds = if std::env::var_os("CORELLA_SOAK").is_some() { 150 } else { 4 };
    let data = tempfile::tempdir().unwrap();
    let doc = LoroDoc::new();
    write(&doc, "a");
    let mut on_disk = 0;
    for round in 0..rounds {
        let mut hub = Process::start(data.path());
        let mut client = Client::connect(hub.address, 1).await;
        client.share("d", &doc).await;
        client.until_held("d").await;
        let until = Instant::now() + Duration::from_millis(7 + round * 389 % 1_100);
        let mut held: Vec<(Instant, usize)> = Vec::new();
        while Instant::now() < until {
            for _ in 0..10 {
                let before = doc.oplog_vv();
                let end = doc.get_text("text").len_unicode();
                doc.get_text("text").insert(end, ["a", "b", "c"][end % 3]).unwrap();
                doc.commit();
                let data = doc.export(ExportMode::updates(&before)).unwrap().into();
                let transmission = Transmission::Update { data, version: version(&doc) };
                client.send(&[Message::Update { doc: DocId::new("d").unwrap(), transmission }]).await;
            }
            // The hub answers 64 questions about a document in ten seconds.
            let lately = held.last().is_some_and(|(at, _)| at.elapsed() < Duration::from_millis(50));
            if held.len() < 3 || round % 2 == 0 && !lately {
                client.until_held("d").await;
                held.push((Instant::now(), text(&doc).len()));
            }
        }
        let killed = Instant::now();
        hub.child.kill().unwrap();
        hub.child.wait().unwrap();
        let hub = Process::start(data.path());
        let found = text(&Client::connect(hub.address, 2).await.fetch("d").await);
        assert!(text(&doc).starts_with(&found), "round {round}: {found:?}");
        let written = held.iter().filter(|(at, _)| *at + Duration::from_millis(500) < killed).map(|(_, length)| *length).max();
        on_disk = on_disk.max(written.unwrap_or(0));
        assert!(found.len() >= on_disk, "round {round}: {} of {on_disk} edits are there", found.len());
        on_disk = found.len();
    }
}

#[tokio::test]
async fn signals_end_the_process_with_a_goodbye_and_code_0() {
    for name in ["TERM", "INT"] {
        let data = tempfile::tempdir().unwrap();
        let mut hub = Process::start(data.path());
        let mut client = Client::connect(hub.address, 1).await;
        hub.signal(name);
        assert_eq!(client.ended().await, End::Closed(1001, "Server shutting down".into()));
        let status = tokio::task::spawn_blocking(move || hub.child.wait().unwrap()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{name}");
    }
}

#[tokio::test]
async fn the_binary_limits_clients_as_its_arguments_say() {
    let data = tempfile::tempdir().unwrap();
    let hub = Process::with(data.path(), &["--rate-messages", "1", "--rate-bytes", "0"]);
    let mut client = Client::corella(hub.address, 1).await;
    let want = Message::Want { doc: DocId::new("d").unwrap(), lineage: 0, ranges: vec![] };
    client.send(&vec![want; 20]).await;
    client.until(|message| matches!(message, Message::Refusal { reason: RefusalReason::RateLimited, .. }).then_some(())).await;
}

#[tokio::test]
async fn the_binary_bounds_records_as_its_arguments_say() {
    let data = tempfile::tempdir().unwrap();
    for (argument, refused) in [
        ("--max-records", true),
        ("--max-collection-records", true),
        ("--max-device-records", true),
        ("--max-records-bytes", true),
        ("--max-collection-bytes", true),
        ("--max-device-bytes", true),
        ("--max-connections", false),
    ] {
        let hub = Process::with(data.path(), &["--in-memory", argument, "1"]);
        let mut client = Client::corella(hub.address, 1).await;
        assert_eq!(records::two_are_refused(&mut client).await, refused, "{argument}");
    }
}

#[test]
fn what_cannot_be_used_is_named_in_one_line() {
    let data = tempfile::tempdir().unwrap();
    let hub = Process::start(data.path());
    let address = hub.address.to_string();
    let folder = data.path().to_str().unwrap();
    let file = data.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let bad = tempfile::tempdir().unwrap();
    std::fs::write(bad.path().join("corella.redb"), "this is no database at all").unwrap();
    for (arguments, expected) in [
        (vec!["--in-memory", "--listen", &address], "cannot listen on"),
        (vec!["--in-memory", "--listen", "nonsense"], "cannot listen on nonsense"),
        (vec!["--listen", "127.0.0.1:0", "--data", folder], "another process is using it"),
        (vec!["--listen", "127.0.0.1:0", "--data", file.to_str().unwrap()], "cannot create"),
        (vec!["--listen", "127.0.0.1:0", "--data", bad.path().to_str().unwrap()], "corella.redb"),
        (vec!["--listen", "127.0.0.1:0", "--in-memory", "--www", "/nowhere"], "cannot serve /nowhere"),
    ] {
        let (code, error) = refused(&arguments);
        assert_eq!((code, error.trim().lines().count()), (Some(1), 1), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    for (arguments, expected) in [
        (vec!["--what"], "--what"),
        (vec!["more"], "more"),
        (vec!["--listen"], "--listen"),
        (vec!["--max-connections", "many"], "--max-connections"),
        (vec!["--max-connections", "0"], "--max-connections"),
        (vec!["--max-message-bytes", "0"], "--max-message-bytes"),
        (vec!["--rate-messages", "many"], "--rate-messages"),
        (vec!["--max-device-records", "many"], "--max-device-records"),
        (vec!["--rate-bytes", "1.5"], "--rate-bytes"),
        (vec!["--allow-origin", "example.com"], "an origin looks like"),
        (vec!["--log", "a=b=c"], "--log a=b=c"),
        (vec!["--log", "verbose"], "--log verbose"),
    ] {
        let (code, error) = refused(&arguments);
        assert_eq!((code, error.trim().lines().count()), (Some(2), 1), "{arguments:?}: {error}");
        assert!(error.starts_with("corella-hub: ") && error.contains(expected), "{arguments:?}: {error}");
    }
}

/// Runs a command on a data folder and returns its exit code and what it says.
pub(crate) fn command(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_corella-hub")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let errors = text(&output.stderr);
    // Progress is told when it takes long, which depends on the machine.
    let errors = errors.split_inclusive('\n').filter(|line| !line.contains(" documents, ")).collect();
    (output.status.code().unwrap(), text(&output.stdout), errors)
}

#[tokio::test]
async fn a_hub_is_backed_up_and_restored_by_its_commands() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, file, other) = (path("data"), path("backup"), path("other"));
    let hub = Process::start(Path::new(&data));
    let mut client = Client::connect(hub.address, 1).await;
    let doc = LoroDoc::new();
    write(&doc, "kept");
    client.share("d", &doc).await;
    client.until_held("d").await;
    let (code, _, error) = command(&["export", "--data", &data, &file]);
    assert_eq!((code, error.contains("another process")), (1, true), "{error}");
    hub.signal("TERM");
    client.ended().await;
    let mut hub = hub;
    hub.child.wait().unwrap();
    let (code, said, error) = command(&["export", "--data", &data, &file]);
    assert_eq!((code, said.starts_with("1 documents")), (0, true), "{said}{error}");
    let (code, _, error) = command(&["export", "--data", &data, &file]);
    assert_eq!((code, error.contains("backup")), (1, true), "no file is replaced: {error}");
    let (code, said, error) = command(&["import", "--data", &other, &file]);
    assert_eq!((code, said.contains("1 documents and 0 deletions")), (0, true), "{said}{error}");
    let hub = Process::start(Path::new(&other));
    assert_eq!(text(&Client::connect(hub.address, 2).await.fetch("d").await), "kept");
    drop(hub);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 3);
    std::fs::write(path("cut"), bytes).unwrap();
    for (arguments, why) in [
        (["import", "--data", other.as_str(), &path("cut")], "ends too early"),
        (["import", "--data", other.as_str(), &path("missing")], "missing"),
        (["export", "--data", &path("nowhere"), &path("x")], "nowhere"),
    ] {
        let (code, _, error) = command(&arguments);
        assert_eq!((code, error.contains(why), error.lines().count()), (1, true, 1), "{error}");
    }
    assert!(!Path::new(&path("x")).exists() && !Path::new(&path("x.part")).exists());
}
