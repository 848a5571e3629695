//! Python literals in query strings: never a panic, and what is parsed is written and parsed again to the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use panda_wire::literal;

fuzz_target!(|text: &str| {
    if let Ok(value) = literal::parse(text) {
        let written = value.repr();
        let again = literal::parse(&written).unwrap_or_else(|error| panic!("{written:?} of {text:?}: {error}"));
        assert_eq!(again.repr(), written);
        let _ = value.to_json();
    }
    let _ = panda_wire::datetime::parse(text);
});
