//! Backups of a hub's data folder, made and merged while no hub uses it.
//!
//! Decides how files are read and written. What is in them is decided by the runtime.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
    rc::Rc,
};

use super::{
    env::NativeEnv,
    storage::{RedbAdapter, RedbStore},
};
use crate::{
    Repo, RepoConfig, RepoError,
    protocol::PeerType,
    runtime::{Imported, Progress, StoreError},
    synchronizer::{Interest, MemoryBudget},
};

/// Bytes read from a file at a time.
const PIECE: usize = 1024 * 1024;

/// Why a backup could not be made or merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupFailure {
    /// The data folder.
    #[error("{0}")]
    Data(#[from] StoreError),
    /// The file.
    #[error("{0}")]
    File(#[from] io::Error),
    /// What is in it, or writing it into the database.
    #[error("{0}")]
    Repo(#[from] RepoError),
}

/// Writes everything in a data folder to a file, which is there only once it is complete. Replaces none.
///
/// # Errors
/// [`BackupFailure`]: the folder is in use, is not one, or cannot be read; the file is there already or cannot be written.
pub fn export(data: &Path, file: &Path, mut progress: impl FnMut(Progress)) -> Result<Progress, BackupFailure> {
    if file.exists() {
        return Err(named(file, &io::Error::from(io::ErrorKind::AlreadyExists)).into());
    }
    if !data.is_dir() {
        return Err(named(data, &io::Error::from(io::ErrorKind::NotFound)).into());
    }
    let store = RedbStore::open(data)?;
    let unfinished = file.with_added_extension("part");
    let made = with_repo(store, async |repo| {
        let mut out = fs::File::create(&unfinished).map_err(|error| named(&unfinished, &error))?;
        let mut export = repo.export()?;
        while let Some(piece) = export.next().await? {
            out.write_all(&piece).map_err(|error| named(&unfinished, &error))?;
            progress(export.progress());
        }
        out.sync_all().map_err(|error| named(&unfinished, &error))?;
        Ok(export.progress())
    });
    match &made {
        Ok(_) => fs::rename(&unfinished, file).map_err(|error| named(file, &error))?,
        // Half a backup is none.
        Err(_) => drop(fs::remove_file(&unfinished)),
    }
    made
}

/// Merges a backup into a data folder, which is made if it is not there.
///
/// # Errors
/// [`BackupFailure`]: the folder is in use or cannot be written, the file cannot be read or is damaged. What came before the damage is
/// merged.
pub fn import(data: &Path, file: &Path, mut progress: impl FnMut(Progress)) -> Result<Imported, BackupFailure> {
    let mut source = fs::File::open(file).map_err(|error| named(file, &error))?;
    let store = RedbStore::open(data)?;
    with_repo(store, async |repo| {
        let mut import = repo.import()?;
        let mut piece = vec![0; PIECE];
        loop {
            let length = source.read(&mut piece).map_err(|error| named(file, &error))?;
            if length == 0 {
                return Ok(import.finish().await?);
            }
            import.push(&piece[..length]).await?;
            progress(import.progress());
        }
    })
}

/// Runs `work` on a repo that has only this store.
fn with_repo<T>(store: RedbStore, work: impl AsyncFnOnce(&Repo) -> Result<T, BackupFailure>) -> Result<T, BackupFailure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let config = RepoConfig {
            peer_type: PeerType::Service,
            adapters: vec![Rc::new(RedbAdapter::new(store))],
            interest: Interest::Everything,
            store_delay_ms: 20,
            memory: MemoryBudget { documents: 16, bytes: 16 * 1024 * 1024 },
            ..RepoConfig::default()
        };
        let repo = Repo::new(Rc::new(NativeEnv::new(|| ())), config);
        let done = work(&repo).await;
        let closed = repo.close().await;
        let done = done?;
        closed?;
        Ok(done)
    })
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
