//! One suite over repositories of many [shapes](crate::shapes) and every effect that reads: an answer is
//! what git's own commands say, or a refusal in the host's own words.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use exomonad_core::{CallContext, GitService};
use exomonad_schema::effects::git::*;
use exomonad_schema::{Base64, EffectError, ErrorCode};

use crate::area::*;
use crate::porcelain;
use crate::shapes::{SHAPES, Shape};
use crate::target::{self, host_only};

/// Number of commits that are asked for.
const COMMITS: usize = 5;

/// The differences found in one shape.
struct Comparison<'s> {
    shape: &'s Shape,
    differences: Vec<String>,
}

impl Comparison<'_> {
    /// Holds an answer against git's; without one of git's, a refusal is expected.
    fn hold<T: Debug + PartialEq>(
        &mut self,
        effect: &str,
        ours: Result<T, EffectError>,
        theirs: Option<T>,
    ) {
        let is_refusal = |error: &EffectError| {
            let refuses = self.shape.refuses.iter();
            refuses.into_iter().any(|(refused, words)| {
                effect.split(' ').next() == Some(refused)
                    && error.code == ErrorCode::Unsupported
                    && error.message.contains(words)
                    && !error.message.contains("git says")
            })
        };
        let name = self.shape.name;
        match (ours, theirs) {
            (Ok(ours), Some(theirs)) if ours == theirs => {}
            (Err(error), Some(_)) if target::IS_HOST && is_refusal(&error) => {}
            // The container's git is older than the one that made the repository.
            (Err(error), Some(_)) if !target::IS_HOST && error.message.contains("2.45") => {}
            (Err(error), None) if error.code != ErrorCode::Internal => {}
            (Ok(ours), Some(theirs)) => self.differences.push(format!(
                "{name}: {effect}:\n{}",
                lines_that_differ(&format!("{ours:#?}"), &format!("{theirs:#?}"))
            )),
            (ours, theirs) => {
                let ours = ours.map(|ours| format!("{ours:?}"));
                let theirs = theirs.map(|theirs| format!("{theirs:?}"));
                self.differences.push(format!(
                    "{name}: {effect}:\n  ours   {ours:.500?}\n  git's  {theirs:.500?}"
                ));
            }
        }
    }
}

/// The first lines of two texts that are not in both.
fn lines_that_differ(ours: &str, theirs: &str) -> String {
    let split = |text: &str| -> Vec<String> {
        let text = text.replace("\\n", "\n");
        text.lines().map(str::to_owned).collect()
    };
    let (ours, theirs) = (split(ours), split(theirs));
    let only = |name: &str, these: &[String], others: &[String]| -> String {
        let lines = these.iter().filter(|line| !others.contains(line)).take(6);
        lines
            .map(|line| format!("  {name}  {line:.200}\n"))
            .collect()
    };
    only("ours ", &ours, &theirs) + &only("git's", &theirs, &ours)
}

/// The output of a git command that succeeds.
fn output(folder: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    // Objects are what they are: the host follows no replacements.
    let output = try_git(folder, [&["--no-replace-objects"], arguments].concat());
    output.status.success().then_some(output.stdout)
}

fn line(folder: &Path, arguments: &[&str]) -> Option<String> {
    let text = text(&output(folder, arguments)?);
    Some(text.trim_end_matches('\n').to_owned())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn records(bytes: &[u8]) -> Vec<&[u8]> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    match bytes {
        b"" => Vec::new(),
        _ => bytes.split(|byte| *byte == 0).collect(),
    }
}

fn short(reference: &str) -> String {
    ["refs/heads/", "refs/remotes/"]
        .iter()
        .find_map(|folder| reference.strip_prefix(folder))
        .unwrap_or(reference)
        .to_owned()
}

fn head(folder: &Path) -> GitBranch {
    let branch = line(folder, &["symbolic-ref", "-q", "HEAD"]);
    let commit = line(folder, &["rev-parse", "--verify", "-q", "HEAD"]);
    GitBranch {
        head: match (&branch, &commit) {
            (None, _) => GitHead::Detached,
            (Some(_), Some(_)) => GitHead::Branch,
            (Some(_), None) => GitHead::Unborn,
        },
        branch: branch.as_deref().map(short),
        commit,
    }
}

