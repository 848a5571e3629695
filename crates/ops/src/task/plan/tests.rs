#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use panda_core::policy::split::{
    Boundary, Reuse, Take, Walltime,
    limits::{Output as MaxOutput, Site},
};
use serde_json::{Value, json};

/// A task without input.
fn base() -> Value {
    json!({
        "taskName": "user.alice.t", "noInput": true, "nEvents": 4, "nEventsPerJob": 1,
        "jobParameters": [{"type": "constant", "value": "-p x"}],
    })
}

/// The same over an input; `item` is merged over the item.
fn over_input(item: &Value, params: &Value) -> Value {
    let mut input = json!({"type": "template", "param_type": "input", "value": "-i ${IN/T}", "dataset": "user.bob.in"});
    input.as_object_mut().unwrap().extend(item.as_object().cloned().unwrap_or_default());
    let mut task = json!({"taskName": "user.alice.t", "jobParameters": [input]});
    task.as_object_mut().unwrap().extend(params.as_object().cloned().unwrap_or_default());
    task
}

fn plan(params: Value) -> Result<Plan, PlanError> {
    Plan::of(&TaskParameters::from_value(params).unwrap(), &Adjust::default())
}

fn with(params: &Value) -> Plan {
    let mut task = base();
    task.as_object_mut().unwrap().extend(params.as_object().cloned().unwrap());
    plan(task).unwrap()
}

fn files(params: &Value) -> Plan {
    plan(over_input(&json!({}), params)).unwrap()
}

#[test]
fn defaults_of_the_refiner() {
    // engine.md 5.2: coreCount 1, walltime 0, ramCount 2000 MB/core, cpuEfficiency 90, baseWalltime 600, 3 attempts, goal not given.
    let p = with(&json!({}));
    assert_eq!((p.cores, p.walltime_s, p.ram_mb, p.max_attempt, p.max_failure), (1, 0, 2_000, 3, None));
    assert_eq!((p.estimate.cpu_efficiency, p.estimate.base_walltime_s, p.behaviour.goal_permille), (90, 600, None));
    assert_eq!((p.split.max_output_bytes, p.limits.max_files, p.merge_limits.max_files), (10_000_000_000, 200, 50));
    assert_eq!(with(&json!({"coreCount": 8})).ram_mb, 16_000);
}

#[test]
fn memory_by_core_and_base() {
    let ram = |params: Value| with(&params).ram_mb;
    assert_eq!(ram(json!({"coreCount": 4, "ramCount": 1000, "ramCountUnit": "MBPerCore"})), 4_000);
    assert_eq!(ram(json!({"coreCount": 4, "ramCount": 1000, "ramUnit": "MBPerCoreFixed", "baseRamCount": 300})), 4_300);
    assert_eq!(ram(json!({"coreCount": 4, "ramCount": 1000, "ramUnit": "MB", "baseRamCount": 300})), 1_300);
    assert!(with(&json!({"ramCount": 1, "ramUnit": "MBPerCoreFixed"})).needs.ram.fixed);
}

#[test]
fn goals_are_per_mille() {
    let goal = |g: Value| with(&json!({"goal": g})).behaviour.goal_permille;
    assert_eq!((goal(json!(95.5)), goal(json!("50")), goal(json!(101)), goal(json!(null))), (Some(955), Some(500), None, None));
}

#[test]
fn attempts() {
    assert_eq!(with(&json!({"maxAttempt": 0})).max_attempt, 3, "a falsy maxAttempt counts as not given (engine.md 5.2)");
    let p = with(&json!({"maxAttempt": 7, "disableAutoRetry": 1, "maxFailure": 2}));
    assert_eq!((p.max_attempt, p.max_failure, p.behaviour.no_auto_retry), (1, Some(2), true));
}

