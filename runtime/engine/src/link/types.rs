//! Comparison of an import's type with that of the export it names.
//!
//! The merged module has no imports between its modules any more, so nothing else compares the two.

use wasmparser::{FuncType, GlobalType, MemoryType, TableType, TypeRef, ValType};

use super::input::{InputModule, Kind};

/// The import's type and the export's type, in words, if they do not match.
pub(super) fn mismatch(
    importer: &InputModule<'_>,
    import: TypeRef,
    provider: &InputModule<'_>,
    index: u32,
) -> Option<(String, String)> {
    match import {
        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
            functions(importer.func_type(ty)?, provider.function_type(index)?)
        }
        TypeRef::Tag(tag) => {
            let TypeRef::Tag(actual) = provider.type_of(Kind::Tag, index)? else {
                return None;
            };
            functions(
                importer.func_type(tag.func_type_idx)?,
                provider.func_type(actual.func_type_idx)?,
            )
        }
        TypeRef::Global(wanted) => {
            let TypeRef::Global(actual) = provider.type_of(Kind::Global, index)? else {
                return None;
            };
            let fits = wanted.mutable == actual.mutable
                && values(&[wanted.content_type], &[actual.content_type]);
            (!fits).then(|| (global(wanted), global(actual)))
        }
        TypeRef::Memory(wanted) => {
            let TypeRef::Memory(actual) = provider.type_of(Kind::Memory, index)? else {
                return None;
            };
            let fits = wanted.memory64 == actual.memory64
                && limits(
                    (wanted.initial, wanted.maximum),
                    (actual.initial, actual.maximum),
                );
            (!fits).then(|| (memory(wanted), memory(actual)))
        }
        TypeRef::Table(wanted) => {
            let TypeRef::Table(actual) = provider.type_of(Kind::Table, index)? else {
                return None;
            };
            let fits = wanted.table64 == actual.table64
                && values(
                    &[ValType::Ref(wanted.element_type)],
                    &[ValType::Ref(actual.element_type)],
                )
                && limits(
                    (wanted.initial, wanted.maximum),
                    (actual.initial, actual.maximum),
                );
            (!fits).then(|| (table(wanted), table(actual)))
        }
    }
}

fn functions(wanted: &FuncType, actual: &FuncType) -> Option<(String, String)> {
    let fits =
        values(wanted.params(), actual.params()) && values(wanted.results(), actual.results());
    (!fits).then(|| (wanted.to_string(), actual.to_string()))
}

/// True if two lists of types are the same, as far as they can be compared here.
///
/// A reference to a type that a module defines cannot be compared by its index in another module; the
/// validation of the merged module checks those.
fn values(wanted: &[ValType], actual: &[ValType]) -> bool {
    let own =
        |ty: &ValType| matches!(ty, ValType::Ref(reference) if reference.is_concrete_type_ref());
    wanted.len() == actual.len()
        && wanted
            .iter()
            .zip(actual)
            .all(|(wanted, actual)| own(wanted) || own(actual) || wanted == actual)
}

/// True if there is at least as much as the import requires, and at most as much as it allows.
fn limits(wanted: (u64, Option<u64>), actual: (u64, Option<u64>)) -> bool {
    let most = match (wanted.1, actual.1) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wanted), Some(actual)) => actual <= wanted,
    };
    actual.0 >= wanted.0 && most
}

fn global(ty: GlobalType) -> String {
    let content = ty.content_type;
    if ty.mutable {
        format!("(mut {content})")
    } else {
        content.to_string()
    }
}

fn memory(ty: MemoryType) -> String {
    let wide = if ty.memory64 { "i64 " } else { "" };
    format!("(memory {wide}{})", range(ty.initial, ty.maximum))
}

fn table(ty: TableType) -> String {
    let wide = if ty.table64 { "i64 " } else { "" };
    format!(
        "(table {wide}{} {})",
        range(ty.initial, ty.maximum),
        ty.element_type
    )
}

fn range(initial: u64, maximum: Option<u64>) -> String {
    maximum.map_or_else(
        || initial.to_string(),
        |maximum| format!("{initial} {maximum}"),
    )
}
