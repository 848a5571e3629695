use super::*;
use crate::time::SplitMix64;

fn amount(files: i64, bytes: i64) -> Amount {
    Amount { files, bytes }
}
fn disk() -> Endpoint {
    Endpoint { is_nucleus: true, free_gb: Some(500_000), ..Endpoint::default() }
}
fn at<'a>(name: &'a str, endpoint: &'a Endpoint) -> Candidate<'a> {
    Candidate { name, endpoint, backlog_files: 0, is_reached: true }
}
fn input(all: Amount, at: &[(&str, Amount)]) -> Locality {
    Locality { all, anywhere: Amount::default(), at: at.iter().map(|(name, a)| ((*name).to_owned(), *a)).collect() }
}
fn falls(c: Candidate<'_>, ask: &Ask<'_>, limits: &Limits) -> Option<Criterion> {
    let d = decide(&[c], ask, limits, &mut SplitMix64::new(1));
    assert_eq!(d.chosen.is_none(), !d.funnel.is_empty());
    d.funnel.first().map(|r| r.criterion)
}

/// engine.md 8.4: each filter, just enough and one beyond.
#[test]
fn each_filter_of_a_nucleus() {
    let (limits, none) = (Limits { max_backlog_files: Some(70), ..Limits::default() }, Ask::default());
    let far = Ask { io_kb_s: 201, ..none };
    for over in [0, 1] {
        let of = |e: &Endpoint, backlog_files: i64, is_reached: bool, ask: &Ask<'_>| {
            falls(Candidate { backlog_files, is_reached, ..at("A", e) }, ask, &limits)
        };
        let want = |c: Criterion| (over == 1).then_some(c);
        let ok = over == 0;
        assert_eq!(of(&Endpoint { active: ok, ..disk() }, 0, true, &none), want(Criterion::Status));
        assert_eq!(of(&disk(), 70 + over, true, &none), want(Criterion::Backlog));
        assert_eq!(of(&Endpoint { writable: ok, ..disk() }, 0, true, &none), want(Criterion::Write));
        assert_eq!(of(&Endpoint { free_gb: Some(100_000 - over), ..disk() }, 0, true, &none), want(Criterion::Space));
        assert_eq!(of(&disk(), 0, ok, &none), want(Criterion::Jobs));
        let by_bytes = input(amount(1, 1_000 * GB), &[("A", amount(0, 100 * GB - over))]);
        assert_eq!(of(&disk(), 0, true, &Ask { input: Some(&by_bytes), ..far }), want(Criterion::Data), "10 % of the bytes");
        let by_files = input(amount(100, 10), &[("A", amount(10 - over, 0))]);
        assert_eq!(of(&disk(), 0, true, &Ask { input: Some(&by_files), ..far }), want(Criterion::Data), "10 % of the files");
    }
    assert_eq!(falls(at("A", &Endpoint { free_gb: None, ..disk() }), &none, &limits), None, "nothing is published");
}

/// 20.11: the data check counts from 1 GB, or 100 files, on.
#[test]
fn small_inputs_may_lie_anywhere() {
    let (limits, far) = (Limits::default(), Ask { io_kb_s: 201, ..Ask::default() });
    let check = |all: Amount| falls(at("A", &disk()), &Ask { input: Some(&input(all, &[])), ..far }, &limits);
    assert_eq!(
        (check(amount(99, GB - 1)), check(amount(99, GB)), check(amount(100, 1))),
        (None, Some(Criterion::Data), Some(Criterion::Data))
    );
    let unreadable = Endpoint { readable: false, ..disk() };
    let here = input(amount(1, GB), &[("A", amount(1, GB))]);
    assert_eq!(
        falls(at("A", &unreadable), &Ask { input: Some(&here), ..far }, &limits),
        Some(Criterion::Data),
        "what cannot be read is not there"
    );
}

