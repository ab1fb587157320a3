//! Events and records as bytes.
//!
//! Events are appended to a buffer while the call runs, so their form is the one that is cheapest to write: a
//! tag, then numbers as LEB128 and bytes with their length before them. A summary is JSON: it gets fields from
//! version to version, and old files are to be read.
//!
//! ```text
//! body   = input-bytes input events [output] [error]
//! event  = tag fields…
//! bytes  = length byte…
//! [x]    = 0 | 1 x
//! ```
//!
//! Whatever is read may be damaged or made up: no length is believed before it was compared with what is there.

use std::collections::BTreeMap;
use std::time::Duration;

use exomonad_schema::Base64;
use exomonad_schema::effects::log::LogLevel;

use crate::hash::RequestHash;
use crate::record::{
    CallRecord, CallSummary, EffectEvent, Event, HttpAnswer, HttpExchange, Payload,
};

const EFFECT: u8 = 1;
const EFFECT_ANSWER: u8 = 2;
const HTTP: u8 = 3;
const HTTP_RESPONSE: u8 = 4;
const HTTP_TOO_LARGE: u8 = 5;
const HTTP_FAILED: u8 = 6;
const LOG: u8 = 7;
const LOG_LEVEL: u8 = 8;
const CONFIG: u8 = 9;
const NOW: u8 = 10;
const MONOTONIC: u8 = 11;
const RANDOM: u8 = 12;
const NO_RANDOM: u8 = 13;
const SLEEP: u8 = 14;

/// The name under which [`RequestHash`] knows Extism's `http_request`.
pub const HTTP_REQUEST: &str = "http_request";

/// The levels by the number that stands for each.
const LEVELS: [LogLevel; 5] = [
    LogLevel::Trace,
    LogLevel::Debug,
    LogLevel::Info,
    LogLevel::Warn,
    LogLevel::Error,
];

/// A part of an event, as it is when it happens.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// The guest asks for an effect.
    Effect {
        /// Its capability.
        name: &'a str,
        /// Its request.
        request: &'a [u8],
    },
    /// The effect is answered.
    EffectAnswer {
        /// The time that it took.
        took: Duration,
        /// The answer.
        answer: &'a [u8],
    },
    /// The guest makes an HTTP request.
    Http {
        /// The method.
        method: &'a str,
        /// The address.
        url: &'a str,
        /// The header fields.
        headers: &'a BTreeMap<String, String>,
        /// The body.
        body: &'a [u8],
    },
    /// The HTTP request is answered.
    HttpResponse {
        /// The time that it took.
        took: Duration,
        /// The status.
        status: u16,
        /// The header fields.
        headers: &'a BTreeMap<String, String>,
        /// The body.
        body: &'a [u8],
    },
    /// The HTTP response is longer than the limit.
    HttpTooLarge {
        /// The time that it took.
        took: Duration,
    },
    /// The HTTP request has no response.
    HttpFailed {
        /// The time that it took.
        took: Duration,
        /// The reason.
        message: &'a str,
    },
    /// A line of the log.
    Log {
        /// Its level.
        level: LogLevel,
        /// The line.
        message: &'a str,
    },
    /// The least level that is logged.
    LogLevel(Option<LogLevel>),
    /// A value of the configuration.
    Config {
        /// The key.
        key: &'a str,
        /// The value.
        value: Option<&'a str>,
    },
    /// The wall clock, in nanoseconds since 1970.
    Now(i64),
    /// The monotonic clock, in nanoseconds.
    Monotonic(u64),
    /// Random bytes.
    Random(&'a [u8]),
    /// Randomness that was refused, with the reason.
    NoRandom(&'a str),
    /// A pause of so many nanoseconds.
    Sleep(u64),
}

impl Part<'_> {
    /// Bytes that it takes at most.
    pub fn size(&self) -> usize {
        let fields = |headers: &BTreeMap<String, String>| {
            let one = |(name, value): (&String, &String)| name.len() + value.len() + 20;
            headers.iter().map(one).sum::<usize>() + 10
        };
        // A tag, and a number or length of ten bytes for each field.
        let bytes = match self {
            Self::Effect { name, request } => name.len() + request.len(),
            Self::EffectAnswer { answer, .. } => answer.len(),
            Self::Http {
                method,
                url,
                headers,
                body,
            } => method.len() + url.len() + fields(headers) + body.len(),
            Self::HttpResponse { headers, body, .. } => fields(headers) + body.len(),
            Self::HttpFailed { message, .. } | Self::Log { message, .. } => message.len(),
            Self::Config { key, value } => key.len() + value.map_or(0, str::len),
            Self::Random(bytes) => bytes.len(),
            Self::NoRandom(reason) => reason.len(),
            Self::HttpTooLarge { .. }
            | Self::LogLevel(_)
            | Self::Now(_)
            | Self::Monotonic(_)
            | Self::Sleep(_) => 0,
        };
        bytes + 41
    }

    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Effect { name, request } => {
                out.push(EFFECT);
                put_bytes(out, name.as_bytes());
                put_bytes(out, request);
            }
            Self::EffectAnswer { took, answer } => {
                out.push(EFFECT_ANSWER);
                put_micros(out, *took);
                put_bytes(out, answer);
            }
            Self::Http {
                method,
                url,
                headers,
                body,
            } => {
                out.push(HTTP);
                put_bytes(out, method.as_bytes());
                put_bytes(out, url.as_bytes());
                put_fields(out, headers);
                put_bytes(out, body);
            }
            Self::HttpResponse {
                took,
                status,
                headers,
                body,
            } => {
                out.push(HTTP_RESPONSE);
                put_micros(out, *took);
                put_number(out, u64::from(*status));
                put_fields(out, headers);
                put_bytes(out, body);
            }
            Self::HttpTooLarge { took } => {
                out.push(HTTP_TOO_LARGE);
                put_micros(out, *took);
            }
            Self::HttpFailed { took, message } => {
                out.push(HTTP_FAILED);
                put_micros(out, *took);
                put_bytes(out, message.as_bytes());
            }
            Self::Log { level, message } => {
                out.push(LOG);
                put_level(out, Some(*level));
                put_bytes(out, message.as_bytes());
            }
            Self::LogLevel(level) => {
                out.push(LOG_LEVEL);
                put_level(out, *level);
            }
            Self::Config { key, value } => {
                out.push(CONFIG);
                put_bytes(out, key.as_bytes());
                put_optional(out, value.map(str::as_bytes));
            }
            Self::Now(unix_nanos) => {
                out.push(NOW);
                put_number(out, unix_nanos.cast_unsigned());
            }
            Self::Monotonic(nanos) => {
                out.push(MONOTONIC);
                put_number(out, *nanos);
            }
            Self::Random(bytes) => {
                out.push(RANDOM);
                put_bytes(out, bytes);
            }
            Self::NoRandom(reason) => {
                out.push(NO_RANDOM);
                put_bytes(out, reason.as_bytes());
            }
            Self::Sleep(nanos) => {
                out.push(SLEEP);
                put_number(out, *nanos);
            }
        }
    }
}

