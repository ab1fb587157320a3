//! Compilation in a child process, under limits on its time, its memory and its output.
//!
//! The time and memory that a compiler needs are not bounded by the size of a module: one of 16 KB can take a
//! minute and gigabytes. So a host that is a binary of its own compiles in a child, the same binary, which
//! is killed at a limit. The child and the host make the compiler's settings in one function, and the
//! host refuses what was compiled with others.
//!
//! Where the engine is a library without such a binary, as in tests, it compiles in its own process, and
//! refuses what would take much longer than its size explains.

use std::io::{self, Read, Write};
use std::process::Stdio;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use wasmparser::{Operator, Parser, Payload};
use wasmtime::{Config, Inlining};

use crate::engine::{settings, trim_heap};
use crate::{EngineConfig, LoadError, units};

/// The argument that makes the host's own binary a compiler; see [`use_own_binary`].
static ARGUMENT: OnceLock<&'static str> = OnceLock::new();

/// Compilers that run at once at most.
const MOST_CHILDREN: usize = 4;
static CHILDREN: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(MOST_CHILDREN);
/// Compilers use all processors and some hundred MiB each: the next begins when one is done, or has taken
/// longer than plugins usually do.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
const LONGEST_TURN: Duration = Duration::from_secs(2);

/// The threads of one compiler; more need more memory, and are rarely faster.
const MOST_THREADS: usize = 8;
/// The compiled module may be as long as this, and this many times as long as its source.
const OUTPUT: u64 = 64 << 20;
const OUTPUT_RATIO: u64 = 40;
/// Address space that the limit on memory does not count: the binary itself, reservations.
const ADDRESS_SPACE: u64 = 8 << 30;
/// The longest message that a compiler may answer with.
const MAX_MESSAGE: usize = 1000;

/// In this process, a function may have so many locals for each level of nested loops: each of them has to be
/// followed through each loop.
const LOCALS_IN_LOOPS: u64 = 200_000;

/// In this process, blocks may be nested as deep as this.
const NESTING: usize = 50_000;

/// The first byte of the child's answer.
const COMPILED: u8 = b'+';
const REFUSED: u8 = b'-';

/// The limits of one compilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Time from the compiler's start to its end, for a small module. A large one has as long again for each
    /// MiB, up to [`MOST_TIMES`] times as long.
    pub time: Duration,
    /// Bytes of memory.
    pub memory: u64,
}

/// How many times as long as a small module a large one may take.
const MOST_TIMES: u32 = 4;

impl CompileLimits {
    /// The time for a module of this length.
    fn time_for(&self, wasm: &[u8]) -> Duration {
        let times =
            u32::try_from(wasm.len() >> 20).map_or(MOST_TIMES, |more| more.saturating_add(1));
        self.time.saturating_mul(times.min(MOST_TIMES))
    }
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30),
            memory: 2 << 30,
        }
    }
}

/// Compiles in child processes from now on, which run the own binary with this argument: its `main` calls
/// [`run_compiler`] then, before anything else.
pub fn use_own_binary(argument: &'static str) {
    // A second call is the same binary's.
    let _ = ARGUMENT.set(argument);
}

/// The order to a compiler; the module follows it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Order {
    config: EngineConfig,
    inlining: bool,
    memory: u64,
    seconds: u64,
}

/// Compiles a linked module for an engine of this configuration.
pub(crate) async fn compile(
    config: &EngineConfig,
    inlining: Inlining,
    wasm: &[u8],
    limits: CompileLimits,
) -> Result<Vec<u8>, LoadError> {
    match ARGUMENT.get() {
        Some(argument) => in_child(argument, config, inlining, wasm, limits).await,
        None => here(config, inlining, wasm),
    }
}

/// Compiles in this process, one module at a time, in an engine that is dropped: Wasmtime keeps the
/// compiler's memory, some hundred MiB, as long as its engine exists.
fn here(config: &EngineConfig, inlining: Inlining, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
    static COMPILING: Mutex<()> = Mutex::new(());
    check_cost(wasm)?;
    let _compiling = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = precompile(&settings(config, inlining), wasm);
    trim_heap();
    compiled.map_err(LoadError::Prepare)
}

