//! What holds for the texts of all languages.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::data::{Sentence, filled};
use super::*;
use crate::diagnosis::catalogue::{GROUPS, entries};
use crate::render::width::width;

const OTHERS: [Language; 2] = [Language::Ru, Language::Zh];

/// English words that no text of another language has standing alone.
const ENGLISH: [&str; 22] = [
    "a", "an", "and", "are", "by", "for", "from", "has", "if", "in", "is", "it", "its", "of", "or", "see",
    "that", "the", "this", "to", "what", "with",
];

fn of(language: Language) -> &'static Data {
    language.data().unwrap()
}

/// The English sentence, with its places.
fn english(sentence: &Sentence) -> String {
    let between = |(number, text): (usize, &String)| match number.checked_sub(1) {
        Some(place) => format!("{{{place}}}{text}"),
        None => text.clone(),
    };
    sentence.around.iter().enumerate().map(between).collect()
}

/// Every text of a language beside the English one that it stands for.
fn pairs(language: Language) -> Vec<(String, String)> {
    let data = of(language);
    let mut pairs = Vec::new();
    for entry in entries() {
        let told = &data.causes[entry.id];
        pairs.push((entry.title.to_owned(), told.title.clone()));
        pairs.push((entry.about.to_owned(), told.about.clone()));
        let fixes = entry.fix.iter().map(|fix| fix.text.to_owned());
        pairs.extend(fixes.zip(told.fix.iter().cloned()));
    }
    pairs.extend(data.words.clone());
    pairs.extend(data.sentences.iter().map(|one| (english(one), one.told.clone())));
    pairs
}

/// The words of a text between spaces, Chinese characters and punctuation of sentences.
fn words(text: &str) -> Vec<&str> {
    let is_between = |character: char| {
        character.is_whitespace() || "（），。；：、“”«»—()`*?!".contains(character) || is_han(character)
    };
    let trimmed = text.split(is_between).map(|word| word.trim_matches(['.', ',', ';', ':', '?', '\'']));
    trimmed.map(|word| word.strip_suffix("'s").unwrap_or(word)).filter(|word| !word.is_empty()).collect()
}

fn is_han(character: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&character)
}

/// Whether a word means the same in every language: a path, an option, a command's argument, a name with capitals or digits
/// in it, a place for a value.
fn is_technical(word: &str) -> bool {
    word.contains(['/', '_', '=', '$', '{', '|', '<', '>'])
        || word.starts_with('-')
        || word.chars().skip(1).any(|character| character.is_ascii_uppercase() || character.is_ascii_digit())
}

#[test]
fn the_first_variable_that_is_set_tells_the_language() {
    let table: [(&[(&str, &str)], Language); 13] = [
        (&[], Language::En),
        (&[("LANG", "ru_RU.UTF-8")], Language::Ru),
        (&[("LANG", "zh_CN.utf8")], Language::Zh),
        (&[("LANG", "zh")], Language::Zh),
        (&[("LANG", "zh-Hans-CN")], Language::Zh),
        (&[("LANG", "de_DE.UTF-8")], Language::En),
        (&[("LANG", "ru_RU.UTF-8"), ("LC_MESSAGES", "zh_CN.UTF-8")], Language::Zh),
        (&[("LC_MESSAGES", "zh_CN.UTF-8"), ("LC_ALL", "C")], Language::En),
        (&[("LC_ALL", ""), ("LANG", "ru_RU.UTF-8@latin")], Language::Ru),
        (&[("LC_ALL", "POSIX"), ("LANG", "ru_RU.UTF-8")], Language::En),
        (&[("LANG", "C.UTF-8")], Language::En),
        (&[("LANG", "ru_RU.KOI8-R")], Language::En),
        (&[("LANG", "russian")], Language::En),
    ];
    for (variables, expected) in table {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        assert_eq!(Language::of_environment(variable), expected, "{variables:?}");
    }
}

#[test]
fn every_cause_has_its_title_explanation_and_fixes() {
    let ids: BTreeSet<&str> = entries().map(|entry| entry.id).collect();
    for language in OTHERS {
        assert_eq!(of(language).causes.keys().map(String::as_str).collect::<BTreeSet<_>>(), ids);
        for entry in entries() {
            let told = &of(language).causes[entry.id];
            assert_eq!(told.fix.len(), entry.fix.len(), "{language:?}: {}", entry.id);
            assert!(!told.title.ends_with(['.', '。']) && width(&told.title) <= 80, "{}", told.title);
            assert!(told.about.ends_with(['.', '。']) && told.about.chars().count() < 500, "{}", told.about);
        }
    }
}

#[test]
fn both_languages_have_the_same_words_and_sentences() {
    let [russian, chinese] = OTHERS.map(of);
    let keys = |data: &Data| data.words.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(russian), keys(chinese));
    let sentences = |data: &Data| data.sentences.iter().map(english).collect::<BTreeSet<_>>();
    assert_eq!(sentences(russian), sentences(chinese));
    assert!(sentences(russian).iter().all(|english| !english.starts_with(DESTRUCTIVE)));
}

