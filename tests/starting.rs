//! How a plugin is found and started.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Place, try_spawn};

const RESULT: &str = "{\"cniVersion\":\"1.0.0\"}\n";

/// Opens a plugin for writing, as who replaces it does: until the file is closed, it cannot be executed.
fn held(place: &Place) -> fs::File {
    place.plugin("plugin", "echo '{\"cniVersion\":\"1.0.0\"}'");
    let file = fs::File::options().append(true).open(place.path("bin/plugin")).unwrap();
    let refused = try_spawn(place.direct("ADD", "plugin").command()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ExecutableFileBusy);
    file
}

#[test]
fn a_plugin_that_is_being_replaced_is_tried_again() {
    let place = Place::new();
    let file = held(&place);
    let child = place.wrapped("ADD", "plugin").start();
    std::thread::sleep(Duration::from_millis(300));
    drop(file);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), RESULT.as_bytes()));
    assert_eq!(place.end()["outcome"], "ok");
}

#[test]
fn a_plugin_that_stays_busy_is_an_error_after_a_second() {
    let place = Place::new();
    let _file = held(&place);
    let started = Instant::now();
    let ran = place.wrapped("ADD", "plugin").run();
    assert!(started.elapsed() >= Duration::from_secs(1));
    let error = ran.json();
    let msg = "plugin type=\"plugin\" failed (add): netplugin failed with no error message: fork/exec PLACE/bin/plugin: text file busy";
    assert_eq!(
        (ran.status, &error["code"], place.steady(error["msg"].as_str().unwrap())),
        (1, &json!(5), msg.to_owned())
    );
    let end = place.end();
    assert_eq!(end["cause"], "plugin-not-executable");
    assert_eq!(end["diagnosis"]["fix"][0], "wait until plugin has been installed");
}

#[test]
fn the_first_regular_file_in_the_folders_is_the_plugin() {
    let place = Place::new();
    place.plugin("plugin", "echo \"{\\\"run\\\":\\\"$0\\\"}\"");
    for folder in ["first", "first/plugin", "second"] {
        fs::create_dir(place.path(folder)).unwrap();
    }
    // A multi-call binary reads its name from the path under which it is executed: the link is not followed.
    symlink(place.path("bin/plugin"), place.path("second/plugin")).unwrap();
    let path =
        ["missing", "first", "bin/../second/", "bin"].map(|folder| place.path(folder).display().to_string());
    let ran = place.wrapped("ADD", "plugin").env("CNI_PATH", path.join(":")).run();
    assert_eq!(
        (ran.status, place.steady(&ran.text())),
        (0, "{\"run\":\"PLACE/second/plugin\"}\n".to_owned())
    );
    let end = place.end();
    let field = |name: &str| place.steady(end[name].as_str().unwrap());
    assert_eq!(
        (field("plugin_path"), field("plugin_target")),
        ("PLACE/second/plugin".into(), "PLACE/bin/plugin".into())
    );
}

#[test]
fn the_plugin_has_a_process_group_of_its_own() {
    let place = Place::new();
    place.plugin(
        "plugin",
        "read -r _ _ _ _ group _ </proc/$$/stat; echo \"{\\\"leads\\\":$((group == $$))}\"",
    );
    assert_eq!(place.wrapped("ADD", "plugin").run().answer(), (0, "{\"leads\":1}\n".into(), String::new()));
}
