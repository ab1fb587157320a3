//! Diffs: `git diff --raw --numstat -z`, and the patch.

use std::collections::BTreeMap;

use exomonad_schema::effects::git::{
    ChangeKind, DiffAgainst, DiffFile, DiffTarget, GitDiff, GitDiffReport,
};
use exomonad_schema::{Base64, EffectError};

use super::git_error;
use super::repo_info::RepoInfo;
use super::revision::Wanted;
use super::script::StepOutput;
use super::shell::GitShell;
use crate::diff::{RENAME_LIMIT, is_at_or_below, no_common, reads_work_dir, too_many};
use crate::patch::BoundedLines;

/// Bytes that git may write before the first line of a patch.
const PREAMBLE_BYTES: u64 = 4096;

/// A file that differs, by the path it has now.
#[derive(Debug, Default)]
struct Entry {
    old_path: Option<Vec<u8>>,
    change: Option<ChangeKind>,
    counts: Option<(u64, u64)>,
}

pub(super) async fn report(
    shell: &GitShell,
    request: &GitDiff,
) -> Result<GitDiffReport, EffectError> {
    let compared = compared(shell, request).await?;
    if reads_work_dir(&request.target) {
        shell.check_no_submodule().await?;
    }
    let options = options(shell, &compared);
    let mut files = entries(shell, &options, &[]).await?;
    let mut limited = Vec::new();
    if !request.paths.is_empty() {
        // Paths are chosen here: were git to choose, it would see no rename into them.
        files.retain(|path, entry| {
            let is_wanted = |path: &[u8]| {
                request
                    .paths
                    .iter()
                    .any(|wanted| is_at_or_below(path, wanted))
            };
            is_wanted(path) || entry.old_path.as_deref().is_some_and(is_wanted)
        });
        limited = pathspecs(&files);
    }
    let max_files = shell.config.max_files as usize;
    if files.len() > max_files {
        return Err(too_many(&shell.context, files.len(), max_files));
    }
    let mut report = GitDiffReport {
        files: files
            .into_iter()
            .filter_map(|(path, entry)| file(&path, entry))
            .collect(),
        ..GitDiffReport::default()
    };
    report.files.sort_by(|one, other| one.path.cmp(&other.path));
    report.additions = report.files.iter().map(|file| file.additions).sum();
    report.deletions = report.files.iter().map(|file| file.deletions).sum();
    if !report.files.is_empty() {
        let output = patch(shell, request, &options, &limited).await?;
        let max_bytes = usize::try_from(request.max_bytes.get()).unwrap_or(usize::MAX);
        let mut lines = BoundedLines::new(max_bytes);
        lines.push("", &output);
        report.patch = lines.text;
        report.truncated = lines.is_cut;
    }
    Ok(report)
}

/// The arguments of `git diff` for the compared revisions.
async fn compared(shell: &GitShell, request: &GitDiff) -> Result<Vec<String>, EffectError> {
    let context = &shell.context;
    let mut script = shell.script()?;
    let query = shell.query_repo_info(&mut script);
    let mut names = Vec::new();
    match &request.target {
        DiffTarget::Against(DiffAgainst { reference }) => {
            names.push(shell.query_revision(&mut script, reference, Wanted::Tree)?);
        }
        DiffTarget::Between(between) => {
            let wanted = if between.merge_base {
                Wanted::Commit
            } else {
                Wanted::Tree
            };
            names.push(shell.query_revision(&mut script, &between.from, wanted)?);
            names.push(shell.query_revision(&mut script, &between.to, wanted)?);
        }
        DiffTarget::Unstaged | DiffTarget::Staged | DiffTarget::WorkingTree => {}
    }
    let base = match &request.target {
        DiffTarget::Between(between) if between.merge_base => Some((
            script.git(["merge-base", &between.from, &between.to]),
            between,
        )),
        _ => None,
    };
    let outputs = shell.run(script).await?;
    let repo_info = query.read(context, &outputs)?;
    let mut ids = names
        .iter()
        .map(|name| name.read(context, &outputs))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some((step, between)) = base {
        let output = &outputs[step];
        match output.code {
            0 => ids[0] = super::revision::id(context, &output.line())?,
            1 => return Err(no_common(context, between)),
            _ => return Err(git_error::from_output(context, output)),
        }
    }
    if reads_work_dir(&request.target) {
        repo_info.work_dir(context)?;
    }
    let head = |repo_info: &RepoInfo| match repo_info.commit {
        Some(_) => "HEAD".to_owned(),
        None => repo_info.format.empty_tree().to_owned(),
    };
    Ok(match &request.target {
        DiffTarget::Unstaged => Vec::new(),
        DiffTarget::Staged => vec!["--cached".to_owned(), head(&repo_info)],
        DiffTarget::WorkingTree => vec![head(&repo_info)],
        DiffTarget::Against(_) | DiffTarget::Between(_) => ids,
    })
}

fn options(shell: &GitShell, compared: &[String]) -> Vec<String> {
    let mut options: Vec<_> = [
        "--literal-pathspecs",
        "diff",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--no-relative",
        "--find-renames",
        "--indent-heuristic",
        "-O/dev/null",
    ]
    .map(str::to_owned)
    .into();
    options.extend(shell.submodules_option().map(str::to_owned));
    options.push(format!("-l{RENAME_LIMIT}"));
    options.extend(compared.iter().cloned());
    options
}

fn command<'a>(options: &'a [String], more: &'a [&str], paths: &'a [String]) -> Vec<&'a str> {
    let (first, rest) = options.split_at(2);
    let words = first.iter().map(String::as_str);
    words
        .chain(more.iter().copied())
        .chain(rest.iter().map(String::as_str))
        .chain(["--"])
        .chain(paths.iter().map(String::as_str))
        .collect()
}

