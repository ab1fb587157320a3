//! One function for each thing that Extism's Rust PDK offers.

use std::collections::BTreeMap;

use extism_pdk::*;
use serde::{Deserialize, Serialize};

#[host_fn]
extern "ExtismHost" {
    fn reverse(text: String) -> String;
}

#[plugin_fn]
pub fn echo(input: Vec<u8>) -> FnResult<Vec<u8>> {
    Ok(input)
}

/// The same through an effect.
#[plugin_fn]
pub fn effect(input: String) -> FnResult<String> {
    Ok(unsafe { reverse(input) }?)
}

#[derive(Deserialize, Serialize)]
struct Vowels {
    count: usize,
    vowels: String,
}

#[plugin_fn]
pub fn count_vowels(input: String) -> FnResult<Json<Vowels>> {
    let vowels = "aeiouAEIOU";
    let count = input.chars().filter(|c| vowels.contains(*c)).count();
    Ok(Json(Vowels { count, vowels: vowels.to_owned() }))
}

/// JSON in, JSON out.
#[plugin_fn]
pub fn double(Json(mut vowels): Json<Vowels>) -> FnResult<Json<Vowels>> {
    vowels.count *= 2;
    Ok(Json(vowels))
}

#[plugin_fn]
pub fn configured(key: String) -> FnResult<String> {
    Ok(config::get(&key)?.unwrap_or_else(|| "absent".to_owned()))
}

/// Sets a variable, reads it, removes it.
#[plugin_fn]
pub fn variables(input: Vec<u8>) -> FnResult<String> {
    let before = var::get::<Vec<u8>>("kept")?.is_some();
    var::set("kept", &input)?;
    let kept: Option<Vec<u8>> = var::get("kept")?;
    var::remove("kept")?;
    let after = var::get::<Vec<u8>>("kept")?.is_some();
    Ok(format!("{before} {} {after}", kept == Some(input)))
}

#[plugin_fn]
pub fn fetch(url: String) -> FnResult<Json<BTreeMap<String, String>>> {
    let request = HttpRequest::new(url).with_method("POST").with_header("X-Asked", "yes");
    let response = http::request(&request, Some("a body"))?;
    let mut about = BTreeMap::from([
        ("status".to_owned(), response.status_code().to_string()),
        ("body".to_owned(), String::from_utf8_lossy(&response.body()).into_owned()),
    ]);
    if let Some(answered) = response.headers().get("x-answered") {
        about.insert("x-answered".to_owned(), answered.clone());
    }
    Ok(Json(about))
}

#[plugin_fn]
pub fn write_logs(message: String) -> FnResult<()> {
    trace!("{message} at trace");
    debug!("{message} at debug");
    info!("{message} at info");
    warn!("{message} at warn");
    error!("{message} at error");
    Ok(())
}

#[plugin_fn]
pub fn fail(message: String) -> FnResult<()> {
    Err(WithReturnCode::new(Error::msg(message), 7))
}

#[plugin_fn]
pub fn panics(message: String) -> FnResult<()> {
    panic!("{message}")
}

#[plugin_fn]
pub fn large(megabytes: String) -> FnResult<Vec<u8>> {
    let megabytes: usize = megabytes.parse().map_err(Error::new)?;
    Ok((0..megabytes << 20).map(|n| (n % 251) as u8).collect())
}
