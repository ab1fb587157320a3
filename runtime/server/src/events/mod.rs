//! `GET /events`: what happens in the host, as server-sent events.
//!
//! The latest events are kept once, in [`ring`]; a stream is a place in it. Each has one number, which is its `id`:
//! a client that was disconnected goes on by `Last-Event-ID`, and is told if it comes too late.

pub mod event;
pub mod ring;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use exomonad_access::Credentials;
use exomonad_core::values::Area;
use exomonad_host::workflows::live::{Following, RunFilter, RunObserver};
use exomonad_host::workflows::view::{RunEvent, StepEvent};
use exomonad_host::{HostError, Runtime};
use futures_util::stream;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::sleep;

use self::event::{LiveEvent, MissedEvents, MissedReason};
use self::ring::{After, EventRing, KeptEvent};
use super::App;
use super::error::RequestError;
use super::identity::Identity;
use super::routes::QueryParameter;
use super::visible_roles::VisibleRoles;

/// The media type.
pub const MEDIA_TYPE: &str = "text/event-stream";

/// The silence after which a stream shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// The parameters.
pub const QUERY: &[QueryParameter] = &[
    QueryParameter {
        name: "role",
        description: "Events of this role.",
        schema: || json!({"type": "string"}),
    },
    QueryParameter {
        name: "workflow",
        description: "Events of runs of the workflow of this name.",
        schema: || json!({"type": "string"}),
    },
    QueryParameter {
        name: "run",
        description: "Events of runs with this workflow id, or of the run with this run id.",
        schema: || json!({"type": "string"}),
    },
    QueryParameter {
        name: "steps",
        description: "True for each begin and answer of a step of these runs as well. Steps are noted while somebody asks for them, and for a minute after.",
        schema: || json!({"type": "boolean", "default": false}),
    },
    QueryParameter {
        name: "after",
        description: "Events after the one with this id, as by the header `Last-Event-ID`, which comes first. Without either the stream begins now.",
        schema: || json!({"type": "integer", "minimum": 0}),
    },
];

/// Runs put their changes into the ring themselves, so that those of one run are in their order.
impl RunObserver for EventRing {
    fn run_changed(&self, event: &RunEvent) {
        self.push(&LiveEvent::Run(event.clone()));
    }

    fn step_changed(&self, event: StepEvent) {
        self.push(&LiveEvent::Step(event));
    }
}

/// Puts the events of plugins into the ring, as long as something of this runtime runs.
pub fn collect_plugins(ring: &Arc<EventRing>, runtime: &Runtime) {
    let mut events = runtime.plugin_events();
    let ring = ring.clone();
    tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(event) => ring.push(&LiveEvent::Plugin((&*event).into())),
                Err(RecvError::Lagged(_)) => ring.lost(),
                Err(RecvError::Closed) => return,
            }
        }
    });
}

/// Which events a client wants.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    filter: RunFilter,
    steps: bool,
    after: Option<u64>,
}

impl Wanted {
    fn read(query: &str, headers: &HeaderMap) -> Result<Self, String> {
        let mut wanted = Self::default();
        let number = |name: &str, value: &str| {
            let number = value.parse();
            number.map_err(|_| format!("{name} is not the id of an event"))
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "role" => wanted.filter.role = Some(value.into_owned()),
                "workflow" => wanted.filter.workflow = Some(value.into_owned()),
                "run" => wanted.filter.run = Some(value.into_owned()),
                "steps" => {
                    let steps = value.parse();
                    wanted.steps = steps
                        .map_err(|_| "the parameter `steps` is not true or false".to_owned())?;
                }
                "after" => wanted.after = Some(number("the parameter `after`", &value)?),
                _ => return Err(format!("there is no parameter `{name}`")),
            }
        }
        if let Some(id) = headers.get("last-event-id") {
            let id = id.to_str().unwrap_or_default();
            wanted.after = Some(number("the header `Last-Event-ID`", id)?);
        }
        Ok(wanted)
    }

    fn wants(&self, event: &KeptEvent) -> bool {
        let Some(role) = &event.role else {
            return true;
        };
        let filter = &self.filter;
        match &event.run {
            Some(run) => {
                filter.matches(role.as_str(), &run.workflow, &run.workflow_id, &run.run_id)
            }
            None => {
                let of_role = |wanted: &String| wanted == role.as_str();
                let names_no_run = filter.workflow.is_none() && filter.run.is_none();
                names_no_run && filter.role.as_ref().is_none_or(of_role)
            }
        }
    }
}

