//! What a wrapped call costs, side by side with the plugin itself and with other wrappers, all in one run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on has failed"
)]

mod measure;
mod world;

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use measure::{Call, Times, Way, finish, median};

/// Calls of each way of the no-op plugin, of the bridge plugin, and rounds of many calls at once.
const NOOP_CALLS: usize = 500;
const BRIDGE_CALLS: usize = 200;
const ROUNDS: usize = 45;
const AT_ONCE: usize = 64;

/// Files of a large pool of addresses, a /16, and how often it is looked at.
const POOL_FILES: u32 = 65_000;
const POOL_RUNS: usize = 21;
/// Calls whose memory is looked at, and how long a large configuration and result are, in bytes.
const PEAKS: usize = 21;
const LARGE: usize = 60 * 1024;
/// Calls that fail, and texts that are explained.
const FAILURES: usize = 50;
const TEXTS: usize = 100;
/// What a kubelet logs of a Pod without a network.
const TEXT: &str = r#"E1121 09:14:07.123456 1017 pod_workers.go:1301] "Error syncing pod, skipping" err="failed to \"CreatePodSandbox\" for \"web-0_shop\" with CreatePodSandboxError: \"Failed to create sandbox for pod: rpc error: code = Unknown desc = failed to setup network for sandbox: plugin type=\\\"flannel\\\" failed (add): open /run/flannel/subnet.env: no such file or directory\"" pod="shop/web-0""#;

