-- | A plugin for tests: JSON round trips of the contract's types, failures in Haskell, and workflows.
module Main (main) where

import Data.Text qualified as Text
import Echo.Harmful (harmful)
import Echo.RoundTrip (makeValues, roundTrip)
import Echo.WorkflowTests (workflowTests)
import Echo.Workflows (workflows)
import Exomonad.Guest
import Flows.Tests qualified as Flows
import Tl.Tests qualified as Tl

main :: IO ()
main = runPlugin plugin

plugin :: Plugin
plugin =
  Plugin
    { name = "echo-haskell"
    , version = "0.1.0"
    , tools = [roundTrip, makeValues, toolTests, echo] <> harmful
    , hooks = []
    , workflows
    }

newtype EchoArgs = EchoArgs {text :: Text}
  deriving stock (Generic)
  deriving (FromJSON, Schema) via Arguments "What to say." '["text" ::: "The text."] EchoArgs

echo :: Tool
echo = tool "echo" "Gives back what it is given." (\EchoArgs {text} -> pure text)

toolTests :: Tool
toolTests = tool "tool_tests" "Runs the tests of the tools of tl-haskell, of flows-haskell, and of the workflows here." run
  where
    run :: (Fail :> es) => NoArguments -> Eff es Text
    run NoArguments = case [name | (name, False) <- every] of
      [] -> pure (Text.unlines (map fst every))
      failed -> failWith ("failed: " <> Text.intercalate "; " failed)
    every = Tl.tests <> Flows.tests <> workflowTests plugin
