//! `plugin test FILE --cases CASES`: tools of a module on effects that a file answers, without a host.
//!
//! ```toml
//! [[case]]
//! tool = "greet"
//! arguments = { name = "Ada" }
//! effects = [{ effect = "git.get_branch", answer = { head = "branch", branch = "main" } }]
//! result = { text = "Hello Ada on main" }
//! ```

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use exomonad_engine::{EngineConfig, Host, HostFuture, Limits, LoadOptions, Plugin};
use exomonad_host::pipeline::effect_functions;
use exomonad_schema::common::HANDLE_MCP_CALL;
use exomonad_schema::{Answer, EffectError, EffectKind, ErrorCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cli::CommandError;
use crate::cli::args::Options;
use crate::cli::plugin::{engine, listed_tools, open};
use crate::cli::show::{print_json, without_controls};

/// A file of cases longer than this is none.
const MAX_BYTES: u64 = 64 << 20;

/// A file of cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasesFile {
    case: Vec<Case>,
}

/// A call of a tool, with the effects that it requests in this order, and its end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    tool: String,
    #[serde(default)]
    arguments: Map<String, Value>,
    #[serde(default)]
    effects: Vec<Expected>,
    /// The `structuredContent` of the result.
    result: Option<Value>,
    /// The text of the result's first block.
    text: Option<String>,
    /// True if the tool fails.
    #[serde(default)]
    fails: bool,
}

/// An effect that the tool requests, and its answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// `git.get_branch`.
    effect: String,
    /// The request, if it matters.
    request: Option<Value>,
    answer: Option<Value>,
    error: Option<ExpectedError>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedError {
    code: ErrorCode,
    message: String,
}

