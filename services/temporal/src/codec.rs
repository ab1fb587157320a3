//! [`Codec`]: values that go to the server compressed or encrypted, and come back as they were.
//!
//! A payload that is encoded is one whose data is the payload before, as protobuf has it: compressed (`binary/zlib`,
//! as Temporal's SDK for Go does it), or encrypted by AES-256-GCM (`binary/encrypted`, the nonce before the data, as
//! the examples of Temporal's SDKs do it). What was not encoded stays as it is, so that a codec can be turned on
//! while workflows run; so does what was encrypted by a key that the host has kept.

use exomonad_core::named_keys;
use exomonad_schema::{EffectError, ErrorCode};
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use prost::Message;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use temporalio_common::data_converters::PayloadConversionError;
use temporalio_common::payload_visitor::{
    AsyncPayloadVisitor, PayloadField, PayloadFieldData, PayloadVisitable,
};
use temporalio_protos::temporal::api::common::v1::Payload;

use crate::config::{PayloadCompression, TemporalConfig};
use crate::payload::ENCODING;

/// The encoding of a payload that is compressed.
const ZLIB: &[u8] = b"binary/zlib";
/// The encoding of one that is encrypted.
const ENCRYPTED: &[u8] = b"binary/encrypted";
/// The metadata that names the key.
const KEY_ID: &str = "encryption-key-id";

/// Bytes of a payload that is decompressed, at most: a server keeps 2 MiB of a value as it is sent.
const LARGEST: usize = 8 << 20;
/// Bytes of all payloads of a message that are decompressed, at most.
const LARGEST_MESSAGE: usize = 32 << 20;

/// Encodings within each other that are decoded.
const DEEPEST: usize = 4;

/// The level of compression: quick, and good enough for JSON.
const LEVEL: u8 = 6;

/// Headers that a run leaves for the one that continues it: nobody else reads them. Others are read by programs of
/// any SDK, which do not decode headers.
const OWN_HEADERS: &str = "ContinueAsNewWorkflowExecution.headers";

/// The way in which payloads are encoded.
#[derive(Default)]
pub struct Codec {
    compression: PayloadCompression,
    /// Keys by their names. The first one encrypts.
    keys: Vec<(String, Key)>,
}

struct Key {
    seals: LessSafeKey,
    /// Marks what stays readable, see [`Codec::mark`].
    marks: hmac::Key,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.keys.iter().map(|(name, _)| name).collect();
        write!(formatter, "Codec({:?}, keys {names:?})", self.compression)
    }
}

/// The error of a payload that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The host does not have its key.
    #[error(
        "a value is encrypted with the key `{0}`, which this host does not have: add it to what \
         `temporal.payload_keys_file` or `temporal.payload_keys_env` names"
    )]
    UnknownKey(String),
    /// It was changed, or another key has the name of its key.
    #[error(
        "a value that is encrypted with the key `{0}` cannot be decrypted: it was changed, or another key has this name"
    )]
    NotDecrypted(String),
    /// It is not what its encoding says.
    #[error(
        "a value cannot be decompressed: it is no zlib, or larger than {LARGEST} bytes, or with the others of its \
         message larger than {LARGEST_MESSAGE}"
    )]
    NotDecompressed,
    /// It holds no payload.
    #[error("a value that is encoded holds no payload")]
    NoPayload,
    /// There is no randomness.
    #[error("no randomness for the encryption of a value")]
    NoRandomness,
}

impl From<CodecError> for EffectError {
    fn from(error: CodecError) -> Self {
        let code = match error {
            CodecError::NoRandomness => ErrorCode::Internal,
            _ => ErrorCode::Validation,
        };
        Self::new(code, error.to_string())
    }
}

/// The treatment of payloads that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// They are an error: whoever needs the value cannot go on.
    IsAnError,
    /// They stay as they are: a list is worth showing without them.
    Stays,
}

