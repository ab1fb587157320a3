//! Secrets found in what a server sends, however it writes them.
//!
//! A server may repeat a secret as it came, or as programs write texts: with percent escapes, as JSON, as
//! HTML, as quoted-printable, in hexadecimal, in base64 at any of its three alignments. Escapes may be mixed
//! and doubled, so a text is compared with what it decodes to, character by character, and not with a list of
//! its spellings.

/// The secrets to find, each with the text to put in its place.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    secrets: Vec<Spelled>,
    /// True for bytes with which some secret may begin.
    begins: Vec<bool>,
}

/// One secret in one of its forms.
struct Spelled {
    form: Form,
    characters: Vec<char>,
    replacement: String,
}

impl std::fmt::Debug for Spelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.replacement)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is, in either case: names of headers come in lower case.
    Plain,
    /// In hexadecimal.
    Hex,
    /// The part of its base64 that depends on nothing else.
    Base64,
}

/// Characters of base64 below which it could be anything.
const LEAST_BASE64: usize = 6;
/// Bytes that one character takes at most: `%2525C3%2525A9`, `&#x000000e9;`.
const LONGEST_CHARACTER: usize = 24;
/// Backslashes and doubled percent signs that are followed: texts within texts.
const DEEPEST: usize = 4;
/// Digits of a numeric entity.
const DIGITS: usize = 8;

impl Redactor {
    /// Finds these secrets; empty ones are none.
    pub fn new<'s>(secrets: impl IntoIterator<Item = (&'s str, String)>) -> Self {
        let mut all = Vec::new();
        for (value, replacement) in secrets {
            if value.is_empty() {
                continue;
            }
            let mut add = |form, text: String| {
                all.push(Spelled {
                    form,
                    characters: text.chars().collect(),
                    replacement: replacement.clone(),
                });
            };
            add(Form::Plain, value.to_owned());
            add(
                Form::Hex,
                value.bytes().map(|byte| format!("{byte:02x}")).collect(),
            );
            for before in 0..3 {
                let core = base64_core(value.as_bytes(), before);
                if core.len() >= LEAST_BASE64 {
                    add(Form::Base64, core);
                }
            }
        }
        let mut begins = vec![false; 256];
        for byte in *b"%\\&=+" {
            begins[usize::from(byte)] = true;
        }
        for spelled in &all {
            let first = spelled.characters.first().copied().unwrap_or_default();
            let mut buffer = [0; 4];
            let byte = first.encode_utf8(&mut buffer).as_bytes()[0];
            for byte in [byte, byte.to_ascii_lowercase(), byte.to_ascii_uppercase()] {
                begins[usize::from(byte)] = true;
            }
            // The other alphabet's.
            if spelled.form == Form::Base64 && matches!(byte, b'+' | b'/') {
                begins[usize::from(b'-')] = true;
                begins[usize::from(b'_')] = true;
            }
        }
        Self {
            secrets: all,
            begins,
        }
    }

    /// True if there is nothing to find.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Bytes beyond a limit that have to be read to find a secret that lies across it.
    pub fn overhang(&self) -> usize {
        let longest = self
            .secrets
            .iter()
            .map(|spelled| spelled.characters.len())
            .max();
        longest.unwrap_or(0).saturating_mul(LONGEST_CHARACTER)
    }

    /// A text without secrets.
    pub fn text(&self, text: String) -> String {
        if self.is_empty() {
            return text;
        }
        let limit = text.len();
        let kept = self.bytes(text.into_bytes(), limit);
        String::from_utf8_lossy(&kept).into_owned()
    }

    /// The first `limit` bytes without secrets. One that lies across the limit is left out as a whole: half
    /// of it would reveal that half.
    pub fn bytes(&self, mut bytes: Vec<u8>, limit: usize) -> Vec<u8> {
        let end = bytes.len().min(limit);
        if self.is_empty() {
            bytes.truncate(end);
            return bytes;
        }
        let mut kept = Vec::with_capacity(end);
        let mut at = 0;
        while at < end {
            match self.at(&bytes, at) {
                None => {
                    kept.push(bytes[at]);
                    at += 1;
                }
                Some((spelled, mut after)) => {
                    if spelled.form == Form::Base64 {
                        // The characters beside it have some bits of it.
                        if kept.last().is_some_and(|byte| is_base64(*byte)) {
                            kept.pop();
                        }
                        if bytes.get(after).is_some_and(|byte| is_base64(*byte)) {
                            after += 1;
                        }
                    }
                    if after > end {
                        break;
                    }
                    kept.extend_from_slice(spelled.replacement.as_bytes());
                    at = after;
                }
            }
        }
        kept
    }

    /// The secret that begins here, and where it ends; of several the one that goes furthest.
    fn at(&self, bytes: &[u8], at: usize) -> Option<(&Spelled, usize)> {
        if !self.begins[usize::from(*bytes.get(at)?)] {
            return None;
        }
        let found = self
            .secrets
            .iter()
            .filter_map(|spelled| Some((spelled, spelled.end(bytes, at)?)));
        found.max_by_key(|(_, end)| *end)
    }
}

