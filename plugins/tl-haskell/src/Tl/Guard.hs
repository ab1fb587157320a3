-- | The hook that protects work from destructive commands.
module Tl.Guard (guardCommands) where

import Data.Aeson (Value (..))
import Data.Aeson.KeyMap qualified as KeyMap
import Data.Text qualified as Text
import Exomonad.Guest
import Exomonad.Guest.Hook (ask, deny, pass)
import Tl.Shell (commands, hasFlag, program)

-- | Denies a forced push, asks before a forced removal and before a command that it cannot parse, and has no
-- opinion on anything else.
guardCommands :: HookInput -> HookOutput
guardCommands input = case input.payload of
  Object event | Just (Object toolInput) <- KeyMap.lookup "tool_input" event -> case KeyMap.lookup "command" toolInput of
    Just (String line) -> case worst line of
      ForcedPush -> deny "A forced push can destroy the work of others. Push to a new branch, or ask the user to push."
      ForcedRemoval -> ask "This removes files for good, without asking for each."
      Harmless -> pass
    Just Null -> pass
    Just _ -> ask "What it would run is no text that the guard can read."
    Nothing -> pass
  -- An input of another shape belongs to a tool that runs no commands.
  _ -> pass

-- | Ordered by severity.
data Verdict = Harmless | ForcedRemoval | ForcedPush
  deriving stock (Eq, Ord)

-- | The worst decision on the commands of a line, none of which is kept in memory.
worst :: Text -> Verdict
worst = foldl' max Harmless . map judge . commands
  where
    judge command
      | isForcedPush command = ForcedPush
      | isForcedRemoval command = ForcedRemoval
      | otherwise = Harmless

-- | @git push@ with @--force@, @-f@, @--force-with-lease@, @--mirror@, or a @+refspec@.
isForcedPush :: [Text] -> Bool
isForcedPush command = program command == "git" && any isForce (drop 1 (dropWhile (/= "push") command))
  where
    isForce word =
      "--force" `Text.isPrefixOf` word || word == "--mirror" || hasFlag 'f' word || "+" `Text.isPrefixOf` word

-- | @rm@ that is recursive and does not ask.
isForcedRemoval :: [Text] -> Bool
isForcedRemoval command = program command == "rm" && has "rR" "--recursive" && has "f" "--force"
  where
    has :: String -> Text -> Bool
    has short long = any (\word -> word == long || any (`hasFlag` word) short) command
