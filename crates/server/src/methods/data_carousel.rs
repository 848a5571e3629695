//! Rows of `data_carousel`.

use super::{Method, Right, handler};
use crate::args::{Default, Kind, Param, optional};
use crate::data_carousel;

const REQUEST: Param = optional("request_id", Kind::Int);
const DATASET: Param = optional("dataset", Kind::Text);
const NO: Default = Default::Bool(false);

/// A method that names a request or a data set.
const fn on(name: &'static str, params: &'static [Param], about: &'static str) -> Method {
    Method::post("data_carousel", name, Right::StagingSteer, params, handler!(data_carousel::handle)).about("Null", about)
}

pub(super) const ROWS: &[Method] = &[
    on("change_staging_destination", &[REQUEST, DATASET], "Another destination for a request to stage inputs; there are none here."),
    on(
        "change_staging_source",
        &[
            REQUEST,
            DATASET,
            optional("cancel_fts", Kind::Bool).or(NO),
            optional("change_src_expr", Kind::Bool).or(NO),
            optional("source_rse", Kind::Text),
        ],
        "Another source for a request to stage inputs; there are none here.",
    ),
    on("force_to_staging", &[REQUEST, DATASET], "Lets a request to stage inputs begin; there are none here."),
    on("retire_unused", &[REQUEST, DATASET], "Ends a request to stage inputs that nobody uses; there are none here."),
];
