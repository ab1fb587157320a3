module Main (main) where

import Exomonad.Guest (runPlugin)
import Flows (plugin)

main :: IO ()
main = runPlugin plugin
