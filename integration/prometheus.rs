//! What `cniscope metrics` writes, as a real node exporter serves it and a real Prometheus reads and judges it.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cniscope::install::agent;
use serde_json::{Value, json};

use crate::support::{Place, eventually, spawn};

/// The rules that are shipped.
const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf-examples/prometheus/cniscope.rules.yml");
/// Their unit tests.
const RULES_TEST: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/conf-examples/prometheus/cniscope.rules.test.yml");

/// Whether only the agent tells a metric.
pub fn is_of_agents(name: &str) -> bool {
    agent::metrics::METRICS.iter().any(|metric| metric.name == name)
}

/// A program that `scripts/setup test` puts into .tools.
fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin").join(name);
    assert!(path.is_file(), "{} is missing: run `scripts/setup test`", path.display());
    path
}

/// Runs promtool with this on stdin; gives its exit status and all that it says.
pub fn promtool(arguments: &[&str], stdin: &str) -> (Option<i32>, String) {
    let mut command = Command::new(tool("promtool"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command);
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// A place with a failed call and two good ones, one of them with a network that is not there, and a pool of which nine
/// tenths are taken, some by sandboxes that are gone.
pub fn place() -> Place {
    let place = Place::new();
    place.plugin("good", "echo '{\"cniVersion\":\"1.0.0\"}'");
    place.plugin("bad", "echo '{\"code\":7,\"msg\":\"no\"}'; exit 1");
    // A promise that nobody keeps: the sandbox has no such interface.
    let promise = json!({
        "cniVersion": "1.0.0", "interfaces": [{"name": "eth9", "sandbox": "/proc/self/ns/net"}],
        "ips": [{"interface": 0, "address": "10.1.0.2/29"}],
    });
    place.plugin("promising", &format!("echo '{promise}'"));
    for plugin in ["good", "bad", "promising"] {
        place.wrapped("ADD", plugin).run();
    }
    place.ends(3);
    let put = |path: &str, content: &str| {
        let path = place.path("root").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let list = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "cniscope", "cniscope": {"wraps": "bridge"}, "ipam": {"type": "host-local", "subnet": "10.1.0.0/28"}},
    ]});
    put("etc/cni/net.d/10-pods.conflist", &list.to_string());
    put("proc/7/environ", "CNI_CONTAINERID=alive\0");
    for last in 2..14 {
        let holder = if last < 4 { "gone" } else { "alive" };
        put(&format!("var/lib/cni/networks/pods/10.1.0.{last}"), &format!("{holder}\r\neth0"));
    }
    place
}

/// Lets cniscope write the metrics of the place's node into a file.
pub fn write_metrics(place: &Place, textfile: &Path) {
    let (state, root) = (place.path("state"), place.path("root"));
    let arguments = ["metrics", "--conf-dir", "/etc/cni/net.d", "--textfile", textfile.to_str().unwrap()];
    let own = ["--state", state.to_str().unwrap(), "--root", root.to_str().unwrap()];
    let ran = place.cli(&[&arguments[..], &own].concat());
    assert_eq!(ran.answer(), (0, String::new(), String::new()));
}

#[test]
fn promtool_finds_nothing_to_say_about_the_metrics() {
    let place = place();
    let textfile = place.path("cniscope.prom");
    write_metrics(&place, &textfile);
    let text = fs::read_to_string(&textfile).unwrap();
    assert_eq!(promtool(&["check", "metrics"], &text), (Some(0), String::new()));
    let (status, _) = promtool(&["check", "metrics"], "# TYPE calls counter\ncalls 1\n");
    assert_ne!(status, Some(0), "promtool has nothing to say about anything");
}

#[test]
fn the_shipped_rules_pass_their_unit_tests() {
    let (status, told) = promtool(&["check", "rules", RULES], "");
    assert_eq!((status, told.contains("SUCCESS: 14 rules found")), (Some(0), true), "{told}");
    let (status, told) = promtool(&["test", "rules", RULES_TEST], "");
    assert_eq!(status, Some(0), "{told}");
}

