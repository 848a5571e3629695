//! What is accepted but cannot run yet, and what only our own worker can do.

use panda_wire::TaskParameters;

use super::Plan;

pub(super) fn read(p: &TaskParameters, plan: &mut Plan) {
    let stem = plan.runner.rsplit('/').next().unwrap_or_default().split('-').next().unwrap_or_default().to_owned();
    let build = plan.build.as_ref().map(|b| b.runner.split('-').next().unwrap_or_default().to_owned());
    plan.hold = if p.hpo_workflow == Some(true) || stem == "runHPO" {
        Some("hyper-parameter optimisation needs a runner and a service of points, which this server does not have; kill it, and give each point to a job of a plain task".into())
    } else if p.prepro_spec.is_some() {
        Some("good-run lists and event picking need a preparation runner, which this server does not have; kill it, and give the files that they come to".into())
    } else if stem == "runAthena" || build.as_deref() == Some("buildJob") {
        Some("pathena tasks need runners with ATLAS software, which this server does not have".into())
    } else if p.load_xml.is_some() {
        Some("job lists from XML are not read; kill it, and give the jobs as a list of files or as a DAG".into())
    } else {
        None
    };
    plan.container = p
        .container_name
        .clone()
        .or_else(|| p.multi_step_exec.as_ref().and_then(|m| m.container_options.as_ref()).and_then(|c| c.container_image.clone()))
        .filter(|c| !c.is_empty());
    plan.needs_native = if plan.container.is_some() || plan.runner == "runcontainer" {
        Some("the payload runs in a container, which an official generic pilot would ignore")
    } else if plan.outputs.iter().any(|o| o.optional) {
        Some("an output may be absent (allowNoOutput), which an official generic pilot does not accept")
    } else if plan.outputs.iter().any(|o| o.template.starts_with("regex|")) {
        Some("an output is a pattern (regex|), which an official generic pilot looks for literally")
    } else {
        None
    };
}
