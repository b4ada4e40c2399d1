//! How full the pools of addresses were, from what the check `ipam-pool` found at each call.

use std::collections::BTreeMap;

use super::row::Row;

/// What was seen of a pool at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sight {
    /// Milliseconds since 1970.
    pub at: i64,
    /// How many addresses it has.
    pub capacity: f64,
    /// How many were taken.
    pub used: f64,
}

/// A pool: a range set of a network on a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// The node.
    pub node: String,
    /// host-local's folder of the network.
    pub folder: String,
    /// The addresses that it gives.
    pub ranges: String,
    /// In the order of time; never empty.
    pub seen: Vec<Sight>,
    /// How many addresses were leaked when that was last looked for.
    pub leaked: Option<f64>,
}

impl Pool {
    /// What was seen last.
    #[must_use]
    pub fn last(&self) -> Option<&Sight> {
        self.seen.last()
    }

    /// The share of its addresses that was taken when it was fullest.
    #[must_use]
    pub fn fullest(&self) -> f64 {
        self.seen.iter().filter(|sight| sight.capacity > 0.0).fold(0.0, |most, sight| {
            let share = sight.used / sight.capacity;
            if share > most { share } else { most }
        })
    }

    /// All pools of these calls, which stand in the order of time; the fullest first.
    #[must_use]
    pub fn of(rows: &[Row]) -> Vec<Pool> {
        let mut pools: BTreeMap<(&str, &str, &str), Pool> = BTreeMap::new();
        for row in rows {
            let Some(at) = row.at else { continue };
            for found in &row.pools {
                let pool = pools.entry((&row.node, &found.folder, &found.ranges)).or_insert_with(|| Pool {
                    node: row.node.clone(),
                    folder: found.folder.clone(),
                    ranges: found.ranges.clone(),
                    seen: Vec::new(),
                    leaked: None,
                });
                pool.seen.push(Sight { at, capacity: found.capacity, used: found.used });
                pool.leaked = found.leaked.or(pool.leaked);
            }
        }
        let mut pools: Vec<Pool> = pools.into_values().collect();
        pools.sort_by(|one, other| other.fullest().total_cmp(&one.fullest()));
        pools
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::PoolUse;
    use super::super::samples::row;
    use super::*;

    fn with(second: i64, node: &str, used: f64, leaked: Option<f64>) -> Row {
        let pools = vec![PoolUse {
            folder: "/pools/a".into(),
            ranges: "10.1.0.1-6".into(),
            capacity: 5.0,
            used,
            leaked,
        }];
        Row { node: node.into(), pools, ..row(second, "ok", "") }
    }

    #[test]
    fn each_node_has_its_pools_the_fullest_first() {
        let rows = [
            with(1, "a", 2.0, None),
            with(2, "b", 4.0, Some(3.0)),
            with(3, "b", 5.0, None),
            with(4, "a", 1.0, None),
            row(5, "ok", ""),
        ];
        let pools = Pool::of(&rows);
        let told: Vec<_> = pools
            .iter()
            .map(|pool| {
                let used: Vec<(i64, f64)> =
                    pool.seen.iter().map(|sight| (sight.at / 1000, sight.used)).collect();
                (pool.node.as_str(), used, pool.fullest(), pool.leaked)
            })
            .collect();
        assert_eq!(
            told,
            [("b", vec![(2, 4.0), (3, 5.0)], 1.0, Some(3.0)), ("a", vec![(1, 2.0), (4, 1.0)], 0.4, None)]
        );
    }
}
