//! Whole repos as files, and files merged into repos.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use corella::{
    DocHandle, DocId, Repo, RepoConfig,
    runtime::{Adapter, ErrorCode, Imported, Progress},
    synchronizer::{ChannelKind, Interest, MemoryBudget},
};
use loro::{ExportMode, LoroDoc};

use crate::{
    disk::{Disk, Drive},
    network::Link,
    world::World,
};

struct Bench {
    world: World,
}

impl Bench {
    fn repo(&self, disk: Option<&Rc<Disk>>) -> Repo {
        let adapters: Vec<Rc<dyn Adapter>> =
            disk.into_iter().map(|disk| Drive::new(disk, self.world.env(), 2, 1) as Rc<dyn Adapter>).collect();
        Repo::new(self.world.env(), RepoConfig { adapters, ..RepoConfig::default() })
    }

    fn export(&mut self, repo: &Repo) -> Vec<u8> {
        let mut export = repo.export().unwrap();
        let work = Box::pin(async move {
            let mut file = Vec::new();
            while let Some(piece) = export.next().await.unwrap() {
                file.extend_from_slice(&piece);
            }
            assert_eq!(export.progress().bytes, file.len() as u64);
            assert_eq!(export.progress().documents, export.progress().total);
            file
        });
        self.world.wait(work, 60_000).expect("it ends")
    }

    fn import(&mut self, repo: &Repo, file: &[u8]) -> Result<Imported, corella::RepoError> {
        let mut import = repo.import().unwrap();
        let pieces: Vec<Vec<u8>> = file.chunks(97).map(<[u8]>::to_vec).collect();
        let work = Box::pin(async move {
            let mut before = Progress::default();
            for piece in pieces {
                import.push(&piece).await?;
                assert!(import.progress().bytes >= before.bytes);
                before = import.progress();
            }
            import.finish().await
        });
        self.world.wait(work, 60_000).expect("it ends")
    }

    fn delete(&mut self, repo: &Repo, doc: &str) {
        self.world.wait(repo.delete(doc), 10_000).unwrap().unwrap();
    }

    /// What a repo says of a document when it has read it.
    fn read(&mut self, repo: &Repo, doc: &str) -> String {
        let handle = repo.get(doc).unwrap();
        self.world.run(1_000);
        text(&handle)
    }
}

fn bench() -> Bench {
    Bench { world: World::new(5) }
}

fn write(handle: &DocHandle, what: &str) {
    handle.change(|doc| doc.get_text("text").insert(0, what).unwrap(), None, None).unwrap();
}

fn text(handle: &DocHandle) -> String {
    handle.doc().get_text("text").to_string()
}

