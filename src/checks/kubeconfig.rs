//! A kubeconfig: where its server is, whose certificates it believes, and as whom it asks. It holds secrets, so it cannot be
//! printed.
//!
//! What plugins have is YAML of a fixed form, or JSON of many lines, with every value on a line of its own.

use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::credentials::base64;
use crate::node::Node;
use crate::node::https::Identity;

/// The bundles of certificates that Go looks for on Linux (`crypto/x509/root_linux.go`), where a kubeconfig has none of its own.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// Where the server of a kubeconfig is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Whether it is asked by TLS.
    pub has_tls: bool,
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What comes before the paths of the API, without a slash at its end.
    pub path: String,
}

impl Server {
    /// Host and port, as in a URL.
    #[must_use]
    pub fn authority(&self) -> String {
        let Server { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// The lines `key: value`, without quotes.
pub fn pairs(kubeconfig: &str) -> impl Iterator<Item = (&str, &str)> {
    let quotes = |letter: char| letter.is_whitespace() || "\"',".contains(letter);
    kubeconfig.lines().filter_map(move |line| {
        let (key, value) = line.trim().trim_start_matches("- ").split_once(':')?;
        Some((key.trim_matches(quotes), value.trim_matches(quotes)))
    })
}

/// A kubeconfig's text, and where it stands.
#[derive(Clone, Copy)]
pub struct Kubeconfig<'a> {
    /// Its path.
    pub path: &'a Path,
    /// Its text.
    pub text: &'a str,
}

impl Kubeconfig<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        pairs(self.text).find(|(found, value)| *found == key && !value.is_empty()).map(|(_, value)| value)
    }

    fn has_several(&self, key: &str) -> bool {
        pairs(self.text).filter(|(found, _)| *found == key).count() > 1
    }

    /// The server of the first cluster.
    #[must_use]
    pub fn server(&self) -> Option<Server> {
        pairs(self.text).filter(|(key, _)| *key == "server").find_map(|(_, url)| server(url))
    }

    /// Whether the first of everything in it may not belong together: there is more than one cluster or user.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        let once = ["server", "token", "tokenFile", "client-certificate", "client-certificate-data"];
        once.iter().any(|key| self.has_several(key))
    }

    /// Whether the server is reached through a proxy.
    #[must_use]
    pub fn has_proxy(&self) -> bool {
        self.value("proxy-url").is_some()
    }

    /// Whether any certificate of the server will do.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        self.value("insecure-skip-tls-verify") == Some("true")
    }

    /// The name that the server's certificate has to be for, where it is not the server's own.
    #[must_use]
    pub fn tls_name(&self) -> Option<&str> {
        self.value("tls-server-name")
    }

    /// The certificates that it believes: its own, or else the node's.
    #[must_use]
    pub fn authorities(&self, node: &Node) -> Vec<CertificateDer<'static>> {
        let own = ["certificate-authority", "certificate-authority-data"];
        if own.iter().any(|key| self.value(key).is_some()) {
            return certificates(&self.pem(node, own[0], own[1]).unwrap_or_default());
        }
        let bundle = BUNDLES.iter().find_map(|path| node.read_text(Path::new(path)).ok());
        certificates(bundle.unwrap_or_default().as_bytes())
    }

    /// The certificate and the key that it shows.
    #[must_use]
    pub fn identity(&self, node: &Node) -> Option<Identity> {
        let chain = certificates(&self.pem(node, "client-certificate", "client-certificate-data")?);
        let key = self.pem(node, "client-key", "client-key-data")?;
        Some((chain, PrivateKeyDer::from_pem_slice(&key).ok()?))
    }

    /// The token that it shows. A file of it comes first (`client-go/rest`).
    #[must_use]
    pub fn token(&self, node: &Node) -> Option<String> {
        match self.value("tokenFile") {
            Some(path) => Some(self.file(node, path)?.trim().to_owned()),
            None => self.value("token").map(str::to_owned),
        }
    }

    /// What stands in it under the key `data`, or else in the file that it names under `path`.
    fn pem(&self, node: &Node, path: &str, data: &str) -> Option<Vec<u8>> {
        match self.value(data) {
            Some(data) => base64(data),
            None => self.file(node, self.value(path)?).map(String::into_bytes),
        }
    }

    /// A file that it names; from its own folder on, where the path is not absolute.
    fn file(&self, node: &Node, path: &str) -> Option<String> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        node.read_text(&folder.join(path)).ok()
    }
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

/// A URL such as `https://10.96.0.1:443`.
fn server(url: &str) -> Option<Server> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let path = rest[authority.len()..].split('?').next()?.trim_end_matches('/').to_owned();
    let has_tls = scheme != "http";
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map_or(Some(if has_tls { 443 } else { 80 }), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| Server { has_tls, host: host.to_owned(), port, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Kubeconfig<'_> {
        Kubeconfig { path: Path::new("/etc/cni/net.d/k"), text }
    }

    #[test]
    fn the_server_is_read() {
        let table = [
            ("clusters:\n- cluster:\n    server: https://10.96.0.1:443\n", Some("10.96.0.1:443")),
            ("    server: https://[fd00:10:96::1]:6443\n", Some("[fd00:10:96::1]:6443")),
            ("- server: \"https://api.example.org\"\n", Some("api.example.org:443")),
            ("  \"server\": \"http://127.0.0.1/path\",\n", Some("127.0.0.1:80")),
            ("certificate-authority-data: server\n", None),
            ("server: 10.96.0.1\n", None),
            ("server: https://a:b\n", None),
            ("server: https://:443\n", None),
            ("", None),
        ];
        for (kubeconfig, expected) in table {
            let found = of(kubeconfig).server().map(|server| server.authority());
            assert_eq!(found.as_deref(), expected, "{kubeconfig}");
        }
    }

    #[test]
    fn the_api_may_stand_below_a_path() {
        let table = [
            ("https://r.example.org/k8s/clusters/c-1/", "/k8s/clusters/c-1"),
            ("https://a:6443", ""),
            ("https://a/?b", ""),
        ];
        for (url, path) in table {
            assert_eq!(server(url).unwrap().path, path, "{url}");
        }
    }

    #[test]
    fn two_clusters_or_users_are_ambiguous_and_a_context_is_not() {
        let one = "clusters:\n- cluster:\n    server: https://a\ncontexts:\n- context:\n    user: u\nusers:\n- user:\n    token: t\n";
        assert!(!of(one).is_ambiguous());
        assert!(of(&format!("{one}- user:\n    token: other\n")).is_ambiguous());
        assert!(of(&format!("{one}- cluster:\n    server: https://b\n")).is_ambiguous());
    }

    #[test]
    fn files_are_found_from_the_kubeconfigs_own_folder_on() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc/cni/net.d")).unwrap();
        std::fs::write(root.path().join("etc/cni/net.d/t"), "secret\n").unwrap();
        let node = Node::at(root.path());
        let token = |text| of(text).token(&node);
        assert_eq!(token("tokenFile: t\ntoken: other"), Some("secret".into()));
        assert_eq!(token("tokenFile: /etc/cni/net.d/t"), Some("secret".into()));
        assert_eq!(token("tokenFile: /none\ntoken: other"), None);
        assert_eq!(token("\"token\": \"other\","), Some("other".into()));
        assert_eq!(token("token:"), None);
    }
}
