//! Network links and their addresses, read from the kernel with rtnetlink.

use std::net::IpAddr;
use std::path::Path;

use futures_util::TryStreamExt as _;
use ipnetwork::IpNetwork;
use nix::errno::Errno;
use rtnetlink::packet_core::ErrorMessage;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{InfoData, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rtnetlink::{Handle, LinkGetRequest};
use tokio::runtime::Runtime;

use super::{Node, netns};

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its kind, such as `bridge` or `veth`; a physical interface has none.
    pub kind: Option<String>,
    /// Whether it is set up.
    pub up: bool,
    /// Whether it has a carrier; a bridge has one while a port of it has.
    pub carrier: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The index of the bridge or bond that it is a port of.
    pub controller: Option<u32>,
    /// The index of the link that it sends through: a vxlan's underlay, the parent of a vlan or macvlan.
    pub lower: Option<u32>,
    /// The UDP port of a vxlan.
    pub port: Option<u16>,
    /// Whether the link that it belongs to, such as the other end of a veth, is in another network namespace.
    pub peer_is_elsewhere: bool,
    /// Its addresses, in the kernel's order.
    pub addresses: Vec<IpNetwork>,
}

/// Why links could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No socket, or no thread for it.
    #[error("netlink: {0}")]
    Socket(#[from] std::io::Error),
    /// The network namespace could not be entered.
    #[error("network namespace {path}: {}", crate::cni::go::errno_text(*.errno))]
    Netns {
        /// Its path.
        path: String,
        /// Why not.
        errno: Errno,
    },
    /// The kernel refused.
    #[error("netlink: {0}")]
    Kernel(#[from] rtnetlink::Error),
}

impl Node {
    /// The link of this name with its addresses, in the network namespace at `netns`, or else in this process' own.
    /// `None` if there is none of this name.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn link(&self, name: &str, netns: Option<&Path>) -> Result<Option<Link>, LinkError> {
        if let (Some(links), None) = (&self.snapshot, netns) {
            return Ok(links.iter().find(|link| link.name == name).cloned());
        }
        asking(netns, async |handle| by_name(&handle, name).await)
    }

    /// All links with their addresses, in this process' own network namespace.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn links(&self) -> Result<Vec<Link>, LinkError> {
        if let Some(links) = &self.snapshot {
            return Ok(links.to_vec());
        }
        asking(None, async |handle| all(&handle).await)
    }

    /// How many ports the bridge of this index has.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn count_ports(&self, bridge: u32) -> Result<usize, LinkError> {
        if let Some(links) = &self.snapshot {
            return Ok(links.iter().filter(|link| link.controller == Some(bridge)).count());
        }
        asking(None, async |handle| {
            let mut request = handle.link().get();
            request.message_mut().attributes.push(LinkAttribute::Controller(bridge));
            let mut links = request.execute();
            let mut count = 0;
            while let Some(message) = links.try_next().await? {
                // Kernels before 4.6 do not filter.
                count += usize::from(read(&message).controller == Some(bridge));
            }
            Ok(count)
        })
    }
}

impl Link {
    /// Whether it is one end of a pair.
    #[must_use]
    pub fn is_veth(&self) -> bool {
        self.kind.as_deref() == Some("veth")
    }
}

/// The link of this name with its addresses.
pub(super) async fn by_name(handle: &Handle, name: &str) -> Result<Option<Link>, LinkError> {
    with_addresses(handle, handle.link().get().match_name(name.to_owned())).await
}

/// The link of this index with its addresses.
pub(super) async fn by_index(handle: &Handle, index: u32) -> Result<Option<Link>, LinkError> {
    with_addresses(handle, handle.link().get().match_index(index)).await
}

/// The link of this index, without its addresses.
pub(super) async fn bare_by_index(handle: &Handle, index: u32) -> Result<Option<Link>, LinkError> {
    let asked = handle.link().get().match_index(index).execute().try_next().await;
    Ok(absent_is_none(asked)?.as_ref().map(read))
}

async fn with_addresses(handle: &Handle, asked: LinkGetRequest) -> Result<Option<Link>, LinkError> {
    let Some(message) = absent_is_none(asked.execute().try_next().await)? else { return Ok(None) };
    let mut link = read(&message);
    let mut request = handle.address().get();
    request.message_mut().header.index = link.index;
    let mut addresses = request.set_link_index_filter(link.index).execute();
    while let Some(address) = addresses.try_next().await? {
        link.addresses.extend(network(&address.attributes, address.header.prefix_len));
    }
    Ok(Some(link))
}

/// All links with their addresses.
pub(super) async fn all(handle: &Handle) -> Result<Vec<Link>, LinkError> {
    let mut found: Vec<Link> = Vec::new();
    let mut messages = handle.link().get().execute();
    while let Some(message) = messages.try_next().await? {
        found.push(read(&message));
    }
    let mut addresses = handle.address().get().execute();
    while let Some(address) = addresses.try_next().await? {
        let link = found.iter_mut().find(|link| link.index == address.header.index);
        if let Some(link) = link {
            link.addresses.extend(network(&address.attributes, address.header.prefix_len));
        }
    }
    Ok(found)
}

