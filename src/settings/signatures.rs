//! Signatures of this node's owner, from `/etc/cniscope/signatures.d/*.json`. Like the settings file they count only
//! where nobody else can have written them: their words are returned to tenants.

use std::path::Path;

use super::file::read_trusted;
use crate::diagnosis::own::{self, Own};
use crate::node::Node;

/// Where they are.
const FOLDER: &str = "/etc/cniscope/signatures.d";
/// More files than this are not read.
const MOST: usize = 256;

/// The signatures of a node, in the order of the files' names, and what is wrong with others. A folder that is not
/// there holds none.
#[must_use]
pub fn of_node(node: &Node) -> (Vec<Own>, Vec<String>) {
    let folder = Path::new(FOLDER);
    let (mut own, mut warnings) = (Vec::new(), Vec::new());
    let mut names = match node.list(folder, MOST) {
        Ok(listing) => listing.names,
        Err(error) if error.is_missing() && node.metadata(folder).is_err() => return (own, warnings),
        Err(error) => return (own, vec![error.to_string()]),
    };
    names.sort();
    for name in names.iter().filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "json"))
    {
        let path = folder.join(name);
        match read_trusted(node, &path) {
            Ok(content) => {
                let (good, mistakes) = own::parse(&path.to_string_lossy(), &content);
                own.extend(good);
                warnings.extend(mistakes);
            }
            Err(error) => warnings.push(error.to_string()),
        }
    }
    (own, warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn put(root: &Path, name: &str, content: &str, mode: u32) {
        let folder = root.join("etc/cniscope/signatures.d");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), content).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn none_is_no_mistake() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(of_node(&Node::at(root.path())), (vec![], vec![]));
    }

    #[test]
    fn the_files_are_read_in_the_order_of_their_names() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "20.json", r#"{"cause": "disk-full", "all": ["second"]}"#, 0o644);
        put(root.path(), "10.json", r#"[{"cause": "disk-full", "all": ["first"]}]"#, 0o600);
        put(root.path(), "README", "no signature", 0o644);
        let (own, warnings) = of_node(&Node::at(root.path()));
        let texts: Vec<_> = own.iter().map(|own| own.all[0].as_str()).collect();
        assert_eq!((texts, warnings), (vec!["first", "second"], vec![]));
    }

    #[test]
    fn a_mistake_is_a_warning_and_the_other_files_count() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "1.json", "no JSON", 0o644);
        put(root.path(), "2.json", r#"{"cause": "disk-full", "all": ["text"]}"#, 0o666);
        put(root.path(), "3.json", r#"{"cause": "disk-full", "all": ["text"]}"#, 0o644);
        let (own, warnings) = of_node(&Node::at(root.path()));
        assert_eq!(own.len(), 1);
        assert_eq!(
            warnings,
            [
                "/etc/cniscope/signatures.d/1.json: it is not JSON: expected ident at line 1 column 2",
                "/etc/cniscope/signatures.d/2.json: not used: its mode 0666 lets others write it; chmod go-w it"
            ]
        );
    }

    #[test]
    fn a_file_in_the_folders_place_is_a_warning() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/cniscope")).unwrap();
        fs::write(root.path().join("etc/cniscope/signatures.d"), "").unwrap();
        assert_eq!(of_node(&Node::at(root.path())).1.len(), 1);
    }
}
