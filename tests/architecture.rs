//! Who may import whom, which names a layer never says, and how exported methods borrow. Reads the source; runs nothing of it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const MAX_LINES: usize = 900;

/// A layer, the layers it may import besides itself, and the crates and types it never names.
struct Layer {
    name: &'static str,
    imports: &'static [&'static str],
    never: &'static [&'static str],
}

const PURE: &[&str] = &[
    "loro",
    "LoroDoc",
    "SystemTime",
    "Instant",
    "getrandom",
    "rand",
    "web_sys",
    "js_sys",
    "wasm_bindgen",
    "gloo_net",
    "tokio",
    "axum",
    "redb",
    "HashMap",
    "HashSet",
];
const PORTABLE: &[&str] =
    &["SystemTime", "Instant", "getrandom", "rand", "web_sys", "js_sys", "wasm_bindgen", "gloo_net", "tokio", "axum", "redb"];
const IN_BROWSER: &[&str] = &["SystemTime", "Instant", "tokio", "axum", "redb"];
const NATIVE: &[&str] = &["web_sys", "js_sys", "wasm_bindgen", "gloo_net"];

const LAYERS: &[Layer] = &[
    Layer { name: "collections", imports: &[], never: PURE },
    Layer { name: "protocol", imports: &["collections"], never: PURE },
    Layer { name: "synchronizer", imports: &["collections", "protocol"], never: PURE },
    Layer { name: "runtime", imports: &["collections", "protocol", "synchronizer"], never: PORTABLE },
    Layer { name: "browser", imports: &["collections", "protocol", "synchronizer", "runtime"], never: IN_BROWSER },
    Layer { name: "js", imports: &["collections", "protocol", "synchronizer", "runtime", "browser"], never: IN_BROWSER },
    Layer { name: "hub", imports: &["collections", "protocol", "synchronizer", "runtime"], never: NATIVE },
];

#[test]
fn layers_import_only_what_stands_left_of_them() {
    let exports = root_exports(&tokens(&read(&source_root().join("lib.rs"))));
    assert_none(each_source(|layer, depth, tokens| {
        let allowed = |path: &str| {
            let home = exports.get(path).map_or(path, String::as_str);
            home == layer.name || layer.imports.contains(&home)
        };
        let from_root = paths_from_root(tokens, depth);
        from_root.into_iter().filter(|path| !allowed(path)).map(|path| format!("imports crate::{path}")).collect()
    }));
}

#[test]
fn layers_never_name_what_is_not_theirs() {
    assert_none(each_source(|layer, _, tokens| {
        tokens.iter().filter(|token| layer.never.contains(&token.as_str())).map(|token| format!("names {token}")).collect()
    }));
}

#[test]
fn nothing_is_forgotten() {
    assert_none(each_source(|_, _, tokens| if forgets(tokens) { vec!["calls forget()".into()] } else { vec![] }));
}

#[test]
fn exported_methods_borrow_shared() {
    assert_none(each_source(|_, _, tokens| exported_mut_self(tokens)));
}

#[test]
fn every_folder_and_file_belongs_to_a_layer() {
    let known = |path: &Path| {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        ["lib", "bin"].contains(&name) || LAYERS.iter().any(|layer| layer.name == name)
    };
    let strangers: Vec<_> = entries(&source_root()).into_iter().filter(|path| !known(path)).collect();
    assert!(strangers.is_empty(), "no layer of tests/architecture.rs has {strangers:?}");
}

#[test]
fn modules_say_what_they_are_and_stay_readable() {
    let mut faults = Vec::new();
    for path in rust_files(&source_root()) {
        let text = read(&path);
        if !text.starts_with("//!") && !is_test(&path) {
            faults.push(format!("{} does not open with //!", path.display()));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            faults.push(format!("{} has {lines} lines, more than {MAX_LINES}: split it", path.display()));
        }
    }
    assert_none(faults);
}

