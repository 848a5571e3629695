//! The naming plug-in of a VO and label: a part of the program, asked for each output, or a service, asked beside the loop for the outputs of all jobs
//! that are to be made. Names that a service gave are kept, so that the jobs of the next turn find them.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use futures::future::join_all;
use panda_core::{id::JobId, policy::names, setting::plugin::NAMING};
use panda_ops::{
    Ops, OpsError,
    plugin::{Asked, Desk, named, ring},
};
use panda_plugin::{Error, Kind, Namer, NamesAsk, NamingService, OutputName, Unnamed};
use panda_store::{Topic, query::task::TaskRow};
use parking_lot::Mutex;

use crate::EngineError;

/// Questions under way of one process.
#[derive(Debug, Default)]
struct Calls(Desk<Result<(), Error>>);

/// Outputs of one question: a line of some hundred kB.
const A_CALL: usize = 500;
/// Outputs of the jobs of one turn.
const A_TURN: usize = 5_000;
/// Names kept; when there are more they are asked for again.
const MAX_KEPT: usize = 50_000;
/// How long an answer is used that says why there are no names, microseconds.
const KEPT_US: i64 = 1_000_000;

/// What a name was asked for: plug-in, task, output.
type Key = (String, i64, Unnamed);

/// Names that services gave; they may vanish at any time.
#[derive(Debug, Default)]
struct Given(Mutex<HashMap<Key, String>>);

impl Given {
    fn put(&self, plugin: &str, task: i64, outputs: Vec<Unnamed>, names: Vec<String>) {
        let mut all = self.0.lock();
        if all.len() + names.len() > MAX_KEPT {
            all.clear();
        }
        all.extend(outputs.into_iter().zip(names).map(|(o, name)| ((plugin.to_owned(), task, o), name)));
    }
}

/// Names the outputs of a task's jobs.
pub struct Names {
    plugin: Option<(String, Namer)>,
    /// What the service has said, for the jobs that are to be made.
    given: HashMap<Unnamed, String>,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Names").field(&self.plugin.as_ref().map(|(name, _)| name)).finish()
    }
}

/// An output of a job: its running number, the template of the task's parameters, and the template with what comes from the job's input.
#[derive(Debug, Clone)]
pub struct Output<'a> {
    /// Running number.
    pub serial: i64,
    /// As the task says.
    pub template: &'a str,
    /// `${MIDDLENAME}` is replaced.
    pub shaped: Cow<'a, str>,
}

impl Output<'_> {
    fn unnamed(&self, t: &TaskRow) -> Unnamed {
        let neutral = names::lfn_of_any_job(&self.shaped, t.id.0, self.serial);
        Unnamed { serial: self.serial, template: self.template.to_owned(), neutral }
    }
}

fn waits(plugin: &str, text: String) -> EngineError {
    EngineError::Ops(OpsError::Waits(named(Kind::Naming, plugin, text)))
}

