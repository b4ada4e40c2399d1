//! The Grafana dashboard: Grafana's own types have nothing against it, and a real Prometheus answers every query of it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use cniscope::install::agent::metrics::METRICS;
use serde_json::Value;

use crate::prometheus::{is_of_agents, node_exporter, place, prometheus, write_metrics};
use crate::support::{eventually, spawn};
use crate::world::tool;

const DASHBOARD: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/conf-examples/kubernetes/grafana/cniscope.json");
/// What makes it a program of TypeScript.
const HEAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/integration/grafana/dashboard.head.ts");

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(DASHBOARD).unwrap()).unwrap()
}

/// What the compiler says of a dashboard.
fn compiled(dashboard: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let modules = tool("grafana/node_modules");
    symlink(&modules, folder.path().join("node_modules")).unwrap();
    let program = fs::read_to_string(HEAD).unwrap() + dashboard;
    fs::write(folder.path().join("dashboard.ts"), program).unwrap();
    let mut command = Command::new("node");
    command.arg(modules.join("typescript/bin/tsc")).current_dir(folder.path());
    command.args(["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "dashboard.ts"]);
    let output = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped())).wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The queries of all panels, with what Grafana puts in the place of variables.
fn queries() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    let variables = [("$__range", "1h"), ("$__rate_interval", "5m"), ("$instance", ".*"), ("$plugin", ".*")];
    let filled = |query: &str| {
        variables.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value))
    };
    queries.map(filled).collect()
}

/// The names of metrics in a query.
fn metrics(query: &str) -> BTreeSet<String> {
    let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("cniscope_")).map(str::to_owned).collect()
}

#[test]
fn the_dashboard_is_one_of_grafanas_own_type() {
    let text = fs::read_to_string(DASHBOARD).unwrap();
    assert_eq!(compiled(&text), "");
    for (right, wrong) in [
        ("\"collapsed\": false", "\"colapsed\": false"),
        ("\"mode\": \"absolute\"", "\"mode\": \"absolut\""),
        ("\"schemaVersion\": 41", "\"schemaVersion\": \"41\""),
    ] {
        assert!(text.contains(right), "{right}");
        assert!(compiled(&text.replacen(right, wrong, 1)).contains("error TS"), "{wrong} is not found");
    }
}

#[test]
fn every_panel_has_a_place_and_an_id_of_its_own() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(x + w <= 24, "{}", panel["title"]);
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{} stands upon another panel", panel["title"]);
        }
    }
}

#[test]
fn a_prometheus_answers_every_query_of_the_dashboard() {
    let place = place();
    let folder = place.path("collector");
    fs::create_dir(&folder).unwrap();
    write_metrics(&place, &folder.join("cniscope.prom"));
    let exporter = node_exporter(&place, &folder);
    let server = prometheus(&place, &exporter);
    eventually(|| server.value("cniscope_build_info"));

    let queries = queries();
    assert!(queries.len() > 20, "{queries:?}");
    let names = server.api("label/__name__/values").unwrap();
    let names: BTreeSet<&str> = names.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    for query in &queries {
        assert!(!query.contains('$'), "a variable that Grafana does not have: {query}");
        assert!(server.query(query).is_some(), "Prometheus refuses {query}");
        for metric in metrics(query) {
            let is_known = names.contains(metric.as_str()) || is_of_agents(&metric);
            assert!(is_known, "nobody tells {metric}: {query}");
        }
    }
    // Without rates, which want some minutes, each finds something.
    let of_agents = |query: &str| metrics(query).iter().any(|metric| is_of_agents(metric));
    let quick =
        queries.iter().filter(|query| !query.contains('[') && !query.contains("> 0") && !of_agents(query));
    for query in quick {
        assert!(server.value(query).is_some(), "nothing is found by {query}");
    }
    // What is not asked for by any panel is not worth telling.
    let asked: BTreeSet<String> = queries.iter().flat_map(|query| metrics(query)).collect();
    let unasked: Vec<&str> =
        METRICS.iter().map(|metric| metric.name).filter(|metric| !asked.contains(*metric)).collect();
    assert_eq!(unasked, Vec::<&str>::new());
}
