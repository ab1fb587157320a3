//! [`KeptAnswers`]: the answers that were larger than a role's clients take, as resources that they read in pages.
//!
//! An answer beyond `limits.inline_answer` is not cut silently. Its beginning goes out, with a text that says how much
//! is missing and where it is, and a link to a resource that the host keeps for a while. `structuredContent` that a
//! client holds against the tool's output schema stays whole, since a part of it would not fit that.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use exomonad_config::McpConfig;
use exomonad_host::RequestHash;
use exomonad_schema::{Base64, RawJson};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::methods::{Answer, Context, answer};
use crate::rpc_error::RpcError;

/// The beginning of the addresses of what is kept.
pub const PREFIX: &str = "exomonad://answers/";
/// The query by which an address names the place where a page begins.
const FROM: &str = "?from=";
/// Parts of one answer that are kept.
const PARTS: usize = 16;
/// Bytes that the text about what is missing, its link, and what surrounds the content take.
const OVERHEAD: usize = 1024;
/// The least bytes of content in an answer or a page.
const LEAST: usize = 256;

/// The caller that something is kept for: nobody else can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The role.
    pub role: String,
    /// The caller's credentials, as they came.
    pub principal: Vec<u8>,
}

/// The content of a part.
enum Body {
    Text(String),
    Bytes(Vec<u8>),
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

struct Kept {
    owner: Owner,
    mime_type: String,
    body: Body,
    until: Instant,
}

#[derive(Default)]
struct Shelf {
    parts: HashMap<String, Arc<Kept>>,
    /// The ids, oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

impl Shelf {
    fn remove(&mut self, id: &str) {
        if let Some(kept) = self.parts.remove(id) {
            self.bytes -= kept.body.len();
            self.order.retain(|known| known != id);
        }
    }

    /// Removes what has expired, and then the oldest until so many bytes are free.
    fn make_room(&mut self, free: usize, most: usize) {
        while let Some(oldest) = self.order.front().cloned() {
            let has_expired = self
                .parts
                .get(&oldest)
                .is_none_or(|kept| kept.until <= Instant::now());
            if !has_expired && self.bytes + free <= most {
                return;
            }
            self.remove(&oldest);
        }
    }
}

/// The answers of a host that are kept.
pub struct KeptAnswers {
    shelf: Mutex<Shelf>,
    /// Nobody can make an address without it.
    secret: String,
}

impl Default for KeptAnswers {
    fn default() -> Self {
        let mut secret = [0; 32];
        // Without randomness addresses can be guessed, and still be read by their owners alone.
        let _ = getrandom::fill(&mut secret);
        Self {
            shelf: Mutex::default(),
            secret: format!("{secret:02x?}"),
        }
    }
}

impl KeptAnswers {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a part, and gives its address; `None` if it is larger than all that may be kept. The same part of the
    /// same answer has one address.
    fn keep(
        &self,
        owner: &Owner,
        part: (&str, usize),
        mime_type: &str,
        body: Body,
        config: &McpConfig,
    ) -> Option<String> {
        let most = usize::try_from(config.kept_answers.get()).unwrap_or(usize::MAX);
        if body.len() > most {
            return None;
        }
        let named = json!([self.secret, owner.role, owner.principal, part]).to_string();
        let id = RequestHash::of("", named.as_bytes()).to_string();
        let kept = Kept {
            owner: owner.clone(),
            mime_type: mime_type.to_owned(),
            until: Instant::now() + config.kept_answer_ttl.get(),
            body,
        };
        let mut shelf = self.shelf();
        shelf.remove(&id);
        shelf.make_room(kept.body.len(), most);
        shelf.bytes += kept.body.len();
        shelf.order.push_back(id.clone());
        let address = format!("{PREFIX}{id}");
        shelf.parts.insert(id, Arc::new(kept));
        Some(address)
    }

