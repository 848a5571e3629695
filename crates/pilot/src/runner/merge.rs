//! `runMerge`: several files of one output become one.
//!
//! Owns the words after the options and the kinds of merging
//! (`payload_runners.md` section 5). The tar merge itself is in `merge_tar`.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::command::quote;
use super::fail::{Failure, Number};
use super::getopt::{self, Known, Parsed};
use super::inputs::link_all;
use super::place::{Place, copy_in, link_or_copy, plain_name};
use super::{command, encode, mention_ignored, merge_tar, outputs, secrets, setup};

const KNOWN: Known = Known {
    short: "r:j:a:l:i:o:u:",
    long: &[
        "sourceURL=",
        "libTgz=",
        "mergeSingleFile",
        "noTarballDownload",
        "parentDS=",
        "parentContainer=",
        "outDS=",
        "rootVer=",
        "cmtConfig=",
        "useRootCore",
        "useAthenaPackages",
        "useCMake",
        "preprocess",
        "postprocess",
        "debug",
        "ctrImage=",
    ],
    idle: &[
        "pilotpars",
        "oldPrefix=",
        "newPrefix=",
        "directIn",
        "lfcHost=",
        "envvarFile=",
        "inputGUIDs=",
        "usePFCTurl",
        "useFileStager",
        "accessmode=",
        "useMana",
        "manaVer=",
        "mergeType=",
        "enable-jem",
        "jem-config=",
        "dbrRun=",
    ],
    lenient: false,
};

/// One merge: inputs and the output's name.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    inputs: Vec<String>,
    output: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Log,
    User,
    Pool,
    Root,
    Text,
}

/// Runs the whole of runMerge in the job directory `job`.
pub(crate) fn main(args: &[String], job: PathBuf) -> Result<(), Failure> {
    let parsed = getopt::parse(args, &KNOWN)?;
    mention_ignored("runMerge", &parsed);
    let groups = groups(&parsed.words)?;
    setup::refuse_software(&parsed)?;
    if parsed.has("preprocess") || parsed.has("postprocess") {
        return Err(Failure::new(Number::NoContainer, "merging has no separate steps around a container; give the image with --ctrImage"));
    }
    let place = Place::new(job, parsed.value("r").unwrap_or("."))?;
    let result = merge_all(&parsed, &place, &groups);
    if !parsed.has("debug") {
        place.remove_work();
    }
    result
}

/// Words of the form `IN,IN:OUT`; others are skipped, an option ends the list.
fn groups(words: &[String]) -> Result<Vec<Group>, Failure> {
    let mut groups = Vec::new();
    for word in words.iter().take_while(|word| !word.starts_with('-')) {
        let Some((inputs, output)) = word.split_once(':').filter(|(_, out)| !out.contains(':')) else {
            println!("runMerge: `{word}` is not INPUTS:OUTPUT; it is skipped");
            continue;
        };
        let inputs = encode::commas(inputs);
        for name in &inputs {
            plain_name("the input", name)?;
        }
        plain_name("the output", output)?;
        if inputs.is_empty() {
            return Err(Failure::new(Number::NoInput, format!("no input is given for {output}")));
        }
        groups.push(Group { inputs, output: output.to_owned() });
    }
    if groups.is_empty() {
        return Err(Failure::new(Number::Argument, "nothing to merge is given (INPUT,INPUT,...:OUTPUT)"));
    }
    Ok(groups)
}

fn merge_all(parsed: &Parsed, place: &Place, groups: &[Group]) -> Result<(), Failure> {
    place.make_work()?;
    for option in ["l", "libTgz"] {
        if let Some(library) = parsed.value(option).filter(|name| !name.is_empty()) {
            place.unpack_library(library)?;
        }
    }
    if let Some(name) = parsed.value("a").filter(|name| !name.is_empty()) {
        let may_fetch = !parsed.has("noTarballDownload");
        place.unpack_sandbox(name, parsed.value("sourceURL"), may_fetch, &place.work)?;
    }
    place.make_run()?;
    let variables = secrets::take(&place.job, &place.run)?;
    let script = parsed.value("j").filter(|text| !text.is_empty()).map(|text| encode::command("-j", text)).transpose()?;
    for group in groups {
        let missing: Vec<&str> = group.inputs.iter().filter(|name| File::open(place.job.join(name)).is_err()).map(String::as_str).collect();
        if !missing.is_empty() {
            return Err(Failure::new(Number::InputUnavailable, format!("missing or unreadable input: {}", missing.join(", "))));
        }
        link_all(&group.inputs, place, parsed.has("ctrImage"))?;
        merge_one(group, script.as_deref(), parsed, place, &variables)?;
    }
    Ok(())
}

