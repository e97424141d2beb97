//! The words of which the paths of a collection are made. Must hold no logic: their order and number decide
//! the paths.

#![forbid(unsafe_code)]

pub const HEADS: [&str; 56] = [
    "amber", "arrow", "aspen", "atlas", "basalt", "beacon", "birch", "bolt", "brook", "cedar", "cinder",
    "clover", "cobalt", "comet", "copper", "coral", "crane", "delta", "ember", "fable", "falcon", "fern",
    "flint", "forge", "garnet", "granite", "harbor", "hazel", "heron", "indigo", "ivory", "jasper",
    "juniper", "kestrel", "lantern", "larch", "linden", "lumen", "maple", "marble", "meadow", "nimbus",
    "opal", "orchid", "pebble", "prism", "quartz", "raven", "rowan", "saffron", "slate", "sparrow",
    "thicket", "tundra", "willow", "zephyr",
];

pub const TAILS: [&str; 44] = [
    "archive", "audio", "bridge", "cache", "client", "codec", "color", "config", "core", "crypto", "daemon",
    "date", "diff", "editor", "engine", "events", "fetch", "format", "fs", "graph", "hash", "http", "image",
    "index", "io", "json", "kit", "loader", "log", "math", "mime", "net", "parser", "path", "query", "queue",
    "render", "router", "stream", "test", "text", "time", "tools", "utils",
];

/// What stands before the name of a source package, by the language it is written in.
pub const FAMILIES: [&str; 6] = ["", "lib", "golang-", "node-", "python-", "rust-"];

pub const SCOPES: [&str; 8] =
    ["@acme", "@babelfish", "@grove", "@harbour", "@northwind", "@saltmarsh", "@types", "@undergrowth"];

pub const SOURCES: [&str; 20] = [
    "cache",
    "cli",
    "client",
    "compile",
    "config",
    "constants",
    "context",
    "errors",
    "format",
    "helpers",
    "index",
    "merge",
    "options",
    "parse",
    "plugin",
    "resolve",
    "stream",
    "types",
    "utils",
    "validate",
];

pub const PLACES: [&str; 40] = [
    "Aarhus",
    "Alps",
    "Amsterdam",
    "Athens",
    "Azores",
    "Bergen",
    "Bologna",
    "Bornholm",
    "Brittany",
    "Cordoba",
    "Corfu",
    "Dolomites",
    "Dresden",
    "Edinburgh",
    "Garden",
    "Ghent",
    "Graz",
    "Hamburg",
    "Home",
    "Iceland",
    "Istria",
    "Krak\u{f3}w",
    "Lake Como",
    "Lisbon",
    "Ljubljana",
    "Lofoten",
    "Madeira",
    "Malm\u{f6}",
    "Naples",
    "Oslo",
    "Porto",
    "Prague",
    "R\u{fc}gen",
    "Sardinia",
    "Seville",
    "Trieste",
    "Vienna",
    "Vilnius",
    "Wedding",
    "Z\u{fc}rich",
];

pub const SERVICES: [&str; 12] = [
    "auth", "billing", "cart", "edge", "feed", "gateway", "mail", "orders", "search", "session", "upload",
    "web",
];

pub const NOUNS: [&str; 32] = [
    "Afternoon",
    "Avenue",
    "Boats",
    "Bridges",
    "Chimney",
    "Clouds",
    "Distance",
    "Echo",
    "Fields",
    "Garden",
    "Harvest",
    "Hours",
    "Island",
    "Ladder",
    "Letters",
    "Lights",
    "Machine",
    "Maps",
    "Meridian",
    "Mirror",
    "Morning",
    "Night",
    "Ocean",
    "Orchard",
    "Paper",
    "Rivers",
    "Salt",
    "Shadows",
    "Stations",
    "Summer",
    "Windows",
    "Winter",
];

pub const ADJECTIVES: [&str; 24] = [
    "Blue", "Borrowed", "Bright", "Broken", "Distant", "Early", "Electric", "Empty", "Golden", "Green",
    "Hidden", "Hollow", "Last", "Little", "Lost", "Northern", "Open", "Paper", "Quiet", "Red", "Second",
    "Silver", "Slow", "Wild",
];
