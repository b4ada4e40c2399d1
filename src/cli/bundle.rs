//! `cniscope bundle`: evidence of this node for somebody else, or what one says of itself.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::folders::Folders;
use super::output::Output;
use super::{CliError, Common, Outcome, VERSION};
use crate::bundle::check::{self, MAX_SIZE};
use crate::bundle::clean::Text;
use crate::bundle::gather::Plan;
use crate::bundle::{self, Bounds};
use crate::digest::sha256_of;
use crate::node::clock;
use crate::render::{self, escape};
use crate::settings::Settings;

/// How long it may take to find the runtime's folders.
const LIMIT: Duration = Duration::from_secs(4);
/// The longest name of a node in a file's name.
const MAX_NAME: usize = 63;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file to write [default: ./cniscope-bundle-NODE-TIME.tar.gz]
    #[arg(short = 'O', long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The most that is put in, unpacked, such as 20M
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size)]
    max_size: u64,
    /// How long it may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Ask the API server for events as this kubeconfig says
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Make none: look whether this one is whole
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "max_size", "timeout", "kubeconfig", "conf_dir", "cni_path"])]
    check: Option<PathBuf>,
    #[command(flatten)]
    folders: Folders,
    /// How it is told what is in it
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    match &arguments.check {
        Some(file) => look(arguments, file),
        None => make(common, arguments),
    }
}

/// A number of bytes, with `K`, `M` or `G`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit: u64 =
        match text[digits.len()..].trim_end_matches("iB").trim_end_matches('B').to_ascii_uppercase().as_str()
        {
            "" => 1,
            "K" => 1 << 10,
            "M" => 1 << 20,
            "G" => 1 << 30,
            _ => return Err("expected a size such as 20M".to_owned()),
        };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    // What is hidden and the manifest need some room below the most that a reader takes.
    let bytes = bytes.filter(|bytes| (1 << 10..=MAX_SIZE / 2).contains(bytes));
    bytes.ok_or_else(|| "expected a size from 1K to 512M".to_owned())
}

fn make(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    if !common.root.is_dir() {
        let root = common.root.to_string_lossy();
        return Err(CliError::Usage(format!("--root {} is no folder", escape::line(&root))));
    }
    let (node, time) = (common.node(), SystemTime::now());
    let folder = folder_name(&node.host_name(), time);
    let place = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("{folder}.tar.gz")));
    let (conf_dir, bin_folders) = arguments.folders.on(&node, LIMIT);
    let plan = Plan {
        conf_dir,
        bin_folders,
        journal: common.own_journal()?,
        kubeconfig: arguments.kubeconfig.clone(),
    };
    let named = std::env::var_os("CNISCOPE_CONFIG");
    let text = Text::new(&Settings::of_node(&node, named.as_ref()).redact);
    let bounds = Bounds { size: arguments.max_size, time: Duration::from_secs(arguments.timeout) };
    let made = bundle::make(&node, plan, text, bounds, (&place, &folder, time), VERSION);
    let (manifest, size) = made.map_err(|source| CliError::Bundle { path: place.clone(), source })?;
    let hash = File::open(&place).and_then(sha256_of).unwrap_or_default();
    render::to_stdout(|out| match arguments.output {
        Output::Text => render::bundle::made(out, &manifest, (&place, size, &hash), render::terminal_width()),
        Output::Json => {
            let document = json!({"file": place.display().to_string(), "size": size, "sha256": hash, "manifest": manifest});
            writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(&document)?))
        }
    })?;
    Ok(Outcome::Fine)
}

/// `cniscope-bundle-node-1-20261121T102030Z`.
fn folder_name(node: &str, time: SystemTime) -> String {
    let of_name =
        |letter: char| if letter.is_ascii_alphanumeric() || ".-".contains(letter) { letter } else { '-' };
    let node: String = node.chars().map(of_name).take(MAX_NAME).collect();
    let time: String = clock::rfc3339(time).chars().take(19).filter(char::is_ascii_alphanumeric).collect();
    format!("cniscope-bundle-{}-{time}Z", node.trim_matches(['.', '-']))
}

fn look(arguments: &Arguments, file: &Path) -> Result<Outcome, CliError> {
    let checked = check::check(file)?;
    render::to_stdout(|out| match arguments.output {
        Output::Text => render::bundle::checked(out, &checked, file),
        Output::Json => {
            let document =
                json!({"whole": checked.whole, "problems": checked.problems, "manifest": checked.manifest});
            writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(&document)?))
        }
    })?;
    Ok(if checked.problems.is_empty() { Outcome::Fine } else { Outcome::Problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let table = [
            ("20M", Some(20 << 20)),
            ("1024", Some(1024)),
            ("1KiB", Some(1024)),
            ("2g", None),
            ("512m", Some(512 << 20)),
            ("1", None),
            ("M", None),
            ("20X", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_folder_is_named_for_node_and_time() {
        let time = clock::parse_rfc3339("2026-11-21T10:20:30.5Z").unwrap();
        assert_eq!(
            folder_name("node-1.example.org", time),
            "cniscope-bundle-node-1.example.org-20261121T102030Z"
        );
        assert_eq!(folder_name("../a/b\u{1b}", time), "cniscope-bundle-a-b-20261121T102030Z");
    }
}
