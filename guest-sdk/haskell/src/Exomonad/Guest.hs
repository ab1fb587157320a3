-- | Write exomonad plugins in Haskell.
--
-- A plugin decides, the host acts. A tool is a function over typed effects:
--
-- > currentBranch :: (Git :> es, Fail :> es) => NoArguments -> Eff es Text
-- > currentBranch NoArguments = do
-- >   found <- Git.getBranch newGitGetBranch
-- >   maybe (failWith "HEAD is detached") pure found.branch
-- >
-- > main :: IO ()
-- > main = runPlugin Plugin {name = "example", version = "0.1.0", tools, hooks = [], workflows = []}
-- >   where tools = [tool "current_branch" "Tells which branch is checked out." currentBranch]
--
-- The functions of each service are in a module of their own, to be imported qualified:
-- "Exomonad.Guest.Git", "Exomonad.Guest.GitHub", "Exomonad.Guest.Docker", "Exomonad.Guest.Kv",
-- "Exomonad.Guest.Clock", "Exomonad.Guest.Random", "Exomonad.Guest.Http", "Exomonad.Guest.Log", "Exomonad.Guest.Mcp".
-- The hooks have modules too ("Exomonad.Guest.Hook.PreToolUse", …), and so have workflows ("Exomonad.Guest.Run"),
-- resources ("Exomonad.Guest.Resource"), prompts ("Exomonad.Guest.Prompt") and what is usually said to the client of
-- a call ("Exomonad.Guest.Client").
module Exomonad.Guest
  ( module Exomonad.Guest.Eff,
    module Exomonad.Guest.Effect,
    module Exomonad.Guest.Duration,
    module Exomonad.Guest.Effects,
    module Exomonad.Guest.Json,
    module Exomonad.Guest.Offer,
    module Exomonad.Guest.Plugin,
    module Exomonad.Guest.Run.Entry,
    module Exomonad.Guest.Schema,
    module Exomonad.Guest.Tool,
    module Exomonad.Guest.Types,
    FromJSON,
    Generic,
    Map,
    Text,
    ToJSON,
    Value,
    Int32,
    Int64,
    Word16,
    Word32,
    Word64,
    (&),
  )
where

import Data.Aeson (FromJSON, ToJSON, Value)
import Data.Function ((&))
import Data.Int (Int32, Int64)
import Data.Map.Strict (Map)
import Data.Text (Text)
import Data.Word (Word16, Word32, Word64)
import Exomonad.Guest.Eff
import Exomonad.Guest.Effect (Request (Answer, Service), attempt, orFail, perform)
import Exomonad.Guest.Effects (Effects)
import Exomonad.Guest.Json (Base64 (..), Constant (..), set)
import Exomonad.Guest.Offer (Offer)
import Exomonad.Guest.Plugin (Plugin (..), runPlugin, runPluginWith)
import Exomonad.Guest.Duration (Duration (..), days, hours, milliseconds, minutes, seconds)
import Exomonad.Guest.Run.Entry (Control, Run (..), WorkflowEffects, WorkflowEntry)
import Exomonad.Guest.Schema (Arguments (..), Enumeration (..), Field (..), Result (..), Rule (..), Schema (..))
import Exomonad.Guest.Tool (Hint (..), NoArguments (..), Tool, ToolOutput (..), hinted, icon, pictured, resultOfWorkflow, titled, tool, toolWith)
import Exomonad.Guest.Types hiding (Tool (..))
import GHC.Generics (Generic)
