//! Checks the architecture: modules import only from lower levels, and there
//! are no import cycles. Code under `cfg(test)` is exempt.
//!
//! `src/bin` is not read: it is another crate and sees only the public API. Nor is
//! `src/guide`, which is documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fmt, fs};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The levels from the ground up. A module imports only from levels below its
/// own. The crate's root only re-exports, and may import everything.
const LEVELS: &[&[&str]] = &[
    &["secret", "clock", "webauthn"],
    &["error", "types", "single_flight"],
    &["user_key", "page", "retry", "environment"],
    &["http"],
    &["transport", "observer"],
    &["token"],
    &["client"],
    &["config"],
    &["endpoints"],
    &["proof"],
    &["flow", "emulator", "fuzzing"],
];

/// The levels within the emulator. Other modules there, and its root, are on top.
const EMULATOR_LEVELS: &[&[&str]] = &[
    &["sync", "message"],
    &["model"],
    &["api", "person"],
    &["control"],
    &["service"],
    &["http"],
];

#[test]
fn every_module_imports_only_from_lower_levels() {
    let violations = Imports::of(&sources()).level_violations();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn every_module_has_a_level_and_every_level_has_its_modules() {
    let modules = Imports::of(&sources()).modules;
    let top: BTreeSet<_> = modules.iter().filter_map(ModulePath::first).collect();
    let known: BTreeSet<_> = LEVELS.iter().copied().flatten().copied().collect();
    assert_eq!(top, known, "modules in src, and in the levels");
    for folder in EMULATOR_LEVELS.iter().copied().flatten() {
        let path = ModulePath::from(&format!("emulator::{folder}"));
        assert!(modules.contains(&path), "there is no {path}");
    }
}

#[test]
fn no_modules_import_each_other_in_a_cycle() {
    assert_eq!(Imports::of(&sources()).cycle(), None);
}

#[test]
fn a_planted_upward_import_is_found() {
    let before = Imports::of(&sources()).level_violations();
    for (file, import, expected) in [
        ("error.rs", "use crate::client::Client;", "error -> client"),
        // Through a re-export of the root, in a path, in braces, in a macro.
        ("secret.rs", "use crate::Client;", "secret -> client"),
        (
            "types.rs",
            "fn f() -> crate::users::User { todo!() }",
            "types -> endpoints::users",
        ),
        (
            "http/url.rs",
            "use crate::{error::{self}, token::{TokenStore as T}};",
            "http::url -> token",
        ),
        (
            "transport/proxy.rs",
            "fn f() { vec![super::super::flow::WaitPolicy::new()]; }",
            "transport::proxy -> flow",
        ),
        // Modules of one level do not import each other either.
        ("clock.rs", "use crate::secret::Secret;", "clock -> secret"),
    ] {
        let is_expected = |found: &String| found.starts_with(expected);
        assert!(!before.iter().any(is_expected), "{expected} already exists");
        let mut sources = sources();
        let source = sources.get_mut(file).expect("an existing file");
        source.push_str(import);
        let violations = Imports::of(&sources).level_violations();
        assert!(violations.iter().any(is_expected), "{import} in {file}");
    }
}

#[test]
fn a_planted_cycle_is_found() {
    let mut sources = sources();
    let source = sources.get_mut("http/url.rs").expect("an existing file");
    source.push_str("use super::request::Request;");
    let cycle = Imports::of(&sources).cycle().expect("a cycle");
    assert!(cycle.contains("http::url -> http::request"), "{cycle}");
}

#[test]
fn test_code_is_exempt() {
    for code in [
        "#[cfg(test)] mod tests { use crate::client::Client; }",
        "#[cfg(all(test, unix))] use crate::{client::{Client}, error::Error};",
        "#[cfg(test)] impl<A, B> X { fn f() { crate::client::f(); } }",
        "struct S { #[cfg(test)] hook: Option<crate::client::Client> }",
        "fn f() { #[cfg(test)] crate::client::f(); }",
        "/// See [`crate::client`]. \n // crate::client::x \n const A: &str = \"crate::client::x\";",
    ] {
        assert_eq!(imports("secret.rs", code), "", "{code}");
    }
    for code in [
        "#[cfg(not(test))] use crate::client::Client;",
        "#[cfg(any(test, unix))] use crate::client::Client;",
        "#[cfg(test)] use crate::error::Error; use crate::client::Client;",
        "struct S { #[cfg(test)] hook: u8, client: crate::client::Client }",
    ] {
        assert_eq!(imports("secret.rs", code), "secret -> client", "{code}");
    }
    let sources = BTreeMap::from([
        (
            "lib.rs".into(),
            "#[cfg(test)] mod secret; mod client;".into(),
        ),
        ("secret.rs".into(), "mod inner;".into()),
        (
            "secret/inner.rs".into(),
            "use crate::client::Client;".into(),
        ),
        ("client.rs".into(), String::new()),
    ]);
    assert!(Imports::of(&sources).edges.is_empty());
}

#[test]
fn imports_are_read_in_every_form() {
    for code in [
        "use crate::client;",
        "pub(crate) use crate::client::{self, Client};",
        "use crate::{secret::{self, b::{c}}, client::{x::{Y as _},},};",
        "use super::client::*;",
        "mod inline { use super::super::client::Client; }",
        "fn f() { let _ = self::super::client::Client::new; }",
        "impl From<crate::client::Client> for X {}",
        "macro_rules! m { () => { $crate::client::f() } }",
        "#[serde(with = \"crate::client::text\")] struct S;",
    ] {
        assert_eq!(imports("secret.rs", code), "secret -> client", "{code}");
    }
    // Another crate, a local name, and the keyword in another role.
    let code = "use ::client::X; use client::X; pub(crate) fn f() { client::g() }";
    assert_eq!(imports("secret.rs", code), "");
}

/// The imports of one file in a crate that has a module `client` as well.
fn imports(file: &str, code: &str) -> String {
    let sources = BTreeMap::from([
        ("lib.rs".to_owned(), String::new()),
        ("client.rs".to_owned(), String::new()),
        (file.to_owned(), code.to_owned()),
    ]);
    let imports = Imports::of(&sources);
    let edges = imports.edges.iter();
    let lines: Vec<_> = edges.map(|(from, to)| format!("{from} -> {to}")).collect();
    lines.join(", ")
}

/// The files under `src` by their paths in it.
fn sources() -> BTreeMap<String, String> {
    fn read(folder: &Path, prefix: &str, sources: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_str().expect("UTF-8");
            let inner = format!("{prefix}{name}");
            if path.is_dir() {
                if inner != "bin" && inner != "guide" {
                    read(&path, &format!("{inner}/"), sources);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                sources.insert(inner, text);
            }
        }
    }
    let mut sources = BTreeMap::new();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    read(&src, "", &mut sources);
    assert!(sources.len() > 50, "only {} files", sources.len());
    sources
}

// ---- what modules import ---------------------------------------------------

/// The path of a module from the crate's root, which is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct ModulePath(Vec<String>);

impl ModulePath {
    fn from(path: &str) -> Self {
        Self(path.split("::").map(str::to_owned).collect())
    }

    fn of_file(file: &str) -> Self {
        let path = file.trim_end_matches(".rs").replace('/', "::");
        match path.as_str() {
            "lib" => Self::default(),
            path => Self::from(path.strip_suffix("::mod").unwrap_or(path)),
        }
    }

    fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }

    fn child(&self, name: &str) -> Self {
        let mut path = self.clone();
        path.0.push(name.to_owned());
        path
    }

    fn parent(&self) -> Self {
        let mut path = self.clone();
        path.0.pop();
        path
    }

    /// Whether it is `other` or one of its descendants.
    fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.is_root() {
            "the root".to_owned()
        } else {
            self.0.join("::")
        };
        f.write_str(&path)
    }
}

