//! What the browser's adapters have to do, the same in a window and in a dedicated worker.

#![allow(clippy::unwrap_used, reason = "tests")]

mod broadcast;
mod document;
mod durability;
mod indexed_db;
mod listener;
mod loro_extended;
mod reading;
mod storage;
mod websocket;

use std::{cell::Cell, rc::Rc};

use corella::{browser::BrowserEnv, runtime::Env};
use wasm_bindgen_test::wasm_bindgen_test;

fn env() -> Rc<dyn Env> {
    Rc::new(BrowserEnv)
}

#[wasm_bindgen_test]
async fn time_passes_and_numbers_differ() {
    let env = env();
    let before = env.now();
    env.sleep(30).await;
    assert!(env.now().since(before) >= 29);
    assert_ne!(env.random_u64(), env.random_u64());
    drop(env.sleep(1));
    env.sleep(20).await;
}

/// Timers of a page that nobody sees fire once a second, or once a minute.
#[wasm_bindgen_test]
async fn a_pause_lets_others_work_and_waits_for_no_timer() {
    let env = env();
    let timers = js_sys::Reflect::get(&js_sys::global(), &"setTimeout".into()).unwrap();
    let never = js_sys::Function::new_no_args("return 0");
    js_sys::Reflect::set(&js_sys::global(), &"setTimeout".into(), &never).unwrap();
    let others = Rc::new(Cell::new(false));
    let worked = Rc::clone(&others);
    env.spawn(Box::pin(async move { worked.set(true) }));
    for _ in 0..100 {
        env.pause().await;
    }
    js_sys::Reflect::set(&js_sys::global(), &"setTimeout".into(), &timers).unwrap();
    assert!(others.get());
}

#[wasm_bindgen_test]
fn memory_that_fills_up_bit_by_bit_grows_in_few_steps() {
    const MORE: usize = 20 * 16;
    let pages = || core::arch::wasm32::memory_size::<0>();
    let (env, begin) = (env(), pages());
    let (mut kept, mut steps, mut before) = (Vec::new(), 0, begin);
    while before < begin + MORE {
        kept.extend((0..16).map(|_| vec![1_u8; 1024]));
        env.stepped();
        steps += usize::from(std::mem::replace(&mut before, pages()) != before);
    }
    assert!(steps <= 40, "{steps} steps for {} pages", before - begin);
}
