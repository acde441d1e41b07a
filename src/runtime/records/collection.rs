//! A collection of records, as the application holds it.

use std::{fmt, rc::Rc, sync::Arc};

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use loro::LoroValue;

use super::{
    RecordChange, Waiter, json, name,
    value::{self, NoValue},
};
use crate::{
    protocol::{
        Device, RecordId, RecordState,
        record::{MAX_COLLECTION_BYTES, MAX_KEY_BYTES},
    },
    runtime::{ErrorCode, LocalBoxFuture, RepoError, inner::RepoInner, repo::Subscription},
    synchronizer::Durability,
};

/// Bytes after which another text is begun.
const MAX_TEXT: usize = 1024 * 1024;

/// Who writes the records of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CollectionKind {
    /// Every device its own; others read them.
    Owned,
    /// Everybody who may.
    Shared,
}

impl CollectionKind {
    /// Returns the kind as applications see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owned => "owned",
            Self::Shared => "shared",
        }
    }
}

/// A collection of a repo. Clones share it. Everything waits until the stores have been read, and is then done in the order of the calls.
#[derive(Clone)]
pub struct Collection {
    repo: Rc<RepoInner>,
    name: Arc<str>,
    kind: CollectionKind,
}

/// Which records [`Collection::entries`] gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Only those of one device, in an owned collection.
    pub owner: Option<Device>,
    /// Only those whose key begins so.
    pub prefix: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordInfo {
    /// Its key.
    pub key: Arc<str>,
    /// Its owner; `None` in a shared collection.
    pub owner: Option<Device>,
    /// Its value.
    pub value: LoroValue,
}

