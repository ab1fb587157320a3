//! Snapshots: a plugin is initialised once, and every sandbox starts from the result.
//!
//! The initialised module is again a module (`wasmtime-wizer` writes it), which the compile cache stores.
//! A snapshot copies everything, including entropy. So a plugin that draws randomness during its initialisation,
//! or reads the time of day, from which C and others seed their random numbers, has a snapshot only if it
//! exports [`RESEED`], which renews what was drawn and runs once in each sandbox, or if the operator accepts
//! that every sandbox has the same ([`SnapshotPolicy::Always`]). All others are initialised in each sandbox.
//! So is a plugin that performs effects, reads its configuration, which may differ from role to role, or sets
//! variables, which are not in the module. The monotonic clock is not refused: language runtimes read it when
//! they start, to measure from then on, and a sandbox with an old start time behaves like one that was paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use wasmtime::{Instance, Store, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

use crate::link::INITIALIZE;
use crate::sandbox::{Sandbox, with_time_limit};
use crate::state::StoreState;
use crate::{
    CallError, Engine, Host, HostFuture, Limit, Limits, LoadOptions, LogLevel, SnapshotPolicy,
    SnapshotStatus,
};

/// The time limit for an initialisation, which is off the request path.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The export that renews what the plugin drew during its initialisation, such as the state of its random
/// number generators. It takes and returns nothing.
pub(crate) const RESEED: &str = "exomonad_reseed";

/// The snapshot status if none is to be taken: none is needed, or none is wanted.
pub(crate) fn without_attempt(linked: &[u8], policy: SnapshotPolicy) -> Option<SnapshotStatus> {
    // The linker wrote this module, so finding the name only takes a look at its export section.
    let initialises = wasmparser::Parser::new(0)
        .parse_all(linked)
        .any(|payload| match payload {
            Ok(wasmparser::Payload::ExportSection(section)) => section
                .into_iter()
                .flatten()
                .any(|export| export.name == INITIALIZE),
            _ => false,
        });
    match (initialises, policy) {
        (false, _) => Some(SnapshotStatus::NotNeeded),
        (true, SnapshotPolicy::Never) => Some(SnapshotStatus::Off),
        (true, SnapshotPolicy::WhenSafe | SnapshotPolicy::Always) => None,
    }
}

/// The reason why there is no snapshot.
pub(crate) struct SnapshotError {
    pub reason: String,
    /// True if a later attempt may succeed: all sandboxes were in use, or the machine was slow.
    pub transient: bool,
}

impl From<String> for SnapshotError {
    fn from(reason: String) -> Self {
        Self {
            reason,
            transient: false,
        }
    }
}

impl From<CallError> for SnapshotError {
    fn from(error: CallError) -> Self {
        Self {
            transient: match &error {
                CallError::Busy(_) => true,
                CallError::Limit(hit) => hit.limit == Limit::WallTime,
                _ => false,
            },
            reason: error.to_string(),
        }
    }
}

/// Runs the initialisation and returns the initialised module, and how it came about.
pub(crate) async fn take(
    engine: &Engine,
    linked: &[u8],
    digest: &str,
    options: &LoadOptions,
) -> Result<(Vec<u8>, SnapshotStatus), SnapshotError> {
    let message = |error: wasmtime::Error| format!("{error:#}");
    let mut wizer = Wizer::new();
    wizer.init_func(INITIALIZE);
    let (context, instrumented) = wizer.instrument(linked).map_err(message)?;
    // It runs only once.
    let variant = engine
        .without_inlining()
        .map_err(|error| error.to_string())?;
    let compiled = variant.compile(&instrumented, options.compile).await;
    let module = compiled.map_err(|error| error.to_string())?;
    let plugin = engine
        .prepare(
            variant,
            module,
            SnapshotStatus::Off,
            digest.to_owned(),
            options,
        )
        .map_err(|error| error.to_string())?;
    let limits = Limits {
        wall_time: TIME_LIMIT,
        memory: engine.config.memory.saturating_mul(2),
        table_elements: engine.config.table_elements,
        effects: 0,
        ..Limits::default()
    };
    let host = Arc::new(InitializationHost::default());
    let mut sandbox = with_time_limit(&plugin, limits, async {
        let mut sandbox = Sandbox::new(&plugin, host.clone(), limits).await?;
        sandbox.initialize_only().await?;
        Ok(sandbox)
    })
    .await?;
    let (store, instance) = sandbox.parts();
    if host.read_configuration.load(Ordering::Relaxed) {
        return Err(
            "the initialisation reads the configuration or the log level, which may differ later"
                .to_owned()
                .into(),
        );
    }
    let drew = host.drew().filter(|_| plugin.loaded().reseed.is_none());
    let status = match (drew, options.snapshot) {
        (None, _) => SnapshotStatus::Taken,
        (Some(reason), SnapshotPolicy::Always) => SnapshotStatus::Accepted(reason.to_owned()),
        (Some(reason), _) => return Err(reason.to_owned().into()),
    };
    if !store.data().vars.is_empty() {
        let reason = "the initialisation sets variables, which a snapshot cannot hold";
        return Err(reason.to_owned().into());
    }
    let snapshot = wizer
        .snapshot(&context, &mut InitializedInstance { store, instance })
        .await;
    Ok((snapshot.map_err(message)?, status))
}

/// The host of a plugin during its initialisation: it provides nothing that may differ later.
#[derive(Default)]
struct InitializationHost {
    read_configuration: AtomicBool,
    read_time: AtomicBool,
    drew_randomness: AtomicBool,
}

impl InitializationHost {
    /// The reason why two sandboxes may draw the same numbers, if there is one.
    fn drew(&self) -> Option<&'static str> {
        if self.drew_randomness.load(Ordering::Relaxed) {
            Some("the initialisation draws randomness, which every sandbox would share")
        } else if self.read_time.load(Ordering::Relaxed) {
            Some("the initialisation reads the time of day, from which it may seed random numbers")
        } else {
            None
        }
    }
}

impl Host for InitializationHost {
    fn effect(&self, _effect: usize, _request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        // Unreachable: the limit of 0 effects ends the initialisation before.
        Box::pin(std::future::ready(Vec::new()))
    }

    fn config(&self, _key: &str) -> Option<String> {
        self.read_configuration.store(true, Ordering::Relaxed);
        None
    }

    fn log_level(&self) -> Option<LogLevel> {
        self.read_configuration.store(true, Ordering::Relaxed);
        None
    }

    fn log(&self, level: LogLevel, message: &str) {
        tracing::debug!(?level, message, "while a snapshot is taken");
    }

    fn now(&self) -> SystemTime {
        self.read_time.store(true, Ordering::Relaxed);
        SystemTime::now()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), String> {
        self.drew_randomness.store(true, Ordering::Relaxed);
        getrandom::fill(bytes).map_err(|error| format!("the system's randomness failed: {error}"))
    }
}

/// Gives Wizer access to an instance.
struct InitializedInstance<'s> {
    store: &'s mut Store<StoreState>,
    instance: Instance,
}

impl InstanceState for InitializedInstance<'_> {
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
            // Wizer instruments exactly the globals that it asks for, and refuses those of reference types.
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
