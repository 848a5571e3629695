//! A job as a shell script that runs it by hand (`job/generate_offline_execution_script`): brings its inputs, its program, and starts the payload as
//! the worker does. Nothing of the server's machine is needed but what the script names: addresses and folders.

use std::{fmt::Write as _, path::Path};

use panda_access::Principal;
use panda_core::id::JobId;
use panda_store::query::{archive, job::JobRow};
use panda_wire::job_dict;
use serde_json::{Map, Value};

use super::read;
use crate::{Ops, OpsError, json as text, queue::Snapshot, storage};

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;
/// Runners that start containers themselves when told the image.
const IMAGE_RUNNERS: [&str; 4] = ["runGen", "buildGen", "runMerge", "runcontainer"];

/// The script. `days`: how long ago the job may have ended.
///
/// # Errors
/// There is no such job that the caller may see, it ended longer ago, or it has no document any more.
pub async fn script(ops: &Ops, who: &Principal, id: JobId, days: Option<i64>) -> Result<String, OpsError> {
    let job = read::row(ops, who, id).await?;
    if let (Some(days), Some(ended)) = (days, job.ended_us)
        && ops.now().0 - ended > days.max(0).saturating_mul(DAY_US)
    {
        return Err(OpsError::refused(format!("job {id} ended more than {} days ago", days.max(0))));
    }
    let (own, common) = archive::job::doc(&ops.store, id)
        .await?
        .ok_or_else(|| OpsError::NotFound(format!("job {id} has no document any more; how long it is kept is a setting (retention)")))?;
    let Ok(Value::Object(dictionary)) = serde_json::from_str(&text::join(&[&common, &own])) else {
        return Err(OpsError::Internal(format!("the document of job {id} is no JSON object")));
    };
    write(&job, &dictionary, &*ops.queues().await?).map_err(OpsError::refused)
}

fn write(job: &JobRow, d: &Map<String, Value>, queues: &Snapshot) -> Result<String, String> {
    let mut out = format!(
        "#!/bin/bash\n# Runs PanDA job {} by hand, in a new folder below the present one.\nset -euo pipefail\nmkdir 'job-{}'\ncd 'job-{}'\n",
        job.id, job.id, job.id
    );
    inputs(&mut out, d, queues);
    line(&mut out, format_args!("\n# What the payload may look at."));
    line(&mut out, format_args!("export PandaID={} PANDAID={}", job.id, job.id));
    if let Some(task) = job.task_id {
        line(&mut out, format_args!("export PanDA_TaskID={task}"));
    }
    line(&mut out, format_args!("export ATHENA_PROC_NUMBER={}", job.core_count.max(1)));
    if d.get("useSecrets").and_then(Value::as_bool) == Some(true) {
        line(&mut out, format_args!("# The job gets secrets of its owner in the file panda_secrets.json; this script has none."));
    }
    payload(&mut out, d)?;
    outputs(&mut out, d);
    Ok(out)
}

