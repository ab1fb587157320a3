//! What is looked up when somebody asks for metrics: how full the house is, and what the process uses.

use std::fs;
use std::sync::{Arc, Weak};

use opentelemetry::KeyValue;
use opentelemetry::metrics::AsyncInstrument;

use crate::house::House;

/// A gauge: its name, its unit, what it says, and how it is looked up.
type Gauge = (
    &'static str,
    &'static str,
    &'static str,
    fn(&House, &dyn AsyncInstrument<u64>),
);

const GAUGES: &[Gauge] = &[
    (
        "exomonad.sandboxes.limit",
        "{sandbox}",
        "Sandboxes that calls may have at once.",
        |house, gauge| {
            gauge.observe(house.sandboxes().1, &[]);
        },
    ),
    (
        "exomonad.sandboxes.in_use",
        "{sandbox}",
        "Sandboxes that calls have now.",
        |house, gauge| {
            let (free, all) = house.sandboxes();
            gauge.observe(all.saturating_sub(free), &[]);
        },
    ),
    (
        "exomonad.sandboxes.available",
        "{sandbox}",
        "Sandboxes that wait for calls.",
        |house, gauge| {
            gauge.observe(house.sandboxes().0, &[]);
        },
    ),
    (
        "exomonad.queue.running",
        "{call}",
        "Calls of a role that run now.",
        |house, gauge| {
            for role in house.roles().values() {
                gauge.observe(role.gate.running().into(), &[of_role(role.name())]);
            }
        },
    ),
    (
        "exomonad.queue.waiting",
        "{call}",
        "Calls of a role that wait for their turn.",
        |house, gauge| {
            for role in house.roles().values() {
                gauge.observe(role.gate.waiting().into(), &[of_role(role.name())]);
            }
        },
    ),
    (
        "exomonad.plugins.loaded",
        "{plugin}",
        "Roles whose plugin serves.",
        |house, gauge| {
            let serving = house
                .roles()
                .values()
                .filter(|role| role.version().is_some())
                .count();
            gauge.observe(serving as u64, &[]);
        },
    ),
    (
        "exomonad.compile_cache.size",
        "By",
        "What the compile cache has on disk.",
        |house, gauge| {
            if let Some(Ok((bytes, _))) = house.cache.as_ref().map(|cache| cache.size()) {
                gauge.observe(bytes, &[]);
            }
        },
    ),
    (
        "exomonad.build.info",
        "",
        "Always 1, for its labels.",
        |_, gauge| {
            gauge.observe(
                1,
                &[KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))],
            );
        },
    ),
    (
        "process.start_time",
        "s",
        "When the process started, in seconds since 1970.",
        |house, gauge| {
            gauge.observe(
                house
                    .started
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or_default()
                    .as_secs(),
                &[],
            );
        },
    ),
    (
        "process.memory.usage",
        "By",
        "What the process has resident.",
        |_, gauge| {
            if let Some(bytes) = resident_bytes() {
                gauge.observe(bytes, &[]);
            }
        },
    ),
    (
        "process.open_file_descriptor.count",
        "{file_descriptor}",
        "What the process has open.",
        |_, gauge| {
            if let Ok(open) = fs::read_dir("/proc/self/fd") {
                gauge.observe(open.count() as u64, &[]);
            }
        },
    ),
];

/// A total: its name, its unit, what it says, and how it is looked up.
const TOTALS: &[Gauge] = &[
    (
        "exomonad.compile_cache.lookups",
        "{lookup}",
        "Modules that were looked for in the compile cache.",
        |house, total| {
            let Some(cache) = &house.cache else {
                return;
            };
            let (hits, misses) = cache.lookups();
            for (outcome, count) in [("hit", hits), ("miss", misses)] {
                total.observe(count, &[KeyValue::new("exomonad.outcome", outcome)]);
            }
        },
    ),
    (
        "exomonad.queue.refused",
        "{call}",
        "Calls of a role that found the queue full.",
        |house, total| {
            for role in house.roles().values() {
                total.observe(role.gate.refused(), &[of_role(role.name())]);
            }
        },
    ),
];

/// Has the house's metrics tell how full it is, for as long as it stands.
pub fn watch(house: &Arc<House>) {
    let meter = house.metrics.meter();
    for (name, unit, says, look) in GAUGES {
        let house = Arc::downgrade(house);
        meter
            .u64_observable_gauge(*name)
            .with_unit(*unit)
            .with_description(*says)
            .with_callback(move |gauge| observe(&house, *look, gauge))
            .build();
    }
    for (name, unit, says, look) in TOTALS {
        let house = Arc::downgrade(house);
        meter
            .u64_observable_counter(*name)
            .with_unit(*unit)
            .with_description(*says)
            .with_callback(move |total| observe(&house, *look, total))
            .build();
    }
}

fn observe(
    house: &Weak<House>,
    look: fn(&House, &dyn AsyncInstrument<u64>),
    instrument: &dyn AsyncInstrument<u64>,
) {
    if let Some(house) = house.upgrade() {
        look(&house, instrument);
    }
}

fn of_role(role: &exomonad_schema::RoleName) -> KeyValue {
    KeyValue::new("exomonad.role", role.to_string())
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib << 10)
}
