//! Backups behind the package's `repo.export()` and `repo.import()`.

use std::{cell::RefCell, panic::AssertUnwindSafe, rc::Rc};

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::*;

use super::{error, events, loro::object, repo::to_promise};
use crate::{
    browser::{LORO_EXTENDED_DATABASE, read_loro_extended},
    runtime::{ErrorCode, Export, Import, Imported, Progress, Repo, RepoError},
};

/// A backup being made.
#[wasm_bindgen(skip_typescript)]
pub struct WasmExport(AssertUnwindSafe<Rc<RefCell<Option<Export>>>>);

/// A backup being merged.
#[wasm_bindgen(skip_typescript)]
pub struct WasmImport(AssertUnwindSafe<Rc<RefCell<Option<Import>>>>);

fn busy() -> JsValue {
    error::to_js(&RepoError::new(ErrorCode::InvalidArgument, "the piece before is not done, or the file is at its end"))
}

fn progress_to_js(progress: Progress) -> JsValue {
    let number = |value: u64| JsValue::from_f64(value as f64);
    object(&[("documents", number(progress.documents)), ("total", number(progress.total)), ("bytes", number(progress.bytes))]).into()
}

fn imported_to_js(done: &Imported) -> JsValue {
    let names = |docs: &[crate::DocId]| JsValue::from(docs.iter().map(|doc| JsValue::from(doc.as_str())).collect::<Array>());
    object(&[
        ("documents", (done.documents as f64).into()),
        ("tombstones", (done.tombstones as f64).into()),
        ("skipped", names(&done.skipped)),
        ("damaged", names(&done.damaged)),
    ])
    .into()
}

impl WasmExport {
    pub(super) fn begin(repo: &Repo) -> Result<Self, JsValue> {
        let export = repo.export().map_err(|error| error::to_js(&error))?;
        Ok(Self(AssertUnwindSafe(Rc::new(RefCell::new(Some(export))))))
    }
}

#[wasm_bindgen]
impl WasmExport {
    /// Gives `[piece, progress]`, or `undefined` at the end.
    pub fn next(&self) -> Promise {
        let slot = Rc::clone(&self.0);
        to_promise(async move {
            // Taken out while it works, so that nothing is borrowed meanwhile.
            let Some(mut export) = slot.borrow_mut().take() else { return Err(busy()) };
            let piece = export.next().await;
            let progress = progress_to_js(export.progress());
            slot.borrow_mut().replace(export);
            let Some(piece) = piece.map_err(|error| error::to_js(&error))? else { return Ok(JsValue::UNDEFINED) };
            Ok(Array::of2(&Uint8Array::from(&piece[..]), &progress).into())
        })
    }
}

impl WasmImport {
    pub(super) fn begin(repo: &Repo) -> Result<Self, JsValue> {
        let import = repo.import().map_err(|error| error::to_js(&error))?;
        Ok(Self(AssertUnwindSafe(Rc::new(RefCell::new(Some(import))))))
    }
}

#[wasm_bindgen]
impl WasmImport {
    /// Takes a piece and gives the progress.
    pub fn push(&self, bytes: &[u8]) -> Promise {
        let slot = Rc::clone(&self.0);
        let bytes = bytes.to_vec();
        to_promise(async move {
            let Some(mut import) = slot.borrow_mut().take() else { return Err(busy()) };
            let pushed = import.push(&bytes).await;
            events::drain();
            let progress = progress_to_js(import.progress());
            slot.borrow_mut().replace(import);
            pushed.map(|()| progress).map_err(|error| error::to_js(&error))
        })
    }

    /// Says that the file is over.
    pub fn finish(&self) -> Promise {
        let slot = Rc::clone(&self.0);
        to_promise(async move {
            let Some(import) = slot.borrow_mut().take() else { return Err(busy()) };
            let done = import.finish().await;
            events::drain();
            done.map(|done| imported_to_js(&done)).map_err(|error| error::to_js(&error))
        })
    }
}

/// Takes over what loro-extended keeps in a database of this origin.
pub(super) fn import_loro_extended(repo: &Repo, database: Option<String>) -> Promise {
    let repo = repo.clone();
    to_promise(async move {
        let name = database.as_deref().unwrap_or(LORO_EXTENDED_DATABASE);
        let storage = |error: crate::runtime::StoreError| {
            error::to_js(&RepoError::new(ErrorCode::Storage, format!("database {name:?} could not be read: {error}")).with_cause(error))
        };
        let mut done = Imported::default();
        for (doc, chunks) in read_loro_extended(name).await.map_err(storage)?.unwrap_or_default() {
            let (merged, whole) = repo.merge(&doc, &chunks).map_err(|error| error::to_js(&error))?;
            if merged {
                done.documents += 1
            } else {
                done.skipped.push(doc.clone())
            }
            if merged && !whole {
                done.damaged.push(doc);
            }
        }
        repo.flush().await.map_err(|error| error::to_js(&error))?;
        events::drain();
        Ok(imported_to_js(&done))
    })
}
