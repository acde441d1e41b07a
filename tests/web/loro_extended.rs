//! Documents of another program's database.

use corella::{DocId, browser::read_loro_extended, runtime::StoreError};
use js_sys::Uint8Array;
use loro::{ExportMode, LoroDoc};
use wasm_bindgen_test::wasm_bindgen_test;

use super::indexed_db::{fresh_name, made};

fn export(text: &str) -> Vec<u8> {
    let doc = LoroDoc::new();
    doc.get_text("t").insert(0, text).unwrap();
    doc.commit();
    doc.export(ExportMode::Snapshot).unwrap()
}

#[wasm_bindgen_test]
async fn documents_are_told_apart_though_their_names_begin_alike() {
    let name = fresh_name();
    let docs = ["doc1", "doc10", "doc1-2", "doc1::b", "doc1::update::x", "ü🦜"];
    made(&name, 1, &["chunks"], move |transaction| {
        let chunks = transaction.object_store("chunks").unwrap();
        for (number, doc) in docs.iter().enumerate() {
            for part in 0..2 {
                let key = format!("{doc}::update::1795217916321-000{}", number + part);
                chunks.put_with_key(&Uint8Array::from(&export(doc)[..]), &key.into()).unwrap();
            }
        }
        for strange in ["doc1", "doc1::update::", "doc1::update::today-1", "doc1::snapshot::1-1", "::update::1-1"] {
            chunks.put_with_key(&Uint8Array::from(&[1][..]), &strange.into()).unwrap();
        }
        chunks.put_with_key(&"no bytes".into(), &"doc1::update::1-1".into()).unwrap();
    })
    .await;
    let found = read_loro_extended(&name).await.unwrap().unwrap();
    assert_eq!(found.len(), docs.len());
    for id in docs {
        let chunks = &found[&DocId::new(id).unwrap()];
        assert_eq!(chunks.len(), 2, "{id}");
        for chunk in chunks {
            let doc = LoroDoc::new();
            doc.import(chunk).unwrap();
            assert_eq!(doc.get_text("t").to_string(), id);
        }
    }
}

#[wasm_bindgen_test]
async fn a_database_that_is_not_there_is_not_made_and_another_one_is_refused() {
    let name = fresh_name();
    assert_eq!(read_loro_extended(&name).await, Ok(None));
    assert_eq!(read_loro_extended(&name).await, Ok(None));
    made(&name, 1, &["else"], |_| ()).await;
    assert!(matches!(read_loro_extended(&name).await, Err(StoreError::Corrupt(_))));
}
