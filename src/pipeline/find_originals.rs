//! Originals by address, and by the words in them.

use std::sync::Arc;

use recap_core::trajectory::OriginalHash;

use super::Pipeline;
use super::failure::Failure;
use super::keys::Caller;
use crate::store::{HandleError, Hits, SearchRequest};

impl Pipeline {
    /// Returns an original. A full address is found in whatever the caller reaches; a short handle needs the
    /// trajectory whose marker it stands in. The handle `t12`, as recaps use it, is the whole text of turn 12.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]; [`Failure::Invalid`] for what is no address, and for an ambiguous handle.
    pub async fn original(
        &self,
        caller: &Caller,
        address: &str,
        trajectory: Option<&str>,
    ) -> Result<(OriginalHash, Arc<str>), Failure> {
        let missing = || Failure::NotFound(format!("original `{address}`"));
        let hash = match trajectory {
            Some(trajectory) => {
                self.record(caller, trajectory).await?;
                if let Some(turn) = turn_of(address) {
                    return self.turn_text(trajectory, turn).await?.ok_or_else(missing);
                }
                self.resolved(trajectory, address).await?
            }
            None => address.parse().map_err(|_| {
                Failure::field("hash", "expected `b3:` and 64 hexadecimal digits, or fewer with `trajectory`")
            })?,
        };
        let text = match (&caller.namespace, trajectory) {
            (Some(namespace), None) => self.store().original_in_namespace(hash, namespace).await?,
            _ => self.store().original(hash).await?,
        };
        text.map(|text| (hash, text)).ok_or_else(missing)
    }

    async fn turn_text(&self, trajectory: &str, turn: usize) -> Result<Option<(OriginalHash, Arc<str>)>, Failure> {
        let (mut slot, live) = self.take(trajectory).await?;
        let text = live.session.turn_text(turn);
        *slot = Some(live);
        Ok(text.map(|text| (OriginalHash::of(&text), text.into())))
    }

    async fn resolved(&self, trajectory: &str, address: &str) -> Result<OriginalHash, Failure> {
        self.store().resolve_handle(trajectory, address).await.map_err(|error| match error {
            HandleError::Unknown => Failure::NotFound(format!("original `{address}` in trajectory `{trajectory}`")),
            HandleError::Store(error) => Failure::Store(error),
            HandleError::Malformed | HandleError::Ambiguous => Failure::field("hash", error.to_string()),
        })
    }

    /// Searches the originals that the caller reaches. Served text that came back in is left out (law 10).
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`] for a trajectory that the caller does not reach.
    pub async fn search(&self, caller: &Caller, mut request: SearchRequest) -> Result<Hits, Failure> {
        if let Some(trajectory) = &request.trajectory {
            self.record(caller, trajectory).await?;
        }
        if let Some(own) = &caller.namespace {
            if request.namespace.as_ref().is_some_and(|asked| asked != own) {
                return Ok(Hits::default());
            }
            request.namespace = Some(own.clone());
        }
        Ok(self.store().search(&request).await?)
    }
}

/// The turn that a recap's handle names.
fn turn_of(handle: &str) -> Option<usize> {
    handle.strip_prefix('t')?.parse().ok()
}