/// All worktrees with a working tree, the main one first.
fn worktrees(folder: &Path) -> Vec<GitWorktree> {
    let listed = output(folder, &["worktree", "list", "--porcelain", "-z"]).unwrap();
    let mut worktrees = Vec::new();
    for (number, lines) in text(&listed).split("\0\0").enumerate() {
        let mut worktree = GitWorktree {
            path: String::new(),
            name: None,
            is_main: number == 0,
            locked: None,
            branch: None,
        };
        let mut is_bare = false;
        for line in lines.split('\0') {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            match key {
                "worktree" => worktree.path = value.to_owned(),
                "branch" => worktree.branch = Some(short(value)),
                "locked" => worktree.locked = Some(value.to_owned()),
                "bare" => is_bare = true,
                _ => {}
            }
        }
        if worktree.path.is_empty() || is_bare {
            continue;
        }
        if number > 0 {
            // Named after its folder at first.
            let name = Path::new(&worktree.path).file_name().unwrap();
            worktree.name = Some(name.to_string_lossy().into_owned());
        }
        worktrees.push(worktree);
    }
    worktrees
}

fn repository(folder: &Path) -> Option<GitRepository> {
    let absolute = |name| line(folder, &["rev-parse", "--path-format=absolute", name]);
    let git_dir = absolute("--git-common-dir")?;
    let head = head(folder);
    let worktrees = worktrees(folder);
    let main = worktrees.iter().find(|worktree| worktree.is_main);
    let mut work_dir = main.map(|main| main.path.clone());
    if absolute("--git-dir")? == git_dir {
        // A list of worktrees has the git folder, or the one above it, where the working tree is elsewhere.
        work_dir = absolute("--show-toplevel");
    }
    let references = output(folder, &["for-each-ref", "--count=1"])?;
    let list = [
        "--no-literal-pathspecs",
        "ls-files",
        "--full-name",
        "--stage",
        "-z",
    ];
    let staged = output(folder, &[&list[..], &[":/"]].concat()).unwrap_or_default();
    let submodules = records(&staged).into_iter().filter_map(|entry| {
        let path = entry.strip_prefix(b"160000 ")?;
        Some(text(path.splitn(2, |byte| *byte == b'\t').nth(1)?))
    });
    let remotes = line(folder, &["remote"])?;
    let remotes = remotes.lines().map(|name| {
        let url = line(folder, &["remote", "get-url", "--", name]).unwrap_or_default();
        GitRemote {
            name: name.to_owned(),
            // A user's name goes with the credentials.
            url: url.strip_prefix("git@").unwrap_or(&url).to_owned(),
        }
    });
    let origin = line(folder, &["symbolic-ref", "-q", "refs/remotes/origin/HEAD"]);
    let mut repository = GitRepository {
        git_dir,
        is_bare: work_dir.is_none(),
        work_dir,
        is_empty: head.commit.is_none() && references.is_empty(),
        is_shallow: line(folder, &["rev-parse", "--is-shallow-repository"])? == "true",
        head,
        default_branch: origin
            .and_then(|name| Some(name.strip_prefix("refs/remotes/origin/")?.to_owned())),
        remotes: remotes.collect(),
        worktrees,
        submodules: submodules.collect(),
    };
    if let (Some(main), Some(work_dir)) = (repository.worktrees.first_mut(), &repository.work_dir)
        && main.is_main
    {
        main.path.clone_from(work_dir);
    }
    Some(repository)
}

