//! Errors as JavaScript sees them: real `Error`s with a name, a stable code and their cause.

use std::{cell::RefCell, error::Error};

use js_sys::{Function, Reflect};
use wasm_bindgen::{JsCast, prelude::*};

use crate::runtime::{ErrorCode, RepoError};

thread_local! {
    static CLASS: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Hands in the package's `RepoError` class: `(code, message, cause) => RepoError`.
#[wasm_bindgen(js_name = __setErrorFactory, skip_typescript)]
pub fn set_error_factory(factory: Function) {
    crate::browser::panics::watch();
    CLASS.with(|class| *class.borrow_mut() = Some(factory));
}

/// Makes the JavaScript error.
#[must_use]
pub fn to_js(error: &RepoError) -> JsValue {
    let cause = error.source().map_or(JsValue::UNDEFINED, |cause| js_sys::Error::new(&cause.to_string()).into());
    make(error.code(), error.message(), &cause)
}

fn make(code: ErrorCode, message: &str, cause: &JsValue) -> JsValue {
    let factory = CLASS.with(|class| class.borrow().clone());
    if let Some(factory) = factory
        && let Ok(error) = factory.call3(&JsValue::UNDEFINED, &code.as_str().into(), &message.into(), cause)
    {
        return error;
    }
    let error = js_sys::Error::new(message);
    error.set_name("RepoError");
    let _ = Reflect::set(&error, &"code".into(), &code.as_str().into());
    error.unchecked_into()
}

/// Makes an error about an argument.
#[must_use]
pub fn invalid(message: &str) -> JsValue {
    make(ErrorCode::InvalidArgument, message, &JsValue::UNDEFINED)
}

/// Makes an error about undecodable bytes.
#[must_use]
pub fn decode(message: &str) -> JsValue {
    make(ErrorCode::Decode, message, &JsValue::UNDEFINED)
}

/// Makes the error of an engine call.
#[must_use]
pub fn engine(error: &impl std::fmt::Display) -> JsValue {
    invalid(&error.to_string())
}
