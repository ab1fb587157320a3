//! The host's overhead on an effect: from the guest and back, the grant, the span, the metric.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use exomonad_benches::measure::{Candidate, in_turns, micros};
use exomonad_core::{CallContext, ClockService as _};
use exomonad_schema::CallId;
use exomonad_schema::effects::clock::ClockNow;
use exomonad_services::Clock;

use super::served::{Home, Served, request};

/// Effects of one call that is measured.
const EFFECTS: u32 = 5000;

/// A guest that asks for the time over and over: `many` so often, `none` never.
const GUEST: &str = r#"
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/user" "clock_now" (func $now (param i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "handle_pre_tool_use") (result i32) (i32.const 0))
  (func (export "none") (result i32) (i32.const 0))
  (func (export "many") (result i32)
    (local $request i64) (local $left i32)
    (local.set $request (call $alloc (i64.const 2)))
    (call $store (local.get $request) (i32.const 123))
    (call $store (i64.add (local.get $request) (i64.const 1)) (i32.const 125))
    (local.set $left (i32.const TIMES))
    (loop $next
      (call $free (call $now (local.get $request)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left)))
    (i32.const 0)))
"#;

/// Prints the table.
pub fn report() -> Result<(), String> {
    let guest = GUEST.replace("TIMES", &EFFECTS.to_string());
    let receiver = receiver()?;
    let serve = |telemetry: &str| {
        let home = Home::new(&format!(
            "[server]\nraw_calls = true\n{telemetry}\n[role.clock]\neffects = ['clock.*']\nlimits.effects = 10000\n"
        ))?;
        std::fs::write(home.plugin("clock.wat"), &guest).map_err(|error| error.to_string())?;
        let served = home.serve()?;
        Ok::<_, String>((home, served))
    };
    let off = serve("")?;
    let metrics = serve(&format!(
        "[telemetry]\nendpoint = '{receiver}'\nprotocol = 'http/protobuf'\nsignals = ['metrics']"
    ))?;
    let all = serve(&format!(
        "[telemetry]\nendpoint = '{receiver}'\nprotocol = 'http/protobuf'"
    ))?;
    let one_in_ten = serve(&format!(
        "[telemetry]\nendpoint = '{receiver}'\nprotocol = 'http/protobuf'\nsampling = '10%'"
    ))?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let call = CallContext::new(
        "clock".parse().map_err(|_| "a role's name")?,
        CallId::from(1),
    );
    let bare = Candidate::new(|calls| {
        let clock = Clock::<exomonad_services::clock::HostTime>::default();
        let begin = Instant::now();
        runtime.block_on(async {
            for _ in 0..calls * EFFECTS {
                // The time is always there.
                let _ = std::hint::black_box(clock.now(&call, ClockNow {}).await);
            }
        });
        begin.elapsed()
    });
    let host = |served: &Served, export: &'static str| {
        let address = served.address.clone();
        Candidate::new(move |calls| {
            let begin = Instant::now();
            for _ in 0..calls {
                call_export(&address, export);
            }
            begin.elapsed()
        })
    };
    let names = [
        "telemetry off",
        "metrics sent",
        "traces of 10 %",
        "everything sent",
    ];
    let hosts = [&off.1, &metrics.1, &one_in_ten.1, &all.1];
    let mut candidates = vec![bare];
    for served in hosts {
        candidates.push(host(served, "none"));
        candidates.push(host(served, "many"));
    }
    let times = in_turns(&mut candidates);
    let bare = times[0] / EFFECTS;
    println!(
        "## Effects\n\n`clock_now`, {EFFECTS} times in one call; what the call itself takes is taken off. The bare service call takes {}.\n",
        micros(bare)
    );
    println!("| | an effect | over the bare call |\n|---|--:|--:|");
    for (name, pair) in names.iter().zip(times[1..].chunks(2)) {
        let each = pair[1].saturating_sub(pair[0]) / EFFECTS;
        println!(
            "| {name} | {} | {} |",
            micros(each),
            micros(each.saturating_sub(bare))
        );
    }
    println!();
    Ok(())
}

fn call_export(address: &str, export: &str) {
    let body = format!(r#"{{"plugin":"clock","function":"{export}"}}"#);
    match request(address, "POST", "/call", &body) {
        Some(answer) if answer.starts_with("HTTP/1.1 200") => {}
        other => panic!("the call failed: {other:?}"),
    }
}

/// The address of a receiver that takes whatever is sent.
fn receiver() -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || take(stream));
        }
    });
    Ok(format!("http://{address}"))
}

fn take(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(said) = line.strip_prefix("content-length:") {
                length = said.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).ok()?;
    }
}