fn commits(folder: &Path, revision: &str) -> Option<GitCommits> {
    if revision == "HEAD" && head(folder).commit.is_none() {
        return Some(GitCommits::default());
    }
    line(
        folder,
        &[
            "rev-parse",
            "--verify",
            "-q",
            &format!("{revision}^{{commit}}"),
        ],
    )?;
    let format = "--format=%H%x01%P%x01%an%x01%ae%x01%ad%x01%cn%x01%ce%x01%cd%x01%B";
    let listed = output(
        folder,
        &[
            "log",
            "-z",
            "--no-mailmap",
            "--encoding=UTF-8",
            "--date=raw",
            &format!("-n{}", COMMITS + 1),
            format,
            revision,
            "--",
        ],
    )?;
    let mut commits: Vec<_> = records(&listed)
        .into_iter()
        .map(|record| {
            let record = text(record);
            let fields: Vec<_> = record.splitn(9, '\u{1}').collect();
            let person = |at: usize| {
                let (seconds, offset) = fields[at + 2].split_once(' ').unwrap();
                let offset: i32 = offset.parse().unwrap();
                GitPerson {
                    name: fields[at].to_owned(),
                    email: fields[at + 1].to_owned(),
                    unix_millis: seconds.parse::<i64>().unwrap() * 1000,
                    offset_minutes: offset / 100 * 60 + offset % 100,
                }
            };
            let message = fields[8].trim_start_matches('\n');
            let (summary, body) = message.split_once('\n').unwrap_or((message, ""));
            GitCommit {
                id: fields[0].to_owned(),
                summary: summary.trim_end().to_owned(),
                body: body.trim_start_matches(['\n', '\r']).trim_end().to_owned(),
                author: person(2),
                committer: person(5),
                parents: fields[1].split_whitespace().map(str::to_owned).collect(),
            }
        })
        .collect();
    let has_more = commits.len() > COMMITS;
    commits.truncate(COMMITS);
    Some(GitCommits { commits, has_more })
}

fn status(folder: &Path) -> Option<GitStatusReport> {
    let lines = output(folder, &["status", "--porcelain=v2", "--branch"])?;
    let lines = text(&lines);
    let of = |key: &str| {
        let mut lines = lines.lines();
        lines.find_map(|line| line.strip_prefix(key).map(str::to_owned))
    };
    let count = |word: &str| word[1..].parse().unwrap();
    let distance = of("# branch.ab ");
    let distance = distance.as_deref().and_then(|text| text.split_once(' '));
    let lists = porcelain::status(folder);
    Some(GitStatusReport {
        head: head(folder),
        upstream: of("# branch.upstream ").map(|name| GitUpstream {
            name: short(&name),
            ahead: distance.map(|(ahead, _)| count(ahead)),
            behind: distance.map(|(_, behind)| count(behind)),
        }),
        is_clean: lists == porcelain::Lists::default(),
        staged: lists.staged,
        unstaged: lists.unstaged,
        untracked: lists.untracked,
        conflicted: lists.conflicted,
    })
}

/// Each file once: by its change between HEAD and the index, or else the one since.
fn dirty_files(status: &GitStatusReport) -> GitDirtyFiles {
    let lists = [
        &status.conflicted,
        &status.staged,
        &status.unstaged,
        &status.untracked,
    ];
    let mut files = BTreeMap::new();
    // From the end, so that the first one counts.
    for change in lists.into_iter().flatten().rev() {
        let bytes = match &change.path_bytes {
            Some(bytes) => bytes.0.clone(),
            None => change.path.clone().into_bytes(),
        };
        files.insert(bytes, change.clone());
    }
    GitDirtyFiles {
        files: files.into_values().collect(),
    }
}

fn stashes(folder: &Path) -> Option<GitStashes> {
    if line(folder, &["rev-parse", "--verify", "-q", "refs/stash"]).is_none() {
        return Some(GitStashes::default());
    }
    // As `git stash list` does, which wants a working tree.
    let list = [
        "log",
        "-g",
        "-z",
        "--date=unix",
        "--format=%H%x01%gs%x01%gd",
    ];
    let listed = output(folder, &[&list[..], &["refs/stash", "--"]].concat())?;
    let stashes = records(&listed).into_iter().map(|record| {
        let record = text(record);
        let fields: Vec<_> = record.split('\u{1}').collect();
        let seconds = fields[2].split_once('{').unwrap().1.trim_end_matches('}');
        GitStashEntry {
            commit: fields[0].to_owned(),
            message: fields[1].to_owned(),
            unix_millis: seconds.parse::<i64>().unwrap() * 1000,
        }
    });
    Some(GitStashes {
        stashes: stashes.collect(),
    })
}

