//! What every verb gets: the configuration, the form of answers, and the words it was called with.

use crate::cli::Global;
use crate::config::{self, Config, Given};
use crate::failure::Failure;

/// One call of the program.
#[derive(Debug)]
pub struct Context {
    /// The configuration.
    pub config: Config,
    /// Whether answers are JSON.
    pub json: bool,
    /// How much more is logged.
    pub verbose: u8,
    /// The arguments, for the record of a submission.
    pub words: Vec<String>,
}

impl Context {
    /// Reads the configuration; options of the verb go over it.
    ///
    /// # Errors
    /// A [`Failure`] with file, line and key.
    pub fn new(global: Global, options: Vec<(&'static str, Option<String>, &'static str)>, words: Vec<String>) -> Result<Self, Failure> {
        let data = global.data.map(|path| path.display().to_string());
        let mut given =
            Given::from_process(global.config).option("data", data, "--data").option("client.server", global.server, "--server");
        for (key, value, name) in options {
            given = given.option(key, value, name);
        }
        Ok(Self { config: config::load(&given)?, json: global.json, verbose: global.verbose, words })
    }
}
