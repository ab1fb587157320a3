//! Every effect: the request as the host gets it, the answer as the guest reads it, every error.

use std::sync::Arc;

use exomonad_schema::ErrorCode;
use exomonad_schema::generate::model::Effect;
use serde_json::{Value, json};

use super::cases::Cases;
use super::host::ContractHost;
use super::{Guest, Report};

/// Requests with their answers, for each effect.
const CALLS: usize = 3;

/// Performs every effect.
pub async fn run(guest: &Guest, cases: &Cases, report: &mut Report) {
    let codes = ErrorCode::ALL.iter().cycle();
    let mut codes = codes.copied();
    for effect in cases.contract.effects() {
        let requests = cases.values(&effect.request, CALLS);
        let answers = cases.values(&effect.answer, CALLS);
        for (request, answer) in requests.iter().zip(&answers) {
            let outcome = succeed(guest, cases, effect, request, answer).await;
            report.count(&effect.function, outcome);
        }
        if let (Some(request), Some(code)) = (requests.first(), codes.next()) {
            report.count(&effect.function, fail(guest, effect, request, code).await);
        }
    }
    // Every code once, whatever the number of effects; and answers that break the contract.
    let Some(effect) = cases
        .contract
        .effects()
        .find(|one| one.function == "kv_get")
    else {
        return;
    };
    for code in ErrorCode::ALL {
        let request = json!({"key": "k"});
        report.count("an error code", fail(guest, effect, &request, *code).await);
    }
    for answer in [
        "",
        "{",
        "[]",
        r#"{"kind":"Other","payload":{}}"#,
        r#"{"kind":"Success"}"#,
        r#"{"kind":"Error","payload":{"code":"not_in_this_version","message":"m"}}"#,
        "\u{ff}\u{fe}",
    ] {
        let host = Arc::new(ContractHost::answering([answer.as_bytes().to_vec()]));
        let arguments = json!({"function": "kv_get", "request": {"key": "k"}});
        // Whatever the guest makes of it, the call ends and is no success.
        let outcome = match guest.tool(&host, "perform", arguments).await {
            Ok(result) if result.get("answer").is_some() => {
                Err(format!("{answer:?} was taken as {result}"))
            }
            _ => Ok(()),
        };
        report.count("a broken answer", outcome);
    }
}

async fn perform(
    guest: &Guest,
    effect: &Effect,
    request: &Value,
    answer: &Value,
) -> Result<(Value, Value), String> {
    let host = Arc::new(ContractHost::answering([answer.to_string().into_bytes()]));
    let arguments = json!({"function": effect.function, "request": request});
    let result = guest.tool(&host, "perform", arguments).await;
    let result = result.map_err(|error| format!("{error}, with the request {request}"))?;
    match host.requests().as_slice() {
        [(function, sent)] if *function == effect.function => {
            let sent = serde_json::from_slice(sent)
                .map_err(|error| format!("the request is no JSON: {error}"))?;
            Ok((sent, result))
        }
        other => Err(format!("the host got {other:?}")),
    }
}

async fn succeed(
    guest: &Guest,
    cases: &Cases,
    effect: &Effect,
    request: &Value,
    answer: &Value,
) -> Result<(), String> {
    let success = json!({"kind": "Success", "payload": answer});
    let (sent, result) = perform(guest, effect, request, &success).await?;
    cases.same(&effect.request, request, &sent)?;
    match result.get("answer") {
        Some(read) => cases.same(&effect.answer, answer, read),
        None => Err(format!("{answer} became {result}")),
    }
}

async fn fail(
    guest: &Guest,
    effect: &Effect,
    request: &Value,
    code: ErrorCode,
) -> Result<(), String> {
    let error = json!({
        "code": code,
        "message": "no such \"thing\"\n日本語",
        "details": {"limit": 17, "most": u64::MAX},
    });
    let failure = json!({"kind": "Error", "payload": error});
    let (_, result) = perform(guest, effect, request, &failure).await?;
    match &result["error"] {
        read if *read == error => Ok(()),
        _ => Err(format!("{error} became {result}")),
    }
}