#[test]
fn commands_paths_and_names_are_the_same_in_every_language() {
    let mut missing = Vec::new();
    for (english, told) in OTHERS.into_iter().flat_map(pairs) {
        let technical =
            words(&english).into_iter().filter(|word| is_technical(word) && !ALIKE.contains(word));
        let lost: Vec<_> = technical.filter(|word| !told.contains(word)).map(str::to_owned).collect();
        missing.extend((!lost.is_empty()).then_some((lost, told)));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Words of English that only look technical.
const ALIKE: [&str; 6] = ["CPU", "ID", "NIC", "VFs", "+{0}", "-o"];

#[test]
fn nothing_is_left_in_english() {
    let mut left = Vec::new();
    for language in OTHERS {
        let is_own = |character: char| match language {
            Language::Zh => is_han(character),
            _ => ('\u{400}'..='\u{4ff}').contains(&character),
        };
        for (english, told) in pairs(language) {
            let is_name = words(&english).iter().all(|word| is_technical(word) || NAMES.contains(word));
            let is_english = words(&told).iter().any(|word| ENGLISH.contains(word));
            left.extend((is_english || !is_name && !told.contains(is_own)).then_some(told));
        }
    }
    assert_eq!(left, Vec::<String>::new());
}

/// Words that are the same in every language.
const NAMES: [&str; 6] = ["The", "Kubernetes", "netns", "Pod", "pod", "at"];

#[test]
fn the_places_for_values_are_the_same() {
    for language in OTHERS {
        for (english, told) in pairs(language) {
            for place in (0..9).map(|number| format!("{{{number}}}")) {
                assert_eq!(
                    english.contains(&place),
                    told.contains(&place),
                    "{place} of {english:?} in {told:?}"
                );
            }
        }
    }
}

#[test]
fn names_of_facts_fit_their_column() {
    let names = [
        "evidence",
        "ruled out",
        "verify",
        "verb",
        "plugin",
        "network",
        "pod",
        "sandbox",
        "netns",
        "runtime",
    ];
    let others = ["error", "text", "checks", "hides", "hidden by", "fix {0}"];
    for language in OTHERS {
        for name in names.iter().chain(&others) {
            let told = language.filled(name, &["9"]);
            assert!(width(&told) <= 10, "{told:?}");
        }
    }
}

#[test]
fn groups_of_causes_have_their_titles() {
    for language in OTHERS {
        for group in GROUPS {
            assert!(of(language).words.contains_key(group.title), "{}", group.title);
        }
    }
}

#[test]
fn a_sentence_is_said_with_its_own_names() {
    let table = [
        (
            "install static in /opt/cni/bin",
            "установите static в /opt/cni/bin",
            "把 static 安装到 /opt/cni/bin",
        ),
        (
            "destructive: ip address delete 10.9.0.1/24 dev cni0 (Pods of the network that owns it lose their gateway)",
            "destructive: ip address delete 10.9.0.1/24 dev cni0 (поды сети, которой он принадлежит, лишатся шлюза)",
            "destructive: ip address delete 10.9.0.1/24 dev cni0（该地址所属网络的 Pod 会失去网关）",
        ),
        (
            "the API server that /k names closes connections without an answer",
            "API-сервер, указанный в /k, закрывает соединения без ответа",
            "/k 中的 API 服务器不应答就关闭连接",
        ),
        // Of the catalogue, and one that looks like another one.
        ("give the network a larger range", "дайте сети больший диапазон", "给此网络分配更大的地址范围"),
        (
            "install the package iptables on this node",
            "установите на этом узле пакет iptables",
            "在本节点上安装软件包 iptables",
        ),
        (
            "chmod 0755 /opt/cni/bin/bridge",
            "chmod 0755 /opt/cni/bin/bridge",
            "chmod 0755 /opt/cni/bin/bridge",
        ),
        ("oil the frobnicator", "oil the frobnicator", "oil the frobnicator"),
        ("install  in ", "install  in ", "install  in "),
    ];
    for (english, russian, chinese) in table {
        let told = [Language::En, Language::Ru, Language::Zh].map(|language| language.sentence(english));
        assert_eq!(told, [english, russian, chinese]);
    }
}

#[test]
fn what_destroys_something_says_so_in_every_language() {
    let fix = "destructive: reboot";
    let told = [Language::En, Language::Ru, Language::Zh].map(|language| language.marked(fix));
    assert_eq!(told, [fix, "с потерями: reboot", "有破坏性：reboot"]);
    assert_eq!(Language::Ru.marked("reboot"), "reboot");
}

#[test]
fn values_are_not_read_as_places() {
    assert_eq!(filled("{1} and {0}, {2} {x", &["{1}", "b"]), "b and {1}, {2} {x");
}

/// The source files below a folder, without those of tests, and up to the tests in them.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder)];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            if entry.is_dir() {
                folders.push(entry);
            } else if !["tests.rs", "absurd_nodes.rs", "named_cases.rs"].contains(&name.as_str()) {
                let source = std::fs::read_to_string(&entry).unwrap();
                let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
                sources.push((entry.display().to_string(), code));
            }
        }
    }
    sources
}

