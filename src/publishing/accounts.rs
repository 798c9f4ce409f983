//! Accounts, topics and keys.

use sqlx::types::Json;

use super::{Error, Publishing, once};
use crate::catalogue::account::Account;
use crate::catalogue::key::Key;
use crate::catalogue::topic::Topic;
use crate::catalogue::{self, Conn, account, key, search, setting, topic};
use crate::domain::account::{Handle, Level};
use crate::domain::key::{Role, Secret};
use crate::domain::topic::Slug;
use crate::domain::version::Guarded;
use crate::domain::video::{MAX_NAME_CHARS, check_line, check_texts};
use crate::domain::{AccountId, KeyId, Language, TextChange, Texts, TopicId};

/// The setting whose row is locked while an account gets another one above it: two such changes that each see the tree
/// without the other could close a circle.
const ACCOUNT_TREE: &str = "account_tree";

/// What is said of an account.
#[derive(Debug, Clone)]
pub struct AccountDraft {
    pub name: Texts,
    pub sector: String,
    pub level: Level,
    pub region: String,
    pub parent: Option<Handle>,
    pub max_video_bytes: Option<u64>,
    pub quota_bytes: Option<u64>,
}

/// What is said of a topic.
#[derive(Debug, Clone)]
pub struct TopicDraft {
    pub name: Texts,
}

/// What is said of a key.
#[derive(Debug, Clone)]
pub struct KeyDraft {
    pub account: Option<AccountId>,
    pub role: Role,
    pub label: String,
}

