-- | Commands in a line of shell, as far as words, quotes and separators tell.
--
-- Enough to notice what someone wrote; no defence against someone who hides it (@$(echo r)m@): what must
-- not happen has to be made impossible elsewhere.
module Tl.Shell (commands, program) where

import Data.Char (isSpace)
import Data.List (isPrefixOf, isSuffixOf)
import Exomonad.Guest (Text)
import Data.Text qualified as Text

-- | The commands of a line, each as its words; those in @sh -c '…'@ included.
commands :: Text -> [[String]]
commands = concatMap found . split . Text.unpack
  where
    found words' = maybe [] (commands . Text.pack) (scriptOf command) <> [command | not (null command)]
      where
        command = withoutPrefix words'

-- | Splits a line at what ends a command, and each command into words.
split :: String -> [[String]]
split = go Nothing Nothing []
  where
    -- The open quote, the word so far and the command so far, both backwards.
    go :: Maybe Char -> Maybe String -> [String] -> String -> [[String]]
    go quote word command = \case
      [] -> [endCommand]
      letter : rest
        | quote == Just letter -> go Nothing word command rest
        | quote == Just '\'' -> push letter rest
        | letter == '\\' -> case rest of
            -- A backslash at a line's end joins it with the next.
            '\n' : more -> go quote word command more
            next : more -> push next more
            [] -> [endCommand]
        | quote == Nothing, letter `elem` ("'\"" :: String) -> go (Just letter) (Just (orNone word)) command rest
        -- A substitution runs even within double quotes.
        | letter == '`' || quote == Nothing && letter `elem` (";&|\n(){}" :: String) -> endCommand : go quote Nothing [] rest
        | quote == Nothing, isSpace letter -> go quote Nothing (endWord command) rest
        | otherwise -> push letter rest
      where
        push letter = go quote (Just (letter : orNone word)) command
        endWord before = maybe before (\letters -> reverse letters : before) word
        endCommand = reverse (endWord command)
    orNone = maybe "" id

-- | The command without what only changes how it runs: @FOO=1 sudo git …@.
withoutPrefix :: [String] -> [String]
withoutPrefix words' = case span isPrefix words' of
  ([], command) -> command
  -- The options of such a prefix, as in @sudo -n rm@.
  (_, command) -> dropWhile ("-" `isPrefixOf`) command
  where
    isPrefix word = word `elem` prefixes || ('=' `elem` word && not ("-" `isPrefixOf` word))
    prefixes = ["sudo", "doas", "env", "command", "exec", "nohup", "time", "xargs", "then", "do", "else", "!"]

-- | The program of a command, without its folder.
program :: [String] -> String
program = \case
  [] -> ""
  word : _ -> reverse (takeWhile (/= '/') (reverse word))

-- | The script in @sh -c SCRIPT@.
scriptOf :: [String] -> Maybe String
scriptOf command
  | program command `elem` ["sh", "bash", "zsh", "dash", "ash", "ksh"] =
      case dropWhile (not . isScriptFlag) command of
        _ : script : _ -> Just script
        _ -> Nothing
  | otherwise = Nothing
  where
    isScriptFlag word = "-" `isPrefixOf` word && not ("--" `isPrefixOf` word) && "c" `isSuffixOf` word
