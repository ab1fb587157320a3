-- | What a test asks of a type: to be read and written again, and to come up with values.
module Echo.Codec (Codec (..), codec) where

import Data.Aeson (FromJSON (..), ToJSON (..), Value)
import Data.Aeson.Types (parseEither)
import Test.QuickCheck (Arbitrary (..))
import Test.QuickCheck.Gen (Gen (..))
import Test.QuickCheck.Random (mkQCGen)

-- | A type's two ways through JSON.
data Codec = Codec
  { again :: Value -> Either String Value
  -- ^ Reads a value and writes it again.
  , made :: Int -> Int -> Value
  -- ^ The value of a seed and a size.
  }

codec :: forall a. (FromJSON a, ToJSON a, Arbitrary a) => Codec
codec =
  Codec
    { again = fmap (toJSON @a) . parseEither parseJSON
    , made = \seed size -> toJSON (unGen (arbitrary @a) (mkQCGen seed) size)
    }
