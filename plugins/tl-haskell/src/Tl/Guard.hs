-- | The hook that keeps an agent from commands that destroy work.
module Tl.Guard (guardCommands) where

import Data.Aeson (withObject, (.:))
import Data.Aeson.Types (parseMaybe)
import Data.List (isPrefixOf)
import Exomonad.Guest
import Exomonad.Guest.Hook (ask, deny, pass)
import Tl.Shell (commands, program)

-- | Denies a forced push, asks before a forced removal, and has no opinion on anything else.
guardCommands :: HookInput -> HookOutput
guardCommands input = case commandOf input.payload of
  -- A tool with an input of another shape is not one that runs commands.
  Nothing -> pass
  Just line
    | any isForcedPush found ->
        deny "A forced push can destroy the work of others. Push to a new branch, or ask the user to push."
    | any isForcedRemoval found -> ask "This removes files for good, without asking for each."
    | otherwise -> pass
    where
      found = commands line

-- | The line of shell, of tools that run one.
commandOf :: Value -> Maybe Text
commandOf = parseMaybe (withObject "tool use" (.: "tool_input") `andThen` withObject "tool input" (.: "command"))
  where
    andThen first next value = first value >>= next

-- | @git push@ with @--force@, @-f@, @--force-with-lease@, @--mirror@, or a @+refspec@.
isForcedPush :: [String] -> Bool
isForcedPush command = program command == "git" && any isForce (drop 1 (dropWhile (/= "push") command))
  where
    isForce word = "--force" `isPrefixOf` word || word == "--mirror" || hasFlag 'f' word || "+" `isPrefixOf` word

-- | @rm@ that goes into folders and does not ask.
isForcedRemoval :: [String] -> Bool
isForcedRemoval command = program command == "rm" && has "rR" "--recursive" && has "f" "--force"
  where
    has :: String -> String -> Bool
    has short long = any (\word -> word == long || any (`hasFlag` word) short) command

-- | Whether a word is a group of short flags with this one among them.
hasFlag :: Char -> String -> Bool
hasFlag flag = \case
  '-' : '-' : _ -> False
  '-' : flags -> flag `elem` flags
  _ -> False