fn merge_one(group: &Group, script: Option<&str>, parsed: &Parsed, place: &Place, variables: &[(String, String)]) -> Result<(), Failure> {
    let first = group.inputs.first().map(String::as_str).unwrap_or_default();
    let kind = kind_of(first, script.is_some());
    let single = group.inputs.len() == 1 && !(kind == Kind::User && parsed.has("mergeSingleFile"));
    let to = place.run.join(&group.output);
    println!("runMerge: {} file(s) to {}", group.inputs.len(), group.output);
    if single {
        // The input may be a link into the storage: its file stays there. A log
        // is copied: a pilot may pack its own archive over that very name, and
        // would write through a hard link.
        let from = place.run.join(first);
        let made = match kind {
            Kind::Log => copy_in(&from, &to),
            _ => link_or_copy(&from, &to),
        };
        made.map_err(|error| Failure::local(format!("cannot make {}", group.output), &error))?;
        return bring_out(group, place);
    }
    match kind {
        Kind::Log | Kind::Text => {
            merge_tar::merge(&place.run, &group.inputs, &to)
                .map_err(|error| Failure::new(Number::Payload, format!("merging {} failed: {error}", group.output)))?;
        }
        Kind::Root => hadd(group, parsed.value("ctrImage"), place)?,
        Kind::Pool => {
            return Err(Failure::new(Number::Software, "merging POOL files needs ATLAS software (Merging_trf.py)"));
        }
        Kind::User => {
            let line = user_command(script.unwrap_or_default(), group);
            check_script(script.unwrap_or_default(), place)?;
            let status = match parsed.value("ctrImage") {
                Some(image) => command::run_in_image(image, &line, place, &group.inputs, variables)?,
                None => command::run(&line, place, variables)?,
            };
            command::judge(status)?;
        }
    }
    bring_out(group, place)
}

fn bring_out(group: &Group, place: &Place) -> Result<(), Failure> {
    let map = [(group.output.clone(), group.output.clone())];
    outputs::collect(&place.run, place, &map, &[], &group.inputs)?.complete()
}

/// The kind by the first input's name, in upstream's order.
fn kind_of(name: &str, user: bool) -> Kind {
    let plain = name
        .rsplit_once('.')
        .filter(|(_, tail)| !tail.is_empty() && tail.chars().all(|c| c.is_ascii_digit()))
        .map_or(name, |(head, _)| head);
    if plain.ends_with("log.tgz") {
        Kind::Log
    } else if user {
        Kind::User
    } else if plain.ends_with("pool.root") {
        Kind::Pool
    } else if plain.ends_with(".root") {
        Kind::Root
    } else {
        Kind::Text
    }
}

/// One word gets `-o OUT IN IN ...`; several get `%IN` and `%OUT`.
fn user_command(script: &str, group: &Group) -> String {
    let script = script.trim();
    if !script.contains(char::is_whitespace) {
        let inputs: Vec<String> = group.inputs.iter().map(|name| quote(name)).collect();
        return format!("{script} -o {} {}", quote(&group.output), inputs.join(" "));
    }
    let values = [("IN".to_owned(), format!("\"{}\"", group.inputs.join(","))), ("OUT".to_owned(), format!("\"{}\"", group.output))];
    super::substitute::substitute(script, &values)
}

/// A script named with a path must have come with the sandbox.
fn check_script(script: &str, place: &Place) -> Result<(), Failure> {
    let word = script.split_whitespace().next().unwrap_or_default();
    if word.contains('/') && !place.run.join(word).exists() {
        return Err(Failure::new(Number::NoScript, format!("the merge script {word} is not in the sandbox")));
    }
    Ok(())
}

fn hadd(group: &Group, image: Option<&str>, place: &Place) -> Result<(), Failure> {
    let inputs: Vec<String> = group.inputs.iter().map(|name| quote(name)).collect();
    let line = format!("hadd -f -n 5 {} {}", quote(&group.output), inputs.join(" "));
    let status = match image {
        Some(image) => command::run_in_image(image, &line, place, &group.inputs, &[])?,
        None if find_program("hadd").is_some() => command::run(&line, place, &[])?,
        None => {
            return Err(Failure::new(
                Number::NoRoot,
                "merging ROOT files needs hadd, which is not on the PATH; \
                 give --mergeScript, an image, or a queue with ROOT",
            ));
        }
    };
    match status {
        0 => Ok(()),
        code => Err(Failure::new(Number::Payload, format!("hadd failed with status {code} on {}", group.output))),
    }
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(|path: &PathBuf| Path::is_file(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn words_are_groups() {
        let found = groups(&words("a,b:o plain x:y:z c:p -l d:q")).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].inputs, ["a", "b"]);
        assert_eq!(found[1].output, "p");
        assert_eq!(groups(&words("plain")).unwrap_err().exit_code(), 201);
        assert_eq!(groups(&words(":o")).unwrap_err().exit_code(), 207);
        assert!(groups(&words("../a:o")).is_err());
    }

    #[test]
    fn kinds_by_name() {
        for (name, user, expected) in [
            ("x.log.tgz", true, Kind::Log),
            ("x.log.tgz.1", false, Kind::Log),
            ("x.root", true, Kind::User),
            ("x.pool.root.2", false, Kind::Pool),
            ("x.root", false, Kind::Root),
            ("x.root.1", false, Kind::Root),
            ("x.txt", false, Kind::Text),
            ("x.root.tgz", false, Kind::Text),
        ] {
            assert_eq!(kind_of(name, user), expected, "{name}");
        }
    }

    #[test]
    fn user_commands() {
        let group = Group { inputs: words("a b"), output: "o".to_owned() };
        assert_eq!(user_command("./m.sh", &group), "./m.sh -o o a b");
        assert_eq!(user_command("./m.sh --in %IN --out=%OUT", &group), "./m.sh --in \"a,b\" --out=\"o\"");
    }
}
