module Main (main) where

import Control.Monad (unless)
import Data.Text qualified as Text
import System.Exit (die)
import Tl.Tests (tests)

main :: IO ()
main = do
  let failed = [Text.unpack name | (name, False) <- tests]
  unless (null failed) $ die (unlines ("failed:" : failed))
  putStrLn (show (length tests) <> " tests passed")
