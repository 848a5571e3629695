//! Rows of `idds`.

use super::{Method, Right, handler};
use crate::args::{Default, Kind, Param, optional, required};
use crate::idds;

const COMMAND: Param = required("command_name", Kind::Text);
const KWARGS: Param = optional("kwargs", Kind::Text);
const JSON: Param = optional("json_outputs", Kind::Bool).or(Default::Bool(false));

pub(super) const ROWS: &[Method] = &[
    Method::post(
        "idds",
        "relay_idds_command",
        Right::WorkflowSubmit,
        &[COMMAND, optional("args", Kind::Text), KWARGS, optional("manager", Kind::Bool).or(Default::Bool(false)), JSON],
        handler!(idds::relay_idds_command::handle),
    )
    .about("Null", "Relays a command to a workflow service; there is none here."),
    Method::post(
        "idds",
        "execute_idds_workflow_command",
        Right::WorkflowSubmit,
        &[COMMAND, KWARGS, JSON],
        handler!(idds::execute_idds_workflow_command::handle),
    )
    .about("Null", "A command on a workflow of a workflow service; there is none here."),
];
