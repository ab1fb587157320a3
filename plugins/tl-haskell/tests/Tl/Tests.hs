-- | Tests of the tools with pure interpreters: no host, no git, no GitHub.
--
-- @cabal test@ runs them with a native compiler, which the packed toolchain lacks; the plugin
-- echo-haskell runs them as a tool.
module Tl.Tests (tests) where

import Data.Aeson (Value (..), eitherDecodeStrict, object, withObject, (.:), (.=))
import Data.Aeson.Key qualified as Key
import Data.Aeson.Types (parseMaybe)
import Data.Text qualified as Text
import Data.Text.Encoding (encodeUtf8)
import Exomonad.Guest
import Exomonad.Guest.Decode (decodeJson)
import Exomonad.Guest.Testing
import Tl (plugin)

-- | The tests by description, each with its result.
tests :: [(Text, Bool)]
tests =
  [ ( "repo_status tells what git tells"
    , structured (callToolTest [on clean, on newest] plugin "repo_status" (object []))
        == Just (json "{\"branch\":\"fix\",\"head\":\"branch\",\"isClean\":true,\"staged\":[],\"unstaged\":[],\"untracked\":[],\"conflicted\":[]}")
    )
  , ( "file_pr pushes the branch and opens a pull request"
    , asked (file [on onFix, on origin, on pushed, on noPr, on opened] plain)
        == ["git_get_branch", "git_get_remote_url", "git_push", "github_get_pr_for_branch", "github_create_pr"]
    )
  , ( "file_pr says where the pull request is"
    , (field "url" =<< structured (file [on onFix, on origin, on pushed, on noPr, on opened] plain)) == Just (String "the page")
    )
  , ("file_pr on a detached HEAD asks for the branch", failed (file [on detached] plain) == Just "HEAD is detached: say in `head` which branch is meant")
  , ("file_pr that cannot push says so", failed (file [on onFix, on origin, on refused] plain) == Just "the remote is gone")
  , ("an effect that nobody answers fails the tool", failed (file [on onFix, on origin] plain) == Just "no handler of the test answers git_push")
  , ("an unknown tool names those there are", fmap (Text.isInfixOf "there are repo_status, recent_work") (failed (callToolTest [] plugin "nothing" (object []))) == Just True)
  , ("arguments that are not there are refused", fmap (Text.isInfixOf "there is no field \"titel\"") (failed (file [] (object ["titel" .= ("Fix it" :: Text)]))) == Just True)
  , ("a number that nobody can mean is not decoded", either (Text.isInfixOf "a number" . Text.pack) (const False) (decodeJson @Value "[\"1\\\"\",1e4294967297]"))
  , ("nor is one without end", either (const True) (const False) (decodeJson @Value ("-" <> encodeUtf8 (Text.replicate 401 "1"))))
  , ("other numbers and texts are", decodeJson "[\"1e4294967297\",-1.5E+300]" == Right [String "1e4294967297", Number (-1.5e300)])
  , ("arguments that do not fit are refused", fmap (Text.isPrefixOf "the arguments do not fit") (failed (file [] (object []))) == Just True)
  ]
    <> [ ("`" <> command <> "` is left to " <> Text.pack (show wanted), decision command == Just wanted)
       | (wanted, commands) <-
          -- More of them are in plugins/tl/guard-cases.json.
          [ (HookDecisionDeny, ["git push --force", "echo \"$(git push -f)\""])
          , (HookDecisionAsk, ["rm -rf target", "sudo -u root rm -rf /"])
          , (HookDecisionPass, ["git push", "echo 'git push --force'"])
          ]
       , command <- commands
       ]
  where
    file handlers = callToolTest handlers plugin "file_pr"
    plain = object ["title" .= ("Fix it" :: Text)]
    clean (_ :: GitStatus) = Right (json "{\"head\":{\"head\":\"branch\",\"branch\":\"fix\"},\"staged\":[],\"unstaged\":[],\"untracked\":[],\"conflicted\":[],\"isClean\":true}")
    newest (_ :: GitGetRecentCommits) = Right GitCommits {commits = [], hasMore = False}
    onFix (_ :: GitGetBranch) = Right GitBranch {head = GitHeadBranch, branch = Just "fix", commit = Nothing}
    detached (_ :: GitGetBranch) = Right GitBranch {head = GitHeadDetached, branch = Nothing, commit = Nothing}
    origin (_ :: GitGetRemoteUrl) = Right GitRemoteUrl {url = "git@github.com:octocat/hello.git", githubRepo = Just "octocat/hello"}
    pushed (_ :: GitPush) = Right GitPushed {updates = []}
    refused (_ :: GitPush) = Left EffectError {code = ErrorCodeUnavailable, message = "the remote is gone", details = Nothing}
    noPr (_ :: GitHubGetPrForBranch) = Right GitHubPrForBranch {pr = Nothing}
    opened (_ :: GitHubCreatePr) = Right (json "{\"number\":7,\"title\":\"Fix it\",\"state\":\"open\",\"isDraft\":false,\"isMerged\":false,\"headRef\":\"fix\",\"headSha\":\"0\",\"baseRef\":\"main\",\"baseSha\":\"1\",\"labels\":[],\"assignees\":[],\"requestedReviewers\":[],\"requestedTeams\":[],\"url\":\"the page\",\"createdAt\":\"\",\"updatedAt\":\"\"}")

type Outcome = (Either ToolError CallToolResult, [Asked])

structured :: Outcome -> Maybe Value
structured (outcome, _) = either (const Nothing) (\result -> result.structuredContent) outcome

failed :: Outcome -> Maybe Text
failed (outcome, _) = either (\(ToolError message) -> Just message) (const Nothing) outcome

asked :: Outcome -> [Text]
asked (_, requests) = [one.function | one <- requests]

field :: Text -> Value -> Maybe Value
field name = parseMaybe (withObject "a result" (.: Key.fromText name))

decision :: Text -> Maybe HookDecision
decision command = do
  outcome <- callHookTest [] plugin HookEventPreToolUse (object ["tool_input" .= object ["command" .= command]])
  either (const Nothing) (\output -> Just output.decision) outcome

-- | The value of a JSON text that is known to be valid.
json :: (FromJSON a) => Text -> a
json = either error id . eitherDecodeStrict . encodeUtf8
