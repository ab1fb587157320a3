//! `POST /call`: any export, raw in and out, where the operator allows it.

use exomonad_test_support::{Guest, Project};

#[tokio::test]
async fn raw_calls_are_off_unless_the_operator_turns_them_on() {
    let project = Project::new();
    let host = project.serve().await;
    let refused = host
        .raw("echo", "echo", "a")
        .await
        .problem(403, "raw_calls_off");
    assert!(refused.contains("`server.raw_calls = true`"), "{refused}");
}

#[tokio::test]
async fn any_export_is_called_with_the_input_as_it_is() {
    let project = Project::new().config("[server]\nraw_calls = true\n");
    let host = project.serve().await;
    let echoed = host.raw("echo", "echo", "größer\n\u{0}").await;
    assert_eq!(
        (echoed.status, echoed.text()),
        (200, "größer\n\u{0}".to_owned())
    );
    assert_eq!(echoed.header("content-type"), "application/octet-stream");
    assert!(!echoed.header("x-exomonad-call-id").is_empty());
    assert_eq!(
        host.raw("echo", "count_vowels", "Hello World").await.text(),
        r#"{"count":3}"#
    );
}

#[tokio::test]
async fn each_failure_has_its_own_problem_code() {
    let project = Project::new()
        .config("[server]\nraw_calls = true\n")
        .plugin(
            "odd.wat",
            Guest::answering("")
                .part(r#"(func (export "two_numbers") (param i32 i32))"#)
                .export("trap", "unreachable")
                .wat(),
        );
    let host = project.serve().await;
    let absent = host
        .raw("echo", "sing", "")
        .await
        .problem(404, "export_not_found");
    assert!(
        absent.contains("count_vowels"),
        "what there is, is named: {absent}"
    );
    host.raw("odd", "two_numbers", "")
        .await
        .problem(404, "export_not_found");
    host.raw("nobody", "echo", "")
        .await
        .problem(404, "role_not_found");
    let failed = host
        .raw("echo", "fail_raw", "as asked")
        .await
        .problem(502, "guest_failed");
    assert_eq!(failed, "as asked");
    host.raw("odd", "trap", "")
        .await
        .problem(502, "guest_trapped");
    host.post("/call", r#"{"plugin":"echo"}"#)
        .await
        .problem(400, "invalid_request");
}
