//! Events of Pods as `kubectl` prints them: the warnings among them, how often each was seen, and of which Pod.

use serde_json::Value;

use super::explain::Piece;

/// The warnings of `kubectl get events -o json`: of a list of events, or of one. `None` where the text is no such document.
#[must_use]
pub fn of_json(text: &str) -> Option<Vec<Piece>> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let document: Value = serde_json::from_str(text).ok()?;
    let is_event = |value: &Value| {
        let has_text = value["message"].is_string() || value["note"].is_string();
        has_text && (value["involvedObject"].is_object() || value["regarding"].is_object())
    };
    let events = match (document["items"].as_array(), document.as_array()) {
        (Some(items), _) | (None, Some(items)) => items.as_slice(),
        (None, None) => std::slice::from_ref(&document),
    };
    // An empty list is one of events too: nothing has happened.
    let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    let is_of_events = if events.is_empty() { is_list } else { events.iter().all(is_event) };
    is_of_events.then(|| events.iter().filter(|event| is_warning(event)).map(of_event).collect())
}

fn is_warning(event: &Value) -> bool {
    event["type"].as_str().is_none_or(|kind| kind != "Normal")
}

fn of_event(event: &Value) -> Piece {
    let text = ["message", "note"].iter().find_map(|field| event[*field].as_str()).unwrap_or_default();
    // The first is of v1, the others are of events.k8s.io, and of a series of either.
    let counts = [&event["count"], &event["deprecatedCount"], &event["series"]["count"]];
    let count = counts.iter().filter_map(|count| count.as_u64()).max().unwrap_or(1).max(1);
    let object = ["involvedObject", "regarding"].iter().map(|field| &event[*field]).find(|it| it.is_object());
    let pod = object.filter(|object| object["kind"] == "Pod").and_then(|object| {
        Some((object["namespace"].as_str()?.to_owned(), object["name"].as_str()?.to_owned()))
    });
    Piece { text: text.to_owned(), count, pod }
}

/// The warnings of `kubectl describe pod` and of the table of `kubectl get events`.
#[must_use]
pub fn of_text(text: &str) -> Vec<Piece> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned()).filter(|value| !value.is_empty())
    };
    let described = field("Namespace:").zip(field("Name:"));
    let mut pieces: Vec<Piece> = Vec::new();
    let mut is_in_warning = false;
    for line in described_events(text) {
        match kind(line) {
            Some(kind) => {
                is_in_warning = kind == "Warning";
                if is_in_warning {
                    let pod = described.clone();
                    pieces.push(Piece { text: line.trim().to_owned(), count: times(line), pod });
                }
            }
            // A message of several lines.
            None if is_in_warning => {
                if let Some(piece) = pieces.last_mut() {
                    piece.text.push('\n');
                    piece.text.push_str(line.trim());
                }
            }
            None => {}
        }
    }
    pieces
}

/// The lines below `Events:`; all lines where there is no such heading.
fn described_events(text: &str) -> impl Iterator<Item = &str> {
    let heading = text.lines().position(|line| line.trim_end() == "Events:");
    text.lines().skip(heading.map_or(0, |heading| heading + 1))
}

/// The type of an event whose row this is: its first word, behind an age and a namespace in a table.
fn kind(line: &str) -> Option<&str> {
    line.split_whitespace().take(3).find(|word| matches!(*word, "Warning" | "Normal"))
}

/// How often an event was seen: `2m (x25 over 10m)`.
#[must_use]
pub fn times(line: &str) -> u64 {
    let mut starts = line.match_indices("(x").map(|(at, _)| &line[at + 2..]);
    let count = starts.find_map(|rest| rest.split_once(" over ")?.0.parse().ok());
    count.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str, count: u64, pod: Option<(&str, &str)>) -> Piece {
        let pod = pod.map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
        Piece { text: text.to_owned(), count, pod }
    }

    #[test]
    fn warnings_of_a_list_are_told_with_their_pod_and_how_often() {
        let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
            {"type": "Normal", "message": "Scheduled", "involvedObject": {"kind": "Pod", "namespace": "a", "name": "b"}},
            {"type": "Warning", "message": "it rained", "count": 7, "involvedObject": {"kind": "Pod", "namespace": "a", "name": "b"}},
            {"type": "Warning", "note": "it snowed", "series": {"count": 3}, "regarding": {"kind": "Node", "name": "n"}}]}"#;
        let expected = vec![piece("it rained", 7, Some(("a", "b"))), piece("it snowed", 3, None)];
        assert_eq!(of_json(list), Some(expected));
        assert_eq!(of_json(r#"{"kind": "List", "items": []}"#), Some(vec![]));
        let one = r#"{"type": "Warning", "message": "it rained", "involvedObject": {}}"#;
        assert_eq!(of_json(one), Some(vec![piece("it rained", 1, None)]));
    }

    #[test]
    fn other_documents_are_no_events() {
        for text in [
            "",
            "text",
            "{",
            r#"{"code": 7, "msg": "no"}"#,
            r#"{"level": "error", "message": "no"}"#,
            "[]",
            "[1]",
        ] {
            assert_eq!(of_json(text), None, "{text}");
        }
    }

    #[test]
    fn what_describe_prints_is_read_below_its_heading() {
        let text = "\
Name:             cart-1
Namespace:        shop
Status:           Pending
Warning           of something else
Events:
  Type     Reason                  Age                From               Message
  ----     ------                  ----               ----               -------
  Normal   Scheduled               10m                default-scheduler  Successfully assigned shop/cart-1 to n
  Warning  FailedCreatePodSandBox  2m (x25 over 10m)  kubelet            Failed to create pod sandbox: it
  rained
  Normal   SandboxChanged          1m                 kubelet            Pod sandbox changed
  and more
";
        let message = "Warning  FailedCreatePodSandBox  2m (x25 over 10m)  kubelet            Failed to create pod sandbox: it\nrained";
        assert_eq!(of_text(text), [piece(message, 25, Some(("shop", "cart-1")))]);
    }

    #[test]
    fn the_table_of_events_is_read_with_and_without_namespaces() {
        let text = "\
NAMESPACE   LAST SEEN   TYPE      REASON                   OBJECT       MESSAGE
shop        10s         Warning   FailedCreatePodSandBox   pod/cart-1   it rained
shop        10s         Normal    Pulled                   pod/cart-1   pulled
9s          Warning   FailedCreatePodSandBox   pod/cart-1   it snowed
";
        let texts: Vec<_> = of_text(text).into_iter().map(|piece| piece.text).collect();
        assert_eq!(
            texts,
            [
                "shop        10s         Warning   FailedCreatePodSandBox   pod/cart-1   it rained",
                "9s          Warning   FailedCreatePodSandBox   pod/cart-1   it snowed",
            ]
        );
    }

    #[test]
    fn how_often_is_a_number_in_its_own_form() {
        for (text, expected) in [
            ("", 1),
            ("(x3 over 2m)", 3),
            ("a (x b (x12 over 3h)", 12),
            ("(x99999999999999999999 over 1m)", 1),
        ] {
            assert_eq!(times(text), expected, "{text}");
        }
    }
}
