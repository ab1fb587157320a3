//! libextism, Extism's own runtime: the shared library of PyPI's `extism-sys`, by its C interface.
//!
//! The declarations are those of `extism.h` 1.41. The library is loaded when it is first needed, so that
//! nothing here is linked against it, and Extism's wasmtime is compiled by nobody here.

#![allow(
    unsafe_code,
    reason = "a C interface: pointers, and functions found by name"
)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::PathBuf;
use std::process::Command;
use std::ptr::null_mut;
use std::sync::{Mutex, OnceLock, PoisonError};

use extism_manifest::Manifest;
use libloading::Library;

use crate::guests::root;

/// An Extism plugin, compiled but without an instance.
pub struct CompiledPlugin {
    raw: *mut c_void,
    /// They are called by the instances.
    _functions: Vec<Function>,
}

// SAFETY: libextism only reads a compiled plugin, whose Rust type is `Send` and `Sync`.
unsafe impl Send for CompiledPlugin {}
// SAFETY: as above.
unsafe impl Sync for CompiledPlugin {}

/// An Extism plugin with an instance, for calls one after the other.
pub struct Plugin<'compiled> {
    raw: *mut c_void,
    _compiled: &'compiled CompiledPlugin,
}

// SAFETY: libextism ties a plugin to no thread; `&mut self` keeps calls apart.
unsafe impl Send for Plugin<'_> {}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The return code.
    pub code: i32,
    /// The message; of a trap it is only the backtrace, and the reason stands in the log.
    pub message: String,
}

/// The beginning of the message for an output whose stated length no memory can have.
pub const IMPOSSIBLE_OUTPUT: &str = "libextism states an output of";

/// An event of libextism's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// `ERROR`, `WARN`, …
    pub level: String,
    /// `extism::pdk` for what guests log.
    pub target: String,
    /// The message.
    pub message: String,
}

/// A host function of Extism's usual type: a block to a block.
pub type HostFunction = Box<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;

impl CompiledPlugin {
    /// Compiles a plugin with these functions in `extism:host/user`, without a cache on disk.
    ///
    /// # Errors
    /// libextism's message, if it refuses the plugin.
    pub fn new(
        manifest: &Manifest,
        functions: Vec<(String, HostFunction)>,
        wasi: bool,
    ) -> Result<Self, String> {
        let api = api();
        let json = serde_json::to_vec(manifest).map_err(|error| error.to_string())?;
        let functions: Vec<_> = functions
            .into_iter()
            .map(|(name, run)| Function::new(&name, run))
            .collect::<Result<_, _>>()?;
        let raw_functions: Vec<_> = functions.iter().map(|function| function.raw).collect();
        let mut error = null_mut();
        // SAFETY: pointers and lengths belong together, and live for the call.
        let raw = unsafe {
            (api.compiled_plugin_new)(
                json.as_ptr(),
                json.len() as u64,
                raw_functions.as_ptr(),
                raw_functions.len() as u64,
                wasi,
                &raw mut error,
            )
        };
        if raw.is_null() {
            return Err(taken_message(error));
        }
        Ok(Self {
            raw,
            _functions: functions,
        })
    }

    /// Makes a plugin of it, which sees the headers of HTTP responses.
    ///
    /// # Errors
    /// libextism's message, if there is no instance to be had.
    pub fn plugin(&self) -> Result<Plugin<'_>, String> {
        let api = api();
        let mut error = null_mut();
        // SAFETY: the compiled plugin is alive.
        let raw = unsafe { (api.plugin_new_from_compiled)(self.raw, &raw mut error) };
        if raw.is_null() {
            return Err(taken_message(error));
        }
        // SAFETY: the plugin has just been made.
        unsafe { (api.plugin_allow_http_response_headers)(raw) };
        Ok(Plugin {
            raw,
            _compiled: self,
        })
    }
}

