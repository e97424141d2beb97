//! What a plot is drawn on: text, boxes and lines, on white. The only place that writes SVG.

#![forbid(unsafe_code)]

use std::fmt::Write as _;

const STYLE: &str = "text{font:12px sans-serif;fill:#24292f}.title{font-size:17px;font-weight:bold}\
    .head{font-size:14px;font-weight:bold}.small{font-size:11px}.axis{font-size:11px;fill:#57606a}\
    .strong{font-weight:bold}";
pub const GRID: &str = "#d8dee4";
const GROUND: &str = "#ffffff";

/// Pixels of a character of the title, and of what stands below it, about.
const TITLE_CHAR: f64 = 10.6;
const CHAR: f64 = 6.4;

/// Where a text is held.
#[derive(Clone, Copy)]
pub enum At {
    Start,
    Middle,
    End,
}

pub struct Sheet {
    width: f64,
    body: String,
}

impl Sheet {
    pub fn new(width: f64) -> Self {
        Self { width, body: String::new() }
    }

    /// The title and below it how the plot is to be read, in as many lines as they need; where they end.
    pub fn heading(&mut self, title: &str, reading: &str, margin: f64) -> f64 {
        let mut y = margin + 8.0;
        for line in wrapped(title, ((self.width - 2.0 * margin) / TITLE_CHAR) as usize) {
            self.text((margin, y), At::Start, "title", "", &line);
            y += 22.0;
        }
        for line in wrapped(reading, ((self.width - 2.0 * margin) / CHAR) as usize) {
            self.text((margin, y), At::Start, "axis", "", &line);
            y += 16.0;
        }
        y
    }

    /// `color` may be empty: then it is that of the class.
    pub fn text(&mut self, (x, y): (f64, f64), at: At, class: &str, color: &str, words: &str) {
        let anchor = match at {
            At::Start => "start",
            At::Middle => "middle",
            At::End => "end",
        };
        let color = if color.is_empty() { String::new() } else { format!(" style=\"fill:{color}\"") };
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\"{color}>{}</text>",
            escaped(words)
        );
    }

    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), color: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{color}\"/>"
        );
    }

    pub fn dot(&mut self, (x, y): (f64, f64), color: &str) {
        let _ = writeln!(self.body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>");
    }

    /// Through all of these points.
    pub fn line(&mut self, points: &[(f64, f64)], color: &str, width: f64) {
        let places: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\"/>",
            places.join(" ")
        );
    }

    pub fn finish(self, title: &str, height: f64) -> String {
        let (width, title) = (self.width, escaped(title));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
             aria-label=\"{title}\">\n<style>{STYLE}</style>\n\
             <rect width=\"{width:.0}\" height=\"{height:.0}\" fill=\"{GROUND}\"/>\n{}</svg>\n",
            self.body
        )
    }
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// Lines of at most so many characters, unless a word is longer.
pub fn wrapped(words: &str, chars_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= chars_max => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_lines() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("longword a", 3), ["longword", "a"]);
        assert!(wrapped(" ", 3).is_empty());
    }
}
