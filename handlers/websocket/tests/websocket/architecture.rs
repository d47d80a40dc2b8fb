//! The library's folders: each uses only those below it, and no two files use each other.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// From above to below. What is in no folder is below them all.
const FOLDERS: [&str; 4] = ["lambda", "delivery", "store", "protocol"];

/// The files that each file uses, as in `store/registry`; a file's own folder is a part of it. Its tests do not count.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut uses = BTreeMap::<_, BTreeSet<_>>::new();
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.with_extension("");
            let name = file(name.strip_prefix(&source).unwrap().to_str().unwrap());
            if name == "lib" || name.ends_with("/mod") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().lines();
            let code: String = code.filter(|line| !line.trim_start().starts_with("//")).collect();
            let used = code.split("crate::").skip(1).flat_map(|rest| paths(rest).0);
            let used = used.map(|path| file(&path)).filter(|used| *used != name);
            uses.entry(name.clone()).or_default().extend(used);
        }
    }
    uses
}

/// All paths of a `use`, and what follows it.
fn paths(text: &str) -> (Vec<String>, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (segment, rest) = text.split_at(end);
    if let Some(rest) = rest.strip_prefix("::") {
        let (inner, rest) = paths(rest);
        return (inner.iter().map(|path| format!("{segment}/{path}")).collect(), rest);
    }
    let Some(mut rest) = rest.strip_prefix('{').map(str::trim_start) else {
        return (vec![segment.to_owned()], rest);
    };
    let mut all = vec![];
    loop {
        let (inner, after) = paths(rest);
        all.extend(inner);
        rest = after.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
        if let Some(rest) = rest.strip_prefix('}') {
            return (all, rest);
        }
    }
}

/// The file of a path: `store/registry` of `store/registry/Registry`, and `log` of `log/chain`.
fn file(path: &str) -> String {
    let depth = if FOLDERS.iter().any(|folder| path.starts_with(&format!("{folder}/"))) { 2 } else { 1 };
    path.split('/').take(depth).collect::<Vec<_>>().join("/")
}

fn floor(file: &str) -> usize {
    let folder = file.split('/').next();
    FOLDERS.iter().position(|name| Some(*name) == folder).unwrap_or(FOLDERS.len())
}

#[test]
fn a_folder_uses_only_those_below_it() {
    let uses = uses();
    assert!(uses["delivery/broadcaster"].contains("store/registry"), "{uses:#?}");
    assert!(uses["store/history"].contains("aws"), "{uses:#?}");
    for (file, used) in &uses {
        for used in used {
            assert!(floor(used) >= floor(file), "{file} uses {used}, which is above it");
            assert!(uses.contains_key(used), "{file} uses {used}: name the file in a folder that it is in");
        }
    }
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut left = uses();
    while let Some(file) = left
        .iter()
        .find(|(_, used)| used.iter().all(|used| !left.contains_key(used)))
        .map(|(file, _)| file.clone())
    {
        left.remove(&file);
    }
    assert!(left.is_empty(), "in circles, or above one: {left:#?}");
}
