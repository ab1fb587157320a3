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
           , "command" ::: "The program and its arguments, passed on without a shell." :& MinLength 1
           , "workdir" ::: "The folder in the container to run it in; the container's own when absent."
           , "env" ::: "Environment variables, on top of the container's own." :& OrEmpty
           , "stdin" ::: "Its standard input; empty when absent."
           , "timeoutMillis" ::: "The time limit in milliseconds, after which it is killed." :& Range 1 86_400_000
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
          "The result of a command."
          '[ "exitCode" ::: "Its exit code; 128 plus the signal's number when a signal ended it."
           , "stdout" ::: "Its standard output."
           , "stderr" ::: "Its standard error."
           , "truncated" ::: "True if either was cut off."
           ]
          RanInContainer

runInContainer :: Tool
runInContainer =
  tool
    "run_in_container"
    "Runs a command in a container of the role, and returns its output. A failed command is a result with\nits exit code."
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