impl Names {
    /// The plug-in of VO and label, or the neutral rules. [`OpsError::Waits`] when the plug-in is not there.
    pub async fn of(ops: &Ops, t: &TaskRow) -> Result<Self, EngineError> {
        let values = ops.settings().await?;
        let name = values.text(&NAMING, &t.vo, &t.label);
        if name.is_empty() {
            return Ok(Self { plugin: None, given: HashMap::new() });
        }
        let plugin = ops.plugins.naming(name).map_err(|e| OpsError::Waits(e.to_string()))?;
        Ok(Self { plugin: Some((name.to_owned(), plugin)), given: HashMap::new() })
    }
    /// Most jobs of so many outputs that are made at a time: names of a service must be there before ([`Self::prepare`]).
    pub fn most_jobs(&self, outputs: usize) -> usize {
        if matches!(self.plugin, Some((_, Namer::Service(_)))) { (A_TURN / outputs.max(1)).max(1) } else { usize::MAX }
    }
    /// Whether a plug-in names.
    pub fn is_own(&self) -> bool {
        self.plugin.is_some()
    }
    /// Asks a service for the names of these outputs. A sentence when it has not answered yet: the answer wakes who waits for `topic`.
    ///
    /// # Errors
    /// [`OpsError::Waits`] when it says why it gives none.
    pub async fn prepare(&mut self, ops: &Ops, t: &TaskRow, outputs: &[Output<'_>], topic: Topic) -> Result<Option<String>, EngineError> {
        let Some((plugin, Namer::Service(service))) = &self.plugin else { return Ok(None) };
        let given = ops.live.of::<Given>();
        let wanted: Vec<Unnamed> = outputs.iter().map(|o| o.unnamed(t)).collect();
        let left: Vec<Unnamed> = {
            let all = given.0.lock();
            wanted.iter().filter(|o| !all.contains_key(&(plugin.clone(), t.id.0, (*o).clone()))).cloned().collect()
        };
        let asked = join_all(left.chunks(A_CALL).map(|part| ask(ops, &given, plugin, service, t, part, topic))).await;
        for answer in &asked {
            if let Asked::Answer(Err(e)) = answer {
                return Err(waits(plugin, e.to_string()));
            }
        }
        let all = given.0.lock();
        for o in wanted {
            match all.get(&(plugin.clone(), t.id.0, o.clone())) {
                Some(name) => drop(self.given.insert(o, name.clone())),
                None => return Ok(Some(format!("naming plug-in `{plugin}` is asked for the names of {} outputs", left.len()))),
            }
        }
        Ok(None)
    }
    /// The neutral name of an output, and the one that it gets.
    pub fn output(&self, t: &TaskRow, job: JobId, o: &Output<'_>) -> Result<(String, String), EngineError> {
        let neutral = names::lfn(&o.shaped, t.id.0, job.0, o.serial);
        let Some((plugin, namer)) = &self.plugin else { return Ok((neutral.clone(), neutral)) };
        let lfn = match namer {
            Namer::Part(naming) => {
                let ask = OutputName {
                    vo: &t.vo,
                    label: &t.label,
                    task_id: t.id.0,
                    task_name: &t.name,
                    job_id: job.0,
                    serial: o.serial,
                    template: o.template,
                    neutral: &neutral,
                };
                naming.output(&ask).map_err(|e| waits(plugin, e.to_string()))?
            }
            Namer::Service(_) => {
                let found = self.given.get(&o.unnamed(t)).map(|name| names::with_job(name, job.0));
                found.ok_or_else(|| waits(plugin, format!("it was not asked for output {}", o.serial)))?
            }
        };
        match names::problem(&lfn) {
            Some(problem) => Err(waits(plugin, format!("it answers nonsense: {problem}"))),
            None => Ok((neutral, lfn)),
        }
    }
}

/// Asks for a part of the names; they are kept even when nobody comes for the answer.
async fn ask(
    ops: &Ops,
    given: &Arc<Given>,
    plugin: &str,
    service: &Arc<dyn NamingService>,
    t: &TaskRow,
    part: &[Unnamed],
    topic: Topic,
) -> Asked<Result<(), Error>> {
    let ask = NamesAsk { vo: t.vo.clone(), label: t.label.clone(), task_id: t.id.0, task_name: t.name.clone(), outputs: part.to_vec() };
    let mut hasher = DefaultHasher::new();
    part.hash(&mut hasher);
    let key = format!("{plugin}/{}/{:016x}", t.id, hasher.finish());
    let (given, service, name) = (given.clone(), service.clone(), plugin.to_owned());
    let call = async move {
        let names = service.outputs(&ask).await?;
        if names.len() != ask.outputs.len() {
            return Err(Error::later(format!("it answers nonsense: {} names, asked for {}", names.len(), ask.outputs.len())));
        }
        // `$PANDAID` becomes a number.
        if let Some(problem) = names.iter().find_map(|n| names::problem(&names::with_job(n, 0))) {
            return Err(Error::later(format!("it answers nonsense: {problem}")));
        }
        given.put(&name, ask.task_id, ask.outputs, names);
        Ok(())
    };
    ops.live.of::<Calls>().0.ask(&key, ops.now().0, KEPT_US, call, ring(ops.store.clone(), topic)).await
}

/// A command line with the names of a plug-in in place of those that the neutral rules give: clients write the template into it, too. Pre-merge names
/// hold the names that they stand for.
pub(super) fn renamed(mut text: String, mut names: Vec<(String, String)>) -> String {
    // A name may begin another one.
    names.sort_by_key(|(neutral, _)| std::cmp::Reverse(neutral.len()));
    for (neutral, own) in &names {
        text = text.replace(neutral, own);
    }
    text
}
