-- | Effects: requests to the host and their answers.
module Exomonad.Guest.Effect
  ( Request (..),
    Call (..),
    perform,
    attempt,
    orFail,
    Envelope (..),
    OnHost (..),
    runOnHost,
  )
where

import Control.Exception (throwIO)
import Data.Aeson (FromJSON (..), ToJSON, withObject, (.:))
import Data.Aeson.Types (Parser)
import Data.ByteString (ByteString)
import Data.Kind (Type)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Typeable (Typeable)
import Data.Word (Word64)
import Exomonad.Guest.Abi (callHost)
import Exomonad.Guest.Decode (decodeJson)
import Exomonad.Guest.Eff
import Exomonad.Guest.Json (encodeStrict)
import Exomonad.Guest.Types (EffectError (..), ErrorCode (ErrorCodeInternal))
import GHC.TypeLits (Symbol)

-- | A request for an effect.
class (Typeable r, ToJSON r, FromJSON (Answer r)) => Request r where
  -- | The service, such as @"git"@.
  type Service r :: Symbol

  -- | The result of a successful effect.
  type Answer r :: Type

  -- | The host function, such as @git_get_branch@.
  functionName :: proxy r -> Text

  -- | The capability that the role needs, such as @git.get_branch@.
  capabilityName :: proxy r -> Text

  -- | The imported host function. One for each effect, so that a plugin imports only the effects that it
  -- uses: the host determines its needs from them.
  hostFunction :: proxy r -> Word64 -> IO Word64

-- | The effects of a service: each of its requests.
data Call (service :: Symbol) a where
  Call :: (Request r, Service r ~ service) => r -> Call service (Either EffectError (Answer r))

-- | Performs an effect, and returns its result or its error.
attempt :: (Request r, Call (Service r) :> es) => r -> Eff es (Either EffectError (Answer r))
attempt = send . Call

-- | Performs an effect; the tool fails if the effect does.
perform :: (Request r, Call (Service r) :> es, Fail :> es) => r -> Eff es (Answer r)
perform request = attempt request >>= orFail

-- | Fails the tool if an effect has failed.
orFail :: (Fail :> es) => Either EffectError a -> Eff es a
orFail = either (send . Fail . effectFailed) pure

-- | The effects as the host performs them; failures are exceptions.
class OnHost es where
  onHost :: Union es a -> IO a

instance OnHost '[] where
  onHost = absurd

instance (OnHost es) => OnHost (Call service : es) where
  onHost request = either onHost ask (decompose request)
  {-# INLINE onHost #-}

instance (OnHost es) => OnHost (Fail : es) where
  onHost request = either onHost (\(Fail problem) -> throwIO problem) (decompose request)
  {-# INLINE onHost #-}

-- | Runs a program with the host's effects.
--
-- Throws 'ToolError' when it fails.
runOnHost :: (OnHost es) => Eff es a -> IO a
runOnHost = foldEff onHost

ask :: forall service a. Call service a -> IO a
ask (Call (request :: r)) = do
  answer <- callHost (hostFunction [request]) (encodeStrict request)
  pure (either unreadable id (decodeAnswer answer))
  where
    unreadable problem =
      Left
        EffectError
          { code = ErrorCodeInternal
          , message = "the host's answer to " <> functionName [request] <> " cannot be read: " <> Text.pack problem
          , details = Nothing
          }

decodeAnswer :: (FromJSON a) => ByteString -> Either String (Either EffectError a)
decodeAnswer bytes = (\(Envelope answer) -> answer) <$> decodeJson bytes

-- | An answer as a host function returns it: @{"kind":"Success","payload":…}@ or @{"kind":"Error","payload":…}@.
newtype Envelope a = Envelope (Either EffectError a)

instance (FromJSON a) => FromJSON (Envelope a) where
  parseJSON = withObject "Answer" $ \object -> do
    kind <- object .: "kind" :: Parser Text
    case kind of
      "Success" -> Envelope . Right <$> object .: "payload"
      "Error" -> Envelope . Left <$> object .: "payload"
      other -> fail ("no answer is of the kind " <> show other)
