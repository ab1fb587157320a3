-- | A plugin for tests: the contract's types both ways, and what goes wrong in Haskell.
module Main (main) where

import Echo.Harmful (harmful)
import Echo.RoundTrip (makeValues, roundTrip)
import Echo.ToolTests (toolTests)
import Exomonad.Guest

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