/// Opens a connection, asks, and closes it.
pub(super) fn asking<T>(
    netns: Option<&Path>,
    ask: impl AsyncFnOnce(Handle) -> Result<T, LinkError>,
) -> Result<T, LinkError> {
    let connections = Connections::new()?;
    let handle = connections.open(netns)?;
    connections.ask(ask(handle))
}

/// Connections to the kernel, which end together.
pub(super) struct Connections {
    runtime: Runtime,
}

impl Connections {
    /// None yet.
    pub(super) fn new() -> Result<Connections, LinkError> {
        Ok(Connections { runtime: tokio::runtime::Builder::new_current_thread().enable_io().build()? })
    }

    /// One for the network namespace at `netns`, or else for this thread's own. A socket stays with the namespace in which
    /// it was made: the thread itself is there for no longer than that takes.
    pub(super) fn open(&self, netns: Option<&Path>) -> Result<Handle, LinkError> {
        let in_netns = |path: &Path, errno| LinkError::Netns { path: path.display().to_string(), errno };
        let open = || {
            let _inside = self.runtime.enter();
            // The kernel filters by itself where the check is strict (4.20 and later); elsewhere the callers do.
            let strict = rtnetlink::new_connection_with_strict_check();
            let (connection, handle, _) = strict.or_else(|_| rtnetlink::new_connection())?;
            self.runtime.spawn(connection);
            Ok(handle)
        };
        match netns {
            Some(path) => netns::inside(path, open).map_err(|errno| in_netns(path, errno))?,
            None if netns::is_astray() => Err(in_netns(Path::new("of the node"), Errno::EXDEV)),
            None => open(),
        }
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask<T>(&self, question: impl Future<Output = T>) -> T {
        self.runtime.block_on(question)
    }
}

fn absent_is_none(
    asked: Result<Option<LinkMessage>, rtnetlink::Error>,
) -> Result<Option<LinkMessage>, LinkError> {
    match asked {
        Err(rtnetlink::Error::NetlinkError(ErrorMessage { code: Some(code), .. }))
            if code.get() == -(Errno::ENODEV as i32) =>
        {
            Ok(None)
        }
        other => Ok(other?),
    }
}

fn read(message: &LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up),
        carrier: message.header.flags.contains(LinkFlags::LowerUp),
        ..Link::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => name.clone_into(&mut link.name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Controller(index) => link.controller = Some(*index),
            LinkAttribute::Link(index) => link.lower = Some(*index),
            LinkAttribute::LinkNetNsId(_) => link.peer_is_elsewhere = true,
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(kind) => link.kind = Some(kind.to_string()),
                        LinkInfo::Data(InfoData::Vxlan(data)) => {
                            link.lower = link.lower.or(underlay(data));
                            link.port = data.iter().find_map(|setting| match setting {
                                InfoVxlan::Port(port) => Some(*port),
                                _ => None,
                            });
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    link
}

/// The link below a vxlan, which names it among its own settings; 0 is none.
fn underlay(data: &[InfoVxlan]) -> Option<u32> {
    data.iter().find_map(|setting| match setting {
        InfoVxlan::Link(index) => Some(*index).filter(|index| *index != 0),
        _ => None,
    })
}

/// The address with its prefix. `IFA_LOCAL` is the interface's own where both are given (rtnetlink(7)).
fn network(attributes: &[AddressAttribute], prefix: u8) -> Option<IpNetwork> {
    let local = attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address: Option<IpAddr> = local.or_else(|| {
        attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    });
    IpNetwork::new(address?, prefix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_found_and_another_name_is_not() {
        let loopback = Node::this().link("lo", None).unwrap().unwrap();
        assert_eq!((loopback.index, loopback.name.as_str(), &loopback.kind), (1, "lo", &None));
        assert_eq!(Node::this().link("no-such-link", None).unwrap(), None);
    }

    #[test]
    fn among_all_links_is_the_loopback_with_its_address() {
        let links = Node::this().links().unwrap();
        let loopback = links.iter().find(|link| link.name == "lo").unwrap();
        assert!(loopback.addresses.contains(&"127.0.0.1/8".parse().unwrap()), "{loopback:?}");
    }

    #[test]
    fn a_snapshot_stands_for_the_kernel() {
        let port = Link { index: 2, name: "veth1".into(), controller: Some(7), ..Link::default() };
        let bridge = Link { index: 7, name: "cni0".into(), ..Link::default() };
        let node = Node::this().with_links(&[port.clone(), bridge.clone()]);
        assert_eq!(node.links().unwrap(), [port, bridge.clone()]);
        assert_eq!((node.link("cni0", None).unwrap(), node.link("lo", None).unwrap()), (Some(bridge), None));
        assert_eq!((node.count_ports(7).unwrap(), node.count_ports(2).unwrap()), (1, 0));
    }

    #[test]
    fn a_netns_that_is_none_is_an_error_that_names_it() {
        let error = Node::this().link("lo", Some(Path::new("/nowhere"))).unwrap_err();
        assert_eq!(error.to_string(), "network namespace /nowhere: no such file or directory");
    }
}
