use std::fs;

use exomonad_core::bounds::BoundsMap;
use exomonad_core::{CallContext, EffectHandler, RepoBounds};
use exomonad_schema::{CallId, EffectKind, ErrorCode};

use super::*;

#[tokio::test]
async fn every_effect_of_the_table_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let services = open(ServicesConfig::with_state_in(dir.path().join("state"))).unwrap();
    let mut call = CallContext::new("tl".parse().unwrap(), CallId::from(7));
    for kind in EffectKind::ALL {
        let answer = services.handle(&call, *kind, b"{}").await;
        assert_ne!(answer.error_code(), Some(ErrorCode::Internal), "{kind}");
    }
    call.bounds = Arc::new(BoundsMap::default().with(RepoBounds {
        repos: vec!["a/*".parse().unwrap()],
    }));
    let answer = services
        .handle(&call, EffectKind::GitHubGetRepo, br#"{"repo":"a/b"}"#)
        .await;
    assert_eq!(answer.error_code(), Some(ErrorCode::Unauthenticated));
    assert!(
        !dir.path().join("state").exists(),
        "reading made the folder"
    );
}

#[test]
fn a_damaged_state_file_is_named_with_what_to_do_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state.sqlite3");
    fs::write(&file, "this is no database, but somebody may want it").unwrap();
    let error = open(ServicesConfig::with_state_in(dir.path())).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(file.to_str().unwrap()), "{message}");
    assert!(message.contains("restore it from a backup"), "{message}");
    assert!(fs::read_to_string(&file).unwrap().starts_with("this is"));
}
