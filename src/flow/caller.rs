//! Who asks: what the server says nobody is told as well as us, and so is worth only what `GET /me` says before and
//! after it. A search finds nothing for a bad token, and a file is not there.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::client::{Client, Me};
use super::error::Error;
use super::samples::Owner;

/// How long the server's word for who we are holds, while the token stays the same.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// Who the server said we are, and under which token.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub me: Me,
    /// How many tokens came before that one.
    pub token: u64,
    /// When the question left.
    pub asked: Instant,
}

/// The server's latest word.
#[derive(Debug, Default)]
pub(super) struct Callers {
    last: std::sync::Mutex<Option<Caller>>,
    /// Held while it is asked: those who want to know at the same time share one answer.
    asking: tokio::sync::Mutex<()>,
}

impl Callers {
    pub fn remember(&self, caller: Caller) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(caller);
    }

    fn last(&self) -> Option<Caller> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Client {
    /// Whether the server says who we are at all. Where it does not, nothing that it says nobody is told can be believed.
    ///
    /// # Errors
    /// As for [`Client::me`], but for a question that it does not know.
    pub async fn is_told_who_it_is(&self) -> Result<bool, Error> {
        match self.caller().await {
            Err(error) if error.status() == Some(404) => Ok(false),
            caller => caller.map(|_| true),
        }
    }

    /// Who we are, to go before a question that a bad token would be answered as well: the server's word for it may be
    /// a minute old, under the token that is in use.
    ///
    /// # Errors
    /// As for [`Client::me`].
    pub(super) async fn caller(&self) -> Result<Caller, Error> {
        self.caller_if(|caller| caller.asked.elapsed() < KNOWN_FOR).await
    }

    /// Who we are, to go after such a question, which was answered by now: an older word does not tell whether the
    /// token was still good then. What was said between two callers of the same token was said to us.
    ///
    /// # Errors
    /// As for [`Client::me`].
    pub(super) async fn caller_still(&self) -> Result<Caller, Error> {
        let answered = Instant::now();
        self.caller_if(|caller| caller.asked >= answered).await
    }

    async fn caller_if(&self, is_good: impl Fn(&Caller) -> bool) -> Result<Caller, Error> {
        let _one_at_a_time = self.callers().asking.lock().await;
        loop {
            let token = self.token_generation().await;
            if let Some(caller) = self.callers().last().filter(|caller| caller.token == token && is_good(caller)) {
                return Ok(caller);
            }
            self.me().await?;
        }
    }
}

impl Me {
    /// Whether something can be the account's own, by what is said of its owner. Where nothing is said, it can.
    pub(super) fn may_own(&self, owner: Option<&Owner>) -> bool {
        match (&self.username, owner.and_then(|owner| owner.username.as_ref())) {
            (Some(me), Some(owner)) => me == owner,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_anothers_is_not_ours_and_what_is_nobodys_can_be() {
        let me = |name: Option<&str>| Me { id: None, username: name.map(str::to_owned) };
        let owner = |name: Option<&str>| Owner { username: name.map(str::to_owned), name: Some("A Name".to_owned()) };
        assert!(me(Some("alice")).may_own(Some(&owner(Some("alice")))));
        assert!(!me(Some("alice")).may_own(Some(&owner(Some("bob")))));
        assert!(me(Some("alice")).may_own(Some(&owner(None))) && me(Some("alice")).may_own(None));
        assert!(me(None).may_own(Some(&owner(Some("bob")))));
    }
}