#[test]
fn events_cut_files_or_put_them_together() {
    // engine.md 5.2: NF from nEventsPerJob/nEventsPerInputFile when that is larger; 5.3: rows of nEventsPerJob otherwise.
    let p = files(&json!({"nEventsPerJob": 1000, "nEventsPerInputFile": 250}));
    assert_eq!((p.limits.files, p.cut, p.events_of(Some(9))), (Some(4), Cut::No, Some(250)));
    let p = files(&json!({"nEventsPerJob": 100, "nEventsPerFile": 250}));
    assert_eq!((p.limits.files, p.limits.events, p.cut), (None, Some(100), Cut::Every(100)));
    let p = files(&json!({"tgtNumEventsPerJob": 100}));
    assert_eq!((p.limits.events, p.cut), (Some(100), Cut::Target(100)));
    let p = files(&json!({"nFilesPerJob": 2, "nEventsPerJob": 100}));
    assert_eq!((p.limits.files, p.cut), (Some(2), Cut::No));
    let p = files(&json!({"nEventsPerFile": 250, "useRealNumEvents": true}));
    assert_eq!((p.events_of(Some(9)), p.events_of(None)), (Some(9), Some(250)));
}

#[test]
fn secondary_inputs() {
    let secondary = |item: Value| {
        let mut task = over_input(&json!({}), &json!({}));
        let mut second = json!({"type": "template", "param_type": "input", "value": "${IN2}", "dataset": "user.bob.two", "hidden": true});
        second.as_object_mut().unwrap().extend(item.as_object().cloned().unwrap());
        task["jobParameters"].as_array_mut().unwrap().push(second);
        plan(task).map(|p| p.inputs[1].clone())
    };
    let take = |item| secondary(item).map(|i| (i.take, i.reuse)).unwrap();
    assert_eq!(take(json!({})), (Take::Ratio(1.0), Reuse::Never));
    assert_eq!(take(json!({"ratio": 0.5, "reusable": true})), (Take::Ratio(0.5), Reuse::Restart));
    assert_eq!(take(json!({"nFilesPerJob": 2, "attributes": "repeat"})), (Take::PerJob(2), Reuse::Wrap));
    assert_eq!(take(json!({"attributes": "nosplit"})), (Take::Whole, Reuse::Never));
    let more = secondary(json!({"eventRatio": 0.25, "random": true, "offset": 3})).unwrap();
    assert_eq!((more.take, more.random, more.offset, more.master), (Take::EventRatio(0.25), true, 3, false));
    assert_eq!(secondary(json!({"ratio": -1})).unwrap_err().to_string(), "parameter `jobParameters.ratio`: is -1; give a number above 0");
}

#[test]
fn boundaries() {
    // engine.md 6.1, GB semantics.
    for (gb, boundary, mapped) in
        [(1, Boundary::Apart, false), (2, Boundary::Apart, true), (3, Boundary::Exactly, false), (4, Boundary::Exactly, true)]
    {
        let s = files(&json!({"groupBoundaryID": gb})).split;
        assert_eq!((s.boundary, s.output_by_boundary), (boundary, mapped), "{gb}");
    }
}

#[test]
fn what_grows_with_the_input() {
    // engine.md 6.1: baseWalltime + gradient*events/(cores*corepower*efficiency); limit = min(MW, the queue's).
    let p = files(&json!({"cpuTime": 9, "cpuTimeUnit": "HS06sPerEvent", "coreCount": 2, "maxWalltime": 1, "outDiskCount": 500,
        "outDiskUnit": "kBPerEvent", "workDiskCount": 700, "workDiskUnit": "MB"}));
    let site = Site { max_time_s: 7_200, max_workdir_mb: 9_000, cores: 2, core_power_milli: 10_000, direct_io: false };
    let rules = p.rules(&site, false);
    assert_eq!(rules.walltime, Some(Walltime { base_s: 600, per_event_ms: 500, per_mb_ms: 0, max_s: 3_600 }));
    assert_eq!((rules.out_kb_per_event, rules.out_kb_per_mb, rules.disk.unwrap().work_mb, p.disk_mb), (500, 0, 700, 700));
    assert_eq!(p.rules(&Site::default(), false).disk, None);
    assert_eq!(files(&json!({"cpuTime": 9000, "cpuTimeUnit": "mHS06sPerEvent"})).estimate.cpu, p.estimate.cpu);
    let p = files(&json!({"walltime": 2, "walltimeUnit": "sPerMB"}));
    assert_eq!((p.rules(&site, false).walltime.unwrap().per_mb_ms, p.walltime_s), (2_000, 0));
    assert_eq!(files(&json!({"walltime": -3600})).walltime_s, 3_600, "clients write the limit as a negative number");
    assert_eq!(files(&json!({"tgtMaxOutputForNG": 3})).rules(&site, false).output, Some(MaxOutput::Estimated(3_000_000_000)));
}

