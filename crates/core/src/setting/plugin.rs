//! Which plug-ins stand in place of the neutral built-ins.

use super::Setting;

/// Who keeps the data.
pub const DATA: Setting = Setting::text(
    "plugin.data",
    "",
    "12.4: the data set client of a VO; ours",
    "data management plug-in that is asked for data sets which the catalogue does not have, and told of outputs; empty = the catalogue alone",
);
/// How soon it is asked again.
pub const RETRY_S: Setting = Setting::int(
    "plugin.retry_s",
    15,
    "ours: a plug-in that works again is used within a quarter of a minute",
    "how long what a plug-in holds up waits until the plug-in is asked again, seconds",
)
.within(1.0, 1e6);

/// All of this area.
pub const ALL: &[&Setting] = &[&DATA, &RETRY_S];