/// Imports between the modules that have a file of their own.
struct Imports {
    modules: BTreeSet<ModulePath>,
    edges: BTreeSet<(ModulePath, ModulePath)>,
}

impl Imports {
    fn of(sources: &BTreeMap<String, String>) -> Self {
        let mut files = BTreeMap::new();
        for (file, text) in sources {
            let mut reader = Reader::default();
            let path = ModulePath::of_file(file);
            let tokens = text.parse().unwrap_or_else(|e| panic!("{file}: {e}"));
            reader.read(tokens, &path);
            files.insert(path, reader);
        }
        let of_tests: Vec<_> = files.values().flat_map(|f| f.of_tests.clone()).collect();
        files.retain(|path, _| !of_tests.iter().any(|of_tests| path.is_within(of_tests)));
        let modules: BTreeSet<_> = files.keys().cloned().collect();
        let names: BTreeMap<_, _> = files.values().flat_map(|f| f.names.clone()).collect();
        let mut edges = BTreeSet::new();
        for (from, file) in &files {
            for (module, path) in &file.paths {
                if let Some(to) = resolve(module, path, &modules, &names, 0)
                    && to != *from
                {
                    edges.insert((from.clone(), to));
                }
            }
        }
        Self { modules, edges }
    }

    fn level_violations(&self) -> Vec<String> {
        let edges = self.edges.iter();
        let upward = edges.filter(|(from, to)| !is_downward(from, to));
        upward.map(|(from, to)| format!("{from} -> {to}")).collect()
    }

