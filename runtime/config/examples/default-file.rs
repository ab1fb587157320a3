//! Prints the documented default file; `exomonad.default.toml` is this, checked in:
//! `cargo run -p exomonad-config --example default-file > runtime/config/exomonad.default.toml`.

fn main() {
    print!("{}", exomonad_config::default_file());
}
