//! What tabs that share a socket post to each other. Decides its shape, and ignores every other one.

use js_sys::{Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::runtime::{Service, Word};

/// Raised when tabs with older code cannot understand newer ones; each side then has a leader of its own.
const VERSION: f64 = 1.0;

/// What is said, to all tabs or to one.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Note {
    /// "Who leads?", to all.
    Ask,
    /// "I lead", to all.
    Lead(Word),
    /// "I led in that term, and do no more", to all.
    Resign(String),
    /// To the leader of that term: "Open a session for me". A tab numbers its sessions.
    Open(String, u32),
    /// A transport payload of a session, to the leader or from it.
    Data(String, u32, Vec<u8>),
    /// A session is over, to the leader or from it.
    Close(String, u32),
}

fn service_name(service: Service) -> &'static str {
    match service {
        Service::Connecting => "connecting",
        Service::Waiting => "waiting",
        Service::Serving => "serving",
        Service::Unable => "unable",
    }
}

fn service_named(name: &str) -> Option<Service> {
    [Service::Connecting, Service::Waiting, Service::Serving, Service::Unable].into_iter().find(|service| service_name(*service) == name)
}

/// Makes a message of a note.
pub(super) fn to_js(from: &str, note: &Note) -> JsValue {
    let object = Object::new();
    let set = |field: &str, value: &JsValue| {
        // Fails only for frozen objects and setters.
        let _ = Reflect::set(&object, &field.into(), value);
    };
    let session = |term: &str, number: u32| {
        set("term", &term.into());
        set("session", &number.into());
    };
    set("corella", &VERSION.into());
    set("from", &from.into());
    let name = match note {
        Note::Ask => "ask",
        Note::Lead(word) => {
            set("term", &word.term.as_str().into());
            set("since", &(word.since as f64).into());
            set("service", &service_name(word.service).into());
            "lead"
        }
        Note::Resign(term) => {
            set("term", &term.as_str().into());
            "resign"
        }
        Note::Open(term, number) => {
            session(term, *number);
            "open"
        }
        Note::Data(term, number, payload) => {
            session(term, *number);
            set("payload", &Uint8Array::from(&payload[..]));
            "data"
        }
        Note::Close(term, number) => {
            session(term, *number);
            "close"
        }
    };
    set("note", &name.into());
    object.into()
}

/// Reads who says what.
pub(super) fn from_js(value: &JsValue) -> Option<(String, Note)> {
    let get = |field: &str| Reflect::get(value, &field.into()).ok();
    let text = |field: &str| get(field)?.as_string();
    if get("corella")?.as_f64()? != VERSION {
        return None;
    }
    let session = || Some((text("term")?, get("session")?.as_f64()? as u32));
    let note = match text("note")?.as_str() {
        "ask" => Note::Ask,
        "lead" => {
            let service = service_named(&text("service")?)?;
            Note::Lead(Word { term: text("term")?, since: get("since")?.as_f64()? as u64, service })
        }
        "resign" => Note::Resign(text("term")?),
        "open" => session().map(|(term, number)| Note::Open(term, number))?,
        "data" => {
            let payload = get("payload")?.dyn_into::<Uint8Array>().ok()?.to_vec();
            session().map(|(term, number)| Note::Data(term, number, payload))?
        }
        "close" => session().map(|(term, number)| Note::Close(term, number))?,
        _ => return None,
    };
    Some((text("from")?, note))
}
