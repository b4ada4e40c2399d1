//! An image with one static program, for sandboxes and containers.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use cniscope::digest::sha256;
use serde_json::json;

use crate::machine::printed;
use crate::support::Place;

/// Its name.
pub const NAME: &str = "docker.io/local/pause:1";
/// The program in it: it does nothing until it is killed, or ends at once if it has an argument.
const PAUSE: &str = "int pause(void); int main(int argc, char **argv) { while (argc < 2) pause(); }";

/// Makes an archive of it, as `docker save` does, and gives the path of that.
pub fn archive(place: &Place) -> PathBuf {
    let folder = place.path("image");
    fs::create_dir(&folder).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        printed(Command::new(program).args(arguments).current_dir(&folder));
    };
    fs::write(folder.join("pause.c"), PAUSE).unwrap();
    run("cc", &["-static", "-s", "-o", "pause", "pause.c"]);
    run("tar", &["--create", "--file", "layer.tar", "pause"]);
    let layer = sha256(&fs::read(folder.join("layer.tar")).unwrap());
    let config = json!({
        "os": "linux", "architecture": architecture(), "config": {"Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}]);
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    run("tar", &["--create", "--file", "image.tar", "manifest.json", "config.json", "layer.tar"]);
    folder.join("image.tar")
}

/// The name that images have for what this test was built for.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