impl Codec {
    /// The codec of these settings.
    pub fn new(config: &TemporalConfig) -> Self {
        let keys = config.payload_keys.as_ref().map(named_keys);
        let keys = keys.into_iter().flatten().filter_map(|(name, key)| {
            let seals = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).ok()?);
            // Another key of the same secret: one key has one use.
            let secret = hmac::Key::new(hmac::HMAC_SHA256, &key);
            let marks = hmac::sign(&secret, b"exomonad marks");
            let marks = hmac::Key::new(hmac::HMAC_SHA256, marks.as_ref());
            Some((name, Key { seals, marks }))
        });
        Self {
            compression: config.payload_compression,
            keys: keys.collect(),
        }
    }

    /// True if values go as they are.
    fn is_plain(&self) -> bool {
        self.compression == PayloadCompression::None && self.keys.is_empty()
    }

    /// A key for marks in the place of hashes, which whoever can guess a value could compare: that of the key by which
    /// this payload is encrypted. None if it is not.
    ///
    /// # Errors
    /// If the host does not have the key.
    pub fn marks(&self, payload: &Payload) -> Result<Option<hmac::Key>, CodecError> {
        match payload.metadata.get(KEY_ID) {
            Some(id) => {
                let id = String::from_utf8_lossy(id).into_owned();
                self.key(&id).map(|key| Some(key.marks.clone()))
            }
            None => Ok(None),
        }
    }

    fn key(&self, id: &str) -> Result<&Key, CodecError> {
        let key = self.keys.iter().find(|(name, _)| name == id);
        let key = key.map(|(_, key)| key);
        key.ok_or_else(|| CodecError::UnknownKey(id.to_owned()))
    }

    /// Encodes the payloads of a message that goes to the server.
    ///
    /// # Errors
    /// If there is no randomness.
    pub async fn encode<M: PayloadVisitable>(&self, message: &mut M) -> Result<(), CodecError> {
        if self.is_plain() {
            return Ok(());
        }
        let is_encoded = |path: &str| {
            let is_header = path.ends_with(".headers") || path.contains("Header.fields");
            !is_header || path.ends_with(OWN_HEADERS)
        };
        visit(message, |path, payload| match is_encoded(path) {
            true => self.encode_one(payload),
            false => Ok(()),
        })
        .await
    }

    /// Decodes the payloads of a message that comes from the server.
    ///
    /// # Errors
    /// If one cannot be decoded, and that is an error.
    pub async fn decode<M: PayloadVisitable>(
        &self,
        message: &mut M,
        undecodable: Undecodable,
    ) -> Result<(), CodecError> {
        let mut room = LARGEST_MESSAGE;
        visit(message, |_, payload| {
            match self.decode_one(payload, &mut room) {
                Err(_) if undecodable == Undecodable::Stays => Ok(()),
                decoded => decoded,
            }
        })
        .await
    }

    fn encode_one(&self, payload: &mut Payload) -> Result<(), CodecError> {
        if self.compression == PayloadCompression::Zlib {
            let plain = payload.encode_to_vec();
            let data = compress_to_vec_zlib(&plain, LEVEL);
            if data.len() < plain.len() {
                *payload = encoded(ZLIB, data);
            }
        }
        let Some((name, key)) = self.keys.first() else {
            return Ok(());
        };
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| CodecError::NoRandomness)?;
        let mut data = payload.encode_to_vec();
        let sealed = Nonce::assume_unique_for_key(nonce);
        key.seals
            .seal_in_place_append_tag(sealed, Aad::empty(), &mut data)
            .map_err(|_| CodecError::NoRandomness)?;
        data.splice(0..0, nonce);
        *payload = encoded(ENCRYPTED, data);
        let id = name.clone().into_bytes();
        payload.metadata.insert(KEY_ID.to_owned(), id);
        Ok(())
    }

    /// Decodes a payload, in whichever order it was encoded, if there is room for what it holds.
    fn decode_one(&self, payload: &mut Payload, room: &mut usize) -> Result<(), CodecError> {
        let mut decoded = None;
        for _ in 0..DEEPEST {
            let outer: &Payload = decoded.as_ref().unwrap_or(payload);
            decoded = match outer.metadata.get(ENCODING).map(Vec::as_slice) {
                Some(ENCRYPTED) => Some(self.decrypted(outer)?),
                Some(ZLIB) => Some(decompressed(outer, room)?),
                _ => break,
            };
        }
        if let Some(decoded) = decoded {
            *payload = decoded;
        }
        Ok(())
    }

    fn decrypted(&self, payload: &Payload) -> Result<Payload, CodecError> {
        let id = payload.metadata.get(KEY_ID).map(Vec::as_slice);
        let id = String::from_utf8_lossy(id.unwrap_or_default()).into_owned();
        let key = self.key(&id)?;
        let mut data = payload.data.clone();
        let not_decrypted = || CodecError::NotDecrypted(id.clone());
        let (nonce, sealed) = data
            .split_at_mut_checked(NONCE_LEN)
            .ok_or_else(not_decrypted)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| not_decrypted())?;
        let opened = key.seals.open_in_place(nonce, Aad::empty(), sealed);
        let opened = opened.map_err(|_| not_decrypted())?;
        Payload::decode(&*opened).map_err(|_| CodecError::NoPayload)
    }
}