    fn find(&self, id: &str, owner: &Owner) -> Option<Arc<Kept>> {
        let mut shelf = self.shelf();
        shelf.make_room(0, usize::MAX);
        shelf
            .parts
            .get(id)
            .filter(|kept| kept.owner == *owner)
            .cloned()
    }
}

/// The bytes of an answer of the role from which on it is not whole; `None` if all are.
fn bound(context: &Context) -> Option<usize> {
    let bytes = context.role.settings.inline_answer;
    (bytes > 0).then(|| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// True if answers of the role may be kept, so that there are resources to read.
pub fn may_keep(context: &Context) -> bool {
    bound(context).is_some()
}

/// The bytes that a text has within JSON, without its quotes.
fn escaped(letter: char) -> usize {
    match letter {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\x1f' => 6,
        letter => letter.len_utf8(),
    }
}

/// The beginning of a text that takes at most so many bytes within JSON.
fn beginning(text: &str, most: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, letter)| {
        used += escaped(*letter);
        used > most
    });
    let end = end.map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

/// A tool's result, as a client of the role takes it. `whose` is the answer, and `has_schema` is true if clients hold
/// its structured content against a schema.
pub fn fitted(context: &Context, whose: &str, has_schema: bool, result: Vec<u8>) -> Vec<u8> {
    let Some(most) = bound(context).filter(|most| result.len() > *most) else {
        return result;
    };
    // What stays is as the guest wrote it.
    let Ok(mut whole) = serde_json::from_slice::<BTreeMap<String, RawJson>>(&result) else {
        return result;
    };
    let mut fitting = Fitting {
        context,
        whose,
        left: most.saturating_sub(OVERHEAD).max(LEAST),
        nth: 0,
        content: Vec::new(),
        missing: Vec::new(),
    };
    let bytes = whole
        .get("structuredContent")
        .map_or(0, |json| json.get().len());
    match whole.get("structuredContent") {
        Some(structured) if !has_schema && bytes > fitting.left / 2 => {
            let body = Body::Text(structured.get().to_owned());
            fitting.keep("structuredContent", 0, "application/json", body);
            whole.remove("structuredContent");
        }
        _ => fitting.take(bytes),
    }
    // A model that reads texts alone sees something, however much is structured.
    fitting.left = fitting.left.max(most / 4);
    let content = whole.get("content").and_then(|json| json.parse().ok());
    fitting.parts(content.unwrap_or_default());
    let meta = whole.get("_meta").and_then(|json| json.parse().ok());
    let mut meta: BTreeMap<String, RawJson> = meta.unwrap_or_default();
    meta.insert("exomonad/missing".to_owned(), raw(&fitting.missing));
    whole.insert("content".to_owned(), raw(&fitting.content));
    whole.insert("_meta".to_owned(), raw(&meta));
    serde_json::to_vec(&whole).unwrap_or(result)
}

/// As JSON; numbers in it stay as they are written.
fn raw(value: &impl Serialize) -> RawJson {
    RawJson::new(value).unwrap_or_default()
}

/// A part of an answer that is not, or not wholly, in it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Missing {
    /// Its address; absent if it is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    mime_type: String,
    /// All bytes of it.
    size: usize,
    /// The bytes of it that are in the answer.
    shown: usize,
}

/// An answer that is made to fit.
struct Fitting<'a> {
    context: &'a Context,
    whose: &'a str,
    /// Bytes that there is room for.
    left: usize,
    /// Parts that have been kept.
    nth: usize,
    content: Vec<RawJson>,
    missing: Vec<Missing>,
}

impl Fitting<'_> {
    fn take(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// Takes the parts that fit; of the first one that does not its beginning, if it is a text.
    fn parts(&mut self, content: Vec<RawJson>) {
        let mut rest = content.into_iter().peekable();
        while let Some(part) = rest.peek() {
            let bytes = part.get().len() + 1;
            if bytes > self.left {
                break;
            }
            self.take(bytes);
            self.content.extend(rest.next());
        }
        // Texts that follow each other are one.
        let (mut text, mut shown) = (None::<String>, None::<String>);
        let (mut is_first, mut unkept) = (true, 0);
        for part in rest {
            let part: Value = part.parse().unwrap_or_default();
            if let (Some("text"), Some(one)) = (part["type"].as_str(), part["text"].as_str()) {
                if std::mem::take(&mut is_first) {
                    shown = Some(beginning(one, self.left).to_owned());
                }
                match &mut text {
                    Some(all) => {
                        all.push('\n');
                        all.push_str(one);
                    }
                    None => text = Some(one.to_owned()),
                }
                continue;
            }
            is_first = false;
            self.keep_text(text.take(), shown.take());
            match self.nth < PARTS {
                true => self.keep_part(part),
                false => unkept += 1,
            }
        }
        self.keep_text(text, shown);
        if unkept > 0 {
            self.say(format!(
                "[{unkept} more parts of this answer are left out and not kept.]"
            ));
        }
    }

    fn say(&mut self, text: String) {
        let text = json!({"type": "text", "text": text});
        self.content.push(text.into());
    }

    fn keep_text(&mut self, text: Option<String>, shown: Option<String>) {
        let Some(text) = text else {
            return;
        };
        let shown = shown.unwrap_or_default();
        let length = shown.len();
        if length > 0 {
            self.say(shown);
        }
        self.keep("text", length, "text/plain", Body::Text(text));
    }

    /// Keeps a part that is no text.
    fn keep_part(&mut self, part: Value) {
        let resource = &part["resource"];
        let mime_type = part["mimeType"].as_str().or(resource["mimeType"].as_str());
        let mime_type = mime_type.unwrap_or("application/octet-stream").to_owned();
        let bytes = part["data"].as_str().or(resource["blob"].as_str());
        let decoded = bytes.map(|text| serde_json::from_value::<Base64>(json!(text)));
        let kind = part["type"].as_str().unwrap_or("part").to_owned();
        let body = match (decoded, resource["text"].as_str()) {
            (Some(Ok(Base64(bytes))), _) => Body::Bytes(bytes),
            (None, Some(text)) => Body::Text(text.to_owned()),
            _ => return self.keep(&kind, 0, "application/json", Body::Text(part.to_string())),
        };
        self.keep(&kind, 0, &mime_type, body);
    }

    /// Keeps a part of which so many bytes are shown, and says so.
    fn keep(&mut self, kind: &str, shown: usize, mime_type: &str, body: Body) {
        let (size, is_text) = (body.len(), matches!(body, Body::Text(_)));
        let context = self.context;
        let part = (self.whose, self.nth);
        let uri = context
            .kept
            .keep(&context.owner, part, mime_type, body, &context.config);
        self.nth += 1;
        let what = match shown {
            0 => format!("This answer's {kind} ({mime_type}, {size} bytes) is left out"),
            _ => format!("{shown} bytes of {size} are shown"),
        };
        let minutes = context.config.kept_answer_ttl.get();
        self.say(match &uri {
            Some(uri) if is_text && shown > 0 => format!(
                "[{what}. The rest is in the resource {uri}, which `resources/read` gives in pages for {minutes:?}: \
                 it goes on at {uri}{FROM}{shown}]"
            ),
            Some(uri) => format!(
                "[{what}. It is the resource {uri}, which `resources/read` gives in pages for {minutes:?}.]"
            ),
            None => format!("[{what}, and it is not kept: it is larger than `mcp.kept_answers`.]"),
        });
        if let Some(uri) = &uri
            && context.revision.has_resource_links()
        {
            let link = json!({
                "type": "resource_link", "uri": uri, "name": kind, "mimeType": mime_type, "size": size,
                "description": "What is left out of this answer",
            });
            self.content.push(link.into());
        }
        self.missing.push(Missing {
            uri,
            mime_type: mime_type.to_owned(),
            size,
            shown,
        });
    }
}

/// `resources/read` of what is kept: a page of it, and where the next one begins.
///
/// # Errors
/// If nothing is kept for the caller at this address.
pub fn read(context: &Context, uri: &str) -> Result<Answer, RpcError> {
    let not_found = || RpcError::resource(context.revision.era(), uri);
    let rest = uri.strip_prefix(PREFIX).ok_or_else(not_found)?;
    let (id, from) = match rest.split_once(FROM) {
        Some((id, from)) => (id, from.parse::<usize>().map_err(|_| not_found())?),
        None => (rest, 0),
    };
    let kept = context
        .kept
        .find(id, &context.owner)
        .ok_or_else(not_found)?;
    let most = bound(context).unwrap_or(usize::MAX);
    let most = most.saturating_sub(OVERHEAD).max(LEAST);
    let size = kept.body.len();
    if from > size {
        return Err(not_found());
    }
    let mut content = Map::new();
    content.insert("uri".to_owned(), json!(uri));
    content.insert("mimeType".to_owned(), json!(kept.mime_type));
    let end = match &kept.body {
        Body::Text(text) => {
            let from = text.ceil_char_boundary(from);
            let page = beginning(text.get(from..).unwrap_or_default(), most);
            content.insert("text".to_owned(), json!(page));
            from + page.len()
        }
        Body::Bytes(bytes) => {
            // Three bytes are four characters.
            let end = from.saturating_add(most / 4 * 3).min(size);
            let page = bytes.get(from..end).unwrap_or_default();
            content.insert("blob".to_owned(), json!(Base64(page.to_vec())));
            end
        }
    };
    let mut contents = vec![Value::Object(content)];
    let mut meta = json!({"exomonad/size": size});
    if end < size {
        let next = format!("{PREFIX}{id}{FROM}{end}");
        meta["exomonad/next"] = json!(next);
        contents.push(json!({
            "uri": next, "mimeType": "text/plain",
            "text": format!("[{end} bytes of {size} up to here; it goes on at {next}]"),
        }));
    }
    answer(&json!({"contents": contents, "_meta": meta}))
}
