//! The report in a real browser.

mod history;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::support::Place;
use crate::world::World;

/// How long 10,000 calls may take to open, in milliseconds.
const OPENS_WITHIN: f64 = 2000.0;
/// Of so many tries the fastest counts: what else the machine does is not the page's fault.
const TRIES: usize = 3;

/// A report over this journal.
fn report(place: &Place, journal: &str) -> PathBuf {
    fs::create_dir_all(place.path("log")).unwrap();
    fs::write(place.path("log/journal.jsonl"), journal).unwrap();
    let path = place.path("report.html");
    let ran = place.cli(&["report", "--utc", "--out", path.to_str().unwrap()]);
    assert_eq!((ran.status, String::from_utf8(ran.stderr).unwrap()), (0, String::new()));
    path
}

/// The texts of a column of the table, from the top.
fn column(browser: &mut Chromium, heading: &str) -> Vec<String> {
    let cells = browser.value(&format!(
        "(() => {{ const headings = [...document.querySelectorAll('#table thead th')].map((one) => one.dataset.column); \
         const at = headings.indexOf({}); \
         return [...document.querySelectorAll('#table tbody tr[data-place]')].map((row) => row.cells[at].textContent); }})()",
        json!(heading)
    ));
    serde_json::from_value(cells).unwrap()
}

/// It is quiet, and nothing was asked for but the file.
fn is_quiet(browser: &mut Chromium, path: &Path) {
    assert_eq!(browser.complaints(), Vec::<Value>::new());
    assert_eq!(browser.requests(), [format!("file://{}", path.display())]);
}

#[test]
fn calls_of_real_plugins_are_in_it_with_their_pool() {
    let world = World::new();
    let bridge = json!({
        "type": "cniscope", "cniscope": {"wraps": "bridge"}, "bridge": "cni0", "isGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.244.7.0/30"},
    });
    let list = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]});
    world.write("/etc/cni/net.d/10-pods.conflist", &list.to_string());
    world.cnitool("add", "pods").run();
    world.sh("ip netns add other");
    world.cnitool_in("/run/netns/other", "add", "pods").run();
    assert_eq!(world.ends().len(), 2);
    let ran = world.cli(&["report", "--out", "-"]);
    assert_eq!((ran.status, String::from_utf8(ran.stderr.clone()).unwrap()), (0, String::new()));
    let page = ran.text();
    for part in [
        "<h1>1 of 2 calls failed.</h1>",
        "All for the same cause: ipam-exhausted, for 1 Pod.",
        "<p class=\"says\">no address is left in the pool: 1 of 1 addresses used</p>",
        "<figcaption><b>pods</b><small>1 of 1 used at the end · 10.244.7.1-10.244.7.2</small></figcaption>",
    ] {
        assert!(page.contains(part), "{part} in {page:.20000}");
    }
}