impl Drop for CompiledPlugin {
    fn drop(&mut self) {
        // SAFETY: nothing uses it any more.
        unsafe { (api().compiled_plugin_free)(self.raw) }
    }
}

impl Plugin<'_> {
    /// Calls an export; the output is valid until the next call.
    ///
    /// # Errors
    /// If the call failed.
    pub fn call(&mut self, export: &str, input: &[u8]) -> Result<&[u8], CallError> {
        let api = api();
        let name = CString::new(export).map_err(|error| CallError {
            code: -1,
            message: error.to_string(),
        })?;
        // SAFETY: the plugin is alive, and the input lives for the call.
        let code = unsafe {
            (api.plugin_call)(self.raw, name.as_ptr(), input.as_ptr(), input.len() as u64)
        };
        // SAFETY: the plugin is alive; the message is valid until the next call.
        let message = unsafe {
            let message = (api.plugin_error)(self.raw);
            (!message.is_null()).then(|| CStr::from_ptr(message).to_string_lossy().into_owned())
        };
        if code != 0 || message.is_some() {
            return Err(CallError {
                code,
                message: message.unwrap_or_default(),
            });
        }
        // SAFETY: the plugin is alive.
        let (data, length) = unsafe {
            (
                (api.plugin_output_data)(self.raw),
                (api.plugin_output_length)(self.raw),
            )
        };
        if length > isize::MAX as u64 {
            return Err(CallError {
                code,
                message: format!("{IMPOSSIBLE_OUTPUT} {length} bytes"),
            });
        }
        if data.is_null() || length == 0 {
            return Ok(&[]);
        }
        // SAFETY: libextism keeps so many bytes there until the next call, which needs `&mut self`.
        Ok(unsafe { std::slice::from_raw_parts(data, length as usize) })
    }

    /// The lines that it has logged since the last time, if [`log_from`] was called.
    #[must_use]
    pub fn take_log(&self) -> Vec<LogEvent> {
        let mark = format!(" plugin=\"{}\"", self.id());
        // SAFETY: the function keeps nothing of what it is given.
        unsafe { (api().log_drain)(keep_event) };
        let mut all = EVENTS.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.extract_if(.., |event| event.trim_end().ends_with(&mark));
        own.filter_map(|event| {
            let event = event.trim_end().strip_suffix(&mark)?;
            let (_, event) = event.split_once(' ')?;
            let (level, event) = event.trim_start().split_once(' ')?;
            let (target, message) = event.split_once(": ")?;
            Some(LogEvent {
                level: level.to_owned(),
                target: target.to_owned(),
                message: message.to_owned(),
            })
        })
        .collect()
    }

    fn id(&self) -> String {
        // SAFETY: the plugin is alive; its identifier is a UUID of 16 bytes.
        let id = unsafe { *(api().plugin_id)(self.raw).cast::<[u8; 16]>() };
        let hex =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        [&id[..4], &id[4..6], &id[6..8], &id[8..10], &id[10..]]
            .map(hex)
            .join("-")
    }
}

impl Drop for Plugin<'_> {
    fn drop(&mut self) {
        // SAFETY: nothing uses it any more.
        unsafe { (api().plugin_free)(self.raw) }
    }
}

/// Has libextism keep events for [`Plugin::take_log`]; once for the process.
///
/// The filter is that of `tracing-subscriber`'s `EnvFilter`.
///
/// # Panics
/// If libextism refuses the filter.
pub fn log_from(filter: &CStr) {
    // SAFETY: the filter is a C string.
    let set = unsafe { (api().log_custom)(filter.as_ptr()) };
    assert!(set, "libextism refuses the filter {filter:?}");
}

/// Events that are taken from libextism, but by no plugin yet.
static EVENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

unsafe extern "C" fn keep_event(data: *const c_char, length: u64) {
    // SAFETY: libextism hands out a buffer of this length.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length as usize) };
    let mut events = EVENTS.lock().unwrap_or_else(PoisonError::into_inner);
    events.push(String::from_utf8_lossy(bytes).into_owned());
}

