//! The limits of a call, and how much of them it has used.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::{Limit, LimitExceeded};

/// The limits of one call. The stack size and the number of sandboxes belong to the
/// [`EngineConfig`](crate::EngineConfig), because they define the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time from the call's start to its end, including waiting for effects.
    pub wall_time: Duration,
    /// Bytes of all memories of the sandbox together, including the kernel's.
    pub memory: u64,
    /// Elements of all tables of the sandbox together.
    pub table_elements: u64,
    /// Bytes of input.
    pub input: u64,
    /// Bytes of output.
    pub output: u64,
    /// Number of effects, including HTTP requests.
    pub effects: u64,
    /// Bytes of log messages, including standard output and standard error.
    pub log_bytes: u64,
    /// Bytes of variables, including their keys and what it takes to keep them; 0 turns variables off.
    pub vars: u64,
    /// Bytes of one HTTP response.
    pub http_response: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_time: Duration::from_secs(30),
            memory: 64 << 20,
            table_elements: 100_000,
            input: 16 << 20,
            output: 16 << 20,
            effects: 1000,
            log_bytes: 256 << 10,
            vars: 1 << 20,
            http_response: 50 << 20,
        }
    }
}

impl Limits {
    /// The error for exceeding this limit.
    #[must_use]
    pub fn exceeded(&self, limit: Limit) -> LimitExceeded {
        let value = match limit {
            Limit::WallTime => u64::try_from(self.wall_time.as_millis()).unwrap_or(u64::MAX),
            Limit::Memory => self.memory,
            Limit::TableElements => self.table_elements,
            // Filled in by the engine, since it belongs to the pool.
            Limit::Stack => 0,
            Limit::Input => self.input,
            Limit::Output => self.output,
            Limit::Effects => self.effects,
            Limit::LogBytes => self.log_bytes,
            Limit::Vars => self.vars,
            Limit::HttpResponse => self.http_response,
        };
        LimitExceeded { limit, value }
    }
}

/// The use that a call has made of its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Effects performed.
    pub effects: u64,
    /// Bytes logged.
    pub log_bytes: u64,
    /// Bytes of memory that the sandbox holds.
    pub memory: u64,
    /// Table elements that the sandbox holds.
    pub table_elements: u64,
}

/// Bytes counted per log line in addition to its text: the time, the role and the call that the host adds.
pub(crate) const LOG_LINE_OVERHEAD: usize = 64;

/// Bytes counted per variable in addition to its key and its value: the host's table and allocations.
pub(crate) const VARIABLE_OVERHEAD: u64 = 160;

/// The limits of one sandbox and their use.
#[derive(Debug)]
pub(crate) struct Meter {
    pub limits: Limits,
    pub usage: Usage,
    /// The last refused growth, which explains the failure that may follow.
    pub refused_growth: Option<Limit>,
}

impl Meter {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            usage: Usage::default(),
            refused_growth: None,
        }
    }

    /// Starts counting for another call in the same sandbox.
    pub fn next_call(&mut self, limits: Limits) {
        self.limits = limits;
        self.refused_growth = None;
        self.usage.effects = 0;
        self.usage.log_bytes = 0;
    }

    pub fn count_effect(&mut self) -> Result<(), LimitExceeded> {
        self.usage.effects += 1;
        self.check(self.usage.effects, Limit::Effects)
    }

    pub fn count_log(&mut self, bytes: usize) -> Result<(), LimitExceeded> {
        self.usage.log_bytes = self.usage.log_bytes.saturating_add(bytes as u64);
        self.check(self.usage.log_bytes, Limit::LogBytes)
    }

    pub fn check(&self, used: u64, limit: Limit) -> Result<(), LimitExceeded> {
        let exceeded = self.limits.exceeded(limit);
        if used > exceeded.value {
            Err(exceeded)
        } else {
            Ok(())
        }
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .usage
            .memory
            .saturating_add(desired.saturating_sub(current) as u64);
        let fits = total <= self.limits.memory && maximum.is_none_or(|maximum| desired <= maximum);
        if fits {
            self.usage.memory = total;
        } else if total > self.limits.memory {
            // A guest that reaches the maximum of its own memory exceeds no limit.
            self.refused_growth = Some(Limit::Memory);
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current) as u64;
        let total = self.usage.table_elements.saturating_add(more);
        let fits =
            total <= self.limits.table_elements && maximum.is_none_or(|maximum| desired <= maximum);
        if fits {
            self.usage.table_elements = total;
        } else {
            self.refused_growth = Some(Limit::TableElements);
        }
        Ok(fits)
    }
}