/// The body of a record.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// The input, or its beginning.
    pub input: &'a [u8],
    /// The bytes of the whole input.
    pub input_bytes: u64,
    /// The events, as [`Part::write`] has appended them.
    pub events: &'a [u8],
    /// The output.
    pub output: Option<&'a [u8]>,
    /// The failure.
    pub error: Option<&'a str>,
}

impl Body<'_> {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        put_number(out, self.input_bytes);
        put_bytes(out, self.input);
        put_bytes(out, self.events);
        put_optional(out, self.output);
        put_optional(out, self.error.map(str::as_bytes));
    }
}

/// Bytes that are no record, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(pub &'static str);

/// Reads a record's body.
///
/// # Errors
/// If these bytes are none.
pub fn read_record(call: CallSummary, body: &[u8]) -> Result<CallRecord, DecodeError> {
    let mut rest = Bytes(body);
    let input_bytes = rest.number()?;
    let input = rest.bytes()?.into();
    let events = read_events(rest.bytes()?)?;
    let output = rest.optional()?.map(Payload::from);
    let error = rest.optional()?.map(text).transpose()?;
    if !rest.0.is_empty() {
        return Err(DecodeError("there are bytes behind its end"));
    }
    Ok(CallRecord {
        call,
        input,
        input_bytes,
        events,
        output,
        error,
    })
}

/// Reads events.
///
/// # Errors
/// If these bytes are none.
pub fn read_events(events: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let mut rest = Bytes(events);
    let mut read = Vec::new();
    while let Some(tag) = rest.tag() {
        let event = match tag {
            EFFECT => effect(&mut rest)?,
            HTTP => http(&mut rest)?,
            LOG => Event::Log {
                level: rest.level()?.ok_or(DecodeError("a line has no level"))?,
                message: text(rest.bytes()?)?,
            },
            LOG_LEVEL => Event::LogLevel {
                level: rest.level()?,
            },
            CONFIG => Event::Config {
                key: text(rest.bytes()?)?,
                value: rest.optional()?.map(text).transpose()?,
            },
            NOW => Event::Now {
                unix_nanos: rest.number()?.cast_signed(),
            },
            MONOTONIC => Event::Monotonic {
                nanos: rest.number()?,
            },
            RANDOM => Event::Random {
                bytes: Base64(rest.bytes()?.to_vec()),
            },
            NO_RANDOM => Event::NoRandom {
                reason: text(rest.bytes()?)?,
            },
            SLEEP => Event::Sleep {
                nanos: rest.number()?,
            },
            _ => return Err(DecodeError("an event is of no kind that is known")),
        };
        read.push(event);
    }
    Ok(read)
}

