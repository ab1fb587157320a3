-- | The hook that protects work from destructive commands.
module Tl.Guard (guardCommands) where

import Data.Aeson (Value (..))
import Data.Aeson.KeyMap qualified as KeyMap
import Data.Text qualified as Text
import Exomonad.Guest
import Exomonad.Guest.Hook (ask, deny, pass)
import Tl.Shell (commands, hasFlag, program, unknown)

-- | Denies a push that is forced or deletes, asks before one that the shell completes, before a forced removal
-- and before a command that it cannot parse, and has no opinion on anything else.
guardCommands :: HookInput -> HookOutput
guardCommands input
  -- An agent that the host knows has told the command; what it tells otherwise may hold one.
  | Just line <- input.agentEvent >>= (.command) = judgeLine line
  | otherwise = case input.payload of
      Object event | Just (Object toolInput) <- KeyMap.lookup "tool_input" event -> case KeyMap.lookup "command" toolInput of
        Just (String line) -> judgeLine line
        Just Null -> pass
        Just _ -> ask "What it would run is no text that the guard can read."
        Nothing -> pass
      -- An input of another shape belongs to a tool that runs no commands.
      _ -> pass

judgeLine :: Text -> HookOutput
judgeLine line = case worst line of
  ForcedPush -> deny "A forced push can destroy the work of others. Push to a new branch, or ask the user to push."
  DeletingPush ->
    deny "This deletes what is on the remote, which may be the work of others. Ask the user to delete it."
  ForcedRemoval -> ask "This removes files for good, without asking for each."
  UnknownPush ->
    ask "What it pushes depends on what the shell fills in. With the names written out the guard can tell."
  Harmless -> pass

-- | Ordered by severity.
data Verdict = Harmless | UnknownPush | ForcedRemoval | DeletingPush | ForcedPush
  deriving stock (Eq, Ord)

-- | The worst decision on the commands of a line, none of which is kept in memory.
worst :: Text -> Verdict
worst = foldl' max Harmless . map judge . commands
  where
    judge command
      | isForcedRemoval command = ForcedRemoval
      | program command == "git" = foldl' max Harmless (map judgePush (pushed command))
      | otherwise = Harmless

-- | The words after @push@, but for @git stash push@.
pushed :: [Text] -> [Text]
pushed = \case
  "stash" : "push" : rest -> pushed rest
  "push" : rest -> rest
  _ : rest -> pushed rest
  [] -> []

-- | A word of @git push@: forced (@--force@, @-f@, @--force-with-lease@, a @+refspec@), deleting (@--delete@, @-d@,
-- @--mirror@, @--prune@, a @:refspec@), or completed by the shell.
judgePush :: Text -> Verdict
judgePush word
  | "--for" `Text.isPrefixOf` word || hasFlag 'f' word || "+" `Text.isPrefixOf` word = ForcedPush
  | any isDeleting ["--delete", "--mirror", "--prune"] || hasFlag 'd' word || isDeletion = DeletingPush
  | Text.elem unknown word = UnknownPush
  | otherwise = Harmless
  where
    -- Git takes the beginning of an option, too.
    isDeleting option = Text.length word > 3 && word `Text.isPrefixOf` option
    isDeletion = ":" `Text.isPrefixOf` word && word /= ":"

-- | @rm@ that is recursive and does not ask.
isForcedRemoval :: [Text] -> Bool
isForcedRemoval command = program command == "rm" && has "rR" "--recursive" && has "f" "--force"
  where
    has :: String -> Text -> Bool
    has short long = any (\word -> word == long || any (`hasFlag` word) short) command
