module Main (main) where

import Exomonad.Guest (runPlugin)
import Tl (plugin)

main :: IO ()
main = runPlugin plugin
