//! `LoroTreeNode`.

use std::panic::AssertUnwindSafe;

use js_sys::Reflect;
use loro::{ContainerTrait, LoroTree, TreeID, TreeParentId};
use loro_internal::HandlerTrait;
use wasm_bindgen::prelude::*;

use super::{map::JsLoroMap, tree, value::get, version::id_to_js};
use crate::js::error;

const NAME: &str = "LoroTreeNode";

/// A node of a tree.
#[wasm_bindgen(js_name = LoroTreeNode, skip_typescript)]
pub struct JsLoroTreeNode {
    id: TreeID,
    tree: AssertUnwindSafe<LoroTree>,
}

impl JsLoroTreeNode {
    pub(super) fn from_inner(id: TreeID, tree: &LoroTree) -> Self {
        Self { id, tree: AssertUnwindSafe(tree.clone()) }
    }
}

/// Reads a node given as an argument by its id: it may be undefined, which stands for the root.
fn parent_from_js(node: &JsValue) -> Result<TreeParentId, JsValue> {
    if node.is_undefined() {
        return Ok(TreeParentId::Root);
    }
    let is_node = node.is_object() && Reflect::has(node, &"__getClassname".into())?;
    let id = get(node, "id").filter(|_| is_node).and_then(|id| id.as_string());
    let id = id.and_then(|id| TreeID::try_from(id.as_str()).ok());
    id.map(TreeParentId::Node).ok_or_else(|| error::invalid("expected a LoroTreeNode"))
}

#[wasm_bindgen(js_class = "LoroTreeNode")]
impl JsLoroTreeNode {
    #[doc(hidden)]
    #[wasm_bindgen(js_name = __lose)]
    pub fn lose(&self, message: &str) -> bool {
        self.tree.to_handler().doc().is_some_and(|doc| crate::js::panics::lose(&doc, message))
    }

    #[doc(hidden)]
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = __getClassname)]
    pub fn class_name(&self) -> String {
        NAME.to_owned()
    }

    /// Returns the node's id.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    /// Returns the node's own map.
    #[wasm_bindgen(getter)]
    pub fn data(&self) -> Result<JsLoroMap, JsValue> {
        self.tree.get_meta(self.id).map(JsLoroMap::from_inner).map_err(|error| error::engine(&error))
    }

    /// Makes a child, last of its siblings unless told where.
    #[wasm_bindgen(js_name = createNode)]
    pub fn create_node(&self, index: Option<usize>) -> Result<JsLoroTreeNode, JsValue> {
        tree::create(&self.tree, TreeParentId::Node(self.id), index)
    }

    /// Moves the node under `parent`, to the roots without; last of its siblings unless told where.
    #[wasm_bindgen(js_name = move)]
    pub fn move_to(&self, parent: &JsValue, index: Option<usize>) -> Result<(), JsValue> {
        tree::move_node(&self.tree, self.id, parent_from_js(parent)?, index)
    }

    /// Moves the node behind another.
    #[wasm_bindgen(js_name = moveAfter)]
    pub fn move_after(&self, target: &JsLoroTreeNode) -> Result<(), JsValue> {
        self.tree.mov_after(self.id, target.id).map_err(|error| error::engine(&error))
    }

    /// Moves the node before another.
    #[wasm_bindgen(js_name = moveBefore)]
    pub fn move_before(&self, target: &JsLoroTreeNode) -> Result<(), JsValue> {
        self.tree.mov_before(self.id, target.id).map_err(|error| error::engine(&error))
    }

    /// Returns which of its parent's children it is.
    pub fn index(&self) -> Option<usize> {
        tree::index_of(&self.tree, self.id)
    }

    /// Returns the text its place among its siblings is made of.
    #[wasm_bindgen(js_name = fractionalIndex)]
    pub fn fractional_index(&self) -> Result<Option<String>, JsValue> {
        if !self.tree.is_attached() {
            return Err(error::invalid("the nodes of a detached tree have no fractional index"));
        }
        Ok(self.tree.fractional_index(self.id))
    }

    /// Returns the parent; undefined for a root node.
    pub fn parent(&self) -> Result<Option<JsLoroTreeNode>, JsValue> {
        let parent = self.tree.parent(self.id).ok_or_else(|| error::invalid(&format!("there is no tree node {}", self.id)))?;
        Ok(parent.tree_id().map(|id| Self::from_inner(id, &self.tree)))
    }

    /// Returns the children; undefined if there never were any.
    pub fn children(&self) -> JsValue {
        let children = self.tree.children(TreeParentId::Node(self.id));
        children.map_or(JsValue::UNDEFINED, |children| tree::nodes_to_js(&self.tree, children).into())
    }

    /// Returns whether the node was deleted.
    #[wasm_bindgen(js_name = isDeleted)]
    pub fn is_deleted(&self) -> Result<bool, JsValue> {
        self.tree.is_node_deleted(&self.id).map_err(|error| error::engine(&error))
    }

    /// Returns the node and all under it as plain values.
    #[wasm_bindgen(js_name = toJSON)]
    pub fn to_json(&self) -> Result<JsValue, JsValue> {
        tree::describe_node(&self.tree, self.id)
    }

    /// Returns the operation that made the node.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = creationId)]
    pub fn creation_id(&self) -> JsValue {
        id_to_js(self.id.id())
    }

    /// Returns the peer that made the node.
    #[cfg(feature = "full")]
    pub fn creator(&self) -> String {
        self.id.peer.to_string()
    }

    /// Returns the operation that put the node where it is.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = getLastMoveId)]
    pub fn last_move_id(&self) -> JsValue {
        self.tree.get_last_move_id(&self.id).map_or(JsValue::UNDEFINED, id_to_js)
    }
}
