//! Rows of `workflow`.

use super::{Method, Right, handler};
use crate::args::{Kind, required};
use crate::workflow;

pub(super) const ROWS: &[Method] = &[
    Method::post(
        "workflow",
        "submit_workflow_raw_request",
        Right::WorkflowSubmit,
        &[required("params", Kind::DictOrText)],
        handler!(workflow::submit_workflow_raw_request::handle),
    )
    .about("Null", "Hands in a workflow in the language of pchain; none are run here."),
    Method::post(
        "workflow",
        "submit_workflow",
        Right::WorkflowSubmit,
        &[required("workflow_definition", Kind::Dict)],
        handler!(workflow::submit_workflow::handle),
    )
    .about("Null", "Hands in a workflow by its definition; none are run here."),
];
