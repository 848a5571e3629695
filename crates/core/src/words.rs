//! Enums whose values are words of PanDA: one macro writes the enum, its words and its strict parser.
//!
//! It must not know what the words mean.

/// A word that is none of the allowed ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {word:?}: expected one of {allowed}")]
pub struct UnknownWord {
    /// What was being read, for example `job state`.
    pub what: &'static str,
    /// The text that was given.
    pub word: String,
    /// The allowed words, comma separated.
    pub allowed: String,
}

/// Writes an enum of words with `ALL`, `as_str`, a strict `parse`, `Display` and `FromStr`.
macro_rules! word_enum {
    (
        $(#[$meta:meta])*
        $name:ident, $what:literal {
            $( $(#[$vmeta:meta])* $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$vmeta])* $variant, )+
        }

        impl $name {
            /// Every value, in order of declaration.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The word: what travels on the wire and stands in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }

            /// Reads the word exactly: no trimming, no change of case.
            ///
            /// # Errors
            /// The word is none of [`Self::ALL`]; the message lists them.
            pub fn parse(word: &str) -> Result<Self, $crate::UnknownWord> {
                match word {
                    $( $word => Ok(Self::$variant), )+
                    other => Err($crate::UnknownWord {
                        what: $what,
                        word: other.to_owned(),
                        allowed: [$( $word, )+].join(", "),
                    }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::parse(word)
            }
        }
    };
}
pub(crate) use word_enum;
