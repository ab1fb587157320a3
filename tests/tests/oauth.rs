//! Tokens of an authorization server that nobody here wrote.

use std::time::Duration;

use exomonad_test_support::mcp::{ask_stateless, stateless, stateless_request};
use exomonad_test_support::{
    AuthorizationServer, Guest, Host, MockResponse, MockServer, Project, Response, eventually,
    tool_named,
};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const PUBLIC: &str = "http://exomonad.example";

fn resource(role: &str) -> String {
    format!("{PUBLIC}/role/{role}/mcp")
}

/// A host whose roles `desk` and `other` are opened by the tokens of this server.
async fn host_of(server: &AuthorizationServer, more: &str) -> (Project, Host) {
    let tools = ["read_a", "write"].map(tool_named);
    let issuer = server.issuer();
    let project = Project::new()
        .config(&format!(
            "[oauth]\nissuers = ['{issuer}']\npublic_url = '{PUBLIC}'\nclock_skew = '0s'\n{more}\n\
             [role.desk]\njournal = 'all'\n[role.other]\nplugin = 'desk'\n"
        ))
        .plugin(
            "desk.wasm",
            Guest::answering("done").tools(json!(tools)).wasm(),
        );
    let host = project.serve().await;
    (project, host)
}

async fn call(host: &Host, token: &str, role: &str, tool: &str) -> Response {
    let request = host
        .request(Method::POST, &format!("/role/{role}/mcp/call"))
        .bearer_auth(token)
        .body(json!({"name": tool, "arguments": {}}).to_string());
    Response::of(request).await
}

async fn ask(host: &Host, token: &str, method: &str, params: Value) -> Response {
    let message = stateless(method, params);
    Response::of(stateless_request(host, "desk", &message).bearer_auth(token)).await
}

/// Part `nth` of a JWT, decoded.
fn part(token: &str, nth: usize) -> Value {
    let text = token.split('.').nth(nth).unwrap();
    let mut bits = 0_u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for character in text.bytes() {
        let value = ALPHABET
            .iter()
            .position(|known| *known == character)
            .unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    serde_json::from_slice(&bytes).unwrap()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0;
        for nth in 0..3 {
            bits = bits << 8 | u32::from(*chunk.get(nth).unwrap_or(&0));
        }
        for nth in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * nth) & 63) as usize]));
        }
    }
    text
}

/// HMAC-SHA256 (RFC 2104), for a token that passes a public key off as a shared one.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    let key = match key.len() > 64 {
        true => Sha256::digest(key).to_vec(),
        false => key.to_vec(),
    };
    block[..key.len()].copy_from_slice(&key);
    let pad = |byte: u8| block.map(|own| own ^ byte);
    let inner = Sha256::digest([&pad(0x36)[..], message].concat());
    Sha256::digest([&pad(0x5c)[..], &inner].concat()).to_vec()
}

#[tokio::test]
async fn a_client_finds_the_authorization_server_and_its_token_opens_what_it_is_for() {
    let Some(server) = AuthorizationServer::start().await else {
        return;
    };
    let (_project, host) = host_of(&server, "").await;
    // As a client does that knows nothing but the address of the role.
    let refused = ask_stateless(&host, "desk", "tools/list", json!({})).await;
    assert_eq!(refused.status, 401);
    let path = "/.well-known/oauth-protected-resource/role/desk/mcp";
    assert_eq!(
        refused.header("www-authenticate"),
        format!("Bearer resource_metadata=\"{PUBLIC}{path}\"")
    );
    let metadata = host.get(path).await;
    assert_eq!(metadata.status, 200, "{}", metadata.text());
    let metadata = metadata.json();
    assert_eq!(metadata["resource"], resource("desk"));
    assert_eq!(metadata["authorization_servers"], json!([server.issuer()]));
    assert_eq!(metadata["bearer_methods_supported"], json!(["header"]));
    let resource_of_host = host.get("/.well-known/oauth-protected-resource").await;
    assert_eq!(resource_of_host.json()["resource"], PUBLIC);

    for client in ["ci", "elliptic", "edwards"] {
        let token = server
            .token(client, &resource("desk"), "tools:read_*")
            .await;
        let listed = ask(&host, &token, "tools/list", json!({})).await.json();
        let tools = listed["result"]["tools"].as_array().unwrap();
        assert_eq!(
            (tools.len(), &tools[0]["name"]),
            (1, &json!("read_a")),
            "{listed}"
        );
        let called = call(&host, &token, "desk", "read_a").await;
        assert_eq!(called.status, 200, "{client}: {}", called.text());
        for refused in [
            call(&host, &token, "desk", "write").await,
            ask(&host, &token, "tools/call", json!({"name": "write"})).await,
        ] {
            assert_eq!(refused.status, 403);
            assert_eq!(
                refused.header("www-authenticate"),
                format!(
                    "Bearer error=\"insufficient_scope\", scope=\"tools:write\", resource_metadata=\"{PUBLIC}{path}\""
                )
            );
        }
        // It is for one role, and never for the host.
        assert_eq!(call(&host, &token, "other", "read_a").await.status, 401);
        let roles = host.request(Method::GET, "/roles").bearer_auth(&token);
        assert_eq!(Response::of(roles).await.status, 401);
    }
    let token = server.token("ci", &resource("desk"), "tools hooks").await;
    assert_eq!(call(&host, &token, "desk", "write").await.status, 200);
    let log = host.log();
    assert!(
        log.contains(&format!("oauth:{}#ci", server.issuer())),
        "{log}"
    );
    assert!(!log.contains(&token), "{log}");
}

