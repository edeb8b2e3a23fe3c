//! Replays what once failed, and the seeds.

use std::path::Path;

use lockgate_fuzz::{TARGETS, seeds};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn what_once_failed_holds_now() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap();
        let name = folder.file_name().into_string().unwrap();
        let target = lockgate_fuzz::target(&name).expect("a folder of regressions is called like a target");
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            (target.run)(&std::fs::read(&path).unwrap());
            replayed += 1;
        }
    }
    assert!(replayed > 0);
}

#[test]
fn every_target_holds_for_recorded_exchanges_and_for_their_beginnings() {
    let rows = seeds::recorded(Path::new(ROOT), None).unwrap();
    for target in TARGETS {
        let seeds = (target.seeds)(&rows);
        assert!(!seeds.is_empty(), "{}", target.name);
        for seed in seeds {
            println!("{}: {}", target.name, String::from_utf8_lossy(&seed));
            (target.run)(&seed);
            (target.run)(&seed[..seed.len() / 2]);
        }
    }
}
