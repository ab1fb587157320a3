//! The host functions of the Extism ABI and the effects.
//!
//! The functions that need only the kernel's memory are in `link/kernel.wat`. These need the host:
//! configuration, variables, HTTP, logs, and `extism:host/user`, where each effect is a function.

use wasmtime::{Caller, Linker};

use crate::limits::{LOG_LINE_OVERHEAD, VARIABLE_OVERHEAD};
use crate::link::{HOST_ENV, HOST_USER};
use crate::state::{HostCallError, KernelAccess, LastHttpResponse, StoreState};
use crate::{HttpError, HttpRequest, Limit, LogLevel};

/// The functions of `extism:host/env` that the host provides; the kernel provides the others.
pub(crate) const FUNCTIONS: &[&str] = &[
    "config_get",
    "var_get",
    "var_set",
    "http_request",
    "http_status_code",
    "http_headers",
    "log_trace",
    "log_debug",
    "log_info",
    "log_warn",
    "log_error",
    "get_log_level",
];

/// The result of `get_log_level` when logging is off.
const LOG_OFF: i32 = i32::MAX;

/// Defines the function of `extism:host/env` with this name, one of [`FUNCTIONS`].
pub(crate) fn define(linker: &mut Linker<StoreState>, name: &str) -> wasmtime::Result<()> {
    match name {
        "config_get" => linker.func_wrap(HOST_ENV, name, config_get),
        "var_get" => linker.func_wrap(HOST_ENV, name, var_get),
        "var_set" => linker.func_wrap(HOST_ENV, name, var_set),
        "http_request" => {
            linker.func_wrap_async(HOST_ENV, name, |caller, (request, body): (i64, i64)| {
                Box::new(http_request(caller, request, body))
            })
        }
        "http_status_code" => linker.func_wrap(HOST_ENV, name, |caller: Caller<'_, StoreState>| {
            i32::from(caller.data().http.status)
        }),
        "http_headers" => linker.func_wrap(HOST_ENV, name, http_headers),
        "get_log_level" => linker.func_wrap(HOST_ENV, name, |caller: Caller<'_, StoreState>| {
            caller
                .data()
                .host
                .log_level()
                .map_or(LOG_OFF, |level| level as i32)
        }),
        _ => {
            let level = match name {
                "log_trace" => LogLevel::Trace,
                "log_debug" => LogLevel::Debug,
                "log_info" => LogLevel::Info,
                "log_warn" => LogLevel::Warn,
                _ => LogLevel::Error,
            };
            linker.func_wrap(
                HOST_ENV,
                name,
                move |mut caller: Caller<'_, StoreState>, message: i64| -> wasmtime::Result<()> {
                    let [message] = caller.take([message])?;
                    Ok(caller.data_mut().log(level, &message)?)
                },
            )
        }
    }
    .map(|_| ())
}

/// Defines the host function of an effect: one offset in, one offset out.
pub(crate) fn define_effect(
    linker: &mut Linker<StoreState>,
    name: &str,
    effect: usize,
) -> wasmtime::Result<()> {
    linker
        .func_wrap_async(
            HOST_USER,
            name,
            move |mut caller: Caller<'_, StoreState>, (request,): (i64,)| {
                Box::new(async move {
                    caller
                        .data_mut()
                        .meter
                        .count_effect()
                        .map_err(HostCallError::from)?;
                    let request = caller.block(request)?;
                    let host = caller.data().host.clone();
                    if host.is_log(effect) {
                        caller
                            .data_mut()
                            .meter
                            .count_log(request.len() + LOG_LINE_OVERHEAD)
                            .map_err(HostCallError::from)?;
                    }
                    let answer = host.effect(effect, request).await;
                    Ok::<_, wasmtime::Error>(caller.put(&answer, 0)?)
                })
            },
        )
        .map(|_| ())
}

fn config_get(mut caller: Caller<'_, StoreState>, key: i64) -> wasmtime::Result<i64> {
    let [name] = caller.take([key])?;
    let name = text(name, "config_get")?;
    let value = caller.data().host.config(&name);
    Ok(caller.put(value.unwrap_or_default().as_bytes(), key)?)
}

fn var_get(mut caller: Caller<'_, StoreState>, key: i64) -> wasmtime::Result<i64> {
    let [name] = caller.take([key])?;
    let name = text(name, "var_get")?;
    let value = caller.data().vars.get(&name).cloned();
    Ok(caller.put(&value.unwrap_or_default(), key)?)
}

fn var_set(mut caller: Caller<'_, StoreState>, key: i64, value: i64) -> wasmtime::Result<()> {
    if caller.data().meter.limits.vars == 0 {
        return Err(HostCallError::Refused(
            "variables are turned off: `limits.vars` is 0".to_owned(),
        )
        .into());
    }
    let [name, content] = caller.take([key, value])?;
    let name = text(name, "var_set")?;
    let state = caller.data_mut();
    let before = state
        .vars
        .get(&name)
        .map_or(0, |value| variable_size(&name, value));
    let others = state.vars_size - before;
    // An offset of 0 deletes.
    if value == 0 {
        state.vars.remove(&name);
        state.vars_size = others;
        return Ok(());
    }
    let total = others + variable_size(&name, &content);
    state
        .meter
        .check(total, Limit::Vars)
        .map_err(HostCallError::from)?;
    state.vars.insert(name, content);
    state.vars_size = total;
    Ok(())
}

/// The bytes that a variable counts as.
fn variable_size(name: &str, value: &[u8]) -> u64 {
    (name.len() + value.len()) as u64 + VARIABLE_OVERHEAD
}

async fn http_request(
    mut caller: Caller<'_, StoreState>,
    request: i64,
    body: i64,
) -> wasmtime::Result<i64> {
    caller
        .data_mut()
        .meter
        .count_effect()
        .map_err(HostCallError::from)?;
    let [json, content] = caller.take([request, body])?;
    let mut http: HttpRequest = serde_json::from_slice(&json).map_err(|error| {
        HostCallError::Refused(format!("http_request: the request is not valid: {error}"))
    })?;
    http.body = content;
    http.max_response = caller.data().meter.limits.http_response;
    let host = caller.data().host.clone();
    caller.data_mut().http = LastHttpResponse::default();
    let response = host.http(http).await.map_err(|error| match error {
        HttpError::TooLarge => {
            HostCallError::Limit(caller.data().meter.limits.exceeded(Limit::HttpResponse))
        }
        HttpError::Failed(reason) => HostCallError::Refused(reason),
    })?;
    caller.data_mut().http = LastHttpResponse {
        status: response.status,
        headers: response.headers,
    };
    Ok(caller.put(&response.body, request)?)
}

fn http_headers(mut caller: Caller<'_, StoreState>) -> wasmtime::Result<i64> {
    if caller.data().http.status == 0 {
        return Ok(0);
    }
    let headers = serde_json::to_vec(&caller.data().http.headers)?;
    Ok(caller.put(&headers, 0)?)
}

fn text(bytes: Vec<u8>, function: &str) -> Result<String, HostCallError> {
    String::from_utf8(bytes).map_err(|error| {
        HostCallError::Refused(format!("{function}: the key is not UTF-8: {error}"))
    })
}
