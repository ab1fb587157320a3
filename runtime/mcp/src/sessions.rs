//! Sessions of the sessionful era: what the host knows of a client between two requests.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use exomonad_config::McpConfig;
use exomonad_schema::RoleName;
use tokio::sync::{oneshot, watch};

use crate::message::Id;
use crate::revision::Revision;

/// Events that are kept for a client that comes back.
const EVENTS: usize = 64;
/// When there are too many sessions, one in so many of the idle ones ends, so that not every new session has
/// to look for one.
const EVICTED: usize = 64;

/// All sessions.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<Box<str>, Arc<Session>>>);

/// One session.
pub struct Session {
    /// Its id.
    pub id: Box<str>,
    /// The role that it is with.
    pub role: RoleName,
    /// The revision that was negotiated.
    pub revision: Revision,
    /// The client's name.
    pub client: Option<String>,
    used: Mutex<Instant>,
    /// Requests that run, with what cancels them.
    running: Mutex<HashMap<Id, oneshot::Sender<()>>>,
    /// Streams that are open.
    streams: AtomicUsize,
    events: watch::Sender<Events>,
}

/// The tools as a client knows them: the JSON that the plugin has listed, or that there were none since no
/// version served. While none has served yet, it knows nothing.
#[derive(Default)]
pub struct KnownTools(Option<Option<Bytes>>);

impl KnownTools {
    /// Takes up the tools as they are now, and tells if they differ from what the client knows.
    pub fn update(&mut self, tools: Option<Bytes>) -> bool {
        match &self.0 {
            None => {
                self.0 = tools.map(Some);
                false
            }
            Some(known) => {
                let differ = *known != tools;
                self.0 = Some(tools);
                differ
            }
        }
    }
}

/// The events of a session's stream.
#[derive(Default)]
pub struct Events {
    /// The id of the last one.
    last: u64,
    /// The newest ones, each with its id.
    kept: VecDeque<(u64, Bytes)>,
    /// The stream that gets them: the newest that was opened.
    pub stream: u64,
    tools: KnownTools,
    /// True when the session has ended.
    pub has_ended: bool,
}

impl Events {
    /// The first event after this id.
    pub fn after(&self, id: u64) -> Option<&(u64, Bytes)> {
        self.kept.iter().find(|(kept, _)| *kept > id)
    }

    /// The id of the last event.
    pub fn last(&self) -> u64 {
        self.last
    }

    fn add(&mut self, data: Bytes) {
        self.last += 1;
        if self.kept.len() == EVENTS {
            self.kept.pop_front();
        }
        self.kept.push_back((self.last, data));
    }
}

/// A request that runs. While this is there the client can cancel it.
pub struct Running<'a> {
    session: &'a Session,
    id: Id,
    /// Ready when the client has cancelled it.
    pub cancelled: oneshot::Receiver<()>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(&self.session.running).remove(&self.id);
    }
}

/// An open stream.
pub struct OpenStream(pub Arc<Session>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        *lock(&self.0.used) = Instant::now();
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Session {
    /// Notes that a request runs; `None` if one of this id does already.
    pub fn run(&self, id: &Id) -> Option<Running<'_>> {
        let (cancel, cancelled) = oneshot::channel();
        let mut running = lock(&self.running);
        if running.contains_key(id) {
            return None;
        }
        running.insert(id.clone(), cancel);
        Some(Running {
            session: self,
            id: id.clone(),
            cancelled,
        })
    }

    /// Cancels a request, if it runs.
    pub fn cancel(&self, id: &Id) {
        if let Some(cancel) = lock(&self.running).remove(id) {
            // It may have ended just now.
            let _ = cancel.send(());
        }
    }

    /// Opens a stream, which takes the place of the one before: a client that comes back may do so before
    /// the host knows that it was gone. Gives its number, and what it has to say.
    pub fn open(self: &Arc<Self>) -> (OpenStream, u64, watch::Receiver<Events>) {
        self.streams.fetch_add(1, Ordering::Relaxed);
        let mut number = 0;
        self.events.send_modify(|events| {
            events.stream += 1;
            number = events.stream;
        });
        (OpenStream(self.clone()), number, self.events.subscribe())
    }

    /// The tools as the client knows them from now on. If they differ from those it knew, and it is to be
    /// told, the event is added.
    pub fn knows_tools(&self, tools: Option<Bytes>, event: Option<&'static str>) {
        self.events.send_if_modified(|events| {
            if let (true, Some(event)) = (events.tools.update(tools), event) {
                events.add(Bytes::from_static(event.as_bytes()));
                return true;
            }
            false
        });
    }

    fn end(&self) {
        self.events.send_modify(|events| events.has_ended = true);
        // Dropping what cancels them cancels them.
        lock(&self.running).clear();
    }

    fn is_idle(&self) -> bool {
        self.streams.load(Ordering::Relaxed) == 0 && lock(&self.running).is_empty()
    }
}

impl Sessions {
    /// Begins a session; `None` if there are as many as there may be, and none is idle.
    pub fn begin(
        &self,
        role: RoleName,
        revision: Revision,
        client: Option<String>,
        config: &McpConfig,
    ) -> Option<Arc<Session>> {
        let session = Arc::new(Session {
            id: random_id()?,
            role,
            revision,
            client,
            used: Mutex::new(Instant::now()),
            running: Mutex::default(),
            streams: AtomicUsize::new(0),
            events: watch::Sender::new(Events::default()),
        });
        let mut all = lock(&self.0);
        let most = config.max_sessions as usize;
        if all.len() >= most {
            evict(&mut all, config, most);
        }
        if all.len() >= most {
            return None;
        }
        all.insert(session.id.clone(), session.clone());
        Some(session)
    }

