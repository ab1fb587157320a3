//! Values of every type, decoded and encoded by the guest.

use std::sync::Arc;

use exomonad_schema::generate::model::{Field, Presence, Shape, Type};
use serde_json::{Value, json};

use super::cases::Cases;
use super::{Guest, Report};

/// Values of each type.
const VALUES: usize = 24;
const MISSING: &str = "missing";

/// Sends values of every type through the guest, and then values that are wrong.
pub async fn run(guest: &Guest, cases: &Cases, report: &mut Report) {
    for ty in cases.by_type.keys() {
        let values = cases.values(ty, VALUES);
        round_trip(guest, cases, ty, &values, report).await;
        wrong(guest, cases, ty, report).await;
    }
    let nested = |depth: usize| {
        let mut value = json!(1);
        for level in 0..depth {
            value = if level % 2 == 0 {
                json!([value])
            } else {
                json!({ "in": value })
            };
        }
        json!({"state": value})
    };
    let extremes: Vec<Value> = vec![
        nested(60),
        json!({"state": [i64::MIN, i64::MAX, u64::MAX, 0, -1, 9_007_199_254_740_993_u64]}),
        json!({"state": [1.5, -2.25e-7, 1e300, 0.1, 123_456.789]}),
        json!({"state": {"": "", " ": null, "a\u{0}b": [[], {}, "", false]}}),
    ];
    round_trip(guest, cases, "WorkflowMigrateResult", &extremes, report).await;
}

async fn round_trip(guest: &Guest, cases: &Cases, ty: &str, values: &[Value], report: &mut Report) {
    let arguments = json!({"kind": ty, "values": values});
    let again = guest.tool(&Arc::default(), "round_trip", arguments).await;
    let again = match again {
        Ok(again) => again["values"].as_array().cloned().unwrap_or_default(),
        Err(error) => {
            report.count(ty, Err(error.to_string()));
            return;
        }
    };
    if again.len() != values.len() {
        report.count(
            ty,
            Err(format!("{} values of {}", again.len(), values.len())),
        );
        return;
    }
    for (sent, received) in values.iter().zip(&again) {
        report.count(ty, cases.same(ty, sent, received));
    }
}

/// A required field that is missing, one of another type, an integer that does not fit; and what has to be
/// taken: a field of a newer contract, `null` for what may be absent.
async fn wrong(guest: &Guest, cases: &Cases, ty: &str, report: &mut Report) {
    let shape = cases.contract.type_named(ty).map(|ty| &ty.shape);
    let (Some(Shape::Record(record)), Some(value)) = (shape, cases.values(ty, 1).pop()) else {
        return;
    };
    for field in &record.fields {
        if field.presence == Presence::Required && !matches!(field.ty, Type::Json) {
            let mut without = value.clone();
            without
                .as_object_mut()
                .map(|fields| fields.remove(&field.name));
            refused(guest, ty, field, MISSING, without, report).await;
        }
        if let Some(other) = of_another_type(&field.ty) {
            let mut changed = value.clone();
            changed[&field.name] = other;
            refused(guest, ty, field, "of another type", changed, report).await;
        }
        if let Type::Integer { signed, bits } = field.ty {
            let mut changed = value.clone();
            changed[&field.name] = match (signed, bits) {
                (true, 64) => json!(i64::MAX as u64 + 1),
                (true, bits) => json!(1_i64 << (bits - 1)),
                (false, _) => json!(-1),
            };
            refused(guest, ty, field, "out of range", changed, report).await;
        }
        if field.presence == Presence::Optional {
            let mut absent = value.clone();
            absent[&field.name] = Value::Null;
            let taken = cases
                .by_type
                .get(ty)
                .is_some_and(|case| (case.again)(&absent).is_ok());
            if taken {
                round_trip(guest, cases, ty, &[absent], report).await;
            }
        }
    }
    if !record.closed {
        let mut newer = value.clone();
        newer["ofANewerContract"] = json!({"any": ["thing", 1]});
        round_trip(guest, cases, ty, &[newer], report).await;
    }
}

fn of_another_type(ty: &Type) -> Option<Value> {
    match ty {
        Type::Bool | Type::Integer { .. } | Type::List(_) => Some(json!("text")),
        Type::Text | Type::Bytes | Type::Map(_) => Some(json!(17)),
        Type::Named(_) => Some(json!(17)),
        Type::Json => None,
    }
}

async fn refused(
    guest: &Guest,
    ty: &str,
    field: &Field,
    what: &str,
    value: Value,
    report: &mut Report,
) {
    use super::calls::ToolFailure;

    let case = format!("{ty}.{} {what}", field.name);
    let arguments = json!({"kind": ty, "values": [value]});
    let outcome = match guest.tool(&Arc::default(), "round_trip", arguments).await {
        Err(ToolFailure::Tool(text)) if what == MISSING && !text.contains(&field.name) => {
            Err(format!("the failure does not name it: {text}"))
        }
        Err(ToolFailure::Tool(_)) => Ok(()),
        Err(ToolFailure::Call(text)) => Err(format!("the call failed: {text}")),
        Ok(values) => Err(format!("it was taken, as {values}")),
    };
    report.count(&case, outcome);
}
