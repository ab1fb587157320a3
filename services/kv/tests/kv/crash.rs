//! A host that is killed.

use std::io::{BufRead, BufReader};

use tempfile::tempdir;

use crate::child;
use crate::store::{Store, integrity, usage_adds_up};

#[tokio::test]
async fn what_was_answered_survives_kill_9_in_the_middle_of_writing() {
    let dir = tempdir().unwrap();
    for round in 0..5 {
        let name = format!("round{round}");
        let mut writer = child::start(child::command("write_until_killed", dir.path(), &name));
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut answered = Vec::new();
        while answered.len() < 20 + 7 * round {
            let line = lines.next().unwrap().unwrap();
            answered.extend(child::said(&line).map(|text| text.parse::<u64>().unwrap()));
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        // What it said before the blow fell counts as well.
        for line in lines.map_while(Result::ok) {
            answered.extend(child::said(&line).and_then(|text| text.parse::<u64>().ok()));
        }

        assert_eq!(integrity(dir.path()), "ok");
        assert!(usage_adds_up(dir.path()));
        let store = Store::open(dir.path());
        for number in &answered {
            let value = store.get(&format!("{name}/{number}")).await.unwrap();
            assert!(value.unwrap().starts_with(&format!("\"{number} ")));
        }
        // At most the one write under way is there beyond those.
        let kept = store.keys(&format!("{name}/")).await.len();
        assert!(
            kept == answered.len() || kept == answered.len() + 1,
            "{kept}"
        );
        store.set("after", "1").await.unwrap();
    }
}