/// The version of the library.
#[must_use]
pub fn version() -> String {
    // SAFETY: it is a C string that lives as long as the library.
    unsafe { CStr::from_ptr((api().version)()) }
        .to_string_lossy()
        .into_owned()
}

/// A host function as libextism has it, which owns the closure.
struct Function {
    raw: *mut c_void,
}

impl Function {
    fn new(name: &str, run: HostFunction) -> Result<Self, String> {
        let name = CString::new(name).map_err(|error| error.to_string())?;
        let types = [I64];
        // The closure behind a thin pointer.
        let closure = Box::into_raw(Box::new(run)).cast();
        // SAFETY: one parameter and one result; `free_closure` takes back what is given here.
        let raw = unsafe {
            (api().function_new)(
                name.as_ptr(),
                types.as_ptr(),
                1,
                types.as_ptr(),
                1,
                call_closure,
                closure,
                Some(free_closure),
            )
        };
        Ok(Self { raw })
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // SAFETY: compiled plugins have copies of their own.
        unsafe { (api().function_free)(self.raw) }
    }
}

/// Reads the block that the guest has passed, calls the closure, and passes its answer as a new block.
///
/// The C interface tells a host function of a forged handle only that its length is 0, and lets it fail
/// in no way.
unsafe extern "C" fn call_closure(
    plugin: *mut c_void,
    inputs: *const Value,
    _: u64,
    outputs: *mut Value,
    _: u64,
    closure: *mut c_void,
) {
    let api = api();
    // SAFETY: libextism passes one value each way, its own plugin, and the closure of `Function::new`;
    // the memory may move when a block is made, so its address is asked for anew.
    unsafe {
        let run = &*closure.cast::<HostFunction>();
        let handle = (*inputs).bits;
        let length = (api.current_plugin_memory_length)(plugin, handle) as usize;
        let request = match length {
            0 => Vec::new(),
            _ => {
                let memory = (api.current_plugin_memory)(plugin).add(handle as usize);
                std::slice::from_raw_parts(memory, length).to_vec()
            }
        };
        let response = run(request);
        let block = match response.len() {
            0 => 0,
            length => (api.current_plugin_memory_alloc)(plugin, length as u64),
        };
        if block != 0 {
            let memory = (api.current_plugin_memory)(plugin).add(block as usize);
            memory.copy_from_nonoverlapping(response.as_ptr(), response.len());
        }
        *outputs = Value {
            kind: I64,
            bits: block,
        };
    }
}

unsafe extern "C" fn free_closure(closure: *mut c_void) {
    // SAFETY: it is what `Function::new` made of a box, and libextism frees it once.
    drop(unsafe { Box::from_raw(closure.cast::<HostFunction>()) });
}

/// An error message, which libextism leaves to its caller to free.
fn taken_message(raw: *mut c_char) -> String {
    if raw.is_null() {
        return "libextism gives no reason".to_owned();
    }
    // SAFETY: libextism made it as a C string, and frees it itself.
    unsafe {
        let message = CStr::from_ptr(raw).to_string_lossy().into_owned();
        (api().plugin_new_error_free)(raw);
        message
    }
}

/// `ExtismValType_I64`.
const I64: i32 = 1;

/// `ExtismVal`, of which only 64-bit integers are used.
#[repr(C)]
struct Value {
    kind: i32,
    bits: u64,
}

type Call = unsafe extern "C" fn(*mut c_void, *const Value, u64, *mut Value, u64, *mut c_void);

/// Declares the functions of the library that are used, and how they are found.
macro_rules! functions {
    ($($name:ident = $symbol:literal: fn($($parameter:ty),*) $(-> $result:ty)?;)*) => {
        struct Api {
            $($name: unsafe extern "C" fn($($parameter),*) $(-> $result)?,)*
        }

        impl Api {
            /// # Safety
            /// The library must be libextism 1.41.
            unsafe fn of(library: &'static Library) -> Result<Self, libloading::Error> {
                // SAFETY: the types are those of `extism.h`.
                unsafe {
                    Ok(Self {
                        $($name: *library.get($symbol.to_bytes_with_nul())?,)*
                    })
                }
            }
        }
    };
}

