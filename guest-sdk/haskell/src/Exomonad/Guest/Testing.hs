-- | Interpreters for tests: functions answer requests, and the requests are recorded. All of it is pure.
--
-- > test = runTest [on answerBranch] (greet GreetArgs {name = "Ada"})
-- >   where
-- >     answerBranch :: GitGetBranch -> Either EffectError GitBranch
-- >     answerBranch _ = Right GitBranch {head = GitHeadBranch, branch = Just "main", commit = Nothing}
module Exomonad.Guest.Testing
  ( Handler (..),
    on,
    onMoment,
    Moment (..),
    runTest,
    Asked (..),
    callToolTest,
    callHookTest,
    unanswered,
    testContext,
  )
where

import Control.Monad.Trans.Class (lift)
import Control.Monad.Trans.Except (ExceptT, runExceptT, throwE)
import Control.Monad.Trans.State.Strict (State, get, put, runState)
import Data.Aeson (FromJSON, ToJSON (..), Value)
import Data.Proxy (Proxy (..))
import Data.Text (Text)
import Data.Type.Equality ((:~:) (Refl))
import Data.Typeable (eqT)
import Data.Word (Word32)
import Exomonad.Guest.Duration (Duration)
import Exomonad.Guest.Eff (Eff, ToolError, foldEff)
import Exomonad.Guest.Eff qualified as Eff
import Exomonad.Guest.Effect (Call (..), Request (..))
import Exomonad.Guest.Effects (Effects)
import Exomonad.Guest.Plugin (Plugin, callHook, callTool)
import Exomonad.Guest.Types

-- | Answers requests of one type.
data Handler where
  Handler :: (Request r, FromJSON r, ToJSON (Answer r)) => (Moment -> r -> Either EffectError (Answer r)) -> Handler

-- | When a request is made.
data Moment = Moment
  { elapsed :: Duration
  -- ^ The simulated time since the beginning, of which only workflows have any.
  , earlier :: Word32
  -- ^ The number of requests for the same effect that were made before.
  }
  deriving stock (Eq, Show)

-- | Answers requests of the type that the function takes.
on :: (Request r, FromJSON r, ToJSON (Answer r)) => (r -> Either EffectError (Answer r)) -> Handler
on handle = Handler (const handle)

-- | Answers requests by the time, or by their number.
onMoment :: (Request r, FromJSON r, ToJSON (Answer r)) => (Moment -> r -> Either EffectError (Answer r)) -> Handler
onMoment = Handler

-- | A request that was sent: its function, such as @git_status@, and its JSON.
data Asked = Asked {function :: Text, request :: Value}
  deriving stock (Eq, Show)

type Pure = ExceptT ToolError (State [Asked])

-- | Runs a tool; returns its result and its requests, in order. A request without a handler
-- answers @not_configured@.
runTest :: [Handler] -> Eff Effects a -> (Either ToolError a, [Asked])
runTest handlers program = reverse <$> runState (runExceptT (foldEff (answer handlers) program)) []

-- | Calls a plugin's tool as the host does, by its name and its arguments' JSON.
callToolTest :: [Handler] -> Plugin -> Text -> Value -> (Either ToolError CallToolResult, [Asked])
callToolTest handlers plugin name arguments =
  runTest handlers (callTool plugin ToolCallInput {name, arguments = Just arguments, context = testContext})

-- | Calls a plugin's hook for an event; 'Nothing' if it has none for it.
callHookTest :: [Handler] -> Plugin -> HookEvent -> Value -> Maybe (Either ToolError HookOutput)
callHookTest handlers plugin event payload =
  fst . runTest handlers <$> callHook plugin HookInput {event, payload, agentEvent = Nothing, context = testContext}

testContext :: Context
testContext = Context {role = "test", callId = "test-call", caller = Nothing, principal = Nothing, traceparent = Nothing}

-- | Programs whose effects are interpreted by handlers.
class Answered es where
  answer :: [Handler] -> Eff.Union es x -> Pure x

instance Answered '[] where
  answer _ = Eff.absurd

instance (Answered es) => Answered (Call service : es) where
  answer handlers request = either (answer handlers) (respond handlers) (Eff.decompose request)

instance (Answered es) => Answered (Eff.Fail : es) where
  answer handlers request = either (answer handlers) (\(Eff.Fail problem) -> throwE problem) (Eff.decompose request)

respond :: [Handler] -> Call service x -> Pure x
respond handlers (Call (request :: r)) = do
  let function = functionName (Proxy @r)
  before <- lift get
  lift (put (Asked {function, request = toJSON request} : before))
  let moment = Moment {elapsed = mempty, earlier = count [() | one <- before, one.function == function]}
  pure (foldr (tried moment request) (Left (unanswered function)) handlers)
  where
    count = foldr (const (+ 1)) 0

tried :: forall r. (Request r) => Moment -> r -> Handler -> Either EffectError (Answer r) -> Either EffectError (Answer r)
tried moment request (Handler (handle :: Moment -> s -> Either EffectError (Answer s))) otherwise' = case eqT @r @s of
  Just Refl -> handle moment request
  Nothing -> otherwise'

unanswered :: Text -> EffectError
unanswered function =
  EffectError
    { code = ErrorCodeNotConfigured
    , message = "no handler of the test answers " <> function
    , details = Nothing
    }
