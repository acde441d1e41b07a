//! `LoroTree`.

use std::panic::AssertUnwindSafe;

use js_sys::Array;
use loro::{ContainerTrait, FractionalIndex, LoroTree, TreeID, TreeParentId};
use wasm_bindgen::prelude::*;

use super::{
    container::container_class,
    map::JsLoroMap,
    tree_node::JsLoroTreeNode,
    value::{get, object, to_js},
};
use crate::js::error;

/// A tree whose nodes can be moved; every node has a map of its own.
#[wasm_bindgen(js_name = LoroTree, skip_typescript)]
pub struct JsLoroTree(pub(super) AssertUnwindSafe<LoroTree>);

container_class!(JsLoroTree, LoroTree, "LoroTree", "Tree");

fn tree_id(text: &str) -> Result<TreeID, JsValue> {
    TreeID::try_from(text).map_err(|_| error::invalid(&format!("{text:?} is not the id of a tree node")))
}

fn parent_id(text: Option<String>) -> Result<TreeParentId, JsValue> {
    text.map_or(Ok(TreeParentId::Root), |text| tree_id(&text).map(TreeParentId::Node))
}

/// Makes a node under a parent, last unless told where.
pub(super) fn create(tree: &LoroTree, parent: TreeParentId, index: Option<usize>) -> Result<JsLoroTreeNode, JsValue> {
    let created = match index {
        Some(index) => tree.create_at(parent, index),
        None => tree.create(parent),
    };
    created.map(|id| JsLoroTreeNode::from_inner(id, tree)).map_err(|error| error::engine(&error))
}

/// Moves a node under a parent, last unless told where.
pub(super) fn move_node(tree: &LoroTree, target: TreeID, parent: TreeParentId, index: Option<usize>) -> Result<(), JsValue> {
    let moved = match index {
        Some(index) => tree.mov_to(target, parent, index),
        None => tree.mov(target, parent),
    };
    moved.map_err(|error| error::engine(&error))
}

/// Makes handles of nodes.
pub(super) fn nodes_to_js(tree: &LoroTree, nodes: Vec<TreeID>) -> Array {
    nodes.into_iter().map(|id| JsValue::from(JsLoroTreeNode::from_inner(id, tree))).collect()
}

/// Describes a node without its children.
fn node_to_js(tree: &LoroTree, id: TreeID, index: usize, as_json: bool, children: &Array) -> Result<JsValue, JsValue> {
    let parent = tree.parent(id).and_then(|parent| parent.tree_id());
    let meta = tree.get_meta(id).map_err(|error| error::engine(&error))?;
    let meta = if as_json { to_js(&meta.get_deep_value()) } else { JsLoroMap::from_inner(meta).into() };
    Ok(object(&[
        ("id", id.to_string().into()),
        ("parent", parent.map_or(JsValue::UNDEFINED, |parent| parent.to_string().into())),
        ("index", index.into()),
        ("fractionalIndex", tree.fractional_index(id).unwrap_or_else(|| FractionalIndex::default().to_string()).into()),
        ("meta", meta),
        ("children", children.into()),
    ])
    .into())
}

/// Describes what is under a parent: nodes with their children, their maps as handles or as plain values.
pub(super) fn describe(tree: &LoroTree, parent: TreeParentId, as_json: bool) -> Result<Array, JsValue> {
    if !tree.is_attached() {
        return Err(error::invalid("a detached tree cannot be read so: attach it first"));
    }
    let top = Array::new();
    // A list of its own: trees may be deeper than the stack.
    let mut pending = vec![(parent, top.clone())];
    while let Some((parent, siblings)) = pending.pop() {
        for (index, id) in tree.children(parent).unwrap_or_default().into_iter().enumerate() {
            let children = Array::new();
            siblings.push(&node_to_js(tree, id, index, as_json, &children)?);
            pending.push((TreeParentId::Node(id), children));
        }
    }
    Ok(top)
}

/// Describes one node with all under it, as plain values.
pub(super) fn describe_node(tree: &LoroTree, id: TreeID) -> Result<JsValue, JsValue> {
    let index = index_of(tree, id).unwrap_or(0);
    node_to_js(tree, id, index, true, &describe(tree, TreeParentId::Node(id), true)?)
}

