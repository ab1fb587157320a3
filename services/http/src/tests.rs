//! Requests over real connections.

use std::sync::{Arc, Mutex};

use exomonad_schema::ErrorCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use exomonad_core::Secret;

/// A server that records its requests and answers each with the next of these texts, the last one for
/// ever. `PORT` in them is its own port.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn answering(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut answers: Vec<String> = answers
            .iter()
            .map(|answer| answer.replace("PORT", &port.to_string()))
            .collect();
        answers.reverse();
        let noted = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 64 << 10];
                let mut length = 0;
                while !request[..length].windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut request[length..]).await {
                        Ok(read) if read > 0 => length += read,
                        _ => break,
                    }
                }
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                noted.lock().unwrap().push(text);
                let answer = match answers.len() {
                    1 => answers[0].clone(),
                    _ => answers.pop().unwrap_or_default(),
                };
                if answer == "nothing" {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, seen }
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/path", self.port)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";

fn http(secrets: &[(&str, &str, &str)]) -> Http {
    let secret = |(name, value, host): &(&str, &str, &str)| {
        let secret = SecretConfig {
            value: Some(Secret::new(value)),
            hosts: vec![host.parse().unwrap()],
            ..SecretConfig::default()
        };
        ((*name).to_owned(), secret)
    };
    Http::new(HttpConfig::default(), secrets.iter().map(secret).collect()).unwrap()
}

fn hosts(hosts: &[&str]) -> HttpBounds {
    HttpBounds {
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        ..HttpBounds::default()
    }
}

async fn send(
    http: &Http,
    bounds: &HttpBounds,
    traceparent: Option<&str>,
    request: OutgoingRequest,
) -> Result<IncomingResponse, HttpError> {
    let bounds = BoundsMap::default().with(bounds.clone());
    http.send(&bounds, traceparent, request).await
}

fn get(url: impl Into<String>) -> OutgoingRequest {
    OutgoingRequest {
        method: Method::GET,
        url: url.into(),
        headers: BTreeMap::new(),
        body: Vec::new(),
        max_redirects: 5,
        time_limit: None,
        max_response: 1000,
    }
}

async fn code(bounds: &HttpBounds, request: OutgoingRequest) -> (ErrorCode, String) {
    let error = send(&http(&[]), bounds, None, request).await.unwrap_err();
    (error.code, error.message)
}

#[tokio::test]
async fn a_granted_host_is_reached_and_gets_the_trace_context() {
    let server = Server::answering(&[OK]).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let bounds = hosts(&["127.0.0.1"]);
    let (http, request) = (http(&[]), get(server.url("127.0.0.1")));
    let answer = send(&http, &bounds, Some(trace), request).await.unwrap();
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, b"hi".as_slice())
    );
    assert!(!answer.truncated);
    let seen = server.seen().remove(0);
    assert!(seen.contains(&format!("traceparent: {trace}")), "{seen}");
}

#[tokio::test]
async fn nothing_is_sent_to_hosts_that_are_not_granted() {
    let server = Server::answering(&[OK]).await;
    for (granted, host, says) in [
        (&["example.com"][..], "127.0.0.1", "`hosts`"),
        (&[], "localhost", "`hosts`"),
        // A pattern never means one's own machine or network, in whatever spelling.
        (&["*"], "127.0.0.1", "`private_hosts`"),
        (&["*"], "localhost", "`private_hosts`"),
        (&["*"], "[::1]", "`private_hosts`"),
        (&["*"], "[::ffff:127.0.0.1]", "`private_hosts`"),
        (&["*"], "2130706433", "`private_hosts`"),
        (&["*"], "0x7f.1", "`private_hosts`"),
        (&["*.0.0.1"], "127.0.0.1", "`private_hosts`"),
        (&["*"], "0.0.0.0", "`private_hosts`"),
    ] {
        let (code, message) = code(&hosts(granted), get(server.url(host))).await;
        assert_eq!(code, ErrorCode::Forbidden, "{host}: {message}");
        assert!(message.contains(says), "{host}: {message}");
    }
    assert_eq!(server.seen().len(), 0);
    let mut named = hosts(&["*"]);
    named.private_hosts = vec!["local*".parse().unwrap()];
    assert!(
        send(&http(&[]), &named, None, get(server.url("localhost")))
            .await
            .is_ok()
    );
    assert!(
        send(
            &http(&[]),
            &hosts(&["LOCALHOST"]),
            None,
            get(server.url("localhost"))
        )
        .await
        .is_ok()
    );
}

