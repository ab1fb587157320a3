-- | The commands in a line of shell, as far as words, quotes and separators reveal them.
--
-- Enough to notice what someone wrote; no defence against someone who hides it (@$(echo r)m@), which takes
-- other measures.
--
-- @plugins/tl/src/shell.rs@ parses a line in the same way.
module Tl.Shell (commands, program, hasFlag, unknown) where

import Data.List (find)
import Data.Maybe (fromMaybe)
import Data.Text qualified as Text
import Data.Text.Unsafe (lengthWord8)
import Exomonad.Guest (Text)

-- | The commands of a line, each as its words, including those in @sh -c '…'@ and in substitutions. Lazy,
-- since a long line has many.
commands :: Text -> [[Text]]
commands = within 8
  where
    -- The depth to which nested scripts are parsed: @sh -c 'sh -c …'@.
    within :: Word -> Text -> [[Text]]
    within depth = concatMap (found depth) . split
    found depth words' = maybe [] (within (depth - 1)) script <> [command | not (null command)]
      where
        (command, isEvaluated) = withoutPrefix words'
        script
          | depth == 0 = Nothing
          | isEvaluated = Just (Text.unwords command)
          | otherwise = scriptOf command

-- | An incomplete command: its words, and the pieces of the last one, both in reverse.
data Command = Command ![Text] !(Maybe [Text])

-- | An open parenthesis or substitution: its closing character, the quote around it, and the command
-- that a substitution is part of.
data Open = Open !Char !(Maybe Char) !Command

blank :: Command
blank = Command [] Nothing

push :: Text -> Command -> Command
push piece (Command done word) = Command done (Just $! joined piece (fromMaybe [] word))
  where
    -- Each piece is longer than the next, so that a long word needs only a short list.
    joined :: Text -> [Text] -> [Text]
    joined !new = \case
      old : older | lengthWord8 old <= lengthWord8 new -> joined (old <> new) older
      pieces -> new : pieces

endWord :: Command -> Command
endWord command@(Command done word) = case word of
  Nothing -> command
  Just pieces -> let !whole = Text.concat (reverse pieces) in Command (whole : done) Nothing

ended :: Command -> [Text]
ended command = let Command done _ = endWord command in reverse done

-- | Splits a line into commands, and each command into words.
split :: Text -> [[Text]]
split = go Nothing blank []
  where
    -- The open quote, the command so far, and the open parentheses and substitutions around it.
    go :: Maybe Char -> Command -> [Open] -> Text -> [[Text]]
    go !quote !before !opened line = case Text.uncons special of
      Nothing -> ended command : [ended around | Open _ _ around <- opened]
      Just (letter, rest)
        | quote == Just letter -> go Nothing command opened rest
        -- A backslash at the end of a line joins it with the next.
        | letter == '\\' -> case Text.uncons rest of
            Just ('\n', more) -> go quote command opened more
            Just (_, more) -> go quote (push (Text.take 1 rest) command) opened more
            Nothing -> go quote command opened rest
        | letter == '"' || letter == '\'' -> go (Just letter) (push "" command) opened rest
        | Open closing outer around : others <- opened
        , closing == letter ->
            ended command : go outer around others rest
        -- A substitution also runs within double quotes, and its command continues after it.
        | letter == '`' -> go Nothing blank (Open '`' quote (push (Text.singleton unknown) command) : opened) rest
        | letter `elem` ("$<>" :: String) -> case Text.uncons rest of
            Just ('(', more) ->
              let around = if letter == '$' then push (Text.singleton unknown) command else command
               in go Nothing blank (Open ')' quote around : opened) more
            _ -> go quote (push (Text.singleton letter) command) opened rest
        | letter == '(' -> ended command : go Nothing blank (Open ')' Nothing blank : opened) rest
        | letter == ' ' || letter == '\t' -> go quote (endWord command) opened rest
        | letter == '#' -> case command of
            -- A comment, up to the end of the line.
            Command _ Nothing -> go quote command opened (Text.dropWhile (/= '\n') rest)
            _ -> go quote (push "#" command) opened rest
        | otherwise -> ended command : go quote blank opened rest
      where
        (plain, special) = Text.break (isSpecial quote) line
        command = if Text.null plain then before else push plain before

