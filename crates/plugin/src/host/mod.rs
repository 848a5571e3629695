//! The host of one child process: JSON-RPC 2.0 over its standard input and output, one object a line.
//!
//! A child that crashes, does not answer in time or answers nonsense is ended with its whole process group, and started again by the next call
//! after a pause that doubles; after [`Options::breaker_after`] failures in a row the pause is [`Options::breaker_pause`]. During a pause a call
//! fails at once, with the reason of the pause.

mod line;
mod link;

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, Semaphore},
    time::Instant,
};

use self::link::{Answer, Link};
use crate::{Error, Kind};

/// Version of the protocol (`docs/plugins.md`).
pub const PROTOCOL: u64 = 1;
/// Code of an error answer: there is no such thing.
pub const UNKNOWN: i64 = -32_001;
/// Longest text of a child that goes into a reason, in characters.
const MAX_TEXT: usize = 200;

/// How a child is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the plug-in, for messages.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// The program and its arguments; no shell.
    pub command: Vec<String>,
    /// Variables of its environment besides the server's own.
    pub env: Vec<(String, String)>,
    /// Where it runs; none = where the server does.
    pub dir: Option<PathBuf>,
    /// Time for one answer, the first (`initialize`) among them.
    pub deadline: Duration,
    /// Longest line of an answer, in bytes.
    pub max_line: usize,
    /// Calls that wait for an answer at one time; others wait until one of them has it. The deadline of a call does not count before: a child that
    /// answers one by one has that much time for so many.
    pub max_in_flight: usize,
    /// Pause after a first failure; it doubles with each further one.
    pub backoff: Duration,
    /// Failures in a row after which the circuit breaker opens.
    pub breaker_after: u32,
    /// Pause of an open circuit breaker.
    pub breaker_pause: Duration,
}

impl Options {
    /// A plug-in of this name and command, with the limits that `docs/plugins.md` states.
    #[must_use]
    pub fn new(kind: Kind, name: &str, command: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            command,
            env: Vec::new(),
            dir: None,
            deadline: Duration::from_secs(30),
            max_line: 4 << 20,
            max_in_flight: 8,
            backoff: Duration::from_secs(1),
            breaker_after: 5,
            breaker_pause: Duration::from_secs(60),
        }
    }
    /// The plug-in, as messages name it.
    fn who(&self) -> String {
        format!("{} plug-in `{}`", self.kind.as_str(), self.name)
    }
}

/// A child process and what became of the last one.
#[derive(Debug)]
pub struct Host {
    options: Options,
    /// One for each call that may be under way.
    slots: Semaphore,
    state: Mutex<State>,
    /// The link that is up, for whoever must end it without waiting.
    current: parking_lot::Mutex<Option<Arc<Link>>>,
}

#[derive(Debug, Default)]
struct State {
    link: Option<Arc<Link>>,
    /// Failures without an answer in between.
    failures: u32,
    pause: Option<(Instant, Duration)>,
    last: String,
}

