-- | A plugin for tests: JSON round trips of the contract's types, and failures in Haskell.
module Main (main) where

import Data.Text qualified as Text
import Echo.Harmful (harmful)
import Echo.RoundTrip (makeValues, roundTrip)
import Exomonad.Guest
import Tl.Tests (tests)

main :: IO ()
main =
  runPlugin
    Plugin
      { name = "echo-haskell"
      , version = "0.1.0"
      , tools = [roundTrip, makeValues, toolTests, echo] <> harmful
      , hooks = []
      }

newtype EchoArgs = EchoArgs {text :: Text}
  deriving stock (Generic)
  deriving (FromJSON, Schema) via Arguments "What to say." '["text" ::: "The text."] EchoArgs

echo :: Tool
echo = tool "echo" "Gives back what it is given." (\EchoArgs {text} -> pure text)

toolTests :: Tool
toolTests = tool "tool_tests" "Runs the tests of the tools of tl-haskell." run
  where
    run :: (Fail :> es) => NoArguments -> Eff es Text
    run NoArguments = case [name | (name, False) <- tests] of
      [] -> pure (Text.unlines (map fst tests))
      failed -> failWith ("failed: " <> Text.intercalate "; " failed)
