-- | Hooks: functions that decide on what an agent is about to do.
--
-- Each event has a module, such as "Exomonad.Guest.Hook.PreToolUse", whose one function makes a hook of it.
module Exomonad.Guest.Hook
  ( Hook (..),
    hook,
    allow,
    deny,
    ask,
    pass,
    decide,
  )
where

import Data.Int (Int32)
import Data.Text (Text)
import Exomonad.Guest.Eff (Eff)
import Exomonad.Guest.Effects (Effects)
import Exomonad.Guest.Types
import Foreign.Ptr (FunPtr)

-- | A plugin's entry for a hook.
data Hook = Hook
  { event :: HookEvent
  , export :: FunPtr (IO Int32)
  -- ^ The entry point, stored here so that the linker keeps it.
  , run :: HookInput -> Eff Effects HookOutput
  }

-- | A hook with its entry point, which the modules of the events provide.
hook :: HookEvent -> FunPtr (IO Int32) -> (HookInput -> Eff Effects HookOutput) -> Hook
hook = Hook

-- | Proceed without asking the user.
allow :: HookOutput
allow = decide HookDecisionAllow Nothing

-- | Do not proceed, for this reason.
deny :: Text -> HookOutput
deny = decide HookDecisionDeny . Just

-- | Ask the user, for this reason.
ask :: Text -> HookOutput
ask = decide HookDecisionAsk . Just

-- | No decision.
pass :: HookOutput
pass = decide HookDecisionPass Nothing

-- | A decision and its reason.
decide :: HookDecision -> Maybe Text -> HookOutput
decide decision reason = HookOutput {decision, reason, payload = Nothing}
