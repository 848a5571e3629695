//! `runGen`: one user command with its inputs linked and its outputs renamed.
//!
//! Owns the order of steps of `payload_runners.md` section 3. Each step lives in
//! a module of its own.

use std::path::PathBuf;

use super::fail::{Failure, Number};
use super::getopt::{self, Known, Parsed};
use super::inputs::{Inputs, link_all};
use super::place::Place;
use super::{command, encode, mention_ignored, metadata, outputs, secrets, setup, substitute};

pub(crate) const KNOWN: Known = Known {
    short: "i:o:r:j:l:p:u:a:",
    long: &[
        "sourceURL=",
        "inMap=",
        "givenPFN",
        "directIn",
        "skipInputByRetry=",
        "writeInputToTxt=",
        "allowNoOutput=",
        "execWithRealFileNames",
        "dbrFile=",
        "notExpandDBR",
        "noExpandDBR",
        "rootVer=",
        "cmtConfig=",
        "useRootCore",
        "useAthenaPackages",
        "useCMake",
        "preprocess",
        "postprocess",
        "fileToLoad=",
        "fileToSave=",
        "debug",
        "noTarballDownload",
        "ctrImage=",
    ],
    idle: &[
        "inputGUIDs=",
        "oldPrefix=",
        "newPrefix=",
        "lfcHost=",
        "envvarFile=",
        "liveLog=",
        "pilotpars",
        "enable-jem",
        "jem-config=",
        "useFileStager",
        "usePFCTurl",
        "accessmode=",
        "useMana",
        "manaVer=",
        "mergeOutput",
        "mergeType=",
        "mergeScript=",
        "dbrRun=",
    ],
    lenient: false,
};

/// Runs the whole of runGen in the job directory `job`.
pub(crate) fn main(args: &[String], job: PathBuf) -> Result<(), Failure> {
    let parsed = getopt::parse(args, &KNOWN)?;
    if let Some(word) = parsed.words.first() {
        return Err(Failure::new(Number::Argument, format!("the plain word `{word}` stands where only options can")));
    }
    mention_ignored("runGen", &parsed);
    let place = Place::new(job, parsed.value("r").unwrap_or("."))?;
    let map = parsed.value("o").map(|text| encode::map("-o", text)).transpose()?.unwrap_or_default();
    let pre = parsed.has("preprocess");
    if pre && parsed.has("postprocess") {
        return Err(Failure::new(Number::Argument, "--preprocess and --postprocess exclude each other"));
    }
    if parsed.has("postprocess") {
        let names = input_names(&parsed)?;
        command::remove_script(&place);
        let result = deliver(&parsed, &place, &map, &names).and_then(|collected| collected.complete());
        clean(&parsed, &place);
        return result;
    }
    let result = run(&parsed, &place, &map, pre);
    if !(pre && result.is_ok()) {
        clean(&parsed, &place);
        command::remove_script(&place);
    }
    result
}

fn run(parsed: &Parsed, place: &Place, map: &[(String, String)], pre: bool) -> Result<(), Failure> {
    let text = parsed.value("p").ok_or_else(|| Failure::new(Number::Argument, "the command (-p) is missing"))?;
    let text = encode::command("-p", text)?;
    setup::refuse_software(parsed)?;
    place.make_work()?;
    prepare_sandbox(parsed, place)?;
    place.make_run()?;
    let variables = secrets::take(&place.job, &place.run)?;
    let inputs = Inputs::resolve(parsed, place, pre)?;
    let image = parsed.value("ctrImage").filter(|_| !pre);
    inputs.link(place, pre || image.is_some())?;
    if let Some(file) = parsed.value("dbrFile") {
        setup::link_database_release(parsed, file, place)?;
    }
    if let Some(spec) = parsed.value("writeInputToTxt") {
        inputs.write_lists(spec, place)?;
    }
    if let Some(spec) = parsed.value("fileToLoad") {
        setup::load_file(spec, parsed.value("sourceURL"), place)?;
    }
    let line = final_command(parsed, &text, &inputs, map);
    if pre {
        return command::write_script(&line, place, &variables);
    }
    let status = match image {
        Some(image) => command::run_in_image(image, &line, place, &inputs.local, &variables)?,
        None => command::run(&line, place, &variables)?,
    };
    // Outputs are delivered even when the command failed.
    let collected = deliver(parsed, place, map, &inputs.local);
    command::judge(status)?;
    if parsed.value("fileToSave").is_some() {
        println!("runGen: --fileToSave is ignored, the server has no such method any more");
    }
    collected?.complete()
}

fn prepare_sandbox(parsed: &Parsed, place: &Place) -> Result<(), Failure> {
    let library = parsed.value("l").filter(|name| !name.is_empty());
    let sandbox = parsed.value("a").filter(|name| !name.is_empty());
    if let Some(library) = library {
        return place.unpack_library(library);
    }
    match sandbox {
        Some(name) => place.unpack_sandbox(name, parsed.value("sourceURL"), !parsed.has("noTarballDownload"), &place.work),
        None => Ok(()),
    }
}

/// The command as it is run: prefix, real names, streams, core numbers.
fn final_command(parsed: &Parsed, text: &str, inputs: &Inputs, map: &[(String, String)]) -> String {
    let mut line = match parsed.value("j") {
        Some(prefix) if !prefix.is_empty() => format!("{prefix} {text}"),
        _ => text.to_owned(),
    };
    if parsed.has("execWithRealFileNames") {
        line = substitute::real_names(&line, map);
    }
    let mut values = inputs.values();
    values.extend(substitute::core_numbers());
    substitute::substitute(&line, &values)
}

fn deliver(parsed: &Parsed, place: &Place, map: &[(String, String)], inputs: &[String]) -> Result<outputs::Collected, Failure> {
    let allowed = parsed.value("allowNoOutput").map(encode::commas).unwrap_or_default();
    // With real file names the command wrote the LFNs themselves.
    let real: Vec<(String, String)>;
    let map = if parsed.has("execWithRealFileNames") {
        real = map
            .iter()
            .map(|(name, lfn)| {
                let pattern = name.contains('*') || name.starts_with(outputs::REGEX_PREFIX);
                let source = if pattern { name } else { lfn };
                (source.clone(), lfn.clone())
            })
            .collect();
        &real
    } else {
        map
    };
    let collected = outputs::collect(&place.run, place, map, &allowed, inputs)?;
    metadata::finish(place, &collected.renamed)?;
    Ok(collected)
}

/// Input names for a post-process step, which does not look for the files.
fn input_names(parsed: &Parsed) -> Result<Vec<String>, Failure> {
    let mut names = parsed.value("i").map(|text| encode::list("-i", text)).transpose()?.unwrap_or_default();
    if let Some(text) = parsed.value("inMap") {
        names.extend(encode::map_of_lists("--inMap", text)?.into_iter().flat_map(|(_, n)| n));
    }
    Ok(names)
}

fn clean(parsed: &Parsed, place: &Place) {
    if !parsed.has("debug") {
        place.remove_work();
    }
}

/// Shared with `setup`: a file of the job directory that the command sees.
pub(crate) fn link_one(name: &str, place: &Place) -> Result<(), Failure> {
    link_all(&[name.to_owned()], place, true)
}
