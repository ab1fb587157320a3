-- | Encoding, decoding and generating a type's values, for tests.
module Echo.Codec (Codec (..), codec) where

import Data.Aeson (FromJSON (..), ToJSON (..), Value)
import Data.Aeson.Types (parseEither)
import Test.QuickCheck (Arbitrary (..))
import Test.QuickCheck.Gen (Gen (..))
import Test.QuickCheck.Random (mkQCGen)

-- | The round trip through JSON of a type.
data Codec = Codec
  { again :: Value -> Either String Value
  -- ^ Decodes a value and encodes it again.
  , made :: Int -> Int -> Value
  -- ^ The value for a seed and a size.
  }

codec :: forall a. (FromJSON a, ToJSON a, Arbitrary a) => Codec
codec =
  Codec
    { again = fmap (toJSON @a) . parseEither parseJSON
    , made = \seed size -> toJSON (unGen (arbitrary @a) (mkQCGen seed) size)
    }