#[test]
fn hardware_as_text_and_as_object() {
    let hardware = |a: Value| with(&json!({"architecture": a})).needs.hardware;
    let text = hardware(json!("x86_64-el9-gcc13-opt@el9#x86_64-*-avx2&nvidia-a100"));
    assert_eq!((text.platform.as_deref(), text.base_platform.as_deref()), (Some("x86_64-el9-gcc13-opt"), Some("el9")));
    assert_eq!(text.cpus, [CpuSpec { arch: Some("x86_64".into()), vendor: None, instr: Some("avx2".into()) }]);
    let gpu = GpuSpec { vendor: Some("nvidia".into()), model: Some("a100".into()), count: 1, ..GpuSpec::default() };
    assert_eq!(text.gpu, Some(gpu.clone()));
    let object = hardware(json!({"sw_platform": "x86_64-el9-gcc13-opt", "base_platform": "el9",
        "cpu_specs": [{"arch": "x86_64", "vendor": "*", "instr": "avx2"}], "gpu_spec": {"vendor": "nvidia", "model": "a100"}}));
    assert_eq!(object, text);
    for none in [json!(""), json!(null), json!("@"), json!({})] {
        assert_eq!(hardware(none.clone()), Hardware::default(), "{none}");
    }
    assert_eq!(hardware(json!("x86_64-el9-gcc13-opt")).cpus, [], "a platform alone is about software");
}