fn diff(folder: &Path, compared: &[&str]) -> Option<GitDiffReport> {
    let run = |options: &[&str]| {
        output(
            folder,
            &[&["diff", "--no-color"], options, compared, &["--"]].concat(),
        )
    };
    let mut files = BTreeMap::<Vec<u8>, DiffFile>::new();
    let listed = run(&["--raw", "--numstat", "-z", "--find-renames", "--no-abbrev"])?;
    let listed = records(&listed);
    let mut records = listed.into_iter();
    while let Some(record) = records.next() {
        if record.starts_with(b":") {
            let letter = *record.rsplit(|byte| *byte == b' ').next()?.first()?;
            let change = match letter {
                b'A' => ChangeKind::Added,
                b'D' => ChangeKind::Deleted,
                b'M' => ChangeKind::Modified,
                b'R' => ChangeKind::Renamed,
                b'T' => ChangeKind::TypeChanged,
                b'U' => ChangeKind::Conflicted,
                other => panic!("git diff says {:?}", other as char),
            };
            let mut path = records.next()?;
            let old_path = (change == ChangeKind::Renamed).then(|| text(path));
            if change == ChangeKind::Renamed {
                path = records.next()?;
            }
            let (name, path_bytes) = Base64::lossy_text(path);
            let file = DiffFile {
                path: name,
                path_bytes,
                old_path,
                change,
                is_binary: false,
                additions: 0,
                deletions: 0,
            };
            // A file with a merge conflict is listed twice.
            files.entry(path.to_vec()).or_insert(file);
            continue;
        }
        let mut fields = record.splitn(3, |byte| *byte == b'\t');
        let counts = [fields.next()?, fields.next()?].map(|count| text(count).parse::<u64>().ok());
        let path = match fields.next()? {
            b"" => {
                records.next()?;
                records.next()?
            }
            path => path,
        };
        let file = files.get_mut(path)?;
        file.is_binary = counts[0].is_none() && file.change != ChangeKind::Conflicted;
        file.additions = counts[0].unwrap_or_default();
        file.deletions = counts[1].unwrap_or_default();
    }
    let mut files: Vec<_> = files.into_values().collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Some(GitDiffReport {
        patch: without_scores(&text(&run(&["--patch"])?)),
        truncated: false,
        additions: files.iter().map(|file| file.additions).sum(),
        deletions: files.iter().map(|file| file.deletions).sum(),
        files,
    })
}

/// A patch without the percentages of renames, which libgit2 counts in another way.
fn without_scores(patch: &str) -> String {
    let lines = patch.split_inclusive('\n');
    let is_score = |line: &&str| line.starts_with("similarity index") && !line.contains("100%");
    lines.filter(|line| !is_score(line)).collect()
}