/// Returns which of its parent's children a node is.
pub(super) fn index_of(tree: &LoroTree, id: TreeID) -> Option<usize> {
    tree.to_handler().get_index_by_tree_id(&id)
}

#[wasm_bindgen(js_class = "LoroTree")]
impl JsLoroTree {
    /// Makes a node under `parent`, a root node without; last of its siblings unless told where.
    #[wasm_bindgen(js_name = createNode)]
    pub fn create_node(&self, parent: Option<String>, index: Option<usize>) -> Result<JsLoroTreeNode, JsValue> {
        create(&self.0, parent_id(parent)?, index)
    }

    /// Moves a node under `parent`, to the roots without; last of its siblings unless told where.
    #[wasm_bindgen(js_name = move)]
    pub fn move_to(&self, target: &str, parent: Option<String>, index: Option<usize>) -> Result<(), JsValue> {
        move_node(&self.0, tree_id(target)?, parent_id(parent)?, index)
    }

    /// Deletes a node and all under it.
    pub fn delete(&self, target: &str) -> Result<(), JsValue> {
        self.0.delete(tree_id(target)?).map_err(|error| error::engine(&error))
    }

    /// Returns whether a node was ever made, deleted ones too.
    pub fn has(&self, target: &str) -> bool {
        tree_id(target).is_ok_and(|id| self.0.contains(id))
    }

    /// Returns whether a node was deleted; throws if it was never made.
    #[wasm_bindgen(js_name = isNodeDeleted)]
    pub fn is_node_deleted(&self, target: &str) -> Result<bool, JsValue> {
        self.0.is_node_deleted(&tree_id(target)?).map_err(|error| error::engine(&error))
    }

    /// Returns a node, deleted or not; undefined if it was never made.
    #[wasm_bindgen(js_name = getNodeByID)]
    pub fn get_node_by_id(&self, target: &str) -> Option<JsLoroTreeNode> {
        let id = TreeID::try_from(target).ok().filter(|id| self.0.contains(*id))?;
        Some(JsLoroTreeNode::from_inner(id, &self.0))
    }

    /// Returns the nodes that are not deleted; all with `{ withDeleted: true }`.
    #[wasm_bindgen(js_name = getNodes)]
    pub fn get_nodes(&self, options: &JsValue) -> Result<Array, JsValue> {
        if !options.is_undefined() && !options.is_object() {
            return Err(error::invalid("the options of getNodes are an object { withDeleted }"));
        }
        let with_deleted = get(options, "withDeleted").is_some_and(|flag| flag.is_truthy());
        Ok(nodes_to_js(&self.0, self.0.get_nodes(with_deleted).into_iter().map(|node| node.id).collect()))
    }

    /// Returns all nodes, deleted ones too.
    pub fn nodes(&self) -> Array {
        nodes_to_js(&self.0, self.0.nodes())
    }

    /// Returns the nodes without a parent.
    pub fn roots(&self) -> Array {
        nodes_to_js(&self.0, self.0.roots())
    }

    /// Returns the nodes with their children, their maps as handles.
    #[wasm_bindgen(js_name = toArray)]
    pub fn to_array(&self) -> Result<Array, JsValue> {
        describe(&self.0, TreeParentId::Root, false)
    }

    /// Returns everything in it as plain values.
    #[wasm_bindgen(js_name = toJSON)]
    pub fn to_json(&self) -> JsValue {
        to_js(&self.0.get_value_with_meta())
    }

    /// Returns the nodes, their maps as ids.
    #[wasm_bindgen(js_name = getShallowValue)]
    pub fn shallow_value(&self) -> JsValue {
        to_js(&self.0.get_value())
    }

    /// Orders siblings, with this much random jitter against equal indexes.
    #[wasm_bindgen(js_name = enableFractionalIndex)]
    pub fn enable_fractional_index(&self, jitter: u8) {
        self.0.enable_fractional_index(jitter);
    }

    /// Stops ordering siblings.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = disableFractionalIndex)]
    pub fn disable_fractional_index(&self) {
        self.0.disable_fractional_index();
    }

    /// Returns whether siblings are ordered.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = isFractionalIndexEnabled)]
    pub fn is_fractional_index_enabled(&self) -> bool {
        self.0.is_fractional_index_enabled()
    }
}
