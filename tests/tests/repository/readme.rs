//! Every README says what is so: its examples are those that are tested, its tables are those of the HCL and of
//! the cost model, its targets are those of the Makefile, and what it links to is there.
//!
//! Behind each `<!-- … -->` stands what this test finds in the code. After a change, write it there with
//! `UPDATE_README=1 cargo test -p end-to-end --test repository`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use hcl::{Block, Body, Expression, TemplateExpr};
use local_cloud::repository;

#[test]
fn the_examples_and_the_tables_are_those_of_the_code() {
    for path in readmes() {
        let found = fs::read_to_string(&path).unwrap();
        let expected = fill(&found);
        if env::var_os("UPDATE_README").is_some() {
            fs::write(&path, &expected).unwrap();
        } else {
            assert!(
                found == expected,
                "{} lags behind: UPDATE_README=1 cargo test -p end-to-end --test repository",
                path.display()
            );
        }
    }
}

#[test]
fn the_readme_uses_the_module_as_the_tested_example_does() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let shown = readme.split("```hcl\n").nth(1).unwrap().split("```").next().unwrap();
    let tested = fs::read_to_string(repository().join("examples/minimal/main.tf")).unwrap();
    let arguments = |text: &str| {
        let body: Body = hcl::parse(text).unwrap();
        let module = body.into_blocks().find(|block| block.identifier.as_str() == "module").unwrap();
        // Where the module and the packages are is the reader's own.
        let arguments = module.body.attributes().filter(|argument| argument.key.as_str() != "source");
        let arguments = arguments.map(|argument| format!("{} = {}", argument.key, line(&argument.expr)));
        let text = arguments.collect::<Vec<_>>().join("\n");
        text.split("package = \"").enumerate().fold(String::new(), |all, (number, part)| {
            all + if number == 0 { part } else { part.split_once('"').unwrap().1 }
        })
    };
    assert_eq!(arguments(shown), arguments(&tested));
}

#[test]
fn every_target_that_is_named_exists() {
    let makefile = fs::read_to_string(repository().join("Makefile")).unwrap();
    let mut named = 0;
    for path in readmes() {
        let text = fs::read_to_string(&path).unwrap();
        // In code alone: elsewhere, "make" is a word.
        for code in text.split('`').flat_map(|code| code.split('\n')) {
            let Some(rest) = code.trim().strip_prefix("make ") else { continue };
            let target = rest.split([' ', ')', ';']).next().unwrap();
            if target.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
                assert!(
                    makefile.contains(&format!("\n{target}: ")),
                    "{}: there is no target {target}",
                    path.display()
                );
                named += 1;
            }
        }
    }
    assert!(named > 5, "{named}");
}

/// The commands that somebody runs all the time, and where.
const RUN: [(&str, &str, &str); 2] = [
    ("make dev", "tests/end_to_end/dev.rs", "it_starts_updates_and_stops_all"),
    ("make test", ".ci/run", "\nmake test || {\n"),
];

#[test]
fn every_command_is_run_or_says_what_it_needs() {
    let mut commands = 0;
    for path in readmes() {
        let text = fs::read_to_string(&path).unwrap();
        let parts: Vec<_> = text.split("```").collect();
        for part in parts.chunks_exact(2) {
            let needs =
                part[0].trim_end().lines().last().is_some_and(|line| line.starts_with("<!-- needs: "));
            let Some(block) = part[1].strip_prefix("sh\n") else { continue };
            // Those of the examples are run by their end-to-end tests.
            if needs || path.starts_with(repository().join("examples")) {
                continue;
            }
            for line in block.lines() {
                let command = line.split('#').next().unwrap().trim();
                let run = RUN.iter().find(|(run, ..)| *run == command);
                let (_, file, proof) =
                    run.unwrap_or_else(|| panic!("{}: nobody runs {command:?}", path.display()));
                assert!(fs::read_to_string(repository().join(file)).unwrap().contains(proof), "{file}");
                commands += 1;
            }
        }
    }
    assert!(commands > 2, "{commands}");
}

