-- | Values of a field's type that satisfy the rule that the contract's reference states for it, such as
-- @1–100@, @1–256 characters@, @at least 1@, or a pattern.
module Echo.Ruled (Ruled (..), absentOr) where

import Data.Aeson (ToJSON (..), Value (..), object)
import Data.Aeson.Key qualified as Key
import Data.ByteString qualified as ByteString
import Data.Char (isDigit)
import Data.Map.Strict qualified as Map
import Data.Text qualified as Text
import Exomonad.Guest
import Test.QuickCheck

-- | Types of fields.
class Ruled a where
  ruled :: Text -> Gen a

instance {-# OVERLAPPABLE #-} (Arbitrary a) => Ruled a where
  ruled _ = arbitrary

-- | A value, or none.
absentOr :: (Ruled a) => Text -> Gen (Maybe a)
absentOr rule = frequency [(1, pure Nothing), (3, Just <$> ruled rule)]

instance {-# OVERLAPPING #-} (Ruled a) => Ruled [a] where
  ruled rule = do
    more <- scale (min 3) getSize >>= \most -> choose (0, most)
    vectorOf (fromIntegral (maybe 0 fst (numbers least)) + more) (ruled (Text.drop (Text.length "each ") each))
    where
      (least, each) = Text.breakOn "each " rule

instance {-# OVERLAPPING #-} (Ruled a) => Ruled (Map Text a) where
  ruled _ = Map.fromList <$> resize 3 (listOf ((,) <$> ruled "" <*> ruled ""))

instance Ruled Word16 where
  ruled = whole

instance Ruled Word32 where
  ruled = whole

instance Ruled Word64 where
  ruled = whole

instance Ruled Int32 where
  ruled = whole

instance Ruled Int64 where
  ruled = whole

-- | Both ends of a range, and values between them.
whole :: forall a. (Bounded a, Integral a) => Text -> Gen a
whole rule = fromInteger <$> oneof [pure low, pure high, choose (low, high)]
  where
    (low, high) = maybe (toInteger (minBound @a), toInteger (maxBound @a)) id (numbers rule)

instance Ruled Text where
  ruled rule
    | "matches" `Text.isPrefixOf` rule = pure "octocat/hello.world"
    | "at most" `Text.isPrefixOf` rule = Text.take (maybe maxBound (fromInteger . fst) (numbers rule)) <$> anyText
    | otherwise = case numbers rule of
        Nothing -> anyText
        Just (least, most) -> do
          text <- anyText
          pure (Text.take (fromInteger (min most 1000)) (text <> Text.replicate (fromInteger least) "𝔵"))

-- | Text in many scripts, including characters that JSON must escape, and the empty text.
anyText :: Gen Text
anyText =
  oneof
    [ pure ""
    , Text.pack <$> listOf (arbitraryUnicodeChar `suchThat` isScalar)
    , Text.pack <$> listOf (elements "\0\1\n\r\t\31\"\\/\DEL")
    , elements ["日本語", "العربية", "עברית", "हिन्दी", "👩\8205👩\8205👧", "e\769", "\8232\65279\65533", "\1114111"]
    ]
  where
    isScalar c = c < '\xD800' || c > '\xDFFF'

instance Ruled Base64 where
  ruled _ = Base64 . ByteString.pack <$> arbitrary

-- | Any JSON, nested as deep as the size says.
instance Ruled Value where
  ruled _ = sized json
    where
      json depth
        | depth <= 0 = leaf
        | otherwise =
            oneof
              [ leaf
              , toArray <$> resize 3 (listOf (json (depth `div` 2)))
              , object . map (\(key, value) -> (Key.fromText key, value)) <$> resize 3 (listOf ((,) <$> anyText <*> json (depth `div` 2)))
              ]
      leaf =
        oneof
          [ pure Null
          , Bool <$> arbitrary
          , Number . fromIntegral <$> (whole "" :: Gen Int64)
          , Number . fromIntegral <$> (whole "" :: Gen Word64)
          , String <$> anyText
          ]
      toArray = toJSON

-- | The numbers in a rule: one, or from one to another.
numbers :: Text -> Maybe (Integer, Integer)
numbers rule = case filter (not . Text.null) (Text.split (not . isDigit) rule) of
  [low, high] -> Just (number low, number high)
  [only] -> Just (number only, toInteger (maxBound @Int32))
  _ -> Nothing
  where
    number = read . Text.unpack
