//! The plugins that ship in the binary, so that the host does its job without a wasm toolchain.

/// Name and module of each.
const EMBEDDED: &[(&str, &[u8])] = &[
    ("echo", include_bytes!("../../../../plugins/dist/echo.wasm")),
    ("tl", include_bytes!("../../../../plugins/dist/tl.wasm")),
];

/// The names of the embedded plugins.
pub fn names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(name, _)| *name)
}

/// The embedded plugin of this name.
pub fn find(name: &str) -> Option<&'static [u8]> {
    EMBEDDED
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, wasm)| *wasm)
}
