//! The plugins: not themselves, but what tells one from another.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::gather::{Gathered, Gatherer};
use crate::bundle::manifest::Status;
use crate::digest;
use crate::node::clock::rfc3339;
use crate::node::plugin_versions::Answer;

/// The most files of a folder.
const MAX_FILES: usize = 512;

pub(super) fn gather(to: &Gatherer) -> Gathered {
    for folder in &to.plan.bin_folders {
        let mut names = match to.node.list(folder, MAX_FILES) {
            Ok(listing) => listing.names,
            // Of the usual folders a node has one or two.
            Err(error) if error.is_missing() => continue,
            Err(error) => {
                to.without(Status::Failed, error.to_string())?;
                continue;
            }
        };
        names.sort();
        let plugins: Vec<Value> = names.iter().map(|name| plugin(to, &folder.join(name))).collect();
        let name = folder.display().to_string().trim_start_matches('/').replace('/', "-");
        to.found(
            &format!("plugins/{name}.json"),
            &json!({"folder": folder.display().to_string(), "plugins": plugins}),
        )?;
    }
    Ok(())
}

fn plugin(to: &Gatherer, path: &Path) -> Value {
    let shown = path.display().to_string();
    let target = to.node.link_target(path).map(|target| target.display().to_string());
    let file = match to.node.open_file(path) {
        Ok(file) => file,
        Err(error) => return json!({"path": shown, "target": target, "error": error.to_string()}),
    };
    let metadata = &file.metadata;
    let is_executable = metadata.mode() & 0o111 != 0;
    let mut found = json!({
        "path": shown, "target": target, "size": metadata.len(), "mode": format!("{:04o}", metadata.mode() & 0o7777),
        "uid": metadata.uid(), "gid": metadata.gid(), "changed": metadata.modified().ok().map(rfc3339),
    });
    match digest::sha256_of(&file.file) {
        Ok(hash) => found["sha256"] = json!(hash),
        Err(error) => found["error"] = json!(error.to_string()),
    }
    // An address, a library or a note may lie beside the plugins.
    if is_executable {
        match to.node.plugin_versions(path, Answer::Forgotten) {
            Ok(versions) => found["versions"] = json!(versions),
            Err(why) => found["no_versions"] = json!(why),
        }
    }
    found
}