#[test]
fn calls_can_be_sorted_searched_and_expanded() {
    let place = Place::new();
    let path = report(&place, &history::journal(3000));
    let mut browser = Chromium::start();
    browser.window(1280, 900, "light", "screen");
    browser.open(&path);
    let heading = browser.value("document.querySelector('h1').textContent");
    assert_eq!(heading, "One node: worker-3.");
    assert_eq!(browser.value("document.querySelector('#count').textContent"), "3,000 calls");

    // The latest stand first; a click turns them round.
    let times = column(&mut browser, "Time");
    assert!(times.is_sorted_by(|one, other| one >= other) && times.len() == 100, "{times:?}");
    browser.click("#table th[data-column=Time]");
    let times = column(&mut browser, "Time");
    assert!(times.is_sorted(), "{times:?}");
    browser.click("#table th[data-column=Pod]");
    let pods = column(&mut browser, "Pod");
    assert!(pods.is_sorted() && pods[0].starts_with("ml/train-"), "{pods:?}");
    browser.click("#table th[data-column=Took]");
    let longest = column(&mut browser, "Took")[0].clone();
    assert!(longest.ends_with(" s") || longest.ends_with(" min"), "{longest}");
    assert_eq!(
        browser.value("document.querySelector('th[data-column=Took]').getAttribute('aria-sort')"),
        "descending"
    );

    browser.click("#search");
    browser.type_in("worker-3 NO IP addresses");
    browser.until("document.querySelector('#count').textContent.endsWith(' of 3,000 calls')", &json!(true));
    let causes = column(&mut browser, "Cause");
    assert!(causes.len() > 20 && causes.iter().all(|cause| cause == "ipam-exhausted"), "{causes:?}");

    browser.click("#table tbody tr[data-place] td.pod");
    let shown =
        browser.value("document.querySelector('#table tr.expanded').innerText").as_str().unwrap().to_owned();
    for part in [
        "Timeline",
        "Cause: ipam-exhausted",
        "release the 41 leaked addresses: remove their files in /var/lib/cni/networks/pods",
        "The plugin's error (code 11)",
        "no IP addresses available in range set: 10.244.2.1-10.244.2.254",
        "plugin-binary",
        "Configuration",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    browser.click("#table tr.expanded details:last-of-type summary");
    browser.click("#table tbody tr[data-place] td.pod");
    assert_eq!(browser.value("document.querySelectorAll('#table tr.expanded').length"), 0);

    // With the keyboard alone too.
    browser.value("document.querySelector('#table tbody button').focus()");
    browser.press("Enter");
    assert_eq!(browser.value("document.querySelectorAll('#table tr.expanded').length"), 1);

    browser.value("document.querySelector('#search').value = ''");
    browser.click("#failed");
    let outcomes = column(&mut browser, "Outcome");
    assert!(!outcomes.is_empty() && outcomes.iter().all(|outcome| outcome != "ok"), "{outcomes:?}");
    is_quiet(&mut browser, &path);
}

#[test]
fn more_calls_come_as_they_are_scrolled_to() {
    let place = Place::new();
    let path = report(&place, &history::journal(450));
    let mut browser = Chromium::start();
    browser.open(&path);
    assert_eq!(browser.value("document.querySelectorAll('#table tr[data-place]').length"), 100);
    browser.value("document.querySelector('footer').scrollIntoView()");
    for shown in [200, 300, 400, 450] {
        browser.value("document.querySelector('footer').scrollIntoView()");
        browser.until(
            &format!("document.querySelectorAll('#table tr[data-place]').length >= {shown}"),
            &json!(true),
        );
    }
    assert_eq!(browser.value("document.querySelector('#more').hidden"), true);
    is_quiet(&mut browser, &path);
}

#[test]
fn a_worst_call_leads_to_its_row() {
    let place = Place::new();
    let path = report(&place, &history::journal(1500));
    let mut browser = Chromium::start();
    browser.open(&path);
    let wanted = browser.value("document.querySelector('#worst a[data-id]').dataset.id");
    browser.click("#worst a[data-id]");
    let found = browser.value("document.querySelector('#table tr.expanded').innerText");
    assert!(found.as_str().unwrap().contains(wanted.as_str().unwrap()), "{wanted} in {found}");
    assert_eq!(browser.value("document.querySelector('#count').textContent"), "1 of 1,500 calls");
    is_quiet(&mut browser, &path);
}

#[test]
fn ten_thousand_calls_open_at_once() {
    let place = Place::new();
    let path = report(&place, &history::journal(10_000));
    let mut browser = Chromium::start();
    let mut took = Vec::new();
    for _ in 0..TRIES {
        browser.open(&path);
        assert_eq!(browser.value("document.querySelector('#count').textContent"), "10,000 calls");
        took.push(browser.value("performance.getEntriesByName('ready')[0].startTime").as_f64().unwrap());
    }
    let fastest = took.iter().copied().fold(f64::INFINITY, f64::min);
    println!("10,000 calls, {} bytes, open within {took:.0?} ms", fs::metadata(&path).unwrap().len());
    assert!(fastest < OPENS_WITHIN, "{took:?}");
    is_quiet(&mut browser, &path);
}

/// What an attacker would like to run, where a Pod's name, an error or a configuration is shown.
const HOSTILE: [&str; 6] = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "\"><svg onload='window.hacked = 1'>",
    "javascript:window.hacked=1",
    "</title></style></pre><iframe srcdoc='<script>parent.hacked = 1</script>'>",
    "<!--<script>",
];

/// A failed call with a text in every field that a page shows.
fn hostile(number: usize, text: &str) -> Value {
    let own = format!("{number}{text}");
    let mut record = json!({
        "schema": 1, "event": "end", "id": own, "time": format!("2026-11-21T10:00:{number:02}Z"), "node": own, "cause": own,
        "command": "ADD", "outcome": "failed", "duration_ms": 5.0, "plugin_ms": 4.0, "config_sha256": own,
        "config": {text: text, "__proto__": {"x": text}}, "env": {text: text}, "result": {text: [text]},
        "error": {"code": 1, "msg": text, "details": text}, "caller": {"pid": 1, "name": text},
    });
    for field in [
        "container_id",
        "ifname",
        "netns",
        "pod_namespace",
        "pod_name",
        "network",
        "plugin",
        "stderr",
        "stdout_raw",
    ] {
        record[field] = json!(text);
    }
    let list = [text];
    record["warnings"] = json!(list);
    record["truncated"] = json!(list);
    record["changed"] = json!({"time": text, "changes": [{"what": text, "before": text, "now": text}]});
    record["diagnosis"] = json!({
        "cause": text, "title": text, "summary": text, "evidence": list, "ruled_out": list, "fix": list,
    });
    let pool = json!({"folder": text, "sets": [{"ranges": text, "capacity": 5, "used": 2}]});
    record["checks"] = json!([{"check": "ipam-pool", "status": text, "summary": text, "evidence": pool}]);
    record
}