/// Copies or links what is in a folder, and says of the rest where it is.
fn inputs(out: &mut String, d: &Map<String, Value>, queues: &Snapshot) {
    let list = |key: &str| -> Vec<Option<&str>> { job_dict::split(get(d, key).unwrap_or_default()).collect() };
    let (names, scopes, endpoints, sets) = (list("inFiles"), list("scopeIn"), list("ddmEndPointIn"), list("realDatasetsIn"));
    let at = |list: &[Option<&'_ str>], i: usize| list.get(i).copied().flatten().unwrap_or_default().to_owned();
    for (i, name) in names.iter().enumerate() {
        let Some(lfn) = name else { continue };
        if i == 0 {
            line(out, format_args!("\n# Inputs."));
        }
        let (scope, endpoint) = (at(&scopes, i), at(&endpoints, i));
        let rse = queues.rses.values().find(|r| r.name == endpoint);
        match rse.filter(|r| r.root.starts_with('/')) {
            Some(rse) => {
                let path = storage::path(Path::new(&rse.root), if scope.is_empty() { "panda" } else { &scope }, lfn);
                line(out, format_args!("cp -- {} {}", quoted(&path.display().to_string()), quoted(&format!("./{lfn}"))));
            }
            None => {
                let set = at(&sets, i);
                line(out, format_args!("# {} of {} at {}", plain(lfn), plain(&set), plain(&endpoint)));
                let ask = quoted(&format!("bring {scope}:{lfn} into job-… first, then go on from here"));
                line(out, format_args!("test -e {} || {{ echo {ask} >&2; exit 1; }}", quoted(&format!("./{lfn}"))));
            }
        }
    }
}

/// The programs, in the order in which the worker starts them.
fn payload(out: &mut String, d: &Map<String, Value>) -> Result<(), String> {
    let options = d.get("containerOptions").and_then(Value::as_object);
    let option = |key: &str| options.and_then(|o| get(o, key));
    let image = option("containerImage").or_else(|| get(d, "container_name"));
    match (d.get("preprocess").and_then(Value::as_object), d.get("postprocess").and_then(Value::as_object)) {
        (Some(pre), Some(post)) => {
            let exec = option("containerExec").ok_or("the job has steps around a container but no containerExec")?;
            let image = image.ok_or("the job has steps around a container but no image")?;
            line(out, format_args!("\n# Before the payload, the payload, and after it."));
            step(out, get(pre, "command").unwrap_or_default(), get(pre, "args").unwrap_or_default(), None)?;
            line(out, format_args!("{} /bin/sh -c {}", container(image), quoted(exec)));
            step(out, get(post, "command").unwrap_or_default(), get(post, "args").unwrap_or_default(), None)
        }
        _ => {
            line(out, format_args!("\n# The payload."));
            step(out, get(d, "transformation").unwrap_or_default(), get(d, "jobPars").unwrap_or_default(), image)
        }
    }
}

fn step(out: &mut String, transformation: &str, parameters: &str, image: Option<&str>) -> Result<(), String> {
    let path = transformation.split(['?', '#']).next().unwrap_or_default();
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name.starts_with('.') || name.contains('\0') {
        return Err(format!("the job's transformation `{transformation}` names no program"));
    }
    let program = quoted(&format!("./{name}"));
    if transformation.starts_with("http://") || transformation.starts_with("https://") {
        line(out, format_args!("curl --fail --silent --show-error --location --output {program} {}", quoted(transformation)));
        line(out, format_args!("chmod +x {program}"));
    } else {
        line(out, format_args!("test -x {program} || {{ echo {} >&2; exit 1; }}", quoted(&format!("{transformation} is needed here"))));
    }
    // The worker gives the command line to a shell's rules, too.
    let parameters = parameters.replace(['\n', '\r', '\0'], " ");
    let runner = name.split('-').next().unwrap_or_default();
    match image {
        Some(image) if IMAGE_RUNNERS.contains(&runner) && !parameters.contains("--ctrImage") => {
            line(out, format_args!("{program} {} {parameters}", quoted(&format!("--ctrImage={image}"))));
        }
        Some(image) if !IMAGE_RUNNERS.contains(&runner) => line(out, format_args!("{} {program} {parameters}", container(image))),
        _ => line(out, format_args!("{program} {parameters}")),
    }
    Ok(())
}

fn container(image: &str) -> String {
    let image = if image.contains("://") || image.starts_with('/') { image.to_owned() } else { format!("docker://{image}") };
    format!("apptainer exec --bind \"$PWD\" --pwd \"$PWD\" {}", quoted(&image))
}

fn outputs(out: &mut String, d: &Map<String, Value>) {
    let log = get(d, "logFile").unwrap_or_default();
    let names: Vec<&str> = job_dict::split(get(d, "outFiles").unwrap_or_default()).flatten().filter(|n| *n != log).collect();
    if !names.is_empty() {
        line(out, format_args!("\n# What the payload should have made."));
        let names: Vec<String> = names.iter().map(|n| quoted(&format!("./{n}"))).collect();
        line(out, format_args!("ls -l {}", names.join(" ")));
    }
}

fn get<'d>(map: &'d Map<String, Value>, key: &str) -> Option<&'d str> {
    map.get(key).and_then(Value::as_str).filter(|v| !v.is_empty() && *v != job_dict::MISSING)
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{text}");
}

