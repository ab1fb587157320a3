//! Everything that was logged by this test binary, down to the last detail.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

static WRITTEN: OnceLock<Written> = OnceLock::new();

/// Begins to keep what is logged.
pub fn keep() {
    WRITTEN.get_or_init(|| {
        let written = Written::default();
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(written.clone())
            .init();
        written
    });
}

/// The log so far.
pub fn text() -> String {
    let written = WRITTEN
        .get()
        .map(|written| written.0.lock().unwrap().clone());
    String::from_utf8_lossy(&written.unwrap_or_default()).into_owned()
}
