//! What a run should reach, and whether it did.

#![forbid(unsafe_code)]

use std::fmt;

/// Something the run should have reached.
pub struct Goal {
    pub text: String,
    pub measured: String,
    /// `None`: this run did not measure it.
    pub pass: Option<bool>,
}

impl Goal {
    pub fn new(
        text: impl Into<String>,
        measured: Option<f64>,
        unit: &str,
        pass: impl Fn(f64) -> bool,
    ) -> Self {
        Self {
            text: text.into(),
            measured: measured.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}{unit}")),
            pass: measured.map(pass),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.pass {
            Some(true) => "PASS",
            Some(false) => "MISS",
            None => "----",
        }
    }

    pub fn json(&self, case: &str) -> String {
        format!(
            "{{\"case\":\"{case}\",\"goal\":\"{}\",\"measured\":\"{}\",\"pass\":{}}}\n",
            self.text,
            self.measured,
            self.pass.map_or("null", |pass| if pass { "true" } else { "false" })
        )
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {:<72} {}", self.verdict(), self.text, self.measured)
    }
}
