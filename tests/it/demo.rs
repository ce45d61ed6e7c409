//! The demo checks itself, in this process: an issuer, backends with everyone's data, and Palisade.

use palisade::demo::check::Checker;
use palisade::demo::script::{Expect, Line, Place, Who};
use palisade::demo::{Demo, Options, print};

async fn start(options: Options) -> Demo {
    let any = "127.0.0.1:0".parse().unwrap();
    Demo::start(Options { listen: vec![any], ..options }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_demo_is_answered_right() {
    let demo = start(Options::default()).await;
    let lines = demo.lines();
    assert!(lines.iter().any(|l| matches!(l.expect, Expect::Leak(_))), "the controls are there");
    let checker = Checker::new(&demo);
    let mut wrong = Vec::new();
    for line in &lines {
        if let Err(fault) = checker.check(line).await {
            wrong.push(format!("{}: {fault}", line.says));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
}

/// What is printed first is short, true, and its commands are those of a shell.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_sees_who_sees_what_and_three_things_to_try() {
    let demo = start(Options::default()).await;
    let welcome = print::welcome(&demo).await;
    assert!(welcome.lines().count() < 40, "{welcome}");
    for answer in [
        "alice, of Palisade      Emma 45, Moby-Dick 120\n",
        "bob, of Palisade        Dracula 77, Persuasion 9\n",
        "nobody, of Palisade     refused (401)\n",
        "anybody, of Prometheus  Dracula 77, Emma 45, Moby-Dick 120, Persuasion 9\n",
    ] {
        assert!(welcome.contains(answer), "{welcome}");
    }
    for shown in
        [format!("{}/-/explain", demo.base(Place::Control)), format!("{} requests", demo.lines().len())]
    {
        assert!(welcome.contains(&shown), "{welcome}");
    }
    let from = welcome.find("\nTOKEN_A=").unwrap();
    let script = welcome[from..welcome.find("\n2. ").unwrap()].to_owned();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-ec", &script]);
    // It asks this process, which goes on meanwhile.
    let output = tokio::task::spawn_blocking(move || shell.output()).await.unwrap().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let nothing = serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": []}});
    assert_eq!(said, nothing, "{script}");
}

/// The check is no formality: what Palisade must answer is not what the backends answer.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_lines_fail_without_palisade() {
    let demo = start(Options::default()).await;
    let checker = Checker::new(&demo);
    let (mut asked, mut right) = (0, Vec::new());
    for line in demo.lines() {
        let (Place::Palisade(backend), Who::A, Expect::Facts(..)) = (line.place, line.who, &line.expect)
        else {
            continue;
        };
        asked += 1;
        let direct = Line { place: Place::Direct(backend), ..line };
        if checker.check(&direct).await.is_ok() {
            right.push(direct.says);
        }
    }
    assert!(asked > 20, "{asked}");
    // What is the same for everyone, or reads a trace of A alone.
    let alike = [
        "the label names that A's series have",
        "what Grafana asks to test a Prometheus",
        "what Grafana asks to test a Loki",
        "a trace of A",
    ];
    assert_eq!(right, alike);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_backend_is_used_and_judged_by_whose_data_it_shows() {
    let theirs = start(Options::default()).await;
    let prometheus = theirs.base(Place::Direct(palisade::demo::script::Backend::Prometheus));
    let demo = start(Options { prometheus: Some(prometheus.clone()), ..Options::default() }).await;
    assert_eq!(demo.base(Place::Direct(palisade::demo::script::Backend::Prometheus)), prometheus);
    let place = Place::Palisade(palisade::demo::script::Backend::Prometheus);
    assert!(!demo.is_embedded(place));
    let lines: Vec<_> = demo.lines().into_iter().filter(|l| l.place == place).collect();
    assert!(lines.len() > 10);
    let checker = Checker::new(&demo);
    for line in lines {
        assert_eq!(checker.check(&line).await, Ok(()), "{}", line.says);
    }
}
