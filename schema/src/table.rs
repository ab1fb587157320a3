//! The effects: the one place where an effect is declared.
//!
//! To add one: write its request and answer types in [`effects`](crate::effects),
//! add its line here, run `just gen-types`, and write the method that the compiler
//! then demands of the service. `effect_macro.rs` has the grammar.
//!
//! A capability is `service.method`: `log.write`, `git.get_branch`,
//! `github.list_issues`. Grants name capabilities, with `*` for any method:
//! `effects = ["log.*", "git.get_*"]`.

use crate::effect::{Access, EffectRequest};
use crate::effect_macro::effects;
use crate::effects::Done;
use crate::error::EffectError;

effects! {
    /// Writes to the host's log and event stream, with the role and the call attached.
    live log = Log: LogService {
        /// Writes one line to the host's log.
        Read write(Log) -> Done as "log";
        /// Publishes an event to the subscribers of the host's event stream.
        Read emit_event(EmitEvent) -> Done as "emit_event";
    }

    /// Reads and writes git repositories within the role's allowed paths; remotes are reached with the host's credentials.
    live git = Git: GitService {
        /// Reports the current branch, also if HEAD is detached or has no commit yet.
        Read get_branch(GitGetBranch) -> GitBranch as "git_get_branch";
        /// Reports the worktree that the working directory belongs to.
        Read get_worktree(GitGetWorktree) -> GitWorktree as "git_get_worktree";
        /// Lists files that differ from HEAD, untracked ones included, ignored ones not.
        Read get_dirty_files(GitGetDirtyFiles) -> GitDirtyFiles as "git_get_dirty_files";
        /// Lists commits from newest to oldest.
        Read get_recent_commits(GitGetRecentCommits) -> GitCommits as "git_get_recent_commits";
        /// Reports the branch, its distance from upstream and every change, as `git status` does.
        Read status(GitStatus) -> GitStatusReport as "git_status";
        /// Returns a unified diff of the working tree, the index or two commits.
        Read diff(GitDiff) -> GitDiffReport as "git_diff";
        /// Returns a remote's URL, without any credentials in it.
        Read get_remote_url(GitGetRemoteUrl) -> GitRemoteUrl as "git_get_remote_url";
        /// Describes the repository: location, bare or not, remotes, worktrees.
        Read repo_info(GitRepoInfo) -> GitRepository as "git_repo_info";
        /// Creates a branch, without checking it out.
        Write create_branch(GitCreateBranch) -> GitNewBranch as "git_create_branch";
        /// Checks a branch out, unless changes would be lost.
        Write switch_branch(GitSwitchBranch) -> GitBranch as "git_switch_branch";
        /// Stages changes for the next commit.
        Write stage(GitStage) -> GitStaged as "git_stage";
        /// Commits the staged changes, as the host's author. Hooks do not run.
        Write commit(GitCreateCommit) -> GitCommit as "git_create_commit";
        /// Pushes a branch to a remote, with the host's credentials.
        Write push(GitPush) -> GitPushed as "git_push";
        /// Fetches a remote's branches, with the host's credentials; merges nothing.
        Write fetch(GitFetch) -> GitFetched as "git_fetch";
        /// Adds a worktree with a branch checked out in it.
        Write add_worktree(GitAddWorktree) -> GitWorktree as "git_add_worktree";
        /// Removes a worktree and its folder; the branch stays.
        Write remove_worktree(GitRemoveWorktree) -> Done as "git_remove_worktree";
        /// Stashes the changes and makes the working tree clean.
        Write stash(GitStash) -> GitStashed as "git_stash";
        /// Restores a stash and removes it from the list.
        Write pop_stash(GitPopStash) -> GitPoppedStash as "git_pop_stash";
        /// Lists stashes, newest first.
        Read list_stashes(GitListStashes) -> GitStashes as "git_list_stashes";
        /// Creates a tag.
        Write create_tag(GitCreateTag) -> GitTag as "git_create_tag";
    }

    /// Stores JSON values under keys, separately for each role.
    live kv = Kv: KvService {
        /// Reads the value under a key.
        Read get(KvGet) -> KvEntry as "kv_get";
        /// Writes the value under a key, replacing the old one.
        Write set(KvSet) -> Done as "kv_set";
        /// Removes a key.
        Write delete(KvDelete) -> KvDeleted as "kv_delete";
        /// Lists keys in byte order.
        Read list(KvList) -> KvKeys as "kv_list";
    }

    /// Returns the time and waits.
    live clock = Clock: ClockService {
        /// Returns the time.
        Read now(ClockNow) -> ClockTime as "clock_now";
        /// Waits, without holding a thread.
        Read sleep(Sleep) -> Done as "sleep";
    }

    /// Returns cryptographically secure random bytes.
    live random = Random: RandomService {
        /// Returns random bytes from the operating system.
        Read bytes(RandomBytes) -> RandomBytesAnswer as "random_bytes";
    }

    /// Runs durable workflows: work that outlives the host's process, written as a function of effects.
    live workflow = Workflow: WorkflowService {
        /// Starts an effect that runs beside the workflow.
        Read start(WorkflowStart) -> WorkflowStarted as "workflow_start";
        /// Waits for what was started, for signals, or for a time.
        Read wait(WorkflowWait) -> WorkflowArrivals as "workflow_wait";
        /// Stops a step, a timer or a child run.
        Read cancel(WorkflowCancel) -> Done as "workflow_cancel";
        /// Waits for a time that may be long.
        Read sleep(WorkflowSleep) -> Done as "workflow_sleep";
        /// Starts a run of another workflow of the role.
        Write start_child(WorkflowStartChild) -> WorkflowChild as "workflow_start_child";
        /// Sends a signal to the open run of a workflow of the role.
        Write signal(WorkflowSignal) -> Done as "workflow_signal";
        /// Publishes the state of the run.
        Write set_state(WorkflowSetState) -> Done as "workflow_set_state";
        /// Tells if a change of the workflow's code applies to this run.
        Read patched(WorkflowPatched) -> WorkflowPatch as "workflow_patched";
        /// Describes the run itself.
        Read info(WorkflowInfo) -> WorkflowRunInfo as "workflow_info";
        /// Describes the newest run of a workflow of the role.
        Read get(WorkflowGet) -> WorkflowRun as "workflow_get";
    }

    /// Talks back to the client of a call, by the Model Context Protocol.
    live mcp = Mcp: McpService {
        /// Describes the client.
        Read get_client(McpGetClient) -> McpClient as "mcp_get_client";
        /// Reports how far the call is.
        Read progress(McpProgress) -> Done as "mcp_progress";
        /// Sends a line of the log to the client.
        Read log(McpLog) -> Done as "mcp_log";
        /// Tells the role's clients of resources and lists that have changed.
        Read notify(McpNotify) -> Done as "mcp_notify";
        /// Asks the person at the client.
        Write elicit(McpElicit) -> McpElicited as "mcp_elicit";
        /// Asks the client's model.
        Write sample(McpSample) -> McpSampled as "mcp_sample";
        /// Asks for the client's folders.
        Write list_roots(McpListRoots) -> McpRoots as "mcp_list_roots";
        /// Asks the client several things at once.
        Write ask(McpAsk) -> McpAnswers as "mcp_ask";
    }

    /// Sends HTTP requests to the hosts that the role is granted.
    live http = Http: HttpService {
        /// Sends a request and returns the response, whatever its status.
        Write request(HttpRequest) -> HttpResponse as "http_request";
    }

    /// Works with issues, pull requests, reviews and checks on GitHub, with the host's token.
    optional github = GitHub: GitHubService {
        /// Describes a repository.
        Read get_repo(GitHubGetRepo) -> GitHubRepo as "github_get_repo";
        /// Lists a repository's labels.
        Read list_labels(GitHubListLabels) -> GitHubLabels as "github_list_labels";
        /// Lists issues, newest first; pull requests are left out.
        Read list_issues(GitHubListIssues) -> GitHubIssues as "github_list_issues";
        /// Reads one issue.
        Read get_issue(GitHubGetIssue) -> GitHubIssue as "github_get_issue";
        /// Opens an issue.
        Write create_issue(GitHubCreateIssue) -> GitHubIssue as "github_create_issue";
        /// Changes an issue; absent fields stay as they are.
        Write update_issue(GitHubUpdateIssue) -> GitHubIssue as "github_update_issue";
        /// Comments on an issue or a pull request.
        Write comment_issue(GitHubCommentIssue) -> GitHubComment as "github_comment_issue";
        /// Lists pull requests, newest first.
        Read list_prs(GitHubListPrs) -> GitHubPrs as "github_list_prs";
        /// Reads one pull request.
        Read get_pr(GitHubGetPr) -> GitHubPr as "github_get_pr";
        /// Finds the newest open pull request whose head is a branch.
        Read get_pr_for_branch(GitHubGetPrForBranch) -> GitHubPrForBranch as "github_get_pr_for_branch";
        /// Opens a pull request.
        Write create_pr(GitHubCreatePr) -> GitHubPr as "github_create_pr";
        /// Changes a pull request; absent fields stay as they are.
        Write update_pr(GitHubUpdatePr) -> GitHubPr as "github_update_pr";
        /// Merges a pull request.
        Write merge_pr(GitHubMergePr) -> GitHubMerge as "github_merge_pr";
        /// Lists the comments on a pull request's lines.
        Read list_review_comments(GitHubListReviewComments) -> GitHubReviewComments as "github_list_review_comments";
        /// Lists a pull request's reviews, oldest first.
        Read list_reviews(GitHubListReviews) -> GitHubReviews as "github_list_reviews";
        /// Requests reviews of a pull request from people or teams.
        Write request_reviewers(GitHubRequestReviewers) -> GitHubReviewers as "github_request_reviewers";
        /// Lists the check runs of a commit.
        Read list_check_runs(GitHubListCheckRuns) -> GitHubCheckRuns as "github_list_check_runs";
        /// Returns a commit's combined status, as set by the older status API.
        Read get_combined_status(GitHubGetCombinedStatus) -> GitHubCombinedStatus as "github_get_combined_status";
    }

    /// Runs commands and containers on a Docker engine.
    optional docker = Docker: DockerService {
        /// Runs a command in a running container and waits for it.
        Write exec(DockerExec) -> DockerExecResult as "docker_exec";
        /// Creates and starts a container, without waiting for it to end.
        Write spawn(DockerSpawn) -> DockerSpawned as "docker_spawn";
        /// Sends a signal to a container.
        Write kill(DockerKill) -> Done as "docker_kill";
        /// Asks a container to stop, and kills it if it does not.
        Write stop(DockerStop) -> Done as "docker_stop";
        /// Removes a container.
        Write remove(DockerRemove) -> Done as "docker_remove";
        /// Waits until a container has ended.
        Read wait(DockerWait) -> DockerExit as "docker_wait";
        /// Reads a container's output.
        Read logs(DockerLogs) -> DockerOutput as "docker_logs";
        /// Describes a container.
        Read inspect(DockerInspect) -> DockerContainer as "docker_inspect";
        /// Lists containers.
        Read list(DockerList) -> DockerContainers as "docker_list";
        /// Reports if an image is on the engine.
        Read image_present(DockerImagePresent) -> DockerImage as "docker_image_present";
        /// Pulls an image from its registry.
        Write pull(DockerPull) -> DockerPulled as "docker_pull";
    }

    /// Drives workflows, schedules and namespaces of a Temporal server.
    optional temporal = Temporal: TemporalService {
        /// Starts a workflow.
        Write start_workflow(TemporalStartWorkflow) -> TemporalStarted as "temporal_start_workflow";
        /// Sends a signal to a workflow, which is started if none is open.
        Write signal_with_start(TemporalSignalWithStart) -> TemporalStarted as "temporal_signal_with_start";
        /// Sends a signal to an open workflow.
        Write signal_workflow(TemporalSignalWorkflow) -> Done as "temporal_signal_workflow";
        /// Asks a workflow's worker a question that changes nothing.
        Read query_workflow(TemporalQueryWorkflow) -> TemporalQueryResult as "temporal_query_workflow";
        /// Asks an open workflow to change something, and waits for its answer.
        Write update_workflow(TemporalUpdateWorkflow) -> TemporalUpdateResult as "temporal_update_workflow";
        /// Asks an open workflow to cancel.
        Write cancel_workflow(TemporalCancelWorkflow) -> Done as "temporal_cancel_workflow";
        /// Ends an open workflow at once.
        Write terminate_workflow(TemporalTerminateWorkflow) -> Done as "temporal_terminate_workflow";
        /// Describes a workflow.
        Read describe_workflow(TemporalDescribeWorkflow) -> TemporalWorkflowDescription as "temporal_describe_workflow";
        /// Lists workflows, newest first.
        Read list_workflows(TemporalListWorkflows) -> TemporalWorkflows as "temporal_list_workflows";
        /// Waits for a workflow's end.
        Read workflow_result(TemporalWorkflowResult) -> TemporalOutcome as "temporal_workflow_result";
        /// Reads a workflow's history.
        Read workflow_history(TemporalWorkflowHistory) -> TemporalHistory as "temporal_workflow_history";
        /// Asks a worker of any SDK to perform an activity, for a workflow that runs on the server.
        Write execute_activity(TemporalExecuteActivity) -> TemporalActivityResult as "temporal_execute_activity";
        /// Sets search attributes and memo of the workflow itself, if it runs on the server.
        Write set_attributes(TemporalSetAttributes) -> Done as "temporal_set_attributes";
        /// Describes a namespace.
        Read describe_namespace(TemporalDescribeNamespace) -> TemporalNamespace as "temporal_describe_namespace";
        /// Lists namespaces.
        Read list_namespaces(TemporalListNamespaces) -> TemporalNamespaces as "temporal_list_namespaces";
        /// Registers a namespace.
        Write register_namespace(TemporalRegisterNamespace) -> Done as "temporal_register_namespace";
        /// Creates a schedule.
        Write create_schedule(TemporalCreateSchedule) -> Done as "temporal_create_schedule";
        /// Pauses a schedule.
        Write pause_schedule(TemporalPauseSchedule) -> Done as "temporal_pause_schedule";
        /// Lets a paused schedule go on.
        Write unpause_schedule(TemporalUnpauseSchedule) -> Done as "temporal_unpause_schedule";
        /// Makes a schedule start its workflow now.
        Write trigger_schedule(TemporalTriggerSchedule) -> Done as "temporal_trigger_schedule";
        /// Describes a schedule.
        Read describe_schedule(TemporalDescribeSchedule) -> TemporalScheduleDescription as "temporal_describe_schedule";
        /// Lists schedules.
        Read list_schedules(TemporalListSchedules) -> TemporalSchedules as "temporal_list_schedules";
        /// Deletes a schedule.
        Write delete_schedule(TemporalDeleteSchedule) -> Done as "temporal_delete_schedule";
    }
}
