-- | Tools that compare Haskell's types with the host's.
module Echo.RoundTrip (roundTrip, makeValues) where

import Data.Text qualified as Text
import Echo.Codec (Codec (..))
import Echo.Contract (codecs)
import Exomonad.Guest

data RoundTripArgs = RoundTripArgs
  { kind :: Text
  , values :: [Value]
  }
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "Values of a type."
          '[ "kind" ::: "The name of a type of the contract."
           , "values" ::: "Its values."
           ]
          RoundTripArgs

newtype Values = Values {values :: [Value]}
  deriving stock (Generic)
  deriving (ToJSON, Schema) via Result "Values." '["values" ::: "The values."] Values

roundTrip :: Tool
roundTrip = tool "round_trip" "Decodes values of a type and encodes them again." again
  where
    again :: (Fail :> es) => RoundTripArgs -> Eff es Values
    again args = do
      codec <- codecOf args.kind
      either (failWith . Text.pack) (pure . Values) (traverse codec.again args.values)

data MakeValuesArgs = MakeValuesArgs
  { kind :: Text
  , seed :: Int32
  , count :: Int32
  }
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "Which values."
          '[ "kind" ::: "The name of a type of the contract."
           , "seed" ::: "Where to begin: the same seed gives the same values."
           , "count" ::: "How many."
           ]
          MakeValuesArgs

makeValues :: Tool
makeValues = tool "make_values" "Generates values of a type." make
  where
    make :: (Fail :> es) => MakeValuesArgs -> Eff es Values
    make args = do
      codec <- codecOf args.kind
      pure (Values [codec.made (fromIntegral (args.seed + nth)) (fromIntegral (nth `mod` 12)) | nth <- [0 .. args.count - 1]])

codecOf :: (Fail :> es) => Text -> Eff es Codec
codecOf name = maybe (failWith ("no type is called " <> name)) pure (lookup name codecs)