impl Spelled {
    /// Where the secret ends that begins here.
    fn end(&self, bytes: &[u8], at: usize) -> Option<usize> {
        // A `%` may be itself or begin an escape: hence several places.
        let mut places = vec![at];
        let mut next = Vec::new();
        for (nth, character) in self.characters.iter().enumerate() {
            next.clear();
            for place in &places {
                let place = match nth {
                    0 => *place,
                    _ => self.after_separators(bytes, *place, nth),
                };
                self.ends_of(*character, bytes, place, &mut next);
            }
            next.sort_unstable();
            next.dedup();
            std::mem::swap(&mut places, &mut next);
            if places.is_empty() {
                return None;
            }
        }
        places.last().copied()
    }

    /// Passes over what may stand between two characters: line ends in base64, `:` in hexadecimal, zeros in
    /// UTF-16.
    fn after_separators(&self, bytes: &[u8], mut place: usize, nth: usize) -> usize {
        let from = place;
        while place - from < 8 {
            let rest = bytes.get(place..).unwrap_or_default();
            let length = match (self.form, rest) {
                (Form::Plain, [0, ..]) => 1,
                (Form::Base64, [b'\r' | b'\n' | b' ' | b'\t', ..]) => 1,
                (Form::Base64, [b'\\', b'n' | b'r', ..]) => 2,
                (Form::Hex, [b':' | b'-' | b' ' | b',', ..]) if nth.is_multiple_of(2) => 1,
                (Form::Hex, [b'\\' | b'0', b'x', ..]) if nth.is_multiple_of(2) => 2,
                _ => break,
            };
            place += length;
        }
        place
    }

    /// The places after one character, in whatever way it is written here.
    fn ends_of(&self, wanted: char, bytes: &[u8], at: usize, ends: &mut Vec<usize>) {
        let Some(rest) = bytes.get(at..) else { return };
        let is_same = |found: char| match self.form {
            Form::Plain | Form::Hex => found.eq_ignore_ascii_case(&wanted),
            Form::Base64 => found == wanted || matches!((found, wanted), ('-', '+') | ('_', '/')),
        };
        let mut end = |found: Option<(char, usize)>| {
            if let Some((found, length)) = found
                && is_same(found)
            {
                ends.push(at + length);
            }
        };
        end(first_character(rest).map(|found| (found, found.len_utf8())));
        match rest.first() {
            Some(b'%') => end(hexadecimal_bytes(rest, percent_sign)),
            Some(b'=') => end(hexadecimal_bytes(rest, |rest| {
                rest.strip_prefix(b"=").map(|_| 1)
            })),
            Some(b'\\') => end(backslash(rest)),
            Some(b'&') => end(entity(rest)),
            Some(b'+') => end(Some((' ', 1))),
            _ => {}
        }
    }
}

