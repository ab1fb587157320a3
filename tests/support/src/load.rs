//! Connections that call without a pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::response::{Response, ToolResult};
use crate::{Host, eventually};

/// Calls of one tool over several connections, one after the other on each, until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    connections: Vec<JoinHandle<Vec<Result<Response, String>>>>,
}

impl Load {
    /// Starts it.
    #[must_use]
    pub fn start(
        host: &Host,
        connections: usize,
        role: &str,
        tool: &str,
        arguments: &Value,
    ) -> Self {
        let body = serde_json::json!({"name": tool, "arguments": arguments}).to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let connections = (0..connections).map(|_| {
            let (stop, answered, body) = (stop.clone(), answered.clone(), body.clone());
            let request = host
                .request(Method::POST, &format!("/role/{role}/mcp/call"))
                .body(body);
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let again = request
                        .try_clone()
                        .expect("a body of bytes can be sent again");
                    answers.push(
                        Response::try_of(again)
                            .await
                            .map_err(|error| format!("{error:?}")),
                    );
                    answered.fetch_add(1, Ordering::SeqCst);
                }
                answers
            })
        });
        Self {
            connections: connections.collect(),
            stop,
            answered,
        }
    }

    /// Waits until this many more calls have been answered.
    pub async fn answers(&self, more: usize) {
        let goal = self.answered.load(Ordering::SeqCst) + more;
        eventually("the load is answered", async || {
            (self.answered.load(Ordering::SeqCst) >= goal).then_some(())
        })
        .await;
    }

    /// Ends it and gives every answer as text.
    ///
    /// # Panics
    /// If one call failed.
    pub async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        let mut texts = Vec::new();
        for connection in self.connections {
            for answer in connection.await.expect("the load does not panic") {
                let answer = answer.unwrap_or_else(|error| panic!("a call failed: {error}"));
                let result: ToolResult = answer.tool_result();
                assert!(!result.is_error(), "a call failed: {result:?}");
                texts.push(result.text());
            }
        }
        texts
    }
}
