use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::test_call::call;

/// The lines that a `tracing` subscriber has written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Collects what is logged on this thread for as long as the guard lives.
fn collect() -> (Written, tracing::subscriber::DefaultGuard) {
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(written.clone())
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .finish();
    (written, tracing::subscriber::set_default(subscriber))
}

fn line(level: LogLevel, message: &str) -> Line {
    Line {
        level,
        message: message.to_owned(),
        fields: BTreeMap::new(),
    }
}

fn service() -> Log {
    Log::new(&LogConfig::default()).unwrap()
}

#[tokio::test]
async fn a_line_carries_its_level_role_call_and_fields() {
    let (written, _guard) = collect();
    let mut request = line(LogLevel::Warn, "queue is long");
    request.fields.insert(
        "size\n".into(),
        RawJson::from_text("[1,\n 2]".into()).unwrap(),
    );
    service().write(&call("tl"), request).await.unwrap();
    let lines = written.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        "WARN",
        "exomonad::guest",
        "role=tl",
        "call_id=00000000000000000000000000000007",
        r#"fields={"size\n":[1,  2]}"#,
        "queue is long",
    ] {
        assert!(lines[0].contains(part), "{part} in {lines:?}");
    }
}

#[tokio::test]
async fn each_level_of_the_contract_is_one_of_tracing() {
    let (written, _guard) = collect();
    for (level, name) in [
        (LogLevel::Trace, "TRACE"),
        (LogLevel::Debug, "DEBUG"),
        (LogLevel::Info, "INFO"),
        (LogLevel::Warn, "WARN"),
        (LogLevel::Error, "ERROR"),
    ] {
        service()
            .write(&call("tl"), line(level, "x"))
            .await
            .unwrap();
        let lines = written.lines();
        assert!(lines.last().unwrap().contains(name), "{lines:?}");
    }
}

#[tokio::test]
async fn a_guest_cannot_forge_a_line() {
    let (written, _guard) = collect();
    let forged = "done\n2026-01-01T00:00:00Z ERROR exomonad: the disk is on fire\x1b[31m";
    service()
        .write(&call("tl"), line(LogLevel::Info, forged))
        .await
        .unwrap();
    let event = EmitEvent {
        name: "a\nb".try_into().unwrap(),
        payload: RawJson::from_text("{\n\"c\": 1}".into()).unwrap(),
    };
    service().emit_event(&call("tl"), event).await.unwrap();
    let lines = written.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains('\x1b')), "{lines:?}");
}

#[tokio::test]
async fn an_event_reaches_every_subscriber_unchanged() {
    let log = service();
    let (mut one, mut other) = (log.subscribe(), log.subscribe());
    let event = EmitEvent {
        name: "review.requested".try_into().unwrap(),
        payload: RawJson::from_text("{ \"pr\": 1e400 }".into()).unwrap(),
    };
    log.emit_event(&call("tl"), event).await.unwrap();
    let received = one.recv().await.unwrap();
    assert_eq!(received.name, "review.requested");
    assert_eq!(received.role.as_str(), "tl");
    assert_eq!(received.payload.get(), "{ \"pr\": 1e400 }");
    assert_eq!(other.recv().await.unwrap(), received);
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_loses_events_and_blocks_nobody() {
    let log = Log::new(&LogConfig {
        event_backlog: 2,
        ..LogConfig::default()
    })
    .unwrap();
    let mut slow = log.subscribe();
    for number in 0..10 {
        let event = EmitEvent {
            name: format!("event.{number}").try_into().unwrap(),
            payload: RawJson::default(),
        };
        log.emit_event(&call("tl"), event).await.unwrap();
    }
    assert_eq!(
        slow.recv().await.unwrap_err(),
        broadcast::error::RecvError::Lagged(8)
    );
    assert_eq!(slow.recv().await.unwrap().name, "event.8");
}

#[tokio::test]
async fn an_event_that_is_too_large_is_refused_with_the_limit() {
    let log = service();
    let mut subscriber = log.subscribe();
    let event = EmitEvent {
        name: "big".try_into().unwrap(),
        payload: RawJson::new(&"x".repeat(70_000)).unwrap(),
    };
    let error = log.emit_event(&call("tl"), event).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
    assert!(error.message.contains("70002 bytes"), "{error}");
    assert!(error.message.contains("65536"), "{error}");
    assert!(subscriber.try_recv().is_err());
}

#[test]
fn a_backlog_of_zero_is_refused() {
    let error = Log::new(&LogConfig {
        event_backlog: 0,
        ..LogConfig::default()
    })
    .unwrap_err();
    assert!(
        error.to_string().contains("`event_backlog` is 0"),
        "{error}"
    );
}