    /// The session of this id with this role, which is not idle any more.
    pub fn find(&self, id: &str, role: &RoleName, config: &McpConfig) -> Option<Arc<Session>> {
        let mut all = lock(&self.0);
        let session = all.get(id).filter(|session| session.role == *role)?.clone();
        let now = Instant::now();
        let mut used = lock(&session.used);
        if now.duration_since(*used) > config.session_ttl.get() && session.is_idle() {
            all.remove(id);
            return None;
        }
        *used = now;
        drop(used);
        Some(session)
    }

    /// Ends a session.
    pub fn end(&self, session: &Session) {
        lock(&self.0).remove(&session.id);
        session.end();
    }

    /// The number of sessions.
    pub fn count(&self) -> usize {
        lock(&self.0).len()
    }
}

/// Ends the sessions whose time is over, and if that makes no room those that have been idle for longest.
fn evict(all: &mut HashMap<Box<str>, Arc<Session>>, config: &McpConfig, most: usize) {
    let now = Instant::now();
    let used = |session: &Session| *lock(&session.used);
    let over = |session: &Session| now.duration_since(used(session)) > config.session_ttl.get();
    all.retain(|_, session| !session.is_idle() || !over(session));
    if all.len() < most {
        return;
    }
    let idle = all.values().filter(|session| session.is_idle());
    let mut idle: Vec<(Instant, Box<str>)> = idle
        .map(|session| (used(session), session.id.clone()))
        .collect();
    let count = (most / EVICTED).max(1) + (all.len() - most);
    if count < idle.len() {
        idle.select_nth_unstable(count);
        idle.truncate(count);
    }
    for (_, id) in idle {
        all.remove(&id);
    }
}

/// 128 bits that nobody can guess, in visible ASCII.
fn random_id() -> Option<Box<str>> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    let mut id = String::with_capacity(32);
    for byte in bytes {
        let _ = write!(id, "{byte:02x}");
    }
    Some(id.into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use exomonad_config::TimeSpan;

    use super::*;

    fn config(max_sessions: u32) -> McpConfig {
        McpConfig {
            max_sessions,
            ..McpConfig::default()
        }
    }

    fn begin(sessions: &Sessions, config: &McpConfig) -> Option<Arc<Session>> {
        sessions.begin(
            "tl".parse().unwrap(),
            Revision::negotiated(""),
            None,
            config,
        )
    }

    #[test]
    fn the_session_that_is_idle_for_longest_makes_room() {
        let (sessions, config) = (Sessions::default(), config(3));
        let role = "tl".parse().unwrap();
        let all: Vec<_> = (0..3).map(|_| begin(&sessions, &config).unwrap()).collect();
        let (_stream, ..) = all[0].open();
        assert!(sessions.find(&all[1].id, &role, &config).is_some());
        assert!(begin(&sessions, &config).is_some());
        let there = |nth: usize| sessions.find(&all[nth].id, &role, &config).is_some();
        assert_eq!((there(0), there(1), there(2)), (true, true, false));
    }

    #[test]
    fn without_an_idle_session_there_is_no_room() {
        let (sessions, config) = (Sessions::default(), config(1));
        let session = begin(&sessions, &config).unwrap();
        let running = session.run(&Id::null()).unwrap();
        assert!(session.run(&Id::null()).is_none(), "an id that is in use");
        assert!(begin(&sessions, &config).is_none());
        drop(running);
        assert!(begin(&sessions, &config).is_some());
        assert_eq!(sessions.count(), 1);
    }

    #[test]
    fn a_session_ends_with_its_time_and_is_of_one_role() {
        let (sessions, mut config) = (Sessions::default(), config(9));
        let session = begin(&sessions, &config).unwrap();
        let (own, other) = ("tl".parse().unwrap(), "dev".parse().unwrap());
        assert!(sessions.find(&session.id, &other, &config).is_none());
        assert!(sessions.find(&session.id, &own, &config).is_some());
        config.session_ttl = TimeSpan::secs(0);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(sessions.find(&session.id, &own, &config).is_none());
        assert_eq!(sessions.count(), 0);
    }

    #[test]
    fn a_plugin_that_loads_is_no_change_and_one_that_goes_is() {
        let mut known = KnownTools::default();
        let tools = |json: &'static str| Some(Bytes::from_static(json.as_bytes()));
        assert!(!known.update(None));
        assert!(!known.update(tools("a")));
        assert!(!known.update(tools("a")));
        assert!(known.update(None));
        assert!(!known.update(None));
        assert!(known.update(tools("a")));
        assert!(known.update(tools("b")));
    }

    #[test]
    fn events_are_kept_up_to_a_bound_and_ids_go_on() {
        let session = begin(&Sessions::default(), &config(1)).unwrap();
        session.knows_tools(Some(Bytes::new()), None);
        for nth in 0..100 {
            let tools = Bytes::from(nth.to_string());
            session.knows_tools(Some(tools.clone()), Some("changed"));
            session.knows_tools(Some(tools), Some("not told twice"));
        }
        let events = session.events.borrow();
        assert_eq!((events.last(), events.kept.len()), (100, EVENTS));
        assert_eq!(events.after(0).map(|(id, _)| *id), Some(37));
        assert_eq!(events.after(99).map(|(id, _)| *id), Some(100));
        assert!(events.after(100).is_none());
    }
}
