//! WASI preview 1 without access to the system: no files, no environment, no network.
//!
//! Language runtimes import much of it whether they need it or not. Clocks and randomness go
//! through the [`Host`](crate::Host), standard output and standard error go to the log, standard input
//! is empty, and every function on a file or a socket returns `badf` (no such descriptor).
//!
//! Source: <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md>.

use std::time::{Duration, UNIX_EPOCH};

use wasmtime::{Caller, Extern, FuncType, Linker, ModuleExport, Val, ValType};

use crate::LogLevel;
use crate::limits::LOG_LINE_OVERHEAD;
use crate::state::{HostCallError, StoreState};

/// All functions of preview 1.
pub(crate) const FUNCTIONS: &[&str] = &[
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_advise",
    "fd_allocate",
    "fd_close",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_read",
    "fd_readdir",
    "fd_renumber",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "fd_write",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
    "proc_exit",
    "proc_raise",
    "random_get",
    "sched_yield",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// Error numbers of preview 1.
#[derive(Clone, Copy)]
#[repr(i32)]
enum Errno {
    BadDescriptor = 8,
    Fault = 21,
    Invalid = 28,
    NotSupported = 58,
    Seek = 70,
}

type ErrnoResult = wasmtime::Result<i32>;
const SUCCESS: ErrnoResult = Ok(0);

/// The file type of a terminal, which the three standard streams have.
const CHARACTER_DEVICE: u8 = 2;
/// The length at which an incomplete line of standard output is logged.
const MAX_LINE: usize = 4 << 10;
/// The maximum that one call may request: a host function does not yield while it works.
const MAX_RANDOM: u32 = 1 << 20;
const MAX_VECTORS: u32 = 1024;
const MAX_SUBSCRIPTIONS: u32 = 1024;

/// The calling module's memory, by the export that the linker added for it.
#[derive(Clone, Copy)]
struct GuestMemory(Option<ModuleExport>);

impl GuestMemory {
    fn bytes<'c>(self, caller: &'c mut Caller<'_, StoreState>) -> Option<&'c mut [u8]> {
        match caller.get_module_export(&self.0?)? {
            Extern::Memory(memory) => Some(memory.data_mut(caller)),
            _ => None,
        }
    }

    fn read<const N: usize>(self, caller: &mut Caller<'_, StoreState>, at: u32) -> Option<[u8; N]> {
        self.slice(caller, at, N as u32)?.try_into().ok()
    }

    fn slice<'c>(
        self,
        caller: &'c mut Caller<'_, StoreState>,
        at: u32,
        length: u32,
    ) -> Option<&'c mut [u8]> {
        let end = (at as usize).checked_add(length as usize)?;
        self.bytes(caller)?.get_mut(at as usize..end)
    }

    fn write(self, caller: &mut Caller<'_, StoreState>, at: i32, content: &[u8]) -> ErrnoResult {
        match self.slice(caller, at as u32, content.len() as u32) {
            Some(place) => {
                place.copy_from_slice(content);
                SUCCESS
            }
            None => Ok(Errno::Fault as i32),
        }
    }
}

