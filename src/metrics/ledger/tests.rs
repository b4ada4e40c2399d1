use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn begin(id: &str) -> String {
    format!("{{\"event\":\"begin\",\"id\":\"{id}\",\"plugin\":\"bridge\",\"command\":\"ADD\"}}")
}

fn end(id: &str) -> String {
    format!(
        "{{\"event\":\"end\",\"id\":\"{id}\",\"plugin\":\"bridge\",\"command\":\"ADD\",\"outcome\":\"ok\",\"duration_ms\":1.5}}"
    )
}

fn ledger(lines: &[&str]) -> Ledger {
    let mut ledger = Ledger::default();
    for line in lines {
        ledger.line(line.as_bytes());
    }
    ledger
}

fn outcomes(ledger: &Ledger) -> Vec<(&str, u64)> {
    let verbs = ledger.counters.plugins.values().flat_map(|plugin| plugin.verbs.values());
    verbs.flat_map(|verb| verb.outcomes.iter().map(|(outcome, count)| (outcome.as_str(), *count))).collect()
}

/// Settles at so many seconds; all processes are gone.
fn settle(ledger: &mut Ledger, seconds: u64) -> u64 {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    ledger.settle_with(|_| false, &BTreeSet::new(), Some(now))
}

#[test]
fn a_call_without_an_end_is_killed_when_its_process_has_been_gone_for_a_while() {
    let mut ledger = ledger(&[&begin("a"), &begin("b")]);
    assert_eq!((settle(&mut ledger, 1000), outcomes(&ledger)), (0, vec![]));
    settle(&mut ledger, 1059);
    ledger.line(end("b").as_bytes());
    assert_eq!(outcomes(&ledger), [("ok", 1)], "the end of one came late");
    settle(&mut ledger, 1060);
    assert_eq!(outcomes(&ledger), [("killed", 1), ("ok", 1)]);
    settle(&mut ledger, 2000);
    assert_eq!(outcomes(&ledger), [("killed", 1), ("ok", 1)], "once");
    assert_eq!(ledger.counters.plugins["bridge"].failures["killed"], 1);
}

#[test]
fn a_clock_that_was_set_back_makes_it_wait_anew() {
    let mut ledger = ledger(&[&begin("a")]);
    for seconds in [5000, 1000, 1059] {
        settle(&mut ledger, seconds);
    }
    assert_eq!(outcomes(&ledger), []);
    settle(&mut ledger, 1060);
    assert_eq!(outcomes(&ledger), [("killed", 1)]);
}

#[test]
fn where_there_is_no_next_time_it_is_killed_at_once() {
    let mut ledger = ledger(&[&begin("a"), &begin("b")]);
    ledger.settle_with(|_| false, &BTreeSet::from(["b".to_owned()]), None);
    assert_eq!(outcomes(&ledger), [("killed", 1), ("unfinished", 1)]);
}

#[test]
fn one_whose_process_is_there_is_running() {
    let mut ledger = ledger(&[&begin("a")]);
    for seconds in [0, 1000, 2000] {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(ledger.settle_with(|_| true, &BTreeSet::new(), Some(now)), 1);
    }
    assert_eq!(outcomes(&ledger), []);
}

#[test]
fn a_begin_that_comes_after_its_end_opens_nothing() {
    let mut ledger = ledger(&[&end("a"), &begin("a")]);
    assert_eq!(ledger.settle_with(|_| true, &BTreeSet::new(), None), 0);
}

#[test]
fn an_end_that_was_written_twice_is_one_call() {
    assert_eq!(outcomes(&ledger(&[&begin("a"), &end("a"), &end("a")])), [("ok", 1)]);
}

#[test]
fn what_is_no_record_is_broken_and_an_empty_line_is_none() {
    let ledger =
        ledger(&["junk", "", "[1]", "{\"event\":\"end\"}", "{\"event\":\"new\",\"id\":\"x\"}", " \n"]);
    assert_eq!((ledger.counters.broken, outcomes(&ledger)), (3, vec![]));
}

#[test]
fn calls_that_never_end_are_only_so_many() {
    let mut ledger = Ledger::default();
    for number in 0..MOST_OPEN + 10 {
        ledger.line(begin(&format!("{number:08}")).as_bytes());
    }
    assert_eq!((ledger.open.len(), ledger.open.contains_key("00000009")), (MOST_OPEN, false));
}

