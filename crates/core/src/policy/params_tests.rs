//! The worked examples of `spec/payload_runners.md` section 11, from the recorded submissions, and properties of the texts.

use super::*;
use crate::policy::text::{fill, repr};
use proptest::prelude::*;

const TASK: i64 = 10_000_101;
const SURL: &str = "http://127.0.0.1:35080";

fn words(serial: i64) -> JobWords<'static> {
    JobWords { task: TASK, job: 1_000_005_001, serial, source_url: SURL, ..JobWords::default() }
}

fn values(streams: &[(&str, &[&str])]) -> Values {
    let mut values = Values::default();
    for (stream, lfns) in streams {
        values.streams.insert((*stream).to_owned(), lfns.iter().map(|lfn| (*lfn).to_owned()).collect());
    }
    values
}

const HEAD: [Part<'static>; 3] = [Part::new("-j \"\" --sourceURL ${SURL}"), Part::new("-r ."), Part::hidden("__delimiter__")];

fn with_head(parts: &[Part<'static>]) -> String {
    template(&[&HEAD, parts].concat())
}

#[test]
fn a_no_build() {
    let text = with_head(&[
        Part::new("-a jobO.1.tar.gz"),
        Part::tight("-p \""),
        Part::tight("echo%20hello%20"),
        Part::tight("${SEQNUMBER}"),
        Part::tight(""),
        Part::new("\""),
    ]);
    let first = JobWords { sequence: Some(101), ..words(1) };
    assert_eq!(
        finished(&text, &first, Values::default()).unwrap(),
        "-j \"\" --sourceURL http://127.0.0.1:35080 -r . -a jobO.1.tar.gz -p \"echo%20hello%20101\""
    );
}

#[test]
fn b_build_and_run() {
    let mut build = Values::default();
    for (key, value) in [("IN", "sources.1.tar.gz"), ("OUT", "x.lib.tgz"), ("SURL", SURL)] {
        build.words.insert(key.into(), value.into());
    }
    assert_eq!(
        fill("-i ${IN} -o ${OUT} --sourceURL ${SURL} -r . --bexec \"make\" ", &build).unwrap(),
        "-i sources.1.tar.gz -o x.lib.tgz --sourceURL http://127.0.0.1:35080 -r . --bexec \"make\" "
    );
    let text = with_head(&[
        Part::new("-l ${LIB}"),
        Part::tight("-p \""),
        Part::tight("./run.sh%20"),
        Part::tight("${SEQNUMBER}"),
        Part::new("\""),
    ]);
    let run = JobWords { sequence: Some(11), library: Some("x.lib.tgz"), ..words(1) };
    assert_eq!(
        finished(&text, &run, Values::default()).unwrap(),
        "-j \"\" --sourceURL http://127.0.0.1:35080 -r . -l x.lib.tgz -p \"./run.sh%2011\""
    );
    let missing = finished(&text, &JobWords { library: None, ..run }, Values::default()).unwrap_err();
    assert!(missing.to_string().contains("${LIB}"), "{missing}");
}

#[test]
fn c_input_and_output() {
    let text = with_head(&[
        Part::new("-a jobO.1.tar.gz"),
        Part::hidden("user.alice.$JEDITASKID._${SN/P}.out.root"),
        Part::new("-o \"{'out.root': 'user.alice.$JEDITASKID._${SN/P}.out.root'}\""),
        Part::new("-i \"${IN/T}\""),
        Part::tight("-p \""),
        Part::tight("./run.sh%20%25IN"),
        Part::new("\""),
    ]);
    let input = values(&[("IN", &["f1", "f2", "f3", "f4", "f5"])]);
    assert_eq!(
        finished(&text, &words(1), input).unwrap(),
        "-j \"\" --sourceURL http://127.0.0.1:35080 -r . -a jobO.1.tar.gz -o \"{'out.root': 'user.alice.10000101._000001.out.root'}\" \
         -i \"['f1', 'f2', 'f3', 'f4', 'f5']\" -p \"./run.sh%20%25IN\""
    );
    assert_eq!(stream_of("-i \"${IN/T}\""), Some("IN"));
    assert_eq!(stream_of("${IN2}"), Some("IN2"));
    assert_eq!(stream_of("plain"), None);
}

#[test]
fn d_pre_merge_and_merge() {
    let outputs =
        "-o \"{'out.root': 'user.alice.$JEDITASKID._${SN/P}.out.root', 'hist*.root': 'user.alice.$JEDITASKID._${SN/P}.histXYZ.root.tgz'}\"";
    let text = finished(&with_head(&[Part::new(outputs), Part::new("-p \"./run.sh\"")]), &words(1), Values::default()).unwrap();
    let finals = ["user.alice.10000101._000001.out.root", "user.alice.10000101._000001.histXYZ.root.tgz"];
    assert_eq!(
        pre_merge_text(&text, &finals),
        "-j \"\" --sourceURL http://127.0.0.1:35080 -r . -o \"{'out.root': 'panda.um.user.alice.10000101._000001.out.root', \
         'hist*.root': 'panda.um.user.alice.10000101._000001.histXYZ.root.tgz'}\" -p \"./run.sh\""
    );
    let um = |serial: i64, bytes| PreMerged { lfn: format!("panda.um.user.alice.{TASK}._{serial:06}.out.root"), bytes };
    let log = |serial: i64| PreMerged { lfn: format!("panda.um.log{serial}"), bytes: 5 };
    let mut merge = values(&[]);
    merge.words.insert("SURL".into(), SURL.into());
    merge.words.insert("TRN_OUTPUT:OUTPUT".into(), merge_word(&[um(2, 7), um(1, 7)], finals[0]).unwrap());
    merge.words.insert("TRN_LOG:LOG".into(), merge_word(&[log(1), log(2)], "user.alice.test.log.10000101.000001.log.tgz").unwrap());
    assert_eq!(
        fill("-r . -a jobO.1.tar.gz --sourceURL ${SURL} ${TRN_OUTPUT:OUTPUT} ${TRN_LOG:LOG}", &merge).unwrap(),
        "-r . -a jobO.1.tar.gz --sourceURL http://127.0.0.1:35080 \
         panda.um.user.alice.10000101._000001.out.root,panda.um.user.alice.10000101._000002.out.root:user.alice.10000101._000001.out.root \
         panda.um.log1,panda.um.log2:user.alice.test.log.10000101.000001.log.tgz"
    );
    assert_eq!(merge_word(&[], finals[0]), None);
    assert_eq!(merge_word(&[um(1, 1), um(2, 9)], "x").unwrap().split(',').next(), Some("panda.um.user.alice.10000101._000002.out.root"));
}

#[test]
fn names_that_begin_alike_are_replaced_once() {
    assert_eq!(
        pre_merge_text("a.out a.out.tgz panda.um.a.out", &["a.out", "a.out.tgz"]),
        "panda.um.a.out panda.um.a.out.tgz panda.um.a.out"
    );
}

#[test]
fn j_secondary() {
    let text = with_head(&[
        Part::new("-i \"${IN/T}\""),
        Part::tight("-p \""),
        Part::tight("./run.sh%20%25IN%20%25IN2"),
        Part::new("\""),
        Part::hidden("${IN2}"),
        Part::new("--inMap \"{'IN': ${IN/T}, 'IN2': ${IN2/T}}\""),
    ]);
    let input = values(&[("IN", &["m1"]), ("IN2", &["s1", "s2"])]);
    assert_eq!(
        finished(&text, &words(1), input).unwrap(),
        "-j \"\" --sourceURL http://127.0.0.1:35080 -r . -i \"['m1']\" -p \"./run.sh%20%25IN%20%25IN2\" --inMap \"{'IN': ['m1'], 'IN2': ['s1', 's2']}\""
    );
}

#[test]
fn k_addresses() {
    let text = with_head(&[
        Part::new("-i \"${IN/T}\""),
        Part::tight("-p \""),
        Part::tight("./run.sh%20%25IN"),
        Part::new("\""),
        Part::new("--givenPFN "),
    ]);
    let (address, events) = pfn("root://a//b/c^25");
    assert_eq!((address, events), ("root://a//b/c", Some(25)));
    assert_eq!(pfn("root://a//b/d"), ("root://a//b/d", None));
    assert_eq!(
        finished(&text, &words(1), values(&[("IN", &[address])])).unwrap(),
        "-j \"\" --sourceURL http://127.0.0.1:35080 -r . -i \"['root://a//b/c']\" -p \"./run.sh%20%25IN\" --givenPFN "
    );
}

#[test]
fn small_words() {
    assert_eq!(output_template("--outputHitsFile='x.$JEDITASKID.${SN}.pool'"), "x.$JEDITASKID.${SN}.pool");
    assert_eq!(output_template("regex|^a=b$"), "regex|^a=b$");
    assert_eq!(ordered(vec!["b".into(), "a".into(), "b".into()]), ["a", "b"]);
    let text = "${SN} ${SN/P} ${MAXEVENTS} ${SKIPEVENTS} ${FIRSTEVENT} ${ATTEMPTNR} $PANDAID $JOBSETID";
    let job = JobWords { skip_events: 20, first_event: 21, attempt: 2, ..words(7) };
    assert_eq!(finished(text, &job, Values::default()).unwrap(), "7 000007 -1 20 21 2 1000005001 10000101");
}

/// Reads a Python string literal back, as a runner does.
fn unrepr(literal: &str) -> String {
    let inner: Vec<char> = literal[1..literal.len() - 1].chars().collect();
    let mut out = String::new();
    let mut at = 0;
    while at < inner.len() {
        if inner[at] != '\\' {
            out.push(inner[at]);
            at += 1;
            continue;
        }
        let (value, used) = match inner[at + 1] {
            'n' => ('\n', 2),
            'r' => ('\r', 2),
            't' => ('\t', 2),
            'x' => (char::from_u32(u32::from_str_radix(&inner[at + 2..at + 4].iter().collect::<String>(), 16).unwrap()).unwrap(), 4),
            other => (other, 2),
        };
        out.push(value);
        at += used;
    }
    out
}

proptest! {
    #[test]
    fn literals_read_back(text in any::<String>()) {
        let literal = repr(&text);
        prop_assert!(literal.chars().all(|c| !c.is_control()));
        prop_assert_eq!(unrepr(&literal), text);
    }

    #[test]
    fn any_text_is_filled_or_refused(text in "[a-zA-Z0-9$\\{\\}/\\[\\]:,. %|]{0,40}") {
        let input = values(&[("IN", &["f1", "f2"]), ("A", &[])]);
        if let Ok(done) = finished(&text, &words(1), input) {
            prop_assert_eq!(done.find("${"), None);
        }
    }

    #[test]
    fn text_without_placeholders_stays(text in "[a-zA-Z0-9 '\"%\\\\|^.-]{0,60}") {
        prop_assert_eq!(finished(&text, &words(1), Values::default()).unwrap(), text);
    }

    #[test]
    fn every_stream_of_plain_names_survives(names in prop::collection::vec("[a-z]{1,4}\\._[0-9]{3}\\.root", 1..8)) {
        let names = ordered(names);
        let mut v = Values::default();
        v.streams.insert("IN".into(), names.clone());
        prop_assert_eq!(fill("${IN/L}", &v).unwrap(), names.join(","));
        prop_assert_eq!(fill("${IN/L/S}", &v).unwrap(), names.join(" "));
        let list = fill("${IN/T}", &v).unwrap();
        prop_assert_eq!(list, format!("[{}]", names.iter().map(|n| format!("'{n}'")).collect::<Vec<_>>().join(", ")));
        let compact = fill("${IN}", &v).unwrap();
        prop_assert!(compact == names.join(",") || compact.contains('[') || names.len() == 1);
    }
}