#[test]
fn what_the_engine_changed_comes_on_top() {
    let task = TaskParameters::from_value(over_input(
        &json!({}),
        &json!({"nGBPerJob": 5, "ramCount": 2000, "ramUnit": "MBPerCore", "coreCount": 2}),
    ))
    .unwrap();
    let adjust = Adjust { ram_mb: Some(3_000), max_files: Some(10), max_bytes: Some(1_000), ..Adjust::default() };
    assert_eq!(adjust.to_text(), r#"{"ram_mb":3000,"max_files":10,"max_bytes":1000}"#);
    assert_eq!(Adjust::parse(Some(&adjust.to_text())), Ok(adjust.clone()));
    let p = Plan::of(&task, &adjust).unwrap();
    assert_eq!((p.ram_mb, p.limits.max_files, p.limits.bytes), (6_000, 10, Some(1_000)));
    let less = Adjust { ram_mb: Some(1_000), max_files: Some(500), max_bytes: Some(i64::MAX), ..Adjust::default() };
    assert_eq!(Plan::of(&task, &less).unwrap(), Plan::of(&task, &Adjust::default()).unwrap(), "it only makes more memory and less input");
    assert_eq!((Adjust::parse(None), Adjust::default().to_text().as_str()), (Ok(Adjust::default()), "{}"));
}

#[test]
fn defaults_of_a_vo_and_label() {
    use panda_core::setting::{Values, task};
    let key = |name: &str| (name.to_owned(), "amber".to_owned(), "user".to_owned());
    let given = [(key(task::ATTEMPTS.name), "7".to_owned()), (key(task::RAM_MB.name), "1500".to_owned())];
    let adjust = Adjust::of_defaults(&Values::new(given).0, "amber", "user");
    assert_eq!(Adjust::of_defaults(&Values::default(), "amber", "user"), Adjust::default());
    let of = |more: Value| {
        let mut task = base();
        task.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let p = Plan::of(&TaskParameters::from_value(task).unwrap(), &adjust).unwrap();
        (p.max_attempt, p.ram_mb)
    };
    assert_eq!(of(json!({"coreCount": 2})), (7, 3_000));
    assert_eq!(of(json!({"maxAttempt": 2, "ramCount": 900})), (2, 900), "what the task says goes before");
    assert_eq!(of(json!({"disableAutoRetry": 1})).0, 1);
}

#[test]
fn merge_jobs_have_needs_of_their_own() {
    let merge = |more: Value| {
        let mut task = base();
        task.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        task["mergeOutput"] = true.into();
        task["mergeSpec"] = json!({"jobParameters": "${TRN_OUTPUT:OUTPUT}"});
        let out = json!({"type": "template", "param_type": "output", "value": "o.${SN}", "dataset": "user.alice.o/"});
        task["jobParameters"].as_array_mut().unwrap().push(out);
        plan(task).unwrap().merge.unwrap()
    };
    let m = merge(json!({"coreCount": 8}));
    assert_eq!((m.cores, m.ram_mb, m.runner.as_str()), (8, 16_000, MERGE_RUNNER));
    let m = merge(json!({"coreCount": 8, "mergeCoreCount": 1, "mergeRamCount": 3000}));
    assert_eq!((m.cores, m.ram_mb), (1, 3_000));
}

/// Every refusal: the parameters, and the sentence.
#[test]
fn refusals_name_the_parameter() {
    let table = [
        (json!({"taskName": ""}), "parameter `taskName`: is missing; give the task a name"),
        (json!({"maxAttempt": 51}), "parameter `maxAttempt`: is 51, at most 50 are possible"),
        (json!({"nEvents": 300_000}), "parameter `nEvents`: makes 300000 jobs, at most 200000 are possible; use more events a job"),
        (json!({"nFilesPerJob": 1001}), "parameter `nFilesPerJob`: is 1001; a job has at most 1000 files (`spec` of pilots)"),
        (json!({"nGBPerJob": -1}), "parameter `nGBPerJob`: is -1; give a number above 0"),
        (json!({"coreCount": -1}), "parameter `coreCount`: is -1; give 0 or more"),
        (json!({"coreCount": 8, "maxCoreCount": 4}), "parameter `maxCoreCount`: is 4, but `coreCount` asks for 8"),
        (json!({"orderInputBy": "size"}), "parameter `orderInputBy`: is `size`; only `eventsAlignment` is known"),
        (json!({"skipFilesUsedBy": "12,x"}), "parameter `skipFilesUsedBy`: holds `x`; give numbers of tasks"),
        (json!({"groupBoundaryID": 5}), "parameter `groupBoundaryID`: is 5; give 1 to 4"),
        (json!({"goal": -5}), "parameter `goal`: is -5; give per cent, 0 to 100"),
        (json!({"scoutSuccessRate": 101}), "parameter `scoutSuccessRate`: is 101; give per cent, 0 to 100"),
        (
            json!({"site": "A", "excludedSite": ["A"]}),
            "parameter `excludedSite`: names A, which the task asks for as well; leave it out of one of them",
        ),
        (
            json!({"architecture": {"gpus": 1}}),
            "parameter `architecture`: has an unknown member `gpus` in the object; known are sw_platform, base_platform, cpu_specs, gpu_spec",
        ),
        (json!({"architecture": {"gpu_spec": {"count": 0}}}), "parameter `architecture`: `count` is 0; give a whole number above 0"),
        (
            json!({"mergeOutput": true}),
            "parameter `mergeSpec`: has no `jobParameters`, but `mergeOutput` is set; say how outputs are merged",
        ),
        (json!({"buildSpec": {}}), "parameter `buildSpec`: names no `archiveName`; upload the sources and name them"),
        (
            json!({"noInput": false}),
            "parameter `noInput`: is not set and no item of `jobParameters` is an input; name a data set or set `noInput`",
        ),
    ];
    for (params, sentence) in table {
        let mut task = base();
        task.as_object_mut().unwrap().extend(params.as_object().cloned().unwrap());
        assert_eq!(plan(task).unwrap_err().to_string(), sentence, "{params}");
    }
}

/// What the unmodified clients send (recorded) is understood.
#[test]
fn every_recorded_submission_is_a_plan() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../wire/tests/fixtures/taskparams");
    let mut n = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let body: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        match Plan::accept(&TaskParameters::from_value(body["task_parameters"].clone()).unwrap(), &Adjust::default()) {
            Ok(accepted) => assert_eq!(accepted.notes, Vec::<String>::new(), "{}", path.display()),
            Err(e) => panic!("{}: {e}", path.display()),
        }
        n += 1;
    }
    assert!(n >= 24, "{n}");
}

fn accept(more: &Value) -> Result<Vec<String>, String> {
    let mut task = base();
    task.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    Plan::accept(&TaskParameters::from_value(task).unwrap(), &Adjust::default()).map(|a| a.notes).map_err(|e| e.to_string())
}

