-- | @run_in_container@.
module Tl.RunInContainer (runInContainer) where

import Exomonad.Guest
import Exomonad.Guest.Docker (Docker)
import Exomonad.Guest.Docker qualified as Docker

data RunInContainerArgs = RunInContainerArgs
  { container :: Text
  , command :: [Text]
  , workdir :: Maybe Text
  , env :: Map Text Text
  , stdin :: Maybe Text
  , timeoutMillis :: Maybe Word64
  }
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "The command, and where to run it."
          '[ "container" ::: "The container's name or id." :& MinLength 1
           , "command" ::: "The program and its arguments; no shell takes them apart." :& MinLength 1
           , "workdir" ::: "The folder in the container to run it in; the container's own when absent."
           , "env" ::: "Environment variables, on top of the container's own." :& OrEmpty
           , "stdin" ::: "What it reads from its standard input; nothing when absent."
           , "timeoutMillis" ::: "How long it may take, in milliseconds; then it is killed." :& Range 1 86_400_000
           ]
          RunInContainerArgs

data RanInContainer = RanInContainer
  { exitCode :: Int32
  , stdout :: Text
  , stderr :: Text
  , truncated :: Bool
  }
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "What a command did."
          '[ "exitCode" ::: "Its exit code; 128 and the signal's number when a signal ended it."
           , "stdout" ::: "What it wrote to standard output."
           , "stderr" ::: "What it wrote to standard error."
           , "truncated" ::: "Whether either was cut off."
           ]
          RanInContainer

runInContainer :: Tool
runInContainer =
  tool
    "run_in_container"
    "Runs a command in a container that the role may reach, and gives its output. A command that fails is an\nanswer with its exit code."
    run
    & titled "Run in a container"
    & hinted [OpenWorld, Destructive]
  where
    run :: (Docker :> es, Fail :> es) => RunInContainerArgs -> Eff es RanInContainer
    run args = do
      ran <-
        Docker.exec
          ( newDockerExec args.container args.command
              & set @"workdir" args.workdir
              & set @"env" args.env
              & set @"stdin" args.stdin
              & set @"timeoutMillis" args.timeoutMillis
          )
      pure
        RanInContainer
          { exitCode = ran.exitCode
          , stdout = ran.output.stdout
          , stderr = ran.output.stderr
          , truncated = ran.output.truncated
          }
