//! How each backend spells types, fragments and binds.
