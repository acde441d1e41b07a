use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use corella::browser::Listener;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::{Event, EventTarget};

#[wasm_bindgen_test]
fn a_dropped_listener_hears_nothing_more() {
    let target = EventTarget::new().unwrap();
    let heard = Rc::new(Cell::new(0));
    let listener = Listener::new(&target, "note", {
        let heard = Rc::clone(&heard);
        move |_| heard.set(heard.get() + 1)
    });
    target.dispatch_event(&Event::new("note").unwrap()).unwrap();
    assert_eq!(heard.get(), 1);
    drop(listener);
    target.dispatch_event(&Event::new("note").unwrap()).unwrap();
    assert_eq!(heard.get(), 1);
}

#[wasm_bindgen_test]
fn a_listener_may_be_dropped_by_its_own_handler() {
    let target = EventTarget::new().unwrap();
    let slot: Rc<RefCell<Option<Listener>>> = Rc::default();
    let heard = Rc::new(Cell::new(0));
    let listener = Listener::new(&target, "note", {
        let (slot, heard) = (Rc::clone(&slot), Rc::clone(&heard));
        move |_| {
            let own = slot.borrow_mut().take();
            drop(own);
            heard.set(heard.get() + 1);
        }
    });
    *slot.borrow_mut() = Some(listener);
    for _ in 0..2 {
        target.dispatch_event(&Event::new("note").unwrap()).unwrap();
    }
    assert_eq!(heard.get(), 1);
}
