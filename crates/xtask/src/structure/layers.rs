//! The directions of imports, of the core's folders and of the daemon's, and between the packages.

use std::path::Path;

use super::source::Source;

/// The package that a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    Core,
    Model,
    Daemon,
}

/// Where a file stands: its package and its module path, empty for the crate's root.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    pub package: Package,
    pub module: Vec<String>,
}

/// Which of our packages a package may not name. The daemon knows both, they know neither it nor each other.
const FOREIGN: [(Package, [&str; 2]); 2] =
    [(Package::Core, ["recap_model", "recapd"]), (Package::Model, ["recap_core", "recapd"])];

/// The core's folders. A folder imports from lower ranks alone; equals do not know each other.
const CORE: [(&str, u8); 8] = [
    ("prompt", 0),
    ("secrets", 0),
    ("tokens", 0),
    ("trajectory", 1),
    ("compress", 2),
    ("playbook", 2),
    ("context", 3),
    ("tuning", 4),
];

/// What every part of the daemon may use: they import nothing but each other.
const FOUNDATION: u8 = 0;
const WORLD: u8 = 1;
const USE_CASES: u8 = 2;
const SURFACES: u8 = 3;

/// The daemon's folders. A folder imports from lower ranks; of its own rank only surfaces and use cases know
/// each other. `app`, `lifecycle` and the crate's root put the parts together: surfaces know them too.
const DAEMON: [(&str, u8); 16] = [
    ("config", FOUNDATION),
    ("telemetry", FOUNDATION),
    ("tls", FOUNDATION),
    ("world", FOUNDATION),
    ("store", WORLD),
    ("llm", WORLD),
    ("models", WORLD),
    ("pipeline", USE_CASES),
    ("tune", USE_CASES),
    ("jobs", SURFACES),
    ("http", SURFACES),
    ("mcp", SURFACES),
    ("web", SURFACES),
    ("cli", SURFACES),
    ("app", SURFACES),
    ("lifecycle", SURFACES),
];

impl Place {
    /// Returns where a file stands, `None` for one that no direction binds.
    pub fn of(file: &Path) -> Option<Self> {
        let (package, inner) = if let Ok(inner) = file.strip_prefix("crates/recap-core/src") {
            (Package::Core, inner)
        } else if let Ok(inner) = file.strip_prefix("crates/recap-model/src") {
            (Package::Model, inner)
        } else {
            (Package::Daemon, file.strip_prefix("src").ok()?)
        };
        let mut module: Vec<String> =
            inner.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        let is_root = module.len() == 1 && module.first().is_some_and(|name| name == "lib" || name == "main");
        if is_root || module.last().is_some_and(|name| name == "mod") {
            module.pop();
        }
        Some(Self { package, module })
    }

    /// The top folder's name, `None` in the crate's root.
    pub fn folder(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }
}

fn rank(package: Package, folder: &str) -> Option<u8> {
    let table: &[(&str, u8)] = match package {
        Package::Core => &CORE,
        // It has no layers of its own.
        Package::Model => return None,
        Package::Daemon => &DAEMON,
    };
    table.iter().find(|(name, _)| *name == folder).map(|(_, rank)| *rank)
}

fn may_import(package: Package, from: &str, to: &str) -> bool {
    if from == to {
        return true;
    }
    let (Some(from), Some(to)) = (rank(package, from), rank(package, to)) else {
        return false;
    };
    let among_equals = package == Package::Daemon && from != WORLD;
    to < from || (to == from && among_equals)
}

/// Returns the imports of a file that go against the directions, one line each.
pub fn faults(place: &Place, file: &Path, source: &Source) -> Vec<String> {
    let mut faults = foreign_faults(place.package, file, source);
    if place.package != Package::Model {
        faults.extend(folder_faults(place, file, source));
    }
    faults
}

