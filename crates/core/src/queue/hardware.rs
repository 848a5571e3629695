//! Kinds of CPUs and GPUs that a queue has and a job asks for (`spec/engine.md` 8.2 "SW/arch/HW", 8.3 "arch"). Words are compared without
//! case; a queue that says nothing about its CPUs has common ones.

/// The architecture of a queue that names none.
pub const COMMON_ARCH: &str = "x86_64";

/// CPUs of a queue; an empty list = not stated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpus {
    /// `x86_64`, `aarch64`, ….
    pub archs: Vec<String>,
    /// Makers.
    pub vendors: Vec<String>,
    /// Instruction sets: a level (`x86-64-v3`) or the name of an extension (`avx2`).
    pub instrs: Vec<String>,
}

/// A kind of CPU that a job asks for; each member none = any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuNeed {
    /// Architecture.
    pub arch: Option<String>,
    /// Maker.
    pub vendor: Option<String>,
    /// Instruction set.
    pub instr: Option<String>,
}

/// GPUs of a queue's slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gpus {
    /// How many; 0 = none.
    pub count: i64,
    /// Makers; empty = not stated.
    pub vendors: Vec<String>,
    /// Models; empty = not stated.
    pub models: Vec<String>,
    /// Memory of each, MB; 0 = not stated.
    pub memory_mb: i64,
    /// Framework and its version, in lower case; empty = not stated.
    pub frameworks: Vec<(String, String)>,
}

/// GPUs that a job asks for; each member none = any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuNeed {
    /// How many; at least 1.
    pub count: i64,
    /// Maker.
    pub vendor: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Least memory of each, MB.
    pub memory_mb: Option<i64>,
    /// Framework.
    pub framework: Option<String>,
    /// Version of the framework, with a comparison in front (`>=12.0`) or exact.
    pub version: Option<String>,
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}
fn one_of(list: &[String], wanted: Option<&String>) -> bool {
    wanted.is_none_or(|w| list.iter().any(|have| same(have, w)))
}

/// The number of a level like `x86-64-v3`.
fn level(text: &str) -> Option<(&str, u32)> {
    let (family, n) = text.rsplit_once(['v', 'V'])?;
    Some((family, n.parse().ok()?))
}

impl Cpus {
    /// Whether a job that asks for one of `wanted` can run here; nothing asked for = any.
    #[must_use]
    pub fn have(&self, wanted: &[CpuNeed]) -> bool {
        wanted.is_empty() || wanted.iter().any(|w| self.has(w))
    }
    fn has(&self, w: &CpuNeed) -> bool {
        let arch = match (&w.arch, self.archs.is_empty()) {
            (Some(a), true) => same(a, COMMON_ARCH),
            (a, _) => one_of(&self.archs, a.as_ref()),
        };
        arch && one_of(&self.vendors, w.vendor.as_ref()) && w.instr.as_ref().is_none_or(|i| self.has_instr(i))
    }
    /// A higher level of the same family has all that a lower one has.
    fn has_instr(&self, wanted: &str) -> bool {
        let enough = |have: &str| match (level(have), level(wanted)) {
            (Some((a, have)), Some((b, want))) => same(a, b) && have >= want,
            _ => false,
        };
        self.instrs.iter().any(|have| same(have, wanted) || enough(have))
    }
}

impl Gpus {
    /// Whether a job with this need can run here. What a queue does not state it does not have.
    #[must_use]
    pub fn have(&self, w: &GpuNeed) -> bool {
        self.count >= w.count.max(1)
            && one_of(&self.vendors, w.vendor.as_ref())
            && w.model.as_ref().is_none_or(|m| self.models.iter().any(|have| super::glob(&m.to_lowercase(), &have.to_lowercase())))
            && w.memory_mb.is_none_or(|mb| self.memory_mb >= mb)
            && self.has_framework(w)
    }
    fn has_framework(&self, w: &GpuNeed) -> bool {
        let Some(framework) = &w.framework else { return true };
        let version = |have: &str| w.version.as_deref().is_none_or(|wanted| version_fits(have, wanted));
        self.frameworks.iter().any(|(name, have)| same(name, framework) && version(have))
    }
}

