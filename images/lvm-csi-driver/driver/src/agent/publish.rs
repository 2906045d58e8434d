//! What the controller is told of the pools: what is free in them, and what is wrong.

use super::pools::ours;
use super::{Agent, members, restart};
use crate::config::PoolConfig;
use crate::object::{Ailing, Key, NodePool, Object, ObjectKind, Quarantined};
use crate::store::StoreError;
use ingot_lvm::{Lane, Space};
use ingot_volume_brain::Bytes;

impl Agent {
    /// Writes down what is free, where it changed. Ends when what was known before it was called stands there.
    pub(crate) async fn publish_pools(&self) {
        self.published.ensure(self.publish_all()).await;
    }

    /// Whether all could be written.
    async fn publish_all(&self) -> bool {
        let mut whole = true;
        for pool in &self.config.pools {
            let key = Key::pool(&self.config.node, &pool.name);
            let mut written = self.publish(pool, &key).await;
            // Somebody else wrote meanwhile: a person, or an agent that has not quite ended.
            for _ in 0..8 {
                if !matches!(
                    written,
                    Err(StoreError::Conflict(_) | StoreError::Exists(_))
                ) {
                    break;
                }
                written = self.publish(pool, &key).await;
            }
            // The next change publishes again; nothing depends on this one.
            whole &= written.is_ok();
        }
        whole
    }

    /// Takes back what was said of pools that are not configured any more: nobody looks after their
    /// room, and nothing may be placed there.
    pub(super) async fn retire_pools(&self) -> Result<(), StoreError> {
        let configured = |name: &str| self.config.pools.iter().any(|pool| pool.name == name);
        for (key, stored) in self.store.list(ObjectKind::Pool).await? {
            let Some(pool) = stored.object.pool() else {
                continue;
            };
            if pool.node == self.config.node && !configured(&pool.pool) {
                match self.store.delete(&key, stored.version).await {
                    // The next look sees what became of it.
                    Ok(()) | Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn publish(&self, pool: &PoolConfig, key: &Key) -> Result<(), StoreError> {
        let stored = self.store.get(key).await?;
        // Read after the object: what is written is never older than what it replaces.
        let status = Object::Pool(Box::new(self.pool_status(pool).await));
        match stored {
            None => self.store.create(key, status).await.map(drop),
            Some(stored) if stored.object == status => Ok(()),
            Some(stored) => self
                .store
                .update(key, stored.version, status)
                .await
                .map(drop),
        }
    }

    /// What can be said of a pool now.
    pub async fn pool_status(&self, pool: &PoolConfig) -> NodePool {
        let thin = pool.thin.as_ref();
        let mut status = NodePool {
            node: self.config.node.clone(),
            topology: self.config.topology(),
            pool: pool.name.clone(),
            vg: pool.volume_group.clone(),
            thin: thin.map(|thin| thin.pool.clone()),
            guard: thin.map(|thin| thin.guard).unwrap_or_default(),
            space: Space::default(),
            quarantined: Vec::new(),
            overwriting: Bytes::ZERO,
            ailing: Vec::new(),
            missing: Vec::new(),
            trouble: None,
        };
        let lane = Lane::Group(pool.volume_group.clone());
        let blocked = self.executor.blocked(&lane);
        match self.inventory.group(&pool.volume_group).await {
            Ok(group) => {
                status.space = Space::of(&group, status.thin.as_ref());
                status.quarantined = Quarantined::of(&group);
                status.overwriting = Self::kept_apart(&group);
                let foreign = ours(pool, &group).err();
                let known = blocked.or(foreign).map(|error| error.to_string());
                let lacking = thin.filter(|thin| group.lv(&thin.pool).is_none());
                let lacking = lacking.map(|thin| {
                    let vg = &pool.volume_group;
                    self.attempts.lacks_thin(&pool.name, vg, &thin.pool)
                });
                status.ailing = Ailing::of(&group);
                status.missing = members::missing(pool, &group);
                let trouble = known.or(lacking).or_else(|| members::protected(&group));
                let trouble = trouble.or_else(|| restart::failure(pool, &group));
                status.trouble = trouble.or_else(|| members::incomplete(pool, &status.missing));
            }
            Err(error) => {
                let attempts = &self.attempts;
                let found = blocked.unwrap_or(error);
                status.trouble = Some(attempts.trouble(&pool.name, &pool.volume_group, found));
            }
        }
        if status.trouble.is_some() {
            status.space = Space::default();
        }
        status
    }
}
