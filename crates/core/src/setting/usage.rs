//! What ended jobs are said to have used (`spec/engine.md` sections 3.6 and 7.1: hs06sec, gCO2, CPU benchmark by worker host).

use super::{Form, Setting};

/// Powers of CPUs.
pub const CPU_POWERS: Setting = Setting::text(
    "usage.cpu_powers",
    "",
    "7.1: CPU benchmark by worker host (upstream a table)",
    "power of a core by CPU, `PART OF ITS NAME=HEPSCORE; …`; goes before the queue's `corepower` on machines of which a pilot has told the CPU",
)
.of(Form::Powers)
.for_all();
/// Electric power of a core.
pub const CORE_WATTS: Setting = Setting::float(
    "usage.core_watts",
    10.0,
    "3.6; the number is ours",
    "watts that a core in use draws, where its queue does not say (`core_watts`)",
)
.within(0.0, 10_000.0)
.for_all();
/// Carbon dioxide anywhere.
pub const CO2_G_KWH: Setting = Setting::no_float(
    "usage.co2_g_kwh",
    "3.6: gCO2 (upstream a table by region)",
    "grams of carbon dioxide that a kilowatt-hour comes with in general (`gco2_global` of a job); a queue's own is `co2_g_kwh` (`gco2_regional`); not given = not recorded",
)
.within(0.0, 10_000.0)
.for_all();

/// All of this area.
pub const ALL: &[&Setting] = &[&CPU_POWERS, &CORE_WATTS, &CO2_G_KWH];
