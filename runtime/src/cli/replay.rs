//! `replay`: recorded calls run again, and their records answer the plugin. Nothing is performed.

use std::path::Path;
use std::sync::Arc;

use exomonad_config::Config;
use exomonad_engine::{CompileCache, CompileLimits};
use exomonad_host::plugins::folder::Source;
use exomonad_host::plugins::reload::locate;
use exomonad_host::plugins::version::PluginVersion;
use exomonad_host::replay::{Replay as Report, ReplaySummary, Verdict, replay};
use exomonad_host::role::Role;
use exomonad_journal::{CallRecord, Difference, Payload};
use exomonad_schema::RoleName;

use super::CommandError;
use super::args::{Options, Replay};
use super::calls::{Calls, print_payload};
use super::config::load_text_alone;
use super::plugin::role_without_host;
use super::show::print_json;

/// Runs `replay`.
pub async fn run(options: &Options, arguments: Replay) -> Result<(), CommandError> {
    let config = load_text_alone(options)?.config;
    let calls = Calls::find(options, &config, arguments.filter.role.as_deref()).await?;
    let plugin = arguments.plugin.as_deref();
    match (&arguments.call, arguments.last) {
        (Some(id), _) => {
            let record = calls.record(id).await?;
            let target = Target::load(&config, &record.call.role, plugin).await?;
            one(options, &target, &record).await
        }
        (None, last) => {
            let name = arguments.filter.role.as_deref().unwrap_or_default();
            let role: RoleName = name
                .parse()
                .map_err(|error| CommandError::Usage(format!("--role: {error}")))?;
            let target = Target::load(&config, &role, plugin).await?;
            // One after the other: a record may be large.
            let (sender, mut records) = tokio::sync::mpsc::channel(4);
            let filter = arguments.filter.clone();
            let reading = tokio::spawn(async move {
                let mut send =
                    |record| tokio::task::block_in_place(|| sender.blocking_send(record).is_ok());
                let limit = last.unwrap_or_default();
                calls.records(&filter, limit, &mut send).await
            });
            let mut replays = Vec::new();
            while let Some(record) = records.recv().await {
                replays.push(replay(&target.role.settings, &target.version, &record).await);
            }
            match reading.await {
                Ok(read) => read?,
                Err(error) => {
                    return Err(CommandError::Unavailable(format!(
                        "reading the calls did not finish: {error}"
                    )));
                }
            }
            many(options, &ReplaySummary::of(&replays))
        }
    }
}

/// The role as it is configured today, with the plugin to run.
pub struct Target {
    /// The role.
    pub role: Role,
    /// The plugin.
    pub version: Arc<PluginVersion>,
}

impl Target {
    /// The role of this name, with its plugin or the one in this file.
    pub async fn load(
        config: &Config,
        name: &RoleName,
        plugin: Option<&Path>,
    ) -> Result<Self, CommandError> {
        let role = role_without_host(name, config)?;
        let source = match plugin {
            Some(file) => Source::File(file.to_owned()),
            None => locate(&role.settings, config).map_err(CommandError::Refused)?,
        };
        let shown = source.to_string();
        let cache = CompileCache::open(&config.plugins.cache_dir).ok();
        let compile = CompileLimits {
            time: config.engine.compile_time.get(),
            memory: config.engine.compile_memory.get(),
        };
        let version = PluginVersion::load(&role.settings, source, cache.as_ref(), compile).await;
        let version =
            version.map_err(|error| CommandError::Refused(format!("{shown}: {error}")))?;
        Ok(Self {
            role,
            version: Arc::new(version),
        })
    }
}

/// Replays one call, and shows the first difference.
async fn one(options: &Options, target: &Target, record: &CallRecord) -> Result<(), CommandError> {
    let report = replay(&target.role.settings, &target.version, record).await;
    if options.json {
        print_json(&report);
    } else {
        print_report(&report, record);
    }
    match report.verdict {
        Verdict::Same => Ok(()),
        Verdict::Differs | Verdict::Fails => Err(CommandError::Found),
        Verdict::NotReplayed => Err(CommandError::Refused(format!(
            "call {} cannot be replayed: {}",
            report.call,
            report.notes.join("; ")
        ))),
    }
}

