//! Manual pages: one of the program, and one of each verb.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// A part of the page of the program, by its names.
type Part = (&'static str, &'static [(&'static str, &'static str)]);

/// What a page says of the exit status.
const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "All is well, or there are warnings only."),
    ("1", "A problem was found."),
    ("2", "Wrong usage, or it could not run."),
];

/// What the command line does not know of itself.
const PARTS: [Part; 2] = [
    (
        "ENVIRONMENT",
        &[
            ("CNISCOPE_CONFIG", "File of the settings."),
            (
                "LC_ALL, LC_MESSAGES, LANG",
                "Language of titles, explanations and fixes, the first that is set.",
            ),
            (
                "NO_COLOR",
                "Nothing is coloured if it is set. What goes into a file or a pipe is never coloured.",
            ),
        ],
    ),
    (
        "FILES",
        &[
            (
                "/var/log/cniscope/journal.jsonl",
                "The journal; journal.1.jsonl is the youngest of the old ones.",
            ),
            ("/etc/cniscope/config.json", "The settings, or /var/lib/cniscope/config.json."),
            ("/etc/cniscope/signatures.d", "Signatures of this node's owner."),
            (
                "/var/lib/cniscope/uninstalled",
                "The marker of an uninstall: where it exists, no agent wraps anything.",
            ),
            (
                "/etc/cniscope/disabled",
                "Where it exists, every call goes to its plugin and nothing else happens.",
            ),
        ],
    ),
];

/// An empty line as clap_mangen makes it, at which mandoc takes offence.
const BREAKS: &str = ".br\n\n.br\n";

/// The pages, by the names of their files.
///
/// # Errors
/// None that is known: they are written to memory.
pub fn pages(mut command: Command) -> io::Result<Vec<(String, String)>> {
    command.build();
    let verbs: Vec<&Command> = command.get_subcommands().collect();
    let names: Vec<&str> = verbs.iter().filter_map(|verb| verb.get_display_name()).collect();
    let others = |name: &str| names.iter().copied().filter(|other| *other != name).collect::<Vec<_>>();
    let mut pages = vec![page(&command, &PARTS, &names)?];
    for verb in &verbs {
        let name = verb.get_display_name().unwrap_or_default();
        pages.push(page(verb, &[], &[&["cniscope"], others(name).as_slice()].concat())?);
    }
    Ok(pages)
}

fn page(command: &Command, parts: &[Part], see_also: &[&str]) -> io::Result<(String, String)> {
    let man = Man::new(command.clone())
        .source(concat!("cniscope ", env!("CARGO_PKG_VERSION")))
        .date(env!("CNISCOPE_DATE"))
        .manual("cniscope");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut roff = Roff::new();
    for (heading, items) in [("EXIT STATUS", EXIT_STATUS)].iter().chain(parts) {
        roff.control("SH", [*heading]);
        for (name, meaning) in *items {
            roff.control("TP", []).text([bold(*name)]).text([roman(*meaning)]);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    for (position, name) in see_also.iter().enumerate() {
        let comma = if position + 1 == see_also.len() { "" } else { "," };
        roff.text([bold(*name), roman(format!("(1){comma}"))]);
    }
    roff.to_writer(&mut text)?;
    let text = String::from_utf8_lossy(&text).replace(BREAKS, ".sp\n");
    Ok((man.get_filename(), text))
}