fn names(repo: &Repo) -> Vec<String> {
    let mut names: Vec<_> = repo.list().into_iter().map(|info| info.doc.as_str().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_repo_comes_back_from_its_backup_with_everything() {
    let mut bench = bench();
    let disk = Disk::new();
    let repo = bench.repo(Some(&disk));
    for number in 0..200 {
        write(&repo.get(&format!("doc{number}")).unwrap(), &format!("text {number}"));
    }
    write(&repo.get("gone").unwrap(), "deleted");
    bench.world.run(1_000);
    bench.delete(&repo, "gone");
    bench.delete(&repo, "doc7");
    write(&repo.create("doc7", true).unwrap(), "made anew");
    bench.world.run(1_000);
    // Typed in this very moment: not on disk, and in the backup.
    write(&repo.get("doc1").unwrap(), "new ");
    let file = bench.export(&repo);

    let (other, elsewhere) = (Disk::new(), bench.repo(None));
    let restored = bench.repo(Some(&other));
    for target in [&restored, &elsewhere] {
        let done = bench.import(target, &file).unwrap();
        assert_eq!((done.documents, done.tombstones, done.skipped.len(), done.damaged.len()), (200, 2, 0, 0));
        assert_eq!(names(target), names(&repo));
        for (doc, expected) in [("doc0", "text 0"), ("doc1", "new text 1"), ("doc7", "made anew"), ("doc199", "text 199")] {
            assert_eq!(bench.read(target, doc), expected);
        }
        assert_eq!(target.get("gone").unwrap_err().code(), ErrorCode::Deleted);
    }
    assert_eq!(other.contents("doc42").get_text("text").to_string(), "text 42", "it is on disk when the import has ended");
    assert!(restored.list().iter().filter(|info| info.loaded).count() < 150, "imported documents leave memory");
    // A second time it changes nothing.
    let writes = other.writes.get();
    let done = bench.import(&restored, &file).unwrap();
    assert_eq!((done.documents, names(&restored)), (200, names(&repo)));
    assert_eq!(other.writes.get(), writes);
}

#[test]
fn a_backup_is_merged_with_what_is_here() {
    let mut bench = bench();
    let (a, b) = (bench.repo(None), bench.repo(None));
    write(&a.get("both").unwrap(), "from a ");
    write(&a.get("deleted here").unwrap(), "x");
    write(&a.get("deleted there").unwrap(), "x");
    write(&a.get("anew here").unwrap(), "old");
    let first = bench.export(&a);
    bench.import(&b, &first).unwrap();
    write(&b.get("both").unwrap(), "from b ");
    write(&b.get("own").unwrap(), "own");
    bench.delete(&b, "deleted here");
    bench.delete(&b, "anew here");
    write(&b.create("anew here", true).unwrap(), "new");
    write(&a.get("both").unwrap(), "again ");
    bench.delete(&a, "deleted there");
    let second = bench.export(&a);
    let done = bench.import(&b, &second).unwrap();
    let skipped: Vec<_> = done.skipped.iter().map(DocId::as_str).collect();
    assert_eq!(skipped, ["anew here", "deleted here"], "what was deleted here stays deleted");
    assert_eq!(names(&b), ["anew here", "both", "own"]);
    let both = bench.read(&b, "both");
    assert!(["from a ", "from b ", "again "].iter().all(|part| both.contains(part)), "{both}");
    assert_eq!(bench.read(&b, "anew here"), "new");
}

#[test]
fn a_damaged_or_cut_file_is_refused_and_what_came_before_is_merged() {
    let mut bench = bench();
    let repo = bench.repo(None);
    for number in 0..20 {
        write(&repo.get(&format!("doc{number:02}")).unwrap(), &"text ".repeat(50));
    }
    let file = bench.export(&repo);
    let middle = file.len() / 2;
    let mut changed = file.clone();
    changed[middle] ^= 1;
    for broken in [&file[..middle], &changed[..]] {
        let target = bench.repo(None);
        write(&target.get("own").unwrap(), "own");
        let error = bench.import(&target, broken).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Decode, "{error}");
        let merged = names(&target).len() - 1;
        assert!((5..15).contains(&merged), "{merged}: {error}");
        assert!(error.message().contains(&format!("{merged} documents")), "{error}");
        for name in names(&target) {
            let expected = if name == "own" { "own".to_owned() } else { "text ".repeat(50) };
            assert_eq!(bench.read(&target, &name), expected, "whole or not at all");
        }
    }
    for foreign in [&b""[..], b"PK\x03\x04", b"CORELLA"] {
        assert_eq!(bench.import(&repo, foreign).unwrap_err().code(), ErrorCode::Decode);
    }
    let mut newer = file.clone();
    newer[8] = 9;
    assert!(bench.import(&repo, &newer).unwrap_err().message().contains("newer"));
    assert_eq!(names(&repo).len(), 20);
}

#[test]
fn what_is_restored_reaches_the_peers() {
    let mut bench = bench();
    let repo = bench.repo(None);
    write(&repo.get("d").unwrap(), "kept");
    let file = bench.export(&repo);
    let link = Link::new(bench.world.env(), ChannelKind::Network, 5);
    let leaf = Repo::new(bench.world.env(), RepoConfig { adapters: vec![link.end(0)], ..RepoConfig::default() });
    let hub_config = RepoConfig { adapters: vec![link.end(1)], interest: Interest::Everything, ..RepoConfig::default() };
    let hub = Repo::new(bench.world.env(), hub_config);
    link.connect();
    bench.world.run(1_000);
    bench.import(&leaf, &file).unwrap();
    bench.world.run(5_000);
    assert_eq!(bench.read(&hub, "d"), "kept");
}

#[test]
fn operations_that_wait_for_others_are_in_the_backup_and_on_the_disk() {
    let mut bench = bench();
    let (disk, other) = (Disk::new(), Disk::new());
    // The second half of a document, as a file of it may be met.
    let author = LoroDoc::new();
    author.get_text("text").insert(0, "first ").unwrap();
    author.commit();
    let (first, seen) = (author.export(ExportMode::all_updates()).unwrap(), author.oplog_vv());
    author.get_text("text").insert(6, "second").unwrap();
    author.commit();
    let second = author.export(ExportMode::updates(&seen)).unwrap();
    let id = DocId::new("d").unwrap();
    let repo = bench.repo(Some(&disk));
    bench.world.run(100);
    assert_eq!(repo.merge(&id, &[Bytes::from(second)]).unwrap(), (true, true));
    bench.world.run(1_000);
    assert_eq!(disk.records("d"), 1, "kept, though nothing of it can be shown");
    let file = bench.export(&repo);
    drop(repo);
    // Another process, from the disk alone; another machine, from the file alone.
    let again = bench.repo(Some(&disk));
    let elsewhere = bench.repo(Some(&other));
    bench.import(&elsewhere, &file).unwrap();
    for (number, repo) in [&again, &elsewhere].into_iter().enumerate() {
        assert_eq!(bench.read(repo, "d"), "");
        assert_eq!(repo.merge(&id, &[Bytes::from(first.clone())]).unwrap(), (true, true));
        assert_eq!(bench.read(repo, "d"), "first second", "repo {number}, {} records", [&disk, &other][number].records("d"));
    }
    bench.world.run(1_000);
    for disk in [&disk, &other] {
        assert_eq!(disk.contents("d").get_text("text").to_string(), "first second");
    }
}

#[test]
fn a_backup_of_many_documents_needs_the_memory_of_few() {
    let mut bench = bench();
    let disk = Disk::new();
    let repo = bench.repo(Some(&disk));
    for number in 0..600 {
        let handle = repo.get(&format!("doc{number}")).unwrap();
        write(&handle, "x");
        handle.close();
    }
    bench.world.run(20_000);
    drop(repo);
    let adapters: Vec<Rc<dyn Adapter>> = vec![Drive::new(&disk, bench.world.env(), 2, 1)];
    let memory = MemoryBudget { documents: 5, bytes: u64::MAX };
    let repo = Repo::new(bench.world.env(), RepoConfig { adapters, memory, ..RepoConfig::default() });
    let most = Rc::new(RefCell::new(0));
    let mut export = repo.export().unwrap();
    let (watched, seen) = (repo.clone(), Rc::clone(&most));
    let pieces = bench.world.wait(
        Box::pin(async move {
            let mut pieces = 0;
            while export.next().await.unwrap().is_some() {
                let loaded = watched.list().iter().filter(|info| info.loaded).count();
                let before = *seen.borrow();
                *seen.borrow_mut() = loaded.max(before);
                pieces += 1;
            }
            pieces
        }),
        600_000,
    );
    assert_eq!(pieces, Some(2 + 2 * 600));
    assert_eq!(*most.borrow(), 0, "it is read from storage alone");
}
