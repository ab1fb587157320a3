use std::sync::Mutex;

use exomonad_schema::CallId;

use super::grants::Granted;
use super::*;

/// A layer that notes what reaches it, and answers with something of its own.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    fn note(&self, request: impl Into<String>) {
        self.0.lock().unwrap().push(request.into());
    }

    fn noted(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Layer for Arc<Recorder> {
    fn effect<'a>(
        &'a self,
        _: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        self.note(format!("{kind} {}", String::from_utf8_lossy(request)));
        Box::pin(std::future::ready(EncodedAnswer::new(&Ok(1))))
    }

    fn http<'a>(
        &'a self,
        _: &'a CallContext,
        request: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpResponse, HttpError>> {
        self.note(format!("http {}", request.url));
        Box::pin(std::future::ready(Ok(HttpResponse::default())))
    }

    fn log(&self, _: &CallContext, level: LogLevel, message: &str) {
        self.note(format!("log {level:?} {message}"));
    }

    fn log_level(&self, _: &CallContext) -> Option<LogLevel> {
        self.note("log level");
        Some(LogLevel::Warn)
    }

    fn config(&self, _: &CallContext, key: &str) -> Option<String> {
        self.note(format!("config {key}"));
        Some("value".to_owned())
    }

    fn now(&self, _: &CallContext) -> SystemTime {
        self.note("now");
        SystemTime::UNIX_EPOCH
    }

    fn monotonic(&self, _: &CallContext) -> Duration {
        self.note("monotonic");
        Duration::ZERO
    }

    fn sleep<'a>(&'a self, _: &'a CallContext, time: Duration) -> BoxFuture<'a, ()> {
        self.note(format!("sleep {time:?}"));
        Box::pin(std::future::ready(()))
    }

    fn random(&self, _: &CallContext, bytes: &mut [u8]) -> Result<(), String> {
        self.note(format!("random {}", bytes.len()));
        Ok(())
    }
}

fn call() -> CallContext {
    CallContext::new("tl".parse().unwrap(), CallId::from(7))
}

