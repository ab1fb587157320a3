-- | The client that made the call: what most plugins say to it, and ask it. "Exomonad.Guest.Mcp" has all that there is.
--
-- > confirm :: (Mcp :> es, Fail :> es) => Eff es Bool
-- > confirm = maybe False (.sure) <$> elicit "Delete it?"
--
-- A guest that asks may be run again when the answer is there, up to the question; effects are not performed again.
-- Import it qualified.
module Exomonad.Guest.Client
  ( progress,
    log,
    elicit,
    sample,
  )
where

import Control.Monad (void)
import Data.Aeson (FromJSON (..), toJSON)
import Data.Aeson.Types (parseEither)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Word (Word64)
import Exomonad.Guest.Eff (Eff, Fail, failWith, (:>))
import Exomonad.Guest.Mcp (Mcp)
import Exomonad.Guest.Mcp qualified as Mcp
import Exomonad.Guest.Schema (Schema (..))
import Exomonad.Guest.Types
import Prelude hiding (log)

-- | Reports how much is done, of how much.
progress :: (Mcp :> es, Fail :> es) => Word64 -> Word64 -> Eff es ()
progress done total = void (Mcp.progress McpProgress {progress = done, total = Just total, message = Nothing})

-- | Sends a line of the log to the client.
log :: (Mcp :> es, Fail :> es) => McpLogLevel -> Text -> Eff es ()
log level line = void (Mcp.log McpLog {level, logger = Nothing, data_ = toJSON line})

-- | Asks the person to fill in a form, whose fields are those of the type: texts, numbers, booleans, choices. 'Nothing'
-- if they do not want to.
elicit :: forall form es. (FromJSON form, Schema form, Mcp :> es, Fail :> es) => Text -> Eff es (Maybe form)
elicit message = do
  asked <- Mcp.elicit McpElicit {key = Nothing, message, form = Just (schema @form), url = Nothing}
  case (asked.action, asked.content) of
    (McpElicitActionAccept, Just content) -> case parseEither parseJSON content of
      Right form -> pure (Just form)
      Left problem -> failWith ("the person's answer does not fit the form: " <> Text.pack problem)
    _ -> pure Nothing

-- | Asks the client's model: a prompt, and how many tokens it may write.
sample :: (Mcp :> es, Fail :> es) => Text -> Word64 -> Eff es Text
sample text maxTokens = do
  sampled <- Mcp.sample (newMcpSample [message] maxTokens)
  pure (Text.intercalate "\n" [part | McpSamplingContentContent (ContentText part) <- sampled.content])
  where
    message = McpSamplingMessage {role = MessageRoleUser, content = [McpSamplingContentContent (ContentText text)]}
