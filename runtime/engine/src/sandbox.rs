//! One instance of a plugin in a store of its own, and calls into it.

use std::sync::Arc;

use wasmtime::{Instance, PoolConcurrencyLimitError, Store, Trap, TypedFunc, WasmBacktrace};

use crate::kernel::{Kernel, OutOfMemory};
use crate::limits::{Meter, Usage};
use crate::plugin::{EntryPoint, Returns};
use crate::state::{State, Stop};
use crate::{CallError, Host, Limit, LimitHit, Limits, Plugin, wasi};

/// The frames of a trap's backtrace that an error message holds.
const FRAMES: usize = 6;

/// What a call answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The bytes that the guest set as its output.
    pub bytes: Vec<u8>,
    /// What the call used.
    pub usage: Usage,
}

/// One instance of a plugin.
///
/// [`Plugin::call`] makes one for each call. Keep one only for a plugin that asks to be kept warm: its
/// memory and its variables then last from call to call. After a call in which the guest did not come to
/// its end, [`is_usable`](Self::is_usable) is false and it must be dropped.
pub struct Sandbox {
    store: Store<State>,
    instance: Instance,
    kernel: Kernel,
    plugin: Plugin,
    initialized: bool,
    usable: bool,
    last_entered: Option<(usize, Entered)>,
}

/// An entry point, found in the instance and checked.
enum Entered {
    Nothing(TypedFunc<(), ()>),
    I32(TypedFunc<(), i32>),
    I64(TypedFunc<(), i64>),
}

impl Sandbox {
    /// A fresh instance. Start functions run here, under the host and the limits of the first call.
    pub(crate) async fn new(
        plugin: &Plugin,
        host: Arc<dyn Host>,
        limits: Limits,
    ) -> Result<Self, CallError> {
        let loaded = plugin.loaded();
        let mut store = Store::new(&loaded.engine, State::new(host, Meter::new(limits)));
        store.limiter(|state| &mut state.meter);
        // A guest yields at each tick, so that it starves nobody and its timeout is looked at.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let instance = match loaded.pre.instantiate_async(&mut store).await {
            Ok(instance) => instance,
            Err(error) => return Err(plugin.explain(&error, store.data())),
        };
        let memory = instance
            .get_module_export(&mut store, &loaded.kernel)
            .and_then(wasmtime::Extern::into_memory);
        let Some(memory) = memory else {
            return Err(CallError::Trap {
                message: "the linked module has lost its kernel".to_owned(),
            });
        };
        let kernel = Kernel::new(memory);
        store.data_mut().kernel = Some(kernel);
        Ok(Self {
            store,
            instance,
            kernel,
            plugin: plugin.clone(),
            initialized: false,
            usable: true,
            last_entered: None,
        })
    }

    /// Whether another call may be made: the last one returned. A trap, an exit, also one with code 0, or
    /// a limit leaves the guest in the middle of something.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// Calls an entry point with this input, within the limits, the wall time too.
    ///
    /// # Errors
    /// Whatever ended the call without an answer.
    pub async fn call(
        &mut self,
        host: Arc<dyn Host>,
        limits: Limits,
        export: &str,
        input: &[u8],
    ) -> Result<Output, CallError> {
        let state = self.store.data_mut();
        state.host = host;
        state.meter.next_call(limits);
        // Stays so unless the entry point returns.
        self.usable = false;
        let plugin = self.plugin.clone();
        within(&plugin, limits, self.run(export, input)).await
    }

    /// Runs the entry point. The input's place and the account are fresh.
    pub(crate) async fn run(&mut self, export: &str, input: &[u8]) -> Result<Output, CallError> {
        let entry = self.plugin.entry_point(export)?.clone();
        self.store
            .data()
            .meter
            .within(input.len() as u64, Limit::Input)
            .map_err(CallError::Limit)?;
        self.initialize().await?;
        // The call before, the initialisers and start functions leave blocks, outputs and errors behind.
        self.kernel.reset(&mut self.store);
        self.kernel
            .set_input(&mut self.store, input)
            .map_err(|OutOfMemory| self.limit(Limit::Memory))?;
        let code = match self.enter(&entry).await {
            Ok(code) => {
                self.usable = true;
                code
            }
            Err(error) => {
                wasi::flush_all(self.store.data_mut());
                match error.downcast_ref::<Stop>() {
                    Some(Stop::Exit(0)) if self.kernel.error(&self.store).is_none() => 0,
                    _ => return Err(self.failure(&error)),
                }
            }
        };
        wasi::flush_all(self.store.data_mut());
        self.answer(code)
    }

    /// Runs what must run once before the first call.
    async fn initialize(&mut self) -> Result<(), CallError> {
        if std::mem::replace(&mut self.initialized, true) {
            return Ok(());
        }
        let Some(initialize) = self.plugin.loaded().initialize.clone() else {
            return Ok(());
        };
        match self.enter(&initialize).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failure(&error)),
        }
    }

    async fn enter(&mut self, entry: &EntryPoint) -> wasmtime::Result<i32> {
        // Finding a function and checking its type takes longer than calling it.
        let function = match self
            .last_entered
            .take()
            .filter(|(number, _)| *number == entry.number)
        {
            Some((_, function)) => function,
            None => self.find(entry)?,
        };
        let result = match &function {
            Entered::Nothing(function) => {
                function.call_async(&mut self.store, ()).await.map(|()| 0)
            }
            Entered::I32(function) => function.call_async(&mut self.store, ()).await,
            Entered::I64(function) => function
                .call_async(&mut self.store, ())
                .await
                .map(|code| code.clamp(i32::MIN.into(), i32::MAX.into()) as i32),
        };
        self.last_entered = Some((entry.number, function));
        result
    }

    fn find(&mut self, entry: &EntryPoint) -> wasmtime::Result<Entered> {
        let found = self
            .instance
            .get_module_export(&mut self.store, &entry.export);
        let Some(function) = found.and_then(wasmtime::Extern::into_func) else {
            wasmtime::bail!("the entry point is not a function");
        };
        Ok(match entry.returns {
            Returns::Nothing => Entered::Nothing(function.typed(&self.store)?),
            Returns::I32 => Entered::I32(function.typed(&self.store)?),
            Returns::I64 => Entered::I64(function.typed(&self.store)?),
        })
    }

    fn answer(&self, code: i32) -> Result<Output, CallError> {
        if let Some(message) = self.kernel.error(&self.store) {
            return Err(CallError::Guest {
                message: String::from_utf8_lossy(message).into_owned(),
                code,
            });
        }
        if code != 0 {
            return Err(CallError::Guest {
                message: format!("Returned non-zero exit code: {code}"),
                code,
            });
        }
        let output = self.kernel.output(&self.store);
        let meter = &self.store.data().meter;
        meter
            .within(output.len() as u64, Limit::Output)
            .map_err(CallError::Limit)?;
        Ok(Output {
            bytes: output.to_vec(),
            usage: meter.usage,
        })
    }

    fn failure(&self, error: &wasmtime::Error) -> CallError {
        // A message that the guest left before it aborted or exited says more than that it did.
        let ended_itself = matches!(error.downcast_ref(), Some(Trap::UnreachableCodeReached))
            || matches!(error.downcast_ref(), Some(Stop::Exit(_)));
        if let (Some(message), true) = (self.kernel.error(&self.store), ended_itself) {
            return CallError::Guest {
                message: String::from_utf8_lossy(message).into_owned(),
                code: -1,
            };
        }
        self.plugin.explain(error, self.store.data())
    }

    fn limit(&self, limit: Limit) -> CallError {
        CallError::Limit(self.store.data().meter.limits.hit(limit))
    }

    /// The store and the instance, for taking a snapshot.
    pub(crate) fn parts(&mut self) -> (&mut Store<State>, Instance) {
        (&mut self.store, self.instance)
    }

    /// Runs only the initialisers.
    pub(crate) async fn initialize_only(&mut self) -> Result<(), CallError> {
        self.initialize().await?;
        self.kernel.reset(&mut self.store);
        Ok(())
    }
}