fn decompressed(payload: &Payload, room: &mut usize) -> Result<Payload, CodecError> {
    let data = decompress_to_vec_zlib_with_limit(&payload.data, LARGEST.min(*room))
        .map_err(|_| CodecError::NotDecompressed)?;
    *room -= data.len();
    Payload::decode(data.as_slice()).map_err(|_| CodecError::NoPayload)
}

fn encoded(encoding: &[u8], data: Vec<u8>) -> Payload {
    let mut payload = Payload::default();
    payload
        .metadata
        .insert(ENCODING.to_owned(), encoding.to_vec());
    payload.data = data;
    payload
}

/// Changes each payload of a message but its search attributes, which the server reads.
async fn visit<M: PayloadVisitable>(
    message: &mut M,
    change: impl FnMut(&str, &mut Payload) -> Result<(), CodecError> + Send,
) -> Result<(), CodecError> {
    let mut visitor = Visitor {
        change,
        failed: None,
    };
    match message.visit_payloads_mut(&mut visitor).await {
        Ok(()) => Ok(()),
        // The visitor ends the visit by it, and has the error itself.
        Err(_) => Err(visitor.failed.unwrap_or(CodecError::NoPayload)),
    }
}

struct Visitor<F> {
    change: F,
    failed: Option<CodecError>,
}

impl<F> AsyncPayloadVisitor for Visitor<F>
where
    F: FnMut(&str, &mut Payload) -> Result<(), CodecError> + Send,
{
    fn visit<'a>(
        &'a mut self,
        field: PayloadField<'a>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), PayloadConversionError>> + Send + 'a>>
    {
        let payloads = match field.data {
            PayloadFieldData::Single(payload) => std::slice::from_mut(payload),
            PayloadFieldData::Repeated(payloads) => payloads,
            PayloadFieldData::Payloads(payloads) => &mut payloads.payloads,
        };
        let mut changed = Ok(());
        if !field.path.contains("SearchAttributes.indexed_fields") {
            let mut payloads = payloads.iter_mut();
            changed = payloads.try_for_each(|payload| (self.change)(field.path, payload));
        }
        let changed = changed.map_err(|error| {
            self.failed = Some(error);
            PayloadConversionError::WrongEncoding
        });
        Box::pin(std::future::ready(changed))
    }
}

#[cfg(test)]
mod tests {
    use exomonad_core::Secret;
    use exomonad_schema::{Base64, RawJson};
    use temporalio_protos::temporal::api::common::v1::Header;
    use temporalio_protos::temporal::api::workflowservice::v1::StartWorkflowExecutionRequest;

    use super::*;
    use crate::payload;

    fn codec(compression: PayloadCompression, keys: &[(&str, u8)]) -> Codec {
        let keys: Vec<String> = keys
            .iter()
            .map(|(name, byte)| format!("{name}={}", Base64(vec![*byte; 32])))
            .collect();
        Codec::new(&TemporalConfig {
            payload_compression: compression,
            payload_keys: (!keys.is_empty()).then(|| Secret::new(&keys.join(","))),
            ..TemporalConfig::default()
        })
    }

    const ROOM: usize = LARGEST_MESSAGE;

    fn json(text: &str) -> Payload {
        payload::encode(&RawJson::from_text(text.to_owned()).unwrap())
    }

    fn request() -> StartWorkflowExecutionRequest {
        let mut request = StartWorkflowExecutionRequest::default();
        let long = format!("\"{}\"", "tea".repeat(1000));
        let values: Vec<RawJson> = ["{\"a\":1}", &long]
            .iter()
            .map(|text| RawJson::from_text((*text).to_owned()).unwrap())
            .collect();
        request.input = payload::encode_all(&values);
        let named = |name: &str| {
            let value = RawJson::from_text("\"seven\"".to_owned()).unwrap();
            [(name.to_owned(), value)].into()
        };
        request.memo = payload::memo(&named("note"));
        request.search_attributes = payload::search_attributes(&named("Tenant"));
        let mut header = Header::default();
        header.fields.insert("_tracer-data".to_owned(), json("{}"));
        request.header = Some(header);
        request
    }

    fn encodings(request: &StartWorkflowExecutionRequest) -> Vec<String> {
        let input = request.input.as_ref().unwrap().payloads.iter();
        let memo = request.memo.as_ref().unwrap().fields.values();
        let encoding =
            |payload: &Payload| String::from_utf8_lossy(&payload.metadata[ENCODING]).into_owned();
        input.chain(memo).map(encoding).collect()
    }

