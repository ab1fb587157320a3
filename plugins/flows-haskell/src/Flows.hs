-- | Workflows that ship: the same as @plugins/flows@ in Rust.
--
-- @ship_pr@ pushes a branch, opens a pull request, waits for checks and reviews, merges, cleans up; @nightly@ runs
-- a command in a container for each of several repositories, and files issues on failure.
module Flows (plugin) where

import Exomonad.Guest
import Flows.Nightly (nightly, nightlyCheck)
import Flows.ShipPr (shipPr)

plugin :: Plugin
plugin =
  Plugin
    { name = "flows"
    , version = "0.1.0"
    , tools = []
    , hooks = []
    , workflows = [shipPr, nightly, nightlyCheck]
    }