fn request() -> HttpRequest {
    serde_json::from_str(r#"{"url":"http://example.com/"}"#).unwrap()
}

/// The host of a call with all layers, over a recorder.
fn host(grants: Grants) -> (Arc<Recorder>, CallHost) {
    let recorder = Arc::new(Recorder::default());
    let telemetry = exomonad_config::TelemetryConfig::default();
    let metrics = Metrics::new(exomonad_telemetry::resource(&telemetry));
    let layers = observe::Observe::new(metrics, Granted::new(grants, recorder.clone()));
    (recorder, CallHost::new(call(), Arc::new(layers)))
}

#[tokio::test]
async fn everything_that_a_guest_can_observe_passes_the_layers() {
    let (recorder, host) = host(Grants::new(|_| true, String::new()));
    let index = EffectKind::ClockNow.index();
    assert_eq!(
        host.effect(index, b"{}".to_vec()).await,
        br#"{"kind":"Success","payload":1}"#
    );
    assert!(host.http(request()).await.is_ok());
    host.log(LogLevel::Info, "a line");
    assert_eq!(host.log_level(), Some(LogLevel::Warn));
    assert_eq!(host.config("key").as_deref(), Some("value"));
    assert_eq!(host.now(), SystemTime::UNIX_EPOCH);
    assert_eq!(host.monotonic(), Duration::ZERO);
    host.sleep(Duration::from_millis(7)).await;
    assert_eq!(host.random(&mut [0; 3]), Ok(()));
    assert_eq!(
        recorder.noted(),
        [
            "clock.now {}",
            "http http://example.com/",
            "log Info a line",
            "log level",
            "config key",
            "now",
            "monotonic",
            "sleep 7ms",
            "random 3",
        ]
    );
}

#[tokio::test]
async fn extisms_http_request_takes_the_grant_of_the_effect_and_says_how_to_get_it() {
    let hint = "write `{capability}` there".to_owned();
    let (recorder, host) = host(Grants::new(|capability| capability == "clock.now", hint));
    let refused = host.http(request()).await.unwrap_err().to_string();
    assert!(
        refused.contains("not granted `http.request`; write `http.request` there"),
        "{refused}"
    );
    let index = EffectKind::HttpRequest.index();
    let answer = String::from_utf8(host.effect(index, b"{}".to_vec()).await).unwrap();
    assert!(answer.contains("effect_denied"), "{answer}");
    assert_eq!(recorder.noted(), [""; 0]);
}

#[tokio::test]
async fn a_plugin_that_describes_itself_has_no_effects() {
    let (recorder, host) = host(Grants::of_description());
    let index = EffectKind::ClockNow.index();
    let answer = String::from_utf8(host.effect(index, b"{}".to_vec()).await).unwrap();
    assert!(answer.contains("has no effects"), "{answer}");
    assert_eq!(recorder.noted(), [""; 0]);
}

/// Asks for everything that a guest can observe; gives the answers.
async fn observe_all(host: &CallHost) -> Vec<String> {
    let mut bytes = [0; 3];
    let mut seen = Vec::new();
    for (kind, request) in [
        (EffectKind::ClockNow, "{}"),
        (EffectKind::GitStatus, "{}"),
        (EffectKind::Log, r#"{"level":"info","message":"a line"}"#),
    ] {
        let answer = host.effect(kind.index(), request.into()).await;
        seen.push(String::from_utf8(answer).unwrap());
    }
    seen.push(format!("{:?}", host.http(request()).await));
    host.log(LogLevel::Info, "a line");
    seen.push(format!("{:?} {:?}", host.log_level(), host.config("key")));
    seen.push(format!("{:?} {:?}", host.now(), host.monotonic()));
    host.sleep(Duration::from_millis(7)).await;
    seen.push(format!("{:?} {bytes:?}", host.random(&mut bytes)));
    seen
}

#[tokio::test]
async fn what_a_guest_observes_is_recorded_and_a_replay_gives_it_again() {
    let recorder = Arc::new(Recorder::default());
    let granted = Grants::new(|capability| capability != "git.status", String::new());
    let layers: Arc<dyn Layer> = Arc::new(Granted::new(granted, recorder.clone()));
    let budget = exomonad_journal::recording::Budget::new(1 << 20);
    let recording = Arc::new(exomonad_journal::Recording::new(1 << 20, budget));
    let layers = Arc::new(RecordLayer::new(recording.clone(), layers));
    let seen = observe_all(&CallHost::new(call(), layers)).await;
    assert!(
        seen[1].contains("effect_denied"),
        "a refusal is an answer: {}",
        seen[1]
    );
    let performed = recorder.noted().len();

    let ended = recording.end();
    assert_eq!((ended.effects, ended.is_cut), (4, false));
    let summary = serde_json::from_value(serde_json::json!({
        "id": "7", "role": "tl", "kind": "tool", "name": "x", "at": "", "micros": 1, "plugin": "",
        "configuration": "", "outcome": "ok", "effects": 4, "complete": true
    }));
    let record = exomonad_journal::CallRecord {
        call: summary.unwrap(),
        input: exomonad_journal::Payload::default(),
        input_bytes: 0,
        events: exomonad_journal::codec::read_events(&ended.events).unwrap(),
        output: None,
        error: None,
    };
    let answers = Arc::new(exomonad_journal::Answers::of(&record));
    let replayed = Arc::new(Replayed::new(answers.clone(), Arc::default()));
    let again = observe_all(&CallHost::new(call(), replayed)).await;
    assert_eq!(again, seen);
    answers.end();
    assert_eq!((answers.difference(), answers.notes()), (None, Vec::new()));
    assert_eq!(recorder.noted().len(), performed, "nothing was performed");
}