async fn compare(shape: &Shape, call: &CallContext, folder: &Path) -> Vec<String> {
    let mut comparison = Comparison {
        shape,
        differences: Vec::new(),
    };
    let git = service();
    let at = working_dir(folder);
    macro_rules! ask {
        ($method:ident, $request:expr) => {
            git.$method(call, $request.at(at.clone(), None)).await
        };
    }
    let told = ask!(get_branch, GitGetBranch::default());
    comparison.hold("get_branch", told, Some(head(folder)));

    let top = line(folder, &["rev-parse", "--show-toplevel"]);
    let info = repository(folder);
    let current = top.and_then(|top| {
        let worktrees = &info.as_ref()?.worktrees;
        worktrees.iter().find(|one| one.path == top).cloned()
    });
    let told = ask!(get_worktree, GitGetWorktree::default());
    comparison.hold("get_worktree", told, current);
    let told = ask!(repo_info, GitRepoInfo::default());
    comparison.hold("repo_info", told, info);

    let report = status(folder);
    let told = ask!(get_dirty_files, GitGetDirtyFiles::default());
    comparison.hold("get_dirty_files", told, report.as_ref().map(dirty_files));
    let told = ask!(status, GitStatus::default());
    comparison.hold("status", told, report);

    for revision in ["HEAD"].iter().chain(shape.revisions) {
        let request = GitGetRecentCommits {
            limit: (COMMITS as u64).try_into().unwrap(),
            reference: (*revision).try_into().unwrap(),
            ..GitGetRecentCommits::default()
        };
        let told = ask!(get_recent_commits, request);
        let effect = format!("get_recent_commits {revision}");
        comparison.hold(&effect, told, commits(folder, revision));
    }
    let remotes = line(folder, &["remote"]).unwrap_or_default();
    for remote in remotes.lines().chain(["nowhere"]) {
        let request = GitGetRemoteUrl {
            remote: remote.try_into().unwrap(),
            ..GitGetRemoteUrl::default()
        };
        let told = ask!(get_remote_url, request).map(|told| told.url);
        let url = line(folder, &["remote", "get-url", remote]);
        let url = url.map(|url| url.strip_prefix("git@").unwrap_or(&url).to_owned());
        comparison.hold(&format!("get_remote_url {remote}"), told, url);
    }
    let told = ask!(list_stashes, GitListStashes::default());
    comparison.hold("list_stashes", told, stashes(folder));

    // Before the first commit everything is compared with nothing.
    let empty = line(folder, &["hash-object", "-t", "tree", "/dev/null"]).unwrap();
    let is_unborn = head(folder).commit.is_none();
    let base = if is_unborn { empty.as_str() } else { "HEAD" };
    let other = shape.revisions.first().copied().unwrap_or("HEAD~1");
    let three_dots = format!("{other}...HEAD");
    for (target, compared) in [
        (DiffTarget::Unstaged, &[][..]),
        (DiffTarget::Staged, &["--cached"]),
        (DiffTarget::WorkingTree, &[base]),
        (
            DiffTarget::Against(DiffAgainst {
                reference: other.try_into().unwrap(),
            }),
            &[other],
        ),
        (
            DiffTarget::Between(DiffBetween {
                from: other.try_into().unwrap(),
                to: "HEAD".try_into().unwrap(),
                merge_base: true,
            }),
            &[&three_dots],
        ),
    ] {
        let effect = format!("diff {compared:?}");
        let request = GitDiff {
            target,
            ..GitDiff::default()
        };
        let mut told = ask!(diff, request);
        if let Ok(told) = &mut told {
            told.patch = without_scores(&told.patch);
        }
        comparison.hold(&effect, told, diff(folder, compared));
    }
    comparison.differences
}

/// Compares every `of`th shape, from the `first` on.
async fn compare_all(first: usize, of: usize) {
    let mut differences = Vec::new();
    for shape in SHAPES.iter().skip(first).step_by(of) {
        let area = Area::new();
        let Some(folder) = shape.make(&area) else {
            println!("{}: this machine's git cannot make it", shape.name);
            continue;
        };
        let started = std::time::Instant::now();
        differences.extend(compare(shape, &area.call(), &folder).await);
        println!("{}: {:?}", shape.name, started.elapsed());
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn there_are_sixty_shapes_and_more_and_each_has_a_name_of_its_own() {
    let names: std::collections::HashSet<_> = SHAPES.iter().map(|shape| shape.name).collect();
    assert_eq!(names.len(), SHAPES.len());
    assert!(names.len() >= 60);
}

#[tokio::test]
async fn every_shape_is_read_as_git_reads_it() {
    let of = if target::IS_HOST {
        4
    } else {
        target::one_of(15)
    };
    compare_all(0, of).await;
}

host_only! {
"a part of the shapes is enough there",
#[tokio::test]
async fn every_shape_is_read_as_git_reads_it_2() {
    compare_all(1, 4).await;
}
}

host_only! {
"a part of the shapes is enough there",
#[tokio::test]
async fn every_shape_is_read_as_git_reads_it_3() {
    compare_all(2, 4).await;
}
}

host_only! {
"a part of the shapes is enough there",
#[tokio::test]
async fn every_shape_is_read_as_git_reads_it_4() {
    compare_all(3, 4).await;
}
}