#[test]
fn the_checks_see_what_they_look_for() {
    let paths = |text: &str, depth| paths_from_root(&tokens(text), depth);
    assert_eq!(paths("use crate::{browser::env, hub::{self, Hub}}; fn f() { crate::js::g() }", 1), ["browser", "hub", "js"]);
    assert_eq!(paths("use super::browser::env;", 1), ["browser"]);
    assert_eq!(paths("use super::browser::env;", 2), [] as [&str; 0]);
    assert_eq!(paths("use super::{super::js, own};", 2), ["js"]);
    assert_eq!(paths("mod tests { use super::*; use super::super::hub; }", 1), ["hub"]);
    assert_eq!(
        paths(
            "// crate::hub\n/* crate::hub /* crate::hub */ crate::hub */ const S: &str = r#\"crate::hub \" \"#; let q = '\"'; crate::js::x",
            1
        ),
        ["js"]
    );
    assert_eq!(paths("pub(crate) fn f<'a>(text: &'a str) { b\"\\\"crate::hub\"; }", 1), [] as [&str; 0]);
    assert_eq!(root_exports(&tokens("pub use runtime::{DocHandle, Repo};")).get("Repo").map(String::as_str), Some("runtime"));
    assert!(forgets(&tokens("closure.forget();")) && forgets(&tokens("mem::forget(x)")) && !forgets(&tokens("self.forget(doc, out)")));
    let exported =
        "#[wasm_bindgen(js_class = Repo)]\n#[allow(x)]\nimpl Repo { fn a(&self) { b(|s: &mut X| { s.c(); }) } fn d(&mut self) {} }";
    assert_eq!(exported_mut_self(&tokens(exported)), ["exports a method that takes &mut self: d"]);
    assert!(exported_mut_self(&tokens("impl Inner { fn d(&mut self) {} }")).is_empty());
}

fn assert_none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Runs a check on every source of every layer; a fault is told with its file.
fn each_source(check: impl Fn(&Layer, usize, &[String]) -> Vec<String>) -> Vec<String> {
    let root = source_root();
    let mut faults = Vec::new();
    let mut seen = BTreeMap::new();
    for path in rust_files(&root) {
        let inside = path.strip_prefix(&root).unwrap().with_extension("");
        let parts: Vec<_> = inside.iter().filter_map(|part| part.to_str()).collect();
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == parts[0]) else { continue };
        *seen.entry(layer.name).or_insert(0) += 1;
        if is_test(&path) {
            continue;
        }
        let found = check(layer, parts.len(), &tokens(&read(&path)));
        faults.extend(found.into_iter().map(|fault| format!("src/{}.rs {fault}", inside.display())));
    }
    assert_eq!(seen.len(), LAYERS.len(), "every layer has sources: {seen:?}");
    faults
}

/// Unit tests in a file of their own may look around and read clocks.
fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
}

