//! What all containers share: identity, parents, subscriptions, and being handed to another container.

use std::cell::RefCell;

use js_sys::{Function, Reflect};
use loro::{Container, ContainerTrait, ValueOrContainer};
use wasm_bindgen::{JsCast, prelude::*};

use super::{
    counter::JsLoroCounter, event, list::JsLoroList, map::JsLoroMap, movable_list::JsLoroMovableList, text::JsLoroText, tree::JsLoroTree,
};
use crate::{collections::SortedMap, js::error};

thread_local! {
    static LENT: RefCell<SortedMap<u32, Container>> = const { RefCell::new(SortedMap::new()) };
}

/// Lends a container to the call that asked for it, by number: handles of other copies of the module have none here.
pub(super) fn lend(container: Container) -> u32 {
    LENT.with(|lent| {
        let mut lent = lent.borrow_mut();
        let number = lent.last_key().map_or(1, |last| last.wrapping_add(1));
        lent.insert(number, container);
        number
    })
}

/// Returns the container behind a handle given as an argument.
pub(super) fn borrow(handle: &JsValue) -> Result<Container, JsValue> {
    let refuse = || {
        error::invalid(
            "expected a container of this copy of corella: LoroText, LoroMap, LoroList, LoroMovableList, LoroTree or LoroCounter",
        )
    };
    if !handle.is_object() {
        return Err(refuse());
    }
    let lend: Function = Reflect::get(handle, &"__lend".into()).ok().and_then(|lend| lend.dyn_into().ok()).ok_or_else(refuse)?;
    let number = lend.call0(handle)?.as_f64().ok_or_else(refuse)?;
    LENT.with(|lent| lent.borrow_mut().remove(&(number as u32))).ok_or_else(refuse)
}

/// Makes a handle.
pub(super) fn container_to_js(container: Container) -> JsValue {
    match container {
        Container::Text(text) => JsLoroText::from_inner(text).into(),
        Container::Map(map) => JsLoroMap::from_inner(map).into(),
        Container::List(list) => JsLoroList::from_inner(list).into(),
        Container::MovableList(list) => JsLoroMovableList::from_inner(list).into(),
        Container::Tree(tree) => JsLoroTree::from_inner(tree).into(),
        Container::Counter(counter) => JsLoroCounter::from_inner(counter).into(),
        // A kind of a later engine has no handle class and is read as a plain value.
        unknown @ Container::Unknown(_) => super::value::to_js(&ValueOrContainer::Container(unknown).get_deep_value()),
    }
}

/// Subscribes to one container.
pub(super) fn subscribe(container: &Container, listener: Function) -> Result<JsValue, JsValue> {
    let doc = container.doc().ok_or_else(|| error::invalid("a detached container has no events: attach it first"))?;
    Ok(event::subscribe_container(&doc, &container.id(), listener))
}

/// Returns the container that holds this one.
pub(super) fn parent(container: &Container) -> JsValue {
    let id = container.id();
    let found = container.doc().and_then(|doc| {
        let path = doc.get_path_to_container(&id)?;
        let (parent, _) = path.into_iter().rev().find(|(step, _)| *step != id)?;
        doc.get_container(parent)
    });
    found.map_or(JsValue::UNDEFINED, container_to_js)
}

/// The methods every container class has.
macro_rules! container_class {
    ($class:ident, $inner:ty, $name:literal, $kind:literal) => {
        impl $class {
            pub(super) fn from_inner(inner: $inner) -> Self {
                Self(std::panic::AssertUnwindSafe(inner))
            }
        }

        #[wasm_bindgen(js_class = $name)]
        impl $class {
            /// Makes a container that belongs to no document yet.
            #[wasm_bindgen(constructor)]
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self::from_inner(<$inner>::new())
            }

            /// Returns the kind of container.
            pub fn kind(&self) -> String {
                $kind.to_owned()
            }

            /// Returns the container's id.
            #[wasm_bindgen(getter)]
            pub fn id(&self) -> String {
                self.0.id().to_string()
            }

            /// Returns whether the container belongs to a document.
            #[wasm_bindgen(js_name = isAttached)]
            pub fn is_attached(&self) -> bool {
                self.0.is_attached()
            }

            /// Returns the handle in the document, once a detached container was inserted.
            #[wasm_bindgen(js_name = getAttached)]
            pub fn get_attached(&self) -> Option<$class> {
                self.0.get_attached().map(Self::from_inner)
            }

            /// Returns whether the container was deleted from its document.
            #[wasm_bindgen(js_name = isDeleted)]
            pub fn is_deleted(&self) -> bool {
                self.0.is_deleted()
            }

            /// Returns the container that holds this one.
            pub fn parent(&self) -> JsValue {
                super::container::parent(&self.0.to_container())
            }

            /// Calls `listener` for changes of this container and those in it; returns the function that ends it.
            pub fn subscribe(&self, listener: js_sys::Function) -> Result<JsValue, JsValue> {
                super::container::subscribe(&self.0.to_container(), listener)
            }

            #[doc(hidden)]
            #[wasm_bindgen(js_name = __lose)]
            pub fn lose(&self, message: &str) -> bool {
                // Not by the container's own method, which takes a lock.
                loro_internal::HandlerTrait::doc(&self.0.to_handler()).is_some_and(|doc| crate::js::panics::lose(&doc, message))
            }

            #[doc(hidden)]
            #[wasm_bindgen(js_name = __lend)]
            pub fn lend(&self) -> u32 {
                super::container::lend(self.0.to_container())
            }
        }
    };
}
pub(super) use container_class;
