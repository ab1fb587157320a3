//! [`Timeline`]: a run's history as rows over time, for a terminal of any width.

use std::collections::HashMap;

use exomonad_host::workflows::view::{HistoryEntry, HistoryKind, RunView, StepChange, StepEvent};
use exomonad_workflow::TIMER;
use serde_json::Value;

use super::text::span;
use crate::cli::terminal::{Colour, Lines, Terminal, cut};

/// Rows that are kept: the latest.
const ROWS: usize = 1000;
/// Rows that are looked at for steps beside each other.
const BESIDE_EACH_OTHER: usize = 200;
/// Columns of names at most.
const NAME: usize = 32;
/// Columns below which there are no bars.
const NARROWEST_BAR: usize = 10;

/// A part of a row's bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Nothing,
    /// The step is performed.
    Work,
    /// A timer or a child is waited for.
    Wait,
    /// An attempt has failed, and the next one has not begun.
    Pause,
    /// Something came.
    Moment,
}

impl Cell {
    fn symbol(self) -> char {
        match self {
            Self::Nothing => ' ',
            Self::Work => '█',
            Self::Wait => '░',
            Self::Pause => '·',
            Self::Moment => '◆',
        }
    }
}

/// The kind of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An effect.
    Step,
    /// A timer or a child run.
    Wait,
    /// A signal, a request to cancel, a patch.
    Moment,
}

/// The end of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Open,
    Done,
    Failed(String),
}

/// A step, a timer, a child, or something that came.
#[derive(Clone, Debug)]
struct Row {
    step: Option<u64>,
    name: String,
    kind: Kind,
    begin: i64,
    /// When it was done; of an open one nothing.
    at: Option<i64>,
    /// Attempts that have failed: when, and when the next one begins.
    pauses: Vec<(i64, i64)>,
    attempts: u32,
    end: End,
}

/// The rows of a run. Entries of its history go in, in their order.
#[derive(Debug, Default)]
pub struct Timeline {
    rows: Vec<Row>,
    by_step: HashMap<u64, usize>,
    /// Rows that are not kept any more.
    dropped: usize,
    /// When the entry before came.
    latest: Option<i64>,
    began: i64,
}

impl Timeline {
    /// The timeline of a run that began then.
    pub fn new(began: i64) -> Self {
        Self {
            began,
            ..Self::default()
        }
    }

    /// Takes the next entry.
    pub fn put(&mut self, entry: &HistoryEntry) {
        let at = entry.unix_millis;
        // When a read was asked for is not in the history: after what came before it.
        let asked = self.latest.unwrap_or(self.began).min(at);
        self.latest = Some(at);
        let name = entry.name.clone();
        match entry.kind {
            HistoryKind::Asked => {
                // A step that was asked for once more, after its attempt failed, has its row.
                self.row(entry.step, at, name, Kind::Step);
            }
            HistoryKind::Attempt => {
                let row = self.row(entry.step, asked, name, Kind::Step);
                row.pauses.push((at, entry.next_unix_millis.unwrap_or(at)));
                row.attempts = entry.attempt.unwrap_or(0) + 1;
            }
            HistoryKind::Done => {
                let answer: Value = entry
                    .answer
                    .as_ref()
                    .and_then(|answer| serde_json::from_slice(&answer.0).ok())
                    .unwrap_or_default();
                let request = entry.request.as_ref();
                let child = (name.as_deref() == Some("workflow.start_child"))
                    .then(|| child_of(&answer, request.map(|request| request.0.as_slice())))
                    .flatten();
                // What has no name and was not asked for here is a timer that was given up.
                let (name, kind) = match name {
                    None => ("timer".to_owned(), Kind::Wait),
                    Some(name) => (name, Kind::Step),
                };
                let row = self.row(entry.step, asked, Some(name), kind);
                row.at = Some(at);
                row.attempts = entry.attempt.unwrap_or(1);
                row.end = match answer["kind"].as_str() {
                    Some("Error") => {
                        End::Failed(answer["payload"]["code"].as_str().unwrap_or("").to_owned())
                    }
                    _ => End::Done,
                };
                if let Some((handle, workflow)) = child {
                    self.row(Some(handle), at, Some(workflow), Kind::Wait);
                }
            }
            HistoryKind::Fired => {
                let row = self.row(entry.step, asked, Some("timer".to_owned()), Kind::Wait);
                row.begin = entry.since_unix_millis.unwrap_or(row.begin);
                row.at = Some(at);
                row.end = End::Done;
            }
            HistoryKind::Signal => self.moment(at, format!("signal {}", name.unwrap_or_default())),
            HistoryKind::Cancel => self.moment(at, "asked to cancel".to_owned()),
            HistoryKind::Patched => self.moment(at, format!("patch {}", name.unwrap_or_default())),
        }
    }