/// Runs a call within its wall time. Dropping the call's future cancels the guest wherever it is.
pub(crate) async fn within<T>(
    plugin: &Plugin,
    limits: Limits,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let _running = plugin.loaded().ticker.running();
    match tokio::time::timeout(limits.wall_time, call).await {
        Ok(result) => result,
        Err(_) => Err(CallError::Limit(limits.hit(Limit::WallTime))),
    }
}

/// What ended a call, in the terms of whoever made it.
pub(crate) fn explain(error: &wasmtime::Error, state: &State, stack: u64) -> CallError {
    match error.downcast_ref::<Stop>() {
        Some(Stop::Limit(hit)) => return CallError::Limit(*hit),
        Some(Stop::Exit(code)) => return CallError::Exit(*code),
        Some(Stop::Refused(reason)) => {
            return CallError::Refused {
                message: reason.clone(),
            };
        }
        None => {}
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return CallError::Busy(error.to_string());
    }
    if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
        return CallError::Limit(LimitHit {
            limit: Limit::Stack,
            value: stack,
        });
    }
    // A guest that was refused memory seldom says so: it traps in its allocator.
    if let Some(limit) = state.meter.refused {
        return CallError::Limit(state.meter.limits.hit(limit));
    }
    CallError::Trap {
        message: describe(error),
    }
}

/// The trap's own words and the innermost functions.
fn describe(error: &wasmtime::Error) -> String {
    let mut message = error.root_cause().to_string();
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        let names = backtrace
            .frames()
            .iter()
            .take(FRAMES)
            .map(|frame| match frame.func_name() {
                Some(name) => name.to_owned(),
                None => format!("function {}", frame.func_index()),
            });
        let names: Vec<String> = names.collect();
        if !names.is_empty() {
            message.push_str(&format!(" (in {})", names.join(" ← ")));
        }
    }
    message
}