fn print_report(report: &Report, record: &CallRecord) {
    let call = &record.call;
    let subject = format!(
        "{} `{}` of role `{}`",
        call.kind.name(),
        call.name,
        call.role
    );
    let exactly = if report.exact {
        "exactly"
    } else {
        "not exactly"
    };
    match report.verdict {
        Verdict::Same => match call.effects {
            1 => outln!("same: {subject}, 1 effect, {exactly} replayed"),
            effects => outln!("same: {subject}, {effects} effects, {exactly} replayed"),
        },
        Verdict::Differs => outln!("differs: {subject}"),
        Verdict::Fails => outln!("fails: {subject}"),
        Verdict::NotReplayed => return,
    }
    if report.plugin != call.plugin {
        let short = |digest: &str| digest.get(..12).unwrap_or_default().to_owned();
        outln!(
            "recorded with plugin {}, replayed with {}",
            short(&call.plugin),
            short(&report.plugin)
        );
    }
    if let Some(difference) = &report.difference {
        print_difference(difference);
    }
    for note in &report.notes {
        outln!("not exact: {note}");
    }
}

fn print_difference(difference: &Difference) {
    outln!("it {difference}");
    match difference {
        Difference::Effect {
            nth,
            recorded,
            asked,
        } => {
            for (what, side) in [("recorded", recorded), ("asked   ", asked)] {
                match side {
                    Some(side) => print_payload(
                        &format!("  {what}  effect {nth}, {} ", side.effect),
                        &side.request,
                    ),
                    None => outln!("  {what}  no effect {nth}"),
                }
            }
        }
        Difference::Log {
            nth,
            recorded,
            logged,
        } => {
            for (what, side) in [("recorded", recorded), ("logged  ", logged)] {
                match side {
                    Some(line) => outln!("  {what}  line {nth}, {line}"),
                    None => outln!("  {what}  no line {nth}"),
                }
            }
        }
        Difference::Answer {
            recorded_outcome,
            recorded,
            outcome,
            answer,
        } => {
            let side = |what: &str, outcome: &str, payload: &Payload| {
                print_payload(&format!("  {what}  {outcome} "), payload);
            };
            side("recorded", recorded_outcome, recorded);
            side("replayed", outcome, answer);
        }
    }
}

/// Shows how many calls do the same, and how the others differ.
fn many(options: &Options, summary: &ReplaySummary) -> Result<(), CommandError> {
    if options.json {
        print_json(summary);
    } else {
        print_summary(summary);
    }
    match summary.differ + summary.fail {
        0 if summary.replayed == 0 => Err(CommandError::Refused(
            "there is no such call to replay; a role's `journal` says which calls are recorded"
                .to_owned(),
        )),
        0 => Ok(()),
        _ => Err(CommandError::Found),
    }
}

fn print_summary(summary: &ReplaySummary) {
    outln!(
        "{} calls replayed: {} the same, {} differ, {} fail",
        summary.replayed,
        summary.same,
        summary.differ,
        summary.fail
    );
    for group in &summary.groups {
        let word = match group.verdict {
            Verdict::Fails => "fails",
            Verdict::Differs => "differs",
            // A guest that is the same but for its log differs.
            Verdict::Same | Verdict::NotReplayed => continue,
        };
        let calls: Vec<&str> = group.calls.iter().map(|id| id.as_str()).collect();
        outln!(
            "  {word:<7} {} × `{}` {} (such as {})",
            group.count,
            group.name,
            group.difference,
            calls.join(", ")
        );
    }
    if summary.not_replayed > 0 {
        outln!("  {} could not be replayed", summary.not_replayed);
    }
    for note in &summary.notes {
        outln!("not exact: {note}");
    }
}
