-- | What a plugin offers beside tools, hooks and workflows, with the entry points for it.
--
-- "Exomonad.Guest.Resource" and "Exomonad.Guest.Prompt" are for authors. This module has no entry points, so that a
-- plugin that offers neither exports none.
module Exomonad.Guest.Offer
  ( Offer (..),
    Completer,
    answering,
    completing,
  )
where

import Data.Aeson (FromJSON, ToJSON)
import Data.ByteString (ByteString)
import Data.Int (Int32)
import Data.Maybe (listToMaybe, mapMaybe)
import Data.Text (Text)
import Exomonad.Guest.Decode (decodeJson)
import Exomonad.Guest.Eff (Eff)
import Exomonad.Guest.Effects (Effects)
import Exomonad.Guest.Json (encodeStrict)
import Exomonad.Guest.Types (CompleteInput, CompleteResult (..), Completion (..))
import Foreign.Ptr (FunPtr)

-- | Resources, or prompts.
data Offer = Offer
  { entries :: [(ByteString, ByteString -> Either String (Eff Effects ByteString))]
  -- ^ The entry points by name, from their input.
  , completers :: [Completer]
  -- ^ The functions that complete arguments and variables.
  , exports :: [FunPtr (IO Int32)]
  -- ^ The entry points, stored here so that the linker keeps them.
  }

-- | Completes what it is asked for, if that is its own.
type Completer = CompleteInput -> Maybe [Text]

-- | An entry point by name, from its input to its output.
answering :: (FromJSON i, ToJSON o) => ByteString -> (i -> Eff Effects o) -> (ByteString, ByteString -> Either String (Eff Effects ByteString))
answering name answer = (name, fmap (fmap encodeStrict . answer) . decodeJson)

-- | The answer of those of several offers that know it.
completing :: [Offer] -> CompleteInput -> CompleteResult
completing offers asked =
  CompleteResult {completion = Completion {values, total = Nothing, hasMore = False}, error = Nothing}
  where
    values = concat (listToMaybe (mapMaybe ($ asked) (concatMap (.completers) offers)))
