-- As asked.
{-# OPTIONS_GHC -Wno-incomplete-patterns #-}

-- | Tools that do what a host has to survive.
module Echo.Harmful (harmful) where

import Control.Exception (ArithException (DivideByZero), throw)
import Data.IORef (newIORef, readIORef)
import Data.Text qualified as Text
import Exomonad.Guest
import GHC.Stack (HasCallStack)
import System.IO.Unsafe (unsafePerformIO)

harmful :: [Tool]
harmful =
  [ tool "loop" "Never ends." (\NoArguments -> pure (Text.pack (show (forever 1))))
  , tool "loop_without_allocating" "Never ends, and never gives the runtime a chance to notice." (\NoArguments -> pure (spin 0))
  , tool "overflow" "Recurses without end." (\NoArguments -> pure (Text.pack (show (deep 0))))
  , tool "exhaust" "Holds on to ever more." (\NoArguments -> pure (Text.pack (show (hoard 0))))
  , tool "throw" "Throws an exception." (\NoArguments -> pure (throw DivideByZero :: Text))
  , tool "error" "Calls `error`." (\NoArguments -> pure (unfinished "as asked"))
  , tool "error_in_error" "Calls `error` with a text that cannot be made." (\NoArguments -> pure (userNamed []))
  , tool "undefined_value" "Gives what is not defined." (\NoArguments -> pure (undefined :: Text))
  , tool "pattern" "Matches what does not match." (\NoArguments -> pure (partial (Just "nothing")))
  , tool "pattern_in_do" "Matches, within its effects, what does not match." matching
  , tool "fail" "Fails in its own words." failing
  , tool "black_hole" "Asks for itself." (\NoArguments -> pure (let text = text <> "!" in text :: Text))
  ]

-- Not inlined, all of them, and each with an end that is never reached: the compiler must not see what
-- they come to. What surely ends in nothing, it would make a loop of.

forever :: Word64 -> Word64
forever n = if n == 0 then 0 else forever (if n == maxBound then 1 else n + 1)
{-# NOINLINE forever #-}

spin :: Word32 -> Text
spin n = if n == 1 then "ended" else spin (n * 2)
{-# NOINLINE spin #-}

deep :: Integer -> Integer
deep n = if n < 0 then 0 else 1 + deep (n + 1)
{-# NOINLINE deep #-}

hoard :: Integer -> Int
hoard n = sum (map fromInteger held) + length held
  where
    held = [n ..]
{-# NOINLINE hoard #-}

unfinished :: (HasCallStack) => Text -> Text
unfinished why = error (Text.unpack why)
{-# NOINLINE unfinished #-}

-- Called with an empty list.
userNamed :: [Text] -> Text
userNamed users = error ("no user " <> show (users !! 9))
{-# NOINLINE userNamed #-}

partial :: Maybe Text -> Text
partial value = case unsafePerformIO (newIORef value >>= readIORef) of
  Nothing -> "matched"
{-# NOINLINE partial #-}

matching :: (Fail :> es) => NoArguments -> Eff es Text
matching NoArguments = do
  Just text <- pure (partialMaybe "no match")
  pure text

partialMaybe :: Text -> Maybe Text
partialMaybe text = if Text.null text then Just text else Nothing
{-# NOINLINE partialMaybe #-}

failing :: (Fail :> es) => NoArguments -> Eff es Text
failing NoArguments = failWith "as asked"