/// Whether a version fits `>=1.2`, `>1.2`, `<=1.2`, `<1.2`, `==1.2` or `1.2`; parts are compared as numbers.
fn version_fits(have: &str, wanted: &str) -> bool {
    let parts = |text: &str| -> Vec<u64> { text.trim().split('.').map(|p| p.parse().unwrap_or(0)).collect() };
    let compare = |text: &str| {
        let (mut a, mut b) = (parts(have), parts(text));
        let n = a.len().max(b.len());
        a.resize(n, 0);
        b.resize(n, 0);
        a.cmp(&b)
    };
    for (sign, ok) in [(">=", [false, true, true]), ("<=", [true, true, false]), ("==", [false, true, false])] {
        if let Some(text) = wanted.strip_prefix(sign) {
            return ok[usize::try_from(compare(text) as i8 + 1).unwrap_or(1)];
        }
    }
    match (wanted.strip_prefix('>'), wanted.strip_prefix('<')) {
        (Some(text), _) => compare(text).is_gt(),
        (_, Some(text)) => compare(text).is_lt(),
        _ => compare(wanted).is_eq(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Option<String> {
        Some(t.to_owned())
    }

    #[test]
    fn cpus_by_architecture_vendor_and_level() {
        let none = Cpus::default();
        let need = |arch: &str| [CpuNeed { arch: text(arch), ..CpuNeed::default() }];
        assert!(none.have(&[]) && none.have(&need("X86_64")) && !none.have(&need("aarch64")));
        let cpus = Cpus { archs: vec!["aarch64".into()], vendors: vec!["arm".into()], instrs: vec!["x86-64-v3".into(), "avx2".into()] };
        assert!(cpus.have(&need("aarch64")) && !cpus.have(&need("x86_64")));
        assert!(cpus.have(&[need("x86_64")[0].clone(), need("aarch64")[0].clone()]), "one of several is enough");
        let instr = |i: &str| cpus.have(&[CpuNeed { instr: text(i), ..CpuNeed::default() }]);
        assert_eq!(["x86-64-v2", "x86-64-v3", "x86-64-v4", "AVX2", "avx512"].map(instr), [true, true, false, true, false]);
        let vendor = |v: &str| cpus.have(&[CpuNeed { vendor: text(v), ..CpuNeed::default() }]);
        assert!(vendor("ARM") && !vendor("intel"));
        assert!(!none.have(&[CpuNeed { vendor: text("intel"), ..CpuNeed::default() }]), "not stated is not had");
    }

    #[test]
    fn gpus_by_count_model_memory_and_framework() {
        let gpus = Gpus {
            count: 2,
            vendors: vec!["nvidia".into()],
            models: vec!["A100-40".into()],
            memory_mb: 40_000,
            frameworks: vec![("cuda".into(), "12.2".into())],
        };
        let need = GpuNeed { count: 1, ..GpuNeed::default() };
        assert!(gpus.have(&need) && !Gpus::default().have(&need));
        assert!(!gpus.have(&GpuNeed { count: 3, ..need.clone() }));
        assert!(gpus.have(&GpuNeed { vendor: text("NVIDIA"), model: text("a100*"), memory_mb: Some(40_000), ..need.clone() }));
        assert!(!gpus.have(&GpuNeed { vendor: text("amd"), ..need.clone() }));
        assert!(!gpus.have(&GpuNeed { model: text("H100"), ..need.clone() }));
        assert!(!gpus.have(&GpuNeed { memory_mb: Some(40_001), ..need.clone() }));
        let with = |version: &str| gpus.have(&GpuNeed { framework: text("CUDA"), version: text(version), ..need.clone() });
        assert_eq!(
            [">=12.0", ">=12.10", ">12.2", "<=12.2", "<12.2", "==12.2.0", "12.2", "12"].map(with),
            [true, false, false, true, false, true, true, false]
        );
        assert!(!gpus.have(&GpuNeed { framework: text("rocm"), ..need }));
    }
}