/// A client's place among the events.
struct EventStream {
    app: App,
    /// Those that tell what the client may see: it can change while the stream is open.
    credentials: Credentials,
    wanted: Wanted,
    last: u64,
    /// The place among the steps, if the client wants them: later than `last` if it has missed some.
    last_step: Option<u64>,
    _following: Option<Following>,
    newest: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl EventStream {
    /// The next event for the client; `None` when the host stops.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.newest.mark_unchanged();
            match self.app.events.after(self.last, self.last_step) {
                After::Missed(last, reason) => {
                    self.last = last;
                    self.last_step = self.last_step.map(|_| last);
                    let missed = LiveEvent::Missed(MissedEvents { reason });
                    return Some(missed.frame(last));
                }
                After::MissedSteps(last) => {
                    self.last_step = Some(last);
                    let reason = MissedReason::TooLate;
                    let missed = LiveEvent::Missed(MissedEvents { reason });
                    return Some(missed.frame(self.last));
                }
                After::Event(event) => {
                    self.last = event.id;
                    if self.wanted.wants(&event) && self.may_see(&event) {
                        return Some(event.frame.clone());
                    }
                    // Among many events for others.
                    tokio::task::consume_budget().await;
                    continue;
                }
                After::Nothing => {}
            }
            let is_stopping = |stopping: &bool| *stopping;
            tokio::select! {
                changed = self.newest.changed() => changed.ok()?,
                _ = self.stopping.wait_for(is_stopping) => return None,
                () = sleep(KEEP_ALIVE) => return Some(COMMENT),
            }
        }
    }

    fn may_see(&self, event: &KeptEvent) -> bool {
        let Some(role) = &event.role else {
            return true;
        };
        VisibleRoles::of(self.app.serving(), &self.credentials, Area::Workflows)
            .check(role)
            .is_ok()
    }
}

/// A stream of events.
pub async fn stream(
    State(app): State<App>,
    uri: Uri,
    identity: Identity,
    headers: HeaderMap,
) -> Result<Response, RequestError> {
    let wanted = Wanted::read(uri.query().unwrap_or_default(), &headers);
    let visible = VisibleRoles::of(app.serving(), &identity.credentials, Area::Workflows);
    visible.check_any()?;
    let wanted = wanted.map_err(HostError::InvalidRequest)?;
    visible.check_named(wanted.filter.role.as_deref())?;
    if app.is_draining() {
        return Err(RequestError::Draining);
    }
    let place = app.events.place().ok_or(RequestError::TooManyStreams)?;
    let feed = app.serving().runtime.workflows.step_feed.clone();
    let following = wanted.steps.then(|| feed.follow(wanted.filter.clone()));
    let last = wanted.after.unwrap_or_else(|| app.events.newest());
    let stream = EventStream {
        newest: app.events.watch(),
        stopping: app.events.stopping(),
        last,
        last_step: wanted.steps.then_some(last),
        _following: following,
        credentials: identity.credentials,
        wanted,
        app,
        _place: place,
    };
    let events = stream::unfold(stream, async |mut stream| {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(event), stream))
    });
    let mut response = Body::from_stream(events).into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, MEDIA_TYPE),
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::ring::RunIds;
    use super::*;

    fn kept(role: &str, run: Option<(&str, &str, &str)>) -> KeptEvent {
        KeptEvent {
            id: 1,
            role: Some(role.parse().unwrap()),
            run: run.map(|(workflow, workflow_id, run_id)| RunIds {
                workflow: workflow.to_owned(),
                workflow_id: workflow_id.to_owned(),
                run_id: run_id.to_owned(),
            }),
            frame: Bytes::new(),
        }
    }

    fn wanted(query: &str) -> Wanted {
        Wanted::read(query, &HeaderMap::new()).unwrap()
    }

    #[test]
    fn a_filter_takes_the_events_of_its_role_workflow_and_run() {
        let of_run = kept("tl", Some(("ship", "pr-7", "c0ffee")));
        let of_plugin = kept("tl", None);
        for (query, takes_run, takes_plugin) in [
            ("", true, true),
            ("role=tl", true, true),
            ("role=dev", false, false),
            ("workflow=ship", true, false),
            ("workflow=nightly", false, false),
            ("run=pr-7", true, false),
            ("role=tl&workflow=ship&run=c0ffee", true, false),
            ("run=pr-8", false, false),
        ] {
            let wanted = wanted(query);
            assert_eq!(wanted.wants(&of_run), takes_run, "{query}");
            assert_eq!(wanted.wants(&of_plugin), takes_plugin, "{query}");
        }
    }

    #[test]
    fn the_header_of_a_client_that_comes_back_comes_before_the_address_that_it_repeats() {
        let mut headers = HeaderMap::new();
        assert_eq!(wanted("after=4").after, Some(4));
        headers.insert("last-event-id", HeaderValue::from_static("9"));
        assert_eq!(Wanted::read("after=4", &headers).unwrap().after, Some(9));
        headers.insert("last-event-id", HeaderValue::from_static("x"));
        let wrong = Wanted::read("", &headers).unwrap_err();
        assert!(wrong.contains("`Last-Event-ID`"), "{wrong}");
        for wrong in ["after=-1", "since=4", "steps=some"] {
            assert!(Wanted::read(wrong, &HeaderMap::new()).is_err(), "{wrong}");
        }
    }
}
