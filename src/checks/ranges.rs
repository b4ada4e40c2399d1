//! host-local's ranges: read as the plugin reads them (`plugins/ipam/host-local/backend/allocator`).

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde_json::Value;

/// A range of one subnet. Addresses are numbers, so that IPv6 needs nothing of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The subnet.
    pub subnet: IpNetwork,
    /// The first address that is given out.
    pub start: u128,
    /// The last one.
    pub end: u128,
    /// The gateway, which is never given out.
    pub gateway: IpAddr,
}

/// Ranges from which one address is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeSet(pub Vec<Range>);

impl RangeSet {
    /// How many addresses it has to give.
    #[must_use]
    pub fn capacity(&self) -> u128 {
        self.0
            .iter()
            .map(|range| {
                let size = range.end - range.start + 1;
                size - u128::from(range.contains(range.gateway))
            })
            .fold(0, u128::saturating_add)
    }

    /// Whether the address is one of those.
    #[must_use]
    pub fn gives(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }
}

impl std::fmt::Display for RangeSet {
    /// As the plugin writes it: `10.1.0.1-10.1.0.6,10.2.0.1-10.2.0.6`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, range) in self.0.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            write!(f, "{comma}{}-{}", range.address(range.start), range.address(range.end))?;
        }
        Ok(())
    }
}

impl Range {
    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.subnet.is_ipv4() && (self.start..=self.end).contains(&number(address))
    }

    fn address(&self, number: u128) -> IpAddr {
        match self.subnet {
            IpNetwork::V4(_) => IpAddr::V4(u32::try_from(number).unwrap_or(u32::MAX).into()),
            IpNetwork::V6(_) => IpAddr::V6(number.into()),
        }
    }

    /// The gateway with the subnet's prefix: what the bridge carries.
    #[must_use]
    pub fn gateway_network(&self) -> Option<IpNetwork> {
        IpNetwork::new(self.gateway, self.subnet.prefix()).ok()
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// The range sets of a network that uses host-local, in the plugin's order: of the runtime, the old single subnet, the
/// list.
///
/// # Errors
/// What the plugin would refuse, naming the key.
pub fn of_config(config: &Value) -> Result<Vec<RangeSet>, String> {
    let ipam = &config["ipam"];
    let mut sets = Vec::new();
    sets_of(&config["runtimeConfig"]["ipRanges"], "runtimeConfig.ipRanges", &mut sets)?;
    if ipam.get("subnet").is_some_and(|subnet| !subnet.is_null()) {
        sets.push(RangeSet(vec![range(ipam, "ipam")?]));
    }
    sets_of(&ipam["ranges"], "ipam.ranges", &mut sets)?;
    if sets.is_empty() {
        return Err("ipam.ranges: no ranges are given, expected [[{\"subnet\": …}]]".to_owned());
    }
    Ok(sets)
}

fn sets_of(value: &Value, key: &str, sets: &mut Vec<RangeSet>) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    let list = value.as_array().ok_or_else(|| format!("{key}: expected an array of arrays of ranges"))?;
    for (position, set) in list.iter().enumerate() {
        let key = format!("{key}[{position}]");
        let ranges = set.as_array().ok_or_else(|| format!("{key}: expected an array of ranges"))?;
        let ranges =
            ranges.iter().enumerate().map(|(position, value)| range(value, &format!("{key}[{position}]")));
        let ranges: Vec<Range> = ranges.collect::<Result<_, _>>()?;
        let families = ranges.iter().filter(|range| range.subnet.is_ipv4()).count();
        if ranges.is_empty() {
            return Err(format!("{key}: is empty, expected a range"));
        }
        if families != 0 && families != ranges.len() {
            return Err(format!("{key}: mixes IPv4 and IPv6, expected one family a set"));
        }
        sets.push(RangeSet(ranges));
    }
    Ok(())
}

fn range(value: &Value, key: &str) -> Result<Range, String> {
    let subnet = text(value, "subnet", key)?.ok_or_else(|| format!("{key}.subnet: is missing"))?;
    if !subnet.contains('/') {
        return Err(format!(
            "{key}.subnet: {subnet:?} has no prefix length, expected a CIDR such as 10.1.0.0/24"
        ));
    }
    let subnet: IpNetwork = subnet.parse().map_err(|_| format!("{key}.subnet: {subnet:?} is no CIDR"))?;
    let bits = if subnet.is_ipv4() { 32 } else { 128 };
    if subnet.prefix() > bits - 2 {
        return Err(format!("{key}.subnet: {subnet} is too small to allocate from"));
    }
    if subnet.ip() != subnet.network() {
        let network = subnet.network();
        return Err(format!(
            "{key}.subnet: {subnet} has host bits set, the network is {network}/{}",
            subnet.prefix()
        ));
    }
    let network = number(subnet.network());
    let last = network | host_mask(bits - subnet.prefix());
    let inside = |name: &str, default: u128| match address(value, name, key)? {
        None => Ok(default),
        Some(address) if subnet.contains(address) => Ok(number(address)),
        Some(address) => Err(format!("{key}.{name}: {address} is not in {subnet}")),
    };
    let start = inside("rangeStart", network + 1)?;
    let end = inside("rangeEnd", if subnet.is_ipv4() { last - 1 } else { last })?;
    if start > end {
        return Err(format!("{key}.rangeStart: lies behind rangeEnd"));
    }
    let mut range = Range { subnet, start, end, gateway: subnet.network() };
    range.gateway = address(value, "gateway", key)?.unwrap_or_else(|| range.address(network + 1));
    Ok(range)
}

