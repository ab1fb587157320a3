//! Logs of containers.

use bollard::container::LogOutput;
use bollard::errors::Error as EngineError;
use bollard::query_parameters::LogsOptionsBuilder;
use exomonad_core::CallContext;
use exomonad_schema::EffectError;
use exomonad_schema::effects::docker::{DockerLogs, DockerOutput};
use futures_util::StreamExt;
use jiff::Timestamp;

use super::engine::EngineSession;
use super::output::{Keep, Output};

/// Reads a container's log.
pub(super) async fn read(
    session: EngineSession,
    call: &CallContext,
    request: DockerLogs,
) -> Result<DockerOutput, EffectError> {
    let found = session.container(call, &request.container).await?;
    let since = request.since_unix_millis.unwrap_or_default().max(0);
    // The client only knows whole seconds: milliseconds are compared here, by each line's time.
    let finer = (since % 1000 != 0)
        .then(|| Timestamp::from_millisecond(since).ok())
        .flatten();
    let mut options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .since(i32::try_from(since / 1000).unwrap_or(i32::MAX))
        .timestamps(request.timestamps || finer.is_some());
    let tail = request.tail.map(|lines| lines.to_string());
    if let Some(tail) = &tail {
        options = options.tail(tail);
    }

    let limit = request
        .max_output_bytes
        .get()
        .min(session.engine.config.max_output_bytes);
    let mut output = Output::new(Keep::End, limit);
    let mut pieces = session.client.logs(&found.id, Some(options.build()));
    // Each line is a piece of its own, except a long one, whose parts all have the time.
    let all = async {
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            match finer {
                None => output.push(&piece),
                Some(since) => {
                    if let Some(piece) = not_before(since, piece, request.timestamps) {
                        output.push(&piece);
                    }
                }
            }
        }
        Ok::<_, EngineError>(())
    };
    session.request(all).await?;
    Ok(output.finish())
}

/// The line if it is not older than `since`, with its time or without it. One whose time cannot be
/// read is kept.
fn not_before(since: Timestamp, line: LogOutput, with_time: bool) -> Option<LogOutput> {
    let bytes: &[u8] = line.as_ref();
    let time = bytes
        .iter()
        .position(|byte| *byte == b' ')
        .and_then(|blank| Some((blank, std::str::from_utf8(&bytes[..blank]).ok()?)));
    let Some((blank, Ok(time))) = time.map(|(blank, time)| (blank, time.parse::<Timestamp>()))
    else {
        return Some(line);
    };
    if time < since {
        return None;
    }
    if with_time {
        return Some(line);
    }
    let text = blank + 1..;
    Some(match line {
        LogOutput::StdErr { message } => LogOutput::StdErr {
            message: message.slice(text),
        },
        LogOutput::StdOut { message } => LogOutput::StdOut {
            message: message.slice(text),
        },
        LogOutput::StdIn { message } => LogOutput::StdIn {
            message: message.slice(text),
        },
        LogOutput::Console { message } => LogOutput::Console {
            message: message.slice(text),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_by_its_time_to_the_millisecond() {
        let since = Timestamp::from_millisecond(1_700_000_000_500).unwrap();
        let line = |time: &str| LogOutput::StdOut {
            message: format!("{time} hello\n").into(),
        };
        assert_eq!(
            not_before(since, line("2023-11-14T22:13:20.499999999Z"), false),
            None
        );
        let taken = not_before(since, line("2023-11-14T22:13:20.500000000Z"), false).unwrap();
        assert_eq!(taken.as_ref(), b"hello\n");
        let whole = line("2023-11-14T22:13:21Z");
        assert_eq!(not_before(since, whole.clone(), true), Some(whole));
    }
}
