//! Asking for the values of a tag that Tempo's list leaves out, and whether the names of tags that it lists are the
//! caller's.
//!
//! Each search is scoped as a request of the caller's is, and its answer cut as the caller's would be. A list that
//! lacks some is what Tempo gives, and all of it is the caller's: so where a search is over a limit, fails or takes
//! too long, the list is answered as it is, and no menu of a dashboard stays empty for it.

use super::forward::{Exchange, LARGE_BYTES, made};
use crate::lang::QueryErrorKind;
use crate::rejection::{Rejection, UpstreamFault};
use crate::scope::reply::{
    Answer, Confirm, Confirming, Cut, Found, Listed, Listing, Reply, SEARCHES, Unlisted,
};
use crate::scope::{Asked, Carried, Plan, Scoped, scope};
use http::StatusCode;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long is looked for what one list lacks.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

impl Exchange<'_> {
    /// Adds to `answers` what they leave out. A large one lists more than others are asked for.
    pub(super) async fn complete(
        &self,
        cut: &Cut,
        carried: &Carried,
        answers: &mut [Option<Answer>],
    ) -> Result<(), Rejection> {
        for (call, answer) in answers.iter_mut().enumerate() {
            let Some(answer) = answer else { continue };
            if let Some(confirm) = cut.confirm() {
                let mut names = Confirming::read(&answer.body)?;
                self.confirm(confirm, &mut names, carried, PATIENCE).await?;
                answer.body = names.written()?;
            }
            let Some(unlisted) = cut.unlisted(call) else { continue };
            if unlisted.exact {
                let found = self.ranged(unlisted, carried, PATIENCE).await?;
                let told = match found.is_settled() {
                    true => Listed::default(),
                    false if answer.body.len() < LARGE_BYTES => Listed::read(&answer.body)?,
                    false => continue,
                };
                answer.body = unlisted.settled(found, told).written()?;
            } else if answer.body.len() < LARGE_BYTES {
                let mut listed = Listed::read(&answer.body)?;
                if !self.others(unlisted, &mut listed, carried, PATIENCE).await?.is_empty() {
                    answer.body = listed.written()?;
                }
            }
        }
        Ok(())
    }

    /// Confirms `names` as far as there is time for it.
    pub(super) async fn confirm(
        &self,
        confirm: &Confirm,
        names: &mut Confirming,
        carried: &Carried,
        patience: Duration,
    ) -> Result<(), Rejection> {
        let deadline = Instant::now() + patience;
        while let Some(asked) = names.search(confirm, self.entries(), carried)? {
            let Some(scoped) = self.scoped(&asked)? else { break };
            let searched = timeout_at(deadline, self.searched(scoped)).await;
            match searched.unwrap_or(Err(Rejection::Timeout)) {
                Ok(body) => names.found(confirm, &body)?,
                Err(why) => {
                    let backend = self.mount.backend.name.as_str();
                    tracing::warn!(backend, %why, "names of tags that the backend lists are not confirmed");
                    break;
                }
            }
        }
        Ok(())
    }

    /// How many entries the caller may ask for at once, where that is limited.
    fn entries(&self) -> Option<u64> {
        self.grant.and_then(|grant| grant.limits()).and_then(|limits| limits.entries)
    }

    /// The values of the range that searches find.
    pub(super) async fn ranged(
        &self,
        unlisted: &Unlisted,
        carried: &Carried,
        patience: Duration,
    ) -> Result<Listed, Rejection> {
        let mut found = Listed::default();
        self.others(unlisted, &mut found, carried, patience).await?;
        Ok(found)
    }

    /// The values that were not `listed`, and are now.
    pub(super) async fn others(
        &self,
        unlisted: &Unlisted,
        listed: &mut Listed,
        carried: &Carried,
        patience: Duration,
    ) -> Result<Vec<Listing>, Rejection> {
        let deadline = Instant::now() + patience;
        let mut others = Vec::new();
        for _ in 0..SEARCHES {
            let Some(asked) = unlisted.search(listed, self.entries(), carried)? else { break };
            let Some(scoped) = self.scoped(&asked)? else { break };
            let searched = timeout_at(deadline, self.searched(scoped)).await;
            let Found { new, more } = match searched.unwrap_or(Err(Rejection::Timeout)) {
                Ok(body) => unlisted.found(listed, self.entries(), &body)?,
                Err(why) => {
                    let backend = self.mount.backend.name.as_str();
                    tracing::warn!(backend, %why, "values of a tag that the backend does not list are not found");
                    break;
                }
            };
            others.extend(new);
            if !more {
                break;
            }
        }
        Ok(others)
    }

    /// A search as the caller could make it, scoped; none if it is over a limit.
    fn scoped(&self, asked: &Asked) -> Result<Option<Scoped>, Rejection> {
        let grant = self.grant.ok_or_else(|| Rejection::Defect("nobody asks".to_owned()))?;
        match scope(grant, &self.mount.backend, asked, &self.stage.limits, None) {
            Ok(Plan::Send(scoped)) => Ok(Some(scoped)),
            Err(Rejection::Query { error, .. }) if error.kind == QueryErrorKind::Defect => {
                self.stage.metrics.disagreement();
                tracing::error!(backend = %self.mount.backend.name, %error, "a search for tags failed its proof");
                Err(Rejection::Defect(error.to_string()))
            }
            Err(defect @ Rejection::Defect(_)) => Err(defect),
            Ok(Plan::Answer(_)) | Err(_) => Ok(None),
        }
    }

    /// What the caller would be answered to a search.
    async fn searched(&self, scoped: Scoped) -> Result<Vec<u8>, Rejection> {
        let (calls, carried, cut) = scoped.into_parts();
        let (Ok([call]), Some(cut)) = (<[_; 1]>::try_from(calls), cut) else {
            return Err(Rejection::Defect("a search is one call, and is cut".to_owned()));
        };
        let upstream = self.send(call, &carried, self.mount.upstream.is_distant()).await?;
        match upstream.status() {
            StatusCode::OK => {
                let (answer, memory) = self.whole(upstream).await?;
                match made(cut, vec![Some(answer)], memory, None).await? {
                    Reply::Found { made, .. } => made.whole(),
                    _ => Err(UpstreamFault::Unexpected.into()),
                }
            }
            status => Err(self.refusal(status, None).await),
        }
    }
}