fn effect(rest: &mut Bytes<'_>) -> Result<Event, DecodeError> {
    let effect = text(rest.bytes()?)?;
    let request: Payload = rest.bytes()?.into();
    let mut event = EffectEvent {
        hash: RequestHash::of(&effect, &request.0),
        effect,
        request,
        answer: None,
        micros: None,
    };
    if rest.take_tag(EFFECT_ANSWER) {
        event.micros = Some(rest.number()?);
        event.answer = Some(rest.bytes()?.into());
    }
    Ok(Event::Effect(event))
}

fn http(rest: &mut Bytes<'_>) -> Result<Event, DecodeError> {
    let method = text(rest.bytes()?)?;
    let url = text(rest.bytes()?)?;
    let headers = rest.fields()?;
    let body: Payload = rest.bytes()?.into();
    let hash = hash_http(&method, &url, &headers, &body.0);
    let mut micros = None;
    let answer = if rest.take_tag(HTTP_RESPONSE) {
        micros = Some(rest.number()?);
        Some(HttpAnswer::Response {
            status: u16::try_from(rest.number()?)
                .map_err(|_| DecodeError("a status has too many digits"))?,
            headers: rest.fields()?,
            body: rest.bytes()?.into(),
        })
    } else if rest.take_tag(HTTP_TOO_LARGE) {
        micros = Some(rest.number()?);
        Some(HttpAnswer::TooLarge {})
    } else if rest.take_tag(HTTP_FAILED) {
        micros = Some(rest.number()?);
        Some(HttpAnswer::Failed {
            message: text(rest.bytes()?)?,
        })
    } else {
        None
    };
    Ok(Event::Http(Box::new(HttpExchange {
        hash,
        method,
        url,
        headers,
        body,
        answer,
        micros,
    })))
}

/// The hash of an HTTP request.
pub fn hash_http(
    method: &str,
    url: &str,
    headers: &BTreeMap<String, String>,
    body: &[u8],
) -> RequestHash {
    let mut bytes = Vec::with_capacity(method.len() + url.len() + body.len() + 64);
    put_bytes(&mut bytes, method.as_bytes());
    put_bytes(&mut bytes, url.as_bytes());
    put_fields(&mut bytes, headers);
    put_bytes(&mut bytes, body);
    RequestHash::of(HTTP_REQUEST, &bytes)
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn put_micros(out: &mut Vec<u8>, took: Duration) {
    put_number(out, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_optional(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => out.push(0),
        Some(bytes) => {
            out.push(1);
            put_bytes(out, bytes);
        }
    }
}

fn put_fields(out: &mut Vec<u8>, fields: &BTreeMap<String, String>) {
    put_number(out, fields.len() as u64);
    for (name, value) in fields {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

/// 0 for none, else 1 and more.
fn put_level(out: &mut Vec<u8>, level: Option<LogLevel>) {
    let nth = level.and_then(|level| LEVELS.iter().position(|known| *known == level));
    put_number(out, nth.map_or(0, |nth| nth as u64 + 1));
}

fn text(bytes: &[u8]) -> Result<String, DecodeError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DecodeError("a text is not UTF-8"))?;
    Ok(text.to_owned())
}

/// Bytes that are still to be read.
struct Bytes<'a>(&'a [u8]);

const ENDS_EARLY: DecodeError = DecodeError("it ends too early");

impl<'a> Bytes<'a> {
    fn tag(&mut self) -> Option<u8> {
        let (tag, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*tag)
    }

    /// Passes over this tag if it comes next.
    fn take_tag(&mut self, tag: u8) -> bool {
        let is_next = self.0.first() == Some(&tag);
        if is_next {
            self.0 = &self.0[1..];
        }
        is_next
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.tag().ok_or(ENDS_EARLY)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError("a number is too long"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.number()?).map_err(|_| ENDS_EARLY)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(ENDS_EARLY)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn optional(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.tag().ok_or(ENDS_EARLY)? {
            0 => Ok(None),
            1 => self.bytes().map(Some),
            _ => Err(DecodeError("a part is neither there nor absent")),
        }
    }

    fn fields(&mut self) -> Result<BTreeMap<String, String>, DecodeError> {
        let count = self.number()?;
        let mut fields = BTreeMap::new();
        for _ in 0..count {
            fields.insert(text(self.bytes()?)?, text(self.bytes()?)?);
        }
        Ok(fields)
    }

    fn level(&mut self) -> Result<Option<LogLevel>, DecodeError> {
        let number = self.number()?;
        match number.checked_sub(1) {
            None => Ok(None),
            Some(nth) => {
                let level = usize::try_from(nth).ok().and_then(|nth| LEVELS.get(nth));
                Ok(Some(*level.ok_or(DecodeError("a level is not known"))?))
            }
        }
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
pub(crate) mod tests;
