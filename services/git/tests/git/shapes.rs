//! Repositories of many shapes, each made by a few lines of shell.

use std::path::PathBuf;
use std::process::Command;

use crate::area::Area;

/// A repository of one shape.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub name: &'static str,
    /// The script that makes it, in an empty folder; [`PREAMBLE`] has the functions.
    script: &'static str,
    /// The folder in which effects work, from where the script ran.
    folder: &'static str,
    /// Revisions whose commits are listed, besides HEAD.
    pub revisions: &'static [&'static str],
    /// Effects that refuse with `unsupported` where git answers, and words of the message.
    pub refuses: &'static [(&'static str, &'static str)],
}

const fn shape(name: &'static str, script: &'static str) -> Shape {
    Shape {
        name,
        script,
        folder: ".",
        revisions: &[],
        refuses: &[],
    }
}

impl Shape {
    const fn at(self, folder: &'static str) -> Self {
        Self { folder, ..self }
    }

    const fn with(self, revisions: &'static [&'static str]) -> Self {
        Self { revisions, ..self }
    }

    const fn refusing(self, refuses: &'static [(&'static str, &'static str)]) -> Self {
        Self { refuses, ..self }
    }

    /// Makes it; the folder in which effects work, or `None` if this machine's git cannot make it.
    pub fn make(&self, area: &Area) -> Option<PathBuf> {
        /// Exit code: git is too old.
        const TOO_OLD: i32 = 77;
        let at = area.root.join("r");
        std::fs::create_dir(&at).unwrap();
        let output = Command::new("sh")
            .args(["-euc", &format!("{PREAMBLE}\n{}", self.script)])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs(ENVIRONMENT.iter().copied())
            .current_dir(&at)
            .output()
            .unwrap();
        if output.status.code() == Some(TOO_OLD) {
            return None;
        }
        assert!(output.status.success(), "{}: {output:?}", self.name);
        Some(at.join(self.folder).canonicalize().unwrap())
    }
}

