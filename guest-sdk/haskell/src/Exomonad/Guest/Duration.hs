-- | Time spans.
module Exomonad.Guest.Duration
  ( Duration (..),
    milliseconds,
    seconds,
    minutes,
    hours,
    days,
  )
where

import Data.Word (Word64)

-- | A time span in milliseconds.
newtype Duration = Duration {millis :: Word64}
  deriving stock (Eq, Ord, Show)

instance Semigroup Duration where
  Duration a <> Duration b = Duration (a + b)

instance Monoid Duration where
  mempty = Duration 0

milliseconds, seconds, minutes, hours, days :: Word64 -> Duration
milliseconds = Duration
seconds = Duration . (* 1_000)
minutes = Duration . (* 60_000)
hours = Duration . (* 3_600_000)
days = Duration . (* 86_400_000)
