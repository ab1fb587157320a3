//! Commands in containers: what they are given, what they give back.

use exomonad_schema::ErrorCode;
use exomonad_schema::value::Base64;
use serde_json::json;

use crate::stage::stage;

#[tokio::test]
async fn a_command_s_outputs_are_apart_and_its_exit_code_is_its_own() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    let result = stage
        .exec(
            &id,
            &["sh", "-c", "echo out; echo err >&2; exit 7"],
            json!({}),
        )
        .await
        .unwrap();
    assert_eq!(result.exit_code, 7);
    assert_eq!(result.output.stdout, "out\n");
    assert_eq!(result.output.stderr, "err\n");
    assert!(!result.output.truncated);

    let silent = stage.exec(&id, &["true"], json!({})).await.unwrap();
    assert_eq!((silent.exit_code, &*silent.output.stdout), (0, ""));
    let signalled = stage
        .exec(&id, &["sh", "-c", "kill -9 $$"], json!({}))
        .await
        .unwrap();
    assert_eq!(signalled.exit_code, 137);
    // Arguments are not a shell's words.
    let result = stage
        .exec(&id, &["echo", "$HOME  *", ";", "'q'"], json!({}))
        .await
        .unwrap();
    assert_eq!(result.output.stdout, "$HOME  * ; 'q'\n");
}

#[tokio::test]
async fn a_command_has_the_environment_user_and_folder_it_was_given() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    let result = stage
        .exec(
            &id,
            &["sh", "-c", "echo $A-$B; id -u; id -g; pwd"],
            json!({ "env": {"A": "1 2", "B": "x=y"}, "user": "1000:50", "workdir": "/var" }),
        )
        .await
        .unwrap();
    assert_eq!(result.output.stdout, "1 2-x=y\n1000\n50\n/var\n");
    for wrong in [
        json!({ "user": "" }),
        json!({ "workdir": "relative" }),
        json!({ "env": {"A=B": "c"} }),
        json!({ "env": {"EXOMONAD_EXEC": "mine"} }),
        json!({ "command": [] }),
        json!({ "command": ["a\0b"] }),
    ] {
        let error = stage.exec(&id, &["true"], wrong.clone()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput, "{wrong}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_failed_command() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    match stage.exec(&id, &["no-such-program"], json!({})).await {
        // Docker up to 28 or so runs it and has it fail, later ones refuse it.
        Ok(result) => {
            assert!(matches!(result.exit_code, 126 | 127), "{result:?}");
            assert!(
                result.output.stdout.contains("no-such-program"),
                "{result:?}"
            );
        }
        Err(error) => assert_eq!(error.code, ErrorCode::InvalidInput, "{error}"),
    }
}

#[tokio::test]
async fn a_mebibyte_goes_in_while_a_mebibyte_comes_out() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    let megabyte = "0123456789abcde\n".repeat(1 << 16);
    let both = json!({ "stdin": megabyte, "maxOutputBytes": 1 << 20, "timeoutMillis": 60_000 });
    let result = stage
        .exec(&id, &["tee", "/dev/stderr"], both)
        .await
        .unwrap();
    assert_eq!(result.exit_code, 0);
    assert!(!result.output.truncated);
    assert!(result.output.stdout == megabyte, "stdout differs");
    assert!(result.output.stderr == megabyte, "stderr differs");
    // One that reads nothing of it ends all the same, and one without input sees its end at once.
    let unread = json!({ "stdin": megabyte, "timeoutMillis": 60_000 });
    assert_eq!(
        stage.exec(&id, &["true"], unread).await.unwrap().exit_code,
        0
    );
    for nothing in [json!({ "stdin": "" }), json!({})] {
        let result = stage.exec(&id, &["cat"], nothing).await.unwrap();
        assert_eq!((result.exit_code, &*result.output.stdout), (0, ""));
    }
}

#[tokio::test]
async fn output_beyond_the_limit_is_read_marked_and_thrown_away() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    // It would hang on a full pipe if what is not kept were not read.
    let result = stage
        .exec(
            &id,
            &[
                "sh",
                "-c",
                "head -c 3000000 /dev/zero | tr '\\0' x; echo e >&2",
            ],
            json!({ "maxOutputBytes": 1000, "timeoutMillis": 60_000 }),
        )
        .await
        .unwrap();
    assert_eq!(result.exit_code, 0);
    assert_eq!(result.output.stdout, "x".repeat(1000));
    assert_eq!(result.output.stderr, "e\n");
    assert!(result.output.truncated);
}

#[tokio::test]
async fn output_that_is_no_text_comes_as_bytes_too() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    let result = stage
        .exec(&id, &["printf", "a\\377b"], json!({}))
        .await
        .unwrap();
    assert_eq!(result.output.stdout, "a\u{fffd}b");
    assert_eq!(result.output.stdout_bytes, Some(Base64(b"a\xffb".to_vec())));
}

#[tokio::test]
async fn a_container_that_does_not_run_is_a_conflict() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    stage.bare.pause_container(&id).await.unwrap();
    let error = stage.exec(&id, &["true"], json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error}");
    stage.bare.unpause_container(&id).await.unwrap();
    stage.bare.kill_container(&id, None).await.unwrap();
    let error = stage.exec(&id, &["true"], json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error}");
}

#[tokio::test]
async fn outputs_that_are_closed_early_do_not_end_the_command() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    let result = stage
        .exec(
            &id,
            &["sh", "-c", "echo first; exec >&- 2>&-; sleep 2; exit 3"],
            json!({ "timeoutMillis": 60_000 }),
        )
        .await
        .unwrap();
    assert_eq!(result.exit_code, 3);
    assert_eq!(result.output.stdout, "first\n");
}
