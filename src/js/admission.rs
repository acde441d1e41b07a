//! The admission a repo is opened with: limiters and functions of the application, in order.
//!
//! The package's JavaScript has checked the shapes and wraps the functions: they throw nothing, and give true, a refusal as
//! `{ reason, retryMs? }`, or a promise of either that is never rejected. Decides nothing; whatever is none of these refuses.

use std::rc::Rc;

use js_sys::{Array, Function, Promise};
use wasm_bindgen::{JsCast, prelude::*};
use wasm_bindgen_futures::JsFuture;

use super::{
    loro::{get, object, set},
    options::peer_to_js,
};
use crate::{
    protocol::{MessageKind, RefusalReason},
    runtime::{Admission, AdmissionRequest, Chain, Decision, Rate, RateLimiter, RateLimits, Verdict},
};

/// Reads the list of admissions; `None` if there are none.
pub(super) fn admission(options: &JsValue) -> Option<Rc<dyn Admission>> {
    let mut all: Vec<Rc<dyn Admission>> = Array::from(&get(options, "admission")?).iter().map(one).collect();
    if all.len() > 1 { Some(Rc::new(Chain::new(all))) } else { all.pop() }
}

fn one(entry: JsValue) -> Rc<dyn Admission> {
    match entry.dyn_into::<Function>() {
        Ok(hook) => Rc::new(Hook(hook)),
        Err(limits) => Rc::new(limiter(&limits)),
    }
}

fn limiter(options: &JsValue) -> RateLimiter {
    let number = |key| get(options, key).and_then(|value| value.as_f64());
    let rate = |per_second, burst| number(per_second).map(|rate| Rate { per_second: rate, burst: number(burst).unwrap_or(rate) });
    let kinds = get(options, "kinds")
        .filter(Array::is_array)
        .map(|kinds| Array::from(&kinds).iter().filter_map(|kind| MessageKind::named(&kind.as_string()?)).collect());
    RateLimiter::new(RateLimits { messages: rate("messagesPerSecond", "burst"), bytes: rate("bytesPerSecond", "byteBurst"), kinds })
}

struct Hook(Function);

impl Admission for Hook {
    fn admit(&self, request: &AdmissionRequest) -> Decision {
        let peer = peer_to_js(&request.peer);
        let message = object(&[("kind", request.kind.as_str().into()), ("bytes", (request.bytes as f64).into()), ("peer", peer)]);
        if let Some(doc) = &request.doc {
            set(&message, "docId", &doc.as_str().into());
        }
        let answer = self.0.call1(&JsValue::UNDEFINED, &message).unwrap_or_default();
        match answer.dyn_into::<Promise>() {
            Ok(promise) => Decision::Later(Box::pin(async move { verdict(&JsFuture::from(promise).await.unwrap_or_default()) })),
            Err(answer) => Decision::Now(verdict(&answer)),
        }
    }
}

fn verdict(answer: &JsValue) -> Verdict {
    if answer.as_bool() == Some(true) {
        return Verdict::Admit;
    }
    let reason = get(answer, "reason").and_then(|reason| reason.as_string());
    let retry_ms = get(answer, "retryMs").and_then(|ms| ms.as_f64()).map(|ms| ms.ceil() as u32);
    Verdict::Refuse { reason: reason.map_or(RefusalReason::Unauthorized, |reason| RefusalReason::from_wire(&reason)), retry_ms }
}
