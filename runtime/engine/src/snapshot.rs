//! Snapshots: a plugin's initialisation is run once, and every sandbox begins after it.
//!
//! The initialised module is a module again (`wasmtime-wizer` writes it), which the compile cache keeps.
//! A snapshot copies everything, entropy too: while it is taken, randomness and effects are refused, and
//! a plugin that wants them during its initialisation is initialised in each sandbox instead. So is one
//! that reads its configuration, which may differ from role to role, or sets variables, which are not in
//! the module. The clock is not refused: language runtimes read it when they start, to measure from there
//! on, and a sandbox that begins with an old start time is as one that was paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wasmtime::{Instance, Store, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

use crate::link::INITIALIZE;
use crate::sandbox::{Sandbox, within};
use crate::state::State;
use crate::{CallError, Engine, Host, HostFuture, Limit, Limits, LoadOptions, LogLevel, Snapshot};

/// Loading is off the request path and may take its time, but not forever.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is decided without trying: a snapshot is not needed, or not wanted.
pub(crate) fn needed(linked: &[u8], wanted: bool) -> Option<Snapshot> {
    // The linked module was written here: looking for the name is a parse of its export section.
    let initialises = wasmparser::Parser::new(0)
        .parse_all(linked)
        .any(|payload| match payload {
            Ok(wasmparser::Payload::ExportSection(section)) => section
                .into_iter()
                .flatten()
                .any(|export| export.name == INITIALIZE),
            _ => false,
        });
    match (initialises, wanted) {
        (false, _) => Some(Snapshot::NotNeeded),
        (true, false) => Some(Snapshot::Off),
        (true, true) => None,
    }
}

/// Why there is no snapshot.
pub(crate) struct Refusal {
    pub reason: String,
    /// Whether it may be otherwise the next time: all sandboxes were in use, or the machine was slow.
    pub passing: bool,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self {
            reason,
            passing: false,
        }
    }
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Self {
            passing: match &error {
                CallError::Busy(_) => true,
                CallError::Limit(hit) => hit.limit == Limit::WallTime,
                _ => false,
            },
            reason: error.to_string(),
        }
    }
}

/// Runs the initialisation and writes the initialised module, or says why that is not possible.
pub(crate) async fn take(
    engine: &Engine,
    linked: &[u8],
    digest: &str,
    options: &LoadOptions,
) -> Result<Vec<u8>, Refusal> {
    let says = |error: wasmtime::Error| format!("{error:#}");
    let mut wizer = Wizer::new();
    wizer.init_func(INITIALIZE);
    let (context, instrumented) = wizer.instrument(linked).map_err(says)?;
    // It runs once.
    let core = engine.plain().map_err(|error| error.to_string())?;
    let module = core.compile(&instrumented).map_err(says)?;
    let plugin = engine
        .prepare(core, module, Snapshot::Off, digest.to_owned(), options)
        .map_err(|error| error.to_string())?;
    let limits = Limits {
        wall_time: PATIENCE,
        memory: engine.config.memory.saturating_mul(2),
        table_elements: engine.config.table_elements,
        effects: 0,
        ..Limits::default()
    };
    let host = Arc::new(Unready::default());
    let mut sandbox = within(&plugin, limits, async {
        let mut sandbox = Sandbox::new(&plugin, host.clone(), limits).await?;
        sandbox.initialize_only().await?;
        Ok(sandbox)
    })
    .await?;
    let (store, instance) = sandbox.parts();
    if host.asked_for_configuration.load(Ordering::Relaxed) {
        return Err(
            "the initialisation reads the configuration or the log level, which may differ later"
                .to_owned()
                .into(),
        );
    }
    if !store.data().vars.is_empty() {
        let reason = "the initialisation sets variables, which a snapshot cannot hold";
        return Err(reason.to_owned().into());
    }
    let snapshot = wizer
        .snapshot(&context, &mut Initialised { store, instance })
        .await;
    Ok(snapshot.map_err(says)?)
}

/// The host of a plugin that is only being initialised: it answers nothing that may differ later.
#[derive(Default)]
struct Unready {
    asked_for_configuration: AtomicBool,
}

impl Host for Unready {
    fn effect(&self, _effect: usize, _request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        // Not reached: the limit of 0 effects ends the initialisation before.
        Box::pin(std::future::ready(Vec::new()))
    }

    fn config(&self, _key: &str) -> Option<String> {
        self.asked_for_configuration.store(true, Ordering::Relaxed);
        None
    }

    fn log_level(&self) -> Option<LogLevel> {
        self.asked_for_configuration.store(true, Ordering::Relaxed);
        None
    }

    fn log(&self, level: LogLevel, message: &str) {
        tracing::debug!(?level, message, "while a snapshot is taken");
    }

    fn random(&self, _bytes: &mut [u8]) -> Result<(), String> {
        Err(
            "randomness is refused while a snapshot is taken: every sandbox would get the same"
                .to_owned(),
        )
    }
}

/// Reads an instance for Wizer.
struct Initialised<'s> {
    store: &'s mut Store<State>,
    instance: Instance,
}

impl InstanceState for Initialised<'_> {
    async fn global_get(&mut self, name: &str, ty: ValType) -> SnapshotVal {
        let value = self
            .instance
            .get_global(&mut *self.store, name)
            .map(|global| global.get(&mut *self.store));
        match (value, ty) {
            (Some(Val::I32(value)), _) => SnapshotVal::I32(value),
            (Some(Val::I64(value)), _) => SnapshotVal::I64(value),
            (Some(Val::F32(value)), _) => SnapshotVal::F32(value),
            (Some(Val::F64(value)), _) => SnapshotVal::F64(value),
            (Some(Val::V128(value)), _) => SnapshotVal::V128(value.as_u128()),
            // Wizer instruments exactly the globals it asks for, and refuses those of reference types.
            (_, ValType::I32) => SnapshotVal::I32(0),
            (_, _) => SnapshotVal::I64(0),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        if let Some(memory) = self.instance.get_memory(&mut *self.store, name) {
            contents(memory.data(&*self.store));
        }
    }
}