    /// Takes an event of a step. True if it has begun, and the history does not know it yet.
    pub fn hear(&mut self, step: &StepEvent) -> bool {
        let (at, effect) = (step.at, step.effect.clone());
        if let Some(index) = self.by_step.get(&step.step) {
            let row = &mut self.rows[*index];
            // A timer that is given up has no entry.
            if matches!(step.change, StepChange::Answered { .. }) && row.at.is_none() {
                row.at = Some(at);
                row.end = End::Done;
            }
            return false;
        }
        if step.change != StepChange::Begun {
            return false;
        }
        let is_timer = effect.as_deref() == Some(TIMER);
        let (name, kind) = match is_timer {
            true => (Some("timer".to_owned()), Kind::Wait),
            false => (effect, Kind::Step),
        };
        self.row(Some(step.step), at, name, kind).attempts = step.attempt;
        true
    }

    /// The row of a step, made if it is new.
    fn row(&mut self, step: Option<u64>, begin: i64, name: Option<String>, kind: Kind) -> &mut Row {
        let known = step.and_then(|step| self.by_step.get(&step)).copied();
        let index = match known {
            Some(index) => index,
            None => {
                let begin = self.no_later_than_those_after(step, begin);
                self.push(Row {
                    step,
                    name: name.unwrap_or_else(|| "step".to_owned()),
                    kind,
                    begin,
                    at: None,
                    pauses: Vec::new(),
                    attempts: 1,
                    end: End::Open,
                });
                self.rows.len() - 1
            }
        };
        &mut self.rows[index]
    }

    /// When a step begins at the latest: steps are asked for in the order of their numbers, so one whose begin is not
    /// known has begun when a later one did.
    fn no_later_than_those_after(&self, step: Option<u64>, begin: i64) -> i64 {
        let rows = self.rows.iter().rev().take(BESIDE_EACH_OTHER);
        let after = rows.filter(|row| row.step > step && row.kind != Kind::Moment);
        after.map(|row| row.begin).fold(begin, i64::min)
    }

    fn moment(&mut self, at: i64, name: String) {
        self.push(Row {
            step: None,
            name,
            kind: Kind::Moment,
            begin: at,
            at: Some(at),
            pauses: Vec::new(),
            attempts: 1,
            end: End::Done,
        });
    }

    fn push(&mut self, row: Row) {
        if self.rows.len() >= 2 * ROWS {
            self.rows.drain(..ROWS);
            self.dropped += ROWS;
            self.by_step.retain(|_, index| *index >= ROWS);
            self.by_step.values_mut().for_each(|index| *index -= ROWS);
        }
        if let Some(step) = row.step {
            self.by_step.insert(step, self.rows.len());
        }
        self.rows.push(row);
    }

    /// Draws the latest rows, at most so many.
    pub fn draw(
        &self,
        lines: &mut Lines,
        run: &RunView,
        now: i64,
        terminal: Terminal,
        most: usize,
    ) {
        let shown = &self.rows[self.rows.len().saturating_sub(most.min(ROWS))..];
        if shown.is_empty() {
            lines.coloured(Colour::Dim, "no steps yet").end();
            return;
        }
        let hidden = self.dropped + self.rows.len() - shown.len();
        if hidden > 0 {
            let before = format!("{hidden} earlier; `exomonad workflow history` has them");
            let before = cut(&before, terminal.columns);
            lines.coloured(Colour::Dim, &before).end();
        }
        let until = run.ended_unix_millis.unwrap_or(now);
        let from = shown
            .iter()
            .map(|row| row.begin)
            .min()
            .unwrap_or(self.began);
        let from = if hidden == 0 {
            from.min(self.began)
        } else {
            from
        };
        let until = shown
            .iter()
            .filter_map(|row| row.at)
            .fold(until.max(from), i64::max);
        let layout = Layout::new(shown, terminal.columns, from, until);
        layout.head(lines);
        for row in shown {
            layout.row(lines, row, until);
        }
    }
}

