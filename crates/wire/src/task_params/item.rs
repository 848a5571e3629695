//! Items of `jobParameters`, and sizes that may be `MAX`.

use crate::lenient::{FieldError, Lenient, TextList};
use crate::record::record;
use serde_json::{Map, Value};

/// A size in GB, or `MAX`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gigabytes {
    /// As much as fits; the same as no limit of the user's.
    Max,
    /// So many GB.
    Limit(f64),
}

impl Gigabytes {
    /// The limit in GB, when there is one.
    #[must_use]
    pub fn limit(self) -> Option<f64> {
        match self {
            Gigabytes::Max => None,
            Gigabytes::Limit(gb) => Some(gb),
        }
    }
}

impl Lenient for Gigabytes {
    fn read(value: Value) -> Result<Option<Self>, FieldError> {
        if value.as_str().is_some_and(|s| s.trim().eq_ignore_ascii_case("MAX")) {
            return Ok(Some(Gigabytes::Max));
        }
        match f64::read(value.clone()) {
            Ok(gb) => Ok(gb.map(Gigabytes::Limit)),
            Err(_) => Err(FieldError::new("a number of GB or MAX", &value)),
        }
    }

    fn write(&self) -> Value {
        match self {
            Gigabytes::Max => Value::from("MAX"),
            Gigabytes::Limit(gb) => gb.write(),
        }
    }
}

/// One item of `jobParameters`, or the log template.
#[derive(Debug, Clone, PartialEq)]
pub enum JobParameter {
    /// Text that goes into the command line as it is.
    Constant(Item),
    /// Text with placeholders, mostly bound to a dataset.
    Template(Item),
}

impl JobParameter {
    /// What both kinds hold.
    #[must_use]
    pub fn item(&self) -> &Item {
        match self {
            JobParameter::Constant(item) | JobParameter::Template(item) => item,
        }
    }

    /// The text, empty when none was given.
    #[must_use]
    pub fn value(&self) -> &str {
        self.item().value.as_deref().unwrap_or_default()
    }

    /// Whether the item is a template.
    #[must_use]
    pub fn is_template(&self) -> bool {
        matches!(self, JobParameter::Template(_))
    }

    /// Whether the text is kept out of the command line.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.item().hidden.unwrap_or(false)
    }

    /// Whether a blank follows the text.
    #[must_use]
    pub fn is_padded(&self) -> bool {
        self.item().padding.unwrap_or(true)
    }
}

record! {
    /// Members of an item; which of them count depends on `param_type`.
    Item {
        /// The text.
        value: String = "value",
        /// `input`, `output`, `log`, `pseudo_input`, `number`, ...
        param_type: String = "param_type",
        /// Whether a blank follows; true when absent.
        padding: bool = "padding",
        /// Whether the text is kept out of the command line.
        hidden: bool = "hidden",
        /// Dataset or comma list of datasets.
        dataset: TextList = "dataset",
        /// Container of the output datasets.
        container: String = "container",
        /// First number of a sequence is one above; inputs: files to skip.
        offset: i64 = "offset",
        /// Patterns of names to take, comma-separated.
        include: TextList = "include",
        /// Patterns of names to leave out, comma-separated.
        exclude: TextList = "exclude",
        /// Exactly these files.
        files: TextList = "files",
        /// Open containers.
        expand: bool = "expand",
        /// What an opened container held.
        expanded_list: TextList = "expandedList",
        /// Container to make of several datasets.
        consolidate: String = "consolidate",
        /// How many numbers of a sequence there are.
        num_records: i64 = "num_records",
        /// Files of this dataset that every job gets.
        n_files_per_job: i64 = "nFilesPerJob",
        /// Files for each master file.
        ratio: f64 = "ratio",
        /// Files for each master event.
        event_ratio: f64 = "eventRatio",
        /// Start again when files run out.
        reusable: bool = "reusable",
        /// Shuffle.
        random: bool = "random",
        /// The output may be missing.
        allow_no_output: bool = "allowNoOutput",
        /// Where outputs go.
        destination: String = "destination",
        /// Storage token.
        token: String = "token",
        /// Storage token under its old name.
        spacetoken: String = "spacetoken",
        /// Comma list of dataset attributes (`nosplit`, `repeat`, ...).
        attributes: TextList = "attributes",
    }
}

impl Lenient for JobParameter {
    fn read(value: Value) -> Result<Option<Self>, FieldError> {
        let Some(mut map) = <Map<String, Value> as Lenient>::read(value)? else {
            return Ok(None);
        };
        let kind = map.remove("type").unwrap_or(Value::Null);
        let item = Item::from_object(map)?;
        if item.value.is_none() {
            return Err(FieldError::new("a text", &Value::Null).under("value"));
        }
        match kind.as_str() {
            Some("constant") => Ok(Some(JobParameter::Constant(item))),
            Some("template") => Ok(Some(JobParameter::Template(item))),
            _ => Err(FieldError::new("'constant' or 'template'", &kind).under("type")),
        }
    }

    fn write(&self) -> Value {
        let kind = if self.is_template() { "template" } else { "constant" };
        let mut map = Map::new();
        map.insert("type".to_owned(), Value::from(kind));
        map.extend(self.item().to_object());
        Value::Object(map)
    }
}
