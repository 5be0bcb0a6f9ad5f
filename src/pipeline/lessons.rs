//! The playbook that a trajectory is served with.

use std::sync::Arc;

use recap_core::context::{LessonBounds, Lessons};

use super::Pipeline;
use super::failure::Failure;
use super::live::Live;

impl Pipeline {
    /// Hands a live trajectory its playbook as it stands now. Epochs that it is served from keep what they show.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub(super) async fn bring_lessons(&self, live: &mut Live) -> Result<(), Failure> {
        let Some(name) = live.row.playbook.clone() else { return Ok(()) };
        let Some(shelved) = self.playbook_for(&live.row.namespace, &name).await? else {
            live.session.set_lessons(None);
            return Ok(());
        };
        let own = &self.config().playbook;
        let bounds = LessonBounds { share: own.share, tokens: shelved.budget.unwrap_or(own.budget) };
        let is_known = |known: &Lessons| known.is(&name, shelved.playbook.version, bounds);
        if !live.session.lessons().is_some_and(is_known) {
            let lessons = Lessons::new(name, Arc::clone(&shelved.playbook), bounds, self.world().now_ms());
            live.session.set_lessons(Some(lessons));
        }
        Ok(())
    }
}
