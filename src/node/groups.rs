//! Groups of users.

use std::path::Path;

use super::Node;

impl Node {
    /// The number of a group that is given by its name or number. `/etc/group` is read by ourselves: getgrnam(3) loads
    /// libraries, which a static binary cannot.
    #[must_use]
    pub fn group_id(&self, group: &str) -> Option<u32> {
        if let Ok(number) = group.parse() {
            return Some(number);
        }
        let groups = self.read_text(Path::new("/etc/group")).ok()?;
        groups.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok())?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name_and_number() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/group"), "root:x:0:\nadm:x:4:syslog\nbroken:x\n").unwrap();
        let node = Node::at(folder.path());
        let table =
            [("root", Some(0)), ("adm", Some(4)), ("4242", Some(4242)), ("broken", None), ("none", None)];
        for (group, number) in table {
            assert_eq!(node.group_id(group), number, "{group}");
        }
    }
}