#[test]
fn every_metric_that_the_rules_use_is_one_that_is_told() {
    let rules = fs::read_to_string(RULES).unwrap();
    let words = rules.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let known = |word: &str| {
        let name = word.strip_suffix("_bucket").unwrap_or(word);
        is_of_agents(name) || cniscope::metrics::text::METRICS.iter().any(|metric| metric.name == name)
    };
    let used: Vec<&str> = words.filter(|word| word.starts_with("cniscope_")).collect();
    assert!(used.len() > 10, "{used:?}");
    assert_eq!(used.into_iter().filter(|word| !known(word)).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// A server on a port of its own, ended with the test.
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts it with these arguments and its address, and waits until it answers.
    fn start(program: &str, log: &Path, arguments: &[String], is_ready: &str) -> Server {
        // A port that nobody has now; a server that does not get it fails the test.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(log).unwrap();
        let mut command = Command::new(tool(program));
        command.args(arguments).arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let server = Server { child: spawn(&mut command), port };
        eventually(|| server.get(is_ready));
        server
    }

    /// The body of a good answer.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        // Of HTTP 1.0, an answer ends with its connection and has no chunks.
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.to_owned())
    }

    /// What Prometheus' API says.
    pub fn api(&self, path: &str) -> Option<Value> {
        let answer: Value = serde_json::from_str(&self.get(&format!("/api/v1/{path}"))?).ok()?;
        (answer["status"] == "success").then(|| answer["data"].clone())
    }

    /// The value of the one series that a query finds.
    pub fn value(&self, query: &str) -> Option<f64> {
        self.query(query)?["result"][0]["value"][1].as_str()?.parse().ok()
    }

    /// What a query finds; `None` if it is refused.
    pub fn query(&self, query: &str) -> Option<Value> {
        let encoded = query.bytes().fold(String::new(), |mut encoded, byte| {
            write!(encoded, "%{byte:02X}").unwrap();
            encoded
        });
        self.api(&format!("query?query={encoded}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn node_exporter(place: &Place, folder: &Path) -> Server {
    let arguments = [
        "--collector.disable-defaults".to_owned(),
        "--collector.textfile".to_owned(),
        format!("--collector.textfile.directory={}", folder.display()),
    ];
    Server::start("prometheus-node-exporter", &place.path("exporter.log"), &arguments, "/metrics")
}

/// A Prometheus that scrapes the exporter every second, and judges by the rules.
pub fn prometheus(place: &Place, exporter: &Server) -> Server {
    let config = json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [RULES],
        "scrape_configs": [{
            "job_name": "node",
            "static_configs": [{"targets": [format!("127.0.0.1:{}", exporter.port)]}],
            "relabel_configs": [{"target_label": "instance", "replacement": "worker-1"}],
        }],
    });
    // JSON is YAML.
    let path = place.path("prometheus.yml");
    fs::write(&path, config.to_string()).unwrap();
    let arguments = [
        format!("--config.file={}", path.display()),
        format!("--storage.tsdb.path={}", place.path("tsdb").display()),
    ];
    Server::start("prometheus", &place.path("prometheus.log"), &arguments, "/-/ready")
}

#[test]
fn a_node_exporter_serves_what_was_written_and_a_prometheus_judges_it() {
    let place = place();
    let folder = place.path("collector");
    fs::create_dir(&folder).unwrap();
    let textfile = folder.join("cniscope.prom");
    write_metrics(&place, &textfile);

    let exporter = node_exporter(&place, &folder);
    let served = exporter.get("/metrics").unwrap();
    assert!(served.contains("node_textfile_scrape_error 0\n"), "{served}");
    let written = fs::read_to_string(&textfile).unwrap();
    let samples = written.lines().filter(|line| !line.starts_with('#'));
    let parts = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        // The exporter sorts labels, and writes numbers its own way.
        let mut labels: Vec<String> = name.split(['{', '}', ',']).map(str::to_owned).collect();
        labels.sort();
        (labels, value.parse::<f64>().unwrap())
    };
    let served: Vec<_> = served.lines().filter(|line| line.starts_with("cniscope_")).map(parts).collect();
    for sample in samples.clone().map(parts) {
        assert!(served.contains(&sample), "{sample:?} is not served");
    }
    assert_eq!(served.len(), samples.count());

    let prometheus = prometheus(&place, &exporter);
    let failures = r#"cniscope_failures_total{plugin="bad",cause="unknown"}"#;
    eventually(|| (prometheus.value(failures) == Some(1.0)).then_some(()));
    place.wrapped("ADD", "bad").run();
    place.ends(4);
    write_metrics(&place, &textfile);
    eventually(|| (prometheus.value(failures) == Some(2.0)).then_some(()));
    let suspects = r#"sum(cniscope_suspect_calls_total{plugin="promising"})"#;
    assert_eq!(prometheus.value(suspects), Some(1.0));
    assert_eq!(
        prometheus.value("time() - max(cniscope_last_success_timestamp_seconds) < bool 600"),
        Some(1.0)
    );

    let rules = eventually(|| {
        let rules = prometheus.api("rules")?["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    });
    let wrong: Vec<_> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
    assert_eq!((rules.len(), wrong), (14, vec![]));
    let state = |name: &str| &rules.iter().find(|rule| rule["name"] == name).unwrap()["state"];
    assert_eq!(state("CniscopeCountersNotKept"), "inactive");
    // They wait some minutes before they fire.
    for name in ["CniPoolNearlyFull", "CniAddressesLeaked"] {
        eventually(|| {
            let alerts = prometheus.api("alerts")?["alerts"].as_array()?.clone();
            let of_it = alerts.iter().find(|alert| alert["labels"]["alertname"] == name)?;
            (of_it["state"] == "pending" && of_it["labels"]["network"] == "pods").then_some(())
        });
    }
}