/// The character that a text of bytes begins with.
fn first_character(bytes: &[u8]) -> Option<char> {
    let four = bytes.get(..bytes.len().min(4))?;
    let valid = match std::str::from_utf8(four) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&four[..error.valid_up_to()]).ok()?,
    };
    valid.chars().next()
}

/// `%`, or `%25` and so on.
fn percent_sign(bytes: &[u8]) -> Option<usize> {
    let mut length = 1;
    bytes.strip_prefix(b"%")?;
    for _ in 0..DEEPEST {
        match bytes.get(length..length + 2) {
            // Not the escape itself: two digits have to follow.
            Some(b"25")
                if bytes
                    .get(length + 2..length + 4)
                    .is_some_and(is_hexadecimal) =>
            {
                length += 2;
            }
            _ => break,
        }
    }
    Some(length)
}

fn is_hexadecimal(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

/// A character whose bytes of UTF-8 are each two digits after a sign.
fn hexadecimal_bytes(bytes: &[u8], sign: impl Fn(&[u8]) -> Option<usize>) -> Option<(char, usize)> {
    let (mut found, mut length) = (Vec::new(), 0);
    while found.len() < 4 {
        let rest = bytes.get(length..)?;
        let before = sign(rest)?;
        found.push(u8::try_from(number(rest.get(before..before + 2)?, 16)?).ok()?);
        length += before + 2;
        if let Ok(text) = std::str::from_utf8(&found) {
            return Some((text.chars().next()?, length));
        }
    }
    None
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let is_digits = digits
        .iter()
        .all(|digit| char::from(*digit).is_digit(radix));
    let text = std::str::from_utf8(digits).ok().filter(|_| is_digits)?;
    u32::from_str_radix(text, radix).ok()
}

/// An escape of JSON, JavaScript, C or Python; the backslash may be escaped itself.
fn backslash(bytes: &[u8]) -> Option<(char, usize)> {
    let signs = bytes.iter().take_while(|byte| **byte == b'\\').count();
    // `\\` is a backslash, and so is `\\\\` within a text.
    let own = |length: usize| ('\\', length);
    let rest = bytes.get(signs..)?;
    let digits = |from: usize, count: usize| number(rest.get(from..from + count)?, 16);
    let escaped = match rest.first() {
        Some(b'u') if rest.get(1) == Some(&b'{') => {
            let length = rest
                .iter()
                .take(DIGITS + 3)
                .position(|byte| *byte == b'}')?;
            let found = number(rest.get(2..length)?, 16)?;
            Some((char::from_u32(found)?, length + 1))
        }
        Some(b'u') => match digits(1, 4)? {
            high @ 0xd800..0xdc00 => {
                // However often its backslash is escaped.
                let between = rest
                    .get(5..)?
                    .iter()
                    .take_while(|byte| **byte == b'\\')
                    .count();
                let low = digits(5 + between + 1, 4)?;
                let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                let found = 0x1_0000 + ((high - 0xd800) << 10) + low;
                Some((char::from_u32(found)?, 5 + between + 5))
            }
            unit => Some((char::from_u32(unit)?, 5)),
        },
        Some(b'x') => Some((char::from_u32(digits(1, 2)?)?, 3)),
        Some(b'n') => Some(('\n', 1)),
        Some(b'r') => Some(('\r', 1)),
        Some(b't') => Some(('\t', 1)),
        Some(byte) if byte.is_ascii_punctuation() => Some((char::from(*byte), 1)),
        _ => None,
    };
    match escaped {
        Some((found, length)) => Some((found, signs + length)),
        None if signs >= 2 => Some(own(2)),
        None => None,
    }
}

fn entity(bytes: &[u8]) -> Option<(char, usize)> {
    const NAMED: &[(&[u8], char)] = &[
        (b"&amp;", '&'),
        (b"&lt;", '<'),
        (b"&gt;", '>'),
        (b"&quot;", '"'),
        (b"&apos;", '\''),
        (b"&plus;", '+'),
        (b"&sol;", '/'),
        (b"&equals;", '='),
    ];
    if let Some((name, found)) = NAMED.iter().find(|(name, _)| bytes.starts_with(name)) {
        return Some((*found, name.len()));
    }
    let rest = bytes.strip_prefix(b"&#")?;
    let (radix, before) = match rest.first()? {
        b'x' | b'X' => (16, 1),
        _ => (10, 0),
    };
    let digits = rest.get(before..)?;
    let count = digits
        .iter()
        .take(DIGITS)
        .take_while(|digit| char::from(**digit).is_digit(radix))
        .count();
    let found = char::from_u32(number(digits.get(..count)?, radix)?)?;
    let semicolon = usize::from(digits.get(count) == Some(&b';'));
    Some((found, 2 + before + count + semicolon))
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)
}