/// Records as JSON, and those that JSON cannot say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordTexts {
    /// Arrays, one after the other: objects with a key, an owner in an owned collection, and a value. In the place of others is null.
    pub texts: Vec<String>,
    /// The others, with their places.
    pub others: Vec<(usize, RecordInfo)>,
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Collection {
    /// Opens a collection. One name is one kind for as long as the repo lives.
    pub(in crate::runtime) fn open(repo: Rc<RepoInner>, text: &str, kind: CollectionKind) -> Result<Self, RepoError> {
        let name = name("the name of a collection", text, MAX_COLLECTION_BYTES)?;
        let known = *repo.records.kinds.borrow_mut().entry(Arc::clone(&name)).or_insert(kind);
        if known != kind {
            let text = format!("collection {name:?} is open as {}", known.as_str());
            return Err(RepoError::new(ErrorCode::InvalidArgument, text));
        }
        repo.use_records();
        Ok(Self { repo, name, kind })
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its kind.
    #[must_use]
    pub fn kind(&self) -> CollectionKind {
        self.kind
    }

    /// Gives the device this repo writes as.
    ///
    /// # Errors
    /// [`ErrorCode::Closed`].
    pub fn device(&self) -> LocalBoxFuture<Result<Device, RepoError>> {
        self.repo.with_records(|repo| Ok(repo.own_device()))
    }

    /// Reads a record; of an owned collection the own one, or that of another `owner`.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] for a bad key or an owner in a shared collection, [`ErrorCode::Decode`] for a record that cannot be
    /// read, [`ErrorCode::Closed`].
    pub fn get(&self, key: &str, owner: Option<Device>) -> LocalBoxFuture<Result<Option<LoroValue>, RepoError>> {
        self.with(key, owner, |repo, id| match repo.records.table.borrow().get(&id) {
            Some(state) if state.is_alive() => read(&id, state).map(Some),
            Some(_) | None => Ok(None),
        })
    }

    /// Writes a whole record: what was there is replaced.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] for a bad key or a value that is too large or too deep, [`ErrorCode::Closed`].
    pub fn put(&self, key: &str, content: &LoroValue) -> LocalBoxFuture<Result<(), RepoError>> {
        self.put_if(key, content, |_| Ok(()))
    }

    /// Writes a record that is not there.
    ///
    /// # Errors
    /// As [`Collection::put`], and [`ErrorCode::Exists`] for one that is.
    pub fn insert(&self, key: &str, content: &LoroValue) -> LocalBoxFuture<Result<(), RepoError>> {
        let (collection, of) = (Arc::clone(&self.name), key.to_owned());
        self.put_if(key, content, move |there| {
            let exists = || RepoError::new(ErrorCode::Exists, format!("collection {collection:?} has a record {of:?}"));
            if there { Err(exists()) } else { Ok(()) }
        })
    }

    fn put_if(
        &self,
        key: &str,
        content: &LoroValue,
        check: impl FnOnce(bool) -> Result<(), RepoError> + 'static,
    ) -> LocalBoxFuture<Result<(), RepoError>> {
        let fields = match value::to_fields(content) {
            Ok(fields) => fields,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        self.with(key, None, move |repo, id| {
            check(repo.records.table.borrow().get(&id).is_some_and(RecordState::is_alive))?;
            repo.write_record(&id, |clock| RecordState::put(clock, fields))
        })
    }

    /// Writes some fields of a record, and leaves the others.
    ///
    /// # Errors
    /// As [`Collection::put`], and [`ErrorCode::NotFound`] for a record that is not there.
    pub fn update(&self, key: &str, fields: &LoroValue) -> LocalBoxFuture<Result<(), RepoError>> {
        let written = match fields {
            LoroValue::Map(_) => value::to_fields(fields),
            _ => Err(RepoError::new(ErrorCode::InvalidArgument, "an update is an object of fields")),
        };
        let fields = match written {
            Ok(fields) => fields,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let collection = Arc::clone(&self.name);
        self.with(key, None, move |repo, id| {
            let size = {
                let table = repo.records.table.borrow();
                let there = table.get(&id).filter(|state| state.is_alive());
                let Some(state) = there else {
                    return Err(RepoError::new(ErrorCode::NotFound, format!("collection {collection:?} has no record {:?}", &*id.key)));
                };
                let kept: Vec<_> = state.fields.iter().filter(|known| fields.iter().all(|(name, _)| *name != known.name)).collect();
                let bytes = kept.iter().map(|field| field.name.len() + field.value.len()).sum::<usize>();
                (kept.len() + fields.len(), bytes + fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>())
            };
            value::check_size(size.0, size.1)?;
            if fields.is_empty() {
                return Ok(());
            }
            repo.write_record(&id, |clock| RecordState::update(clock, fields))
        })
    }

    /// Deletes a record. Gives whether it was there.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] for a bad key, [`ErrorCode::Closed`].
    pub fn delete(&self, key: &str) -> LocalBoxFuture<Result<bool, RepoError>> {
        self.with(key, None, |repo, id| {
            let there = repo.records.table.borrow().get(&id).is_some_and(RecordState::is_alive);
            if there {
                repo.write_record(&id, RecordState::deletion)?;
            }
            Ok(there)
        })
    }

    /// Lists records by owner and key.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] for an owner in a shared collection, [`ErrorCode::Decode`] for a record that cannot be read,
    /// [`ErrorCode::Closed`].
    pub fn entries(&self, filter: RecordFilter) -> LocalBoxFuture<Result<Vec<RecordInfo>, RepoError>> {
        self.each(filter, Vec::new(), |out, id, state| {
            out.push(info(id, state)?);
            Ok(())
        })
    }

    /// The same as text, with values or without; without, none is decoded.
    ///
    /// # Errors
    /// As [`Self::entries`].
    pub fn texts(&self, filter: RecordFilter, values: bool) -> LocalBoxFuture<Result<RecordTexts, RepoError>> {
        let listing = self.each(filter, (RecordTexts::default(), 0), move |(out, count), id, state| {
            let place = std::mem::replace(count, *count + 1);
            if out.texts.last().is_none_or(|text| text.len() > MAX_TEXT) {
                out.texts.iter_mut().last().into_iter().for_each(|text| text.push(']'));
                out.texts.push("[".to_owned());
            } else {
                out.texts.iter_mut().last().into_iter().for_each(|text| text.push(','));
            }
            let Some(text) = out.texts.last_mut() else { return Ok(()) };
            let before = text.len();
            json::write_name(text, id);
            if values {
                text.push_str(",\"value\":");
                if !json::write_value(text, state).map_err(|NoValue| unreadable(id))? {
                    text.truncate(before);
                    text.push_str("null");
                    out.others.push((place, info(id, state)?));
                    return Ok(());
                }
            }
            text.push('}');
            Ok(())
        });
        Box::pin(async move {
            let (mut out, _) = listing.await?;
            out.texts.iter_mut().last().into_iter().for_each(|text| text.push(']'));
            Ok(out)
        })
    }

    /// Takes all records that a filter picks into `out`, by owner and key.
    fn each<T: 'static>(
        &self,
        filter: RecordFilter,
        mut out: T,
        mut take: impl FnMut(&mut T, &RecordId, &RecordState) -> Result<(), RepoError> + 'static,
    ) -> LocalBoxFuture<Result<T, RepoError>> {
        if let Err(error) = self.check_owner(filter.owner) {
            return Box::pin(std::future::ready(Err(error)));
        }
        let (collection, owned) = (Arc::clone(&self.name), self.kind == CollectionKind::Owned);
        self.repo.with_records(move |repo| {
            let table = repo.records.table.borrow();
            let prefix = filter.prefix.as_deref().unwrap_or_default();
            // Without an owner the smallest there may be.
            let owner = owned.then(|| filter.owner.unwrap_or_default());
            let key = if filter.owner.is_some() || !owned { prefix } else { "" };
            let first = RecordId { collection: Arc::clone(&collection), owner, key: key.into() };
            table
                .from(&first)
                .take_while(|(id, _)| id.collection == collection && id.owner.is_some() == owned)
                .take_while(|(id, _)| filter.owner.is_none() || id.owner == filter.owner)
                .take_while(|(id, _)| key.is_empty() || id.key.starts_with(key))
                .filter(|(id, state)| state.is_alive() && id.key.starts_with(prefix))
                .take(filter.limit.unwrap_or(usize::MAX))
                .try_for_each(|(id, state)| take(&mut out, id, state))?;
            Ok(out)
        })
    }

    /// Calls `listener` with what has changed, here or elsewhere, after the repo has done its work: it may call anything.
    pub fn subscribe(&self, listener: impl Fn(&[RecordChange]) + 'static) -> Subscription {
        let id = self.repo.next_id();
        self.repo.records.listeners.borrow_mut().insert(id, (Arc::clone(&self.name), Rc::new(listener)));
        let weak = self.repo.weak.clone();
        Subscription::new(move || {
            if let Some(repo) = weak.upgrade() {
                repo.records.listeners.borrow_mut().remove(&id);
            }
        })
    }

    /// Gives how safe everything is that is here of all records.
    ///
    /// # Errors
    /// [`ErrorCode::Closed`].
    pub fn durability(&self) -> LocalBoxFuture<Result<Durability, RepoError>> {
        self.repo.with_records(|repo| {
            let version = repo.records_version();
            Ok(repo.sync.borrow().records_durability(&version))
        })
    }

    /// Completes when everything that is here now of all records is as safe as `level` says.
    ///
    /// # Errors
    /// [`ErrorCode::Timeout`], and [`ErrorCode::Closed`].
    pub fn when_durable(&self, level: Durability, timeout_ms: Option<u64>) -> LocalBoxFuture<Result<(), RepoError>> {
        let (done, met) = oneshot::channel();
        let waits = self.repo.with_records(move |repo| {
            repo.records.waiters.borrow_mut().push(Waiter { level, version: repo.records_version(), done });
            repo.pump();
            Ok(())
        });
        let timeout = timeout_ms.map(|ms| (ms, self.repo.env.sleep(ms)));
        Box::pin(async move {
            let met = async {
                waits.await?;
                met.await.unwrap_or_else(|_| Err(crate::runtime::repo::closed()))
            };
            let Some((ms, sleep)) = timeout else { return met.await };
            match select(Box::pin(met), sleep).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right(_) => {
                    Err(RepoError::new(ErrorCode::Timeout, format!("the records did not reach {:?} within {ms} ms", level.as_str())))
                }
            }
        })
    }

    fn check_owner(&self, owner: Option<Device>) -> Result<(), RepoError> {
        match (self.kind, owner) {
            (CollectionKind::Shared, Some(_)) => Err(RepoError::new(
                ErrorCode::InvalidArgument,
                format!("the records of the shared collection {:?} have no owner", self.name),
            )),
            (CollectionKind::Owned | CollectionKind::Shared, _) => Ok(()),
        }
    }

    /// Does something with one record.
    fn with<T: 'static>(
        &self,
        key: &str,
        owner: Option<Device>,
        work: impl FnOnce(&RepoInner, RecordId) -> Result<T, RepoError> + 'static,
    ) -> LocalBoxFuture<Result<T, RepoError>> {
        let key = self.check_owner(owner).and_then(|()| name("the key of a record", key, MAX_KEY_BYTES));
        let key = match key {
            Ok(key) => key,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let (collection, owned) = (Arc::clone(&self.name), self.kind == CollectionKind::Owned);
        self.repo.with_records(move |repo| {
            let owner = owned.then(|| owner.unwrap_or_else(|| repo.own_device()));
            work(repo, RecordId { collection, owner, key })
        })
    }
}

impl RepoInner {
    pub(in crate::runtime) fn own_device(&self) -> Device {
        self.records.clock.get().writer().device
    }
}

fn info(id: &RecordId, state: &RecordState) -> Result<RecordInfo, RepoError> {
    Ok(RecordInfo { key: Arc::clone(&id.key), owner: id.owner, value: read(id, state)? })
}

fn unreadable(id: &RecordId) -> RepoError {
    RepoError::new(ErrorCode::Decode, format!("record {id:?} holds a value that cannot be read"))
}

fn read(id: &RecordId, state: &RecordState) -> Result<LoroValue, RepoError> {
    value::of_fields(state).map_err(|NoValue| unreadable(id))
}