/// Settings with everything off that can be.
fn everything_off() -> String {
    let checks: Vec<String> = cniscope::checks::names().map(|name| format!(r#""{name}":"off""#)).collect();
    format!(
        r#"{{"checks":{{{}}},"enrich":false,"verify":false,"journal":{{"record":"off"}}}}"#,
        checks.join(",")
    )
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = root.join("target/bench");
    let disk = tempfile::tempdir_in(&built).unwrap();
    let bin = disk.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for plugin in ["bridge", "host-local"] {
        fs::copy(root.join(".tools/plugins").join(plugin), bin.join(plugin)).unwrap();
    }
    fs::copy(built.join("noop"), bin.join("noop")).unwrap();
    let off = disk.path().join("off.json");
    fs::write(&off, everything_off()).unwrap();
    world::enter(disk.path());

    let bench = Bench { root: root.to_owned(), built, bin, off, log: disk.path().join("wrapper.log") };
    bench.size();
    bench.noop();
    bench.bridge();
    bench.at_once();
    bench.failure();
    Bench::records();
    bench.explain();
    bench.pool();
    bench.memory();
}

struct Bench {
    root: PathBuf,
    built: PathBuf,
    bin: PathBuf,
    off: PathBuf,
    log: PathBuf,
}

impl Bench {
    fn cniscope(&self) -> PathBuf {
        self.root.join("target/release/cniscope")
    }

    /// Every way to call `plugin`; the first is the plugin itself.
    fn ways(&self, plugin: &str) -> Vec<Way> {
        let delegate = self.bin.join(plugin);
        let way = |name, program: PathBuf, env| Way { name, program, wrapped: false, env };
        let cniscope = |name, env| Way { name, program: self.cniscope(), wrapped: true, env };
        vec![
            way("direct", delegate.clone(), vec![]),
            way("bare C wrapper", self.built.join("bare"), vec![("DELEGATE", delegate.clone())]),
            cniscope("cniscope, defaults", vec![]),
            cniscope("cniscope, everything off", vec![("CNISCOPE_CONFIG", self.off.clone())]),
            way(
                "bash wrapper that logs",
                self.root.join("benches/logging-wrapper"),
                vec![("DELEGATE", delegate), ("LOG", self.log.clone())],
            ),
        ]
    }

    fn size(&self) {
        let kilobytes = fs::metadata(self.cniscope()).unwrap().len() / 1000;
        println!("binary: {kilobytes} kB\n");
    }

    fn noop(&self) {
        let ways = self.ways("noop");
        let mut times = Times::of(&ways);
        let netns = world::pod("noop");
        for _ in 0..NOOP_CALLS {
            for (index, way) in ways.iter().enumerate() {
                let config = entry("noop", way.wrapped, "");
                times.add(index, way.time(&self.call("ADD", "bench", &netns, &config)));
            }
        }
        table(&format!("a no-op plugin, ADD, {NOOP_CALLS} calls each in turn"), &ways, &times);
    }

    fn bridge(&self) {
        let ways = self.ways("bridge");
        let (mut adds, mut dels) = (Times::of(&ways), Times::of(&ways));
        let netns = world::pod("bench");
        for _ in 0..BRIDGE_CALLS {
            for (index, way) in ways.iter().enumerate() {
                let config = bridge_entry(way.wrapped);
                adds.add(index, way.time(&self.call("ADD", "bench", &netns, &config)));
                dels.add(index, way.time(&self.call("DEL", "bench", &netns, &config)));
            }
        }
        table(&format!("bridge + host-local, ADD, {BRIDGE_CALLS} calls each in turn"), &ways, &adds);
        table(&format!("bridge + host-local, DEL, {BRIDGE_CALLS} calls each in turn"), &ways, &dels);
    }

    /// Many calls at the same time: what counts is when the last one has ended. Each is waited for by a thread of its own, as by a
    /// runtime: one after the other they would be taken from the kernel long after their end, which costs it less. The ways
    /// begin in turn: each leaves the kernel some work for later.
    fn at_once(&self) {
        let mut ways = self.ways("bridge");
        ways.truncate(3);
        let pods: Vec<(String, PathBuf)> = (0..AT_ONCE)
            .map(|number| format!("pod{number}"))
            .map(|name| (name.clone(), world::pod(&name)))
            .collect();
        let (mut adds, mut dels) = (Times::of(&ways), Times::of(&ways));
        for round in 0..ROUNDS {
            for index in (0..ways.len()).map(|turn| (round + turn) % ways.len()) {
                let way = &ways[index];
                let config = bridge_entry(way.wrapped);
                for (verb, times) in [("ADD", &mut adds), ("DEL", &mut dels)] {
                    let started = Instant::now();
                    std::thread::scope(|scope| {
                        for (name, netns) in &pods {
                            let call = self.call(verb, name, netns, &config);
                            scope.spawn(move || finish(way.start(&call), way.name));
                        }
                    });
                    times.add(index, started.elapsed());
                }
            }
        }
        println!("{AT_ONCE} calls of bridge + host-local at once, medians of {ROUNDS} rounds");
        println!("  {:<26} {:>10} {:>12} {:>10} {:>12}", "", "ADD ms", "of direct", "DEL ms", "of direct");
        for (index, way) in ways.iter().enumerate() {
            let share = |times: &Times| format!("{:.1} %", times.share(index, 0));
            println!(
                "  {:<26} {:>10.1} {:>12} {:>10.1} {:>12}",
                way.name,
                adds.median(index),
                share(&adds),
                dels.median(index),
                share(&dels)
            );
        }
        let (add, del) = (adds.share(2, 1), dels.share(2, 1));
        println!("  cniscope of the bare wrapper: ADD {add:.1} %, DEL {del:.1} %");
        println!();
    }

    /// A pool that is full: evidence, diagnosis and the enriched error.
    fn failure(&self) {
        let ways: Vec<Way> =
            self.ways("bridge").into_iter().filter(|way| way.name != "bash wrapper that logs").collect();
        let mut times = Times::of(&ways);
        let [holder, other] = ["holder", "other"].map(world::pod);
        let rest = r#","bridge":"bench1","ipam":{"type":"host-local","subnet":"10.112.0.0/30"}"#;
        let bare = entry("bridge", false, rest).replace("\"bench\"", "\"full\"");
        ways[0].time(&self.call("ADD", "holder", &holder, &bare));
        for _ in 0..FAILURES {
            for (index, way) in ways.iter().enumerate() {
                let config = entry("bridge", way.wrapped, rest).replace("\"bench\"", "\"full\"");
                times.add(index, way.time_of_failure(&self.call("ADD", "other", &other, &config)));
            }
        }
        table(&format!("bridge + host-local, ADD, pool full, {FAILURES} calls each in turn"), &ways, &times);
    }

    /// A text is read on a laptop as well.
    fn explain(&self) {
        let took = || {
            let started = Instant::now();
            let output = Command::new(self.cniscope()).args(["explain", TEXT]).output().unwrap();
            assert!(String::from_utf8_lossy(&output.stdout).contains("subnet-env-missing"), "{output:?}");
            measure::milliseconds(started.elapsed())
        };
        let median = median((0..TEXTS).map(|_| took()).collect());
        println!("cniscope explain, a line of the kubelet's log: {median:.2} ms, median of {TEXTS}\n");
    }

    /// A pool with as many files as a /16 can have: what it takes to look at it, and to count its files only.
    fn pool(&self) {
        world::pool(
            "large",
            (2..).take(POOL_FILES as usize).map(|number| Ipv4Addr::from(0x0a71_0000 + number)),
        );
        let lists = self.log.with_file_name("lists");
        fs::create_dir(&lists).unwrap();
        let rest = r#","bridge":"bench2","ipam":{"type":"host-local","subnet":"10.113.0.0/16"}"#;
        let list = entry("bridge", false, rest).replace("\"bench\"", "\"large\"");
        fs::write(lists.join("large.conf"), list).unwrap();
        let looked = || {
            let mut doctor = Command::new(self.cniscope());
            doctor.args(["doctor", "ipam-pool", "-o", "json", "--conf-dir"]).arg(&lists);
            let output = doctor.output().unwrap();
            let document: Value = serde_json::from_slice(&output.stdout).unwrap();
            let finding = &document["findings"][0];
            let used = format!("{POOL_FILES} of 65533 addresses used");
            assert!(finding["summary"].as_str().unwrap().starts_with(&used), "{document}");
            finding["took_us"].as_f64().unwrap() / 1000.0
        };
        let counted = || {
            let started = Instant::now();
            let count = Command::new("sh").args(["-c", "ls -f /var/lib/cni/networks/large | wc -l"]).output();
            assert!(count.unwrap().status.success());
            measure::milliseconds(started.elapsed())
        };
        let runs: Vec<(f64, f64)> = (0..POOL_RUNS).map(|_| (counted(), looked())).collect();
        let (counted, looked) = runs.into_iter().unzip();
        println!("a pool of host-local's, a /16 with {POOL_FILES} files, {POOL_RUNS} runs each in turn");
        println!("  {:<26} {:>10}", "", "median ms");
        println!("  {:<26} {:>10.2}", "ls -f | wc -l", median(counted));
        println!("  {:<26} {:>10.2}", "the check ipam-pool", median(looked));
        println!();
    }

    /// Every call of this run has left its two records, once.
    fn records() {
        let expected = 2 * (NOOP_CALLS + 2 * BRIDGE_CALLS + 2 * ROUNDS * AT_ONCE + FAILURES);
        let started = Instant::now();
        // The end record may still be under way when the call has ended.
        while records_written() != expected && started.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("records written: {} of {expected}\n", records_written());
    }

    fn memory(&self) {
        let large = large_result();
        let result = self.log.with_extension("result");
        fs::write(&result, &large).unwrap();
        let chained = format!(r#","prevResult":{large}"#);
        println!("largest resident set of the wrapper or its plugin, no-op plugin, medians of {PEAKS} calls");
        println!("  {:<26} {:>10} {:>14}", "", "MiB", "with 60 KiB");
        for mut way in self.ways("noop").into_iter().skip(1).take(3) {
            let small = self.peak(&way, &entry("noop", way.wrapped, ""));
            way.env.push(("RESULT", result.clone()));
            let large = self.peak(&way, &entry("noop", way.wrapped, &chained));
            println!("  {:<26} {small:>10.2} {large:>14.2}", way.name);
        }
        println!("  with 60 KiB: a configuration and a result of that length each");
    }

    /// The largest resident set of a call in MiB.
    fn peak(&self, way: &Way, config: &str) -> f64 {
        let file = self.log.with_extension("config");
        fs::write(&file, config).unwrap();
        let peak = || {
            let mut command = Command::new(self.built.join("peak"));
            way.environment(&mut command, &self.call("ADD", "bench", Path::new("/proc/self/ns/net"), config));
            command.arg(&way.program).stdin(fs::File::open(&file).unwrap()).stdout(Stdio::null());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stderr).unwrap().parse::<f64>().unwrap() / 1024.0
        };
        median((0..PEAKS).map(|_| peak()).collect())
    }

    fn call<'a>(&'a self, verb: &'a str, container: &'a str, netns: &'a Path, config: &'a str) -> Call<'a> {
        Call { verb, container, netns, path: &self.bin, config }
    }
}

