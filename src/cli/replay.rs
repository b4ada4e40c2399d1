//! `cniscope replay`: a call again, in namespaces of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::folders::Folders;
use super::output::Output;
use super::{CliError, Common, Outcome, one_call};
use crate::checks::networks;
use crate::node::Node;
use crate::render::{self, escape, replay as shown};
use crate::replay::outside::{self, ReplayError, Stage};
use crate::replay::plan::{Plan, PlanError, Wishes};
use crate::replay::{Report, judged, scratch, versus};
use crate::settings::{Settings, signatures};

/// How long the runtime's folders are looked for.
const LIMIT: Duration = Duration::from_secs(4);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The call: its id, or the start or end of it; a container's id; a Pod, NAMESPACE/NAME; `last`; `last-failed`
    #[arg(required_unless_present_any = ["conf", "stage"], conflicts_with = "conf")]
    id: Option<String>,
    /// Instead of a call: the ADD of all plugins of this network configuration
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,
    /// What is called: an ADD and then this verb, where the recorded call is an ADD
    #[arg(long, value_name = "VERB", value_parser = ["ADD", "CHECK", "DEL"])]
    command: Option<String>,
    /// Another binary in a plugin's place
    #[arg(long, value_name = "[TYPE=]PATH")]
    plugin: Option<String>,
    /// Compare two binaries in a plugin's place
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["plugin", "strace"])]
    diff: Option<Vec<String>>,
    /// A value that was redacted, by its path in the configuration (ipam.token) or its variable (CNI_ARGS)
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// The configuration that the plugin read, in the place of the recorded one
    #[arg(long, value_name = "FILE", conflicts_with = "conf")]
    config: Option<PathBuf>,
    /// Write the plugins' system calls down, in this folder
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = ".")]
    strace: Option<PathBuf>,
    /// How many seconds a plugin may take
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    #[command(flatten)]
    folders: Folders,
    /// How it is written
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    /// One of the two processes inside
    #[arg(long, value_enum, hide = true)]
    stage: Option<Stage>,
}

impl From<PlanError> for CliError {
    fn from(error: PlanError) -> CliError {
        CliError::Usage(error.to_string())
    }
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    if let Some(stage) = arguments.stage {
        let status = outside::be(stage)?;
        return Ok(if status == 0 { Outcome::Fine } else { Outcome::Blind });
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(ReplayError::NotRoot.into());
    }
    let node = common.node();
    if !node.is_this() {
        let message =
            "--root: a replay runs plugins, which it can only on the node that it is started on".to_owned();
        return Err(CliError::Usage(message));
    }
    let (mut plan, recorded) = plan(common, arguments, &node)?;
    plan.timeout = Duration::from_secs(arguments.timeout);
    plan.redact = Settings::of_node(&node, std::env::var_os("CNISCOPE_CONFIG").as_ref()).redact;
    match &arguments.diff {
        Some(wanted) => compare(arguments, &node, &plan, wanted),
        None => once(common, arguments, &node, plan, recorded.as_ref()),
    }
}

fn once(
    common: &Common,
    arguments: &Arguments,
    node: &Node,
    mut plan: Plan,
    recorded: Option<&shown::Recorded>,
) -> Result<Outcome, CliError> {
    if let Some(wanted) = &arguments.plugin {
        plan.substitute(wanted)?;
    }
    let trace = arguments.strace.as_deref().map(|folder| trace(node, folder)).transpose()?;
    if let Some((_, file)) = &trace {
        plan.trace = Some(outside::pass_on(file)?);
    }
    let report = judged_run(&plan, node)?;
    let trace = trace.map(|(path, _)| path.display().to_string());
    render::to_stdout(|out| match arguments.output {
        Output::Text => {
            shown::whole(out, &report, recorded, common.zone(), render::terminal_width())?;
            match &trace {
                Some(path) => writeln!(out, "\nsystem calls: {}", escape::line(path)),
                None => Ok(()),
            }
        }
        Output::Json => {
            let document = shown::document(&report, recorded, trace.as_deref());
            writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(&document)?))
        }
    })?;
    Ok(if report.is_ok() { Outcome::Fine } else { Outcome::Problem })
}

fn compare(arguments: &Arguments, node: &Node, plan: &Plan, wanted: &[String]) -> Result<Outcome, CliError> {
    let mut paths = Vec::new();
    let mut reports = Vec::new();
    for wanted in wanted {
        let mut plan = plan.clone();
        plan.substitute(wanted)?;
        paths.push(plan.substitute.as_ref().map(|one| one.path.display().to_string()).unwrap_or_default());
        reports.push(judged_run(&plan, node)?);
    }
    let comparison = versus::compare([&paths[0], &paths[1]], [&reports[0], &reports[1]]);
    render::to_stdout(|out| match arguments.output {
        Output::Text => shown::comparison(out, &comparison, &reports[0].notes, render::terminal_width()),
        Output::Json => {
            let mut document = json!({"schema": 1});
            if let (Some(document), Value::Object(fields)) =
                (document.as_object_mut(), serde_json::to_value(&comparison)?)
            {
                document.extend(fields);
            }
            writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(&document)?))
        }
    })?;
    Ok(if comparison.is_same() { Outcome::Fine } else { Outcome::Problem })
}