#[tokio::test]
async fn tokens_that_are_nearly_right_open_nothing_and_the_host_goes_on() {
    let Some(server) = AuthorizationServer::start().await else {
        return;
    };
    let (_project, host) = host_of(&server, "").await;
    let good = server.token("ci", &resource("desk"), "tools").await;
    assert_eq!(call(&host, &good, "desk", "write").await.status, 200);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (_, claims) = message.split_once('.').unwrap();
    let (header, said) = (part(&good, 0), part(&good, 1));
    let with = |header: &Value, claims: &str| {
        format!("{}.{claims}", encoded(header.to_string().as_bytes()))
    };
    let keys = server.keys().await;
    let public = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == header["kid"]);
    let confused = with(&json!({"alg": "HS256", "kid": header["kid"]}), claims);
    let secret = public.unwrap().to_string();
    let confused_by = |secret: &str| {
        let signature = hmac(secret.as_bytes(), confused.as_bytes());
        format!("{confused}.{}", encoded(&signature))
    };
    let changed = |name: &str, value: Value| {
        let mut said = said.clone();
        said[name] = value;
        format!(
            "{}.{}.{signature}",
            encoded(header.to_string().as_bytes()),
            encoded(said.to_string().as_bytes())
        )
    };
    let another = server.token("ci", &resource("other"), "tools").await;
    let elsewhere = server
        .token("ci", "http://elsewhere.example/", "tools")
        .await;
    for (what, token) in [
        (
            "alg none",
            format!("{}.", with(&json!({"alg": "none"}), claims)),
        ),
        (
            "alg none, signed",
            format!("{}.{signature}", with(&json!({"alg": "none"}), claims)),
        ),
        ("the public key as a secret", confused_by(&secret)),
        (
            "its modulus as a secret",
            confused_by(public.unwrap()["n"].as_str().unwrap()),
        ),
        (
            "another key",
            format!(
                "{}.{signature}",
                with(&json!({"alg": "RS256", "kid": "other"}), claims)
            ),
        ),
        (
            "another algorithm",
            format!(
                "{}.{signature}",
                with(&json!({"alg": "ES256", "kid": header["kid"]}), claims)
            ),
        ),
        ("no signature", format!("{message}.")),
        ("another subject", changed("sub", json!("root"))),
        (
            "another issuer",
            changed("iss", json!("http://127.0.0.1:1")),
        ),
        ("a later end", changed("exp", json!(4_000_000_000_u64))),
        ("another role", another),
        ("another resource", elsewhere),
        ("two parts", message.to_owned()),
        ("no JWT", "a.b.c".to_owned()),
        ("far too long", format!("{good}{}", "A".repeat(20 << 10))),
    ] {
        let refused = call(&host, &token, "desk", "write").await;
        assert_eq!(refused.status, 401, "{what}: {}", refused.text());
        let header = refused.header("www-authenticate");
        assert!(header.contains("resource_metadata="), "{what}: {header}");
        assert!(!refused.text().contains(signature), "{what}");
        let says = header.contains("error_description=\"it is for another audience\"");
        assert_eq!(says, what.starts_with("another r"), "{what}: {header}");
    }
    let bad = confused_by(&secret);
    let header = call(&host, &bad, "desk", "write")
        .await
        .header("www-authenticate")
        .to_owned();
    assert!(header.contains("error=\"invalid_token\""), "{header}");
    let query = host
        .get(&format!("/role/desk/mcp/tools?access_token={good}"))
        .await;
    query.problem(400, "invalid_request");
    assert_eq!(call(&host, &good, "desk", "write").await.status, 200);
}

#[tokio::test]
async fn a_token_that_ends_opens_nothing_any_more() {
    let Some(server) = AuthorizationServer::start().await else {
        return;
    };
    let (_project, host) = host_of(&server, "").await;
    let brief = server.token("brief", &resource("desk"), "tools").await;
    eventually("it has expired", async || {
        let answer = call(&host, &brief, "desk", "write").await;
        let header = match answer.status {
            401 => answer.header("www-authenticate").to_owned(),
            _ => return None,
        };
        assert!(
            header.contains("error_description=\"it has expired\""),
            "{header}"
        );
        Some(())
    })
    .await;
}