/// Defines `module::name`, one of [`FUNCTIONS`], for the module whose memory is exported as `memory`.
pub(crate) fn define(
    linker: &mut Linker<StoreState>,
    module: &str,
    name: &str,
    ty: &FuncType,
    memory: Option<ModuleExport>,
) -> wasmtime::Result<()> {
    type C<'c> = Caller<'c, StoreState>;
    let memory = GuestMemory(memory);
    match name {
        "args_get" | "environ_get" => linker.func_wrap(module, name, |_: i32, _: i32| 0),
        "args_sizes_get" | "environ_sizes_get" => linker.func_wrap(
            module,
            name,
            move |mut caller: C<'_>, count: i32, size: i32| -> ErrnoResult {
                match memory.write(&mut caller, count, &[0; 4])? {
                    0 => memory.write(&mut caller, size, &[0; 4]),
                    errno => Ok(errno),
                }
            },
        ),
        "clock_res_get" => linker.func_wrap(
            module,
            name,
            move |mut caller: C<'_>, clock: i32, at: i32| -> ErrnoResult {
                match clock {
                    0 | 1 => memory.write(&mut caller, at, &1u64.to_le_bytes()),
                    _ => Ok(Errno::Invalid as i32),
                }
            },
        ),
        "clock_time_get" => linker.func_wrap(
            module,
            name,
            move |mut caller: C<'_>, clock: i32, _precision: i64, at: i32| -> ErrnoResult {
                match clock_nanos(&caller, clock as u32) {
                    Some(nanos) => memory.write(&mut caller, at, &nanos.to_le_bytes()),
                    None => Ok(Errno::Invalid as i32),
                }
            },
        ),
        "fd_close" | "fd_sync" | "fd_datasync" => {
            linker.func_wrap(module, name, |fd: i32| for_standard_stream(fd, 0))
        }
        "fd_fdstat_get" => linker.func_wrap(
            module,
            name,
            move |mut caller: C<'_>, fd: i32, at: i32| -> ErrnoResult {
                let mut stat = [0; 24];
                stat[0] = CHARACTER_DEVICE;
                // The right to read (standard input) or to write (the others).
                stat[8] = if fd == 0 { 1 << 1 } else { 1 << 6 };
                match for_standard_stream(fd, 0) {
                    0 => memory.write(&mut caller, at, &stat),
                    errno => Ok(errno),
                }
            },
        ),
        "fd_filestat_get" => linker.func_wrap(
            module,
            name,
            move |mut caller: C<'_>, fd: i32, at: i32| -> ErrnoResult {
                let mut stat = [0; 64];
                stat[16] = CHARACTER_DEVICE;
                match for_standard_stream(fd, 0) {
                    0 => memory.write(&mut caller, at, &stat),
                    errno => Ok(errno),
                }
            },
        ),
        "fd_fdstat_set_flags" => linker.func_wrap(module, name, |fd: i32, _flags: i32| {
            for_standard_stream(fd, 0)
        }),
        "fd_seek" => linker.func_wrap(
            module,
            name,
            |fd: i32, _offset: i64, _whence: i32, _at: i32| {
                for_standard_stream(fd, Errno::Seek as i32)
            },
        ),
        "fd_read" => linker.func_wrap(
            module,
            name,
            move |mut caller: C<'_>, fd: i32, _vectors: i32, _count: i32, at: i32| -> ErrnoResult {
                // Standard input is empty.
                if fd == 0 {
                    memory.write(&mut caller, at, &[0; 4])
                } else {
                    Ok(Errno::BadDescriptor as i32)
                }
            },
        ),
        "fd_write" => linker.func_wrap(
            module,
            name,
            move |mut caller: C<'_>, fd: i32, vectors: i32, count: i32, at: i32| -> ErrnoResult {
                fd_write(&mut caller, memory, fd, vectors as u32, count as u32, at)
            },
        ),
        "poll_oneoff" => linker.func_wrap_async(
            module,
            name,
            move |mut caller: C<'_>, (input, output, count, written): (i32, i32, i32, i32)| {
                Box::new(async move {
                    poll_oneoff(
                        &mut caller,
                        memory,
                        input as u32,
                        output as u32,
                        count as u32,
                        written,
                    )
                    .await
                })
            },
        ),
        "proc_exit" => linker.func_wrap(module, name, |code: i32| -> wasmtime::Result<()> {
            Err(HostCallError::Exit(code).into())
        }),
        "random_get" => linker.func_wrap(
            module,
            name,
            move |mut caller: C<'_>, at: i32, length: i32| -> ErrnoResult {
                if length as u32 > MAX_RANDOM {
                    return Ok(Errno::Invalid as i32);
                }
                let host = caller.data().host.clone();
                let Some(place) = memory.slice(&mut caller, at as u32, length as u32) else {
                    return Ok(Errno::Fault as i32);
                };
                host.random(place).map_err(HostCallError::Refused)?;
                SUCCESS
            },
        ),
        "sched_yield" => linker.func_wrap(module, name, || 0),
        _ => return define_unsupported(linker, module, name, ty),
    }
    .map(|_| ())
}

/// Defines a function on files, sockets or signals, which this host does not support.
fn define_unsupported(
    linker: &mut Linker<StoreState>,
    module: &str,
    name: &str,
    ty: &FuncType,
) -> wasmtime::Result<()> {
    if !ty
        .results()
        .map(|result| matches!(result, ValType::I32))
        .eq([true])
    {
        wasmtime::bail!(
            "`{name}` of WASI preview 1 returns one i32, but the plugin imports it as {ty}"
        );
    }
    let errno = if name.starts_with("proc_") {
        Errno::NotSupported
    } else {
        Errno::BadDescriptor
    };
    linker.func_new(module, name, ty.clone(), move |_, _, results| {
        if let Some(result) = results.first_mut() {
            *result = Val::I32(errno as i32);
        }
        Ok(())
    })?;
    Ok(())
}

/// `errno` for the three standard streams, `badf` for all other descriptors.
fn for_standard_stream(fd: i32, errno: i32) -> i32 {
    if (0..=2).contains(&fd) {
        errno
    } else {
        Errno::BadDescriptor as i32
    }
}