    /// A cycle, if there is one. Imports between a module and its descendants do
    /// not count: a parent and its children are one unit.
    fn cycle(&self) -> Option<String> {
        fn visit(
            at: &ModulePath,
            next: &BTreeMap<&ModulePath, Vec<&ModulePath>>,
            done: &mut BTreeSet<ModulePath>,
            path: &mut Vec<ModulePath>,
        ) -> Option<String> {
            if let Some(start) = path.iter().position(|earlier| earlier == at) {
                let cycle = path[start..].iter().chain([at]);
                let cycle: Vec<_> = cycle.map(ToString::to_string).collect();
                return Some(cycle.join(" -> "));
            }
            if done.contains(at) {
                return None;
            }
            path.push(at.clone());
            for to in next.get(at).into_iter().flatten() {
                let found = visit(to, next, done, path);
                if found.is_some() {
                    return found;
                }
            }
            path.pop();
            done.insert(at.clone());
            None
        }
        let mut next: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (from, to) in &self.edges {
            if !from.is_within(to) && !to.is_within(from) {
                next.entry(from).or_default().push(to);
            }
        }
        let mut done = BTreeSet::new();
        self.modules
            .iter()
            .find_map(|module| visit(module, &next, &mut done, &mut Vec::new()))
    }
}

fn is_downward(from: &ModulePath, to: &ModulePath) -> bool {
    match (from.first(), to.first()) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some("emulator"), Some("emulator")) => {
            let folder = |path: &ModulePath| path.0.get(1).cloned();
            let (above, below) = (emulator_level(from), emulator_level(to));
            let are_on_top = below == EMULATOR_LEVELS.len() && above == below;
            folder(from) == folder(to) || above > below || are_on_top
        }
        (Some(a), Some(b)) => a == b || level(LEVELS, a) > level(LEVELS, b),
    }
}

fn level(levels: &[&[&str]], name: &str) -> Option<usize> {
    levels.iter().position(|level| level.contains(&name))
}

fn emulator_level(path: &ModulePath) -> usize {
    let folder = path.0.get(1);
    folder
        .and_then(|folder| level(EMULATOR_LEVELS, folder))
        .unwrap_or(EMULATOR_LEVELS.len())
}

/// A name that a module imports, and its path there.
type Names = BTreeMap<(ModulePath, String), Vec<String>>;