async fn entries(
    shell: &GitShell,
    options: &[String],
    paths: &[String],
) -> Result<BTreeMap<Vec<u8>, Entry>, EffectError> {
    let mut script = shell.script()?;
    let step = script.git(command(
        options,
        &["--raw", "--numstat", "-z", "--no-abbrev"],
        paths,
    ));
    let outputs = shell.run(script).await?;
    let output = &outputs[step];
    if !output.is_success() {
        return Err(git_error::from_output(&shell.context, output));
    }
    parse(output).ok_or_else(|| {
        shell
            .context
            .damaged("`git diff` answers with what it should not")
    })
}

/// `:<modes> <ids> <letter>\0<path>\0[<path>\0]`, then `<added>\t<removed>\t<path>\0`,
/// where a renamed one has an empty path and two after it. `None` for anything else.
fn parse(output: &StepOutput) -> Option<BTreeMap<Vec<u8>, Entry>> {
    let mut entries = BTreeMap::<Vec<u8>, Entry>::new();
    let mut records = output.records();
    while let Some(record) = records.next() {
        if record.starts_with(b":") {
            let letter = *record.rsplit(|byte| *byte == b' ').next()?.first()?;
            let change = kind_of(letter)?;
            let first = records.next()?.to_vec();
            let (path, old_path) = match change {
                ChangeKind::Renamed | ChangeKind::Copied => (records.next()?.to_vec(), Some(first)),
                _ => (first, None),
            };
            let entry = entries.entry(path).or_default();
            // A file with a merge conflict is listed twice.
            if entry.change != Some(ChangeKind::Conflicted) {
                entry.change = Some(change);
                entry.old_path = old_path;
            }
            continue;
        }
        let mut fields = record.splitn(3, |byte| *byte == b'\t');
        let (added, removed, path) = (fields.next()?, fields.next()?, fields.next()?);
        let path = match path {
            b"" => {
                records.next()?;
                records.next()?
            }
            path => path,
        };
        let count = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u64>().ok();
        let counts = match (added, removed) {
            (b"-", b"-") => None,
            _ => Some((count(added)?, count(removed)?)),
        };
        let entry = entries.get_mut(path)?;
        entry.counts = counts;
    }
    Some(entries)
}

fn kind_of(letter: u8) -> Option<ChangeKind> {
    Some(match letter {
        b'A' => ChangeKind::Added,
        b'C' => ChangeKind::Copied,
        b'D' => ChangeKind::Deleted,
        b'M' => ChangeKind::Modified,
        b'R' => ChangeKind::Renamed,
        b'T' => ChangeKind::TypeChanged,
        b'U' => ChangeKind::Conflicted,
        _ => return None,
    })
}

fn file(path: &[u8], entry: Entry) -> Option<DiffFile> {
    let change = entry.change?;
    let (path, path_bytes) = Base64::lossy_text(path);
    let (additions, deletions) = entry.counts.unwrap_or_default();
    Some(DiffFile {
        path,
        path_bytes,
        old_path: entry
            .old_path
            .map(|old_path| String::from_utf8_lossy(&old_path).into_owned()),
        change,
        is_binary: entry.counts.is_none() && change != ChangeKind::Conflicted,
        additions,
        deletions,
    })
}

/// The paths that the patch is limited to, both ends of a rename. One that is
/// no text cannot be passed on, and is left to the paths around it.
fn pathspecs(files: &BTreeMap<Vec<u8>, Entry>) -> Vec<String> {
    files
        .iter()
        .flat_map(|(path, entry)| [Some(path), entry.old_path.as_ref()])
        .flatten()
        .filter_map(|path| String::from_utf8(path.clone()).ok())
        .collect()
}

async fn patch(
    shell: &GitShell,
    request: &GitDiff,
    options: &[String],
    paths: &[String],
) -> Result<Vec<u8>, EffectError> {
    let max_bytes = request.max_bytes.get() + PREAMBLE_BYTES;
    let mut script = shell.script()?;
    script.max_output += max_bytes;
    let context = format!("--unified={}", request.context_lines.get());
    let step = script.git_up_to(max_bytes, command(options, &["--patch", &context], paths));
    let outputs = shell.run(script).await?;
    let output = &outputs[step];
    // Ended by a pipe that nobody reads any more, git says nothing.
    if !output.is_success() && !output.stderr.trim().is_empty() {
        return Err(git_error::from_output(&shell.context, output));
    }
    Ok(output.stdout.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<BTreeMap<Vec<u8>, Entry>> {
        parse(&StepOutput {
            stdout: text.replace('|', "\0").into_bytes(),
            ..StepOutput::default()
        })
    }

    #[test]
    fn a_list_of_files_is_read_completely_or_refused() {
        let files = parsed(
            ":100644 100644 a b M|file|:100644 100644 a b R090|old|new|:000000 000000 0 0 U|both|\
             :100644 100644 a b M|both|1\t2\tfile|-\t-\t|old|new|0\t0\tboth|",
        )
        .unwrap();
        assert_eq!(files[&b"file"[..]].counts, Some((1, 2)));
        assert_eq!(files[&b"new"[..]].old_path.as_deref(), Some(&b"old"[..]));
        assert_eq!(files[&b"new"[..]].counts, None);
        assert_eq!(files[&b"both"[..]].change, Some(ChangeKind::Conflicted));
        for bad in [
            ":100644 100644 a b M|",
            ":100644 100644 a b X|file|",
            "1\t2\tnever listed|",
            "x\t2\tfile|",
            "1 2 file|",
            ":100644 100644 a b R1|old|",
        ] {
            assert!(parsed(bad).is_none(), "{bad}");
        }
    }
}