/// Runs the cases of a file on a module.
pub async fn run_cases(options: &Options, module: &Path, file: &Path) -> Result<(), CommandError> {
    let cases = read(file)?;
    let engine = engine(EngineConfig {
        sandboxes: 4,
        ..EngineConfig::default()
    })?;
    let load = LoadOptions {
        effects: effect_functions(),
        ..LoadOptions::default()
    };
    let plugin = open(&engine, module, &load).await?;
    let tools = listed_tools(&plugin).await.map_err(CommandError::Refused)?;
    let mut outcomes = Vec::new();
    for (nth, case) in cases.into_iter().enumerate() {
        let name = format!("case {}, {}", nth + 1, case.tool);
        // A plugin's own failure for a tool that it does not have is no tool's.
        let outcome = match tools.iter().any(|tool| tool.name == case.tool) {
            true => run(&plugin, case).await,
            false => Err("the plugin has no such tool".to_owned()),
        };
        outcomes.push((name, outcome));
    }
    let failed = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_err())
        .count();
    if options.json {
        let shown = outcomes.iter().map(|(name, outcome)| {
            json!({"case": name, "passed": outcome.is_ok(), "reason": outcome.as_ref().err()})
        });
        print_json(&json!({"cases": shown.collect::<Vec<_>>(), "failed": failed}));
    } else {
        for (name, outcome) in &outcomes {
            match outcome {
                Ok(()) => outln!("passed: {}", without_controls(name)),
                Err(reason) => outln!("FAILED: {}", without_controls(&format!("{name}: {reason}"))),
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(CommandError::Found),
    }
}

fn read(file: &Path) -> Result<Vec<Case>, CommandError> {
    let usage = |reason: String| CommandError::Usage(format!("{}: {reason}", file.display()));
    let bytes = super::file::read(file, MAX_BYTES).map_err(|error| usage(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| usage(error.to_string()))?;
    let is_json = file
        .extension()
        .is_some_and(|extension| extension == "json");
    let parsed: Result<CasesFile, String> = match is_json {
        true => serde_json::from_str(&text).map_err(|error| error.to_string()),
        false => toml_edit::de::from_str(&text).map_err(|error| error.to_string()),
    };
    let cases = parsed.map_err(usage)?.case;
    if cases.is_empty() {
        return Err(usage("it has no case".to_owned()));
    }
    for (nth, case) in cases.iter().enumerate() {
        for one in &case.effects {
            let known = EffectKind::ALL
                .iter()
                .any(|kind| kind.capability() == one.effect);
            let problem = match (known, &one.answer, &one.error) {
                (false, ..) => format!("there is no effect `{}`", one.effect),
                (_, None, None) => format!("`{}` has neither `answer` nor `error`", one.effect),
                (_, Some(_), Some(_)) => format!("`{}` has `answer` and `error`", one.effect),
                _ => continue,
            };
            return Err(usage(format!("case {}: {problem}", nth + 1)));
        }
    }
    Ok(cases)
}

async fn run(plugin: &Plugin, case: Case) -> Result<(), String> {
    let input = json!({
        "name": case.tool,
        "arguments": case.arguments,
        "context": {"role": "plugin", "callId": "0".repeat(32), "caller": "plugin test"},
    });
    let host = Arc::new(CaseHost {
        expected: Mutex::new(case.effects.into()),
        problem: Mutex::default(),
    });
    let called = plugin
        .call(
            host.clone(),
            Limits::default(),
            HANDLE_MCP_CALL,
            input.to_string().as_bytes(),
        )
        .await;
    // The first thing that went otherwise explains the rest.
    if let Some(problem) = lock(&host.problem).take() {
        return Err(problem);
    }
    let output = called.map_err(|error| error.to_string())?;
    if let Some(left) = lock(&host.expected).front() {
        return Err(format!("it did not request {}", left.effect));
    }
    let result: Value = serde_json::from_slice(&output.bytes)
        .map_err(|error| format!("its result is no JSON: {error}"))?;
    let is_error = result["isError"] == true;
    if is_error != case.fails {
        let what = if is_error {
            "it failed"
        } else {
            "it did not fail"
        };
        return Err(format!("{what}: {result}"));
    }
    let differs = |what: &str, wanted: &Value, got: &Value| match wanted == got {
        true => Ok(()),
        false => Err(format!("its {what} is {got}, not {wanted}")),
    };
    if let Some(wanted) = &case.result {
        differs("result", wanted, &result["structuredContent"])?;
    }
    match &case.text {
        Some(wanted) => differs("text", &json!(wanted), &result["content"][0]["text"]),
        None => Ok(()),
    }
}

/// Answers the effects of one case.
struct CaseHost {
    expected: Mutex<VecDeque<Expected>>,
    problem: Mutex<Option<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CaseHost {
    fn answer(&self, effect: usize, request: &[u8]) -> Result<Answer<Value>, String> {
        let kind = EffectKind::ALL
            .get(effect)
            .ok_or("an effect that is none")?;
        let capability = kind.capability();
        let request: Value = serde_json::from_slice(request)
            .map_err(|error| format!("the request of {capability} is no JSON: {error}"))?;
        let Some(expected) = lock(&self.expected).pop_front() else {
            return Err(format!(
                "it requests {capability} {request}, which the case does not have"
            ));
        };
        if expected.effect != capability {
            let wanted = expected.effect;
            return Err(format!("it requests {capability} {request}, not {wanted}"));
        }
        match expected.request {
            Some(wanted) if wanted != request => {
                return Err(format!("it requests {capability} {request}, not {wanted}"));
            }
            _ => {}
        }
        Ok(match expected.error {
            Some(error) => Answer::Error(EffectError::new(error.code, error.message)),
            None => Answer::Success(expected.answer.unwrap_or_default()),
        })
    }
}

impl Host for CaseHost {
    fn effect(&self, effect: usize, request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        let answer = self.answer(effect, &request).unwrap_or_else(|problem| {
            let answer = EffectError::new(ErrorCode::Internal, problem.clone());
            lock(&self.problem).get_or_insert(problem);
            Answer::Error(answer)
        });
        let answer = serde_json::to_vec(&answer).unwrap_or_default();
        Box::pin(std::future::ready(answer))
    }
}