fn precompile(settings: &Config, wasm: &[u8]) -> Result<Vec<u8>, String> {
    let compiled =
        wasmtime::Engine::new(settings).and_then(|engine| engine.precompile_module(wasm));
    compiled.map_err(|error| format!("{error:#}"))
}

/// Refuses functions whose nesting, with their locals, makes a compiler's work grow as a product.
fn check_cost(wasm: &[u8]) -> Result<(), LoadError> {
    let invalid = |error: wasmparser::BinaryReaderError| LoadError::Prepare(error.to_string());
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::CodeSectionEntry(body) = payload.map_err(invalid)? else {
            continue;
        };
        let mut locals = 0u64;
        for local in body.get_locals_reader().map_err(invalid)? {
            locals += u64::from(local.map_err(invalid)?.0);
        }
        let (mut blocks, mut loops, mut deepest, mut nesting) = (Vec::new(), 0u64, 0, 0);
        for operator in body.get_operators_reader().map_err(invalid)? {
            match operator.map_err(invalid)? {
                Operator::Loop { .. } => {
                    blocks.push(true);
                    loops += 1;
                    deepest = loops.max(deepest);
                }
                Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                    blocks.push(false);
                }
                Operator::End => loops -= u64::from(blocks.pop().unwrap_or_default()),
                _ => {}
            }
            nesting = nesting.max(blocks.len());
        }
        if nesting > NESTING {
            return Err(LoadError::Prepare(format!(
                "a function has {nesting} nested blocks, which takes too long to compile"
            )));
        }
        if locals.saturating_mul(deepest) > LOCALS_IN_LOOPS {
            return Err(LoadError::Prepare(format!(
                "a function has {locals} locals in {deepest} nested loops, which takes too long to compile"
            )));
        }
    }
    Ok(())
}

async fn in_child(
    argument: &str,
    config: &EngineConfig,
    inlining: Inlining,
    wasm: &[u8],
    limits: CompileLimits,
) -> Result<Vec<u8>, LoadError> {
    let failed =
        |error: io::Error| LoadError::Compile(format!("the compiler does not run: {error}"));
    let time = limits.time_for(wasm);
    let order = serde_json::to_vec(&Order {
        config: *config,
        inlining: inlining == Inlining::Yes,
        memory: limits.memory,
        seconds: time.as_secs().saturating_add(1),
    })
    .map_err(|error| failed(error.into()))?;
    // Never closed.
    let _one = CHILDREN.acquire().await.ok();
    let turn = TURN.lock().await;
    let mut child = start(argument).map_err(failed)?;
    let most = OUTPUT.saturating_add(OUTPUT_RATIO.saturating_mul(wasm.len() as u64));
    let answer = {
        let talk = converse(&mut child, &order, wasm, most);
        tokio::pin!(talk);
        match tokio::time::timeout(LONGEST_TURN.min(time), &mut talk).await {
            Ok(answer) => Some(answer),
            Err(_) => {
                drop(turn);
                let left = time.saturating_sub(LONGEST_TURN);
                tokio::time::timeout(left, &mut talk).await.ok()
            }
        }
    };
    // One that has answered ends by itself; any other ends here.
    let _ = child.start_kill();
    let status = child.wait().await.ok();
    match answer {
        None => Err(LoadError::Compile(format!(
            "compiling it takes longer than {time:?}; `engine.compile_time` sets the limit"
        ))),
        Some(Ok(answer)) if answer.len() as u64 > most => Err(LoadError::Compile(format!(
            "it compiles to more than {} of code",
            units::bytes(most)
        ))),
        Some(Ok(mut answer)) if answer.first() == Some(&COMPILED) => {
            answer.remove(0);
            Ok(answer)
        }
        Some(Ok(answer)) if answer.first() == Some(&REFUSED) => {
            let message = String::from_utf8_lossy(&answer[1..]);
            Err(LoadError::Prepare(units::clipped(&message, MAX_MESSAGE)))
        }
        // Without memory it aborts.
        Some(_) => Err(LoadError::Compile(format!(
            "the compiler failed ({}), most likely because it needs more memory than {}; \
             `engine.compile_memory` sets the limit",
            status.map_or_else(
                || "without a status".to_owned(),
                |status| status.to_string()
            ),
            units::bytes(limits.memory)
        ))),
    }
}

