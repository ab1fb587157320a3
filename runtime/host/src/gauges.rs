//! Gauges that are read when metrics are collected: sandboxes, queues, the compile cache, the process.

use std::fs;
use std::sync::{Arc, Weak};

use exomonad_schema::effects::workflow::WorkflowStatus;
use exomonad_workflow::store::status_name;
use opentelemetry::KeyValue;
use opentelemetry::metrics::AsyncInstrument;

use crate::runtime::Runtime;

/// A gauge: name, unit, description, and how it is read.
type Gauge = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Runtime, &dyn AsyncInstrument<u64>),
);

const GAUGES: &[Gauge] = &[
    (
        "exomonad.sandboxes.limit",
        "{sandbox}",
        "Sandboxes that calls may have at once.",
        |runtime, gauge| {
            gauge.observe(runtime.sandboxes().1, &[]);
        },
    ),
    (
        "exomonad.sandboxes.in_use",
        "{sandbox}",
        "Sandboxes that calls have now.",
        |runtime, gauge| {
            let (free, all) = runtime.sandboxes();
            gauge.observe(all.saturating_sub(free), &[]);
        },
    ),
    (
        "exomonad.sandboxes.available",
        "{sandbox}",
        "Sandboxes that wait for calls.",
        |runtime, gauge| {
            gauge.observe(runtime.sandboxes().0, &[]);
        },
    ),
    (
        "exomonad.queue.running",
        "{call}",
        "Calls of a role that run now.",
        |runtime, gauge| {
            for role in runtime.roles().values() {
                gauge.observe(role.admission.running().into(), &[of_role(role.name())]);
            }
        },
    ),
    (
        "exomonad.queue.waiting",
        "{call}",
        "Calls of a role that wait for their turn.",
        |runtime, gauge| {
            for role in runtime.roles().values() {
                gauge.observe(role.admission.waiting().into(), &[of_role(role.name())]);
            }
        },
    ),
    (
        "exomonad.plugins.loaded",
        "{plugin}",
        "Roles whose plugin serves.",
        |runtime, gauge| {
            let serving = runtime
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
        |runtime, gauge| {
            if let Some(Ok((bytes, _))) = runtime.cache.as_ref().map(|cache| cache.size()) {
                gauge.observe(bytes, &[]);
            }
        },
    ),
    (
        "exomonad.workflows.open",
        "{run}",
        "Runs of workflows that have not ended, as they were counted some seconds ago.",
        |runtime, gauge| {
            for ((role, status), count) in runtime.workflows.counts().open {
                gauge.observe(count, &[role_label(role), status_label(status)]);
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
        |runtime, gauge| {
            gauge.observe(
                runtime
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

/// Totals, in the same form.
const TOTALS: &[Gauge] = &[
    (
        "exomonad.compile_cache.lookups",
        "{lookup}",
        "Modules that were looked for in the compile cache.",
        |runtime, total| {
            let Some(cache) = &runtime.cache else {
                return;
            };
            let (hits, misses) = cache.lookups();
            for (outcome, count) in [("hit", hits), ("miss", misses)] {
                total.observe(count, &[KeyValue::new("exomonad.outcome", outcome)]);
            }
        },
    ),
    (
        "exomonad.journal.records",
        "{record}",
        "Records of calls that were written, or dropped since the disk or the queue was full.",
        |runtime, total| {
            let (written, dropped) = runtime.journal.counts();
            for (outcome, count) in [("written", written), ("dropped", dropped)] {
                total.observe(count, &[KeyValue::new("exomonad.outcome", outcome)]);
            }
        },
    ),
    (
        "exomonad.workflows.ended",
        "{run}",
        "Runs of workflows that have ended.",
        |runtime, total| {
            for ((role, workflow, status), count) in runtime.workflows.counts().ended {
                let labels = [
                    role_label(role),
                    workflow_label(workflow),
                    status_label(status),
                ];
                total.observe(count, &labels);
            }
        },
    ),
    (
        "exomonad.workflows.restarts",
        "{start}",
        "Starts of runs whose plugin had trapped.",
        |runtime, total| {
            for ((role, workflow), count) in runtime.workflows.counts().restarts {
                total.observe(count, &[role_label(role), workflow_label(workflow)]);
            }
        },
    ),
    (
        "exomonad.queue.refused",
        "{call}",
        "Calls of a role that found the queue full.",
        |runtime, total| {
            for role in runtime.roles().values() {
                total.observe(role.admission.refused(), &[of_role(role.name())]);
            }
        },
    ),
];

/// Registers the gauges with the runtime's metrics; they are gone when the runtime is.
pub fn register(runtime: &Arc<Runtime>) {
    let meter = runtime.metrics.meter();
    for (name, unit, description, read) in GAUGES {
        let runtime = Arc::downgrade(runtime);
        meter
            .u64_observable_gauge(*name)
            .with_unit(*unit)
            .with_description(*description)
            .with_callback(move |gauge| observe(&runtime, *read, gauge))
            .build();
    }
    for (name, unit, description, read) in TOTALS {
        let runtime = Arc::downgrade(runtime);
        meter
            .u64_observable_counter(*name)
            .with_unit(*unit)
            .with_description(*description)
            .with_callback(move |total| observe(&runtime, *read, total))
            .build();
    }
}

fn observe(
    runtime: &Weak<Runtime>,
    read: fn(&Runtime, &dyn AsyncInstrument<u64>),
    instrument: &dyn AsyncInstrument<u64>,
) {
    if let Some(runtime) = runtime.upgrade() {
        read(&runtime, instrument);
    }
}

fn of_role(role: &exomonad_schema::RoleName) -> KeyValue {
    role_label(role.to_string())
}

fn role_label(role: String) -> KeyValue {
    KeyValue::new("exomonad.role", role)
}

fn workflow_label(name: String) -> KeyValue {
    KeyValue::new("exomonad.workflow.name", name)
}

fn status_label(status: WorkflowStatus) -> KeyValue {
    KeyValue::new("exomonad.workflow.status", status_name(status))
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
