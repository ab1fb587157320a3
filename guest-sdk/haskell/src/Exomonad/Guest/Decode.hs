-- | Decoding of JSON from outside.
module Exomonad.Guest.Decode (decodeJson) where

import Data.Aeson (FromJSON, eitherDecodeStrict)
import Data.ByteString (ByteString)
import Data.ByteString qualified as ByteString
import Data.Word (Word8)

-- | Decodes JSON. Numbers are limited to a plausible length: aeson takes minutes over
-- a million digits and, where an @Int@ has 32 bits as here, reads 1e4294967297 as 10.
decodeJson :: (FromJSON a) => ByteString -> Either String a
decodeJson bytes
  | hasLongNumber bytes = Left "a number has more than 400 characters, or more than 9 digits in its exponent"
  | otherwise = eitherDecodeStrict bytes

hasLongNumber :: ByteString -> Bool
hasLongNumber bytes = case ByteString.uncons (ByteString.dropWhile (\byte -> byte /= quote && not (isDigit byte)) bytes) of
  Nothing -> False
  Just (first, rest)
    | first == quote -> hasLongNumber (afterString rest)
    | otherwise -> ByteString.length number >= 400 || digits (exponentOf number) > 9 || hasLongNumber others
    where
      -- Without the sign and the first digit.
      (number, others) = ByteString.span (\byte -> isDigit byte || byte `ByteString.elem` "+-.eE") rest
  where
    exponentOf = ByteString.dropWhile (`ByteString.notElem` "eE")
    digits = ByteString.length . ByteString.filter isDigit

-- | The text after the opening quote of a string.
afterString :: ByteString -> ByteString
afterString bytes = case ByteString.uncons (ByteString.dropWhile (\byte -> byte /= quote && byte /= backslash) bytes) of
  Just (first, rest)
    | first == backslash -> afterString (ByteString.drop 1 rest)
    | otherwise -> rest
  Nothing -> ByteString.empty

isDigit :: Word8 -> Bool
isDigit byte = byte >= 48 && byte <= 57

quote, backslash :: Word8
quote = 34
backslash = 92
