//! The `architecture` parameter: platform, CPU and GPU that a job needs, as a text (`platform@base#arch-vendor-instr&vendor-model`) or as
//! an object (`sw_platform`, `base_platform`, `cpu_specs`, `gpu_spec`). `*`, an empty text and a missing member mean any.

use panda_wire::lenient::JsonText;
use serde_json::{Map, Value};

use super::{PlanError, wrong};

/// A kind of CPU; each member none = any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuSpec {
    /// `x86_64`, `aarch64`, ….
    pub arch: Option<String>,
    /// Maker.
    pub vendor: Option<String>,
    /// Instruction set.
    pub instr: Option<String>,
}

/// A kind of GPU; each member none = any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuSpec {
    /// Maker.
    pub vendor: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// `CUDA`, ….
    pub framework: Option<String>,
    /// Version of the framework, with a comparison in front (`>=12.0`) or exact.
    pub version: Option<String>,
    /// Least memory, MB.
    pub memory_mb: Option<i64>,
    /// GPUs of a job; at least 1.
    pub count: i64,
}

/// Hardware that a job needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hardware {
    /// Platform of the software.
    pub platform: Option<String>,
    /// Platform of the operating system.
    pub base_platform: Option<String>,
    /// One of these CPUs; empty = any.
    pub cpus: Vec<CpuSpec>,
    /// GPU; none = none needed.
    pub gpu: Option<GpuSpec>,
}

/// A member that means something.
fn given(text: &str) -> Option<String> {
    let text = text.trim();
    (!matches!(text, "" | "*" | "any")).then(|| text.to_owned())
}

/// Reads the parameter.
pub(super) fn read(architecture: Option<&JsonText>) -> Result<Hardware, PlanError> {
    let Some(text) = architecture.map(|a| a.0.trim()) else { return Ok(Hardware::default()) };
    if !text.starts_with(['{', '[']) {
        return Ok(from_text(text));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => from_object(&map),
        Ok(_) => Err(wrong("architecture", "is a list; give a text or an object")),
        Err(e) => Err(wrong("architecture", format!("is no object: {e}"))),
    }
}

fn from_text(text: &str) -> Hardware {
    let (rest, gpu) = text.split_once('&').map_or((text, None), |(a, b)| (a, Some(b)));
    let (rest, cpu) = rest.split_once('#').map_or((rest, None), |(a, b)| (a, Some(b)));
    let (platform, base) = rest.split_once('@').map_or((rest, None), |(a, b)| (a, Some(b)));
    let parts = |text: &str| -> Vec<Option<String>> { text.splitn(3, '-').map(given).collect() };
    let at = |parts: &[Option<String>], n: usize| parts.get(n).cloned().flatten();
    Hardware {
        platform: given(platform),
        base_platform: base.and_then(given),
        cpus: cpu
            .map(parts)
            .map(|p| CpuSpec { arch: at(&p, 0), vendor: at(&p, 1), instr: at(&p, 2) })
            .filter(|c| *c != CpuSpec::default())
            .into_iter()
            .collect(),
        gpu: gpu.map(|text| {
            let (vendor, model) = text.split_once('-').unwrap_or((text, ""));
            GpuSpec { vendor: given(vendor), model: given(model), count: 1, ..GpuSpec::default() }
        }),
    }
}

fn text(map: &Map<String, Value>, key: &str) -> Result<Option<String>, PlanError> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(given(text)),
        Some(other) => Err(wrong("architecture", format!("`{key}` is {other}; give a text"))),
    }
}

fn number(map: &Map<String, Value>, key: &str) -> Result<Option<i64>, PlanError> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64().filter(|n| *n > 0) {
            Some(n) => Ok(Some(n)),
            None => Err(wrong("architecture", format!("`{key}` is {value}; give a whole number above 0"))),
        },
    }
}

fn known(map: &Map<String, Value>, keys: &[&str], of: &str) -> Result<(), PlanError> {
    match map.keys().find(|k| !keys.contains(&k.as_str())) {
        Some(key) => Err(wrong("architecture", format!("has an unknown member `{key}` in {of}; known are {}", keys.join(", ")))),
        None => Ok(()),
    }
}

fn from_object(map: &Map<String, Value>) -> Result<Hardware, PlanError> {
    known(map, &["sw_platform", "base_platform", "cpu_specs", "gpu_spec"], "the object")?;
    let mut hardware = Hardware { platform: text(map, "sw_platform")?, base_platform: text(map, "base_platform")?, ..Hardware::default() };
    let one;
    let cpus: &[Value] = match map.get("cpu_specs") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) => list,
        Some(other) => {
            one = [other.clone()];
            &one
        }
    };
    for cpu in cpus {
        let Value::Object(cpu) = cpu else { return Err(wrong("architecture", format!("`cpu_specs` holds {cpu}; give objects"))) };
        known(cpu, &["arch", "vendor", "instr"], "`cpu_specs`")?;
        let spec = CpuSpec { arch: text(cpu, "arch")?, vendor: text(cpu, "vendor")?, instr: text(cpu, "instr")? };
        hardware.cpus.extend(Some(spec).filter(|s| *s != CpuSpec::default()));
    }
    match map.get("gpu_spec") {
        None | Some(Value::Null) => {}
        Some(Value::Object(gpu)) => {
            known(gpu, &["vendor", "model", "framework", "version", "memory", "count"], "`gpu_spec`")?;
            hardware.gpu = Some(GpuSpec {
                vendor: text(gpu, "vendor")?,
                model: text(gpu, "model")?,
                framework: text(gpu, "framework")?,
                version: text(gpu, "version")?,
                memory_mb: number(gpu, "memory")?,
                count: number(gpu, "count")?.unwrap_or(1),
            });
        }
        Some(other) => return Err(wrong("architecture", format!("`gpu_spec` is {other}; give an object"))),
    }
    Ok(hardware)
}
