//! What a row of a table measures: its name, its unit, and which way is better.

#![forbid(unsafe_code)]

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    Less,
    More,
    /// A fact, no contest: no ratio.
    Neither,
}

impl Better {
    /// As it stands in the JSON lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Less => "less",
            Self::More => "more",
            Self::Neither => "neither",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub better: Better,
    pub digits: usize,
}

impl Metric {
    pub const fn less(name: &'static str, unit: &'static str, digits: usize) -> Self {
        Self { name, unit, better: Better::Less, digits }
    }

    pub const fn more(name: &'static str, unit: &'static str, digits: usize) -> Self {
        Self { name, unit, better: Better::More, digits }
    }

    pub const fn fact(name: &'static str, unit: &'static str, digits: usize) -> Self {
        Self { name, unit, better: Better::Neither, digits }
    }
}