fn entry(plugin: &str, wrapped: bool, rest: &str) -> String {
    let kind = if wrapped {
        format!(r#""type":"cniscope","cniscope":{{"wraps":"{plugin}"}}"#)
    } else {
        format!(r#""type":"{plugin}""#)
    };
    format!(r#"{{"cniVersion":"1.0.0","name":"bench",{kind}{rest}}}"#)
}

/// A result of 60 KiB, which most of is routes.
fn large_result() -> String {
    let mut routes = String::new();
    for number in 0.. {
        if routes.len() > LARGE {
            break;
        }
        let comma = if number == 0 { "" } else { "," };
        write!(routes, r#"{comma}{{"dst":"10.{}.{}.0/24"}}"#, number / 256, number % 256).unwrap();
    }
    format!(r#"{{"cniVersion":"1.0.0","routes":[{routes}]}}"#)
}

fn bridge_entry(wrapped: bool) -> String {
    let rest = r#","bridge":"bench0","isGateway":true,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.111.0.0/22"}]],"routes":[{"dst":"0.0.0.0/0"}]}"#;
    entry("bridge", wrapped, rest)
}

fn records_written() -> usize {
    let files = fs::read_dir("/var/log/cniscope").unwrap().map(|file| file.unwrap().path());
    let journals = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    // A line that was appended while another one was being written stands behind an empty one.
    let is_of_a_call = |line: &&str| !line.is_empty() && !line.contains(r#""event":"stall""#);
    journals.map(|path| fs::read_to_string(path).unwrap().lines().filter(is_of_a_call).count()).sum()
}

fn table(title: &str, ways: &[Way], times: &Times) {
    println!("{title}");
    println!("  {:<26} {:>10} {:>10}", "", "median ms", "added ms");
    for (index, way) in ways.iter().enumerate() {
        let added = if index == 0 { String::new() } else { format!("{:+.2}", times.added(index)) };
        println!("  {:<26} {:>10.2} {added:>10}", way.name, times.median(index));
    }
    println!();
}
