-- Intended.
{-# OPTIONS_GHC -Wno-incomplete-patterns #-}

-- | Tools that do harmful things which a host must survive.
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
  , tool "exhaust" "Allocates without end." (\NoArguments -> pure (Text.pack (show (hoard 0))))
  , tool "throw" "Throws an exception." (\NoArguments -> pure (throw DivideByZero :: Text))
  , tool "error" "Calls `error`." (\NoArguments -> pure (unfinished "as asked"))
  , tool "error_in_error" "Calls `error` with a text that is itself an error." (\NoArguments -> pure (userNamed []))
  , tool "undefined_value" "Returns an undefined value." (\NoArguments -> pure (undefined :: Text))
  , tool "pattern" "Fails a pattern match." (\NoArguments -> pure (partial (Just "nothing")))
  , tool "pattern_in_do" "Fails a pattern match within its effects." matching
  , tool "fail" "Fails with a message of its own." failing
  , tool "black_hole" "Depends on itself." (\NoArguments -> pure (let text = text <> "!" in text :: Text))
  ]

-- None of these is inlined, and each has an end that is never reached: otherwise the compiler would
-- recognise code without a result and turn it into a loop.

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
