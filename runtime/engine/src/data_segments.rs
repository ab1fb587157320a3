//! Modules with many data segments: Go's linker begins another at each run of zeros, some ten thousand in a program.
//!
//! A snapshot keeps each segment of the module that it is taken from, emptied, since code may name it by its index, and adds
//! its own; beyond a limit the result is no valid module. So neighbours are joined before, where nothing names them.

use std::borrow::Cow;
use std::ops::Range;

use wasm_encoder::{ConstExpr, DataSection, Module, RawSection, SectionId};
use wasmparser::{BinaryReaderError, DataKind, DataSectionReader, Operator, Parser, Payload};

/// The data segments that a module may have, by the limit of engines.
const LIMIT: u32 = 100_000;
/// The segments that a snapshot adds at most.
const OF_A_SNAPSHOT: u32 = 10_000;
/// A module with fewer stays as it is.
const MANY: u32 = 1_000;
/// Segments this close are joined; zeros fill what was between them.
const GAP: u64 = 64;

/// A segment of a memory.
struct Segment {
    memory: u32,
    start: u64,
    bytes: Vec<u8>,
}

/// The module with fewer data segments, or as it is; an error if it has more than can be in a snapshot.
pub(crate) fn joined(wasm: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let message = |error: BinaryReaderError| error.to_string();
    let Some((reader, place)) = find(wasm).map_err(message)? else {
        return Ok(Cow::Borrowed(wasm));
    };
    let count = reader.count();
    if count < MANY {
        return Ok(Cow::Borrowed(wasm));
    }
    let joined = match join(reader).map_err(message)? {
        Some(segments) => segments,
        None if count + OF_A_SNAPSHOT > LIMIT => {
            return Err(format!("it has {count} data segments"));
        }
        None => return Ok(Cow::Borrowed(wasm)),
    };
    let number = joined.len();
    if number as u64 + u64::from(OF_A_SNAPSHOT) > u64::from(LIMIT) {
        return Err(format!("it has {number} data segments far apart"));
    }
    rewrite(wasm, &joined, &place)
        .map_err(message)
        .map(Cow::Owned)
}