/// Returns the module that defines what `path` names in `module`, following
/// re-exports. `None` if that is in another crate.
fn resolve(
    module: &ModulePath,
    path: &[String],
    modules: &BTreeSet<ModulePath>,
    names: &Names,
    depth: usize,
) -> Option<ModulePath> {
    assert!(depth < 20, "{path:?} in {module} has no end");
    let (mut at, mut rest) = match path.split_first()? {
        (first, rest) if first == "crate" => (ModulePath::default(), rest),
        (first, rest) if first == "self" => (module.clone(), rest),
        (first, rest) if first == "super" => (module.parent(), rest),
        (first, rest) if modules.contains(&module.child(first)) => (module.child(first), rest),
        _ => return None,
    };
    while let Some((name, after)) = rest.split_first() {
        if name == "super" {
            at = at.parent();
        } else if modules.contains(&at.child(name)) {
            at = at.child(name);
        } else {
            let imported = names.get(&(at.clone(), name.clone()));
            let found = imported.and_then(|path| {
                let path = [path, after].concat();
                resolve(&at, &path, modules, names, depth + 1)
            });
            at = found.unwrap_or(at);
            break;
        }
        rest = after;
    }
    // A module in braces belongs to its file.
    while !at.is_root() && !modules.contains(&at) {
        at = at.parent();
    }
    Some(at)
}

// ---- reading source text ---------------------------------------------------

/// What the reader found in one file.
#[derive(Default)]
struct Reader {
    /// Every path that begins with `crate`, `self` or `super`, and every import,
    /// with the module it stands in.
    paths: Vec<(ModulePath, Vec<String>)>,
    names: Names,
    /// Modules that exist in tests only.
    of_tests: Vec<ModulePath>,
}