/// `spec/engine.md` 5.2, 6.2: each parameter is in one of the tables, and does what its row says.
#[test]
fn every_parameter_does_what_its_row_says() {
    use panda_core::policy::rules::{Here, Kind, PARAMETERS, RULES};
    let mut known: Vec<&str> = RULES.iter().flat_map(|r| r.parameters.iter().copied()).chain(PARAMETERS.iter().map(|p| p.key)).collect();
    let mut own = TaskParameters::KEYS.to_vec();
    known.sort_unstable();
    own.sort_unstable();
    assert_eq!(known, own, "the language and the tables name the same parameters");
    for rule in RULES {
        let sample = match rule.kind {
            Kind::Flag => json!(true),
            Kind::Int(least, _) if least < 1 => json!(2),
            Kind::Int(least, _) => json!(least),
            Kind::Number => json!(2.5),
            Kind::Text => json!("name"),
            Kind::Words(words) => json!(words[words.len() - 1].0),
            Kind::Present(_) => continue,
        };
        for key in rule.parameters {
            let text = accept(&json!({*key: sample})).err().unwrap_or_default();
            match rule.here {
                Here::No(why) => {
                    assert_eq!(text, format!("parameter `{key}`: (split rule {}) has no effect here: {why}", rule.code));
                }
                Here::HarmlessAs(..) => assert!(text.contains(&format!("(split rule {}) as `", rule.code)), "{key}: {text}"),
                Here::With(other) => {
                    assert_eq!(
                        text,
                        format!("parameter `{key}`: (split rule {}) counts only together with `{other}`; leave it out", rule.code)
                    );
                }
                _ => assert!(!text.contains("has no effect"), "{key}: {text}"),
            }
            for falsy in [json!(null), json!(false), json!(0), json!("")] {
                let text = accept(&json!({*key: falsy})).err().unwrap_or_default();
                assert!(!text.contains("has no effect"), "{key} {falsy}: {text}");
            }
        }
    }
}

#[test]
fn misspelled_names_are_refused_and_strange_ones_told() {
    assert_eq!(accept(&json!({"nFilePerJob": 2})).unwrap_err(), "parameter `nFilePerJob`: is not known; did you mean `nFilesPerJob`?");
    assert_eq!(accept(&json!({"Site": "A"})).unwrap_err(), "parameter `Site`: is not known; did you mean `site`?");
    assert_eq!(accept(&json!({"flavour": "x"})).unwrap(), ["parameter `flavour` is not known here and is kept without effect"]);
    let two = accept(&json!({"flavour": "x", "colour": 1})).unwrap();
    assert_eq!(two, ["parameters `flavour`, `colour` are not known here and are kept without effect"]);
    assert_eq!(accept(&json!({"dsForIN": "a", "dsForIN2": "b"})).unwrap(), Vec::<String>::new());
}

#[test]
fn the_rules_of_a_task_as_text_and_by_name() {
    let rules = |params: Value, adjust: &Adjust| language::split_rules(&TaskParameters::from_value(params).unwrap(), adjust);
    let params = json!({"nFilesPerJob": 2, "nMaxFilesPerJob": "200", "nGBPerJob": 5, "useLocalIO": 1, "excludedSite": ["A"], "skipScout": false,
        "respectSplitRule": true, "buildSpec": {"archiveName": "x"}, "altStageOut": "off"});
    let own = rules(params.clone(), &Adjust::default());
    let text = panda_core::policy::rules::text(&own);
    assert_eq!(text, "AT=2,LI=1,LS=2,MF=200,NF=2,NG=5,RR=1,UB=1");
    assert_eq!(panda_core::policy::rules::parse(&text), Ok(own.clone()));
    let named = json!({"altStageOut": "off", "useLocalIO": true, "limitedSites": 2, "nMaxFilesPerJob": 200, "nFilesPerJob": 2, "nGBPerJob": 5,
        "respectSplitRule": true, "buildSpec": true});
    assert_eq!(Value::Object(language::decoded(&own)), named);
    let smaller = Adjust {
        max_files: Some(10),
        max_bytes: Some(500_000_000),
        first_files: Some(20),
        first_bytes: Some(1_000_000_000),
        ..Adjust::default()
    };
    let text = panda_core::policy::rules::text(&rules(params, &smaller));
    assert_eq!(text, "AT=2,LI=1,LS=2,MF=10,NF=2,NG=0.5,RM=20:1000000000,RR=1,UB=1");
}

