//! THE table: every method, who may call it, its parameters, its answer.
//!
//! Owns [`Method`] and the lookup by path; the rows of a module stand in
//! `methods/<module>.rs`. Router, binder, messages and documentation all come
//! from these rows. Must not know how anything is done: that is the handler's.
//!
//! To add a method: write `src/<module>/<name>.rs` with
//! `pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal>`, and a
//! row beside its siblings here. Nothing else.

mod async_process;
mod creds;
mod data_carousel;
mod event;
mod file_server;
mod harvester;
mod idds;
mod job;
mod metaconfig;
mod own;
mod people;
mod pilot;
mod statistics;
mod system;
mod task;
mod workflow;

use crate::answer::{Answer, Refusal};
use crate::args::{Args, Param};
use crate::body::JSON_LIMIT;
use crate::ctx::{BoxFuture, Ctx};
use panda_access::Right;
use std::collections::HashMap;
use std::sync::OnceLock;

/// What a row calls.
pub type Handler = fn(Ctx, Args) -> BoxFuture<'static, Result<Answer, Refusal>>;

/// Makes a [`Handler`] of the path of an `async fn(Ctx, Args) -> Result<Answer, Refusal>`.
macro_rules! handler {
    ($path:path) => {
        |ctx, args| Box::pin($path(ctx, args))
    };
}
pub(crate) use handler;

/// Whose names a method bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// `/api/v1/{module}/{method}`: the names of the original.
    V1,
    /// `/api/panda/v1/{module}/{method}`: ours.
    Own,
}

/// Which verb a method takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// GET.
    Get,
    /// POST.
    Post,
    /// Either; the original checks none.
    Any,
}

impl Verb {
    /// Its name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Any => "GET or POST",
        }
    }
}

/// What happens to names that the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are an error.
    Refused,
    /// An error in a query, ignored in a body: peers of other ages send more.
    IgnoredInPost,
    /// The handler gets them.
    Kept,
}

/// How the body of a POST is read.
#[derive(Debug, Clone, Copy)]
pub enum Intake {
    /// Named values in JSON or a form, at most so many bytes.
    Values(u64),
    /// A multipart file; the function gives the cap for its name.
    File(fn(&str) -> u64),
    /// Raw bytes, at most so many; parameters stand in the query.
    Raw(u64),
}

/// One row.
#[derive(Debug)]
pub struct Method {
    /// Namespace.
    pub space: Space,
    /// Module; empty for methods directly under the namespace.
    pub module: &'static str,
    /// Name.
    pub name: &'static str,
    /// Verb.
    pub verb: Verb,
    /// Who may call. What depends on an owner is decided by the operation.
    pub right: Right,
    /// Parameters.
    pub params: &'static [Param],
    /// Other names.
    pub unknown: Unknown,
    /// Body.
    pub intake: Intake,
    /// Name of the answer's schema.
    pub answer: &'static str,
    /// What it is for, one sentence.
    pub about: &'static str,
    /// What it calls.
    pub handler: Handler,
}

impl Method {
    /// A method of the original's namespace that takes GET.
    const fn get(module: &'static str, name: &'static str, right: Right, params: &'static [Param], handler: Handler) -> Self {
        Method {
            space: Space::V1,
            module,
            name,
            verb: Verb::Get,
            right,
            params,
            unknown: Unknown::Refused,
            intake: Intake::Values(JSON_LIMIT),
            answer: "Any",
            about: "",
            handler,
        }
    }

    /// A method of the original's namespace that takes POST.
    const fn post(module: &'static str, name: &'static str, right: Right, params: &'static [Param], handler: Handler) -> Self {
        Method { verb: Verb::Post, ..Method::get(module, name, right, params, handler) }
    }

    const fn any(self) -> Self {
        Method { verb: Verb::Any, ..self }
    }

    const fn own(self) -> Self {
        Method { space: Space::Own, ..self }
    }

    const fn unknown(self, unknown: Unknown) -> Self {
        Method { unknown, ..self }
    }

    const fn intake(self, intake: Intake) -> Self {
        Method { intake, ..self }
    }

    const fn about(self, answer: &'static str, about: &'static str) -> Self {
        Method { answer, about, ..self }
    }
}

/// Every row, module by module.
pub fn all() -> impl Iterator<Item = &'static Method> {
    [
        system::ROWS,
        file_server::ROWS,
        task::ROWS,
        job::ROWS,
        pilot::ROWS,
        event::ROWS,
        harvester::ROWS,
        creds::ROWS,
        metaconfig::ROWS,
        statistics::ROWS,
        async_process::ROWS,
        data_carousel::ROWS,
        idds::ROWS,
        workflow::ROWS,
        own::ROWS,
        people::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// Finds a method by `module/name` (or `name` alone where the module is empty).
#[must_use]
pub fn find(space: Space, path: &str) -> Option<(&'static str, &'static Method)> {
    static V1: OnceLock<HashMap<String, &'static Method>> = OnceLock::new();
    static OWN: OnceLock<HashMap<String, &'static Method>> = OnceLock::new();
    let index = match space {
        Space::V1 => &V1,
        Space::Own => &OWN,
    };
    let build = || {
        let rows = all().filter(|m| m.space == space);
        rows.map(|m| (if m.module.is_empty() { m.name.to_owned() } else { format!("{}/{}", m.module, m.name) }, m)).collect()
    };
    index.get_or_init(build).get_key_value(path).map(|(name, method)| (name.as_str(), *method))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_are_unique_and_findable() {
        let mut seen = BTreeSet::new();
        for m in all() {
            let path = format!("{:?}/{}/{}", m.space, m.module, m.name);
            assert!(seen.insert(path.clone()), "{path} stands twice");
            let names: BTreeSet<_> = m.params.iter().map(|p| p.name).collect();
            assert_eq!(names.len(), m.params.len(), "{path} names a parameter twice");
            assert!(!m.about.is_empty(), "{path} says nothing about itself");
        }
        assert!(seen.len() > 60);
        assert_eq!(find(Space::V1, "pilot/acquire_jobs").unwrap().1.name, "acquire_jobs");
        assert_eq!(find(Space::Own, "whoami").unwrap().1.module, "");
        assert!(find(Space::V1, "whoami").is_none());
        assert!(find(Space::V1, "").is_none());
    }

    #[test]
    fn every_v1_method_is_of_the_original() {
        // Names must not be invented in the original's namespace.
        let known = include_str!("methods/names.txt");
        for m in all().filter(|m| m.space == Space::V1) {
            let name = format!("{}/{}", m.module, m.name);
            assert!(known.lines().any(|line| line == name), "{name} is not a name of the original; put it under Space::Own");
        }
    }
}