    #[tokio::test]
    async fn values_come_back_as_they_were_and_only_what_the_server_reads_goes_in_plain() {
        let sides = [
            (
                codec(PayloadCompression::Zlib, &[]),
                ["json/plain", "binary/zlib", "json/plain"],
            ),
            (
                codec(PayloadCompression::None, &[("k", 7)]),
                ["binary/encrypted"; 3],
            ),
            (
                codec(PayloadCompression::Zlib, &[("k", 7)]),
                ["binary/encrypted"; 3],
            ),
        ];
        for (codec, expected) in sides {
            let mut sent = request();
            codec.encode(&mut sent).await.unwrap();
            assert_eq!(encodings(&sent), expected);
            assert_eq!(sent.search_attributes, request().search_attributes);
            assert_eq!(sent.header, request().header);
            codec
                .decode(&mut sent, Undecodable::IsAnError)
                .await
                .unwrap();
            assert_eq!(sent, request());
        }
        let zlib = codec(PayloadCompression::Zlib, &[("k", 7)]);
        let mut long = json(&format!("\"{}\"", "tea".repeat(10_000)));
        zlib.encode_one(&mut long).unwrap();
        assert!(long.data.len() < 1_000, "{}", long.data.len());
    }

    #[test]
    fn the_order_in_which_another_sdk_has_encoded_is_no_matter() {
        let both = codec(PayloadCompression::Zlib, &[("k", 7)]);
        let mut sent = json("1");
        codec(PayloadCompression::None, &[("k", 7)])
            .encode_one(&mut sent)
            .unwrap();
        let mut sent = encoded(ZLIB, compress_to_vec_zlib(&sent.encode_to_vec(), LEVEL));
        both.decode_one(&mut sent, &mut { ROOM }).unwrap();
        assert_eq!(sent, json("1"));
    }

    #[tokio::test]
    async fn a_key_that_is_replaced_decrypts_what_it_has_encrypted() {
        let mut sent = json("1");
        codec(PayloadCompression::None, &[("old", 1)])
            .encode_one(&mut sent)
            .unwrap();
        let both = codec(PayloadCompression::None, &[("new", 2), ("old", 1)]);
        let mut read = sent.clone();
        both.decode_one(&mut read, &mut { ROOM }).unwrap();
        assert_eq!(read, json("1"));
        both.encode_one(&mut read).unwrap();
        assert_eq!(read.metadata[KEY_ID], b"new");
    }

    #[tokio::test]
    async fn a_value_that_cannot_be_decoded_is_told_from_one_that_was_not_encoded() {
        let mut sent = json("1");
        let codec_of = |keys: &[(&str, u8)]| codec(PayloadCompression::None, keys);
        codec_of(&[("k", 1)]).encode_one(&mut sent).unwrap();
        let decoded = |codec: &Codec, payload: &Payload| {
            let mut payload = payload.clone();
            codec
                .decode_one(&mut payload, &mut { ROOM })
                .map(|()| payload)
        };
        assert_eq!(decoded(&codec_of(&[]), &json("1")), Ok(json("1")));
        let unknown = decoded(&codec_of(&[("other", 1)]), &sent);
        assert_eq!(unknown, Err(CodecError::UnknownKey("k".to_owned())));
        let not_decrypted = Err(CodecError::NotDecrypted("k".to_owned()));
        assert_eq!(decoded(&codec_of(&[("k", 2)]), &sent), not_decrypted);
        let mut changed = sent.clone();
        *changed.data.last_mut().unwrap() ^= 1;
        assert_eq!(decoded(&codec_of(&[("k", 1)]), &changed), not_decrypted);
        changed.data.truncate(3);
        assert_eq!(decoded(&codec_of(&[("k", 1)]), &changed), not_decrypted);
        // A small value may hold a large one.
        let bomb = compress_to_vec_zlib(&vec![0; LARGEST + 1], LEVEL);
        for data in [bomb, b"no zlib".to_vec()] {
            let failed = decoded(&codec_of(&[]), &encoded(ZLIB, data));
            assert_eq!(failed, Err(CodecError::NotDecompressed));
        }
        let mut message = request();
        message.input.as_mut().unwrap().payloads[0] = sent.clone();
        // Nor may many.
        let mut many = request();
        let full = encoded(ZLIB, compress_to_vec_zlib(&vec![0; LARGEST], LEVEL));
        many.input.as_mut().unwrap().payloads = vec![full; 6];
        let codec = codec_of(&[]);
        let failed = codec.decode(&mut many, Undecodable::IsAnError).await;
        assert!(failed.is_err());
        assert!(
            codec
                .decode(&mut message, Undecodable::IsAnError)
                .await
                .is_err()
        );
        codec
            .decode(&mut message, Undecodable::Stays)
            .await
            .unwrap();
        assert_eq!(message.input.unwrap().payloads[0], sent);
    }
}
