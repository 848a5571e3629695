//! Checks the outputs against the input: every day is counted once, and the sums agree.

use std::path::{Path, PathBuf};

use super::data;
use crate::failure::{Failure, io};

/// Rain is written in tenths of a millimetre; sums of months are rounded to that.
const TOLERANCE_MM: f64 = 0.05;

/// What the outputs say in all.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    /// Months.
    pub months: usize,
    /// Days.
    pub days: u64,
    /// Rain in mm.
    pub rain_mm: f64,
    /// Highest temperature in degrees Celsius.
    pub highest_c: f64,
    /// Days in the histogram.
    pub histogram_days: u64,
}

/// Sums of the input.
fn expected() -> Totals {
    let mut totals = Totals { months: data::INPUT.len(), days: 0, rain_mm: 0.0, highest_c: f64::MIN, histogram_days: 0 };
    for row in data::INPUT.iter().flat_map(|(_, text)| text.lines().skip(1)) {
        let field = |at: usize| row.split(',').nth(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
        totals.days += 1;
        totals.rain_mm += field(1);
        totals.highest_c = totals.highest_c.max(field(2));
    }
    totals.histogram_days = totals.days;
    totals
}

/// Reads the fetched outputs and compares them with the input.
pub fn verify(files: &[PathBuf]) -> Result<Totals, Failure> {
    let mut totals = Totals { months: 0, days: 0, rain_mm: 0.0, highest_c: f64::MIN, histogram_days: 0 };
    let (mut summaries, mut histograms) = (0, 0);
    for path in files {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(".summary.csv") {
            summaries += 1;
            summary(path, &mut totals)?;
        } else if name.ends_with(".histogram.txt") {
            histograms += 1;
            totals.histogram_days += histogram(path)?;
        }
    }
    if (summaries, histograms) != (1, 1) {
        return Err(Failure::new(format!("{summaries} summaries and {histograms} histograms came back instead of one of each")));
    }
    let wanted = expected();
    let same = totals.months == wanted.months
        && totals.days == wanted.days
        && totals.histogram_days == wanted.histogram_days
        && (totals.rain_mm - wanted.rain_mm).abs() < TOLERANCE_MM * f64::from(u32::try_from(wanted.months).unwrap_or(u32::MAX))
        && (totals.highest_c - wanted.highest_c).abs() < TOLERANCE_MM;
    if same { Ok(totals) } else { Err(Failure::new(format!("the outputs disagree with the input: {totals:?} instead of {wanted:?}"))) }
}

fn lines(path: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read(path).map_err(io("read", path))?;
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

fn summary(path: &Path, totals: &mut Totals) -> Result<(), Failure> {
    for line in lines(path)?.iter().skip(1) {
        let fields: Vec<f64> = line.split(',').skip(1).map(|text| text.parse().unwrap_or(f64::NAN)).collect();
        let [days, rain, highest, ..] = fields.as_slice() else {
            return Err(Failure::new(format!("`{line}` is no line of a summary")));
        };
        totals.months += 1;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of days; NaN becomes 0 and fails the comparison"
        )]
        let days = *days as u64;
        totals.days += days;
        totals.rain_mm += rain;
        totals.highest_c = totals.highest_c.max(*highest);
    }
    Ok(())
}

fn histogram(path: &Path) -> Result<u64, Failure> {
    let count = |line: &String| line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok());
    lines(path)?.iter().map(|line| count(line).ok_or_else(|| Failure::new(format!("`{line}` is no line of a histogram")))).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_input_is_what_its_page_says() {
        let totals = expected();
        assert_eq!((totals.months, totals.days), (48, 1461));
        assert!((totals.rain_mm - 4426.0).abs() < 1e-6 && (totals.highest_c - 35.6).abs() < 1e-9, "{totals:?}");
    }

    #[test]
    fn the_program_agrees_without_any_system() {
        let folder = tempfile::tempdir().unwrap();
        let files = super::super::write(folder.path()).unwrap();
        let sh = |text: &str| {
            let done = Command::new("/bin/sh").arg("-ec").arg(text).current_dir(&files.program).output().unwrap();
            assert!(done.status.success(), "{text}: {}", String::from_utf8_lossy(&done.stderr));
        };
        sh("./build.sh");
        for year in [2012, 2014] {
            sh(&format!(
                "mkdir {year}; cd {year}; cp ../../input/seattle-{year}-* ../../input/seattle-{}-* .; ../lib/analyse \"$(ls *.csv | paste -sd, -)\"",
                year + 1
            ));
        }
        sh(
            "./merge.sh -o x.summary.csv 2012/summary.csv 2014/summary.csv; ./merge.sh -o x.histogram.txt 2012/histogram.txt 2014/histogram.txt",
        );
        let outputs = ["x.summary.csv", "x.histogram.txt"].map(|name| files.program.join(name));
        assert_eq!(verify(&outputs).unwrap().days, 1461);
        sh("sed -i '$d' x.summary.csv");
        assert!(verify(&outputs).unwrap_err().message.contains("disagree"));
        assert!(verify(&outputs[..1]).unwrap_err().message.contains("0 histograms"));
    }
}