impl Reader {
    fn read(&mut self, tokens: TokenStream, module: &ModulePath) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at += self.read_one(&tokens[at..], module);
        }
    }

    /// Reads what stands first. Returns how many tokens that were.
    fn read_one(&mut self, tokens: &[TokenTree], module: &ModulePath) -> usize {
        if let Some((attribute, length)) = attribute(tokens) {
            if is_test_only(attribute) {
                return length + self.skip_item(&tokens[length..], module);
            }
            self.read_attribute(attribute, module);
            return length;
        }
        match &tokens[0] {
            TokenTree::Ident(word) if word == "use" => {
                let end = tokens.iter().position(|t| is_punct(t, ';'));
                let end = end.expect("a semicolon after an import");
                self.read_use(&tokens[1..end], &[], module);
                end + 1
            }
            TokenTree::Ident(word) if word == "mod" => match (tokens.get(1), tokens.get(2)) {
                (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) => {
                    self.read(body.stream(), &module.child(&name.to_string()));
                    3
                }
                _ => 1,
            },
            TokenTree::Ident(word) => {
                let starts = word == "crate" || word == "self" || word == "super";
                let path = simple_path(tokens);
                let length = 1 + 3 * (path.len() - 1);
                if starts && path.len() > 1 {
                    self.paths.push((module.clone(), path));
                }
                length
            }
            TokenTree::Group(group) => {
                self.read(group.stream(), module);
                1
            }
            _ => 1,
        }
    }

    /// Serde's attributes hold paths in strings.
    fn read_attribute(&mut self, attribute: &Group, module: &ModulePath) {
        for token in flat(attribute.stream()) {
            let TokenTree::Literal(literal) = token else {
                continue;
            };
            let text = literal.to_string();
            let text = text.trim_matches('"');
            let is_path = text.starts_with("crate::") || text.starts_with("super::");
            if let (true, Ok(tokens)) = (is_path, text.parse()) {
                self.read(tokens, module);
            }
        }
    }

    /// Reads the tree of an import, without `use` and semicolon.
    fn read_use(&mut self, tokens: &[TokenTree], prefix: &[String], module: &ModulePath) {
        let trees = tokens.split(|token| is_punct(token, ','));
        for tree in trees.filter(|tree| !tree.is_empty()) {
            let mut path = prefix.to_vec();
            let mut name = None;
            let mut rest = tree.iter();
            let mut has_end = true;
            while let Some(token) = rest.next() {
                match token {
                    TokenTree::Ident(word) if word == "as" => {
                        name = rest.next().map(ToString::to_string);
                    }
                    TokenTree::Ident(word) => path.push(word.to_string()),
                    TokenTree::Group(group) => {
                        let inner: Vec<_> = group.stream().into_iter().collect();
                        self.read_use(&inner, &path, module);
                        has_end = false;
                    }
                    TokenTree::Punct(punct) if punct.as_char() == '*' => name = Some("*".into()),
                    // Another crate's, as in `use ::http::Uri`.
                    TokenTree::Punct(_) if path.is_empty() => path.push("::".into()),
                    _ => {}
                }
            }
            if !has_end {
                continue;
            }
            if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                path.pop();
            }
            let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
            self.names.insert((module.clone(), name), path.clone());
            self.paths.push((module.clone(), path));
        }
    }

    /// Skips an item, a field, a variant or a statement. Returns how many tokens
    /// that were.
    fn skip_item(&mut self, tokens: &[TokenTree], module: &ModulePath) -> usize {
        let mut at = 0;
        while let Some((_, length)) = attribute(&tokens[at..]) {
            at += length;
        }
        let mut is_item = false;
        let mut is_use = false;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(word) => {
                    let word = word.to_string();
                    is_use |= word == "use";
                    is_item |= matches!(
                        word.as_str(),
                        "const"
                            | "enum"
                            | "fn"
                            | "impl"
                            | "macro_rules"
                            | "mod"
                            | "static"
                            | "struct"
                            | "trait"
                            | "type"
                            | "use"
                    );
                    if word == "mod"
                        && let Some(TokenTree::Ident(name)) = tokens.get(at + 1)
                    {
                        self.of_tests.push(module.child(&name.to_string()));
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => return at + 1,
                TokenTree::Punct(punct) if punct.as_char() == ',' && !is_item => return at + 1,
                TokenTree::Group(body) if body.delimiter() == Delimiter::Brace && !is_use => {
                    return at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        at
    }
}

/// The brackets of the attribute that stands first, and its length in tokens.
fn attribute(tokens: &[TokenTree]) -> Option<(&Group, usize)> {
    let is_hash = tokens.first().is_some_and(|token| is_punct(token, '#'));
    let length = match tokens.get(1)? {
        token if is_punct(token, '!') => 3,
        _ => 2,
    };
    match tokens.get(length - 1)? {
        TokenTree::Group(group) if is_hash && group.delimiter() == Delimiter::Bracket => {
            Some((group, length))
        }
        _ => None,
    }
}

/// Whether an attribute is a `cfg` that holds in tests only.
fn is_test_only(attribute: &Group) -> bool {
    let tokens: Vec<_> = attribute.stream().into_iter().collect();
    match &tokens[..] {
        [TokenTree::Ident(name), TokenTree::Group(condition)] if name == "cfg" => {
            implies_test(&condition.stream().into_iter().collect::<Vec<_>>())
        }
        _ => false,
    }
}

fn implies_test(condition: &[TokenTree]) -> bool {
    let parts = |group: &Group| -> Vec<bool> {
        let tokens: Vec<_> = group.stream().into_iter().collect();
        let parts = tokens.split(|token| is_punct(token, ','));
        parts.filter(|p| !p.is_empty()).map(implies_test).collect()
    };
    match condition {
        [TokenTree::Ident(name)] => name == "test",
        [TokenTree::Ident(name), TokenTree::Group(group)] if name == "all" => {
            parts(group).contains(&true)
        }
        [TokenTree::Ident(name), TokenTree::Group(group)] if name == "any" => {
            !parts(group).contains(&false)
        }
        _ => false,
    }
}

/// The path of names that stands first: one name or more.
fn simple_path(tokens: &[TokenTree]) -> Vec<String> {
    let mut path = vec![tokens[0].to_string()];
    let mut rest = &tokens[1..];
    while let [a, b, TokenTree::Ident(name), after @ ..] = rest {
        if !(is_punct(a, ':') && is_punct(b, ':')) {
            break;
        }
        path.push(name.to_string());
        rest = after;
    }
    path
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// All tokens, those in groups included.
fn flat(tokens: TokenStream) -> Vec<TokenTree> {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Group(group) => flat(group.stream()),
            token => vec![token],
        })
        .collect()
}