/// The handle and the workflow of a child that was started.
fn child_of(answer: &Value, request: Option<&[u8]>) -> Option<(u64, String)> {
    let handle = answer["payload"]["handle"].as_u64()?;
    let request: Value = serde_json::from_slice(request?).ok()?;
    let workflow = request["workflow"].as_str().unwrap_or("?");
    Some((handle, format!("child {workflow}")))
}

/// The columns of a timeline.
struct Layout {
    step: usize,
    name: usize,
    bar: usize,
    from: i64,
    until: i64,
}

/// Columns of the duration, of the attempts, and of the end.
const TOOK: usize = 9;
const END: usize = 14;

impl Layout {
    fn new(rows: &[Row], columns: usize, from: i64, until: i64) -> Self {
        let step = rows
            .iter()
            .filter_map(|row| row.step)
            .max()
            .map_or(1, |step| step.to_string().len());
        let longest = rows.iter().map(|row| row.name.chars().count()).max();
        let name = longest.unwrap_or(0).clamp(4, NAME);
        let beside = step + 2 + name + 2 + TOOK + 2 + END;
        // A narrow terminal loses the bar first, and then the ends of names.
        let (name, bar) = match columns.checked_sub(beside + 2) {
            Some(bar) if bar >= NARROWEST_BAR => (name, bar),
            _ => {
                let over = beside.saturating_sub(columns);
                (name.saturating_sub(over).max(4), 0)
            }
        };
        Self {
            step,
            name,
            bar,
            from,
            until,
        }
    }

    fn head(&self, lines: &mut Lines) {
        let Self {
            step, name, bar, ..
        } = self;
        let mut head = format!(
            "{:>step$}  {:name$}  {:>TOOK$}  {:END$}",
            "", "STEP", "TOOK", "END",
        );
        let all = span(self.until - self.from);
        let width = all.chars().count() + 1;
        if *bar > width {
            head.push_str(&format!("  0{all:>width$}", width = bar - 1));
        }
        lines.coloured(Colour::Dim, head.trim_end()).end();
    }

    fn row(&self, lines: &mut Lines, row: &Row, now: i64) {
        let Self { step, name, .. } = self;
        let number = row.step.map_or_else(String::new, |step| step.to_string());
        lines.text(&format!(
            "{number:>step$}  {:name$}  ",
            cut(&row.name, *name)
        ));
        let took = match row.kind {
            Kind::Moment => String::new(),
            _ => span(row.at.unwrap_or(now) - row.begin),
        };
        lines.text(&format!("{took:>TOOK$}  "));
        let times = match row.attempts {
            0 | 1 => String::new(),
            attempts => format!(" ×{attempts}"),
        };
        let (colour, end) = match (&row.end, row.kind) {
            (End::Open, _) => (Colour::Blue, format!("…{times}")),
            (End::Done, Kind::Moment) => (Colour::Yellow, String::new()),
            (End::Done, _) => (Colour::Green, format!("ok{times}")),
            (End::Failed(code), _) => (Colour::Red, format!("{code}{times}")),
        };
        // A retry is what somebody looks for: it is not cut off.
        let end = match end.chars().count() > END {
            true => {
                let code = end.trim_end_matches(&times);
                format!(
                    "{}{times}",
                    cut(code, END.saturating_sub(times.chars().count()))
                )
            }
            false => end,
        };
        lines.coloured(colour, &format!("{end:END$}"));
        if self.bar > 0 {
            lines.text("  ");
            self.bar(lines, row, now, colour);
        }
        lines.end();
    }

    /// The column of a moment.
    fn column(&self, at: i64) -> usize {
        let all = i128::from((self.until - self.from).max(1));
        let since = i128::from((at - self.from).clamp(0, self.until - self.from));
        let last = self.bar.saturating_sub(1);
        usize::try_from(since * last as i128 / all).map_or(last, |column| column.min(last))
    }