impl Host {
    /// A host; the first call starts the child.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let slots = Semaphore::new(options.max_in_flight.max(1));
        Self { options, slots, state: Mutex::default(), current: parking_lot::Mutex::default() }
    }
    /// Calls a method. Whatever goes wrong is an [`Error`]; the child's own word that there is no such thing is [`Error::Unknown`].
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, Error> {
        let _slot = self.slots.acquire().await.map_err(|e| self.later(&e.to_string()))?;
        let link = self.link().await?;
        match link.call(method, params).await {
            Ok(Answer::Result(value)) => match serde_json::from_value(value) {
                Ok(value) => Ok(value),
                Err(e) => {
                    let reason = format!("nonsense in answer to {method}: {}", short(&e.to_string()));
                    link.stop(&reason);
                    Err(self.later(&reason))
                }
            },
            Ok(Answer::Error(code, message)) => {
                let text = format!("{} says: {}", self.options.who(), short(&message));
                Err(if code == UNKNOWN { Error::Unknown(text) } else { Error::Later { reason: text } })
            }
            Err(reason) => Err(self.later(&reason)),
        }
    }
    /// Ends a child whose answer cannot be meant so.
    pub(crate) fn nonsense(&self, method: &str, what: &str) -> Error {
        let reason = format!("nonsense in answer to {method}: {}", short(what));
        if let Some(link) = &*self.current.lock() {
            link.stop(&reason);
        }
        self.later(&reason)
    }
    fn later(&self, reason: &str) -> Error {
        Error::later(format!("{}: {reason}", self.options.who()))
    }
    /// Whether it starts and says who it is.
    pub async fn check(&self) -> Result<(), Error> {
        self.link().await.map(|_| ())
    }
    /// What is wrong with it, when its last run ended badly and none has begun since.
    pub fn trouble(&self) -> Option<String> {
        let state = self.state.try_lock().ok()?;
        let pauses = state.pause.is_some_and(|(until, _)| until > Instant::now());
        let ended = state.link.as_ref().and_then(|link| link.ended());
        let reason = ended.or_else(|| (state.link.is_none() && (pauses || state.failures > 0)).then(|| state.last.clone()))?;
        Some(format!("{} does not work: {reason}", self.options.who()))
    }
    /// The child that runs; a new one when there is none and no pause.
    async fn link(&self) -> Result<Arc<Link>, Error> {
        let mut state = self.state.lock().await;
        if let Some(link) = state.link.take() {
            let Some(reason) = link.ended() else {
                state.link = Some(link.clone());
                return Ok(link);
            };
            if link.has_served() {
                state.failures = 0;
            }
            self.failed(&mut state, reason);
        }
        if let Some((until, pause)) = state.pause.filter(|p| p.0 > Instant::now()) {
            let left = until.saturating_duration_since(Instant::now()).as_secs() + 1;
            let what = if pause >= self.options.breaker_pause { "is switched off" } else { "pauses" };
            return Err(self.later(&format!("{what} for {left} more seconds after a failure: {}", state.last)));
        }
        match self.start().await {
            Ok(link) => {
                state.link = Some(link.clone());
                *self.current.lock() = Some(link.clone());
                Ok(link)
            }
            Err(reason) => {
                self.failed(&mut state, reason.clone());
                Err(self.later(&reason))
            }
        }
    }
    fn failed(&self, state: &mut State, reason: String) {
        let o = &self.options;
        state.failures = state.failures.saturating_add(1);
        let doubled = o.backoff.saturating_mul(1 << (state.failures - 1).min(16));
        let pause = if state.failures >= o.breaker_after { o.breaker_pause } else { doubled.min(o.breaker_pause) };
        state.pause = Some((Instant::now() + pause, pause));
        tracing::warn!(plugin = o.name, failures = state.failures, pause_s = pause.as_secs(), "a plug-in failed: {reason}");
        state.last = reason;
    }
    async fn start(&self) -> Result<Arc<Link>, String> {
        let link = Arc::new(Link::start(&self.options)?);
        let hello = json!({"protocol": PROTOCOL, "kind": self.options.kind.as_str(), "server": env!("CARGO_PKG_VERSION")});
        let answer = match link.call("initialize", hello).await? {
            Answer::Result(value) => value,
            Answer::Error(_, message) => {
                let reason = format!("refused to begin: {}", short(&message));
                link.stop(&reason);
                return Err(reason);
            }
        };
        let spoken = answer.get("protocol").and_then(Value::as_u64);
        if spoken != Some(PROTOCOL) {
            let spoken = spoken.map_or("none".to_owned(), |v| v.to_string());
            let reason = format!("speaks protocol {spoken}, not {PROTOCOL}");
            link.stop(&reason);
            return Err(reason);
        }
        link.forget_served();
        Ok(link)
    }
}

/// A child's text, as long as a reason may be.
fn short(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT + 1).collect();
    match clean.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}…", &clean[..at]),
        None => clean,
    }
}