#[test]
fn what_is_linked_to_is_there() {
    let mut links = 0;
    for path in readmes() {
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (target, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if target.is_empty() { path.clone() } else { path.parent().unwrap().join(target) };
            assert!(file.exists(), "{} links to {target}, which is not there", path.display());
            let has = anchor.is_empty() || anchors(&fs::read_to_string(file).unwrap()).contains(anchor);
            assert!(has, "{} links to {target}#{anchor}: there is no such heading", path.display());
            links += 1;
        }
    }
    assert!(links > 10, "{links}");
}

/// The headings of a text, as links name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let name = |heading: &str| {
        let kept = heading.chars().filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(name).collect()
}

/// The checkout's own texts, the documentation, and the READMEs of the modules, examples and clients.
fn readmes() -> Vec<PathBuf> {
    let list = |folder: &str| {
        let entries = fs::read_dir(repository().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let folders =
        ["modules", "examples", "clients"].into_iter().flat_map(list).map(|folder| folder.join("README.md"));
    let texts = ["", "docs", "bench", "tests"].into_iter().flat_map(list);
    let texts = texts.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    texts.chain(folders.filter(|path| path.exists())).collect()
}

/// The text with what follows each marker, up to the next blank line before other text, made anew.
fn fill(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("<!-- ") {
        let end = at + rest[at..].find(" -->").unwrap();
        let (kind, place) = rest[at + 5..end].split_once(": ").unwrap();
        let content = match kind {
            "example" => {
                let language = if place.ends_with(".tf") { "hcl" } else { "js" };
                format!("```{language}\n{}```\n", fs::read_to_string(repository().join(place)).unwrap())
            }
            "inputs" => inputs(&repository().join(place)),
            "outputs" => outputs(&repository().join(place)),
            "files" => files(&repository().join(place)),
            "costs" => bench::cost::table(),
            "end" | "needs" | "times" => {
                filled.push_str(&rest[..end + 4]);
                rest = &rest[end + 4..];
                continue;
            }
            unknown => panic!("an unknown marker: {unknown}"),
        };
        write!(filled, "{} -->\n{content}", &rest[..end]).unwrap();
        let closing = rest[end..].find("<!-- end: ").unwrap_or_else(|| panic!("no <!-- end: {kind} -->"));
        rest = &rest[end + closing..];
    }
    filled + rest
}

/// The Rust files of a folder, with the first paragraph of each one's own words.
fn files(folder: &Path) -> String {
    let mut table = "| file | what it is |\n|---|---|\n".to_owned();
    let paths: BTreeSet<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let text = fs::read_to_string(path).unwrap();
        let words = text.lines().map_while(|line| line.strip_prefix("//! "));
        let words: Vec<_> = words.collect();
        writeln!(table, "| `{}` | {} |", path.file_name().unwrap().to_str().unwrap(), words.join(" "))
            .unwrap();
    }
    table
}

fn blocks(file: &Path, kind: &str) -> Vec<Block> {
    let body: Body = hcl::parse(&fs::read_to_string(file).unwrap()).unwrap();
    body.into_blocks().filter(|block| block.identifier.as_str() == kind).collect()
}

fn attribute<'a>(block: &'a Block, name: &str) -> Option<&'a Expression> {
    block.body.attributes().find(|attribute| attribute.key.as_str() == name).map(|attribute| &attribute.expr)
}

fn description(block: &Block) -> String {
    match attribute(block, "description").unwrap() {
        Expression::String(text) => text.clone(),
        Expression::TemplateExpr(template) => match template.as_ref() {
            TemplateExpr::Heredoc(heredoc) => heredoc.template.clone(),
            TemplateExpr::QuotedString(text) => text.clone(),
        },
        other => panic!("a description is a string: {other:?}"),
    }
}

