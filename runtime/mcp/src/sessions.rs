//! Sessions of the sessionful era: what the host knows of a client between two requests.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use exomonad_config::McpConfig;
use exomonad_core::mcp::RoleChanges;
use exomonad_schema::effects::mcp::McpLogLevel;
use exomonad_schema::{RawJson, RoleName};
use serde_json::json;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::answer_log::AnswerLog;
use crate::capabilities::Capabilities;
use crate::lists::{KnownList, List, Listed};
use crate::message::Id;
use crate::revision::Revision;

/// Events that are kept for a client that comes back.
const EVENTS: usize = 64;
/// Resources that one session may be subscribed to.
const SUBSCRIPTIONS: usize = 1000;
/// Requests that a client may owe answers to.
const ASKED: usize = 256;
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
    /// The caller that began it, as its token proves; empty where no token is asked for.
    principal: Box<str>,
    /// The revision that was negotiated.
    pub revision: Revision,
    /// The client's name.
    pub client: Option<String>,
    /// The capabilities that the client has declared.
    pub capabilities: Capabilities,
    /// The least level of the lines that the client wants.
    log_level: Mutex<McpLogLevel>,
    /// Requests to the client that it has not answered, with whoever waits.
    asked: Mutex<HashMap<Id, oneshot::Sender<Result<RawJson, RawJson>>>>,
    last_asked: AtomicU64,
    used: Mutex<Instant>,
    /// Requests that run, with what cancels them.
    running: Mutex<HashMap<Id, oneshot::Sender<()>>>,
    /// The messages of requests whose streams a client may come back to.
    answers: Mutex<HashMap<u64, Arc<AnswerLog>>>,
    last_answer: AtomicU64,
    /// Streams that are open.
    streams: AtomicUsize,
    events: watch::Sender<Events>,
}

/// The role and the caller of a session.
type Owner<'a> = (&'a RoleName, &'a str);

/// The events of a session's stream.
#[derive(Default)]
pub struct Events {
    /// The id of the last one.
    last: u64,
    /// The newest ones, each with its id.
    kept: VecDeque<(u64, Bytes)>,
    /// The stream that gets them: the newest that was opened.
    pub stream: u64,
    lists: [KnownList; 3],
    /// The resources that the client is subscribed to, each with the number of the last update that it knows.
    subscribed: BTreeMap<String, u64>,
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

/// A request to the client that waits for its answer.
pub struct Asked<'a> {
    session: &'a Session,
    /// The id of the request.
    pub id: Id,
    /// The client's result, or its error.
    pub answer: oneshot::Receiver<Result<RawJson, RawJson>>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        lock(&self.session.asked).remove(&self.id);
    }
}

/// A request that runs. While this is there the client can cancel it.
pub struct Running {
    session: Arc<Session>,
    id: Id,
    /// Ready when the client has cancelled it.
    pub cancelled: oneshot::Receiver<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.session.running).remove(&self.id);
    }
}

/// A log of a session. While this is there the client can come back to it.
pub struct LoggedAnswer {
    session: Arc<Session>,
    number: u64,
}