/// Starts a compiler. It gets nothing of the host's environment but where its libraries are.
fn start(argument: &str) -> io::Result<Child> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    // The file of the running binary, even when another has taken its place.
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("exomonad")
        .arg(argument)
        .env_clear()
        .env("MALLOC_ARENA_MAX", "2")
        .env(
            "RAYON_NUM_THREADS",
            processors.min(MOST_THREADS).to_string(),
        )
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let Some(libraries) = std::env::var_os("LD_LIBRARY_PATH") {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command.spawn()
}

/// Gives a compiler its order and reads what it answers, up to one byte more than `most`.
async fn converse(child: &mut Child, order: &[u8], wasm: &[u8], most: u64) -> io::Result<Vec<u8>> {
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("no pipe"));
    };
    let length = u32::try_from(order.len()).map_err(io::Error::other)?;
    input.write_all(&length.to_le_bytes()).await?;
    input.write_all(order).await?;
    input.write_all(wasm).await?;
    input.shutdown().await?;
    drop(input);
    let mut answer = Vec::new();
    output
        .take(most.saturating_add(1))
        .read_to_end(&mut answer)
        .await?;
    Ok(answer)
}

/// The compiler: reads an order and a module from standard input and answers on standard output.
///
/// # Errors
/// If the host is gone, or the limits cannot be set.
pub fn run_compiler() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let mut order = vec![0; u32::from_le_bytes(length).min(1 << 20) as usize];
    input.read_exact(&mut order)?;
    let order: Order = serde_json::from_slice(&order)?;
    // Nobody wants the answer when the host is gone.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // The time in seconds of all processors.
    let processors = std::thread::available_parallelism().map_or(1, |number| number.get() as u64);
    limit(Resource::Cpu, order.seconds.saturating_mul(processors))?;
    limit(Resource::Data, order.memory)?;
    limit(
        Resource::As,
        order.memory.saturating_mul(2).saturating_add(ADDRESS_SPACE),
    )?;
    limit(Resource::Core, 0)?;
    // Where the machine has no more memory, this goes first, and not the host.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let mut wasm = Vec::new();
    input.read_to_end(&mut wasm)?;
    let inlining = match order.inlining {
        true => Inlining::Yes,
        false => Inlining::No,
    };
    let mut output = io::stdout().lock();
    match precompile(&settings(&order.config, inlining), &wasm) {
        Ok(compiled) => {
            output.write_all(&[COMPILED])?;
            output.write_all(&compiled)?;
        }
        Err(message) => {
            output.write_all(&[REFUSED])?;
            output.write_all(message.as_bytes())?;
        }
    }
    output.flush()
}

/// Lowers a limit of this process; one that is lower already stays.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let before = rustix::process::getrlimit(resource);
    let lower = |limit: Option<u64>| Some(limit.map_or(most, |limit| limit.min(most)));
    let limits = Rlimit {
        current: lower(before.current),
        maximum: lower(before.maximum),
    };
    Ok(setrlimit(resource, limits)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(locals: &str, loops: usize) -> Vec<u8> {
        let text = format!(
            "(module (func {locals} {} {}))",
            "(loop ".repeat(loops),
            ")".repeat(loops)
        );
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn a_large_module_has_more_time_up_to_a_bound() {
        let limits = CompileLimits::default();
        for (length, seconds) in [(0, 30), (1 << 20, 60), (3 << 20, 120), (9 << 20, 120)] {
            assert_eq!(limits.time_for(&vec![0; length]).as_secs(), seconds);
        }
    }

    #[test]
    fn many_locals_or_many_loops_are_taken_and_both_are_refused() {
        let many = format!("(local {})", "i32 ".repeat(3000));
        assert!(check_cost(&function(&many, 10)).is_ok());
        assert!(check_cost(&function("(local i32)", 90)).is_ok());
        let refused = check_cost(&function(&many, 90)).unwrap_err().to_string();
        assert!(
            refused.contains("3000 locals in 90 nested loops"),
            "{refused}"
        );
    }
}