/// The layer each name re-exported by the crate's root comes from.
fn root_exports(tokens: &[String]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (at, _) in tokens.windows(2).enumerate().filter(|(_, w)| w[0] == "pub" && w[1] == "use") {
        let end = (at..tokens.len()).find(|&i| tokens[i] == ";").unwrap_or(tokens.len());
        for name in tokens[at + 3..end].iter().filter(|token| token.starts_with(char::is_alphabetic)) {
            found.insert(name.clone(), tokens[at + 2].clone());
        }
    }
    found
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The first names of all paths that start at the crate's root, in a module `depth` levels below it.
fn paths_from_root(tokens: &[String], depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    // For every open brace, whether it opened a module.
    let mut braces = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "{" => braces.push(at >= 2 && tokens[at - 2] == "mod"),
            "}" => drop(braces.pop()),
            start @ ("crate" | "super" | "self")
                if tokens.get(at + 1).is_some_and(|next| next == "::") && (at == 0 || tokens[at - 1] != "::") =>
            {
                let here = depth + braces.iter().filter(|module| **module).count();
                let above = match start {
                    "crate" => 0,
                    "super" => here - 1,
                    _ => here,
                };
                at = collect(tokens, at + 2, above, &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Collects the root names of the path or group that starts at `at`, relative to a module `level` levels below the root.
fn collect(tokens: &[String], mut at: usize, mut level: usize, found: &mut Vec<String>) -> usize {
    while tokens.get(at).is_some_and(|token| token == "super") && tokens.get(at + 1).is_some_and(|token| token == "::") {
        level -= 1;
        at += 2;
    }
    if tokens.get(at).is_none_or(|token| token != "{") {
        if level == 0 {
            found.push(tokens[at].clone());
        }
        // Names below the first one say nothing about layers, but groups among them are stepped over.
        at += 1;
        while tokens.get(at).is_some_and(|token| token == "::") {
            at = match tokens.get(at + 1).map(String::as_str) {
                Some("{") => closing(tokens, at + 1) + 1,
                _ => at + 2,
            };
        }
        return at;
    }
    let end = closing(tokens, at);
    at += 1;
    while at < end {
        at = match tokens[at].as_str() {
            "," => at + 1,
            "as" => at + 2,
            _ => collect(tokens, at, level, found),
        };
    }
    end + 1
}

fn forgets(tokens: &[String]) -> bool {
    tokens.windows(4).any(|w| w[0] == "." && w[1] == "forget" && w[2] == "(" && w[3] == ")")
        || tokens.windows(3).any(|w| w[0] == "mem" && w[1] == "::" && w[2] == "forget")
}

fn exported_mut_self(tokens: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| *token == "impl") {
        if !attributes_before(tokens, at).iter().any(|token| token == "wasm_bindgen") {
            continue;
        }
        let Some(open) = (at..tokens.len()).find(|&i| tokens[i] == "{") else { continue };
        let body = &tokens[open..=closing(tokens, open)];
        for (i, _) in body.windows(3).enumerate().filter(|(_, w)| w[0] == "&" && w[1] == "mut" && w[2] == "self") {
            let name = body[..i].iter().rposition(|token| token == "fn").map_or("?", |f| &body[f + 1]);
            faults.push(format!("exports a method that takes &mut self: {name}"));
        }
    }
    faults
}

/// The tokens of the attributes that stand directly before `at`.
fn attributes_before(tokens: &[String], at: usize) -> &[String] {
    let mut start = at;
    while start > 0 && tokens[start - 1] == "]" {
        let mut open = 0;
        let Some(bracket) = (0..start).rev().find(|&i| {
            open += match tokens[i].as_str() {
                "]" => 1,
                "[" => -1,
                _ => 0,
            };
            open == 0
        }) else {
            break;
        };
        start = bracket.saturating_sub(1);
    }
    &tokens[start..at]
}

/// The index of the brace that closes the one at `open`.
fn closing(tokens: &[String], open: usize) -> usize {
    let mut level = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "{" => level += 1,
            "}" => level -= 1,
            _ => {}
        }
        if level == 0 {
            return at;
        }
    }
    panic!("a brace is never closed");
}

/// Names, `::` and single characters; comments, strings, character literals and lifetimes left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let starts = |at: usize, what: &str| what.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let is_name = |at: usize| chars.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if starts(at, "//") {
            at = (at..chars.len()).find(|&i| chars[i] == '\n').unwrap_or(chars.len());
        } else if starts(at, "/*") {
            let mut level = 1;
            at += 2;
            while level > 0 && at < chars.len() {
                match (starts(at, "/*"), starts(at, "*/")) {
                    (true, _) => (level, at) = (level + 1, at + 2),
                    (_, true) => (level, at) = (level - 1, at + 2),
                    _ => at += 1,
                }
            }
        } else if chars[at] == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if chars[at] == '\'' {
            // A lifetime has no closing quote right after its first character.
            at = match chars.get(at + 1) {
                Some('\\') => (at + 3..chars.len()).find(|&i| chars[i] == '\'').map_or(chars.len(), |end| end + 1),
                _ if chars.get(at + 2) == Some(&'\'') => at + 3,
                _ => (at + 1..).find(|&i| !is_name(i)).unwrap_or(chars.len()),
            };
        } else if is_name(at) {
            let end = (at..).find(|&i| !is_name(i)).unwrap_or(chars.len());
            let name: String = chars[at..end].iter().collect();
            at = end;
            let hashes = (end..).take_while(|&i| chars.get(i) == Some(&'#')).count();
            if ["r", "br", "cr"].contains(&name.as_str()) && chars.get(end + hashes) == Some(&'"') {
                let close = format!("\"{}", "#".repeat(hashes));
                at = (end + hashes + 1..chars.len()).find(|&i| starts(i, &close)).map_or(chars.len(), |i| i + close.len());
            } else if !(["b", "c"].contains(&name.as_str()) && chars.get(end) == Some(&'"')) {
                found.push(name);
            }
        } else if starts(at, "::") {
            found.push("::".into());
            at += 2;
        } else {
            if !chars[at].is_whitespace() {
                found.push(chars[at].to_string());
            }
            at += 1;
        }
    }
    found
}
