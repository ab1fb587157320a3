-- | @list_issues@.
module Tl.ListIssues (listIssues) where

import Data.Maybe (fromMaybe, isJust)
import Exomonad.Guest
import Exomonad.Guest.Git (Git)
import Exomonad.Guest.GitHub (GitHub)
import Exomonad.Guest.GitHub qualified as GitHub
import Tl.Target (repository)

data ListIssuesArgs = ListIssuesArgs
  { state :: Maybe State
  , labels :: [Text]
  , assignee :: Maybe Text
  , limit :: Maybe Word64
  , repo :: Maybe Text
  , workingDir :: Maybe Text
  }
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "Selects issues."
          '[ "state" ::: "Open ones, closed ones, or all; open ones when absent."
           , "labels" ::: "Only issues with every one of these labels." :& OrEmpty
           , "assignee" ::: "Only those assigned to this login; `none` for nobody, `*` for anybody."
           , "limit" ::: "The largest number of issues; 30 when absent." :& Range 1 500
           , "repo" ::: "The repository on GitHub, `owner/name`; that of the remote `origin` when absent."
           , "workingDir" ::: "A folder in the repository; the role's own when absent."
           ]
          ListIssuesArgs

data State = Open | Closed | All
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Enumeration
          "The state of an issue."
          '["Open" ::: "Open.", "Closed" ::: "Closed.", "All" ::: "Open or closed."]
          State

data Issues = Issues
  { repo :: Text
  , issues :: [Issue]
  , hasMore :: Bool
  }
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "Issues, newest first."
          '[ "repo" ::: "The repository they are in, `owner/name`."
           , "issues" ::: "The issues."
           , "hasMore" ::: "True if there are more."
           ]
          Issues

data Issue = Issue
  { number :: Word64
  , title :: Text
  , isOpen :: Bool
  , labels :: [Text]
  , assignees :: [Text]
  , comments :: Word64
  , url :: Text
  , updatedAt :: Text
  }
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "An issue."
          '[ "number" ::: "Its number."
           , "title" ::: "Its title."
           , "isOpen" ::: "True if it is open."
           , "labels" ::: "Its labels."
           , "assignees" ::: "The logins of those it is assigned to."
           , "comments" ::: "The number of comments."
           , "url" ::: "Its web page."
           , "updatedAt" ::: "When it last changed (RFC 3339)."
           ]
          Issue

listIssues :: Tool
listIssues =
  tool "list_issues" "Lists a repository's issues, newest first." list
    & titled "List issues"
    & hinted [ReadOnly, OpenWorld]

list :: (Git :> es, GitHub :> es, Fail :> es) => ListIssuesArgs -> Eff es Issues
list args = do
  repo <- repository args.repo args.workingDir
  (found, isCut) <- pages repo (Just 1) []
  let (shown, more) = splitAt (fromIntegral limit) found
  pure Issues {repo, issues = issue <$> shown, hasMore = isCut || not (null more)}
  where
    limit = fromMaybe 30 args.limit
    -- Until there is one more than requested, or no further page.
    pages repo next found = case next of
      Just page | fromIntegral (length found) <= limit -> do
        listed <-
          GitHub.listIssues
            ( newGitHubListIssues repo
                & set @"state" (filtered <$> args.state)
                & set @"labels" args.labels
                & set @"assignee" args.assignee
                & set @"page" (Just page)
                & set @"perPage" (Just (min 100 (limit + 1)))
            )
        pages repo (fromIntegral <$> listed.nextPage) (found <> listed.issues)
      _ -> pure (found, isJust next)

filtered :: State -> StateFilter
filtered = \case
  Open -> StateFilterOpen
  Closed -> StateFilterClosed
  All -> StateFilterAll

issue :: GitHubIssue -> Issue
issue found =
  Issue
    { number = found.number
    , title = found.title
    , isOpen = found.state == OpenStateOpen
    , labels = found.labels
    , assignees = found.assignees
    , comments = found.comments
    , url = found.url
    , updatedAt = found.updatedAt
    }
