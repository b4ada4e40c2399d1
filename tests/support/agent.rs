//! An agent that runs, of a node whose files stand below a folder.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{cniscope, eventually, spawn};

/// One that runs. It is killed at the end of the test.
pub struct Agent {
    child: Child,
    log: PathBuf,
    port: u16,
}

/// The command that starts one, with an address of its own; its log goes into the file.
pub fn command(log: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(cniscope());
    command.arg("agent").args(["--listen", "127.0.0.1:0"]).args(arguments).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(log).unwrap());
    command
}

impl Agent {
    /// Starts one, and waits until it answers.
    pub fn start(log: &Path, arguments: &[&str]) -> Agent {
        Agent::of(spawn(&mut command(log, arguments)), log)
    }

    /// One that was started with [`command`], as soon as it says where it listens.
    pub fn of(child: Child, log: &Path) -> Agent {
        let mut agent = Agent { child, log: log.to_owned(), port: 0 };
        agent.port = eventually(|| {
            let log = agent.log();
            let port = log.split("http://127.0.0.1:").nth(1)?.split('/').next()?;
            port.parse().ok()
        });
        agent
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has said this.
    pub fn says(&self, text: &str) {
        eventually(|| self.log().contains(text).then_some(()));
    }

    /// A connection to it.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// The status and the body of an answer.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: agent\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Waits until `/readyz` says this.
    pub fn is(&self, status: u16, said: &str) {
        let started = Instant::now();
        loop {
            let answer = self.get("/readyz");
            if answer.0 == status && answer.1.contains(said) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{answer:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The value of one series; `None` where it is not told.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").1;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Sends it a signal that ends it; gives its exit status and how long that took.
    pub fn end(&mut self, signal: Signal) -> (Option<i32>, Duration) {
        let started = Instant::now();
        self.send(signal);
        let status = self.child.wait().unwrap();
        (status.code(), started.elapsed())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