fn clock_nanos(caller: &Caller<'_, StoreState>, clock: u32) -> Option<u64> {
    let host = &caller.data().host;
    let since = match clock {
        0 => host.now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        // Never 0: Go's runtime takes that for a clock that does not work, and ends.
        1 => host.monotonic().max(Duration::from_nanos(1)),
        _ => return None,
    };
    Some(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn fd_write(
    caller: &mut Caller<'_, StoreState>,
    memory: GuestMemory,
    fd: i32,
    vectors: u32,
    count: u32,
    at: i32,
) -> ErrnoResult {
    let stream = match fd {
        1 => 0,
        2 => 1,
        _ => return Ok(Errno::BadDescriptor as i32),
    };
    if count > MAX_VECTORS {
        return Ok(Errno::Invalid as i32);
    }
    let mut total = 0u32;
    for vector in 0..count {
        let place = vectors.checked_add(vector * 8);
        let Some(header) = place.and_then(|place| memory.read::<8>(caller, place)) else {
            return Ok(Errno::Fault as i32);
        };
        let [a, b, c, d, e, f, g, h] = header;
        let (start, length) = (
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        );
        // Counted before anything is copied: vectors may all name the same bytes, and lines may be empty.
        caller
            .data_mut()
            .meter
            .count_log(length as usize)
            .map_err(HostCallError::from)?;
        let Some(text) = memory
            .slice(caller, start, length)
            .map(|text| text.to_vec())
        else {
            return Ok(Errno::Fault as i32);
        };
        caller.data_mut().remember_output(stream, &text);
        write_lines(caller.data_mut(), stream, &text)?;
        total = total.saturating_add(length);
    }
    memory.write(caller, at, &total.to_le_bytes())
}

/// Logs complete lines and keeps the rest for the next write.
fn write_lines(state: &mut StoreState, stream: usize, text: &[u8]) -> Result<(), HostCallError> {
    for piece in text.split_inclusive(|byte| *byte == b'\n') {
        state.output_lines[stream].extend_from_slice(piece);
        if piece.ends_with(b"\n") || state.output_lines[stream].len() >= MAX_LINE {
            flush(state, stream)?;
        }
    }
    Ok(())
}

fn flush(state: &mut StoreState, stream: usize) -> Result<(), HostCallError> {
    let line = std::mem::take(&mut state.output_lines[stream]);
    let level = if stream == 0 {
        LogLevel::Info
    } else {
        LogLevel::Warn
    };
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    if line.is_empty() {
        return Ok(());
    }
    state.meter.count_log(LOG_LINE_OVERHEAD)?;
    state.host.log(level, &String::from_utf8_lossy(line));
    Ok(())
}

/// Logs the incomplete lines of a call that has ended.
pub(crate) fn flush_all(state: &mut StoreState) {
    for stream in 0..state.output_lines.len() {
        // The call is over, so a log limit exceeded here has nothing left to end.
        let _ = flush(state, stream);
    }
}

/// Waits for the earliest of some clocks. Descriptors are always ready.
async fn poll_oneoff(
    caller: &mut Caller<'_, StoreState>,
    memory: GuestMemory,
    input: u32,
    output: u32,
    count: u32,
    written: i32,
) -> ErrnoResult {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Ok(Errno::Invalid as i32);
    }
    let mut earliest: Option<(Duration, u64)> = None;
    let mut events = Vec::new();
    for nth in 0..count {
        let place = input.checked_add(nth * 48);
        let Some(subscription) = place.and_then(|place| memory.read::<48>(caller, place)) else {
            return Ok(Errno::Fault as i32);
        };
        let word = |at: usize| {
            subscription[at..at + 8]
                .try_into()
                .map_or(0, u64::from_le_bytes)
        };
        let user_data = word(0);
        match subscription[8] {
            0 => {
                let absolute = subscription[40] & 1 != 0;
                let now = clock_nanos(caller, subscription[16].into()).unwrap_or(0);
                let wait = if absolute {
                    word(24).saturating_sub(now)
                } else {
                    word(24)
                };
                let wait = Duration::from_nanos(wait);
                if earliest.is_none_or(|(known, _)| wait < known) {
                    earliest = Some((wait, user_data));
                }
            }
            kind @ (1 | 2) => events.push(event(user_data, kind)),
            _ => return Ok(Errno::Invalid as i32),
        }
    }
    if let (true, Some((wait, user_data))) = (events.is_empty(), earliest) {
        let host = caller.data().host.clone();
        host.sleep(wait).await;
        events.push(event(user_data, 0));
    }
    for (nth, event) in (0..).zip(&events) {
        let place = output.saturating_add(nth * 32) as i32;
        let errno = memory.write(caller, place, event)?;
        if errno != 0 {
            return Ok(errno);
        }
    }
    memory.write(caller, written, &(events.len() as u32).to_le_bytes())
}

fn event(user_data: u64, kind: u8) -> [u8; 32] {
    let mut event = [0; 32];
    event[..8].copy_from_slice(&user_data.to_le_bytes());
    event[10] = kind;
    event
}
