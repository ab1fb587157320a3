-- | The team lead's plugin: what it offers an agent, and what it keeps it from.
module Tl (plugin) where

import Exomonad.Guest
import Tl.RepoStatus (repoStatus)

plugin :: Plugin
plugin =
  Plugin
    { name = "tl"
    , version = "0.1.0"
    , tools = [repoStatus]
    , hooks = []
    }