-- | True if a letter is special within this quote.
isSpecial :: Maybe Char -> Char -> Bool
isSpecial quote letter =
  case quote of
    Just '\'' -> letter == '\''
    Just _ -> letter == '"' || letter == '\\' || letter == '$' || letter == '`'
    Nothing -> case letter of
      ' ' -> True
      '\n' -> True
      '\t' -> True
      '\'' -> True
      '"' -> True
      '\\' -> True
      '$' -> True
      '`' -> True
      '<' -> True
      '>' -> True
      '(' -> True
      ')' -> True
      ';' -> True
      '&' -> True
      '|' -> True
      '#' -> True
      _ -> False

-- | The command without prefixes that only change how it runs, as in @FOO=1 sudo -u root git …@, and true if
-- its words are a script, as in @eval git …@.
withoutPrefix :: [Text] -> ([Text], Bool)
withoutPrefix = go False
  where
    go isEvaluated = \case
      word : after
        | word `elem` keywords || Text.elem '=' word && not ("-" `Text.isPrefixOf` word) -> go isEvaluated after
        -- A substitution by itself may leave no word.
        | not (Text.null word) && Text.all (== unknown) word -> go isEvaluated after
        | Just (_, withValue, operands) <- find (\(name, _, _) -> name == fileName word) runners ->
            go (isEvaluated || fileName word == "eval") (drop operands (withoutOptions withValue after))
      rest -> (rest, isEvaluated)

-- | The words after the leading options.
withoutOptions :: String -> [Text] -> [Text]
withoutOptions withValue = \case
  "--" : after -> after
  option : after
    | Just flags <- Text.stripPrefix "-" option ->
        withoutOptions withValue (if takesNext option flags then drop 1 after else after)
  rest -> rest
  where
    takesNext option flags
      | "-" `Text.isPrefixOf` flags = option `elem` longWithValue
      -- In @-uroot@ the value is there; in @-nu root@ it is the next word.
      | otherwise = Text.length (Text.dropWhile (`notElem` withValue) flags) == 1

-- | Stands in a word where the shell fills something in: @$X@, @$(…)@.
unknown :: Char
unknown = '$'

-- | Keywords of the shell that a command may follow.
keywords :: [Text]
keywords = ["!", "coproc", "do", "elif", "else", "if", "then", "until", "while", "{"]

-- | Programs that run the command after them, with their short options that take a value, and the number of
-- their own operands that come first.
runners :: [(Text, String, Int)]
runners =
  [ ("builtin", "", 0)
  , ("busybox", "", 0)
  , ("command", "", 0)
  , ("doas", "Cu", 0)
  , ("env", "Cu", 0)
  , ("eval", "", 0)
  , ("exec", "a", 0)
  , ("ionice", "cnp", 0)
  , ("nice", "n", 0)
  , ("nohup", "", 0)
  , ("setsid", "", 0)
  , ("stdbuf", "eio", 0)
  , ("sudo", "CDRTUghprtu", 0)
  , ("time", "fo", 0)
  , ("timeout", "ks", 1)
  , ("xargs", "EILPadns", 0)
  ]

-- | Long options of these programs that take a value.
longWithValue :: [Text]
longWithValue =
  [ "--adjustment"
  , "--arg-file"
  , "--chdir"
  , "--chroot"
  , "--class"
  , "--classdata"
  , "--close-from"
  , "--command-timeout"
  , "--delimiter"
  , "--error"
  , "--format"
  , "--group"
  , "--host"
  , "--input"
  , "--kill-after"
  , "--max-args"
  , "--max-chars"
  , "--max-procs"
  , "--other-user"
  , "--output"
  , "--pid"
  , "--process-slot-var"
  , "--prompt"
  , "--role"
  , "--signal"
  , "--type"
  , "--unset"
  , "--user"
  ]

-- | The program of a command, without its folder.
program :: [Text] -> Text
program = \case
  [] -> ""
  word : _ -> fileName word

fileName :: Text -> Text
fileName = Text.takeWhileEnd (/= '/')

-- | The script in @sh -c SCRIPT@.
scriptOf :: [Text] -> Maybe Text
scriptOf command
  | program command `elem` ["ash", "bash", "dash", "ksh", "sh", "su", "zsh"] =
      find (not . Text.isPrefixOf "-") (drop 1 (dropWhile (not . hasFlag 'c') command))
  | otherwise = Nothing

-- | True if a word is a group of short flags that includes this one.
hasFlag :: Char -> Text -> Bool
hasFlag flag word = case Text.stripPrefix "-" word of
  Just flags -> not ("-" `Text.isPrefixOf` flags) && Text.elem flag flags
  Nothing -> False
