//! The demo's input and program, which travel in this binary. Where they come from: `examples/demo/README.md`.

/// A file by name.
pub type File = (&'static str, &'static str);

macro_rules! month {
    ($month:literal) => {
        (concat!("seattle-", $month, ".csv"), include_str!(concat!("../../../../examples/demo/data/seattle-", $month, ".csv")))
    };
}

macro_rules! source {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../../examples/demo/program/", $name)))
    };
}

/// Daily weather, one file a month.
pub const INPUT: [File; 48] = [
    // 2012
    month!("2012-01"),
    month!("2012-02"),
    month!("2012-03"),
    month!("2012-04"),
    month!("2012-05"),
    month!("2012-06"),
    month!("2012-07"),
    month!("2012-08"),
    month!("2012-09"),
    month!("2012-10"),
    month!("2012-11"),
    month!("2012-12"),
    // 2013
    month!("2013-01"),
    month!("2013-02"),
    month!("2013-03"),
    month!("2013-04"),
    month!("2013-05"),
    month!("2013-06"),
    month!("2013-07"),
    month!("2013-08"),
    month!("2013-09"),
    month!("2013-10"),
    month!("2013-11"),
    month!("2013-12"),
    // 2014
    month!("2014-01"),
    month!("2014-02"),
    month!("2014-03"),
    month!("2014-04"),
    month!("2014-05"),
    month!("2014-06"),
    month!("2014-07"),
    month!("2014-08"),
    month!("2014-09"),
    month!("2014-10"),
    month!("2014-11"),
    month!("2014-12"),
    // 2015
    month!("2015-01"),
    month!("2015-02"),
    month!("2015-03"),
    month!("2015-04"),
    month!("2015-05"),
    month!("2015-06"),
    month!("2015-07"),
    month!("2015-08"),
    month!("2015-09"),
    month!("2015-10"),
    month!("2015-11"),
    month!("2015-12"),
];

/// The sources of the program.
pub const PROGRAM: [File; 6] = [
    source!("build.sh"),
    source!("merge.sh"),
    source!("src/head.sh"),
    source!("src/histogram.awk"),
    source!("src/main.sh"),
    source!("src/summary.awk"),
];
