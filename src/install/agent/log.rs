//! What the agent says: a line on stderr for each thing, which a container's log keeps.

use std::io::Write as _;
use std::time::SystemTime;

use serde_json::json;

use crate::node::clock;
use crate::render::escape;

/// How the lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people: time, level, sentence
    Text,
    /// A JSON object a line
    Json,
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What was done.
    Info,
    /// What somebody should know of.
    Warn,
    /// What keeps the agent from its work.
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// A sentence, and how much it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How much.
    pub level: Level,
    /// The sentence.
    pub text: String,
}

impl Line {
    /// What was done.
    pub fn info(text: impl Into<String>) -> Line {
        Line { level: Level::Info, text: text.into() }
    }

    /// What somebody should know of.
    pub fn warn(text: impl Into<String>) -> Line {
        Line { level: Level::Warn, text: text.into() }
    }

    /// What keeps the agent from its work.
    pub fn error(text: impl Into<String>) -> Line {
        Line { level: Level::Error, text: text.into() }
    }

    fn written(&self, form: Form, now: SystemTime) -> String {
        let (time, level) = (clock::rfc3339(now), self.level.as_str());
        match form {
            // Names in it come from outside.
            Form::Text => format!("{time} {level:<5} {}\n", escape::line(&self.text)),
            Form::Json => {
                let line = json!({"time": time, "level": level, "message": self.text}).to_string();
                format!("{}\n", escape::json(&line))
            }
        }
    }

    /// Says it. That nobody can hear it is no reason to stop.
    pub fn say(&self, form: Form) {
        let _ = std::io::stderr().write_all(self.written(form, SystemTime::now()).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_is_in_it() {
        let line = Line::warn("the network \"a\n\u{1b}[31m\" is gone");
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(
            line.written(Form::Text, now),
            "1970-01-01T00:00:00.000000Z warn  the network \"a\\n\\u{1b}[31m\" is gone\n"
        );
        assert_eq!(
            line.written(Form::Json, now),
            "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"level\":\"warn\",\"message\":\"the network \\\"a\\n\\u001b[31m\\\" is gone\"}\n"
                .replace("a\n", "a\\n")
        );
    }
}
