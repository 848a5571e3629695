//! Applies the schema steps; numbered, recorded, restartable, forward only.
//!
//! What to do is decided here, how a step is run is each driver's [`Target`]. It must not know connections.

use crate::{dialect::ddl, error::OpenError, schema, stmt::Dialect};

/// A database that steps are applied to, held exclusively while [`run`] works on it.
pub(crate) trait Target {
    /// Which backend.
    fn dialect(&self) -> Dialect;
    /// The address without password, for messages.
    fn url(&self) -> &str;
    /// Steps recorded, by number, with the hash of each; empty when there is no table of steps.
    async fn recorded(&mut self) -> Result<Vec<(i64, String)>, OpenError>;
    /// Makes the table of steps if it is missing.
    async fn prepare(&mut self, ddl: &str) -> Result<(), OpenError>;
    /// Runs one step and records it, in one transaction where the backend can. A backend whose DDL commits by itself treats "exists already"
    /// as done, since a crash may have come between step and record.
    async fn step(&mut self, number: i64, hash: &str, ddl: &[String]) -> Result<(), OpenError>;
}

/// FNV-1a of a step's text: tells steps apart that were edited in place before the first tag.
fn hash(step: &str) -> String {
    let fnv = step.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{fnv:016x}")
}

/// How many steps are applied; an error when the schema is newer or other than this program's.
fn found<T: Target>(target: &T, recorded: &[(i64, String)]) -> Result<usize, OpenError> {
    let known = schema::version();
    for (index, (step, (number, recorded))) in schema::steps().zip(recorded).enumerate() {
        if usize::try_from(*number) != Ok(index + 1) || hash(step) != *recorded {
            return Err(OpenError::Differs { url: target.url().to_owned(), step: index + 1 });
        }
    }
    if recorded.len() > known {
        return Err(OpenError::Newer { url: target.url().to_owned(), found: recorded.len(), known });
    }
    Ok(recorded.len())
}

/// Checks the schema and, with `migrate`, applies what is missing.
pub(crate) async fn run<T: Target>(target: &mut T, migrate: bool) -> Result<(), OpenError> {
    let recorded = target.recorded().await?;
    let (done, known) = (found(target, &recorded)?, schema::version());
    if done == known {
        return Ok(());
    }
    if !migrate {
        return Err(OpenError::Older { url: target.url().to_owned(), found: done, known });
    }
    if recorded.is_empty() {
        for text in ddl(target.dialect(), schema::own::MIGRATION_TABLE) {
            target.prepare(&text).await?;
        }
    }
    for (index, step) in schema::steps().enumerate().skip(done) {
        let number = i64::try_from(index + 1).unwrap_or(i64::MAX);
        target.step(number, &hash(step), &ddl(target.dialect(), step)).await?;
    }
    tracing::info!(database = target.url(), from = done, to = known, "schema migrated");
    Ok(())
}

/// The DDL that [`run`] would apply, one text a statement.
pub(crate) async fn plan<T: Target>(target: &mut T) -> Result<Vec<String>, OpenError> {
    let recorded = target.recorded().await?;
    let done = found(target, &recorded)?;
    Ok(schema::steps().skip(done).flat_map(|step| ddl(target.dialect(), step)).collect())
}