#[tokio::test]
async fn changed_keys_are_found_and_the_known_ones_serve_while_the_server_is_away() {
    let Some(mut server) = AuthorizationServer::start().await else {
        return;
    };
    let (project, host) = host_of(&server, "").await;
    let found = project.run(["doctor"]).exits(0);
    assert!(found.stdout.contains("✓ oauth"), "{found:?}");
    let before = server.token("ci", &resource("desk"), "tools").await;
    assert_eq!(call(&host, &before, "desk", "write").await.status, 200);
    server.start_again().await;
    let after = server.token("ci", &resource("desk"), "tools").await;
    // Not sooner than some seconds after it was asked last.
    eventually("the new key is fetched", async || {
        (call(&host, &after, "desk", "write").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(
        call(&host, &before, "desk", "write").await.status,
        401,
        "its key is gone"
    );
    server.stop();
    assert_eq!(call(&host, &after, "desk", "write").await.status, 200);

    let found = project.run(["doctor"]).exits(1);
    assert!(found.stdout.contains("✗ oauth"), "{found:?}");
    let (_project, late) = host_of(&server, "").await;
    let refused = call(&late, &after, "desk", "write").await;
    refused.problem(503, "unavailable");
    assert_eq!(late.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_server_that_hangs_is_asked_once_for_all_and_its_tokens_are_taken_when_it_answers() {
    let Some(server) = AuthorizationServer::start().await else {
        return;
    };
    let keys = server.keys().await.to_string();
    let slow = MockServer::start(move |_, nth| match nth {
        0 => MockResponse::Late(Duration::from_secs(3600)),
        _ => MockResponse::ok(keys.clone()),
    })
    .await;
    let more = format!("jwks_url = '{}/keys'\n", slow.url);
    let (_project, host) = host_of(&server, &more).await;
    let token = server.token("ci", &resource("desk"), "tools").await;
    let calls = (0..20).map(|_| call(&host, &token, "desk", "write"));
    for refused in futures_util::future::join_all(calls).await {
        refused.problem(503, "unavailable");
    }
    assert_eq!(slow.seen().len(), 1, "one fetch for all");
    // Ten seconds until it is given up, and ten until it is tried again.
    eventually("the keys are fetched", async || {
        (call(&host, &token, "desk", "write").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(slow.seen().len(), 2);
}

#[tokio::test]
async fn the_configuration_maps_scopes_requires_some_and_names_audiences() {
    let Some(server) = AuthorizationServer::start().await else {
        return;
    };
    let more = "audience = ['http://api.example/']\nrequired_scopes = ['read']\n[oauth.scopes]\nread = ['tools:read_*']\nhooks = ['tools']\n";
    let (project, host) = host_of(&server, more).await;
    let audience = "http://api.example/";
    let read = server.token("ci", audience, "read").await;
    assert_eq!(call(&host, &read, "desk", "read_a").await.status, 200);
    assert_eq!(call(&host, &read, "other", "read_a").await.status, 200);
    let refused = call(&host, &read, "desk", "write").await;
    assert_eq!(refused.status, 403);
    let header = refused.header("www-authenticate").to_owned();
    assert!(
        header.contains("scope=\"hooks\""),
        "as the server calls it: {header}"
    );
    let both = server.token("ci", audience, "read hooks").await;
    assert_eq!(call(&host, &both, "desk", "write").await.status, 200);
    let lacking = server.token("ci", audience, "hooks").await;
    let refused = call(&host, &lacking, "desk", "read_a").await;
    refused.problem(403, "insufficient_scope");
    assert!(
        refused
            .header("www-authenticate")
            .contains("scope=\"read\"")
    );
    let by_role = server.token("ci", &resource("desk"), "read").await;
    assert_eq!(call(&host, &by_role, "desk", "read_a").await.status, 401);
    // A caller's own token goes beside those.
    let made = project
        .run(["token", "new", "ci", "--role", "desk"])
        .exits(0);
    assert_eq!(
        call(&host, made.stdout.trim(), "desk", "write")
            .await
            .status,
        200
    );
    let metadata = host
        .get("/.well-known/oauth-protected-resource/role/desk/mcp")
        .await
        .json();
    assert_eq!(metadata["scopes_supported"], json!(["read", "hooks"]));
}

#[tokio::test]
async fn without_authorization_servers_there_is_no_metadata_and_mistakes_in_them_are_found() {
    let project = Project::new();
    let host = project.serve().await;
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/role/tl/mcp",
        "/.well-known/oauth-authorization-server",
    ] {
        host.get(path).await.problem(404, "route_not_found");
    }
    for (config, message) in [
        (
            "issuers = ['http://auth.example']\npublic_url = 'http://a'",
            "plain HTTP",
        ),
        ("issuers = ['http://127.0.0.1:1']", "for which audience"),
        ("jwks_url = 'http://127.0.0.1:1/keys'", "one issuer"),
        (
            "issuers = ['http://127.0.0.1:1']\npublic_url = 'http://a'\nalgorithms = ['none']",
            "RS256",
        ),
        (
            "issuers = ['http://127.0.0.1:1']\npublic_url = 'http://a'\nalgorithms = ['HS256']",
            "RS256",
        ),
        ("default_scopes = ['everything']", "not a scope"),
    ] {
        let project = Project::new().config(&format!("[oauth]\n{config}\n"));
        let checked = project
            .run(["--config", "exomonad.toml", "config", "check"])
            .exits(2);
        assert!(checked.output().contains(message), "{config}: {checked:?}");
    }
}