/// Names of packages count wherever they stand, because a path may be written out without a `use`.
fn foreign_faults(package: Package, file: &Path, source: &Source) -> Vec<String> {
    let names = FOREIGN.iter().filter(|(of, _)| *of == package).flat_map(|(_, names)| names);
    let hits = names.flat_map(|name| {
        let lines = source.code.lines().zip(1..);
        lines.filter(move |(line, _)| words(line).any(|word| word == *name)).map(move |(_, number)| (number, name))
    });
    hits.map(|(number, name)| format!("{}:{number}: this package may not know `{name}`", file.display())).collect()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|char: char| !char.is_alphanumeric() && char != '_')
}

/// Returns the imports between the folders of a package that go against the directions.
fn folder_faults(place: &Place, file: &Path, source: &Source) -> Vec<String> {
    let Some(from) = place.folder() else {
        return Vec::new();
    };
    let at = file.display();
    if rank(place.package, from).is_none() {
        return vec![format!("{at}: the folder `{from}` has no place in the table of layers; give it one")];
    }
    let fault = |import: &Import| -> Option<String> {
        let (line, to) = (import.line, import.name.as_str());
        if to.starts_with(char::is_uppercase) {
            return Some(format!("{at}:{line}: `{to}` comes through the crate's root; import it from its module"));
        }
        let known = rank(place.package, to).is_some() || !import.is_leaf;
        (known && !may_import(place.package, from, to)).then(|| format!("{at}:{line}: `{from}` may not import `{to}`"))
    };
    imports(&place.module, &source.code).iter().filter_map(fault).collect()
}

/// A first segment after the crate's root. A leaf has no segment after it: a module itself, or a macro or
/// function of the root.
#[derive(Debug, PartialEq, Eq)]
struct Import {
    line: usize,
    name: String,
    is_leaf: bool,
}

/// Finds every path that starts at the crate's root, by `crate::` or by enough `super::`.
fn imports(module: &[String], code: &str) -> Vec<Import> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let (before, path) = code.split_at_checked(at).unwrap_or((code, ""));
        if !ends_in_word(before) {
            read_path(before, path.trim_start_matches("crate::"), &mut found);
        }
    }
    for (at, _) in code.match_indices("super::") {
        let (before, path) = code.split_at_checked(at).unwrap_or((code, ""));
        let mut rest = path;
        let mut ups = 0;
        while let Some(next) = rest.strip_prefix("super::") {
            (rest, ups) = (next, ups + 1);
        }
        if ups == module.len() && !ends_in_word(before) && !before.ends_with("super::") {
            read_path(before, rest, &mut found);
        }
    }
    found
}

fn ends_in_word(text: &str) -> bool {
    text.chars().next_back().is_some_and(|char| char.is_alphanumeric() || char == '_' || char == '$')
}

/// Reads the first segment of a path, or of each path of a braced group.
fn read_path(before: &str, path: &str, found: &mut Vec<Import>) {
    let line = 1 + before.matches('\n').count();
    let Some(group) = path.strip_prefix('{') else {
        found.extend(first_segment(line, path));
        return;
    };
    let (mut depth, mut begins) = (0_usize, true);
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            _ if begins && depth == 0 && !char.is_whitespace() => {
                begins = false;
                let (over, rest) = group.split_at_checked(at).unwrap_or((group, ""));
                found.extend(first_segment(line + over.matches('\n').count(), rest));
            }
            _ => {}
        }
    }
}

