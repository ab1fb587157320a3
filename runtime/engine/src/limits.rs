//! What one call may use, and the account of it.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::{Limit, LimitHit};

/// What one call may use at most. The stack's size and the number of sandboxes belong to the
/// [`EngineConfig`](crate::EngineConfig), because the pool is made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time from the call's start to its end, waiting for effects included.
    pub wall_time: Duration,
    /// Bytes of all memories of the sandbox together, the kernel's too.
    pub memory: u64,
    /// Elements of all tables of the sandbox together.
    pub table_elements: u64,
    /// Bytes of input.
    pub input: u64,
    /// Bytes of output.
    pub output: u64,
    /// Effects, HTTP requests included.
    pub effects: u64,
    /// Bytes of log messages, standard output and standard error included.
    pub log_bytes: u64,
    /// Bytes of variables, keys included; 0 turns them off.
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
    /// This limit with its value, as a call that hit it reports it.
    #[must_use]
    pub fn hit(&self, limit: Limit) -> LimitHit {
        let value = match limit {
            Limit::WallTime => u64::try_from(self.wall_time.as_millis()).unwrap_or(u64::MAX),
            Limit::Memory => self.memory,
            Limit::TableElements => self.table_elements,
            // The engine fills this one in: it belongs to the pool.
            Limit::Stack => 0,
            Limit::Input => self.input,
            Limit::Output => self.output,
            Limit::Effects => self.effects,
            Limit::LogBytes => self.log_bytes,
            Limit::Vars => self.vars,
            Limit::HttpResponse => self.http_response,
        };
        LimitHit { limit, value }
    }
}

/// How much of its limits a call has used.
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

/// What a message counts for beside its bytes: the time, the role and the call that the host adds.
pub(crate) const LINE_COST: usize = 64;

/// The limits of one sandbox with their account.
#[derive(Debug)]
pub(crate) struct Meter {
    pub limits: Limits,
    pub usage: Usage,
    /// The last growth that was refused: it explains the failure that may follow.
    pub refused: Option<Limit>,
}

impl Meter {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            usage: Usage::default(),
            refused: None,
        }
    }

    /// Begins the account of another call in the same sandbox.
    pub fn next_call(&mut self, limits: Limits) {
        self.limits = limits;
        self.refused = None;
        self.usage.effects = 0;
        self.usage.log_bytes = 0;
    }

    pub fn count_effect(&mut self) -> Result<(), LimitHit> {
        self.usage.effects += 1;
        self.within(self.usage.effects, Limit::Effects)
    }

    pub fn count_log(&mut self, bytes: usize) -> Result<(), LimitHit> {
        self.usage.log_bytes = self.usage.log_bytes.saturating_add(bytes as u64);
        self.within(self.usage.log_bytes, Limit::LogBytes)
    }

    pub fn within(&self, used: u64, limit: Limit) -> Result<(), LimitHit> {
        let hit = self.limits.hit(limit);
        if used > hit.value { Err(hit) } else { Ok(()) }
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
            // A guest that reaches the maximum of its own memory hit no limit of ours.
            self.refused = Some(Limit::Memory);
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
            self.refused = Some(Limit::TableElements);
        }
        Ok(fits)
    }
}
