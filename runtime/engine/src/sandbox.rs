//! A sandbox: one instance of a plugin in a store of its own, and calls into it.

use std::sync::Arc;

use wasmtime::{Instance, PoolConcurrencyLimitError, Store, Trap, TypedFunc, WasmBacktrace};

use crate::kernel::{Kernel, OutOfMemory};
use crate::limits::{Meter, Usage};
use crate::plugin::{EntryPoint, ReturnType};
use crate::state::{HostCallError, StoreState};
use crate::{CallError, Host, Limit, LimitExceeded, Limits, Plugin, units, wasi};

/// The maximum number of backtrace frames in an error message.
const MAX_FRAMES: usize = 6;
/// The bytes of a function's name in it.
const MAX_NAME: usize = 200;
/// The bytes of a host function's reason, which may quote what the guest passed.
const MAX_REASON: usize = 4 << 10;

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The guest's output.
    pub bytes: Vec<u8>,
    /// The call's use of its limits.
    pub usage: Usage,
}

/// One instance of a plugin.
///
/// [`Plugin::call`] creates one for each call. Keep one only for a plugin that is configured to be pooled:
/// its memory and its variables then last from call to call. After a call in which the guest did not
/// return, [`is_usable`](Self::is_usable) is false and the sandbox must be dropped.
pub struct Sandbox {
    store: Store<StoreState>,
    instance: Instance,
    kernel: Kernel,
    plugin: Plugin,
    initialized: bool,
    usable: bool,
    last_entry_point: Option<(usize, TypedEntryPoint)>,
}

