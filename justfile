# Recipes. `just` lists them.

_default:
    @just --list --unsorted

# Serve this repository on http://127.0.0.1:7432.
serve *ARGS:
    cargo run --release -- serve {{ARGS}}

# Set up what is missing and run every check and every test; or some steps: `just test unit e2e`.
test *STEPS:
    scripts/test {{STEPS}}

# Run the tests of some crates, or all, in the profile for editing: `just t -p exomonad-engine`.
t *ARGS:
    cargo build --bin exomonad
    cargo nextest run {{ARGS}}

# Run mutations of tests/corpus through every reader of outside bytes, each for so many seconds.
fuzz SECONDS='3600':
    cargo build --bin exomonad
    EXOMONAD_FUZZ_SECONDS={{SECONDS}} cargo nextest run --profile fuzz -E 'test(/fuzz/)'

# Write what is generated from the effect table: JSON Schemas, the reference, the guests' bindings.
gen-types:
    cargo run --quiet -p exomonad-schema --features generate --bin gen-types
    cargo run --quiet -p exomonad-config --example default-file > runtime/config/exomonad.default.toml

# Build the plugins that ship into plugins/dist, all or one.
plugins *NAMES:
    scripts/build-plugins {{NAMES}}

# Build the SDK and the plugins in Haskell, and test them.
haskell:
    scripts/build-plugins tl-haskell flows-haskell echo-haskell
    cargo build
    cargo nextest run -p exomonad-tests -E 'test(/haskell/)'

# Format and lint.
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets --all-features -- -D warnings

# Run every benchmark and print its tables: minutes, on an idle machine.
bench *NAMES:
    scripts/bench {{NAMES}}

# Build a release into dist/: archives, bills of materials, the image, checksums.
dist *ARGS:
    scripts/dist {{ARGS}}

# Up and down in containers.
up:
    docker compose up --build --detach --wait
down:
    docker compose down
