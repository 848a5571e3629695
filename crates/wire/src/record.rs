//! The macro that makes a record: a struct of optional values that are read
//! leniently, with a map for the rest.

/// Makes a struct whose named members are all optional and read leniently, with
/// a map for the rest. Known keys that came as null are remembered so that the
/// record goes back as it came.
macro_rules! record {
    ($(#[$about:meta])* $name:ident { $( $(#[$doc:meta])* $field:ident : $ty:ty = $key:literal ),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $name {
            $( $(#[$doc])* pub $field: Option<$ty>, )*
            /// Keys that this record does not know, as they came.
            pub extra: serde_json::Map<String, serde_json::Value>,
            /// Known keys that came as null (or as a text that means it).
            pub nulls: Vec<&'static str>,
        }

        impl $name {
            /// Every key that this record knows.
            pub const KEYS: &'static [&'static str] = &[$($key),*];

            /// Reads an object.
            ///
            /// # Errors
            /// The first value that cannot be read, with its key and the expected type.
            pub fn from_object(map: serde_json::Map<String, serde_json::Value>) -> Result<Self, $crate::lenient::FieldError> {
                let mut out = Self::default();
                for (key, value) in map {
                    match key.as_str() {
                        $( $key => {
                            out.$field = <$ty as $crate::lenient::Lenient>::read(value).map_err(|e| e.under($key))?;
                            if out.$field.is_none() {
                                out.nulls.push($key);
                            }
                        } )*
                        _ => { out.extra.insert(key, value); }
                    }
                }
                Ok(out)
            }

            /// Writes the object: known keys in the order of the definition, then the rest.
            #[must_use]
            pub fn to_object(&self) -> serde_json::Map<String, serde_json::Value> {
                let mut map = serde_json::Map::new();
                $( if let Some(value) = &self.$field {
                    map.insert($key.to_owned(), $crate::lenient::Lenient::write(value));
                } else if self.nulls.contains(&$key) {
                    map.insert($key.to_owned(), serde_json::Value::Null);
                } )*
                for (key, value) in &self.extra {
                    map.insert(key.clone(), value.clone());
                }
                map
            }
        }

        impl $crate::lenient::Lenient for $name {
            fn read(value: serde_json::Value) -> Result<Option<Self>, $crate::lenient::FieldError> {
                <serde_json::Map<String, serde_json::Value> as $crate::lenient::Lenient>::read(value)?
                    .map(Self::from_object)
                    .transpose()
            }

            fn write(&self) -> serde_json::Value {
                serde_json::Value::Object(self.to_object())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.to_object().serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let map = serde_json::Map::deserialize(deserializer)?;
                Self::from_object(map).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use record;