#[tokio::test]
async fn a_redirect_to_a_host_that_is_not_granted_is_refused() {
    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://localhost:PORT/next\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = Server::answering(&[redirect, OK]).await;
    let (code, message) = code(&hosts(&["127.0.0.1"]), get(server.url("127.0.0.1"))).await;
    assert_eq!(code, ErrorCode::Forbidden, "{message}");
    assert_eq!(server.seen().len(), 1);

    let server = Server::answering(&[redirect, OK]).await;
    let mut request = get(server.url("127.0.0.1"));
    request.method = Method::POST;
    request.body = b"posted".to_vec();
    request.headers = BTreeMap::from([
        ("Authorization".to_owned(), "mine".to_owned()),
        ("X-Other".to_owned(), "kept".to_owned()),
        ("X-Key".to_owned(), "{{secret:KEY}}".to_owned()),
    ]);
    let mut bounds = hosts(&["127.0.0.1", "localhost"]);
    bounds.secrets = vec!["KEY".to_owned()];
    let http = http(&[("KEY", "hunter2", "127.0.0.1")]);
    let answer = send(&http, &bounds, None, request).await.unwrap();
    assert!(
        answer.url.starts_with("http://localhost:"),
        "{}",
        answer.url
    );
    let [first, second] = &server.seen()[..] else {
        panic!("two requests")
    };
    assert!(
        first.starts_with("POST /path") && first.contains("x-key: hunter2"),
        "{first}"
    );
    assert!(
        second.starts_with("GET /next") && second.contains("x-other: kept"),
        "{second}"
    );
    assert!(
        !second.contains("mine") && !second.contains("hunter2"),
        "{second}"
    );
}

#[tokio::test]
async fn redirects_are_followed_up_to_the_requested_number() {
    let redirect =
        "HTTP/1.1 307 Again\r\nlocation: /path\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = Server::answering(&[redirect]).await;
    let bounds = hosts(&["127.0.0.1"]);
    let (code, message) = code(&bounds, get(server.url("127.0.0.1"))).await;
    assert_eq!(code, ErrorCode::Unavailable);
    assert!(message.contains("redirects more than 5 times"), "{message}");
    assert_eq!(server.seen().len(), 6);
    let mut request = get(server.url("127.0.0.1"));
    request.max_redirects = 0;
    let answer = send(&http(&[]), &bounds, None, request).await.unwrap();
    assert_eq!(answer.status, 307);
}

#[tokio::test]
async fn a_secret_that_the_server_repeats_does_not_reach_the_guest() {
    let echo = "HTTP/1.1 200 OK\r\nx-echo: got hunter2\r\nconnection: close\r\n\r\nyou said hunter2, hunter2";
    let server = Server::answering(&[echo]).await;
    let http = http(&[("KEY", "hunter2", "127.0.0.1")]);
    let mut bounds = hosts(&["127.0.0.1"]);
    bounds.secrets = vec!["KEY".to_owned()];
    for limit in [1000, 20, 15, 12, 10] {
        let mut request = get(format!(
            "{}?key={{{{secret:KEY}}}}",
            server.url("127.0.0.1")
        ));
        request.max_response = limit;
        let answer = send(&http, &bounds, None, request).await.unwrap();
        let all = format!("{answer:?} {}", String::from_utf8_lossy(&answer.body));
        assert!(!all.contains("hunt"), "{all}");
        assert_eq!(answer.headers["x-echo"], "got {{secret:KEY}}");
        assert_eq!(answer.truncated, limit < 1000);
    }
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.starts_with("GET /path?key=hunter2 "))
    );
}

#[tokio::test]
async fn routing_and_framing_headers_of_a_guest_are_refused() {
    let server = Server::answering(&[OK]).await;
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "Proxy-Authorization",
    ] {
        let mut request = get(server.url("127.0.0.1"));
        request.headers = BTreeMap::from([(name.to_owned(), "5".to_owned())]);
        let (code, message) = code(&hosts(&["127.0.0.1"]), request).await;
        assert_eq!(code, ErrorCode::InvalidInput, "{message}");
        assert!(message.contains(name), "{message}");
    }
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn a_secret_in_an_address_does_not_come_back_encoded() {
    let server = Server::answering(&[OK]).await;
    let http = http(&[("KEY", "correct horse", "127.0.0.1")]);
    let mut bounds = hosts(&["127.0.0.1"]);
    bounds.secrets = vec!["KEY".to_owned()];
    let mut request = get(format!(
        "{}?key={{{{secret:KEY}}}}",
        server.url("127.0.0.1")
    ));
    request.headers = BTreeMap::from([("Range".to_owned(), "bytes=7-9".to_owned())]);
    let answer = send(&http, &bounds, None, request).await.unwrap();
    assert!(
        answer.url.ends_with("?key={{secret:KEY}}"),
        "{}",
        answer.url
    );
    let seen = server.seen().remove(0);
    assert!(
        seen.contains("correct%20horse") && !seen.to_lowercase().contains("range"),
        "{seen}"
    );
}