fn first_segment(line: usize, path: &str) -> Option<Import> {
    let end = path.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(path.len());
    let (name, rest) = path.split_at_checked(end)?;
    (!name.is_empty()).then(|| Import { line, name: name.to_owned(), is_leaf: !rest.starts_with("::") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, text: &str) -> Vec<String> {
        let file = Path::new(file);
        faults(&Place::of(file).unwrap(), file, &Source::read(text))
    }

    #[test]
    fn places_follow_from_paths() {
        let module = |file: &str| Place::of(Path::new(file)).map(|place| (place.package, place.module.join("::")));
        assert_eq!(module("src/http/compat/openai.rs"), Some((Package::Daemon, "http::compat::openai".into())));
        assert_eq!(module("src/http/mod.rs"), Some((Package::Daemon, "http".into())));
        assert_eq!(module("src/main.rs"), Some((Package::Daemon, String::new())));
        assert_eq!(module("src/cli/main.rs"), Some((Package::Daemon, "cli::main".into())));
        assert_eq!(module("crates/recap-core/src/lib.rs"), Some((Package::Core, String::new())));
        assert_eq!(module("crates/xtask/src/main.rs"), None);
    }

    #[test]
    fn the_core_imports_leftwards() {
        assert!(
            check("crates/recap-core/src/context/plan.rs", "use crate::{tokens::Counter, compress, playbook::Bullet};")
                .is_empty()
        );
        let faults = check("crates/recap-core/src/trajectory/turn.rs", "use crate::tokens::A;\nuse crate::context::B;");
        assert_eq!(faults, ["crates/recap-core/src/trajectory/turn.rs:2: `trajectory` may not import `context`"]);
        assert_eq!(check("crates/recap-core/src/playbook/mod.rs", "use crate::compress::A;").len(), 1);
    }

    #[test]
    fn the_daemon_imports_towards_the_core() {
        assert!(
            check("src/http/context.rs", "use crate::{app::App, pipeline::serve, config::Config, jobs};").is_empty()
        );
        assert!(check("src/tune/mod.rs", "use crate::pipeline::compress;").is_empty());
        assert_eq!(
            check("src/store/mod.rs", "fn f() { crate::llm::call() }"),
            ["src/store/mod.rs:1: `store` may not import `llm`"]
        );
        assert_eq!(check("src/llm/mod.rs", "use crate::store;").len(), 1);
        assert_eq!(check("src/pipeline/ingest.rs", "use crate::http::Problem;").len(), 1);
        assert_eq!(check("src/config/mod.rs", "use crate::store::Engine;").len(), 1);
        assert!(check("src/main.rs", "use crate::cli; use recapd::App;").is_empty());
    }

    #[test]
    fn the_models_know_nothing_of_ours() {
        assert!(
            check("crates/recap-model/src/bert/mod.rs", "use crate::device::Device; use candle_core::Tensor;")
                .is_empty()
        );
        assert_eq!(
            check("crates/recap-model/src/lib.rs", "mod a;\nuse recap_core::tokens::Tokens;"),
            ["crates/recap-model/src/lib.rs:2: this package may not know `recap_core`"]
        );
        assert_eq!(check("crates/recap-model/src/bert.rs", "fn f() { recapd::app::run() }").len(), 1);
        assert_eq!(check("crates/recap-core/src/lib.rs", "pub use recap_model::Encoder;").len(), 1);
        assert_eq!(check("crates/recap-core/src/tokens/mod.rs", "// recap_model\nlet my_recapd = 1;").len(), 0);
        assert!(check("src/llm/mod.rs", "use recap_model::Encoder; use recap_core::tokens::A;").is_empty());
    }

    #[test]
    fn groups_are_read_over_lines_and_depths() {
        let text = "use crate::{\n    config::{A, B},\n    http::{\n        self, C,\n    },\n    world,\n};";
        assert_eq!(check("src/store/mod.rs", text), ["src/store/mod.rs:3: `store` may not import `http`"]);
    }

    #[test]
    fn super_is_followed_to_the_root() {
        assert_eq!(check("src/store/turns/read.rs", "use super::super::super::llm::Model;").len(), 1);
        assert!(check("src/store/turns/read.rs", "use super::super::llm::Model;").is_empty());
        assert_eq!(check("src/store/mod.rs", "use super::llm::Model;").len(), 1);
    }

    #[test]
    fn the_root_is_no_way_around() {
        assert_eq!(check("src/store/mod.rs", "use crate::Model;").len(), 1);
        assert!(check("src/store/mod.rs", "crate::describe!(x); pub(crate) fn f() {} my_crate::llm::x();").is_empty());
    }

    #[test]
    fn a_folder_without_a_place_is_a_fault() {
        assert!(check("src/helpers/mod.rs", "").first().unwrap().contains("has no place"));
        assert_eq!(check("src/store/mod.rs", "use crate::helpers::x;").len(), 1);
    }
}
