//! Log lines on stderr: for people on a terminal, for the journal of a service, or as JSON.

use std::io::{self, IsTerminal, Write};

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::LogFormat;

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "warn,notify=error,flow_ingest=info";

/// Sets up logging for the process. Lines go around the bars, so that neither spoils the other.
pub(super) fn start(format: LogFormat, bars: &MultiProgress) {
    start_with(format, bars, DEFAULT_FILTER);
}

/// Like [`start`], with another filter in place of the default.
pub(super) fn start_with(format: LogFormat, bars: &MultiProgress, default_filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    // It logs cookies as they are, the one that renews the token among them.
    let filter = filter.add_directive("cookie_store=off".parse().expect("the directive is a constant"));
    let lines = Lines(bars.clone());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    // Set once a process; a second call in a test changes nothing.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(has_colours()).with_target(false).try_init(),
    };
}

/// On a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[derive(Clone)]
struct Lines(MultiProgress);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Lines;

    fn make_writer(&self) -> Lines {
        self.clone()
    }
}