/// What a description says of a field, in the line that begins with its name.
fn of_field<'a>(description: &'a str, field: &str) -> &'a str {
    let start = format!("- `{field}`: ");
    let line = description.lines().find_map(|line| line.trim_start().strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no line {start:?} in {description:?}"))
}

/// The fields of an input of type `any`, by the lines of its description: - `name` (default): what it is.
fn untyped_fields<'a>(type_: &str, description: &'a str) -> Vec<(&'a str, &'a str, &'a str)> {
    let lines = description.lines().filter(|_| type_ == "any");
    lines
        .filter_map(|line| {
            let (name, rest) = line.trim_start().strip_prefix("- `")?.split_once("` (")?;
            let (default, what) = rest.split_once("): ")?;
            Some((name, default, what))
        })
        .collect()
}

/// A description's first paragraph, on one line.
fn summary(description: &str) -> String {
    let first = description.trim_start().split("\n\n").next().unwrap();
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn inputs(module: &Path) -> String {
    let mut table = "| input | what it is | type | default |\n|---|---|---|---|\n".to_owned();
    for block in blocks(&module.join("variables.tf"), "variable") {
        let name = block.labels[0].as_str();
        let default =
            attribute(&block, "default").map_or("required".to_owned(), |value| format!("`{}`", line(value)));
        let type_ = attribute(&block, "type").unwrap();
        let fields = fields(type_);
        let short = short(&line(type_));
        let description = description(&block);
        writeln!(table, "| `{name}` | {} | `{short}` | {default} |", summary(&description)).unwrap();
        for (field, default, what) in untyped_fields(&short, &description) {
            writeln!(table, "| `{name}.{field}` | {what} | `any` | `{default}` |").unwrap();
        }
        for (field, type_, default) in fields {
            let (path, what) = (path(type_is_map(&block), &field), of_field(&description, &field));
            writeln!(table, "| `{name}{path}` | {what} | `{type_}` | {default} |").unwrap();
        }
    }
    table
}

fn outputs(module: &Path) -> String {
    let mut table = "| output | what it is |\n|---|---|\n".to_owned();
    for block in blocks(&module.join("outputs.tf"), "output") {
        writeln!(table, "| `{}` | {} |", block.labels[0].as_str(), summary(&description(&block))).unwrap();
    }
    table
}

fn type_is_map(block: &Block) -> bool {
    line(attribute(block, "type").unwrap()).starts_with("map(")
}

fn path(map: bool, field: &str) -> String {
    if map { format!("[*].{field}") } else { format!(".{field}") }
}

/// A type without the fields of the objects in it.
fn short(type_: &str) -> String {
    let Some(start) = type_.find("object({") else { return type_.to_owned() };
    let mut depth = 0;
    let end = type_[start..].find(|sign| {
        depth += match sign {
            '(' => 1,
            ')' => -1,
            _ => return false,
        };
        depth == 0
    });
    let rest = &type_[start + end.unwrap() + 1..];
    format!("{}object{}", &type_[..start], short(rest))
}

/// The fields of an object type, or of a map of objects: name, type, default.
fn fields(type_: &Expression) -> Vec<(String, String, String)> {
    let Expression::FuncCall(call) = type_ else { return Vec::new() };
    match (call.name.name.as_str(), call.args.as_slice()) {
        ("map", [inner]) => fields(inner),
        ("object", [Expression::Object(object)]) => object
            .iter()
            .map(|(name, type_)| {
                let Expression::FuncCall(call) = type_ else {
                    return (name.to_string(), line(type_), "required".to_owned());
                };
                match (call.name.name.as_str(), call.args.as_slice()) {
                    ("optional", [type_]) => (name.to_string(), short(&line(type_)), "`null`".to_owned()),
                    ("optional", [type_, default]) => {
                        (name.to_string(), short(&line(type_)), format!("`{}`", line(default)))
                    }
                    _ => (name.to_string(), line(type_), "required".to_owned()),
                }
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// An expression as HCL, on one line.
fn line(expression: &Expression) -> String {
    let text = hcl::format::to_string(expression).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("{ }", "{}")
}