#[test]
fn tasks_whose_jobs_share_events() {
    let of = |params: Value| files(&params).events.unwrap();
    let refused = |params: Value| plan(over_input(&json!({}), &params)).unwrap_err().to_string();
    let service = of(json!({"nEventsPerWorker": 50, "nEsConsumers": 3, "maxAttempt": 4, "switchEStoNormal": 9, "notDiscardEvents": true}));
    assert_eq!((service.mode, service.each, service.sharing, service.sites, service.attempts), (Mode::Service, 50, 3, 1, 4));
    assert_eq!((service.ordinary_below, service.keeps, service.failed_is_free, service.merge), (9, true, false, None));
    let clones = of(json!({"useJobCloning": "runonce"}));
    assert_eq!((clones.mode, clones.sharing, clones.sites), (Mode::Clones { run_once: true }, 2, 2), "5.2: two sites, as many jobs");
    let clones = of(json!({"useJobCloning": "storeonce", "nSitesPerJob": 4}));
    assert_eq!((clones.mode, clones.sharing, clones.sites), (Mode::Clones { run_once: false }, 4, 4));
    assert_eq!(of(json!({"fineGrainedProc": true})).mode, Mode::Fine);
    let p = files(&json!({"nEventsPerWorker": 1, "maxAttemptEsJob": 7, "maxAttemptES": 2}));
    assert_eq!((p.max_attempt, p.events.unwrap().attempts), (7, 2));
    let held = Adjust { default_attempts: Some(5), ..Adjust::default() };
    let params = over_input(&json!({}), &json!({"nEventsPerWorker": 1, "maxAttemptEsJob": 7}));
    assert_eq!(Plan::of(&TaskParameters::from_value(params).unwrap(), &held).unwrap().max_attempt, 7);
    assert_eq!(files(&json!({})).events, None);
    for (params, start) in [
        (json!({"nEsConsumers": 2}), "parameter `nEsConsumers`: counts only together with"),
        (json!({"maxAttemptES": 2}), "parameter `maxAttemptES`: counts only together with"),
        (
            json!({"useJobCloning": "runonce", "switchEStoNormal": 3}),
            "parameter `switchEStoNormal`: counts only together with `nEventsPerWorker`",
        ),
        (json!({"nEventsPerWorker": 1, "nEsConsumers": 200}), "parameter `nEsConsumers`: is 200; at most 100"),
        (json!({"nEventsPerWorker": 1, "maxAttemptES": 99}), "parameter `maxAttemptES`: is 99; give at most 50"),
        (json!({"minGranularity": 5, "nFilesPerJob": 2}), "parameter `nFilesPerJob`: says how much a job takes"),
        (json!({"minGranularity": 5, "nEventsPerJob": 2}), "parameter `nEventsPerJob`: says how much a job takes"),
    ] {
        let text = refused(params);
        assert!(text.starts_with(start), "{text}");
    }
    let text = plan(with_keys(&base(), &json!({"nEventsPerWorker": 1}))).unwrap_err().to_string();
    assert!(text.starts_with("parameter `nEventsPerWorker`: needs an input data set"), "{text}");
}

fn with_keys(task: &Value, more: &Value) -> Value {
    let mut task = task.clone();
    task.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    task
}

/// The rows of `docs/compatibility.md` about split rules and parameters say what the tables say.
#[test]
fn the_page_of_compatibility_agrees_with_the_tables() {
    use panda_core::policy::rules::{PARAMETERS, RULES};
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md")).unwrap();
    let star = |changeable: bool| if changeable { " ★" } else { "" };
    let rules = RULES.iter().map(|r| format!("| 6.2 | {}{} `{}` | {} |", r.code, star(r.changeable), r.parameter(), r.here.words()));
    let parameters = PARAMETERS.iter().map(|p| format!("| 5.2 | `{}` → {} | {} |", p.key, p.column, p.here.words()));
    let missing: Vec<String> = parameters.chain(rules).filter(|row| !docs.contains(row)).collect();
    assert!(missing.is_empty(), "rows that are missing or differ:\n{}", missing.join("\n"));
}