/// An entry point of the instance, with its type checked.
enum TypedEntryPoint {
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
        let mut store = Store::new(&loaded.engine, StoreState::new(host, Meter::new(limits)));
        store.limiter(|state| &mut state.meter);
        // A guest yields at each tick, so that other guests run and its timeout is checked.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let instance = match loaded.pre.instantiate_async(&mut store).await {
            Ok(instance) => instance,
            Err(error) => return Err(plugin.call_error(&error, store.data())),
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
            last_entry_point: None,
        })
    }

    /// True if another call may be made, because the last one returned. A trap, a limit or an exit (even
    /// with code 0) leaves the guest in an undefined state.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// Calls an entry point with this input, within the limits and the wall time.
    ///
    /// # Errors
    /// The reason why the call ended without a result.
    pub async fn call(
        &mut self,
        host: Arc<dyn Host>,
        limits: Limits,
        export: &str,
        input: &[u8],
    ) -> Result<Output, CallError> {
        let state = self.store.data_mut();
        state.host = host;
        state.written = Default::default();
        state.meter.next_call(limits);
        // Remains false unless the entry point returns.
        self.usable = false;
        let plugin = self.plugin.clone();
        with_time_limit(&plugin, limits, self.run(export, input)).await
    }

    /// Runs the entry point with a reset kernel and fresh counters.
    pub(crate) async fn run(&mut self, export: &str, input: &[u8]) -> Result<Output, CallError> {
        let entry = self.plugin.entry_point(export)?.clone();
        self.store
            .data()
            .meter
            .check(input.len() as u64, Limit::Input)
            .map_err(CallError::Limit)?;
        self.initialize().await?;
        // The previous call, the initialisers and start functions leave blocks, outputs and errors behind.
        self.kernel.reset(&mut self.store);
        self.kernel
            .set_input(&mut self.store, input)
            .map_err(|OutOfMemory| self.limit(Limit::Memory))?;
        let code = match self.invoke(&entry).await {
            Ok(code) => {
                self.usable = true;
                code
            }
            Err(error) => {
                wasi::flush_all(self.store.data_mut());
                match error.downcast_ref::<HostCallError>() {
                    Some(HostCallError::Exit(0)) if self.kernel.error(&self.store).is_none() => 0,
                    _ => return Err(self.invocation_error(&error)),
                }
            }
        };
        wasi::flush_all(self.store.data_mut());
        self.output(code)
    }

    /// Runs the initialisers before the first call, or renews what the snapshot shares with other sandboxes.
    async fn initialize(&mut self) -> Result<(), CallError> {
        if std::mem::replace(&mut self.initialized, true) {
            return Ok(());
        }
        let loaded = self.plugin.loaded();
        let Some(first) = loaded
            .initialize
            .as_ref()
            .or(loaded.reseed.as_ref())
            .cloned()
        else {
            return Ok(());
        };
        match self.invoke(&first).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.invocation_error(&error)),
        }
    }

    async fn invoke(&mut self, entry: &EntryPoint) -> wasmtime::Result<i32> {
        // Finding a function and checking its type takes longer than calling it.
        let function = match self
            .last_entry_point
            .take()
            .filter(|(index, _)| *index == entry.export_index)
        {
            Some((_, function)) => function,
            None => self.typed_entry_point(entry)?,
        };
        let result = match &function {
            TypedEntryPoint::Nothing(function) => {
                function.call_async(&mut self.store, ()).await.map(|()| 0)
            }
            TypedEntryPoint::I32(function) => function.call_async(&mut self.store, ()).await,
            TypedEntryPoint::I64(function) => function
                .call_async(&mut self.store, ())
                .await
                .map(|code| code.clamp(i32::MIN.into(), i32::MAX.into()) as i32),
        };
        self.last_entry_point = Some((entry.export_index, function));
        result
    }

    fn typed_entry_point(&mut self, entry: &EntryPoint) -> wasmtime::Result<TypedEntryPoint> {
        let found = self
            .instance
            .get_module_export(&mut self.store, &entry.export);
        let Some(function) = found.and_then(wasmtime::Extern::into_func) else {
            wasmtime::bail!("the entry point is not a function");
        };
        Ok(match entry.return_type {
            ReturnType::Nothing => TypedEntryPoint::Nothing(function.typed(&self.store)?),
            ReturnType::I32 => TypedEntryPoint::I32(function.typed(&self.store)?),
            ReturnType::I64 => TypedEntryPoint::I64(function.typed(&self.store)?),
        })
    }

    fn output(&self, code: i32) -> Result<Output, CallError> {
        if let Some(message) = self.kernel.error(&self.store) {
            return Err(self.guest_error(message, code));
        }
        if code != 0 {
            let output = self.store.data().last_output();
            return Err(CallError::Guest {
                message: format!("Returned non-zero exit code: {code}{output}"),
                code,
            });
        }
        let output = self.kernel.output(&self.store);
        let meter = &self.store.data().meter;
        meter
            .check(output.len() as u64, Limit::Output)
            .map_err(CallError::Limit)?;
        Ok(Output {
            bytes: output.to_vec(),
            usage: meter.usage,
        })
    }

    fn invocation_error(&self, error: &wasmtime::Error) -> CallError {
        // The guest's own message, set before it aborted or exited, is more informative than the trap.
        let ended_itself = matches!(error.downcast_ref(), Some(Trap::UnreachableCodeReached))
            || matches!(error.downcast_ref(), Some(HostCallError::Exit(_)));
        if let (Some(message), true) = (self.kernel.error(&self.store), ended_itself) {
            return self.guest_error(message, -1);
        }
        self.plugin.call_error(error, self.store.data())
    }

    /// The error that the guest has set, unless it is longer than an output may be: as the guest set it, or
    /// as the JSON string that it becomes, in which one byte can be six.
    fn guest_error(&self, message: &[u8], code: i32) -> CallError {
        let limits = &self.store.data().meter.limits;
        let fits = |length: usize| length as u64 <= limits.output;
        if !fits(message.len()) {
            return self.limit(Limit::Output);
        }
        let message = String::from_utf8_lossy(message).into_owned();
        match fits(json_length(&message)) {
            true => CallError::Guest { message, code },
            false => self.limit(Limit::Output),
        }
    }

    fn limit(&self, limit: Limit) -> CallError {
        CallError::Limit(self.store.data().meter.limits.exceeded(limit))
    }

    /// The store and the instance, for taking a snapshot.
    pub(crate) fn parts(&mut self) -> (&mut Store<StoreState>, Instance) {
        (&mut self.store, self.instance)
    }

    /// Runs only the initialisers.
    pub(crate) async fn initialize_only(&mut self) -> Result<(), CallError> {
        self.initialize().await?;
        self.kernel.reset(&mut self.store);
        Ok(())
    }
}

