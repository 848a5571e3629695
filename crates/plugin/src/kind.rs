//! What a plug-in can be for.

/// A seam: what an experiment can replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Data management: data sets, outputs.
    Data,
    /// Brokerage: which queue gets jobs.
    Brokerage,
    /// Retry policy: what is tried again.
    Retry,
    /// Naming of output files.
    Naming,
    /// Notification: who is told of changes of tasks.
    Notify,
}

impl Kind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Data, Self::Brokerage, Self::Retry, Self::Naming, Self::Notify];

    /// The word for it in configuration, protocol and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Brokerage => "brokerage",
            Self::Retry => "retry",
            Self::Naming => "naming",
            Self::Notify => "notify",
        }
    }
    /// The kind of a word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.as_str() == text)
    }
}
