//! The random service: bytes from the operating system.

use exomonad_core::{CallContext, RandomService};
use exomonad_schema::effects::random::{RandomBytes, RandomBytesAnswer};
use exomonad_schema::{Base64, EffectError, ErrorCode};

/// The random service. Bytes come straight from the operating system's
/// generator, so there is no state that a copy of the process could repeat. At
/// most 64 KiB are requested at once, which takes less time than handing the work
/// to another thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl RandomService for Random {
    async fn bytes(
        &self,
        _: &CallContext,
        request: RandomBytes,
    ) -> Result<RandomBytesAnswer, EffectError> {
        let length = usize::try_from(request.length.get()).unwrap_or(0);
        let mut bytes = vec![0; length];
        getrandom::fill(&mut bytes).map_err(|error| {
            EffectError::new(
                ErrorCode::Unavailable,
                format!(
                    "random.bytes: the operating system gave no {length} random bytes: {error}; \
                     check that the host may call getrandom or read /dev/urandom"
                ),
            )
        })?;
        Ok(RandomBytesAnswer {
            bytes: Base64(bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use exomonad_schema::BoundedInt;

    use super::*;
    use crate::test_call::call;

    #[tokio::test]
    async fn as_many_bytes_come_as_were_asked_for_and_not_the_same_twice() {
        for length in [0, 1, 32, 65_536] {
            let request = RandomBytes {
                length: BoundedInt::try_from(length).unwrap(),
            };
            let one = Random.bytes(&call("tl"), request).await.unwrap().bytes.0;
            let other = Random.bytes(&call("tl"), request).await.unwrap().bytes.0;
            assert_eq!(one.len() as u64, length);
            assert!(length < 32 || one != other);
        }
    }
}