/// The bytes between the quotes of a JSON string.
fn json_length(text: &str) -> usize {
    let length = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(length).sum()
}

/// Runs a call within its wall time. Dropping the call's future cancels the guest wherever it is.
pub(crate) async fn with_time_limit<T>(
    plugin: &Plugin,
    limits: Limits,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let _running = plugin.loaded().ticker.running();
    match tokio::time::timeout(limits.wall_time, call).await {
        Ok(result) => result,
        Err(_) => Err(CallError::Limit(limits.exceeded(Limit::WallTime))),
    }
}

/// The error of a call, from the error of wasmtime.
pub(crate) fn call_error(error: &wasmtime::Error, state: &StoreState, stack: u64) -> CallError {
    match error.downcast_ref::<HostCallError>() {
        Some(HostCallError::Limit(hit)) => return CallError::Limit(*hit),
        Some(HostCallError::Exit(code)) => {
            let exit = CallError::Exit(*code);
            return match state.last_output() {
                output if output.is_empty() => exit,
                output => CallError::Guest {
                    message: format!("{exit}{output}"),
                    code: *code,
                },
            };
        }
        Some(HostCallError::Refused(reason)) => {
            return CallError::Refused {
                message: units::clipped(reason, MAX_REASON),
            };
        }
        None => {}
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return CallError::Busy(error.to_string());
    }
    if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
        return CallError::Limit(LimitExceeded {
            limit: Limit::Stack,
            value: stack,
        });
    }
    // A guest that was refused memory rarely reports it: it traps in its allocator.
    if let Some(limit) = state.meter.refused_growth {
        return CallError::Limit(state.meter.limits.exceeded(limit));
    }
    CallError::Trap {
        message: format!("{}{}", trap_message(error), state.last_output()),
    }
}

/// The trap's message and the innermost functions.
fn trap_message(error: &wasmtime::Error) -> String {
    let mut message = units::clipped(&error.root_cause().to_string(), MAX_REASON);
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        let names =
            backtrace
                .frames()
                .iter()
                .take(MAX_FRAMES)
                .map(|frame| match frame.func_name() {
                    Some(name) => units::clipped(&demangled(name), MAX_NAME),
                    None => format!("function {}", frame.func_index()),
                });
        let names: Vec<String> = names.collect();
        if !names.is_empty() {
            message.push_str(&format!(" (in {})", names.join(" ← ")));
        }
    }
    message
}

/// A Rust function's readable name; the names of other languages stay as they are.
fn demangled(name: &str) -> String {
    // A plugin of several modules has `module::name`, and mangled names have no `::`.
    let (module, function) = match name.rfind("::") {
        Some(at) => name.split_at(at + 2),
        None => ("", name),
    };
    match rustc_demangle::try_demangle(function) {
        // Without the hash.
        Ok(function) => format!("{module}{function:#}"),
        Err(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::demangled;

    #[test]
    fn rust_names_are_demangled_and_others_stay() {
        for (name, readable) in [
            (
                "_ZN4core9panicking5panic17h0123456789abcdefE",
                "core::panicking::panic",
            ),
            ("_RNvC6plugin6answer", "plugin::answer"),
            ("lib::_RNvC6plugin6answer", "lib::plugin::answer"),
            ("_ZN3foo3barEv", "_ZN3foo3barEv"),
            ("base_GHCziBase_map_info", "base_GHCziBase_map_info"),
            ("main.run", "main.run"),
        ] {
            assert_eq!(demangled(name), readable);
        }
    }
}