impl Publishing {
    /// Adds a verified account.
    pub async fn add_account(&self, handle: Handle, draft: AccountDraft) -> Result<Account, Error> {
        if once::made::<Handle>().is_some() {
            let found = account::find(self.db.read().await?.conn(), &handle).await?;
            return found.ok_or(Error::NotFound("account"));
        }
        let now = self.clock.now();
        let account = Account {
            id: AccountId::new(),
            handle,
            name: Json(draft.name),
            sector: draft.sector,
            level: draft.level,
            region: draft.region,
            parent: draft.parent,
            max_video_bytes: bytes(draft.max_video_bytes),
            quota_bytes: bytes(draft.quota_bytes),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.db.begin().await?;
        check_account(tx.conn(), &account).await?;
        account::insert(tx.conn(), &account).await.map_err(|error| match error {
            catalogue::Error::Taken { .. } => Error::HandleTaken(account.handle.clone()),
            other => other.into(),
        })?;
        once::note(&mut tx, &account.handle).await?;
        tx.commit().await?;
        Ok(account)
    }

    /// Changes what is said of an account, from what is said of it now; its handle stays.
    pub async fn change_account(
        &self,
        of: impl Into<Guarded<Handle>>,
        change: impl FnOnce(AccountDraft) -> AccountDraft,
    ) -> Result<Account, Error> {
        let of = of.into();
        let mut tx = self.db.begin().await?;
        let found = account::find(tx.conn(), &of.id).await?.ok_or(Error::NotFound("account"))?;
        setting::set(tx.conn(), ACCOUNT_TREE, "").await?;
        account::lock(tx.conn(), found.id).await?;
        let before = account::find(tx.conn(), &of.id).await?.ok_or(Error::NotFound("account"))?;
        if !of.expected.allows(before.version) {
            return Err(Error::Version { actual: before.version });
        }
        let draft = change(draft_of(&before));
        let is_renamed = draft.name != before.name.0;
        let account = Account {
            name: Json(draft.name),
            sector: draft.sector,
            level: draft.level,
            region: draft.region,
            parent: draft.parent,
            max_video_bytes: bytes(draft.max_video_bytes),
            quota_bytes: bytes(draft.quota_bytes),
            version: before.version + 1,
            updated_at: self.clock.now(),
            ..before
        };
        check_account(tx.conn(), &account).await?;
        account::update(tx.conn(), &account).await?;
        if is_renamed {
            search::forget_account(tx.conn(), account.id).await?;
        }
        tx.commit().await?;
        Ok(account)
    }

    /// Adds a topic below one that is there.
    pub async fn add_topic(&self, slug: Slug, draft: TopicDraft) -> Result<Topic, Error> {
        check_texts("name", &draft.name, MAX_NAME_CHARS)?;
        if once::made::<Slug>().is_some() {
            let found = topic::find(self.db.read().await?.conn(), &slug).await?;
            return found.ok_or(Error::NotFound("topic"));
        }
        let now = self.clock.now();
        let topic = Topic {
            id: TopicId::new(),
            slug,
            name: Json(draft.name),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.db.begin().await?;
        self.add_missing_parents(tx.conn(), &topic.slug).await?;
        topic::insert(tx.conn(), &topic).await.map_err(|error| match error {
            catalogue::Error::Taken { .. } => Error::SlugTaken(topic.slug.clone()),
            other => other.into(),
        })?;
        once::note(&mut tx, &topic.slug).await?;
        tx.commit().await?;
        Ok(topic)
    }

    /// A topic may come before those above it: they are added under their slug's own words, to be named later.
    async fn add_missing_parents(&self, mut conn: Conn<'_>, slug: &Slug) -> Result<(), Error> {
        let now = self.clock.now();
        for step in slug.path().into_iter().filter(|step| step != slug) {
            if topic::find(conn.again(), &step).await?.is_none() {
                let name = Json(Texts::one(Language::english(), step.words()));
                let topic = Topic {
                    id: TopicId::new(),
                    slug: step,
                    name,
                    version: 1,
                    created_at: now,
                    updated_at: now,
                };
                topic::insert(conn.again(), &topic).await?;
            }
        }
        Ok(())
    }

    /// Changes a topic's names; a plain one is English.
    pub async fn change_topic(
        &self,
        of: impl Into<Guarded<Slug>>,
        name: impl Into<TextChange>,
    ) -> Result<Topic, Error> {
        let of = of.into();
        let mut tx = self.db.begin().await?;
        let found = topic::find(tx.conn(), &of.id).await?.ok_or(Error::NotFound("topic"))?;
        topic::lock(tx.conn(), found.id).await?;
        let before = topic::find(tx.conn(), &of.id).await?.ok_or(Error::NotFound("topic"))?;
        if !of.expected.allows(before.version) {
            return Err(Error::Version { actual: before.version });
        }
        let name = name.into().apply(&before.name, &Language::english());
        check_texts("name", &name, MAX_NAME_CHARS)?;
        let version = before.version + 1;
        let topic = Topic { name: Json(name), version, updated_at: self.clock.now(), ..before };
        topic::update(tx.conn(), &topic).await?;
        search::forget_topic(tx.conn(), &topic.slug).await?;
        tx.commit().await?;
        Ok(topic)
    }

    /// Issues a key; the secret is in the answer and nowhere else.
    pub async fn issue_key(&self, draft: KeyDraft) -> Result<(Key, Secret), Error> {
        let secret = Secret::generate();
        let key = self.keep_key(draft, &secret).await?;
        Ok((key, secret))
    }

    /// Keeps a key whose secret an operator chose (`POLICAST_ADMIN_KEY`).
    pub async fn keep_key(&self, draft: KeyDraft, secret: &Secret) -> Result<Key, Error> {
        check_line("label", &draft.label, MAX_NAME_CHARS)?;
        let mut tx = self.db.begin().await?;
        let account = match draft.account {
            Some(id) => account::find_by_id(tx.conn(), id).await?.map(|account| account.handle),
            None => None,
        };
        let key = Key {
            id: KeyId::new(),
            account,
            account_id: draft.account,
            role: draft.role,
            label: draft.label,
            created_at: self.clock.now(),
            revoked_at: None,
        };
        key::insert(tx.conn(), &key, &secret.digest()).await?;
        if let Some(before) = once::made() {
            // Nobody has seen its secret.
            key::revoke(tx.conn(), before, key.created_at).await?;
        }
        once::note(&mut tx, key.id).await?;
        tx.commit().await?;
        let account = key.account.as_ref().map(ToString::to_string);
        tracing::info!(issued = %key.id, role = %key.role, account, "key issued");
        Ok(key)
    }

    /// Revokes a key at once; the last operator's stays, or nobody could run the instance.
    pub async fn revoke_key(&self, id: KeyId) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        key::lock_operators(tx.conn()).await?;
        let found = key::find(tx.conn(), id).await?;
        let operator = found.is_some_and(|key| key.is_operator() && key.revoked_at.is_none());
        if operator && key::count_operators(tx.conn()).await? == 1 {
            return Err(Error::LastOperator);
        }
        key::revoke(tx.conn(), id, self.clock.now()).await?;
        tx.commit().await?;
        self.changes.tell_keys();
        tracing::info!(revoked = %id, "key revoked");
        Ok(())
    }
}

fn draft_of(account: &Account) -> AccountDraft {
    let kept = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
    AccountDraft {
        name: account.name.0.clone(),
        sector: account.sector.clone(),
        level: account.level,
        region: account.region.clone(),
        parent: account.parent.clone(),
        max_video_bytes: kept(account.max_video_bytes),
        quota_bytes: kept(account.quota_bytes),
    }
}

fn bytes(limit: Option<u64>) -> Option<i64> {
    limit.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}

async fn check_account(mut conn: Conn<'_>, account: &Account) -> Result<(), Error> {
    check_texts("name", &account.name, MAX_NAME_CHARS)?;
    check_line("sector", &account.sector, MAX_NAME_CHARS)?;
    check_line("region", &account.region, MAX_NAME_CHARS)?;
    let mut above = account.parent.clone();
    while let Some(handle) = above {
        if handle == account.handle {
            return Err(Error::ParentCycle(handle));
        }
        let parent = account::find(conn.again(), &handle).await?;
        above = parent.ok_or(Error::UnknownAccount(handle))?.parent;
    }
    Ok(())
}
