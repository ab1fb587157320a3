-- | Conversion of a remote's URL to the repository on GitHub.
module Tl.Remote (githubRepo) where

import Control.Monad (guard)
import Data.Text qualified as Text
import Exomonad.Guest

-- | @owner/name@, from any GitHub URL that git accepts; 'Nothing' for another host.
githubRepo :: Text -> Maybe Text
githubRepo url = do
  (host, path) <- case Text.breakOn "://" url of
    -- @git\@github.com:owner/name.git@
    (short, "") -> splitAt1 ":" short
    (_, rest) -> do
      (authority, path) <- splitAt1 "/" (Text.drop 3 rest)
      pure (Text.takeWhile (/= ':') authority, path)
  guard (isGitHub host)
  let trimmed = Text.dropAround (== '/') path
      whole = maybe trimmed id (Text.stripSuffix ".git" trimmed)
  (owner, name) <- splitAt1 "/" whole
  guard (not (Text.null owner || Text.null name || Text.elem '/' name))
  pure (owner <> "/" <> name)

-- | True if @[user\@]host@ is GitHub, including SSH on port 443.
isGitHub :: Text -> Bool
isGitHub authority = host `elem` ["github.com", "www.github.com", "ssh.github.com"]
  where
    host = Text.toLower (Text.takeWhileEnd (/= '@') authority)

-- | The parts before and after the first separator.
splitAt1 :: Text -> Text -> Maybe (Text, Text)
splitAt1 separator text = case Text.breakOn separator text of
  (_, "") -> Nothing
  (before, rest) -> Just (before, Text.drop (Text.length separator) rest)
