-- | The interface to the host: bytes in, bytes out. The only module that handles offsets; the C next to it
-- (@cbits@) has the names of the host's functions.
module Exomonad.Guest.Abi
  ( entry,
    input,
    setOutput,
    setError,
    callHost,
  )
where

import Data.ByteString (ByteString)
import Data.ByteString qualified as ByteString
import Data.ByteString.Internal qualified as Internal
import Data.ByteString.Unsafe (unsafeUseAsCStringLen)
import Data.Int (Int32)
import Data.Word (Word32, Word64, Word8)
import Foreign.C.String (CString)
import Foreign.Ptr (Ptr, castPtr)

foreign import ccall unsafe exomonad_entry :: IO CString

foreign import ccall unsafe exomonad_set_status :: Int32 -> IO ()

foreign import ccall unsafe exomonad_input_length :: IO Word32

foreign import ccall unsafe exomonad_input_read :: Ptr Word8 -> Word32 -> IO ()

foreign import ccall unsafe exomonad_block_new :: Ptr Word8 -> Word32 -> IO Word64

foreign import ccall unsafe exomonad_block_length :: Word64 -> IO Word32

foreign import ccall unsafe exomonad_block_read :: Word64 -> Ptr Word8 -> Word32 -> IO ()

foreign import ccall unsafe exomonad_block_free :: Word64 -> IO ()

foreign import ccall unsafe exomonad_output :: Ptr Word8 -> Word32 -> IO ()

foreign import ccall unsafe exomonad_error :: Ptr Word8 -> Word32 -> IO ()

-- | The entry point that was called; empty during the module's initialisation.
entry :: IO ByteString
entry = exomonad_entry >>= ByteString.packCString

-- | The input of the call.
input :: IO ByteString
input = do
  length <- exomonad_input_length
  Internal.create (fromIntegral length) $ \bytes -> exomonad_input_read bytes length

-- | Sets the output of the call.
setOutput :: ByteString -> IO ()
setOutput bytes = withBytes bytes exomonad_output *> exomonad_set_status 0

-- | Fails the call with this message in UTF-8.
setError :: ByteString -> IO ()
setError bytes = withBytes bytes exomonad_error *> exomonad_set_status 1

-- | Calls a host function with these bytes; returns its answer.
callHost :: (Word64 -> IO Word64) -> ByteString -> IO ByteString
callHost function request = do
  block <- withBytes request exomonad_block_new
  answer <- function block
  exomonad_block_free block
  length <- exomonad_block_length answer
  bytes <- Internal.create (fromIntegral length) $ \bytes -> exomonad_block_read answer bytes length
  exomonad_block_free answer
  pure bytes

withBytes :: ByteString -> (Ptr Word8 -> Word32 -> IO a) -> IO a
withBytes bytes action =
  unsafeUseAsCStringLen bytes $ \(start, length) -> action (castPtr start) (fromIntegral length)
