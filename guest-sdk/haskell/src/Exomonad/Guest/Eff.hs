{-# LANGUAGE PatternSynonyms #-}

-- | Programs with effects, as values.
--
-- @Eff es a@ returns an @a@ and may use the effects @es@, a list of types such as 'Exomonad.Guest.Git.Git'
-- that a function names as constraints: @(Git :> es, Fail :> es) => Eff es Text@. The interpreter is chosen
-- when the program is run: the host in a plugin, a function in a test. The names are freer-simple's.
--
-- A program is a function from an interpreter to its result in any monad, so that binding is that monad's
-- own and no intermediate structure is built.
module Exomonad.Guest.Eff
  ( Eff,
    Member,
    (:>),
    Union,
    send,
    interpret,
    reinterpret,
    interpretM,
    interpretState,
    foldEff,
    decompose,
    absurd,
    passed,
    run,
    runM,
    Fail (..),
    ToolError (ToolError),
    effectFailed,
    effectErrorOf,
    failWith,
    runFail,
  )
where

import Control.Exception (Exception (..))
import Control.Monad.Trans.Class (lift)
import Control.Monad.Trans.Except (ExceptT, runExceptT, throwE)
import Control.Monad.Trans.State.Strict (StateT (..))
import Data.Functor.Identity (Identity (..))
import Data.Kind (Type)
import Data.Text (Text)
import Data.Text qualified as Text
import Exomonad.Guest.Types (EffectError (..))
import GHC.TypeLits (ErrorMessage ((:$$:), (:<>:)), TypeError)
import GHC.TypeLits qualified as TypeLits

-- | A request to one of several effects.
data Union (es :: [Type -> Type]) a where
  Here :: e a -> Union (e : es) a
  There :: Union es a -> Union (e : es) a

-- | Proof that an effect is one of these.
class Member (e :: Type -> Type) (es :: [Type -> Type]) where
  inject :: e a -> Union es a

instance {-# OVERLAPPING #-} Member e (e : es) where
  inject = Here

instance (Member e es) => Member e (f : es) where
  inject = There . inject

instance
  ( TypeError
      (TypeLits.Text "This asks for the effect " :<>: TypeLits.ShowType e :<>: TypeLits.Text ", which its type does not name." :$$: TypeLits.Text "Add `" :<>: TypeLits.ShowType e :<>: TypeLits.Text " :> es` to it.")
  ) =>
  Member e '[]
  where
  inject = error "does not compile"

-- | @Git :> es@: the program may use 'Exomonad.Guest.Git.Git'.
type e :> es = Member e es

infix 1 :>

-- | A program that returns an @a@ and may use the effects @es@.
newtype Eff es a = Eff (forall m. (Monad m) => (forall x. Union es x -> m x) -> m a)

instance Functor (Eff es) where
  fmap f (Eff program) = Eff $ \answer -> fmap f (program answer)
  {-# INLINE fmap #-}

instance Applicative (Eff es) where
  pure a = Eff $ \_ -> pure a
  {-# INLINE pure #-}
  Eff f <*> Eff a = Eff $ \answer -> f answer <*> a answer
  {-# INLINE (<*>) #-}

instance Monad (Eff es) where
  Eff program >>= next = Eff $ \answer -> program answer >>= \a -> foldEff answer (next a)
  {-# INLINE (>>=) #-}

-- | Runs a program in a monad that interprets all of its effects.
foldEff :: (Monad m) => (forall x. Union es x -> m x) -> Eff es a -> m a
foldEff answer (Eff program) = program answer
{-# INLINE foldEff #-}

-- | Sends a request for an effect.
send :: (e :> es) => e a -> Eff es a
send request = Eff $ \answer -> answer (inject request)
{-# INLINE send #-}

-- | A request to the first of the effects, or to one of the others.
decompose :: Union (e : es) a -> Either (Union es a) (e a)
decompose = \case
  Here request -> Right request
  There others -> Left others
{-# INLINE decompose #-}

-- | There are no requests without effects.
absurd :: Union '[] a -> b
absurd = \case {}

-- | Interprets an effect by means of the others.
interpret :: (forall x. e x -> Eff es x) -> Eff (e : es) a -> Eff es a
interpret handle = foldEff (either passed handle . decompose)

-- | Interprets an effect by means of another one.
reinterpret :: (forall x. e x -> Eff (f : es) x) -> Eff (e : es) a -> Eff (f : es) a
reinterpret handle = foldEff (either (\others -> Eff $ \answer -> answer (There others)) handle . decompose)

-- | Interprets an effect in the monad that is the last of the effects.
interpretM :: (Monad m, m :> es) => (forall x. e x -> m x) -> Eff (e : es) a -> Eff es a
interpretM handle = interpret (send . handle)

-- | Interprets an effect with a state that each request may change.
interpretState :: forall e es s a. (forall x. s -> e x -> Eff es (x, s)) -> s -> Eff (e : es) a -> Eff es (a, s)
interpretState handle begin program = runStateT (foldEff step program) begin
  where
    step :: Union (e : es) x -> StateT s (Eff es) x
    step request = case decompose request of
      Right own -> StateT $ \state -> handle state own
      Left others -> lift (passed others)

-- | Passes a request on to the interpreters of the other effects.
passed :: Union es a -> Eff es a
passed others = Eff $ \answer -> answer others

-- | The result of a program without remaining effects.
run :: Eff '[] a -> a
run = runIdentity . foldEff absurd

-- | Runs a program whose only remaining effect is a monad.
runM :: (Monad m) => Eff '[m] a -> m a
runM = foldEff (either absurd id . decompose)

-- | A tool's own failure: a text for the model that called it, which states the attempt, the failure
-- and the remedy.
data ToolError = Problem Text (Maybe EffectError)
  deriving stock (Eq, Show)

-- | A failure with this text.
pattern ToolError :: Text -> ToolError
pattern ToolError message <- Problem message _
  where
    ToolError message = Problem message Nothing

{-# COMPLETE ToolError #-}

-- | The failure of a tool whose effect has failed.
effectFailed :: EffectError -> ToolError
effectFailed problem = Problem problem.message (Just problem)

-- | The effect's error that a failure was made from, if it was.
effectErrorOf :: ToolError -> Maybe EffectError
effectErrorOf (Problem _ problem) = problem

instance Exception ToolError where
  displayException (ToolError message) = Text.unpack message

-- | The effect of failing.
data Fail a where
  Fail :: ToolError -> Fail a

-- | Fails the tool.
failWith :: (Fail :> es) => Text -> Eff es a
failWith = send . Fail . ToolError

-- | A pattern in a @do@ that does not match fails the tool.
instance (Fail :> es) => MonadFail (Eff es) where
  fail = failWith . Text.pack

-- | Runs a program up to its first failure.
runFail :: Eff (Fail : es) a -> Eff es (Either ToolError a)
runFail = runExceptT . foldEff answer
  where
    answer :: Union (Fail : es) x -> ExceptT ToolError (Eff es) x
    answer request = case decompose request of
      Right (Fail problem) -> throwE problem
      Left others -> lift (passed others)