#[test]
fn no_text_of_a_record_runs_as_a_script() {
    let lines: Vec<String> =
        (0..).zip(HOSTILE).map(|(number, text)| hostile(number, text).to_string()).collect();
    let place = Place::new();
    let path = report(&place, &lines.join("\n"));
    let mut browser = Chromium::start();
    browser.open(&path);
    for number in 0..HOSTILE.len() {
        browser.click(&format!("#table tr[data-place='{number}'] td.time"));
    }
    assert_eq!(browser.value("document.querySelectorAll('tr.expanded').length"), HOSTILE.len());
    browser.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
    browser.settle();
    assert_eq!(browser.value("typeof window.hacked"), "undefined");
    assert_eq!(
        browser.value("document.querySelectorAll('img, iframe, svg[onload], [onerror], [srcdoc]').length"),
        0
    );
    let shown = browser.value("document.body.innerText").as_str().unwrap().to_owned();
    assert!(HOSTILE.iter().all(|text| shown.contains(text)), "{shown}");
    is_quiet(&mut browser, &path);

    // What if one slipped through: the policy lets no other script run, and none makes markup of text.
    let refused = browser.value(
        "(() => { const script = document.createElement('script'); \
         try { script.textContent = 'window.hacked = 1'; document.body.append(script); } catch { } \
         try { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked = 1\">'); } catch { return typeof window.hacked; } \
         return 'markup was made'; })()",
    );
    assert_eq!(refused, "undefined");
    let fetched =
        browser.value("fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => error.constructor.name)");
    assert_eq!(fetched, "TypeError");
    assert!(browser.complaints().iter().any(|one| one.to_string().contains("Content Security Policy")));
}

#[test]
fn without_a_script_everything_but_the_table_is_there() {
    let place = Place::new();
    let path = report(&place, &history::journal(2000));
    let mut browser = Chromium::start();
    browser.ask("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    browser.open(&path);
    let shown = browser.value("document.body.innerText").as_str().unwrap().to_owned();
    for part in
        ["One node: worker-3.", "Failures over time", "Nodes and causes", "The table needs the script"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let charts = browser.value("[...document.querySelectorAll('svg')].every((one) => one.querySelector('title') && one.querySelector('desc'))");
    assert_eq!(charts, true);
    is_quiet(&mut browser, &path);
}

/// It leaves pictures in target/screenshots, for whoever changes how the page looks.
#[test]
fn the_page_fits_every_window_and_can_be_printed() {
    let place = Place::new();
    let path = report(&place, &history::journal(10_000));
    let mut browser = Chromium::start();
    for (name, width, scheme, medium) in [
        ("light-1280", 1280, "light", "screen"),
        ("dark-1280", 1280, "dark", "screen"),
        ("light-400", 400, "light", "screen"),
        ("dark-400", 400, "dark", "screen"),
        ("print", 800, "dark", "print"),
    ] {
        browser.window(width, 900, scheme, medium);
        browser.open(&path);
        let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.value(overflow), 0, "{name}: the page is wider than its window");
        for part in 0..4 {
            browser.picture(&format!("{name}-{}.png", part + 1), part * 1500, part * 1500 + 1500);
        }
    }
    browser.window(1280, 900, "light", "screen");
    browser.open(&path);
    browser.picture("report.png", 0, 1180);
    browser.click("#failed");
    browser.click("#table tbody tr[data-place] td.time");
    let top =
        browser.value("Math.round(document.querySelector('#calls').getBoundingClientRect().top + scrollY)");
    let top = top.as_u64().unwrap();
    browser.picture("report-call.png", top - 20, top + 1260);
    let printed = browser.ask("Page.printToPDF", &json!({"paperWidth": 8.27, "paperHeight": 11.69}));
    assert!(printed["data"].as_str().unwrap().len() > 10_000);
    is_quiet(&mut browser, &path);
}
