//! Processes run and timed, and the numbers that come of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One way to make a call: the plugin itself, or something in its place.
pub struct Way {
    /// How it stands in the table.
    pub name: &'static str,
    /// What the runtime executes.
    pub program: PathBuf,
    /// Whether the entry is cniscope's.
    pub wrapped: bool,
    /// Variables that only this way needs.
    pub env: Vec<(&'static str, PathBuf)>,
}

/// One call.
pub struct Call<'a> {
    /// CNI_COMMAND.
    pub verb: &'a str,
    /// CNI_CONTAINERID.
    pub container: &'a str,
    /// CNI_NETNS.
    pub netns: &'a Path,
    /// CNI_PATH.
    pub path: &'a Path,
    /// The entry.
    pub config: &'a str,
}

impl Way {
    /// The process of a call, whose configuration is written and whose output waits in its pipes.
    pub fn start(&self, call: &Call) -> Child {
        let mut command = Command::new(&self.program);
        self.environment(&mut command, call);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        child.stdin.take().unwrap().write_all(call.config.as_bytes()).unwrap();
        child
    }

    /// What a runtime sets.
    pub fn environment(&self, command: &mut Command, call: &Call) {
        command
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("CNI_COMMAND", call.verb)
            .env("CNI_CONTAINERID", call.container)
            .env("CNI_NETNS", call.netns)
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", call.path);
    }

    /// How long one call took, from the start of the process to its end.
    pub fn time(&self, call: &Call) -> Duration {
        let started = Instant::now();
        let child = self.start(call);
        finish(child, self.name);
        started.elapsed()
    }

    /// How long one call took that has to fail.
    pub fn time_of_failure(&self, call: &Call) -> Duration {
        let started = Instant::now();
        let output = self.start(call).wait_with_output().unwrap();
        let took = started.elapsed();
        assert!(!output.status.success(), "{}: {output:?}", self.name);
        took
    }
}

/// Waits for a call that has to succeed.
pub fn finish(child: Child, name: &str) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
}

/// The middle one, in milliseconds.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Milliseconds.
pub fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

/// The times of several ways, a round at a time: the first way is what the others are compared with.
pub struct Times(Vec<Vec<f64>>);

impl Times {
    /// Nothing measured yet.
    pub fn of(ways: &[Way]) -> Times {
        Times(vec![Vec::new(); ways.len()])
    }

    /// Adds one round's time of a way.
    pub fn add(&mut self, way: usize, took: Duration) {
        self.0[way].push(milliseconds(took));
    }

    /// The median of a way.
    pub fn median(&self, way: usize) -> f64 {
        median(self.0[way].clone())
    }

    /// The median of what a way took more than the first in the same round: a machine that is slower for a while is
    /// slower for both.
    pub fn added(&self, way: usize) -> f64 {
        median(self.0[way].iter().zip(&self.0[0]).map(|(took, direct)| took - direct).collect())
    }

    /// The median of how much of the speed of the way `of` a way had in the same round, in percent.
    pub fn share(&self, way: usize, of: usize) -> f64 {
        100.0 * median(self.0[of].iter().zip(&self.0[way]).map(|(other, took)| other / took).collect())
    }
}
