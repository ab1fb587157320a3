FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin exomonad && strip target/release/exomonad

FROM debian:bookworm-slim
RUN useradd --uid 10001 --create-home exomonad && install -d -o exomonad -g exomonad -m 700 /state /cache
COPY --from=build /src/target/release/exomonad /usr/local/bin/exomonad
USER exomonad
WORKDIR /work
ENTRYPOINT ["exomonad"]
CMD ["serve"]