impl Drop for LoggedAnswer {
    fn drop(&mut self) {
        lock(&self.session.answers).remove(&self.number);
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
    pub fn run(self: &Arc<Self>, id: &Id) -> Option<Running> {
        let (cancel, cancelled) = oneshot::channel();
        let mut running = lock(&self.running);
        if running.contains_key(id) {
            return None;
        }
        running.insert(id.clone(), cancel);
        Some(Running {
            session: self.clone(),
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

    /// Notes a request to the client; `None` if it owes too many answers.
    pub fn ask(&self) -> Option<Asked<'_>> {
        let (send, answer) = oneshot::channel();
        let mut asked = lock(&self.asked);
        if asked.len() >= ASKED {
            return None;
        }
        let number = self.last_asked.fetch_add(1, Ordering::Relaxed) + 1;
        let id = Id::of_number(number);
        asked.insert(id.clone(), send);
        Some(Asked {
            session: self,
            id,
            answer,
        })
    }

    /// Takes the client's answer to a request. One that nobody waits for is ignored.
    pub fn answered(&self, id: &Id, answer: Result<RawJson, RawJson>) {
        if let Some(waiting) = lock(&self.asked).remove(id) {
            // It may have been given up just now.
            let _ = waiting.send(answer);
        }
    }

    /// The log of a new request whose stream the client may come back to; it is known until `forget` drops.
    pub fn log_answer(self: &Arc<Self>, left: &Arc<Semaphore>) -> (Arc<AnswerLog>, LoggedAnswer) {
        let number = self.last_answer.fetch_add(1, Ordering::Relaxed) + 1;
        let log = Arc::new(AnswerLog::new(number, left.clone()));
        lock(&self.answers).insert(number, log.clone());
        let session = self.clone();
        (log, LoggedAnswer { session, number })
    }

    /// The log of this number.
    pub fn answer_log(&self, number: u64) -> Option<Arc<AnswerLog>> {
        lock(&self.answers).get(&number).cloned()
    }

    /// The least level of the lines that the client wants.
    pub fn log_level(&self) -> McpLogLevel {
        *lock(&self.log_level)
    }

    /// Sets the least level of the lines that the client wants.
    pub fn set_log_level(&self, level: McpLogLevel) {
        *lock(&self.log_level) = level;
    }

    /// Subscribes the client to a resource, from this update on; `false` if it has too many already.
    pub fn subscribe(&self, uri: &str, seen: u64) -> bool {
        let mut has_room = true;
        self.events.send_if_modified(|events| {
            has_room =
                events.subscribed.len() < SUBSCRIPTIONS || events.subscribed.contains_key(uri);
            if has_room {
                events.subscribed.insert(uri.to_owned(), seen);
            }
            false
        });
        has_room
    }

    /// Ends the client's subscription to a resource.
    pub fn unsubscribe(&self, uri: &str) {
        self.events.send_if_modified(|events| {
            events.subscribed.remove(uri);
            false
        });
    }

    /// The lists as they are when the session begins.
    pub fn begin_with(&self, lists: [Listed; 3]) {
        for list in List::ALL {
            self.knows(list, lists.clone());
        }
    }

    /// A list as the client knows it from now on, of all as they are now.
    pub fn knows(&self, list: List, lists: [Listed; 3]) {
        self.events.send_if_modified(|events| {
            let [tools, prompts, resources] = lists;
            let listed = match list {
                List::Tools => tools,
                List::Prompts => prompts,
                List::Resources => resources,
            };
            events.lists[list as usize].update(listed);
            false
        });
    }

    /// Adds the events of what the client does not know: lists that are other ones, resources that were updated.
    pub fn tell(&self, lists: [Listed; 3], changes: &RoleChanges) {
        self.events.send_if_modified(|events| {
            let before = events.last;
            for (list, listed) in List::ALL.into_iter().zip(lists) {
                if events.lists[list as usize].update(listed) {
                    events.add(notification(list.changed(), None));
                }
            }
            let subscribed = events.subscribed.iter_mut();
            let updated: Vec<String> = subscribed
                .filter(|(uri, seen)| changes.has_updated(uri, **seen))
                .map(|(uri, seen)| {
                    *seen = changes.last();
                    uri.clone()
                })
                .collect();
            for uri in updated {
                let params = json!({"uri": uri});
                events.add(notification(RESOURCE_UPDATED, Some(&params.to_string())));
            }
            events.last != before
        });
    }

    fn end(&self) {
        self.events.send_modify(|events| events.has_ended = true);
        // Dropping what cancels them cancels them.
        lock(&self.running).clear();
    }

    fn owner(&self) -> Owner<'_> {
        (&self.role, &self.principal)
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
        principal: &str,
        revision: Revision,
        client: Option<String>,
        capabilities: Capabilities,
        config: &McpConfig,
    ) -> Option<Arc<Session>> {
        let session = Arc::new(Session {
            id: random_id()?,
            role,
            principal: principal.into(),
            revision,
            client,
            capabilities,
            log_level: Mutex::new(McpLogLevel::Info),
            asked: Mutex::default(),
            last_asked: AtomicU64::new(0),
            used: Mutex::new(Instant::now()),
            running: Mutex::default(),
            answers: Mutex::default(),
            last_answer: AtomicU64::new(0),
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

    /// The session of this id with this role and caller, which is not idle any more.
    pub fn find(
        &self,
        id: &str,
        role: &RoleName,
        principal: &str,
        config: &McpConfig,
    ) -> Option<Arc<Session>> {
        let mut all = lock(&self.0);
        let session = all
            .get(id)
            .filter(|session| session.role == *role && *session.principal == *principal)?
            .clone();
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

/// Ends the sessions whose time is over, and if that makes no room those that have been idle for longest: of the
/// callers that have the most, so that one cannot end the sessions of others.
fn evict(all: &mut HashMap<Box<str>, Arc<Session>>, config: &McpConfig, most: usize) {
    let now = Instant::now();
    let used = |session: &Session| *lock(&session.used);
    let over = |session: &Session| now.duration_since(used(session)) > config.session_ttl.get();
    all.retain(|_, session| !session.is_idle() || !over(session));
    if all.len() < most {
        return;
    }
    let mut owned: HashMap<Owner<'_>, usize> = HashMap::new();
    for session in all.values() {
        *owned.entry(session.owner()).or_default() += 1;
    }
    let idle = all.values().filter(|session| session.is_idle());
    let idle: Vec<(usize, &Arc<Session>)> = idle
        .map(|session| (owned.get(&session.owner()).copied().unwrap_or(0), session))
        .collect();
    let largest = idle.iter().map(|(owned, _)| *owned).max();
    let mut idle: Vec<(Instant, Box<str>)> = idle
        .into_iter()
        .filter(|(owned, _)| Some(*owned) == largest)
        .map(|(_, session)| (used(session), session.id.clone()))
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

/// The notification that a resource has another content.
pub const RESOURCE_UPDATED: &str = "notifications/resources/updated";

/// A notification, as JSON.
pub fn notification(method: &str, params: Option<&str>) -> Bytes {
    match params {
        None => format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#),
        Some(params) => format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#),
    }
    .into()
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
            "",
            Revision::negotiated(""),
            None,
            Capabilities::default(),
            config,
        )
    }

    #[test]
    fn the_session_that_is_idle_for_longest_makes_room() {
        let (sessions, config) = (Sessions::default(), config(3));
        let role = "tl".parse().unwrap();
        let all: Vec<_> = (0..3).map(|_| begin(&sessions, &config).unwrap()).collect();
        let (_stream, ..) = all[0].open();
        assert!(sessions.find(&all[1].id, &role, "", &config).is_some());
        assert!(begin(&sessions, &config).is_some());
        let there = |nth: usize| sessions.find(&all[nth].id, &role, "", &config).is_some();
        assert_eq!((there(0), there(1), there(2)), (true, true, false));
    }

    #[test]
    fn a_caller_with_many_sessions_ends_its_own_and_not_those_of_others() {
        let (sessions, config) = (Sessions::default(), config(4));
        let begin = |principal: &str| {
            let (role, revision) = ("tl".parse().unwrap(), Revision::negotiated(""));
            let none = Capabilities::default();
            sessions.begin(role, principal, revision, None, none, &config)
        };
        let alice = begin("token:alice").unwrap();
        for _ in 0..100 {
            begin("token:bob").unwrap();
        }
        let role = "tl".parse().unwrap();
        let found = sessions.find(&alice.id, &role, "token:alice", &config);
        assert!(found.is_some() && sessions.count() == 4);
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
        assert!(sessions.find(&session.id, &other, "", &config).is_none());
        assert!(sessions.find(&session.id, &own, "", &config).is_some());
        config.session_ttl = TimeSpan::secs(0);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(sessions.find(&session.id, &own, "", &config).is_none());
        assert_eq!(sessions.count(), 0);
    }

    #[test]
    fn events_are_kept_up_to_a_bound_and_ids_go_on() {
        let session = begin(&Sessions::default(), &config(1)).unwrap();
        let changes = RoleChanges::default();
        let tools = |nth: u64| [Some((Bytes::new(), nth)), None, None];
        session.tell(tools(0), &changes);
        for nth in 1..=100 {
            session.tell(tools(nth), &changes);
            session.tell(tools(nth), &changes);
        }
        let events = session.events.borrow();
        assert_eq!((events.last(), events.kept.len()), (100, EVENTS));
        assert_eq!(events.after(0).map(|(id, _)| *id), Some(37));
        assert_eq!(events.after(99).map(|(id, _)| *id), Some(100));
        assert!(events.after(100).is_none());
    }

    #[test]
    fn an_answer_reaches_whoever_waits_and_any_other_is_ignored() {
        let session = begin(&Sessions::default(), &config(1)).unwrap();
        let mut asked = session.ask().unwrap();
        let unknown = Id::read("\"x\"").unwrap();
        session.answered(&unknown, Ok(RawJson::empty_object()));
        assert!(asked.answer.try_recv().is_err());
        let id = asked.id.clone();
        session.answered(&id, Ok(RawJson::empty_object()));
        session.answered(&id, Err(RawJson::empty_object()));
        assert!(asked.answer.try_recv().unwrap().is_ok());
        let all: Vec<_> = (0..ASKED).filter_map(|_| session.ask()).collect();
        assert!(session.ask().is_none(), "{}", all.len());
        drop(all);
        assert!(session.ask().is_some());
    }

    #[test]
    fn a_subscription_is_told_of_updates_that_come_after_it() {
        use exomonad_core::Changes;
        use exomonad_schema::effects::mcp::McpNotify;

        let session = begin(&Sessions::default(), &config(1)).unwrap();
        let (changes, role) = (Changes::default(), "tl".parse().unwrap());
        let update = |uri: &str| {
            let updated_resources = vec![uri.try_into().unwrap()];
            changes.note(
                &role,
                &McpNotify {
                    updated_resources,
                    ..McpNotify::default()
                },
            );
        };
        let seen = changes.of(&role);
        let told = || {
            session.tell([None, None, None], &seen.borrow());
            session.events.borrow().last()
        };
        update("a");
        assert!(session.subscribe("a", seen.borrow().last()));
        assert_eq!(told(), 0);
        update("b");
        assert_eq!(told(), 0);
        update("a");
        assert_eq!((told(), told()), (1, 1));
        session.unsubscribe("a");
        update("a");
        assert_eq!(told(), 1);
        for nth in 0..SUBSCRIPTIONS {
            assert!(session.subscribe(&nth.to_string(), 0));
        }
        assert!(!session.subscribe("one more", 0));
    }
}