functions! {
    version = c"extism_version": fn() -> *const c_char;
    log_custom = c"extism_log_custom": fn(*const c_char) -> bool;
    log_drain = c"extism_log_drain": fn(unsafe extern "C" fn(*const c_char, u64));
    function_new = c"extism_function_new": fn(
        *const c_char, *const i32, u64, *const i32, u64, Call, *mut c_void,
        Option<unsafe extern "C" fn(*mut c_void)>
    ) -> *mut c_void;
    function_free = c"extism_function_free": fn(*mut c_void);
    compiled_plugin_new = c"extism_compiled_plugin_new": fn(
        *const u8, u64, *const *mut c_void, u64, bool, *mut *mut c_char
    ) -> *mut c_void;
    compiled_plugin_free = c"extism_compiled_plugin_free": fn(*mut c_void);
    plugin_new_from_compiled = c"extism_plugin_new_from_compiled": fn(
        *const c_void, *mut *mut c_char
    ) -> *mut c_void;
    plugin_new_error_free = c"extism_plugin_new_error_free": fn(*mut c_char);
    plugin_free = c"extism_plugin_free": fn(*mut c_void);
    plugin_allow_http_response_headers = c"extism_plugin_allow_http_response_headers": fn(*mut c_void);
    plugin_id = c"extism_plugin_id": fn(*mut c_void) -> *const u8;
    plugin_call = c"extism_plugin_call": fn(*mut c_void, *const c_char, *const u8, u64) -> i32;
    plugin_error = c"extism_plugin_error": fn(*mut c_void) -> *const c_char;
    plugin_output_length = c"extism_plugin_output_length": fn(*mut c_void) -> u64;
    plugin_output_data = c"extism_plugin_output_data": fn(*mut c_void) -> *const u8;
    current_plugin_memory = c"extism_current_plugin_memory": fn(*mut c_void) -> *mut u8;
    current_plugin_memory_alloc = c"extism_current_plugin_memory_alloc": fn(*mut c_void, u64) -> u64;
    current_plugin_memory_length = c"extism_current_plugin_memory_length": fn(*mut c_void, u64) -> u64;
}

fn api() -> &'static Api {
    static API: OnceLock<Api> = OnceLock::new();
    API.get_or_init(|| load().unwrap_or_else(|error| panic!("libextism: {error}")))
}

/// The library's path, from `$LIBEXTISM` or from `scripts/libextism`, which installs it.
fn path() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("LIBEXTISM") {
        return Ok(PathBuf::from(path));
    }
    let script = root().join("scripts/libextism");
    let output = Command::new(&script)
        .output()
        .map_err(|error| format!("{}: {error}", script.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(PathBuf::from(
        String::from_utf8_lossy(&output.stdout).trim(),
    ))
}

fn load() -> Result<Api, String> {
    let path = path()?;
    // SAFETY: the standard library's own readers hold a lock, and no C code that reads the environment
    // runs while the first plugin is made. The first turns the cache on disk off, the second the stack traces
    // in errors, which take a quarter of a second each.
    unsafe {
        std::env::set_var("EXTISM_CACHE_CONFIG", "");
        std::env::set_var("RUST_LIB_BACKTRACE", "0");
    }
    // SAFETY: loading runs the library's initialisers, which only a Rust library's runtime has.
    let library = unsafe { Library::new(&path) };
    let library = library.map_err(|error| format!("{}: {error}", path.display()))?;
    // It stays for as long as the process: what it made may call it.
    let library = Box::leak(Box::new(library));
    // SAFETY: the version that the signatures are of is pinned.
    unsafe { Api::of(library) }.map_err(|error| error.to_string())
}