/// The text of the literal that the code begins with, with numbered places.
fn literal(code: &str) -> Option<String> {
    let code = code.trim_start();
    let code = code.strip_prefix("format!(").unwrap_or(code).trim_start();
    let mut characters = code.strip_prefix('"')?.chars().peekable();
    let mut text = String::new();
    let mut places = 0;
    while let Some(character) = characters.next() {
        match character {
            '"' => return Some(text),
            '\\' => match characters.next()? {
                '\n' => while characters.next_if(|next| next.is_whitespace()).is_some() {},
                'n' => text.push('\n'),
                other => text.push(other),
            },
            '{' => {
                while characters.next()? != '}' {}
                let _ = write!(text, "{{{places}}}");
                places += 1;
            }
            other => text.push(other),
        }
    }
    None
}

/// The literals that a name stands for in this code.
fn named(code: &str, name: &str) -> Vec<String> {
    let is_defined = |line: &&str| {
        let line = line.trim_start();
        let rest = line.strip_prefix("const ").or_else(|| line.strip_prefix("let "));
        let pattern = rest.and_then(|rest| rest.split([':', '=']).next()).unwrap_or_default();
        pattern
            .split(|character: char| !(character.is_alphanumeric() || character == '_'))
            .any(|word| word == name)
    };
    let mut found = Vec::new();
    for line in code.lines().filter(is_defined) {
        let start = line.as_ptr() as usize - code.as_ptr() as usize;
        let indent = line.len() - line.trim_start().len();
        let end = if line.ends_with('{') { format!("\n{}}}", " ".repeat(indent)) } else { ";\n".to_owned() };
        let end = code[start..].find(&end).unwrap();
        let mut rest = &code[start..start + end];
        while let Some(place) = rest.find('"') {
            let text = literal(&rest[place..]).unwrap();
            found.push(text);
            rest = &rest[place + 1..];
            rest = &rest[rest.find('"').unwrap() + 1..];
        }
    }
    found
}

/// What a check tells somebody to do, which is no command alone.
fn is_said(text: &str) -> bool {
    let is_command =
        ["ip link set ", "nsenter ", "chmod ", "sysctl -w "].iter().any(|start| text.starts_with(start));
    text.contains(' ') && (!is_command || words(text).iter().any(|word| ENGLISH.contains(word)))
}

#[test]
fn what_checks_tell_to_do_is_known_in_every_language() {
    let (mut said, mut unread) = (BTreeSet::new(), Vec::new());
    for (path, code) in sources("checks") {
        for (place, found) in code.match_indices(".fix(") {
            let argument = &code[place + found.len()..];
            if let Some(text) = literal(argument) {
                said.insert(text);
                continue;
            }
            let name = argument
                .trim_start()
                .split(|character: char| !(character.is_alphanumeric() || character == '_'));
            let texts = named(&code, name.clone().next().unwrap());
            if texts.is_empty() {
                unread.push(format!("{path}: {:.60}", argument.trim_start()));
            }
            said.extend(texts);
        }
    }
    assert_eq!(unread, Vec::<String>::new());
    let said: BTreeSet<String> = said
        .iter()
        .map(|text| text.strip_prefix(DESTRUCTIVE).unwrap_or(text).to_owned())
        .filter(|text| is_said(text))
        .collect();
    assert!(said.len() > 100, "{said:#?}");
    for language in OTHERS {
        let known = |text: &&String| {
            let of_catalogue = entries().flat_map(|entry| entry.fix).any(|fix| fix.text == text.as_str());
            of_catalogue || of(language).sentences.iter().any(|one| english(one) == **text)
        };
        let unknown: Vec<_> = said.iter().filter(|text| !known(text)).collect();
        assert!(unknown.is_empty(), "{language:?}: {unknown:#?}");
    }
}

#[test]
fn what_is_shown_around_is_known_in_every_language() {
    let mut shown = BTreeSet::new();
    let translated = |(_, code): &(String, String)| code.contains("anguage");
    for (_, code) in sources("render").into_iter().chain(sources("language")).filter(translated) {
        for start in [".word(", ".filled(", ".counted(", "self.heading(", "self.list("] {
            for (place, _) in code.match_indices(start) {
                shown.extend(literal(&code[place + start.len()..]));
            }
        }
    }
    assert!(shown.len() > 30, "{shown:#?}");
    let unknown: Vec<_> = shown.iter().filter(|text| !of(Language::Ru).words.contains_key(*text)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}