#[tokio::test]
async fn errors_have_codes_and_name_only_the_host() {
    let bounds = hosts(&["127.0.0.1", "nowhere.invalid"]);
    let silent = Server::answering(&["nothing"]).await;
    let cut_off = Server::answering(&["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"]).await;
    let nonsense = Server::answering(&["SSH-2.0-OpenSSH\r\n"]).await;
    let mut slow = get(silent.url("127.0.0.1"));
    slow.time_limit = Some(Duration::from_millis(200));
    let mut header = get(cut_off.url("127.0.0.1"));
    header.headers = BTreeMap::from([("x".to_owned(), "a\r\nhost: b".to_owned())]);
    for (request, expected) in [
        (slow, ErrorCode::Timeout),
        (get(cut_off.url("127.0.0.1")), ErrorCode::Unavailable),
        (get(nonsense.url("127.0.0.1")), ErrorCode::Unavailable),
        (
            get("http://127.0.0.1:1/?token=hunter2"),
            ErrorCode::Unavailable,
        ),
        (
            get("http://nowhere.invalid/?token=hunter2"),
            ErrorCode::Unavailable,
        ),
        (get("file:///etc/passwd"), ErrorCode::InvalidInput),
        (get("no address"), ErrorCode::InvalidInput),
        (header, ErrorCode::InvalidInput),
    ] {
        let url = request.url.clone();
        let (code, message) = code(&bounds, request).await;
        assert_eq!(code, expected, "{url}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

/// A role with a secret for the server, and a request that does not use it.
fn with_secret() -> (Http, HttpBounds) {
    let http = http(&[("KEY", "correct+horse/battery", "127.0.0.1")]);
    let mut bounds = hosts(&["127.0.0.1"]);
    bounds.secrets = vec!["KEY".to_owned()];
    (http, bounds)
}

#[tokio::test]
async fn a_secret_that_a_server_has_kept_is_redacted_however_it_is_asked_for() {
    let encoded = "HTTP/1.1 200 OK\r\nx-e: Y29ycmVjdCtob3JzZS9iYXR0ZXJ5\r\nconnection: close\r\n\r\n\
        {\"a\":\"correct\\u002bhorse\\/battery\",\"b\":\"correct%2Bhorse%2Fbattery\",\"c\":\"dTpjb3JyZWN0K2hvcnNlL2JhdHRlcnk=\"}";
    let server = Server::answering(&[encoded]).await;
    let (http, bounds) = with_secret();
    let mut request = get(server.url("127.0.0.1"));
    for (name, value) in [
        ("Range", "bytes=0-3"),
        ("Accept-Encoding", "gzip"),
        ("If-Range", "x"),
    ] {
        request.headers.insert(name.to_owned(), value.to_owned());
    }
    let answer = send(&http, &bounds, None, request).await.unwrap();
    let body = String::from_utf8(answer.body).unwrap();
    assert_eq!(body.matches("{{secret:KEY}}").count(), 3, "{body}");
    assert_eq!(answer.headers["x-e"], "{{secret:KEY}}");
    let seen = server.seen().remove(0).to_lowercase();
    assert!(!seen.contains("range") && !seen.contains("gzip"), "{seen}");
    assert!(seen.contains("accept-encoding: identity"), "{seen}");
}

#[tokio::test]
async fn an_encoded_or_partial_response_is_refused_where_it_could_hide_a_secret() {
    for head in [
        "200 OK\r\ncontent-encoding: gzip",
        "206 Partial\r\ncontent-range: bytes 3-5/9",
    ] {
        let answer =
            format!("HTTP/1.1 {head}\r\ncontent-length: 3\r\nconnection: close\r\n\r\nrec");
        let server = Server::answering(&[&answer]).await;
        let (http, bounds) = with_secret();
        let refused = send(&http, &bounds, None, get(server.url("127.0.0.1")))
            .await
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unavailable, "{refused}");
        // Who has no secret for the server gets what it asks for.
        let mut without = bounds.clone();
        without.secrets.clear();
        let answer = send(&http, &without, None, get(server.url("127.0.0.1")))
            .await
            .unwrap();
        assert_eq!(answer.body, b"rec");
    }
}

#[tokio::test]
async fn a_secret_is_neither_user_nor_password_of_an_address_and_not_in_the_final_one() {
    let (http, bounds) = with_secret();
    for user in ["u:{{secret:KEY}}", "{{secret:KEY}}", "{{secret:KEY}}:x"] {
        let url = format!("http://{user}@127.0.0.1:1/");
        let refused = send(&http, &bounds, None, get(url)).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidInput, "{refused}");
        assert!(refused.message.contains("authorization"), "{refused}");
    }
    let redirect = "HTTP/1.1 302 Found\r\nlocation: /at/correct%2bhorse%2Fbattery?b=Y29ycmVjdCtob3JzZS9iYXR0ZXJ5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = Server::answering(&[redirect, OK]).await;
    let answer = send(&http, &bounds, None, get(server.url("127.0.0.1")))
        .await
        .unwrap();
    assert!(
        answer.url.ends_with("/at/{{secret:KEY}}?b={{secret:KEY}}"),
        "{}",
        answer.url
    );
}