/// 20.11: when no nucleus has the input: jobs that read little of an input that can be moved, urgent tasks; after seven days in any case.
#[test]
fn the_data_check_is_waived() {
    let limits = Limits::default();
    let all = |gb: i64| input(amount(1, gb * GB), &[]);
    let check = |gb: i64, io_kb_s: i64, priority: i64, waited_s: i64| {
        let input = all(gb);
        falls(at("A", &disk()), &Ask { input: Some(&input), io_kb_s, priority, waited_s }, &limits)
    };
    let data = Some(Criterion::Data);
    assert_eq!((check(10_000, 0, 0, 0), check(10_000, 200, 0, 0)), (None, None), "little is read, little is moved");
    assert_eq!((check(10_000, 201, 0, 0), check(10_001, 200, 0, 0)), (data, data));
    assert_eq!((check(10_001, 201, 799, 0), check(10_001, 201, 800, 0)), (data, None));
    assert_eq!((check(10_001, 201, 0, 7 * 86_400 - 1), check(10_001, 201, 0, 7 * 86_400)), (data, None));
    // Where one has it the others are not taken for being urgent; after seven days they are.
    let (near, far) = (disk(), disk());
    let some = input(amount(1, 20 * GB), &[("NEAR", amount(1, 20 * GB))]);
    let both = [at("FAR", &far), at("NEAR", &near)];
    let d = decide(&both, &Ask { input: Some(&some), priority: 900, ..Ask::default() }, &limits, &mut SplitMix64::new(1));
    assert_eq!((d.chosen.as_deref(), d.funnel[0].names.as_slice(), d.waived.len()), (Some("NEAR"), ["FAR".to_owned()].as_slice(), 0));
    let late = decide(&both, &Ask { input: Some(&some), waited_s: 604_800, ..Ask::default() }, &limits, &mut SplitMix64::new(1));
    assert_eq!((late.waived.as_slice(), late.kept.len(), late.kept[1].weight), ([Criterion::Data].as_slice(), 2, 0.0));
}

/// 8.4, 20.11: free space up to 1000 TB × availability / backlog above 50; tapes 0.001.
#[test]
fn a_nucleus_is_drawn_by_weight() {
    let limits = Limits::default();
    let weigh = |endpoint: &Endpoint, backlog_files: i64, here_gb: i64| {
        let part = input(amount(1, 10 * GB), &[("A", amount(1, here_gb * GB))]);
        let c = Candidate { backlog_files, ..at("A", endpoint) };
        let d = decide(&[c], &Ask { input: Some(&part), ..Ask::default() }, &limits, &mut SplitMix64::new(1));
        format!("{:.5}", d.kept[0].weight)
    };
    assert_eq!(weigh(&disk(), 0, 10), "0.50000");
    assert_eq!(weigh(&Endpoint { free_gb: Some(3_000_000), ..disk() }, 0, 10), "1.00000");
    assert_eq!(weigh(&Endpoint { free_gb: None, ..disk() }, 0, 10), "1.00000");
    assert_eq!((weigh(&disk(), 50_000, 10), weigh(&disk(), 100_000, 10)), ("0.50000".into(), "0.25000".into()));
    assert_eq!(weigh(&disk(), 0, 5), "0.25000");
    assert_eq!(weigh(&Endpoint { is_tape: true, ..disk() }, 0, 10), "0.00050");
    assert_eq!(weigh(&disk(), 0, 0), "0.50000", "nobody has it: that makes no difference");
    let (big, small) = (Endpoint { free_gb: Some(300_000), ..disk() }, Endpoint { free_gb: Some(100_000), ..disk() });
    let drawn = (0..4_000).filter(|seed| {
        let d = decide(&[at("BIG", &big), at("SMALL", &small)], &Ask::default(), &limits, &mut SplitMix64::new(*seed));
        d.chosen.as_deref() == Some("BIG")
    });
    let drawn = drawn.count();
    assert!((2_880..3_120).contains(&drawn), "{drawn} of 4000, 3 to 1");
}

#[test]
fn why_there_is_no_nucleus_is_one_sentence() {
    let (limits, seed) = (Limits::default(), 1);
    let none = decide(&[], &Ask::default(), &limits, &mut SplitMix64::new(seed));
    assert_eq!(none.sentence(), "no storage endpoint is marked as a nucleus; `panda storage set NAME nucleus=true` marks one");
    let (off, full) = (Endpoint { active: false, ..disk() }, Endpoint { free_gb: Some(7), ..disk() });
    let d = decide(&[at("A", &off), at("B", &full), at("C", &full)], &Ask::default(), &limits, &mut SplitMix64::new(seed));
    assert_eq!(d.sentence(), "no nucleus of 3 can keep its outputs: 1 not active (A); 2 with less than 100000 GB of free space (B, C)");
    assert_eq!(d.frees(), ["when they are active: A", "when they have more free space: B, C"]);
    let fine = disk();
    let d = decide(&[at("A", &off), at("B", &fine)], &Ask::default(), &limits, &mut SplitMix64::new(seed));
    assert_eq!((d.sentence().as_str(), d.frees().len()), ("B was drawn among 1 nuclei that fit; 2 were looked at", 0));
}
