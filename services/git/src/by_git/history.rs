//! Reads commits: `git cat-file --batch`, which prints them as they are stored.

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::{GitCommit, GitCommits, GitPerson};

use super::git_error;
use super::script::{Script, Step, StepOutput, git};
use crate::effect_context::EffectContext;
use crate::encoding::decode;
use crate::history;

/// Adds the step that reads commits from `id` on, newest first.
pub(super) fn add_steps(script: &mut Script, id: &str, limit: u64) -> Step {
    let list = git(["rev-list", &format!("--max-count={limit}"), id, "--"]);
    let read = git(["cat-file", "--batch"]);
    // The code of a pipe is that of its end, which never sees what the beginning misses.
    script.shell(&format!(
        "list=$({list}) || exit $?; printf '%s\\n' \"$list\" | {read}"
    ))
}

/// Reads the step's output.
///
/// # Errors
/// `unsupported` when a commit is missing or none.
pub(super) fn read(
    context: &EffectContext,
    output: &StepOutput,
    limit: usize,
) -> Result<GitCommits, EffectError> {
    if !output.is_success() {
        return Err(git_error::from_output(context, output));
    }
    let mut commits = parse(&output.stdout)
        .ok_or_else(|| context.damaged("a commit that others build on is missing or none"))?;
    let has_more = commits.len() > limit;
    commits.truncate(limit);
    Ok(GitCommits { commits, has_more })
}

/// `<id> commit <size>\n<content>\n`, again and again.
fn parse(mut batch: &[u8]) -> Option<Vec<GitCommit>> {
    let mut commits = Vec::new();
    while !batch.is_empty() {
        let end = batch.iter().position(|byte| *byte == b'\n')?;
        let head = std::str::from_utf8(&batch[..end]).ok()?;
        let mut fields = head.split(' ');
        let id = fields.next()?;
        if fields.next()? != "commit" {
            return None;
        }
        let size: usize = fields.next()?.parse().ok()?;
        let content = batch.get(end + 1..end.checked_add(1)?.checked_add(size)?)?;
        commits.push(commit(id, content)?);
        batch = batch.get(end + 1 + size..)?.strip_prefix(b"\n")?;
    }
    Some(commits)
}

fn commit(id: &str, content: &[u8]) -> Option<GitCommit> {
    let end = content
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .unwrap_or(content.len());
    let message = content.get(end + 2..).unwrap_or_default();
    let (mut author, mut committer, mut parents) = (None, None, Vec::new());
    let encoding = content[..end]
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"encoding "));
    for line in content[..end].split(|byte| *byte == b'\n') {
        if let Some(parent) = line.strip_prefix(b"parent ") {
            parents.push(std::str::from_utf8(parent).ok()?.to_owned());
        } else if let (None, Some(who)) = (&author, line.strip_prefix(b"author ")) {
            author = Some(person(who, encoding)?);
        } else if let (None, Some(who)) = (&committer, line.strip_prefix(b"committer ")) {
            committer = Some(person(who, encoding)?);
        }
    }
    let (summary, body) = history::summary_and_body(message, encoding);
    Some(GitCommit {
        id: id.to_owned(),
        summary,
        body,
        author: author?,
        committer: committer?,
        parents,
    })
}

/// `Ada L <ada@example.com> 1700000000 +0130`
fn person(who: &[u8], encoding: Option<&[u8]>) -> Option<GitPerson> {
    let open = who.iter().position(|byte| *byte == b'<')?;
    let close = who.iter().rposition(|byte| *byte == b'>')?;
    let text = |bytes: &[u8]| decode(bytes.trim_ascii(), encoding);
    let when = String::from_utf8_lossy(who.get(close + 1..)?).into_owned();
    let mut when = when.split_whitespace();
    let seconds: i64 = when.next().unwrap_or("0").parse().ok()?;
    let offset: i32 = when.next().unwrap_or("0").parse().ok()?;
    Some(GitPerson {
        name: text(who.get(..open)?),
        email: text(who.get(open + 1..close)?),
        unix_millis: seconds.saturating_mul(1000),
        offset_minutes: offset / 100 * 60 + offset % 100,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_completely_or_refused() {
        let one = "tree t\nparent p\nauthor A <a@b> 1 -0130\ncommitter C <c@d> 2 +0000\n\nS\n\nB\n";
        let batch = format!("id commit {}\n{one}\n", one.len());
        let commits = parse(format!("{batch}{batch}").as_bytes()).unwrap();
        assert_eq!(commits.len(), 2);
        assert_eq!((&*commits[0].summary, &*commits[0].body), ("S", "B"));
        assert_eq!(commits[0].author.offset_minutes, -90);
        assert_eq!(commits[0].parents, ["p"]);
        for bad in [
            "id missing\n".to_owned(),
            batch.replace("commit 7", "commit 8"),
            batch.replace(" commit ", " blob "),
            batch.replace("author", "writer"),
            batch[..batch.len() - 1].to_owned(),
        ] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
