//! `http_request` and what asks about its answer, against a server on the loopback interface.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use exomonad_engine::{HttpError, HttpRequest, HttpResponse};
use exomonad_test_support::RefusingAddress;

use crate::engines::{call_both, same, same_calls};
use crate::outcome::{FailureKind, Outcome};
use crate::setup::Setup;

/// Performs a request if its host is allowed, in the way that Extism does.
pub async fn perform(
    request: HttpRequest,
    allowed: Vec<String>,
) -> Result<HttpResponse, HttpError> {
    let host = request
        .url
        .split('/')
        .nth(2)
        .unwrap_or_default()
        .split(':')
        .next()
        .unwrap_or_default();
    if !allowed.iter().any(|pattern| pattern == host) {
        return Err(HttpError::Failed(format!(
            "HTTP request to {} is not allowed",
            request.url
        )));
    }
    sent(request).await
}

async fn sent(request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let failed = |error: reqwest::Error| HttpError::Failed(error.to_string());
    let method = request.method.as_deref().unwrap_or("GET").to_uppercase();
    let method = reqwest::Method::from_bytes(method.as_bytes())
        .map_err(|error| HttpError::Failed(error.to_string()))?;
    // A second installation is refused; the first one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build();
    let mut made = client.map_err(failed)?.request(method, &request.url);
    for (name, value) in &request.headers {
        made = made.header(name, value);
    }
    let mut response = made.body(request.body).send().await.map_err(failed)?;
    let headers = response.headers().iter();
    let headers = headers.filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    let headers: BTreeMap<String, String> = headers.collect();
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() as u64 > request.max_response {
            return Err(HttpError::TooLarge);
        }
    }
    Ok(HttpResponse {
        status,
        headers,
        body,
    })
}

/// Starts a server that answers each request with a description of it, and returns its address.
///
/// `/<status>/…` asks for that status. It ends with the test's process.
pub fn serve() -> String {
    let listener =
        TcpListener::bind("127.0.0.1:0").expect("the loopback interface has a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // A client that goes away is no failure of the server.
            let _ = answer(connection);
        }
    });
    format!("http://{address}")
}

fn answer(mut connection: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let (mut length, mut chunked, mut asked) = (0, false, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "transfer-encoding" => chunked = value == "chunked",
            "x-asked" => value.clone_into(&mut asked),
            _ => {}
        }
    }
    // To its end: a connection that is closed with bytes unread is reset, and the answer lost.
    let body = match chunked {
        true => chunks(&mut reader)?,
        false => piece(&mut reader, length)?,
    };
    let mut words = first.split(' ');
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let status = path.split('/').nth(1).unwrap_or("200");
    let said = match method {
        _ if path.ends_with("/nothing") => String::new(),
        _ => format!(
            "{method} {path} asked={asked} body={}",
            String::from_utf8_lossy(&body)
        ),
    };
    write!(
        connection,
        "HTTP/1.1 {status} Said\r\nX-Answered: Yes\r\nX-Twice: 1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
        said.len()
    )
}

fn piece(reader: &mut impl Read, length: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A body in chunks, up to the empty one.
fn chunks(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        body.extend(piece(reader, length)?);
        reader.read_line(&mut line)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

const FETCH: &str = r#"
    (func (export "run")
      (call $answer (call $http_request (call $input_block) (i64.const 0))))
    (func (export "posting")
      (call $answer (call $http_request (call $input_block) (call $greeting))))
    (func (export "status")
      (drop (call $http_request (call $input_block) (i64.const 0)))
      (call $say32 (call $http_status_code)) (call $report))
    (func (export "headers")
      (drop (call $http_request (call $input_block) (i64.const 0)))
      (call $answer (call $http_headers)))
    (func (export "owned") (local $a i64) (local $b i64)
      (local.set $a (call $input_block)) (local.set $b (call $greeting))
      ;; Nothing comes back that could have their place.
      (if (i64.ne (call $http_request (local.get $a) (local.get $b)) (i64.const 0)) (then (unreachable)))
      (call $say (call $length (local.get $a))) (call $say (call $length (local.get $b))) (call $report))
    (func (export "before") (call $say32 (call $http_status_code)) (call $report))"#;

fn allowed(hosts: &[&str]) -> Setup {
    Setup {
        allowed_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        ..Setup::with_abi(FETCH)
    }
}

#[test]
fn requests_and_responses_travel_alike() {
    let server = serve();
    let setup = allowed(&["127.0.0.1"]);
    let request = |rest: &str| format!(r#"{{"url":"{server}{rest}}}"#).into_bytes();
    let nothing = request(r#"/200/nothing","method":"POST""#);
    let outcome = same_calls("the request is the host's", &setup, &[("owned", &nothing)]);
    assert_eq!(outcome.numbers(), Some(vec![0, 0]));
    for rest in [
        r#"/200/plain""#,
        r#"/200/with/path?and=query","method":"GET""#,
        r#"/200/","method":"post""#,
        r#"/200/","method":"DELETE","headers":{"X-Asked":"for this"}"#,
        r#"/404/""#,
        r#"/500/","method":"PUT""#,
        r#"/418/""#,
    ] {
        for export in ["run", "posting", "status", "headers"] {
            let method_takes_body = rest.contains("post") || rest.contains("PUT");
            if export == "posting" && !method_takes_body {
                continue;
            }
            let input = request(rest);
            let outcome = same_calls(&format!("{export} {rest}"), &setup, &[(export, &input)]);
            assert!(
                matches!(outcome, Outcome::Answer(_)),
                "{export} {rest}: {outcome:?}"
            );
        }
    }
    same_calls("before any request", &setup, &[("before", b"")]);
}

#[test]
fn what_is_not_on_the_allow_list_is_refused_in_the_same_words() {
    let server = serve();
    let input = format!(r#"{{"url":"{server}/200/"}}"#);
    for hosts in [&[][..], &["localhost"], &["example.com", "127.0.0.2"]] {
        let outcome = same("another host", &allowed(hosts), input.as_bytes());
        assert!(
            matches!(&outcome, Outcome::Failed(FailureKind::Message(message), _) if message.ends_with("is not allowed")),
            "{outcome:?}"
        );
    }
}

#[test]
fn requests_that_are_none_and_servers_that_are_gone_fail_in_both() {
    let setup = allowed(&["127.0.0.1"]);
    let refusing = RefusingAddress::new();
    let unreachable = format!(r#"{{"url":"http://{}/"}}"#, refusing.address());
    for input in [
        "",
        "not json",
        "{}",
        r#"{"url":5}"#,
        r#"{"url":"::"}"#,
        &unreachable,
    ] {
        let both = call_both(&setup, &[("run", input.as_bytes())]);
        for outcome in [&both.extism[0], &both.fresh[0], &both.kept[0]] {
            assert!(matches!(outcome, Outcome::Failed(..)), "{input}: {both:?}");
        }
    }
}