    fn bar(&self, lines: &mut Lines, row: &Row, now: i64, colour: Colour) {
        let mut cells = vec![Cell::Nothing; self.bar];
        let (begin, end) = (
            self.column(row.begin),
            self.column(row.at.unwrap_or(now).max(row.begin)),
        );
        let work = match row.kind {
            Kind::Step => Cell::Work,
            Kind::Wait => Cell::Wait,
            Kind::Moment => Cell::Moment,
        };
        cells[begin..=end].fill(work);
        for (from, until) in &row.pauses {
            let until = (*until).min(row.at.unwrap_or(now)).max(*from);
            // The attempt itself keeps its cell.
            let (from, until) = (self.column(*from) + 1, self.column(until));
            if from < until {
                cells[from..until].fill(Cell::Pause);
            }
        }
        let bar: String = cells.into_iter().map(Cell::symbol).collect();
        lines.coloured(colour, bar.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use exomonad_schema::RawJson;
    use exomonad_schema::effects::workflow::WorkflowStatus;
    use serde_json::json;

    use super::*;

    fn run(began: i64, ended: Option<i64>) -> RunView {
        RunView {
            role: "wf".to_owned(),
            workflow: "w".to_owned(),
            workflow_id: "id".to_owned(),
            run_id: "run".to_owned(),
            status: WorkflowStatus::Running,
            began_unix_millis: began,
            ended_unix_millis: ended,
            wakes_unix_millis: None,
            plugin: String::new(),
            restarts: 0,
            input: RawJson::default(),
            output: None,
            state: None,
            error: None,
            continued_from: None,
            continued_to: None,
            search_attributes: Default::default(),
            memo: Default::default(),
            started_by: None,
        }
    }

    fn entries(entries: serde_json::Value) -> Vec<HistoryEntry> {
        let mut position = 0;
        let filled = entries.as_array().unwrap().iter().map(|entry| {
            let mut entry = entry.clone();
            entry["position"] = position.into();
            position += 1;
            serde_json::from_value(entry).unwrap()
        });
        filled.collect()
    }

    fn drawn(began: i64, ended: Option<i64>, columns: usize, history: serde_json::Value) -> String {
        let terminal = Terminal {
            is_terminal: false,
            has_colours: false,
            columns,
            rows: 24,
        };
        let mut timeline = Timeline::new(began);
        for entry in entries(history) {
            timeline.put(&entry);
        }
        let mut lines = Lines::new(terminal);
        timeline.draw(&mut lines, &run(began, ended), 10_000, terminal, 100);
        lines.as_str().to_owned()
    }

    fn history() -> serde_json::Value {
        json!([
            {"unixMillis": 1000, "kind": "done", "step": 0, "name": "kv.get", "attempt": 1,
                "answer": {"json": {"kind": "Success", "payload": {}}}},
            {"unixMillis": 1000, "kind": "asked", "step": 1, "name": "http.request"},
            {"unixMillis": 2000, "kind": "attempt", "step": 1, "attempt": 1, "nextUnixMillis": 4000,
                "answer": {"json": {"kind": "Error", "payload": {"code": "unavailable"}}}},
            {"unixMillis": 4000, "kind": "asked", "step": 1, "name": "http.request"},
            {"unixMillis": 5000, "kind": "done", "step": 1, "attempt": 2,
                "answer": {"json": {"kind": "Error", "payload": {"code": "not_found"}}}},
            {"unixMillis": 5000, "kind": "signal", "name": "go\u{1b}[2J", "answer": {"json": null}},
            {"unixMillis": 9000, "kind": "fired", "step": 2},
            {"unixMillis": 9000, "kind": "done", "step": 3, "name": "workflow.start_child", "attempt": 1,
                "request": {"json": {"workflow": "sleeper"}},
                "answer": {"json": {"kind": "Success", "payload": {"handle": 4, "workflowId": "c", "runId": "r", "started": true}}}},
        ])
    }

    #[test]
    fn steps_retries_timers_signals_and_children_stand_under_one_scale() {
        let drawn = drawn(0, None, 79, history());
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(
            lines,
            [
                "   STEP                       TOOK  END             0                    10.0 s",
                "0  kv.get                    1.0 s  ok              ███",
                "1  http.request              4.0 s  not_found ×2      ████····████",
                "   signal go�[2J                                                 ◆",
                "2  timer                     4.0 s  ok                           ░░░░░░░░░░░",
                "3  workflow.start_child       0 ms  ok                                     █",
                "4  child sleeper             1.0 s  …                                      ░░░░",
            ],
            "{drawn}"
        );
    }

    #[test]
    fn a_step_that_has_begun_is_open_until_the_history_has_it_and_a_timer_that_is_given_up_ends() {
        let event = |at, step, effect: &str, change| StepEvent {
            at,
            role: "wf".to_owned(),
            workflow: "w".to_owned(),
            workflow_id: "id".to_owned(),
            run_id: "run".to_owned(),
            step,
            effect: Some(effect.to_owned()),
            attempt: 1,
            change,
        };
        let mut timeline = Timeline::new(0);
        assert!(timeline.hear(&event(100, 0, "git.log", StepChange::Begun)));
        assert!(timeline.hear(&event(100, 1, TIMER, StepChange::Begun)));
        assert!(!timeline.hear(&event(100, 1, TIMER, StepChange::Begun)));
        let ends: Vec<_> = timeline.rows.iter().map(|row| row.end.clone()).collect();
        assert_eq!(ends, [End::Open, End::Open]);
        let code = "cancelled".to_owned();
        timeline.hear(&event(300, 1, TIMER, StepChange::Answered { code }));
        let done = json!([{"unixMillis": 400, "kind": "done", "step": 0, "name": "git.log", "attempt": 1,
            "answer": {"json": {"kind": "Success", "payload": {}}}}]);
        timeline.put(&entries(done)[0]);
        let spans: Vec<_> = timeline
            .rows
            .iter()
            .map(|row| (row.name.as_str(), row.begin, row.at))
            .collect();
        assert_eq!(
            spans,
            [("git.log", 100, Some(400)), ("timer", 100, Some(300))]
        );
        assert!(!timeline.hear(&event(100, 0, "git.log", StepChange::Begun)));
    }

    #[test]
    fn timers_beside_each_other_begin_together_as_far_as_the_history_tells() {
        let drawn = drawn(
            0,
            Some(1_000),
            80,
            json!([
                {"unixMillis": 10, "kind": "asked", "step": 2, "name": "kv.set"},
                {"unixMillis": 20, "kind": "done", "step": 2, "attempt": 1,
                    "answer": {"json": {"kind": "Success", "payload": {}}}},
                {"unixMillis": 700, "kind": "fired", "step": 0},
                {"unixMillis": 900, "kind": "fired", "step": 1},
                {"unixMillis": 900, "kind": "done", "step": 3, "attempt": 1,
                    "answer": {"json": {"kind": "Error", "payload": {"code": "cancelled"}}}},
            ]),
        );
        let took: Vec<Vec<&str>> = drawn
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().take(5).collect())
            .collect();
        assert_eq!(took[1][..4], ["0", "timer", "690", "ms"], "{drawn}");
        assert_eq!(took[2][..4], ["1", "timer", "890", "ms"], "{drawn}");
        assert_eq!(took[3], ["3", "timer", "0", "ms", "cancelled"], "{drawn}");
    }

    #[test]
    fn a_timer_begins_when_it_was_set_whatever_came_before_its_end() {
        let drawn = drawn(
            0,
            Some(1_000),
            80,
            json!([
                {"unixMillis": 800, "kind": "signal", "name": "go", "answer": {"json": null}},
                {"unixMillis": 900, "kind": "fired", "step": 0, "sinceUnixMillis": 100},
            ]),
        );
        let row: Vec<&str> = drawn.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(row[..5], ["0", "timer", "800", "ms", "ok"], "{drawn}");
    }

    #[test]
    fn it_fits_any_width() {
        for columns in [20, 40, 60, 80, 200] {
            let drawn = drawn(0, Some(10_000), columns, history());
            for line in drawn.lines() {
                let width = line.chars().count();
                assert!(width <= columns.max(40), "{columns}: {width} {line}");
            }
        }
    }

    #[test]
    fn only_the_latest_of_very_many_rows_are_kept() {
        let mut timeline = Timeline::new(0);
        for step in 0..10_000_u64 {
            for entry in entries(json!([
                {"unixMillis": step, "kind": "asked", "step": step, "name": "kv.set"},
                {"unixMillis": step, "kind": "done", "step": step, "attempt": 1,
                    "answer": {"json": {"kind": "Success", "payload": {}}}},
            ])) {
                timeline.put(&entry);
            }
        }
        let terminal = Terminal {
            is_terminal: false,
            has_colours: false,
            columns: 80,
            rows: 24,
        };
        let mut lines = Lines::new(terminal);
        timeline.draw(&mut lines, &run(0, Some(10_000)), 10_000, terminal, 5);
        let drawn = lines.as_str();
        assert!(drawn.starts_with("9995 earlier"), "{drawn}");
        assert_eq!(drawn.lines().count(), 7, "{drawn}");
        assert!(
            drawn.lines().last().unwrap().starts_with("9999  kv.set"),
            "{drawn}"
        );
        assert!(timeline.rows.len() <= 2 * ROWS);
    }
}
