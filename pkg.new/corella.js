/**
 * A position that moves with the text or list it was made in.
 */
export class Cursor {
    static __wrap(ptr) {
        const obj = Object.create(Cursor.prototype);
        obj.__wbg_ptr = ptr;
        CursorFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        CursorFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_cursor_free(ptr, 0);
    }
    /**
     * Returns the container it is in.
     * @returns {string}
     */
    containerId() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.cursor_containerId(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Decodes what `encode` wrote.
     * @param {Uint8Array | number[]} data
     * @returns {Cursor}
     */
    static decode(data) {
        const ptr0 = passArray8ToWasm0(data, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.cursor_decode(ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return Cursor.__wrap(ret[0]);
    }
    /**
     * Encodes it.
     * @returns {Uint8Array}
     */
    encode() {
        const ret = wasm.cursor_encode(this.__wbg_ptr);
        var v1 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        return v1;
    }
    /**
     * Returns the kind of object.
     * @returns {string}
     */
    kind() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.cursor_kind(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Returns the operation it is anchored to.
     * @returns {any}
     */
    pos() {
        const ret = wasm.cursor_pos(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns on which side of its anchor it is.
     * @returns {number}
     */
    side() {
        const ret = wasm.cursor_side(this.__wbg_ptr);
        return ret;
    }
}
if (Symbol.dispose) Cursor.prototype[Symbol.dispose] = Cursor.prototype.free;

/**
 * Returns the engine's version.
 * @returns {string}
 */
export function LORO_VERSION() {
    let deferred1_0;
    let deferred1_1;
    try {
        const ret = wasm.LORO_VERSION();
        deferred1_0 = ret[0];
        deferred1_1 = ret[1];
        return getStringFromWasm0(ret[0], ret[1]);
    } finally {
        wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
    }
}

/**
 * A document.
 */
export class LoroDoc {
    static __wrap(ptr) {
        const obj = Object.create(LoroDoc.prototype);
        obj.__wbg_ptr = ptr;
        LoroDocFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        LoroDocFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_lorodoc_free(ptr, 0);
    }
    /**
     * Shows the latest version and attaches the document.
     */
    attach() {
        wasm.lorodoc_attach(this.__wbg_ptr);
    }
    /**
     * Returns the number of changes known.
     * @returns {number}
     */
    changeCount() {
        const ret = wasm.lorodoc_changeCount(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Shows the latest version and attaches the document.
     */
    checkoutToLatest() {
        wasm.lorodoc_checkoutToLatest(this.__wbg_ptr);
    }
    /**
     * Shows a version; the document is detached then.
     * @param {any} frontiers
     */
    checkout(frontiers) {
        const ret = wasm.lorodoc_checkout(this.__wbg_ptr, frontiers);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Ends the pending edits as one commit and delivers their events.
     * @param {any} options
     */
    commit(options) {
        wasm.lorodoc_commit(this.__wbg_ptr, options);
    }
    /**
     * Configures how marks without a configuration grow; undefined forbids them.
     * @param {any} config
     */
    configDefaultTextStyle(config) {
        const ret = wasm.lorodoc_configDefaultTextStyle(this.__wbg_ptr, config);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Configures how marks grow: `{ bold: { expand: "after" } }`.
     * @param {any} styles
     */
    configTextStyle(styles) {
        const ret = wasm.lorodoc_configTextStyle(this.__wbg_ptr, styles);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Stops showing what is imported.
     */
    detach() {
        wasm.lorodoc_detach(this.__wbg_ptr);
    }
    /**
     * Exports: `{ mode: "update", from? }`, `"snapshot"`, `"shallow-snapshot"` with `frontiers`, or `"updates-in-range"` with `spans`.
     * @param {any} mode
     * @returns {Uint8Array}
     */
    export(mode) {
        const ret = wasm.lorodoc_export(this.__wbg_ptr, mode);
        if (ret[3]) {
            throw takeFromExternrefTable0(ret[2]);
        }
        var v1 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        return v1;
    }
    /**
     * Returns an independent copy as of a version.
     * @param {any} frontiers
     * @returns {LoroDoc}
     */
    forkAt(frontiers) {
        const ret = wasm.lorodoc_forkAt(this.__wbg_ptr, frontiers);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return LoroDoc.__wrap(ret[0]);
    }
    /**
     * Returns an independent copy with a peer id of its own.
     * @returns {LoroDoc}
     */
    fork() {
        const ret = wasm.lorodoc_fork(this.__wbg_ptr);
        return LoroDoc.__wrap(ret);
    }
    /**
     * Makes a document of a snapshot.
     * @param {Uint8Array | number[]} snapshot
     * @returns {LoroDoc}
     */
    static fromSnapshot(snapshot) {
        const ptr0 = passArray8ToWasm0(snapshot, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorodoc_fromSnapshot(ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return LoroDoc.__wrap(ret[0]);
    }
    /**
     * Converts frontiers to a version vector.
     * @param {any} frontiers
     * @returns {VersionVector}
     */
    frontiersToVV(frontiers) {
        const ret = wasm.lorodoc_frontiersToVV(this.__wbg_ptr, frontiers);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return VersionVector.__wrap(ret[0]);
    }
    /**
     * Returns the frontiers of the state shown.
     * @returns {any}
     */
    frontiers() {
        const ret = wasm.lorodoc_frontiers(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns what is at a path such as `"list/0/key"`; undefined if nothing is.
     * @param {string} path
     * @returns {any}
     */
    getByPath(path) {
        const ptr0 = passStringToWasm0(path, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorodoc_getByPath(this.__wbg_ptr, ptr0, len0);
        return ret;
    }
    /**
     * Returns a container by id; undefined if there is none.
     * @param {string} id
     * @returns {any}
     */
    getContainerById(id) {
        const ptr0 = passStringToWasm0(id, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorodoc_getContainerById(this.__wbg_ptr, ptr0, len0);
        return ret;
    }
    /**
     * Returns where a cursor is now: `{ offset, side, update? }`; undefined if it cannot be found.
     * @param {Cursor} cursor
     * @returns {any}
     */
    getCursorPos(cursor) {
        _assertClass(cursor, Cursor);
        const ret = wasm.lorodoc_getCursorPos(this.__wbg_ptr, cursor.__wbg_ptr);
        return ret;
    }
    /**
     * Returns a list by root name or id, made if there is none.
     * @param {string} key
     * @returns {LoroList}
     */
    getList(key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorodoc_getList(this.__wbg_ptr, ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return LoroList.__wrap(ret[0]);
    }
    /**
     * Returns a map by root name or id, made if there is none.
     * @param {string} key
     * @returns {LoroMap}
     */
    getMap(key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorodoc_getMap(this.__wbg_ptr, ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return LoroMap.__wrap(ret[0]);
    }
    /**
     * Returns a movable list by root name or id, made if there is none.
     * @param {string} key
     * @returns {LoroMovableList}
     */
    getMovableList(key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorodoc_getMovableList(this.__wbg_ptr, ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return LoroMovableList.__wrap(ret[0]);
    }
    /**
     * Returns the number of operations not committed yet.
     * @returns {number}
     */
    getPendingTxnLength() {
        const ret = wasm.lorodoc_getPendingTxnLength(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Returns the ids of the root containers by name.
     * @returns {any}
     */
    getShallowValue() {
        const ret = wasm.lorodoc_getShallowValue(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns a text by root name or id, made if there is none.
     * @param {string} key
     * @returns {LoroText}
     */
    getText(key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorodoc_getText(this.__wbg_ptr, ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return LoroText.__wrap(ret[0]);
    }
    /**
     * Returns whether a container exists.
     * @param {string} id
     * @returns {boolean}
     */
    hasContainer(id) {
        const ptr0 = passStringToWasm0(id, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorodoc_hasContainer(this.__wbg_ptr, ptr0, len0);
        return ret !== 0;
    }
    /**
     * Imports several exports at once.
     * @param {Array<any>} data
     * @returns {any}
     */
    importBatch(data) {
        const ret = wasm.lorodoc_importBatch(this.__wbg_ptr, data);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Imports an export of any mode.
     * @param {Uint8Array | number[]} update_or_snapshot
     * @returns {any}
     */
    import(update_or_snapshot) {
        const ptr0 = passArray8ToWasm0(update_or_snapshot, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorodoc_import(this.__wbg_ptr, ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Returns whether the state shown is not the latest.
     * @returns {boolean}
     */
    isDetached() {
        const ret = wasm.lorodoc_isDetached(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Makes an empty document with a random peer id.
     */
    constructor() {
        const ret = wasm.lorodoc_new();
        this.__wbg_ptr = ret;
        LoroDocFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Returns the number of operations known.
     * @returns {number}
     */
    opCount() {
        const ret = wasm.lorodoc_opCount(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Returns the frontiers of everything known.
     * @returns {any}
     */
    oplogFrontiers() {
        const ret = wasm.lorodoc_oplogFrontiers(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns the version of everything known.
     * @returns {VersionVector}
     */
    oplogVersion() {
        const ret = wasm.lorodoc_oplogVersion(this.__wbg_ptr);
        return VersionVector.__wrap(ret);
    }
    /**
     * Returns it as a decimal string.
     * @returns {string}
     */
    get peerIdStr() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.lorodoc_peerIdStr(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Returns the peer id new operations are made under.
     * @returns {bigint}
     */
    get peerId() {
        const ret = wasm.lorodoc_peerId(this.__wbg_ptr);
        return BigInt.asUintN(64, ret);
    }
    /**
     * Sets the message of the next commit.
     * @param {string} message
     */
    setNextCommitMessage(message) {
        const ptr0 = passStringToWasm0(message, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.lorodoc_setNextCommitMessage(this.__wbg_ptr, ptr0, len0);
    }
    /**
     * Sets the options of the next commit.
     * @param {any} options
     */
    setNextCommitOptions(options) {
        wasm.lorodoc_setNextCommitOptions(this.__wbg_ptr, options);
    }
    /**
     * Sets the origin of the next commit.
     * @param {string} origin
     */
    setNextCommitOrigin(origin) {
        const ptr0 = passStringToWasm0(origin, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.lorodoc_setNextCommitOrigin(this.__wbg_ptr, ptr0, len0);
    }
    /**
     * Sets the timestamp of the next commit, in seconds.
     * @param {number} timestamp
     */
    setNextCommitTimestamp(timestamp) {
        wasm.lorodoc_setNextCommitTimestamp(this.__wbg_ptr, timestamp);
    }
    /**
     * Sets it; pending edits are committed under the old one.
     * @param {any} peer_id
     */
    setPeerId(peer_id) {
        const ret = wasm.lorodoc_setPeerId(this.__wbg_ptr, peer_id);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Calls `listener` with the bytes of every local commit; returns the function that ends it.
     * @param {Function} listener
     * @returns {any}
     */
    subscribeLocalUpdates(listener) {
        const ret = wasm.lorodoc_subscribeLocalUpdates(this.__wbg_ptr, listener);
        return ret;
    }
    /**
     * Calls `listener` for every change; returns the function that ends it.
     * @param {Function} listener
     * @returns {any}
     */
    subscribe(listener) {
        const ret = wasm.lorodoc_subscribe(this.__wbg_ptr, listener);
        return ret;
    }
    /**
     * Returns everything as plain values.
     * @returns {any}
     */
    toJSON() {
        const ret = wasm.lorodoc_toJSON(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns the version of the state shown.
     * @returns {VersionVector}
     */
    version() {
        const ret = wasm.lorodoc_version(this.__wbg_ptr);
        return VersionVector.__wrap(ret);
    }
    /**
     * Converts a version vector to frontiers.
     * @param {VersionVector} version
     * @returns {any}
     */
    vvToFrontiers(version) {
        _assertClass(version, VersionVector);
        const ret = wasm.lorodoc_vvToFrontiers(this.__wbg_ptr, version.__wbg_ptr);
        return ret;
    }
}
if (Symbol.dispose) LoroDoc.prototype[Symbol.dispose] = LoroDoc.prototype.free;

/**
 * A list of values and containers.
 */
export class LoroList {
    static __wrap(ptr) {
        const obj = Object.create(LoroList.prototype);
        obj.__wbg_ptr = ptr;
        LoroListFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        LoroListFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_lorolist_free(ptr, 0);
    }
    /**
     * @returns {number}
     */
    __lend() {
        const ret = wasm.lorolist___lend(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Deletes everything.
     */
    clear() {
        const ret = wasm.lorolist_clear(this.__wbg_ptr);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Deletes items.
     * @param {number} pos
     * @param {number} len
     */
    delete(pos, len) {
        const ret = wasm.lorolist_delete(this.__wbg_ptr, pos, len);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Returns the handle in the document, once a detached container was inserted.
     * @returns {LoroList | undefined}
     */
    getAttached() {
        const ret = wasm.lorolist_getAttached(this.__wbg_ptr);
        return ret === 0 ? undefined : LoroList.__wrap(ret);
    }
    /**
     * Returns a position that moves with the items; undefined while detached.
     * @param {number} pos
     * @param {number | null} [side]
     * @returns {Cursor | undefined}
     */
    getCursor(pos, side) {
        const ret = wasm.lorolist_getCursor(this.__wbg_ptr, pos, isLikeNone(side) ? Number.MAX_SAFE_INTEGER : (side) >> 0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] === 0 ? undefined : Cursor.__wrap(ret[0]);
    }
    /**
     * Returns the values, containers as ids.
     * @returns {any}
     */
    getShallowValue() {
        const ret = wasm.lorolist_getShallowValue(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns an item; undefined beyond the end.
     * @param {number} index
     * @returns {any}
     */
    get(index) {
        const ret = wasm.lorolist_get(this.__wbg_ptr, index);
        return ret;
    }
    /**
     * Returns the container's id.
     * @returns {string}
     */
    get id() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.lorolist_id(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Inserts a detached container and returns its handle in the document.
     * @param {number} pos
     * @param {any} child
     * @returns {any}
     */
    insertContainer(pos, child) {
        const ret = wasm.lorolist_insertContainer(this.__wbg_ptr, pos, child);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Inserts a value.
     * @param {number} pos
     * @param {any} value
     */
    insert(pos, value) {
        const ret = wasm.lorolist_insert(this.__wbg_ptr, pos, value);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Returns whether the container belongs to a document.
     * @returns {boolean}
     */
    isAttached() {
        const ret = wasm.lorolist_isAttached(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Returns whether the container was deleted from its document.
     * @returns {boolean}
     */
    isDeleted() {
        const ret = wasm.lorolist_isDeleted(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Returns the kind of container.
     * @returns {string}
     */
    kind() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.lorolist_kind(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Returns the number of items.
     * @returns {number}
     */
    get length() {
        const ret = wasm.lorolist_length(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Makes a container that belongs to no document yet.
     */
    constructor() {
        const ret = wasm.lorolist_new();
        this.__wbg_ptr = ret;
        LoroListFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Returns the container that holds this one.
     * @returns {any}
     */
    parent() {
        const ret = wasm.lorolist_parent(this.__wbg_ptr);
        return ret;
    }
    /**
     * Removes and returns the last value.
     * @returns {any}
     */
    pop() {
        const ret = wasm.lorolist_pop(this.__wbg_ptr);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Appends a detached container and returns its handle in the document.
     * @param {any} child
     * @returns {any}
     */
    pushContainer(child) {
        const ret = wasm.lorolist_pushContainer(this.__wbg_ptr, child);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Appends a value.
     * @param {any} value
     */
    push(value) {
        const ret = wasm.lorolist_push(this.__wbg_ptr, value);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Calls `listener` for changes of this container and those in it; returns the function that ends it.
     * @param {Function} listener
     * @returns {any}
     */
    subscribe(listener) {
        const ret = wasm.lorolist_subscribe(this.__wbg_ptr, listener);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Returns the items, containers as handles.
     * @returns {Array<any>}
     */
    toArray() {
        const ret = wasm.lorolist_toArray(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns everything in it as plain values.
     * @returns {any}
     */
    toJSON() {
        const ret = wasm.lorolist_toJSON(this.__wbg_ptr);
        return ret;
    }
}
if (Symbol.dispose) LoroList.prototype[Symbol.dispose] = LoroList.prototype.free;

/**
 * A map from strings to values and containers.
 */
export class LoroMap {
    static __wrap(ptr) {
        const obj = Object.create(LoroMap.prototype);
        obj.__wbg_ptr = ptr;
        LoroMapFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        LoroMapFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_loromap_free(ptr, 0);
    }
    /**
     * @returns {number}
     */
    __lend() {
        const ret = wasm.loromap___lend(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Deletes everything.
     */
    clear() {
        const ret = wasm.loromap_clear(this.__wbg_ptr);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Deletes a key.
     * @param {string} key
     */
    delete(key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.loromap_delete(this.__wbg_ptr, ptr0, len0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Returns `[key, value or container]` pairs.
     * @returns {Array<any>}
     */
    entries() {
        const ret = wasm.loromap_entries(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns the handle in the document, once a detached container was inserted.
     * @returns {LoroMap | undefined}
     */
    getAttached() {
        const ret = wasm.loromap_getAttached(this.__wbg_ptr);
        return ret === 0 ? undefined : LoroMap.__wrap(ret);
    }
    /**
     * Returns the container under a key, put there if there is none.
     * @param {string} key
     * @param {any} child
     * @returns {any}
     */
    getOrCreateContainer(key, child) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.loromap_getOrCreateContainer(this.__wbg_ptr, ptr0, len0, child);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Returns the values, containers as ids.
     * @returns {any}
     */
    getShallowValue() {
        const ret = wasm.loromap_getShallowValue(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns a value or container; undefined if there is none.
     * @param {string} key
     * @returns {any}
     */
    get(key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.loromap_get(this.__wbg_ptr, ptr0, len0);
        return ret;
    }
    /**
     * Returns the container's id.
     * @returns {string}
     */
    get id() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.loromap_id(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Returns whether the container belongs to a document.
     * @returns {boolean}
     */
    isAttached() {
        const ret = wasm.loromap_isAttached(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Returns whether the container was deleted from its document.
     * @returns {boolean}
     */
    isDeleted() {
        const ret = wasm.loromap_isDeleted(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Returns the keys.
     * @returns {Array<any>}
     */
    keys() {
        const ret = wasm.loromap_keys(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns the kind of container.
     * @returns {string}
     */
    kind() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.loromap_kind(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Makes a container that belongs to no document yet.
     */
    constructor() {
        const ret = wasm.loromap_new();
        this.__wbg_ptr = ret;
        LoroMapFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Returns the container that holds this one.
     * @returns {any}
     */
    parent() {
        const ret = wasm.loromap_parent(this.__wbg_ptr);
        return ret;
    }
    /**
     * Puts a detached container under a key and returns its handle in the document.
     * @param {string} key
     * @param {any} child
     * @returns {any}
     */
    setContainer(key, child) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.loromap_setContainer(this.__wbg_ptr, ptr0, len0, child);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Sets a value. Setting an equal value makes no operation.
     * @param {string} key
     * @param {any} value
     */
    set(key, value) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.loromap_set(this.__wbg_ptr, ptr0, len0, value);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Returns the number of keys.
     * @returns {number}
     */
    get size() {
        const ret = wasm.loromap_size(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Calls `listener` for changes of this container and those in it; returns the function that ends it.
     * @param {Function} listener
     * @returns {any}
     */
    subscribe(listener) {
        const ret = wasm.loromap_subscribe(this.__wbg_ptr, listener);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Returns everything in it as plain values.
     * @returns {any}
     */
    toJSON() {
        const ret = wasm.loromap_toJSON(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns the values and containers.
     * @returns {Array<any>}
     */
    values() {
        const ret = wasm.loromap_values(this.__wbg_ptr);
        return ret;
    }
}
if (Symbol.dispose) LoroMap.prototype[Symbol.dispose] = LoroMap.prototype.free;

/**
 * A list whose items can be moved and replaced.
 */
export class LoroMovableList {
    static __wrap(ptr) {
        const obj = Object.create(LoroMovableList.prototype);
        obj.__wbg_ptr = ptr;
        LoroMovableListFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        LoroMovableListFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_loromovablelist_free(ptr, 0);
    }
    /**
     * @returns {number}
     */
    __lend() {
        const ret = wasm.loromovablelist___lend(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Deletes everything.
     */
    clear() {
        const ret = wasm.loromovablelist_clear(this.__wbg_ptr);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Deletes items.
     * @param {number} pos
     * @param {number} len
     */
    delete(pos, len) {
        const ret = wasm.loromovablelist_delete(this.__wbg_ptr, pos, len);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Returns the handle in the document, once a detached container was inserted.
     * @returns {LoroMovableList | undefined}
     */
    getAttached() {
        const ret = wasm.loromovablelist_getAttached(this.__wbg_ptr);
        return ret === 0 ? undefined : LoroMovableList.__wrap(ret);
    }
    /**
     * Returns a position that moves with the items; undefined while detached.
     * @param {number} pos
     * @param {number | null} [side]
     * @returns {Cursor | undefined}
     */
    getCursor(pos, side) {
        const ret = wasm.loromovablelist_getCursor(this.__wbg_ptr, pos, isLikeNone(side) ? Number.MAX_SAFE_INTEGER : (side) >> 0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] === 0 ? undefined : Cursor.__wrap(ret[0]);
    }
    /**
     * Returns the values, containers as ids.
     * @returns {any}
     */
    getShallowValue() {
        const ret = wasm.loromovablelist_getShallowValue(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns an item; undefined beyond the end.
     * @param {number} index
     * @returns {any}
     */
    get(index) {
        const ret = wasm.loromovablelist_get(this.__wbg_ptr, index);
        return ret;
    }
    /**
     * Returns the container's id.
     * @returns {string}
     */
    get id() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.loromovablelist_id(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Inserts a detached container and returns its handle in the document.
     * @param {number} pos
     * @param {any} child
     * @returns {any}
     */
    insertContainer(pos, child) {
        const ret = wasm.loromovablelist_insertContainer(this.__wbg_ptr, pos, child);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Inserts a value.
     * @param {number} pos
     * @param {any} value
     */
    insert(pos, value) {
        const ret = wasm.loromovablelist_insert(this.__wbg_ptr, pos, value);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Returns whether the container belongs to a document.
     * @returns {boolean}
     */
    isAttached() {
        const ret = wasm.loromovablelist_isAttached(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Returns whether the container was deleted from its document.
     * @returns {boolean}
     */
    isDeleted() {
        const ret = wasm.loromovablelist_isDeleted(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Returns the kind of container.
     * @returns {string}
     */
    kind() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.loromovablelist_kind(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Returns the number of items.
     * @returns {number}
     */
    get length() {
        const ret = wasm.loromovablelist_length(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Moves an item.
     * @param {number} from
     * @param {number} to
     */
    move(from, to) {
        const ret = wasm.loromovablelist_move(this.__wbg_ptr, from, to);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Makes a container that belongs to no document yet.
     */
    constructor() {
        const ret = wasm.loromovablelist_new();
        this.__wbg_ptr = ret;
        LoroMovableListFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Returns the container that holds this one.
     * @returns {any}
     */
    parent() {
        const ret = wasm.loromovablelist_parent(this.__wbg_ptr);
        return ret;
    }
    /**
     * Removes and returns the last item.
     * @returns {any}
     */
    pop() {
        const ret = wasm.loromovablelist_pop(this.__wbg_ptr);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Appends a detached container and returns its handle in the document.
     * @param {any} child
     * @returns {any}
     */
    pushContainer(child) {
        const ret = wasm.loromovablelist_pushContainer(this.__wbg_ptr, child);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Appends a value.
     * @param {any} value
     */
    push(value) {
        const ret = wasm.loromovablelist_push(this.__wbg_ptr, value);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Replaces an item by a detached container and returns its handle in the document.
     * @param {number} pos
     * @param {any} child
     * @returns {any}
     */
    setContainer(pos, child) {
        const ret = wasm.loromovablelist_setContainer(this.__wbg_ptr, pos, child);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Replaces an item by a value.
     * @param {number} pos
     * @param {any} value
     */
    set(pos, value) {
        const ret = wasm.loromovablelist_set(this.__wbg_ptr, pos, value);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Calls `listener` for changes of this container and those in it; returns the function that ends it.
     * @param {Function} listener
     * @returns {any}
     */
    subscribe(listener) {
        const ret = wasm.loromovablelist_subscribe(this.__wbg_ptr, listener);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Returns the items, containers as handles.
     * @returns {Array<any>}
     */
    toArray() {
        const ret = wasm.loromovablelist_toArray(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns everything in it as plain values.
     * @returns {any}
     */
    toJSON() {
        const ret = wasm.loromovablelist_toJSON(this.__wbg_ptr);
        return ret;
    }
}
if (Symbol.dispose) LoroMovableList.prototype[Symbol.dispose] = LoroMovableList.prototype.free;

/**
 * A text. All positions and lengths are in UTF-16 units.
 */
export class LoroText {
    static __wrap(ptr) {
        const obj = Object.create(LoroText.prototype);
        obj.__wbg_ptr = ptr;
        LoroTextFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        LoroTextFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_lorotext_free(ptr, 0);
    }
    /**
     * @returns {number}
     */
    __lend() {
        const ret = wasm.lorotext___lend(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Applies a change.
     * @param {any} delta
     */
    applyDelta(delta) {
        const ret = wasm.lorotext_applyDelta(this.__wbg_ptr, delta);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Returns the character at a position.
     * @param {number} pos
     * @returns {string}
     */
    charAt(pos) {
        let deferred2_0;
        let deferred2_1;
        try {
            const ret = wasm.lorotext_charAt(this.__wbg_ptr, pos);
            var ptr1 = ret[0];
            var len1 = ret[1];
            if (ret[3]) {
                ptr1 = 0; len1 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred2_0 = ptr1;
            deferred2_1 = len1;
            return getStringFromWasm0(ptr1, len1);
        } finally {
            wasm.__wbindgen_free(deferred2_0, deferred2_1, 1);
        }
    }
    /**
     * Deletes.
     * @param {number} pos
     * @param {number} len
     */
    delete(pos, len) {
        const ret = wasm.lorotext_delete(this.__wbg_ptr, pos, len);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Returns the handle in the document, once a detached container was inserted.
     * @returns {LoroText | undefined}
     */
    getAttached() {
        const ret = wasm.lorotext_getAttached(this.__wbg_ptr);
        return ret === 0 ? undefined : LoroText.__wrap(ret);
    }
    /**
     * Returns a position that moves with the text; undefined while detached.
     * @param {number} pos
     * @param {number | null} [side]
     * @returns {Cursor | undefined}
     */
    getCursor(pos, side) {
        const ret = wasm.lorotext_getCursor(this.__wbg_ptr, pos, isLikeNone(side) ? Number.MAX_SAFE_INTEGER : (side) >> 0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] === 0 ? undefined : Cursor.__wrap(ret[0]);
    }
    /**
     * Returns the text.
     * @returns {string}
     */
    getShallowValue() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.lorotext_getShallowValue(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Returns the container's id.
     * @returns {string}
     */
    get id() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.lorotext_id(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Inserts.
     * @param {number} pos
     * @param {string} text
     */
    insert(pos, text) {
        const val2 = +pos;
        const ptr0 = passStringToWasm0(text, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorotext_insert(this.__wbg_ptr, val2, ptr0, len0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Returns whether the container belongs to a document.
     * @returns {boolean}
     */
    isAttached() {
        const ret = wasm.lorotext_isAttached(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Returns whether the container was deleted from its document.
     * @returns {boolean}
     */
    isDeleted() {
        const ret = wasm.lorotext_isDeleted(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Calls `callback` with parts of the text until it returns false.
     * @param {Function} callback
     */
    iter(callback) {
        const ret = wasm.lorotext_iter(this.__wbg_ptr, callback);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Returns the kind of container.
     * @returns {string}
     */
    kind() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.lorotext_kind(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Returns the length.
     * @returns {number}
     */
    get length() {
        const ret = wasm.lorotext_length(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Marks a range; the key needs a configured style.
     * @param {any} range
     * @param {string} key
     * @param {any} value
     */
    mark(range, key, value) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorotext_mark(this.__wbg_ptr, range, ptr0, len0, value);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Makes a container that belongs to no document yet.
     */
    constructor() {
        const ret = wasm.lorotext_new();
        this.__wbg_ptr = ret;
        LoroTextFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Returns the container that holds this one.
     * @returns {any}
     */
    parent() {
        const ret = wasm.lorotext_parent(this.__wbg_ptr);
        return ret;
    }
    /**
     * Appends.
     * @param {string} text
     */
    push(text) {
        const ptr0 = passStringToWasm0(text, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorotext_push(this.__wbg_ptr, ptr0, len0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Returns a part of the rich text.
     * @param {number} start
     * @param {number} end
     * @returns {Array<any>}
     */
    sliceDelta(start, end) {
        const ret = wasm.lorotext_sliceDelta(this.__wbg_ptr, start, end);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Returns a part.
     * @param {number} start_index
     * @param {number} end_index
     * @returns {string}
     */
    slice(start_index, end_index) {
        let deferred2_0;
        let deferred2_1;
        try {
            const ret = wasm.lorotext_slice(this.__wbg_ptr, start_index, end_index);
            var ptr1 = ret[0];
            var len1 = ret[1];
            if (ret[3]) {
                ptr1 = 0; len1 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred2_0 = ptr1;
            deferred2_1 = len1;
            return getStringFromWasm0(ptr1, len1);
        } finally {
            wasm.__wbindgen_free(deferred2_0, deferred2_1, 1);
        }
    }
    /**
     * Replaces a range and returns what was there.
     * @param {number} pos
     * @param {number} len
     * @param {string} text
     * @returns {string}
     */
    splice(pos, len, text) {
        let deferred5_0;
        let deferred5_1;
        try {
            const val2 = +pos;
            const val3 = +len;
            const ptr0 = passStringToWasm0(text, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len0 = WASM_VECTOR_LEN;
            const ret = wasm.lorotext_splice(this.__wbg_ptr, val2, val3, ptr0, len0);
            var ptr4 = ret[0];
            var len4 = ret[1];
            if (ret[3]) {
                ptr4 = 0; len4 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred5_0 = ptr4;
            deferred5_1 = len4;
            return getStringFromWasm0(ptr4, len4);
        } finally {
            wasm.__wbindgen_free(deferred5_0, deferred5_1, 1);
        }
    }
    /**
     * Calls `listener` for changes of this container and those in it; returns the function that ends it.
     * @param {Function} listener
     * @returns {any}
     */
    subscribe(listener) {
        const ret = wasm.lorotext_subscribe(this.__wbg_ptr, listener);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Returns the rich text as inserts with attributes.
     * @returns {Array<any>}
     */
    toDelta() {
        const ret = wasm.lorotext_toDelta(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns the text.
     * @returns {string}
     */
    toJSON() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.lorotext_toJSON(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Returns the text.
     * @returns {string}
     */
    toString() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.lorotext_toString(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Removes a mark from a range.
     * @param {any} range
     * @param {string} key
     */
    unmark(range, key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorotext_unmark(this.__wbg_ptr, range, ptr0, len0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * As `update`, line by line.
     * @param {string} text
     * @param {any} options
     */
    updateByLine(text, options) {
        const ptr0 = passStringToWasm0(text, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorotext_updateByLine(this.__wbg_ptr, ptr0, len0, options);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Turns the text into `text` by the smallest edit found.
     * @param {string} text
     * @param {any} options
     */
    update(text, options) {
        const ptr0 = passStringToWasm0(text, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.lorotext_update(this.__wbg_ptr, ptr0, len0, options);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
}
if (Symbol.dispose) LoroText.prototype[Symbol.dispose] = LoroText.prototype.free;

/**
 * Undoes and redoes what this peer did.
 */
export class UndoManager {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        UndoManagerFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_undomanager_free(ptr, 0);
    }
    /**
     * Ignores commits whose origin begins so.
     * @param {string} prefix
     */
    addExcludeOriginPrefix(prefix) {
        const ptr0 = passStringToWasm0(prefix, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.undomanager_addExcludeOriginPrefix(this.__wbg_ptr, ptr0, len0);
    }
    /**
     * Returns whether there is a step to redo.
     * @returns {boolean}
     */
    canRedo() {
        const ret = wasm.undomanager_canRedo(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Returns whether there is a step to undo.
     * @returns {boolean}
     */
    canUndo() {
        const ret = wasm.undomanager_canUndo(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Forgets all steps.
     */
    clear() {
        wasm.undomanager_clear(this.__wbg_ptr);
    }
    /**
     * Follows a document. Options: `mergeInterval` (ms), `maxUndoSteps`, `excludeOriginPrefixes`.
     * @param {LoroDoc} doc
     * @param {any} config
     */
    constructor(doc, config) {
        _assertClass(doc, LoroDoc);
        const ret = wasm.undomanager_new(doc.__wbg_ptr, config);
        this.__wbg_ptr = ret;
        UndoManagerFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Returns the peer whose steps it follows.
     * @returns {string}
     */
    peer() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.undomanager_peer(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Redoes the last undone step; returns whether there was one.
     * @returns {boolean}
     */
    redo() {
        const ret = wasm.undomanager_redo(this.__wbg_ptr);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] !== 0;
    }
    /**
     * Keeps at most this many steps.
     * @param {number} steps
     */
    setMaxUndoSteps(steps) {
        wasm.undomanager_setMaxUndoSteps(this.__wbg_ptr, steps);
    }
    /**
     * Joins commits less than this many milliseconds apart into one step.
     * @param {number} interval
     */
    setMergeInterval(interval) {
        wasm.undomanager_setMergeInterval(this.__wbg_ptr, interval);
    }
    /**
     * Undoes the last step; returns whether there was one.
     * @returns {boolean}
     */
    undo() {
        const ret = wasm.undomanager_undo(this.__wbg_ptr);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] !== 0;
    }
}
if (Symbol.dispose) UndoManager.prototype[Symbol.dispose] = UndoManager.prototype.free;

/**
 * How many operations of each author are known.
 */
export class VersionVector {
    static __wrap(ptr) {
        const obj = Object.create(VersionVector.prototype);
        obj.__wbg_ptr = ptr;
        VersionVectorFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        VersionVectorFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_versionvector_free(ptr, 0);
    }
    /**
     * Returns -1, 0 or 1; undefined when each knows something the other does not.
     * @param {VersionVector} other
     * @returns {number | undefined}
     */
    compare(other) {
        _assertClass(other, VersionVector);
        const ret = wasm.versionvector_compare(this.__wbg_ptr, other.__wbg_ptr);
        return ret === Number.MAX_SAFE_INTEGER ? undefined : ret;
    }
    /**
     * Decodes what `encode` wrote.
     * @param {Uint8Array | number[]} bytes
     * @returns {VersionVector}
     */
    static decode(bytes) {
        const ptr0 = passArray8ToWasm0(bytes, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.versionvector_decode(ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return VersionVector.__wrap(ret[0]);
    }
    /**
     * Encodes it.
     * @returns {Uint8Array}
     */
    encode() {
        const ret = wasm.versionvector_encode(this.__wbg_ptr);
        var v1 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        return v1;
    }
    /**
     * Returns how many operations of a peer are known.
     * @param {any} peer_id
     * @returns {number | undefined}
     */
    get(peer_id) {
        const ret = wasm.versionvector_get(this.__wbg_ptr, peer_id);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] === Number.MAX_SAFE_INTEGER ? undefined : ret[0];
    }
    /**
     * Returns the number of peers.
     * @returns {number}
     */
    length() {
        const ret = wasm.versionvector_length(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Makes one of a Map from peer id to counter, of its encoding, or an empty one.
     * @param {any} value
     */
    constructor(value) {
        const ret = wasm.versionvector_new(value);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        this.__wbg_ptr = ret[0];
        VersionVectorFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Makes one of a Map from peer id to counter.
     * @param {any} value
     * @returns {VersionVector}
     */
    static parseJSON(value) {
        const ret = wasm.versionvector_parseJSON(value);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return VersionVector.__wrap(ret[0]);
    }
    /**
     * Returns a Map from peer id to counter.
     * @returns {Map<any, any>}
     */
    toJSON() {
        const ret = wasm.versionvector_toJSON(this.__wbg_ptr);
        return ret;
    }
}
if (Symbol.dispose) VersionVector.prototype[Symbol.dispose] = VersionVector.prototype.free;

/**
 * An open document.
 */
export class WasmDocHandle {
    static __wrap(ptr) {
        const obj = Object.create(WasmDocHandle.prototype);
        obj.__wbg_ptr = ptr;
        WasmDocHandleFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        WasmDocHandleFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_wasmdochandle_free(ptr, 0);
    }
    /**
     * Says that the application is done with the document.
     */
    close() {
        wasm.wasmdochandle_close(this.__wbg_ptr);
    }
    /**
     * Makes the handle's `LoroDoc`; the caller keeps the one it got.
     * @returns {LoroDoc}
     */
    doc() {
        const ret = wasm.wasmdochandle_doc(this.__wbg_ptr);
        return LoroDoc.__wrap(ret);
    }
    /**
     * Opens a namespace of the ephemeral state.
     * @param {string} namespace
     * @returns {WasmEphemeral}
     */
    ephemeral(namespace) {
        const ptr0 = passStringToWasm0(namespace, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.wasmdochandle_ephemeral(this.__wbg_ptr, ptr0, len0);
        return WasmEphemeral.__wrap(ret);
    }
    /**
     * Whether the document was deleted or its repo closed.
     * @returns {boolean}
     */
    get isGone() {
        const ret = wasm.wasmdochandle_isGone(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * How every peer stands to the document.
     * @returns {Array<any>}
     */
    readyStates() {
        const ret = wasm.wasmdochandle_readyStates(this.__wbg_ptr);
        return ret;
    }
    /**
     * Waits for a peer's confirmation; no `timeout` waits for ever.
     * @param {boolean} storage
     * @param {number | null} [timeout]
     * @returns {Promise<any>}
     */
    waitForSync(storage, timeout) {
        const ret = wasm.wasmdochandle_waitForSync(this.__wbg_ptr, storage, !isLikeNone(timeout), isLikeNone(timeout) ? 0 : timeout);
        return ret;
    }
}
if (Symbol.dispose) WasmDocHandle.prototype[Symbol.dispose] = WasmDocHandle.prototype.free;

/**
 * A namespace of an open document.
 */
export class WasmEphemeral {
    static __wrap(ptr) {
        const obj = Object.create(WasmEphemeral.prototype);
        obj.__wbg_ptr = ptr;
        WasmEphemeralFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        WasmEphemeralFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_wasmephemeral_free(ptr, 0);
    }
    /**
     * Applies entries got by other means.
     * @param {Uint8Array | number[]} data
     */
    apply(data) {
        const ptr0 = passArray8ToWasm0(data, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.wasmephemeral_apply(this.__wbg_ptr, ptr0, len0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Deletes an entry and sends that.
     * @param {string} key
     */
    delete(key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.wasmephemeral_delete(this.__wbg_ptr, ptr0, len0);
    }
    /**
     * Encodes all entries.
     * @returns {Uint8Array}
     */
    encodeAll() {
        const ret = wasm.wasmephemeral_encodeAll(this.__wbg_ptr);
        var v1 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        return v1;
    }
    /**
     * Encodes one entry.
     * @param {string} key
     * @returns {Uint8Array}
     */
    encode(key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.wasmephemeral_encode(this.__wbg_ptr, ptr0, len0);
        var v2 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        return v2;
    }
    /**
     * Returns all entries.
     * @returns {object}
     */
    getAllStates() {
        const ret = wasm.wasmephemeral_getAllStates(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns the entry that stands for this repo.
     * @returns {any}
     */
    getSelf() {
        const ret = wasm.wasmephemeral_getSelf(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns an entry.
     * @param {string} key
     * @returns {any}
     */
    get(key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.wasmephemeral_get(this.__wbg_ptr, ptr0, len0);
        return ret;
    }
    /**
     * Returns the keys.
     * @returns {string[]}
     */
    keys() {
        const ret = wasm.wasmephemeral_keys(this.__wbg_ptr);
        var v1 = getArrayJsValueFromWasm0(ret[0], ret[1]);
        wasm.__wbindgen_free(ret[0], ret[1] * 4, 4);
        return v1;
    }
    /**
     * Returns the entries of other peers, by peer id.
     * @returns {Map<any, any>}
     */
    peers() {
        const ret = wasm.wasmephemeral_peers(this.__wbg_ptr);
        return ret;
    }
    /**
     * Sets the entry that stands for this repo.
     * @param {any} value
     */
    setSelf(value) {
        const ret = wasm.wasmephemeral_setSelf(this.__wbg_ptr, value);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Sets an entry and sends it.
     * @param {string} key
     * @param {any} value
     */
    set(key, value) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.wasmephemeral_set(this.__wbg_ptr, ptr0, len0, value);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Calls `listener` with the bytes of every local change.
     * @param {Function} listener
     * @returns {any}
     */
    subscribeLocalUpdates(listener) {
        const ret = wasm.wasmephemeral_subscribeLocalUpdates(this.__wbg_ptr, listener);
        return ret;
    }
    /**
     * Calls `listener` after every change.
     * @param {Function} listener
     * @returns {any}
     */
    subscribe(listener) {
        const ret = wasm.wasmephemeral_subscribe(this.__wbg_ptr, listener);
        return ret;
    }
}
if (Symbol.dispose) WasmEphemeral.prototype[Symbol.dispose] = WasmEphemeral.prototype.free;

/**
 * Ephemeral state of no document. The package's JavaScript calls its listeners and its timer.
 */
export class WasmEphemeralStore {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        WasmEphemeralStoreFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_wasmephemeralstore_free(ptr, 0);
    }
    /**
     * Applies another store's bytes; returns the event.
     * @param {Uint8Array | number[]} data
     * @returns {any}
     */
    apply(data) {
        const ptr0 = passArray8ToWasm0(data, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.wasmephemeralstore_apply(this.__wbg_ptr, ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Deletes an entry; returns the event.
     * @param {string} key
     * @returns {any}
     */
    delete(key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.wasmephemeralstore_delete(this.__wbg_ptr, ptr0, len0);
        return ret;
    }
    /**
     * Encodes all entries.
     * @returns {Uint8Array}
     */
    encodeAll() {
        const ret = wasm.wasmephemeralstore_encodeAll(this.__wbg_ptr);
        var v1 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        return v1;
    }
    /**
     * Encodes one entry.
     * @param {string} key
     * @returns {Uint8Array}
     */
    encode(key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.wasmephemeralstore_encode(this.__wbg_ptr, ptr0, len0);
        var v2 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        return v2;
    }
    /**
     * Returns all entries.
     * @returns {object}
     */
    getAllStates() {
        const ret = wasm.wasmephemeralstore_getAllStates(this.__wbg_ptr);
        return ret;
    }
    /**
     * Returns an entry.
     * @param {string} key
     * @returns {any}
     */
    get(key) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.wasmephemeralstore_get(this.__wbg_ptr, ptr0, len0);
        return ret;
    }
    /**
     * Returns the keys.
     * @returns {string[]}
     */
    keys() {
        const ret = wasm.wasmephemeralstore_keys(this.__wbg_ptr);
        var v1 = getArrayJsValueFromWasm0(ret[0], ret[1]);
        wasm.__wbindgen_free(ret[0], ret[1] * 4, 4);
        return v1;
    }
    /**
     * Makes an empty store whose foreign entries lapse after `timeout` milliseconds.
     * @param {number} timeout
     */
    constructor(timeout) {
        const ret = wasm.wasmephemeralstore_new(timeout);
        this.__wbg_ptr = ret;
        WasmEphemeralStoreFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Drops lapsed entries; returns the event.
     * @returns {any}
     */
    removeOutdated() {
        const ret = wasm.wasmephemeralstore_removeOutdated(this.__wbg_ptr);
        return ret;
    }
    /**
     * Sets an entry; returns the event.
     * @param {string} key
     * @param {any} value
     * @returns {any}
     */
    set(key, value) {
        const ptr0 = passStringToWasm0(key, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.wasmephemeralstore_set(this.__wbg_ptr, ptr0, len0, value);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
}
if (Symbol.dispose) WasmEphemeralStore.prototype[Symbol.dispose] = WasmEphemeralStore.prototype.free;

/**
 * A repo.
 */
export class WasmRepo {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        WasmRepoFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_wasmrepo_free(ptr, 0);
    }
    /**
     * Lists the adapters.
     * @returns {Array<any>}
     */
    adapters() {
        const ret = wasm.wasmrepo_adapters(this.__wbg_ptr);
        return ret;
    }
    /**
     * Flushes and leaves.
     * @returns {Promise<any>}
     */
    close() {
        const ret = wasm.wasmrepo_close(this.__wbg_ptr);
        return ret;
    }
    /**
     * Deletes a document.
     * @param {string} doc
     * @returns {Promise<any>}
     */
    delete(doc) {
        const ptr0 = passStringToWasm0(doc, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.wasmrepo_delete(this.__wbg_ptr, ptr0, len0);
        return ret;
    }
    /**
     * Asks network peers for their documents.
     */
    discover() {
        wasm.wasmrepo_discover(this.__wbg_ptr);
    }
    /**
     * Completes when everything is on disk.
     * @returns {Promise<any>}
     */
    flush() {
        const ret = wasm.wasmrepo_flush(this.__wbg_ptr);
        return ret;
    }
    /**
     * Opens a document.
     * @param {string} doc
     * @returns {WasmDocHandle}
     */
    get(doc) {
        const ptr0 = passStringToWasm0(doc, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.wasmrepo_get(this.__wbg_ptr, ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return WasmDocHandle.__wrap(ret[0]);
    }
    /**
     * Lists the documents known here.
     * @returns {Array<any>}
     */
    list() {
        const ret = wasm.wasmrepo_list(this.__wbg_ptr);
        return ret;
    }
    /**
     * Opens a repo. `listener` hears every event as `{ type, … }`.
     * @param {any} options
     * @param {Function} listener
     */
    constructor(options, listener) {
        const ret = wasm.wasmrepo_new(options, listener);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        this.__wbg_ptr = ret[0];
        WasmRepoFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * The repo's own id.
     * @returns {string}
     */
    get peerId() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.wasmrepo_peerId(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
    /**
     * Lists the peers.
     * @returns {Array<any>}
     */
    peers() {
        const ret = wasm.wasmrepo_peers(this.__wbg_ptr);
        return ret;
    }
    /**
     * Switches a WebSocket adapter, by its number.
     * @param {number} adapter
     * @param {boolean} connected
     */
    setConnected(adapter, connected) {
        wasm.wasmrepo_setConnected(this.__wbg_ptr, adapter, connected);
    }
}
if (Symbol.dispose) WasmRepo.prototype[Symbol.dispose] = WasmRepo.prototype.free;

/**
 * Hands in the package's `RepoError` class: `(code, message, cause) => RepoError`.
 * @param {Function} factory
 */
export function __setErrorFactory(factory) {
    wasm.__setErrorFactory(factory);
}

/**
 * Makes the queued calls.
 */
export function callPendingEvents() {
    wasm.callPendingEvents();
}

/**
 * Tells what an export holds without importing it.
 * @param {Uint8Array | number[]} blob
 * @param {boolean} check_checksum
 * @returns {any}
 */
export function decodeImportBlobMeta(blob, check_checksum) {
    const val2 = +check_checksum;
    const ptr0 = passArray8ToWasm0(blob, wasm.__wbindgen_malloc);
    const len0 = WASM_VECTOR_LEN;
    const ret = wasm.decodeImportBlobMeta(ptr0, len0, val2);
    if (ret[2]) {
        throw takeFromExternrefTable0(ret[1]);
    }
    return takeFromExternrefTable0(ret[0]);
}

/**
 * Returns whether a value is a container handle.
 * @param {any} value
 * @returns {boolean}
 */
export function isContainer(value) {
    const ret = wasm.isContainer(value);
    return ret !== 0;
}

/**
 * Returns whether a text is a container id.
 * @param {string} text
 * @returns {boolean}
 */
export function isContainerId(text) {
    const ptr0 = passStringToWasm0(text, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
    const len0 = WASM_VECTOR_LEN;
    const ret = wasm.isContainerId(ptr0, len0);
    return ret !== 0;
}
function __wbg_get_imports() {
    const import0 = {
        __proto__: null,
        __wbg___wbindgen_boolean_get_4f1baf9a00be3c74: function(arg0) {
            const v = arg0;
            const ret = typeof(v) === 'boolean' ? v : undefined;
            return isLikeNone(ret) ? 0xFFFFFF : ret ? 1 : 0;
        },
        __wbg___wbindgen_debug_string_f249a2a76caa9a55: function(arg0, arg1) {
            const ret = debugString(arg1);
            const ptr1 = passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
        },
        __wbg___wbindgen_is_bigint_5fa10641e039d3ef: function(arg0) {
            const ret = typeof(arg0) === 'bigint';
            return ret;
        },
        __wbg___wbindgen_is_falsy_d864b623500ae65d: function(arg0) {
            const ret = !arg0;
            return ret;
        },
        __wbg___wbindgen_is_function_741ff2bb612836f5: function(arg0) {
            const ret = typeof(arg0) === 'function';
            return ret;
        },
        __wbg___wbindgen_is_null_c22311b1cc228e3a: function(arg0) {
            const ret = arg0 === null;
            return ret;
        },
        __wbg___wbindgen_is_object_8b968c3ab8e96595: function(arg0) {
            const val = arg0;
            const ret = typeof(val) === 'object' && val !== null;
            return ret;
        },
        __wbg___wbindgen_is_string_fc456fee5d3317de: function(arg0) {
            const ret = typeof(arg0) === 'string';
            return ret;
        },
        __wbg___wbindgen_is_symbol_f846131a047725ea: function(arg0) {
            const ret = typeof(arg0) === 'symbol';
            return ret;
        },
        __wbg___wbindgen_is_undefined_be5b34249ff1fc15: function(arg0) {
            const ret = arg0 === undefined;
            return ret;
        },
        __wbg___wbindgen_number_get_934b640d0889af78: function(arg0, arg1) {
            const obj = arg1;
            const ret = typeof(obj) === 'number' ? obj : undefined;
            getDataViewMemory0().setFloat64((arg0 >>> 0) + 8 * 1, isLikeNone(ret) ? 0 : ret, true);
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, !isLikeNone(ret), true);
        },
        __wbg___wbindgen_string_get_7ce8eee7fd327545: function(arg0, arg1) {
            const obj = arg1;
            const ret = typeof(obj) === 'string' ? obj : undefined;
            var ptr1 = isLikeNone(ret) ? 0 : passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            var len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
        },
        __wbg___wbindgen_throw_4c88d8bf264fd984: function(arg0, arg1) {
            throw new Error(getStringFromWasm0(arg0, arg1));
        },
        __wbg__wbg_cb_unref_09736879a3f67559: function(arg0) {
            arg0._wbg_cb_unref();
        },
        __wbg_abort_75a93bc755ef5425: function() { return handleError(function (arg0) {
            arg0.abort();
        }, arguments); },
        __wbg_abort_f8d1589eb0c65ee2: function(arg0) {
            arg0.abort();
        },
        __wbg_addEventListener_847fd86b8c33ec43: function() { return handleError(function (arg0, arg1, arg2, arg3) {
            arg0.addEventListener(getStringFromWasm0(arg1, arg2), arg3);
        }, arguments); },
        __wbg_apply_bfe2b07b146427e2: function() { return handleError(function (arg0, arg1, arg2) {
            const ret = arg0.apply(arg1, arg2);
            return ret;
        }, arguments); },
        __wbg_bound_2eafc1bd1cffbb0e: function() { return handleError(function (arg0, arg1) {
            const ret = IDBKeyRange.bound(arg0, arg1);
            return ret;
        }, arguments); },
        __wbg_call_275b78b3b6520b92: function() { return handleError(function (arg0, arg1, arg2, arg3, arg4) {
            const ret = arg0.call(arg1, arg2, arg3, arg4);
            return ret;
        }, arguments); },
        __wbg_call_40b008ba32f73991: function() { return handleError(function (arg0, arg1) {
            const ret = arg0.call(arg1);
            return ret;
        }, arguments); },
        __wbg_call_a410eb4b59ed5965: function() { return handleError(function (arg0, arg1, arg2) {
            const ret = arg0.call(arg1, arg2);
            return ret;
        }, arguments); },
        __wbg_call_fc92fee6137d452d: function() { return handleError(function (arg0, arg1, arg2, arg3) {
            const ret = arg0.call(arg1, arg2, arg3);
            return ret;
        }, arguments); },
        __wbg_clearTimeout_6e92a37d772b809b: function(arg0) {
            clearTimeout(arg0);
        },
        __wbg_close_2a8b1ba07b9e0fee: function() { return handleError(function (arg0, arg1, arg2, arg3) {
            arg0.close(arg1, getStringFromWasm0(arg2, arg3));
        }, arguments); },
        __wbg_close_5ee9c5fe4e8754a4: function() { return handleError(function (arg0) {
            arg0.close();
        }, arguments); },
        __wbg_close_70d38255291ae4c8: function(arg0) {
            arg0.close();
        },
        __wbg_close_83412466bf4e34fb: function(arg0) {
            arg0.close();
        },
        __wbg_code_3e6881d821eab2c4: function(arg0) {
            const ret = arg0.code;
            return ret;
        },
        __wbg_contains_c7099563ab57a776: function(arg0, arg1, arg2) {
            const ret = arg0.contains(getStringFromWasm0(arg1, arg2));
            return ret;
        },
        __wbg_createObjectStore_f7cf854ebb8a2b7f: function() { return handleError(function (arg0, arg1, arg2) {
            const ret = arg0.createObjectStore(getStringFromWasm0(arg1, arg2));
            return ret;
        }, arguments); },
        __wbg_crypto_23f565a907d30078: function(arg0) {
            const ret = arg0.crypto;
            return ret;
        },
        __wbg_cursor_new: function(arg0) {
            const ret = Cursor.__wrap(arg0);
            return ret;
        },
        __wbg_data_c7e5e8500f1bca2f: function(arg0) {
            const ret = arg0.data;
            return ret;
        },
        __wbg_delete_a1677b105dc0626e: function() { return handleError(function (arg0, arg1) {
            const ret = arg0.delete(arg1);
            return ret;
        }, arguments); },
        __wbg_document_3b5c3071b43e97ee: function(arg0) {
            const ret = arg0.document;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        },
        __wbg_entries_7bb1459bd9b5c2b9: function(arg0) {
            const ret = Object.entries(arg0);
            return ret;
        },
        __wbg_error_029b9735617abe23: function() { return handleError(function (arg0) {
            const ret = arg0.error;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        }, arguments); },
        __wbg_error_37b241daaafbc352: function(arg0) {
            const ret = arg0.error;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        },
        __wbg_error_757e9472f8410341: function(arg0, arg1) {
            let deferred0_0;
            let deferred0_1;
            try {
                deferred0_0 = arg0;
                deferred0_1 = arg1;
                console.error(getStringFromWasm0(arg0, arg1));
            } finally {
                wasm.__wbindgen_free(deferred0_0, deferred0_1, 1);
            }
        },
        __wbg_forEach_d33df67d27c9bd85: function(arg0, arg1, arg2) {
            try {
                var state0 = {a: arg1, b: arg2};
                var cb0 = (arg0, arg1) => {
                    const a = state0.a;
                    state0.a = 0;
                    try {
                        return wasm_bindgen__convert__closures_____invoke__h465e82a67f5544a1_210(a, state0.b, arg0, arg1);
                    } finally {
                        state0.a = a;
                    }
                };
                arg0.forEach(cb0);
            } finally {
                state0.a = 0;
            }
        },
        __wbg_from_eac91875c8a5ffa4: function(arg0) {
            const ret = Array.from(arg0);
            return ret;
        },
        __wbg_getAllKeys_08212b8e3f30bcdf: function() { return handleError(function (arg0, arg1) {
            const ret = arg0.getAllKeys(arg1);
            return ret;
        }, arguments); },
        __wbg_getAllKeys_f22cbedeec86b411: function() { return handleError(function (arg0) {
            const ret = arg0.getAllKeys();
            return ret;
        }, arguments); },
        __wbg_getAll_7c588d26e2a82148: function() { return handleError(function (arg0, arg1) {
            const ret = arg0.getAll(arg1);
            return ret;
        }, arguments); },
        __wbg_getAll_fd2f81391609135a: function() { return handleError(function (arg0) {
            const ret = arg0.getAll();
            return ret;
        }, arguments); },
        __wbg_getRandomValues_d2908e0b99612b91: function() { return handleError(function (arg0, arg1) {
            arg0.getRandomValues(arg1);
        }, arguments); },
        __wbg_get_2080c49015e35254: function() { return handleError(function (arg0, arg1) {
            const ret = Reflect.get(arg0, arg1);
            return ret;
        }, arguments); },
        __wbg_get_3e7d0feae205d645: function() { return handleError(function (arg0, arg1) {
            const ret = arg0.get(arg1);
            return ret;
        }, arguments); },
        __wbg_get_d7176cfb76d71114: function(arg0, arg1) {
            const ret = arg0[arg1 >>> 0];
            return ret;
        },
        __wbg_get_unchecked_e6325ad374eff861: function(arg0, arg1) {
            const ret = arg0[arg1 >>> 0];
            return ret;
        },
        __wbg_has_2c4d5cf25ec8c1cf: function() { return handleError(function (arg0, arg1) {
            const ret = Reflect.has(arg0, arg1);
            return ret;
        }, arguments); },
        __wbg_instanceof_ArrayBuffer_12cdaa4161423e6b: function(arg0) {
            let result;
            try {
                result = arg0 instanceof ArrayBuffer;
            } catch (_) {
                result = false;
            }
            const ret = result;
            return ret;
        },
        __wbg_instanceof_Date_99b6a345bf39e8f4: function(arg0) {
            let result;
            try {
                result = arg0 instanceof Date;
            } catch (_) {
                result = false;
            }
            const ret = result;
            return ret;
        },
        __wbg_instanceof_DomException_b0152473e22fa2bf: function(arg0) {
            let result;
            try {
                result = arg0 instanceof DOMException;
            } catch (_) {
                result = false;
            }
            const ret = result;
            return ret;
        },
        __wbg_instanceof_Error_74e3cca0c4a69161: function(arg0) {
            let result;
            try {
                result = arg0 instanceof Error;
            } catch (_) {
                result = false;
            }
            const ret = result;
            return ret;
        },
        __wbg_instanceof_EventTarget_a8ec754d19c1e1e0: function(arg0) {
            let result;
            try {
                result = arg0 instanceof EventTarget;
            } catch (_) {
                result = false;
            }
            const ret = result;
            return ret;
        },
        __wbg_instanceof_Map_0b4fc8b62e73f163: function(arg0) {
            let result;
            try {
                result = arg0 instanceof Map;
            } catch (_) {
                result = false;
            }
            const ret = result;
            return ret;
        },
        __wbg_instanceof_Uint8Array_d7aeb0dcb3108fea: function(arg0) {
            let result;
            try {
                result = arg0 instanceof Uint8Array;
            } catch (_) {
                result = false;
            }
            const ret = result;
            return ret;
        },
        __wbg_instanceof_Window_5cf453f5639aa1a2: function(arg0) {
            let result;
            try {
                result = arg0 instanceof Window;
            } catch (_) {
                result = false;
            }
            const ret = result;
            return ret;
        },
        __wbg_isArray_bcf1376d0d732d08: function(arg0) {
            const ret = Array.isArray(arg0);
            return ret;
        },
        __wbg_length_186163212ffe79c3: function(arg0) {
            const ret = arg0.length;
            return ret;
        },
        __wbg_length_b03a0fabb109b1e9: function(arg0) {
            const ret = arg0.length;
            return ret;
        },
        __wbg_lorolist_new: function(arg0) {
            const ret = LoroList.__wrap(arg0);
            return ret;
        },
        __wbg_loromap_new: function(arg0) {
            const ret = LoroMap.__wrap(arg0);
            return ret;
        },
        __wbg_loromovablelist_new: function(arg0) {
            const ret = LoroMovableList.__wrap(arg0);
            return ret;
        },
        __wbg_lorotext_new: function(arg0) {
            const ret = LoroText.__wrap(arg0);
            return ret;
        },
        __wbg_message_43d8c8f1d543a349: function(arg0) {
            const ret = arg0.message;
            return ret;
        },
        __wbg_message_fc58bc095885b5e5: function(arg0, arg1) {
            const ret = arg1.message;
            const ptr1 = passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
        },
        __wbg_msCrypto_d5f06fad6bf1409b: function(arg0) {
            const ret = arg0.msCrypto;
            return ret;
        },
        __wbg_name_7d5a865f2ff82e44: function(arg0, arg1) {
            const ret = arg1.name;
            const ptr1 = passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
        },
        __wbg_new_13de428334042d26: function(arg0) {
            const ret = new Uint8Array(arg0);
            return ret;
        },
        __wbg_new_37eb45aaf5eeb820: function() {
            const ret = new Array();
            return ret;
        },
        __wbg_new_5f28518387ad0e34: function() { return handleError(function () {
            const ret = new AbortController();
            return ret;
        }, arguments); },
        __wbg_new_7075786089b89c5e: function() {
            const ret = new Map();
            return ret;
        },
        __wbg_new_787b9fb330d55d78: function(arg0, arg1) {
            const ret = new Error(getStringFromWasm0(arg0, arg1));
            return ret;
        },
        __wbg_new_b00e30ff1da50918: function() { return handleError(function (arg0, arg1) {
            const ret = new BroadcastChannel(getStringFromWasm0(arg0, arg1));
            return ret;
        }, arguments); },
        __wbg_new_ba40181b3f24ac80: function(arg0, arg1) {
            try {
                var state0 = {a: arg0, b: arg1};
                var cb0 = (arg0, arg1) => {
                    const a = state0.a;
                    state0.a = 0;
                    try {
                        return wasm_bindgen__convert__closures_____invoke__h465e82a67f5544a1(a, state0.b, arg0, arg1);
                    } finally {
                        state0.a = a;
                    }
                };
                const ret = new Promise(cb0);
                return ret;
            } finally {
                state0.a = 0;
            }
        },
        __wbg_new_bb74001155cb8ca8: function() {
            const ret = new Error();
            return ret;
        },
        __wbg_new_cd4348290afae586: function() {
            const ret = new Object();
            return ret;
        },
        __wbg_new_d72daa1c90ded389: function() { return handleError(function (arg0, arg1) {
            const ret = new WebSocket(getStringFromWasm0(arg0, arg1));
            return ret;
        }, arguments); },
        __wbg_new_from_slice_b8daf545a41c6aa0: function(arg0, arg1) {
            const ret = new Uint8Array(getArrayU8FromWasm0(arg0, arg1));
            return ret;
        },
        __wbg_new_typed_e09da9dae6ee5935: function(arg0, arg1) {
            try {
                var state0 = {a: arg0, b: arg1};
                var cb0 = (arg0, arg1) => {
                    const a = state0.a;
                    state0.a = 0;
                    try {
                        return wasm_bindgen__convert__closures_____invoke__h465e82a67f5544a1(a, state0.b, arg0, arg1);
                    } finally {
                        state0.a = a;
                    }
                };
                const ret = new Promise(cb0);
                return ret;
            } finally {
                state0.a = 0;
            }
        },
        __wbg_new_with_length_01b143a7e5dd5a3e: function(arg0) {
            const ret = new Uint8Array(arg0 >>> 0);
            return ret;
        },
        __wbg_node_86166ff8ce1f2002: function(arg0) {
            const ret = arg0.node;
            return ret;
        },
        __wbg_now_463ac581d2fc7ea3: function() {
            const ret = Date.now();
            return ret;
        },
        __wbg_now_e9a103e6f2c18d6d: function() {
            const ret = Date.now();
            return ret;
        },
        __wbg_objectStoreNames_2b913d9b7111553d: function(arg0) {
            const ret = arg0.objectStoreNames;
            return ret;
        },
        __wbg_objectStore_a2b5ae038954c7ba: function() { return handleError(function (arg0, arg1, arg2) {
            const ret = arg0.objectStore(getStringFromWasm0(arg1, arg2));
            return ret;
        }, arguments); },
        __wbg_of_027eb15371aac932: function(arg0) {
            const ret = Array.of(arg0);
            return ret;
        },
        __wbg_of_e7ea0fcd535c1444: function(arg0, arg1) {
            const ret = Array.of(arg0, arg1);
            return ret;
        },
        __wbg_open_0b7832f51fde5a5f: function() { return handleError(function (arg0, arg1, arg2, arg3) {
            const ret = arg0.open(getStringFromWasm0(arg1, arg2), arg3 >>> 0);
            return ret;
        }, arguments); },
        __wbg_postMessage_d9b34e55bfab4bdd: function() { return handleError(function (arg0, arg1) {
            arg0.postMessage(arg1);
        }, arguments); },
        __wbg_process_91f425a63f58e399: function(arg0) {
            const ret = arg0.process;
            return ret;
        },
        __wbg_prototypesetcall_13162965d1fe7aa3: function(arg0, arg1, arg2) {
            Uint8Array.prototype.set.call(getArrayU8FromWasm0(arg0, arg1), arg2);
        },
        __wbg_push_c9f4893fc209f768: function(arg0, arg1) {
            const ret = arg0.push(arg1);
            return ret;
        },
        __wbg_put_45e63ad2e48de8d7: function() { return handleError(function (arg0, arg1, arg2) {
            const ret = arg0.put(arg1, arg2);
            return ret;
        }, arguments); },
        __wbg_queueMicrotask_1e8503a8a690f0a3: function(arg0) {
            const ret = arg0.queueMicrotask;
            return ret;
        },
        __wbg_queueMicrotask_4a1a4d8dd332373b: function(arg0) {
            queueMicrotask(arg0);
        },
        __wbg_randomFillSync_34b023059e3363de: function() { return handleError(function (arg0, arg1) {
            arg0.randomFillSync(arg1);
        }, arguments); },
        __wbg_random_df36b90cd78a7d54: function() {
            const ret = Math.random();
            return ret;
        },
        __wbg_readyState_039bc047141a5f6d: function(arg0) {
            const ret = arg0.readyState;
            return ret;
        },
        __wbg_readyState_b4dcdb879aa432f4: function(arg0) {
            const ret = arg0.readyState;
            return (__wbindgen_enum_IdbRequestReadyState.indexOf(ret) + 1 || 3) - 1;
        },
        __wbg_reason_34b16516ab3f72d4: function(arg0, arg1) {
            const ret = arg1.reason;
            const ptr1 = passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
        },
        __wbg_reject_334b730b3c00849b: function(arg0) {
            const ret = Promise.reject(arg0);
            return ret;
        },
        __wbg_removeEventListener_4e20bd5fac3de092: function() { return handleError(function (arg0, arg1, arg2, arg3) {
            arg0.removeEventListener(getStringFromWasm0(arg1, arg2), arg3);
        }, arguments); },
        __wbg_request_416d9b7f657efb02: function() { return handleError(function (arg0, arg1, arg2, arg3, arg4) {
            const ret = arg0.request(getStringFromWasm0(arg1, arg2), arg3, arg4);
            return ret;
        }, arguments); },
        __wbg_require_9a7d8cc2e1d275c0: function() { return handleError(function () {
            const ret = module.require;
            return ret;
        }, arguments); },
        __wbg_resolve_dbf78ab4942478b0: function(arg0) {
            const ret = Promise.resolve(arg0);
            return ret;
        },
        __wbg_result_11a492b710594c52: function() { return handleError(function (arg0) {
            const ret = arg0.result;
            return ret;
        }, arguments); },
        __wbg_send_cd51063ca1be4d0f: function() { return handleError(function (arg0, arg1, arg2) {
            arg0.send(getStringFromWasm0(arg1, arg2));
        }, arguments); },
        __wbg_send_d83d0891cf698779: function() { return handleError(function (arg0, arg1, arg2) {
            arg0.send(getArrayU8FromWasm0(arg1, arg2));
        }, arguments); },
        __wbg_setTimeout_ca6229f90fd29760: function(arg0, arg1) {
            const ret = setTimeout(arg0, arg1);
            return ret;
        },
        __wbg_set_2793479888329cb6: function() { return handleError(function (arg0, arg1, arg2) {
            const ret = Reflect.set(arg0, arg1, arg2);
            return ret;
        }, arguments); },
        __wbg_set_8282f7e0d2d01336: function(arg0, arg1, arg2) {
            const ret = arg0.set(arg1, arg2);
            return ret;
        },
        __wbg_set_binaryType_d5b4dafd0f127fb2: function(arg0, arg1) {
            arg0.binaryType = __wbindgen_enum_BinaryType[arg1];
        },
        __wbg_set_name_822e3903f3184979: function(arg0, arg1, arg2) {
            arg0.name = getStringFromWasm0(arg1, arg2);
        },
        __wbg_signal_fac908876f45725d: function(arg0) {
            const ret = arg0.signal;
            return ret;
        },
        __wbg_stack_575c4e0918581b9c: function(arg0, arg1) {
            const ret = arg1.stack;
            const ptr1 = passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
        },
        __wbg_static_accessor_GLOBAL_THIS_003ee833af9699fc: function() {
            const ret = typeof globalThis === 'undefined' ? undefined : globalThis;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        },
        __wbg_static_accessor_GLOBAL_e4293fb22cbe77da: function() {
            const ret = typeof global === 'undefined' ? undefined : global;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        },
        __wbg_static_accessor_SELF_53bb20457401453d: function() {
            const ret = typeof self === 'undefined' ? undefined : self;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        },
        __wbg_static_accessor_WINDOW_b5e0810bfecb7feb: function() {
            const ret = typeof window === 'undefined' ? undefined : window;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        },
        __wbg_subarray_58f388a9247ac0bb: function(arg0, arg1, arg2) {
            const ret = arg0.subarray(arg1 >>> 0, arg2 >>> 0);
            return ret;
        },
        __wbg_then_656f253a5dd7d8ea: function(arg0, arg1, arg2) {
            const ret = arg0.then(arg1, arg2);
            return ret;
        },
        __wbg_then_e3f7f2d365708be8: function(arg0, arg1) {
            const ret = arg0.then(arg1);
            return ret;
        },
        __wbg_toString_ac62c4a5cb3e62c7: function() { return handleError(function (arg0, arg1) {
            const ret = arg0.toString(arg1);
            return ret;
        }, arguments); },
        __wbg_transaction_d155455eaa081238: function() { return handleError(function (arg0, arg1, arg2, arg3) {
            const ret = arg0.transaction(arg1, __wbindgen_enum_IdbTransactionMode[arg2], arg3);
            return ret;
        }, arguments); },
        __wbg_versions_6e128a981b0df859: function(arg0) {
            const ret = arg0.versions;
            return ret;
        },
        __wbg_versionvector_new: function(arg0) {
            const ret = VersionVector.__wrap(arg0);
            return ret;
        },
        __wbg_visibilityState_b1951b0d978d7cf3: function(arg0) {
            const ret = arg0.visibilityState;
            return (__wbindgen_enum_VisibilityState.indexOf(ret) + 1 || 3) - 1;
        },
        __wbindgen_generic_0000000000000001: function(arg0, arg1) {
            // Cast intrinsic for `Closure(Closure { owned: true, function: Function { arguments: [Externref], shim_idx: 1035, ret: Result(Unit), inner_ret: Some(Result(Unit)) }, mutable: true }) -> Externref`.
            const ret = makeMutClosure(arg0, arg1, wasm_bindgen__convert__closures_____invoke__h52696f37bd673a1a);
            return ret;
        },
        __wbindgen_generic_0000000000000002: function(arg0, arg1) {
            // Cast intrinsic for `Closure(Closure { owned: true, function: Function { arguments: [Externref], shim_idx: 1042, ret: Externref, inner_ret: Some(Externref) }, mutable: true }) -> Externref`.
            const ret = makeMutClosure(arg0, arg1, wasm_bindgen__convert__closures_____invoke__h6257a2e1f258d3ea);
            return ret;
        },
        __wbindgen_generic_0000000000000003: function(arg0, arg1) {
            // Cast intrinsic for `Closure(Closure { owned: true, function: Function { arguments: [Externref], shim_idx: 15, ret: Unit, inner_ret: Some(Unit) }, mutable: true }) -> Externref`.
            const ret = makeMutClosure(arg0, arg1, wasm_bindgen__convert__closures_____invoke__h8b0814ee4bec3c10);
            return ret;
        },
        __wbindgen_generic_0000000000000004: function(arg0, arg1) {
            // Cast intrinsic for `Closure(Closure { owned: true, function: Function { arguments: [NamedExternref("Event")], shim_idx: 13, ret: Unit, inner_ret: Some(Unit) }, mutable: false }) -> Externref`.
            const ret = makeClosure(arg0, arg1, wasm_bindgen__convert__closures_____invoke__he98e63ea3a605e38);
            return ret;
        },
        __wbindgen_generic_0000000000000005: function(arg0, arg1) {
            // Cast intrinsic for `Closure(Closure { owned: true, function: Function { arguments: [], shim_idx: 14, ret: Unit, inner_ret: Some(Unit) }, mutable: true }) -> Externref`.
            const ret = makeMutClosure(arg0, arg1, wasm_bindgen__convert__closures_____invoke__h91d3f1cbd9cc717a);
            return ret;
        },
        __wbindgen_generic_0000000000000006: function(arg0) {
            // Cast intrinsic for `F64 -> Externref`.
            const ret = arg0;
            return ret;
        },
        __wbindgen_generic_0000000000000007: function(arg0, arg1) {
            // Cast intrinsic for `Ref(Slice(U8)) -> NamedExternref("Uint8Array")`.
            const ret = getArrayU8FromWasm0(arg0, arg1);
            return ret;
        },
        __wbindgen_generic_0000000000000008: function(arg0, arg1) {
            // Cast intrinsic for `Ref(String) -> Externref`.
            const ret = getStringFromWasm0(arg0, arg1);
            return ret;
        },
        __wbindgen_init_externref_table: function() {
            const table = wasm.__wbindgen_externrefs;
            table.set(0, undefined);
            table.set(1024, undefined);
            table.set(1025, null);
            table.set(1026, true);
            table.set(1027, false);
        },
    };
    return {
        __proto__: null,
        "./corella_bg.js": import0,
    };
}

function wasm_bindgen__convert__closures_____invoke__h91d3f1cbd9cc717a(arg0, arg1) {
    wasm.wasm_bindgen__convert__closures_____invoke__h91d3f1cbd9cc717a(arg0, arg1);
}

function wasm_bindgen__convert__closures_____invoke__h8b0814ee4bec3c10(arg0, arg1, arg2) {
    wasm.wasm_bindgen__convert__closures_____invoke__h8b0814ee4bec3c10(arg0, arg1, arg2);
}

function wasm_bindgen__convert__closures_____invoke__he98e63ea3a605e38(arg0, arg1, arg2) {
    wasm.wasm_bindgen__convert__closures_____invoke__he98e63ea3a605e38(arg0, arg1, arg2);
}

function wasm_bindgen__convert__closures_____invoke__h6257a2e1f258d3ea(arg0, arg1, arg2) {
    const ret = wasm.wasm_bindgen__convert__closures_____invoke__h6257a2e1f258d3ea(arg0, arg1, arg2);
    return ret;
}

function wasm_bindgen__convert__closures_____invoke__h52696f37bd673a1a(arg0, arg1, arg2) {
    const ret = wasm.wasm_bindgen__convert__closures_____invoke__h52696f37bd673a1a(arg0, arg1, arg2);
    if (ret[1]) {
        throw takeFromExternrefTable0(ret[0]);
    }
}

function wasm_bindgen__convert__closures_____invoke__h465e82a67f5544a1(arg0, arg1, arg2, arg3) {
    wasm.wasm_bindgen__convert__closures_____invoke__h465e82a67f5544a1(arg0, arg1, arg2, arg3);
}

function wasm_bindgen__convert__closures_____invoke__h465e82a67f5544a1_210(arg0, arg1, arg2, arg3) {
    wasm.wasm_bindgen__convert__closures_____invoke__h465e82a67f5544a1_210(arg0, arg1, arg2, arg3);
}


const __wbindgen_enum_BinaryType = ["blob", "arraybuffer"];


const __wbindgen_enum_IdbRequestReadyState = ["pending", "done"];


const __wbindgen_enum_IdbTransactionMode = ["readonly", "readwrite", "versionchange", "readwriteflush", "cleanup"];


const __wbindgen_enum_VisibilityState = ["hidden", "visible"];
const CursorFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_cursor_free(ptr, 1));
const LoroDocFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_lorodoc_free(ptr, 1));
const LoroListFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_lorolist_free(ptr, 1));
const LoroMapFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_loromap_free(ptr, 1));
const LoroMovableListFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_loromovablelist_free(ptr, 1));
const LoroTextFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_lorotext_free(ptr, 1));
const UndoManagerFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_undomanager_free(ptr, 1));
const VersionVectorFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_versionvector_free(ptr, 1));
const WasmDocHandleFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_wasmdochandle_free(ptr, 1));
const WasmEphemeralFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_wasmephemeral_free(ptr, 1));
const WasmEphemeralStoreFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_wasmephemeralstore_free(ptr, 1));
const WasmRepoFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_wasmrepo_free(ptr, 1));

function addToExternrefTable0(obj) {
    const idx = wasm.__externref_table_alloc();
    wasm.__wbindgen_externrefs.set(idx, obj);
    return idx;
}

function _assertClass(instance, klass) {
    if (!(instance instanceof klass)) {
        throw new Error(`expected instance of ${klass.name}`);
    }
}

const CLOSURE_DTORS = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(state => wasm.__wbindgen_destroy_closure(state.a, state.b));

function debugString(val) {
    switch (typeof val) {
        // primitive types
        case 'number':
        case 'boolean':
        case 'undefined':
        return `${val}`;
        case 'string':
        return JSON.stringify(val);
        case 'bigint':
        return `${val}n`;
        case 'symbol':
        return val.description !== undefined
            ? `Symbol(${val.description})`
            : 'Symbol';
        case 'function':
        return typeof val.name === 'string' && val.name !== ''
            ? `Function(${val.name})`
            : 'Function';
        case 'object': {
            if (val === null) {
                return 'null';
            }
            // objects
            if (Array.isArray(val)) {
                return '[' + Array.from(val, debugString).join(', ') + ']';
            }
            // errors
            if (val instanceof Error) {
                return `${val.name}: ${val.message}\n${val.stack}`;
            }

            const toStringOutput = toString.call(val);
            // Test for built-in
            const className = /\[object ([^\]]+)\]/.exec(toStringOutput)?.[1];

            // Failed to match the standard '[object ClassName]'
            if (className === undefined) {
                return toStringOutput;
            }
            if (className === 'Object') {
                // we're a user defined class or Object
                // JSON.stringify avoids problems with cycles, and is generally much
                // easier than looping through ownProperties of `val`.
                try {
                    return 'Object(' + JSON.stringify(val) + ')';
                } catch (_) {
                    return 'Object';
                }
            }
            // TODO we could test for more things here, like `Set`s and `Map`s.
            return className;
        }
        // Per MDN: 'This list of values is exhaustive.'
        // https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference/Operators/typeof#description
    }
}

function getArrayJsValueFromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    const mem = getDataViewMemory0();
    const result = [];
    for (let i = ptr; i < ptr + 4 * len; i += 4) {
        result.push(wasm.__wbindgen_externrefs.get(mem.getUint32(i, true)));
    }
    wasm.__externref_drop_slice(ptr, len);
    return result;
}

function getArrayU8FromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return getUint8ArrayMemory0().subarray(ptr / 1, ptr / 1 + len);
}

let cachedDataViewMemory0 = null;
function getDataViewMemory0() {
    if (cachedDataViewMemory0 === null || cachedDataViewMemory0.buffer.detached === true || (cachedDataViewMemory0.buffer.detached === undefined && cachedDataViewMemory0.buffer !== wasm.memory.buffer)) {
        cachedDataViewMemory0 = new DataView(wasm.memory.buffer);
    }
    return cachedDataViewMemory0;
}

function getStringFromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return decodeText(getUint8ArrayMemory0().subarray(ptr, ptr + len));
}

let cachedUint8ArrayMemory0 = null;
function getUint8ArrayMemory0() {
    if (cachedUint8ArrayMemory0 === null || cachedUint8ArrayMemory0.byteLength === 0) {
        cachedUint8ArrayMemory0 = new Uint8Array(wasm.memory.buffer);
    }
    return cachedUint8ArrayMemory0;
}

function handleError(f, args) {
    try {
        return f.apply(this, args);
    } catch (e) {
        const idx = addToExternrefTable0(e);
        wasm.__wbindgen_exn_store(idx);
    }
}

function isLikeNone(x) {
    return x === undefined || x === null;
}

function makeClosure(arg0, arg1, f) {
    const state = { a: arg0, b: arg1, cnt: 1 };
    const real = (...args) => {

        // First up with a closure we increment the internal reference
        // count. This ensures that the Rust closure environment won't
        // be deallocated while we're invoking it.
        state.cnt++;
        try {
            return f(state.a, state.b, ...args);
        } finally {
            real._wbg_cb_unref();
        }
    };
    real._wbg_cb_unref = () => {
        if (--state.cnt === 0) {
            wasm.__wbindgen_destroy_closure(state.a, state.b);
            state.a = 0;
            CLOSURE_DTORS.unregister(state);
        }
    };
    CLOSURE_DTORS.register(real, state, state);
    return real;
}

function makeMutClosure(arg0, arg1, f) {
    const state = { a: arg0, b: arg1, cnt: 1 };
    const real = (...args) => {

        // First up with a closure we increment the internal reference
        // count. This ensures that the Rust closure environment won't
        // be deallocated while we're invoking it.
        state.cnt++;
        const a = state.a;
        state.a = 0;
        try {
            return f(a, state.b, ...args);
        } finally {
            state.a = a;
            real._wbg_cb_unref();
        }
    };
    real._wbg_cb_unref = () => {
        if (--state.cnt === 0) {
            wasm.__wbindgen_destroy_closure(state.a, state.b);
            state.a = 0;
            CLOSURE_DTORS.unregister(state);
        }
    };
    CLOSURE_DTORS.register(real, state, state);
    return real;
}

function passArray8ToWasm0(arg, malloc) {
    const ptr = malloc(arg.length * 1, 1) >>> 0;
    getUint8ArrayMemory0().set(arg, ptr / 1);
    WASM_VECTOR_LEN = arg.length;
    return ptr;
}

function passStringToWasm0(arg, malloc, realloc) {
    if (realloc === undefined) {
        const buf = cachedTextEncoder.encode(arg);
        const ptr = malloc(buf.length, 1) >>> 0;
        getUint8ArrayMemory0().subarray(ptr, ptr + buf.length).set(buf);
        WASM_VECTOR_LEN = buf.length;
        return ptr;
    }

    let len = arg.length;
    let ptr = malloc(len, 1) >>> 0;

    const mem = getUint8ArrayMemory0();

    let offset = 0;

    for (; offset < len; offset++) {
        const code = arg.charCodeAt(offset);
        if (code > 0x7F) break;
        mem[ptr + offset] = code;
    }
    if (offset !== len) {
        if (offset !== 0) {
            arg = arg.slice(offset);
        }
        ptr = realloc(ptr, len, len = offset + arg.length * 3, 1) >>> 0;
        const view = getUint8ArrayMemory0().subarray(ptr + offset, ptr + len);
        const ret = cachedTextEncoder.encodeInto(arg, view);

        offset += ret.written;
        ptr = realloc(ptr, len, offset, 1) >>> 0;
    }

    WASM_VECTOR_LEN = offset;
    return ptr;
}

function takeFromExternrefTable0(idx) {
    const value = wasm.__wbindgen_externrefs.get(idx);
    wasm.__externref_table_dealloc(idx);
    return value;
}

let cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
cachedTextDecoder.decode();
const MAX_SAFARI_DECODE_BYTES = 2146435072;
let numBytesDecoded = 0;
function decodeText(bytes) {
    numBytesDecoded += bytes.length;
    if (numBytesDecoded >= MAX_SAFARI_DECODE_BYTES) {
        cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
        cachedTextDecoder.decode();
        numBytesDecoded = bytes.length;
    }
    return cachedTextDecoder.decode(bytes);
}

const cachedTextEncoder = new TextEncoder();

if (!('encodeInto' in cachedTextEncoder)) {
    cachedTextEncoder.encodeInto = function (arg, view) {
        const buf = cachedTextEncoder.encode(arg);
        view.set(buf);
        return {
            read: arg.length,
            written: buf.length
        };
    };
}

let WASM_VECTOR_LEN = 0;

let wasmModule, wasmInstance, wasm;
function __wbg_finalize_init(instance, module) {
    wasmInstance = instance;
    wasm = instance.exports;
    wasmModule = module;
    cachedDataViewMemory0 = null;
    cachedUint8ArrayMemory0 = null;
    wasm.__wbindgen_start();
    return wasm;
}

async function __wbg_load(module, imports) {
    if (typeof Response === 'function' && module instanceof Response) {
        if (!module.ok) {
            throw new Error(`failed to fetch Wasm: ${module.status} ${module.statusText} fetching '${module.url}'`);
        }

        if (typeof WebAssembly.instantiateStreaming === 'function') {
            try {
                return await WebAssembly.instantiateStreaming(module, imports);
            } catch (e) {
                const validResponse = expectedResponseType(module.type);

                if (validResponse && module.headers.get('Content-Type') !== 'application/wasm') {
                    console.warn("`WebAssembly.instantiateStreaming` failed because your server does not serve Wasm with `application/wasm` MIME type. Falling back to `WebAssembly.instantiate` which is slower. Original error:\n", e);

                } else { throw e; }
            }
        }

        const bytes = await module.arrayBuffer();
        return await WebAssembly.instantiate(bytes, imports);
    } else {
        const instance = await WebAssembly.instantiate(module, imports);

        if (instance instanceof WebAssembly.Instance) {
            return { instance, module };
        } else {
            return instance;
        }
    }

    function expectedResponseType(type) {
        switch (type) {
            case 'basic': case 'cors': case 'default': return true;
        }
        return false;
    }
}

function initSync(module) {
    if (wasm !== undefined) return wasm;


    if (module !== undefined) {
        if (Object.getPrototypeOf(module) === Object.prototype) {
            ({module} = module)
        } else {
            console.warn('using deprecated parameters for `initSync()`; pass a single object instead')
        }
    }

    const imports = __wbg_get_imports();
    if (!(module instanceof WebAssembly.Module)) {
        module = new WebAssembly.Module(module);
    }
    const instance = new WebAssembly.Instance(module, imports);
    return __wbg_finalize_init(instance, module);
}

let __wbg_init_promise;
async function __wbg_init(module_or_path) {
    if (wasm !== undefined) return wasm;
    if (__wbg_init_promise === undefined) {
        __wbg_init_promise = __wbg_init_once(module_or_path);
        __wbg_init_promise.catch(() => { __wbg_init_promise = undefined; });
    }
    return __wbg_init_promise;
}

async function __wbg_init_once(module_or_path) {

    if (module_or_path !== undefined) {
        if (Object.getPrototypeOf(module_or_path) === Object.prototype) {
            ({module_or_path} = module_or_path)
        } else {
            console.warn('using deprecated parameters for the initialization function; pass a single object instead')
        }
    }

    if (module_or_path === undefined) {
        module_or_path = new URL('corella_bg.wasm', import.meta.url);
    }
    const imports = __wbg_get_imports();

    if (typeof module_or_path === 'string' || (typeof Request === 'function' && module_or_path instanceof Request) || (typeof URL === 'function' && module_or_path instanceof URL)) {
        module_or_path = fetch(module_or_path);
    }

    const { instance, module } = await __wbg_load(await module_or_path, imports);

    return __wbg_finalize_init(instance, module);
}

export { initSync, __wbg_init as default };