/// The characters of base64 that are made of the bits of `value` alone when this many bytes come before it.
fn base64_core(value: &[u8], before: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |nth: usize| {
        let byte = value.get(nth / 8 - before).copied().unwrap_or_default();
        usize::from(byte >> (7 - nth % 8) & 1)
    };
    let (first, last) = ((before * 8).div_ceil(6), (before + value.len()) * 8 / 6);
    (first..last)
        .map(|character| {
            let index =
                (character * 6..character * 6 + 6).fold(0, |index, nth| index << 1 | bit(nth));
            char::from(ALPHABET[index])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr/t+\"é<k&y\\%=";

    fn redacted(text: &str) -> String {
        let secrets = [(SECRET, "{{secret:KEY}}".to_owned())];
        Redactor::new(secrets).text(text.to_owned())
    }

    fn each(text: &str, write: impl Fn(u8) -> String) -> String {
        text.bytes().map(write).collect()
    }

    #[test]
    fn a_secret_is_found_in_every_usual_encoding() {
        let json = serde_json_escape(SECRET);
        let spellings = [
            ("plain", SECRET.to_owned()),
            ("upper case", SECRET.to_ascii_uppercase()),
            ("percent, all", each(SECRET, |byte| format!("%{byte:02X}"))),
            (
                "percent, lower",
                each(SECRET, |byte| format!("%{byte:02x}")),
            ),
            (
                "percent, some",
                each(SECRET, |byte| match byte.is_ascii_alphanumeric() {
                    true => char::from(byte).to_string(),
                    false => format!("%{byte:02X}"),
                }),
            ),
            (
                "percent twice",
                each(SECRET, |byte| format!("%25{byte:02X}")),
            ),
            ("json", json.clone()),
            ("json in json", serde_json_escape(&json)),
            ("json with slashes", json.replace('/', "\\/")),
            (
                "json, all",
                SECRET
                    .chars()
                    .map(|letter| format!("\\u{:04x}", letter as u32))
                    .collect(),
            ),
            (
                "json, braces",
                SECRET
                    .chars()
                    .map(|letter| format!("\\u{{{:x}}}", letter as u32))
                    .collect(),
            ),
            (
                "html",
                SECRET
                    .replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('"', "&quot;"),
            ),
            (
                "html, decimal",
                SECRET
                    .chars()
                    .map(|letter| format!("&#{};", letter as u32))
                    .collect(),
            ),
            (
                "html, hexadecimal",
                SECRET
                    .chars()
                    .map(|letter| format!("&#x{:X};", letter as u32))
                    .collect(),
            ),
            (
                "quoted-printable",
                each(SECRET, |byte| format!("={byte:02X}")),
            ),
            ("hexadecimal", each(SECRET, |byte| format!("{byte:02x}"))),
            (
                "hexadecimal, upper",
                each(SECRET, |byte| format!("{byte:02X}")),
            ),
            (
                "hexadecimal, colons",
                each(SECRET, |byte| format!("{byte:02x}:"))
                    .trim_end_matches(':')
                    .to_owned(),
            ),
            (
                "bytes",
                each(SECRET, |byte| format!("\\x{byte:02x}"))
                    .trim_start_matches("\\x")
                    .to_owned(),
            ),
        ];
        for (what, text) in spellings {
            let found = redacted(&format!("a {text} b"));
            assert!(found.contains("{{secret:KEY}}"), "{what}: {text}: {found}");
        }
        assert_eq!(
            redacted("nothing of it: s3cr/t+ k&y"),
            "nothing of it: s3cr/t+ k&y"
        );
    }

    /// As `serde_json` writes it, without its dependency.
    fn serde_json_escape(text: &str) -> String {
        text.replace('\\', "\\\\").replace('"', "\\\"")
    }

    /// Base64 of RFC 4648, written again.
    fn base64(bytes: &[u8]) -> String {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().div_ceil(3) * 3, 0);
        let mut text = base64_core(&padded, 0);
        text.truncate((bytes.len() * 8).div_ceil(6));
        text
    }

    #[test]
    fn base64_is_found_at_each_alignment_in_both_alphabets_and_across_lines() {
        assert_eq!(base64(b"light work."), "bGlnaHQgd29yay4");
        for before in ["", "u", "u:", "us:", "user:"] {
            for after in ["", "x", "xy"] {
                let text = base64(format!("{before}{SECRET}{after}").as_bytes());
                let url = text.replace('+', "-").replace('/', "_");
                let lines: Vec<&str> = (0..text.len())
                    .step_by(8)
                    .map(|at| &text[at..text.len().min(at + 8)])
                    .collect();
                for text in [
                    text.clone(),
                    url,
                    lines.join("\r\n"),
                    lines.join("\\n"),
                    text.replace('+', "%2B").replace('/', "\\/"),
                ] {
                    let found = redacted(&text);
                    assert!(
                        found.contains("{{secret:KEY}}"),
                        "{before} {after} {text}: {found}"
                    );
                    let left = found.replace("{{secret:KEY}}", "");
                    assert!(
                        left.len()
                            <= base64(before.as_bytes()).len() + base64(after.as_bytes()).len() + 6,
                        "{found}"
                    );
                }
            }
        }
    }

    #[test]
    fn utf_16_is_found() {
        let secrets = [("hunter2", "X".to_owned())];
        let wide: Vec<u8> = "hunter2"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let kept = Redactor::new(secrets).bytes(wide, 1000);
        assert_eq!(kept, b"X\0");
    }

    #[test]
    fn no_part_is_left_wherever_the_limit_is() {
        let secrets = [("hunter2hunter2", "{}".to_owned())];
        let redactor = Redactor::new(secrets);
        for spelled in [
            "hunter2hunter2",
            "%68%75%6e%74%65%72%32%68%75%6e%74%65%72%32",
            "aHVudGVyMmh1bnRlcjI",
        ] {
            let body = format!("ab {spelled} cd");
            for limit in 0..body.len() {
                let read = (limit + redactor.overhang()).min(body.len());
                let kept = redactor.bytes(body.as_bytes()[..read].to_vec(), limit);
                let kept = String::from_utf8(kept).unwrap();
                assert!(
                    "ab {} cd".starts_with(&kept) || kept == "ab",
                    "{limit}: {kept}"
                );
            }
        }
    }

    #[test]
    fn what_looks_like_an_escape_and_is_none_passes() {
        for text in [
            "%",
            "%%%%",
            "%s",
            "\\",
            "\\\\\\",
            "&#;",
            "&#xffffffff;",
            "&",
            "=",
            "=\r\n",
            "\\ud800",
            "\\u{",
            "100% & more\\",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
