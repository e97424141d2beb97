//! The words of which the file paths are made. Must hold no logic: the order of the words and their number
//! decide the keys, and so every result.

#![forbid(unsafe_code)]

pub const USERS: [&str; 6] = ["anna", "build", "jonas", "m.okafor", "priya", "yuki"];

pub const PROJECTS: [&str; 24] = [
    "atlas", "beacon", "billing", "blog", "canvas", "dotfiles", "engine", "firmware", "gateway", "harbor",
    "homepage", "importer", "kernel", "lexer", "mailer", "maps", "notes", "parser", "photos", "player",
    "scraper", "shop", "thesis", "website",
];

/// The parts of a project that lie side by side in its folder.
pub const PARTS: [&str; 12] = [
    "src",
    "tests",
    "docs",
    "lib",
    "examples",
    "tools",
    "include",
    "benches",
    "assets",
    "scripts",
    "cmd",
    "third_party",
];

/// The folders of source trees, the usual ones first.
pub const FOLDERS: [&str; 40] = [
    "util",
    "core",
    "internal",
    "common",
    "api",
    "types",
    "test",
    "model",
    "client",
    "server",
    "config",
    "data",
    "components",
    "views",
    "io",
    "net",
    "fixtures",
    "helpers",
    "handlers",
    "storage",
    "cache",
    "parser",
    "render",
    "auth",
    "cli",
    "errors",
    "generated",
    "hooks",
    "index",
    "layout",
    "metrics",
    "middleware",
    "platform",
    "plugins",
    "queue",
    "schema",
    "session",
    "templates",
    "v2",
    "widgets",
];

/// The stems of files in source trees, the usual ones first.
pub const STEMS: [&str; 48] = [
    "mod",
    "index",
    "main",
    "util",
    "types",
    "lib",
    "test",
    "config",
    "error",
    "client",
    "helpers",
    "server",
    "options",
    "parser",
    "common",
    "state",
    "context",
    "reader",
    "writer",
    "build",
    "buffer",
    "cache",
    "command",
    "constants",
    "decode",
    "encode",
    "entry",
    "event",
    "factory",
    "format",
    "handler",
    "header",
    "iterator",
    "key",
    "layout",
    "list",
    "manager",
    "node",
    "path",
    "queue",
    "record",
    "request",
    "response",
    "session",
    "stream",
    "table",
    "token",
    "worker",
];

/// What the files of a language end with, the usual ends first.
pub const LANGUAGES: [&[&str]; 6] = [
    &["rs", "rs", "md"],
    &["ts", "tsx", "test.ts", "css", "json"],
    &["js", "d.ts", "js.map", "json", "md"],
    &["py", "py", "pyi"],
    &["c", "h", "o", "d"],
    &["go", "go", "_test.go"],
];

pub const TOP_FILES: [&str; 8] =
    ["README.md", "LICENSE", ".gitignore", "Makefile", "CHANGELOG.md", ".editorconfig", "TODO", "setup.cfg"];

/// The first halves of the names of packages that projects bring along.
pub const PACKAGE_HEADS: [&str; 20] = [
    "is",
    "array",
    "string",
    "async",
    "fast",
    "regex",
    "lodash",
    "color",
    "glob",
    "stream",
    "babel-plugin",
    "eslint-plugin",
    "object",
    "path",
    "postcss",
    "tiny",
    "unicode",
    "vite",
    "web",
    "yaml",
];

pub const PACKAGE_TAILS: [&str; 24] = [
    "buffer",
    "utils",
    "parse",
    "loader",
    "merge",
    "string",
    "glob",
    "core",
    "runtime",
    "match",
    "stream",
    "flatten",
    "from",
    "types",
    "cache",
    "keys",
    "walk",
    "errors",
    "queue",
    "resolve",
    "split",
    "transform",
    "width",
    "wrap",
];

pub const PACKAGE_PARTS: [&str; 5] = ["dist", "lib", "src", "build", "cjs"];

pub const PLACES: [&str; 12] = [
    "",
    "",
    "",
    " garden",
    " wedding",
    " Lisbon",
    " hike",
    " birthday",
    " snow",
    " Kyoto",
    " harbour",
    " cats",
];

pub const MAILBOXES: [&str; 7] =
    ["INBOX", "Sent", "Archive", "lists.kernel", "lists.rust", "receipts", "Trash"];

pub const SHELVES: [&str; 10] =
    ["Tax", "Insurance", "University", "Letters", "Contracts", "Recipes", "Flat", "Health", "Work", "Scans"];

pub const PAPERS: [&str; 16] = [
    "invoice",
    "statement",
    "letter",
    "form",
    "receipt",
    "notes",
    "draft",
    "final",
    "summary",
    "report",
    "application",
    "certificate",
    "plan",
    "offer",
    "reminder",
    "list",
];

pub const PAPER_ENDS: [&str; 5] = ["pdf", "odt", "docx", "txt", "xlsx"];

pub const CACHES: [&str; 8] =
    ["thumbnails", "fonts", "pip", "browser", "icons", "shaders", "previews", "downloads"];