/// Runs a plan, and finds the cause where it fails.
fn judged_run(plan: &Plan, node: &Node) -> Result<Report, CliError> {
    let mut report = outside::run(plan)?;
    let (own, _) = signatures::of_node(node);
    for called in &mut report.calls {
        judged::judge(called, plan, node, &own);
    }
    report.notes.extend(notes(plan, node));
    Ok(report)
}

/// What is not as it is on the node, whatever is called.
fn notes(plan: &Plan, node: &Node) -> Vec<String> {
    let mut notes = Vec::new();
    if plan.entries.iter().any(scratch::takes_from_pool) {
        notes.push("addresses come from a copy of the pools as they are now, not as they were when the call was made".to_owned());
    }
    for entry in &plan.entries {
        let config = if entry.plugin == "flannel" { &entry.config["delegate"] } else { &entry.config };
        let is_bridge = entry.plugin == "bridge"
            || (entry.plugin == "flannel" && config["type"].as_str().is_none_or(|kind| kind == "bridge"));
        let name = config["bridge"].as_str().filter(|name| !name.is_empty()).unwrap_or("cni0");
        if is_bridge && node.link(name, None).is_ok_and(|link| link.is_some()) {
            notes.push(format!("the node's {name} is not there: the plugin makes one"));
        }
    }
    notes
}

fn plan(
    common: &Common,
    arguments: &Arguments,
    node: &Node,
) -> Result<(Plan, Option<shown::Recorded>), CliError> {
    let (_, folders) = arguments.folders.on(node, LIMIT);
    let wishes = Wishes {
        set: arguments.set.iter().map(|one| pair(one)).collect::<Result<_, _>>()?,
        config: arguments.config.as_deref().map(|file| configuration(node, file)).transpose()?,
        command: arguments.command.clone(),
    };
    if let Some(file) = &arguments.conf {
        let file = std::path::absolute(file)?;
        let networks = networks::read(node, &file).map_err(|flaw| unusable(&file, &flaw))?;
        let network =
            networks.first().ok_or_else(|| CliError::Usage(format!("{}: has no network", file.display())))?;
        return Ok((Plan::of_network(network, &wishes, &folders)?, None));
    }
    let call = one_call::find(common, arguments.id.as_deref().unwrap_or_default())?.call();
    let recorded = shown::Recorded {
        id: call.text("id").to_owned(),
        time: call.text("time").to_owned(),
        outcome: call.outcome.clone(),
        cause: call.text("cause").to_owned(),
    };

    Ok((Plan::of_record(&call.record, &call.outcome, &wishes, &folders)?, Some(recorded)))
}

/// A flaw of the file itself names it already.
fn unusable(file: &Path, flaw: &networks::Flaw) -> CliError {
    let (file, flaw) = (file.display().to_string(), flaw.to_string());
    CliError::Usage(if flaw.starts_with(&file) { flaw } else { format!("{file}: {flaw}") })
}

fn pair(text: &str) -> Result<(String, String), CliError> {
    let split = text.split_once('=').map(|(path, value)| (path.to_owned(), value.to_owned()));
    split.ok_or_else(|| CliError::Usage(format!("--set {}: expected PATH=VALUE", escape::line(text))))
}

fn configuration(node: &Node, file: &Path) -> Result<Value, CliError> {
    let path = std::path::absolute(file)?;
    let content = node.read(&path, 1 << 20).map_err(|error| CliError::Usage(format!("--config {error}")))?;
    serde_json::from_slice(&content)
        .map_err(|error| CliError::Usage(format!("--config {}: no JSON: {error}", path.display())))
}

/// The file for the system calls, in this folder, which is named in the output.
fn trace(node: &Node, folder: &Path) -> Result<(PathBuf, std::fs::File), CliError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let has_strace = crate::cni::path::folders(&std::env::var_os("PATH").unwrap_or_default())
        .iter()
        .any(|folder| node.metadata(&folder.join("strace")).is_ok());
    if !has_strace {
        let message = "--strace: there is no strace in PATH; install it, or leave --strace out".to_owned();
        return Err(CliError::Usage(message));
    }
    let path = std::path::absolute(folder)?.join(format!("cniscope-replay-{}.strace", std::process::id()));
    let file = std::fs::File::options().append(true).create_new(true).mode(0o600).open(&path);
    let file = file.map_err(|error| CliError::Usage(format!("--strace {}: {error}", path.display())))?;
    Ok((path, file))
}