const ENVIRONMENT: &[(&str, &str)] = &[
    ("HOME", "/nonexistent"),
    ("LC_ALL", "C"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_AUTHOR_NAME", "Ada"),
    ("GIT_AUTHOR_EMAIL", "ada@example.com"),
    ("GIT_COMMITTER_NAME", "Bob"),
    ("GIT_COMMITTER_EMAIL", "bob@example.com"),
    ("GIT_AUTHOR_DATE", "1700000000 +0130"),
    ("GIT_COMMITTER_DATE", "1700000000 +0130"),
    ("GIT_EDITOR", "true"),
    ("GIT_CONFIG_COUNT", "3"),
    ("GIT_CONFIG_KEY_0", "protocol.file.allow"),
    ("GIT_CONFIG_VALUE_0", "always"),
    ("GIT_CONFIG_KEY_1", "gc.auto"),
    ("GIT_CONFIG_VALUE_1", "0"),
    ("GIT_CONFIG_KEY_2", "advice.detachedHead"),
    ("GIT_CONFIG_VALUE_2", "false"),
];

/// `init` and `base` make repositories, `c MESSAGE` commits what is staged and `ca MESSAGE` what has
/// changed, `changes` makes changes of every kind, `conflict COMMAND` runs a command that stops at a conflict.
const PREAMBLE: &str = r#"
now=1700000000
exec >/dev/null
tick() { now=$((now + 60)); GIT_AUTHOR_DATE="$now +0130"; GIT_COMMITTER_DATE="$GIT_AUTHOR_DATE"; export GIT_AUTHOR_DATE GIT_COMMITTER_DATE; }
c() { tick; git commit -q -m "$1"; }
ca() { git add -A; c "$1"; }
init() { git init -q -b main "$@"; }
base() {
    init "$@"
    printf 'one\ntwo\nthree\n' >file; mkdir sub; printf 'deep\n' >sub/deep; printf 'x\ny\nz\n' >other
    ca First; printf 'one\ntwo\nfour\n' >file; ca Second
}
conflict() { if "$@" 2>/dev/null; then exit 9; fi; }
fork() { git checkout -q -b "$1" "${2:-HEAD}"; }
# The changes of every kind between HEAD, the index and the working tree.
changes() {
    seq 1 30 >long; seq 1 20 >gone; seq 1 10 >cached; printf 'a\0b' >binary; printf 'open' >open
    for name in mm md dm; do echo $name >$name; done; ca Files
    git mv long longer; git rm -q gone; git rm -q --cached cached; echo 3 >>mm; echo 3 >>md; git add mm md
    echo 4 >>mm; rm md dm; printf 'a\0c' >binary; printf 'open too' >open; git add open
    echo added >am; echo added >ad; git add am ad; echo more >>am; rm ad
    mkdir new; echo u >new/untracked; echo u >untracked; echo 5 >>file
}
kind() { git init -q -b main "$@" 2>/dev/null || exit 77; }
"#;

pub const SHAPES: &[Shape] = &[
    // HEAD
    shape("empty", "init"),
    shape("unborn, with files", "init; echo a >a; git add a; echo b >>a; echo b >b"),
    shape("unborn beside others", "base; git checkout -q --orphan new").with(&["main"]),
    shape("one commit", "init; echo a >a; ca One").with(&["HEAD~1", "nothing", "main"]),
    shape("clean", "base").with(&["HEAD~1", "HEAD^{tree}", "HEAD^0", "@", "main@{1}", "HEAD:file"]),
    shape("in a folder below", "base; echo x >>sub/deep; echo n >sub/new; echo x >>file").at("sub"),
    shape("detached", "base; git checkout -q HEAD~1").with(&["main"]),
    shape("detached at a tag", "base; git tag -a -m T v1; git checkout -q v1; echo x >>file"),
    shape("names of branches", "base; git branch a/b/c; git branch HEAD-x; git branch 'é'; fork 'x@y'")
        .with(&["a/b/c", "heads/a/b/c", "refs/heads/é", "x@y"]),
    shape("a branch and a tag of one name", "base; git tag same HEAD~1; fork same").with(&["same"]),
    // Changes
    shape("every kind of change", "base; changes"),
    shape("every kind of change, below", "base; changes").at("new"),
    shape("renamed and edited", "base; seq 1 50 >a; seq 60 99 >b; ca Two; git mv a c; git mv b sub/b; seq 1 52 >c; git add c; echo 9 >>sub/b"),
    shape("names swapped", "base; seq 1 50 >a; seq 60 99 >b; ca Two; git mv a t; git mv b a; git mv t b"),
    shape("renamed without git", "base; seq 1 50 >a; ca Two; mv a b; mv file moved; git add moved"),
    shape("copied", "base; seq 1 50 >a; ca Two; cp a b; echo x >>a; git add b a"),
    shape("a folder renamed", "base; seq 1 50 >sub/a; seq 2 40 >sub/b; ca Two; git mv sub sup; ca Moved; git mv sup sub").with(&["HEAD~1"]),
    shape("modes", "base; chmod +x file; git add file; chmod +x other; echo x >>sub/deep; chmod +x sub/deep"),
    shape("modes do not count", "base; git config core.fileMode false; chmod +x file; echo x >>other; chmod +x other"),
    shape("links", "base; ln -s file link; ln -s sub folder; ln -s nowhere broken; ca Links; ln -sf other link; rm broken; rm file; ln -s other file; git add link; ln -s x new"),
    shape("links do not count", "base; ln -s file link; ca Link; git config core.symlinks false; rm link; printf file >link; echo x >>other"),
    shape("a file becomes a folder and the other way round", "base; rm file; mkdir file; echo x >file/in; rm -r sub; echo x >sub"),
    shape("a file became a folder, staged", "base; rm file; mkdir file; echo x >file/in; rm -r sub; echo x >sub; git add -A"),
    shape("intent to add", "base; echo new >new; git add -N new; : >empty; git add -N empty"),
    shape("empty files", "base; : >empty; : >emptied; echo x >emptied; ca Empty; : >emptied; echo x >empty; : >new; git add new; rm other; : >other"),
    shape("binary files", "base; printf 'a\\0b' >b; { yes text | head -c 9000; printf '\\0'; } >late; ca Binary; printf 'a\\0c' >b; { yes text | head -c 9000; printf '\\0\\0'; } >late; printf '\\0' >new; git add new"),
    shape("attributes of diffs", "base; printf '*.bin -diff\\n*.txt diff\\n*.dat binary\\n' >.gitattributes; echo a >a.bin; printf 'a\\0' >a.txt; echo a >a.dat; ca A; echo b >a.bin; printf 'b\\0' >a.txt; echo b >a.dat"),
    shape("functions in hunks", "base; echo '*.c diff=cpp' >.gitattributes; { echo 'int main(void) {'; seq 1 20; echo '}'; } >a.c; { echo '  indented'; seq 1 20; } >t; ca A; sed -i 's/^15$/x/' a.c t"),
    shape("a driver of one's own", "base; echo '*.x diff=x' >.gitattributes; git config diff.x.xfuncname '^(chapter .*)$'; { echo 'chapter 1'; seq 1 20; } >a.x; ca A; sed -i 's/^15$/x/' a.x"),
    shape("long lines", "base; head -c 300000 /dev/zero | tr '\\0' a >long; echo >>long; ca Long; head -c 300000 /dev/zero | tr '\\0' b >long"),
    shape("white space", "base; printf 'a  b\\n\\tc \\n\\n\\n' >w; ca W; printf 'a b\\n    c\\n\\n' >w"),
    shape("ends of lines, mixed", "base; printf 'a\\r\\nb\\nc\\r' >m; printf 'no end' >n; ca M; printf 'a\\nb\\r\\nc' >m; printf 'no end\\n' >n"),
    shape("many files", "base; mkdir many; (cd many; seq 1 600 | xargs touch); ca Many; (cd many; seq 1 300 | xargs rm; seq 601 700 | xargs touch)"),
    shape("deep folders", "base; d=.; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do d=$d/d; done; mkdir -p $d; echo x >$d/x; ca Deep; echo y >>$d/x; echo n >$d/n"),
    // Names
    shape("names that are no UTF-8", "base; printf x >\"$(printf 'b\\377d')\"; ca Bad; printf y >\"$(printf 'b\\377d')\"; printf x >\"$(printf 'n\\376w')\""),
    shape("odd names", "base; for n in 'a b' 'a\"b' 'a\\b' 'it'\\''s' -x ' lead' 'trail ' 'é' '😀' '*' '[a]' ':x' '#c' '!n' \"$(printf 'new\\nline')\" \"$(printf 'tab\\tx')\"; do echo x >\"./$n\"; done; ca Odd; for n in 'a b' 'a\"b' 'a\\b' 'é' \"$(printf 'new\\nline')\" \"$(printf 'tab\\tx')\" -x; do echo y >>\"./$n\"; done; git mv -- '😀' 'ü'; echo x >' new '"),
    shape("names that differ in case", "base; echo a >A; echo b >a; mkdir S s; echo a >S/x; echo b >s/x; ca Case; echo c >A; rm s/x"),
    shape("case does not count", "base; git config core.ignoreCase true; echo y >>other; echo x >New"),
    // Ignored, left out
    shape("ignored files", "base; printf '*.o\\n/build/\\n!keep.o\\n' >.gitignore; printf '*\\n!.gitignore\\n' >sub/.gitignore; ca Ignore; mkdir build x; touch a.o keep.o build/a x/a.o sub/z; echo x >>sub/deep; git rm -q --cached other; echo other >.git/info/exclude"),
    shape("a tracked file that is ignored", "base; echo file >.gitignore; ca Ignore; echo x >>file; mkdir d; echo '*' >d/.gitignore; mkdir e; touch e/x.o; echo '*.o' >>.gitignore"),
    shape("a list of excluded files", "base; printf 'u*\\n' >sub/list; git config core.excludesFile \"$PWD/sub/list\"; touch u1 v1; printf '*.t -diff\\n' >sub/attributes; git config core.attributesFile \"$PWD/sub/attributes\"; echo a >a.t; ca T; echo b >a.t"),
    shape("empty folders", "base; mkdir -p e/e/e f; mkdir g; touch g/x"),
    shape("sparse, by folders", "base; mkdir a b; echo a >a/a; echo b >b/b; ca AB; git sparse-checkout set --cone a; echo x >>a/a"),
    shape("sparse, by patterns", "base; mkdir a b; echo a >a/a; echo b >b/b; ca AB; git sparse-checkout set --no-cone '/a/' '/file'; echo x >>a/a; mkdir -p b; echo new >b/new"),
    shape("a sparse index", "base; mkdir -p a b/c; echo a >a/a; echo b >b/c/b; ca AB; git sparse-checkout set --cone --sparse-index a; echo x >>a/a; echo n >n"),
    shape("a split index", "base; git update-index --split-index; echo n >n; git add n; echo x >>file"),
    shape("an untracked cache", "base; git config core.untrackedCache true; git update-index --untracked-cache; mkdir u; touch u/x; git status; touch u/y v"),
    shape("an index of version 4", "base; git update-index --index-version 4; echo n >n; git add n; echo x >>file"),
    shape("marked as unchanged", "base; git update-index --assume-unchanged file; git update-index --skip-worktree other sub/deep; echo x >>file; echo x >>other; rm sub/deep"),
    // Conversions
    shape("ends of lines by attributes", "base; printf '*.t text eol=crlf\\n*.b -text\\n*.a text=auto\\n' >.gitattributes; printf 'a\\r\\nb\\r\\n' >x.t; printf 'a\\r\\n' >x.b; printf 'a\\nb\\n' >x.a; ca Ends; printf 'a\\r\\nc\\r\\n' >x.t; printf 'a\\n' >x.b; printf 'a\\r\\nb\\r\\n' >x.a"),
    shape("autocrlf", "base; git config core.autocrlf true; rm file; git checkout -q file; touch file; printf 'one\\r\\nx\\r\\n' >other; printf 'a\\r\\n' >n; git add n 2>/dev/null"),
    shape("autocrlf on the way in", "base; git config core.autocrlf input; printf 'one\\r\\ntwo\\r\\nfour\\r\\n' >file; printf 'x\\r\\n' >other"),
    shape("ident", "base; printf '*.i ident\\n' >.gitattributes; printf '$Id$\\n' >a.i; ca Ident; rm a.i; git checkout -q a.i; echo x >>a.i"),
    shape("another encoding", "base; echo '*.u working-tree-encoding=UTF-16LE-BOM' >.gitattributes; printf '\\377\\376h\\0i\\0\\n\\0' >a.u; ca U; printf '\\377\\376h\\0o\\0\\n\\0' >a.u")
        .refusing(&[("status", "working-tree-encoding"), ("get_dirty_files", "working-tree-encoding"), ("diff", "working-tree-encoding")]),
    shape("pointers of Git LFS", "base; printf '*.l filter=lfs diff=lfs merge=lfs -text\\n' >.gitattributes; printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%064d\\nsize 1\\n' 1 >a.l; ca L; printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%064d\\nsize 2\\n' 2 >a.l"),
    // Work under way
    shape("a merge under way", "base; fork topic HEAD~1; echo t >t; ca Topic; git checkout -q main; git merge -q --no-ff --no-commit topic").with(&["topic"]),
    shape("a merge stopped", "base; fork topic HEAD~1; echo t >file; echo t >t; ca Topic; git checkout -q main; conflict git merge -q topic").with(&["topic", "MERGE_HEAD"]),
    shape("added on both sides", "base; fork topic; echo t >t; ca Topic; git checkout -q main; echo u >t; ca Main; conflict git merge -q topic"),
    shape("deleted on one side", "base; fork topic; git rm -q file; echo o >>other; ca Topic; git checkout -q main; echo m >>file; git rm -q other; ca Main; conflict git merge -q topic"),
    shape("renamed on both sides", "base; seq 1 50 >r; ca R; fork topic; git mv r r1; ca Topic; git checkout -q main; git mv r r2; ca Main; conflict git merge -q topic"),
    shape("a file against a folder", "base; fork topic; echo d >d; ca Topic; git checkout -q main; mkdir d; echo d >d/d; ca Main; conflict git merge -q topic"),
    shape("a conflict of binary files", "base; printf 'a\\0' >b; ca B; fork topic; printf 'b\\0' >b; ca Topic; git checkout -q main; printf 'c\\0' >b; ca Main; conflict git merge -q topic"),
    shape("a conflict of modes and links", "base; echo m >m; ca M; fork topic; rm m; ln -s file m; ca Topic; git checkout -q main; echo n >m; ca Main; conflict git merge -q topic"),
    shape("a conflict resolved", "base; fork topic HEAD~1; echo t >file; ca Topic; git checkout -q main; conflict git merge -q topic; echo r >file; git add file; echo more >>file"),
    shape("a rebase stopped", "base; fork topic HEAD~1; echo t >file; ca Topic; conflict git rebase -q main").with(&["main", "topic"]),
    shape("a rebase to edit", "base; GIT_SEQUENCE_EDITOR='sed -i s/^pick/edit/' git rebase -q -i HEAD~1 2>/dev/null; echo e >>file"),
    shape("a pick stopped", "base; fork topic HEAD~1; echo t >file; ca Topic; git checkout -q main; conflict git cherry-pick topic"),
    shape("a revert stopped", "base; echo 3 >file; ca Third; conflict git revert --no-edit HEAD~1"),
    shape("a bisection", "base; for i in 1 2 3 4; do echo $i >file; ca $i; done; git bisect start HEAD HEAD~4"),
    shape("stashes", "base; echo 1 >>file; tick; git stash -q; echo 2 >>file; echo u >u; tick; git stash push -q -u -m 'With untracked'; echo 3 >>other; git add other; tick; git stash push -q -m 'é, staged'; echo 4 >>file").with(&["stash", "stash@{1}", "refs/stash"]),
    shape("a stash that was dropped", "base; echo 1 >>file; tick; git stash -q; echo 2 >>file; tick; git stash -q; git stash drop -q 'stash@{1}'"),
    // History
    shape("a long history", "init; { for i in $(seq 1 400); do printf 'commit refs/heads/main\\ncommitter B <b@c> %d +0000\\ndata 2\\n%02d\\nM 100644 inline f%d\\ndata 2\\n%02d\\n' $((1700000000 + i)) $((i % 100)) $((i % 7)) $((i % 100)); done; } | git fast-import --quiet; git reset -q --hard").with(&["HEAD~300"]),
    shape("merges of two and of many", "base; for b in a b c; do git checkout -q -b $b HEAD~1 2>/dev/null || git checkout -q -b $b; echo $b >$b; ca $b; git checkout -q main; echo m$b >m$b; ca m$b; done; tick; git merge -q --no-edit a; tick; git merge -q --no-edit b c").with(&["HEAD^2", "HEAD^3", "HEAD~2", "a"]),
    shape("several roots", "base; git checkout -q --orphan two; git rm -rfq .; echo 2 >two; ca Two; git checkout -q main; tick; git merge -q --no-edit --allow-unrelated-histories two").with(&["two"]),
    shape("commits of one second and of the past", "base; for i in 1 2 3; do git commit -q --allow-empty -m same$i; done; for d in '100000000 +0000' '1800000000 -1200'; do GIT_COMMITTER_DATE=$d GIT_AUTHOR_DATE=$d git commit -q --allow-empty -m \"$d\"; done"),
    shape("times and zones", "base; for d in '0 +0000' '1 -0030' '4102444800 +1400' '1700000000 +1245' '1700000000 -0001'; do GIT_COMMITTER_DATE=\"@$d\" GIT_AUTHOR_DATE=\"@$d\" git commit -q --allow-empty -m \"$d\"; done"),
    shape("messages", "base; git commit -q --allow-empty -m 'One line
of two' -m 'Body

more' -m 'Co-authored-by: C <c@d>
Signed-off-by: D <d@e>'; printf '\\n\\n  lead\\n\\n\\nbody\\r\\nend  \\n\\n' | git commit -q --allow-empty --cleanup=verbatim -F -; printf 'no end' | git commit -q --allow-empty --cleanup=verbatim -F -"),
    shape("an empty message", "base; git commit -q --allow-empty --allow-empty-message -m ''; git commit -q --allow-empty --cleanup=verbatim --allow-empty-message -m '
'"),
    shape("messages in other encodings", "base; printf 'caf\\351 \\374\\n\\nd\\351j\\340 vu\\n' >.git/m; git -c i18n.commitEncoding=ISO-8859-1 commit -q --allow-empty -F .git/m; printf 'b\\377d\\n' >.git/m; git commit -q --allow-empty -F .git/m 2>/dev/null; git commit -q --allow-empty -m 'déjà 😀'"),
    shape("people", "base; GIT_AUTHOR_NAME=' Ä é,;. ' GIT_AUTHOR_EMAIL='a b@c' git commit -q --allow-empty -m people; GIT_AUTHOR_NAME='\"Q\" (x)' GIT_AUTHOR_EMAIL= git commit -q --allow-empty -m mail; echo 'Other <other@example.com> <ada@example.com>' >.mailmap"),
    shape("headers", "base; printf 'tree %s\\nparent %s\\nauthor A <a@b> 1700000000 +0100\\ncommitter C <c@d> 1700000100 +0100\\ngpgsig -----BEGIN\\n \\n x\\n -----END\\nodd header\\n\\nSigned\\n' $(git rev-parse HEAD^{tree} HEAD) | git hash-object -t commit -w --stdin --literally >.git/id; git reset -q --hard $(cat .git/id)"),
    shape("shallow", "(init src; cd src; for i in 1 2 3 4; do echo $i >f; ca $i; done); git clone -q --depth 2 \"file://$PWD/src\" clone").at("clone"),
    shape("a worktree of a shallow one", "(init src; cd src; for i in 1 2 3 4; do echo $i >f; ca $i; done); git clone -q --depth 2 \"file://$PWD/src\" clone; git -C clone worktree add -q ../wt -b wt").at("wt"),
    shape("a commit that replaces another", "base; git commit -q --allow-empty -m third; git replace HEAD~1 HEAD~2; echo x >>file"),
    shape("packed references", "base; git tag light; git tag -a -m A annotated; git branch b; git pack-refs --all; fork c; echo c >c; ca C; git update-ref refs/heads/b HEAD").with(&["b", "light", "annotated"]),
    shape("tags", "base; git tag light HEAD~1; git tag -a -m A annotated HEAD~1; git tag -a -m N nested annotated; git tag blob HEAD:file; git tag -a -m T tree HEAD^{tree}; for i in $(seq 1 40); do git update-ref refs/tags/t$i HEAD; done").with(&["light", "annotated", "nested", "nested^{}", "tags/light", "blob", "tree"]),
    shape("notes", "base; git notes add -m Note; git notes --ref=other add -m Other HEAD~1").with(&["notes/commits", "refs/notes/other"]),
    shape("packed, with graphs and bitmaps", "base; for i in 1 2 3; do echo $i >>file; ca $i; done; git repack -q -adb; git commit-graph write --reachable --no-progress; git multi-pack-index write --no-progress; git prune-packed; echo x >>file").with(&["HEAD~3"]),
    // Several repositories
    shape("bare", "mkdir src; (cd src; base; git branch b HEAD~1); git clone -q --bare src bare.git").at("bare.git").with(&["b"]),
    shape("bare and empty", "git init -q --bare -b main"),
    shape("a linked worktree", "mkdir m; cd m; base; git worktree add -q ../wt -b wt; cd ../wt; echo x >>file; echo n >n").at("wt").with(&["main"]),
    shape("beside linked worktrees", "mkdir m; cd m; base; git worktree add -q ../w1 -b w1; git worktree add -q --detach ../w2; git worktree lock --reason 'on a stick' ../w1; git worktree lock ../w2; git worktree add -q ../w3 -b w3; rm -r ../w3").at("m").with(&["w1", "worktrees/w2/HEAD"]),
    shape("a worktree of a bare one", "mkdir src; (cd src; base); git clone -q --bare src b.git; git -C b.git worktree add -q ../wt main; echo x >>wt/file").at("wt"),
    shape("settings of worktrees", "mkdir m; cd m; base; git config extensions.worktreeConfig true; git worktree add -q ../wt -b wt; cd ../wt; git config --worktree core.fileMode false; chmod +x file; echo x >>other").at("wt"),
    shape("the git folder elsewhere", "mkdir g w; cd w; base --separate-git-dir ../g/git; echo x >>file; echo n >n").at("w"),
    shape("the working tree elsewhere", "mkdir m w; cd m; base; mv file other sub ../w; git config core.worktree ../../w; echo x >>../w/file").at("m"),
    shape("borrowed objects", "mkdir src; (cd src; base); git clone -q -s src clone; cd clone; echo c >c; ca C; echo x >>file").at("clone"),
    shape("a partial clone", "mkdir src; (cd src; base; git config uploadpack.allowFilter true); git clone -q --filter=blob:none \"file://$PWD/src\" clone; cd clone; echo x >>file").at("clone").refusing(&[("diff", "missing")]),
    shape("ahead and behind", "mkdir src; (cd src; base); git clone -q src clone; (cd src; echo s >s; ca S; echo t >t; ca T); cd clone; echo c >c; ca C; git fetch -q").at("clone").with(&["origin/main", "@{u}", "origin"]),
    shape("an upstream that is gone", "mkdir src; (cd src; base; git branch b); git clone -q src clone; cd clone; git checkout -q b; git update-ref -d refs/remotes/origin/b").at("clone"),
    shape("an upstream here", "base; git branch up HEAD~1; git branch -q -u up"),
    shape("an upstream by another name", "base; git remote add o x; git config remote.o.fetch '+refs/heads/*:refs/remotes/else/*'; git update-ref refs/remotes/else/topic HEAD~1; git config branch.main.remote o; git config branch.main.merge refs/heads/topic"),
    shape("remotes", "base; git remote add origin https://example.com/r.git; git remote add b git@example.com:r.git; git remote set-url --push b https://push.example.com/r; git remote add 'o.d/d' ../x; git config url.https://new.example.com/.insteadOf https://old/; git remote add c https://old/r; git remote set-url --add c https://second.example.com/r; git update-ref refs/remotes/origin/dev HEAD; git symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/dev"),
    shape("a submodule", "mkdir s m; (cd s; base); cd m; base; git submodule -q add ../s s 2>/dev/null; ca Sub").at("m"),
    shape("a submodule that moved on", "mkdir s m; (cd s; base); cd m; base; git submodule -q add ../s s 2>/dev/null; ca Sub; cd s; echo x >>file; ca More").at("m"),
    shape("a submodule with changes", "mkdir s m; (cd s; base); cd m; base; git submodule -q add ../s s 2>/dev/null; git submodule -q add ../s t 2>/dev/null; ca Sub; echo x >>s/file; (cd t; echo y >>file; ca More; echo z >>file)").at("m"),
    shape("a submodule that is not checked out", "mkdir s m; (cd s; base); cd m; base; git submodule -q add ../s s 2>/dev/null; ca Sub; cd ..; git clone -q m clone; echo x >>clone/file").at("clone"),
    shape("submodules added, moved and removed", "mkdir s m; (cd s; base); cd m; base; for n in a b; do git submodule -q add ../s $n 2>/dev/null; done; ca Sub; (cd b; echo x >>file; ca More); git add b; git rm -q a; (cd ../s; echo s >>file; ca Other); git submodule -q add ../s c 2>/dev/null").at("m"),
    shape("repositories within", "base; mkdir n e; (cd n; base); rmdir e; git add n 2>/dev/null; mkdir u; (cd u; base)"),
    // What libgit2 does not know
    shape("sha256", "kind --object-format=sha256; printf 'one\\n' >file; ca First; echo two >>file; ca Second; git tag -a -m A v1; echo 1 >>file; tick; git stash -q; echo 3 >>file; echo n >n").with(&["HEAD~1", "v1", "stash"]),
    shape("sha256, a branch without commits", "kind --object-format=sha256; echo a >a; git add a; echo b >>a"),
    shape("sha256, bare", "mkdir src; (cd src; kind --object-format=sha256; echo a >a; ca A; echo b >a; ca B); git clone -q --bare src b.git").at("b.git").with(&["HEAD~1"]),
    shape("reftable", "kind --ref-format=reftable; echo one >file; ca First; echo two >>file; ca Second; git tag -a -m A v1; git branch b HEAD~1; echo 1 >>file; tick; git stash -q; echo 3 >>file; git remote add origin https://example.com/r.git; git config branch.main.remote .; git config branch.main.merge refs/heads/b").with(&["HEAD~1", "v1", "b", "stash"]),
    shape("reftable, detached", "kind --ref-format=reftable; echo one >file; ca First; git checkout -q HEAD^0"),
    shape("reftable, a linked worktree", "mkdir m; cd m; kind --ref-format=reftable; echo one >file; ca First; git worktree add -q ../wt -b wt; git worktree add -q --detach ../w2; cd ../wt; echo x >>file").at("wt"),
    shape("reftable and sha256", "kind --ref-format=reftable --object-format=sha256; echo one >file; ca First; fork topic; echo t >file; ca Topic; git checkout -q main; echo m >file; ca Main; conflict git merge -q topic").with(&["topic", "main@{1}"]),
    shape("reftable, sparse", "kind --ref-format=reftable; mkdir a b; echo a >a/a; echo b >b/b; ca AB; git sparse-checkout set --cone a; echo '*.t -diff' >.git/info/attributes; echo u >.git/info/exclude; touch u v; echo x >>a/a"),
    shape("sha256, a submodule", "mkdir s m; (cd s; kind --object-format=sha256; echo s >s; ca S); cd m; kind --object-format=sha256; echo m >m; ca M; git submodule -q add ../s s 2>/dev/null; ca Sub").at("m")
        .refusing(&[("status", "submodule"), ("get_dirty_files", "submodule"), ("diff", "submodule")]),
];
