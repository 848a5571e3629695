//! What jobs are measured by, and what is kept of them: powers of machines, requirements that a person states, scratch space (`spec/engine.md` sections 3.6
//! and 7.1).

use panda_core::{id::JobId, job::report::Reported};
use panda_ops::{
    job::read,
    pilot::worker,
    setting,
    task::{command, info, params},
};
use serde_json::{Value, json};

use crate::{
    scout::{adjust, all_done, jobs, record, run, submit},
    world::{World, alice, pilot, prod, prun, with_input},
};

/// 7.1, 3.6: the power of the machine counts where a pilot has told its CPU, else the queue's; what a job has used stays with it.
async fn the_machine_s_power_counts(w: &World) {
    for (name, value) in [("usage.cpu_powers", "EPYC 7302=20;Xeon=9"), ("usage.co2_g_kwh", "300")] {
        setting::set(&w.ops, &crate::world::operator(), name, "", "", value).await.unwrap();
    }
    w.set_queue("LOCAL", json!({"corepower": 5, "core_watts": 8, "co2_g_kwh": 50})).await;
    let cpu = json!({"cpu_model": "AMD EPYC 7302 16-Core Processor"});
    worker::node(&w.ops, &pilot(), "LOCAL", "fast", cpu.as_object().unwrap()).await.unwrap();
    let id = submit(w, "t", 30, json!({})).await;
    let jobs = run(w, 5).await;
    for (job, node) in jobs.iter().zip(["slot1@fast", "slow", "slow", "slow", "slow"]) {
        let report = w.store(job, "x");
        w.report(job, Reported::Finished, |u| {
            (u.report, u.node) = (Some(report), Some(node.into()));
            u.metrics.insert("job_metrics".into(), json!("nEvents=1 leak=12.5 chi2=1.5"));
        })
        .await;
    }
    w.settle().await;
    // 1,000 s beyond the base on a core of 20 × 0.9 for one event, and half of it more.
    let m = adjust(w, id).await.measured.unwrap();
    assert_eq!(m.cpu_ms_per_event, Some(27_000_000));
    let fast = record(w, id).await["measured"]["cpu_ms_per_event"]["job"].as_i64().unwrap();
    assert_eq!(json!(fast), jobs[0]["PandaID"]);
    let ids = [0, 1].map(|n| JobId(jobs[n]["PandaID"].as_i64().unwrap()));
    let told = read::descriptions(&w.ops, &alice(), &ids).await.unwrap();
    let of = |n: usize, key: &str| told[n][key].as_f64().unwrap();
    assert_eq!([of(0, "memory_leak"), of(0, "memory_leak_x2")], [12.5, 1.5]);
    assert_eq!([of(0, "hs06sec"), of(1, "hs06sec")], [32_000.0, 8_000.0], "1,600 s");
    // 8 W in 1,600 s are 3.6 Wh.
    assert!((of(0, "gco2_regional") - 0.177_8).abs() < 0.001 && (of(0, "gco2_global") - 1.066_7).abs() < 0.001, "{}", told[0]);
    // Nothing is told of places that state nothing.
    setting::unset(&w.ops, &crate::world::operator(), "usage.co2_g_kwh", "", "").await.unwrap();
    w.set_queue("LOCAL", json!({"co2_g_kwh": null})).await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle().await;
    let told = read::descriptions(&w.ops, &alice(), &[JobId(job["PandaID"].as_i64().unwrap())]).await.unwrap();
    assert_eq!((&told[0]["gco2_regional"], &told[0]["gco2_global"]), (&Value::Null, &Value::Null));
}

/// A requirement that a person states after it was measured is not replaced at the next mark; the others are.
async fn what_a_person_states_later_stays(w: &World) {
    let id = submit(w, "t", 120, json!({})).await;
    command::avalanche(&w.ops, &prod(), id).await.unwrap();
    w.settle().await;
    let long = json!({"cpu_consumption_time": 4_000, "max_pss": 1_000_000});
    all_done(w, 5, &long).await;
    w.pass(3_600);
    w.settle().await;
    assert_eq!(adjust(w, id).await.measured.unwrap().ram_mb, Some(1_100));
    let info = info::detailed(&w.ops, &alice(), id).await.unwrap();
    assert_eq!((&info["walltime"], &info["walltimeUnit"], &info["ramCount"]), (&json!(6_000), &json!("kSI2kseconds"), &json!(1_100)));
    params::change_attribute(&w.ops, &prod(), id, "ramCount", 3_000).await.unwrap();
    all_done(w, 95, &json!({"cpu_consumption_time": 8_000, "max_pss": 9_000_000})).await;
    w.pass(3_600);
    w.settle().await;
    let m = adjust(w, id).await.measured.unwrap();
    assert_eq!((m.at_files, m.ram_mb, m.walltime_ms), (100, None, Some(12_000_000)));
    let info = info::detailed(&w.ops, &alice(), id).await.unwrap();
    assert_eq!((&info["walltime"], &info["ramCount"]), (&json!(12_000), &json!(3_000)));
}

/// The scratch space of a job holds its input where it is copied, and the output that it makes of it; a queue is not asked for more than it has.
async fn scratch_space_grows_with_the_input(w: &World) {
    let file = |lfn: &str| panda_store::query::dataset::DatasetFile { lfn: lfn.into(), fsize: Some(3_000_000_000), ..Default::default() };
    w.files("d", "closed", vec![file("a"), file("b")]).await;
    let more = json!({"workDiskCount": 500, "workDiskUnit": "MB", "outDiskCount": 200, "outDiskUnit": "kB"});
    for (n, (queue, want)) in [
        (json!({}), 500 + 3_000 + 600),
        // The broker sees to the input and the work directory; the rest is only estimated.
        (json!({"max_disk_mb": 3_800}), 3_800),
        (json!({"max_disk_mb": 0, "direct_access_lan": true}), 500 + 600),
    ]
    .into_iter()
    .enumerate()
    {
        w.set_queue("LOCAL", queue).await;
        let mut own = with_input(prun(&format!("user.alice.{n}"), 1), "d", 1);
        own.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let id = w.submit(own).await;
        w.settle().await;
        assert_eq!(jobs(w, id).await.iter().map(|j| j.disk_mb).collect::<Vec<_>>(), [want, want], "{n}");
    }
}

cases!(the_machine_s_power_counts, what_a_person_states_later_stays, scratch_space_grows_with_the_input);