/// The lowest `bits` bits set.
fn host_mask(bits: u8) -> u128 {
    if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
}

fn text<'v>(value: &'v Value, name: &str, key: &str) -> Result<Option<&'v str>, String> {
    match &value[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        other => Err(format!("{key}.{name}: is {other}, expected a string")),
    }
}

fn address(value: &Value, name: &str, key: &str) -> Result<Option<IpAddr>, String> {
    let Some(text) = text(value, name, key)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{key}.{name}: {text:?} is no IP address"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(range: &Value) -> RangeSet {
        of_config(&json!({"ipam": {"ranges": [[range]]}})).unwrap().remove(0)
    }

    #[test]
    fn capacities_are_the_plugins() {
        let table = [
            (json!({"subnet": "10.1.0.0/24"}), 253, "10.1.0.1-10.1.0.254"),
            (json!({"subnet": "10.244.7.0/29"}), 5, "10.244.7.1-10.244.7.6"),
            (json!({"subnet": "10.1.0.0/30"}), 1, "10.1.0.1-10.1.0.2"),
            (
                json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.10", "rangeEnd": "10.1.0.19"}),
                10,
                "10.1.0.10-10.1.0.19",
            ),
            (json!({"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}), 253, "10.1.0.1-10.1.0.254"),
            (json!({"subnet": "10.1.0.0/24", "gateway": "10.9.0.1"}), 254, "10.1.0.1-10.1.0.254"),
            (json!({"subnet": "fd00::/120"}), 254, "fd00::1-fd00::ff"),
            (json!({"subnet": "fd00::/64"}), (1 << 64) - 2, "fd00::1-fd00::ffff:ffff:ffff:ffff"),
        ];
        for (range, capacity, shown) in table {
            let set = one(&range);
            assert_eq!((set.capacity(), set.to_string().as_str()), (capacity, shown));
        }
    }

    #[test]
    fn sets_come_in_the_plugins_order() {
        let config = json!({
            "runtimeConfig": {"ipRanges": [[{"subnet": "10.3.0.0/24"}]]},
            "ipam": {"subnet": "10.1.0.0/24", "ranges": [[{"subnet": "10.2.0.0/24"}, {"subnet": "10.4.0.0/30"}]]},
        });
        let shown: Vec<_> = of_config(&config).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["10.3.0.1-10.3.0.254", "10.1.0.1-10.1.0.254", "10.2.0.1-10.2.0.254,10.4.0.1-10.4.0.2"]
        );
    }

    #[test]
    fn what_the_plugin_refuses_is_named() {
        let range = |range: Value| json!({"ipam": {"ranges": [[range]]}});
        let table = [
            (json!({"ipam": {}}), "ipam.ranges: no ranges are given, expected [[{\"subnet\": …}]]"),
            (json!({"ipam": {"ranges": {}}}), "ipam.ranges: expected an array of arrays of ranges"),
            (
                json!({"ipam": {"ranges": [{"subnet": "10.1.0.0/24"}]}}),
                "ipam.ranges[0]: expected an array of ranges",
            ),
            (json!({"ipam": {"ranges": [[]]}}), "ipam.ranges[0]: is empty, expected a range"),
            (range(json!({})), "ipam.ranges[0][0].subnet: is missing"),
            (range(json!({"subnet": 10})), "ipam.ranges[0][0].subnet: is 10, expected a string"),
            (
                range(json!({"subnet": "10.1.0.0"})),
                "ipam.ranges[0][0].subnet: \"10.1.0.0\" has no prefix length, expected a CIDR such as 10.1.0.0/24",
            ),
            (range(json!({"subnet": "10.1.0/24"})), "ipam.ranges[0][0].subnet: \"10.1.0/24\" is no CIDR"),
            (
                range(json!({"subnet": "10.1.0.0/31"})),
                "ipam.ranges[0][0].subnet: 10.1.0.0/31 is too small to allocate from",
            ),
            (
                range(json!({"subnet": "10.1.0.7/24"})),
                "ipam.ranges[0][0].subnet: 10.1.0.7/24 has host bits set, the network is 10.1.0.0/24",
            ),
            (
                range(json!({"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"})),
                "ipam.ranges[0][0].rangeStart: 10.2.0.1 is not in 10.1.0.0/24",
            ),
            (
                range(json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.2"})),
                "ipam.ranges[0][0].rangeStart: lies behind rangeEnd",
            ),
            (
                range(json!({"subnet": "10.1.0.0/24", "gateway": "here"})),
                "ipam.ranges[0][0].gateway: \"here\" is no IP address",
            ),
            (
                json!({"ipam": {"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]]}}),
                "ipam.ranges[0]: mixes IPv4 and IPv6, expected one family a set",
            ),
        ];
        for (config, expected) in table {
            assert_eq!(of_config(&config), Err(expected.to_owned()));
        }
    }

    proptest::proptest! {
        #[test]
        fn every_address_of_a_range_is_given(third in 0u8..=255, prefix in 16u8..=30, offset in 0u32..65_536) {
            let subnet = IpNetwork::new(IpAddr::from([10, 1, third, 0]), prefix).unwrap();
            let subnet = format!("{}/{prefix}", subnet.network());
            let set = one(&json!({"subnet": subnet}));
            let range = &set.0[0];
            let address = range.address(range.start + u128::from(offset) % (range.end - range.start + 1));
            proptest::prop_assert!(set.gives(address));
            proptest::prop_assert!(set.capacity() == (1u128 << (32 - prefix)) - 3);
        }
    }
}