/// What happens to a journal between two looks.
#[derive(Debug, Clone)]
enum Happening {
    /// So many records are written.
    Write(u8),
    /// Half a record, whose rest is written with what comes next.
    Half,
    /// A record that is torn, and a new line after it.
    Torn,
    /// The file is put aside.
    Rotate,
    /// The oldest file is removed, as rotation does.
    RemoveOldest,
    /// The metrics are asked for.
    Look,
    /// They are asked for, and the machine stops before what was counted is kept.
    LookInVain,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (1..5_u8).prop_map(Happening::Write),
        1 => Just(Happening::Half),
        1 => Just(Happening::Torn),
        2 => Just(Happening::Rotate),
        1 => Just(Happening::RemoveOldest),
        3 => Just(Happening::Look),
        1 => Just(Happening::LookInVain),
    ]
}

/// A journal in a folder, and what was written to it.
struct Journal {
    dir: tempfile::TempDir,
    written: u64,
    torn: u64,
    /// What is still to be written of a record.
    rest: String,
    /// The number of the file that is appended to, and of the oldest one.
    newest: usize,
    oldest: usize,
    /// Up to which file everything was counted and kept.
    counted: usize,
}

impl Journal {
    fn new() -> Journal {
        let dir = tempfile::tempdir().unwrap();
        Journal { dir, written: 0, torn: 0, rest: String::new(), newest: 0, oldest: 0, counted: 0 }
    }

    fn path(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("journal.{number}"))
    }

    fn append(&mut self, text: &str) {
        let mut file = File::options().append(true).create(true).open(self.path(self.newest)).unwrap();
        file.write_all(std::mem::take(&mut self.rest).as_bytes()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn record(&mut self) -> String {
        self.written += 1;
        end(&format!("{:036}", self.written)) + "\n"
    }

    fn files(&self) -> Vec<File> {
        let paths = (self.oldest..=self.newest).map(|number| self.path(number));
        paths.filter_map(|path| File::open(path).ok()).collect()
    }

    /// Looks as a new process does: with what was kept, written and read.
    fn look(&self, kept: &str) -> Ledger {
        let mut ledger: Ledger = serde_json::from_str(kept).unwrap();
        ledger.read(self.files()).unwrap();
        ledger
    }

    fn happen(&mut self, happening: &Happening, kept: &mut String) {
        match happening {
            Happening::Write(count) => {
                for _ in 0..*count {
                    let record = self.record();
                    self.append(&record);
                }
            }
            Happening::Half => {
                let record = self.record();
                let (half, rest) = record.split_at(record.len() / 2);
                self.append(half);
                rest.clone_into(&mut self.rest);
            }
            Happening::Torn => {
                self.torn += 1;
                self.append(&format!("{{\"event\":\"end\",\"id\":\"torn{}\n", self.torn));
            }
            Happening::Rotate => {
                self.append("");
                self.newest += 1;
            }
            // What was not counted yet is only removed where it is not looked often enough.
            Happening::RemoveOldest if self.oldest < self.counted => {
                let _ = fs::remove_file(self.path(self.oldest));
                self.oldest += 1;
            }
            Happening::RemoveOldest => {}
            Happening::Look => {
                *kept = serde_json::to_string(&self.look(kept)).unwrap();
                self.counted = self.newest;
            }
            Happening::LookInVain => {
                self.look(kept);
            }
        }
    }
}

fn total(ledger: &Ledger) -> u64 {
    outcomes(ledger).iter().map(|(_, count)| count).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_counted_once_and_no_counter_goes_back(
        happenings in prop::collection::vec(happening(), 1..40),
    ) {
        let mut journal = Journal::new();
        let mut kept = serde_json::to_string(&Ledger::default()).unwrap();
        let mut before = 0;
        for happening in &happenings {
            journal.happen(happening, &mut kept);
            let now = total(&journal.look(&kept));
            prop_assert!(now >= before, "{} after {}", now, before);
            before = now;
        }
        journal.append("");
        let last = journal.look(&kept);
        prop_assert_eq!((total(&last), last.counters.broken), (journal.written, journal.torn));
        let durations = &last.counters.plugins.get("bridge").map(|plugin| plugin.verbs["ADD"].durations.sum());
        prop_assert_eq!(durations.unwrap_or_default(), journal.written * 1500);
    }
}