/// The data section of a module whose code names no segment: one that does has a section that counts them.
fn find(wasm: &[u8]) -> Result<Option<(DataSectionReader<'_>, Range<usize>)>, BinaryReaderError> {
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::DataCountSection { .. } => return Ok(None),
            Payload::DataSection(reader) => {
                let place = reader.range();
                return Ok(Some((reader, place)));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// The segments joined, by memory and place; none if one does not begin at a number, or two share a byte, since then
/// their order matters.
fn join(reader: DataSectionReader<'_>) -> Result<Option<Vec<Segment>>, BinaryReaderError> {
    let mut found: Vec<(u32, u64, &[u8])> = Vec::new();
    for segment in reader {
        let segment = segment?;
        let DataKind::Active {
            memory_index: memory,
            offset_expr,
        } = segment.kind
        else {
            return Ok(None);
        };
        match offset_expr.get_operators_reader().read()? {
            Operator::I32Const { value } => {
                found.push((memory, u64::from(value as u32), segment.data));
            }
            _ => return Ok(None),
        }
    }
    // Go's linker has some of them out of order.
    found.sort_by_key(|(memory, start, _)| (*memory, *start));
    let mut joined: Vec<Segment> = Vec::new();
    for (memory, start, data) in found {
        let before = joined.last_mut().filter(|last| last.memory == memory);
        if let Some(last) = before {
            let end = last.start + last.bytes.len() as u64;
            match start.checked_sub(end) {
                None => return Ok(None),
                // Nothing lies between them, in whatever order they come.
                Some(gap @ ..=GAP) => {
                    last.bytes.resize(last.bytes.len() + gap as usize, 0);
                    last.bytes.extend_from_slice(data);
                    continue;
                }
                Some(_) => {}
            }
        }
        joined.push(Segment {
            memory,
            start,
            bytes: data.to_vec(),
        });
    }
    Ok(Some(joined))
}

/// The module with these segments in the place of its own.
fn rewrite(
    wasm: &[u8],
    segments: &[Segment],
    place: &Range<usize>,
) -> Result<Vec<u8>, BinaryReaderError> {
    let mut data = DataSection::new();
    for Segment {
        memory,
        start,
        bytes,
    } in segments
    {
        let start = ConstExpr::i32_const(*start as u32 as i32);
        data.active(*memory, &start, bytes.iter().copied());
    }
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match payload.as_section() {
            Some((id, range)) if id == u8::from(SectionId::Data) && range == *place => {
                module.section(&data);
            }
            Some((id, range)) => {
                let data = wasm.get(range).unwrap_or_default();
                module.section(&RawSection { id, data });
            }
            None => {}
        }
    }
    Ok(module.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(segments: impl Iterator<Item = String>, more: &str) -> Vec<u8> {
        let segments: String = segments.collect();
        wat::parse_str(format!("(module (memory 200) {more} {segments})")).unwrap()
    }

    fn spread(number: u32, step: u32) -> impl Iterator<Item = String> {
        (0..number).map(move |nth| format!("(data (i32.const {}) \"abcd\")", nth * step))
    }

    fn segments(wasm: &[u8]) -> usize {
        find(wasm).unwrap().unwrap().0.into_iter().count()
    }

    #[test]
    fn neighbours_are_joined_and_the_bytes_stay_where_they_were() {
        let many = module(spread(5_000, 20), "(func (export \"f\"))");
        let fewer = joined(&many).unwrap();
        assert_eq!(segments(&fewer), 1);
        wasmparser::validate(&fewer).unwrap();
        let (reader, _) = find(&fewer).unwrap().unwrap();
        let only = reader.into_iter().next().unwrap().unwrap();
        assert_eq!(only.data.len(), 4_999 * 20 + 4);
        let is_right = |(at, byte): (usize, &u8)| match at % 20 {
            within @ 0..4 => *byte == b"abcd"[within],
            _ => *byte == 0,
        };
        assert!(only.data.iter().enumerate().all(is_right));
    }

    #[test]
    fn segments_far_apart_few_or_that_code_may_name_stay() {
        let few = module(spread(900, 20), "");
        assert_eq!(segments(&joined(&few).unwrap()), 900);
        let apart = module(spread(2_000, 500), "");
        assert_eq!(segments(&joined(&apart).unwrap()), 2_000);
        let named = "(func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1)))";
        let named = module(spread(2_000, 20), named);
        assert!(matches!(joined(&named), Ok(Cow::Borrowed(_))));
        // Later ones may overwrite earlier ones.
        let twice = spread(2_000, 20).chain(["(data (i32.const 1) \"x\")".to_owned()]);
        assert_eq!(segments(&joined(&module(twice, "")).unwrap()), 2_001);
    }

    #[test]
    fn their_order_and_their_memories_do_not_matter() {
        let backwards = (0..2_000)
            .rev()
            .map(|nth| format!("(data (i32.const {}) \"abcd\")", nth * 20));
        assert_eq!(segments(&joined(&module(backwards, "")).unwrap()), 1);
        // The zeros between two of a memory are not over a third, which comes before them.
        let of_two = ["(data (memory 0) (i32.const 30) \"kept\")".to_owned()]
            .into_iter()
            .chain((0..1_500).map(|nth| format!("(data (memory 1) (i32.const {}) \"x\")", nth * 9)))
            .chain([10, 60].map(|at| format!("(data (memory 0) (i32.const {at}) \"y\")")));
        let two = module(of_two, "(memory 200)");
        let fewer = joined(&two).unwrap();
        wasmparser::validate(&fewer).unwrap();
        let (reader, _) = find(&fewer).unwrap().unwrap();
        let first = reader.into_iter().next().unwrap().unwrap();
        assert_eq!((first.data.len(), &first.data[20..24]), (51, &b"kept"[..]));
    }

    #[test]
    fn more_than_a_snapshot_can_hold_is_refused() {
        let apart = module(spread(95_000, 100), "");
        assert!(joined(&apart).unwrap_err().contains("95000"));
    }
}