/// One word of a shell, whatever stands in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// For a comment: one line.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob, who};
    use panda_core::job::state::JobState;
    use panda_store::{Batch, query::job};
    use serde_json::json;

    async fn with(w: &World, doc: Value) -> JobId {
        let q = match w.ops.queue("LOCAL").await.unwrap() {
            Some(q) => q.id,
            None => w.queue("LOCAL").await,
        };
        let j = w.job(&alice(), None, q, JobState::Finished).await;
        let mut batch = Batch::new();
        job::transition::set_doc(&mut batch, j, &text::members(doc.as_object().unwrap()));
        w.ops.store.apply(batch).await.unwrap();
        j
    }

    /// The script is run, with a program that tells how it was called.
    #[tokio::test]
    async fn the_script_runs_the_job() {
        let w = World::new().await;
        let j = with(
            &w,
            json!({"transformation": "hello.sh", "jobPars": "-p \"a b\" 'it'\\''s' --x", "inFiles": "in.dat", "scopeIn": "user.alice",
                "ddmEndPointIn": "LOCAL_DISK", "realDatasetsIn": "user.alice.in", "outFiles": "out.txt,log.tgz", "logFile": "log.tgz"}),
        )
        .await;
        let stored = storage::path(&w.path("storage"), "user.alice", "in.dat");
        std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
        std::fs::write(&stored, "payload data").unwrap();
        let script = script(&w.ops, &bob(), j, None).await.unwrap();
        let home = w.path("by hand");
        std::fs::create_dir_all(&home).unwrap();
        // A program that is no address has to be brought by hand.
        let folder = format!("mkdir 'job-{j}'\n");
        assert!(script.contains(&folder));
        let script = script.replace(&folder, &format!("{folder}cp -p hello.sh 'job-{j}'/\n"));
        std::fs::write(home.join("hello.sh"), "#!/bin/sh\ncp in.dat out.txt\nprintf '[%s]' \"$@\" \"$PandaID\" >> out.txt\n").unwrap();
        std::fs::write(home.join("job.sh"), &script).unwrap();
        let run = |program: &str, args: &[&str]| std::process::Command::new(program).args(args).current_dir(&home).output().unwrap();
        assert!(run("chmod", &["+x", "hello.sh"]).status.success());
        let ran = run("bash", &["job.sh"]);
        assert!(ran.status.success(), "{}\n{}", String::from_utf8_lossy(&ran.stderr), script);
        let made = std::fs::read_to_string(home.join(format!("job-{j}/out.txt"))).unwrap();
        assert_eq!(made, format!("payload data[-p][a b][it's][--x][{j}]"));
    }

    #[tokio::test]
    async fn names_are_words_and_images_are_told() {
        let w = World::new().await;
        let j = with(
            &w,
            json!({"transformation": "http://h/trf/user/runGen-00-00-02", "jobPars": "-p x\nrm -rf y", "container_name": "alma:9",
                "inFiles": "a'b;c", "scopeIn": "s", "ddmEndPointIn": "FAR"}),
        )
        .await;
        let text = script(&w.ops, &alice(), j, Some(1)).await.unwrap();
        assert!(text.contains("'./runGen-00-00-02' '--ctrImage=alma:9' -p x rm -rf y\n"), "{text}");
        assert!(text.contains(r"test -e './a'\''b;c' ||"), "{text}");
        let j = with(&w, json!({"transformation": "http://h/own.py", "container_name": "alma:9", "jobPars": "x"})).await;
        let text = script(&w.ops, &alice(), j, None).await.unwrap();
        assert!(text.contains("apptainer exec --bind \"$PWD\" --pwd \"$PWD\" 'docker://alma:9' './own.py' x\n"), "{text}");
    }

    #[tokio::test]
    async fn jobs_of_others_and_old_ones_have_no_script() {
        let w = World::new().await;
        let j = with(&w, json!({"transformation": "x"})).await;
        let eve = Principal { vo: Some("flint".into()), groups: vec!["flint".into()], ..who("eve", &[]) };
        assert!(matches!(script(&w.ops, &eve, j, None).await, Err(OpsError::NotFound(_))));
        w.pass(3 * 86_400);
        assert!(script(&w.ops, &alice(), j, Some(4)).await.is_ok());
        let e = script(&w.ops, &alice(), j, Some(2)).await.unwrap_err().to_string();
        assert_eq!(e, format!("job {j} ended more than 2 days ago"));
        let nothing = with(&w, json!({"transformation": "http://h/"})).await;
        assert!(script(&w.ops, &alice(), nothing, None).await.is_ok(), "h is a name");
        let nothing = with(&w, json!({"jobPars": "x"})).await;
        assert!(script(&w.ops, &alice(), nothing, None).await.unwrap_err().to_string().contains("names no program"));
    }
}
