//! The playbook that a trajectory is served with, and the points by which its epochs choose from it.

use std::sync::Arc;

use recap_core::context::{ContextRequest, LessonBounds, LessonWords, Lessons, Meaning};
use recap_core::trajectory::OriginalHash;

use super::Pipeline;
use super::failure::Failure;
use super::live::Live;
use crate::store::PlaybookRow;

/// What an encoder made of the words of a live trajectory.
#[derive(Default)]
pub struct Meant {
    /// The address of the words.
    words: Option<OriginalHash>,
    /// Their point.
    point: Option<Arc<[f32]>>,
    /// Whether another one is being made.
    is_asked: bool,
}

impl Pipeline {
    /// Hands a live trajectory its playbook as it stands now, with the points that are there. Epochs that it is served from
    /// keep what they show.
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
        self.bring_meaning(live).await;
        Ok(())
    }

    /// Hands over the points that are there; makes none.
    async fn bring_meaning(&self, live: &mut Live) {
        let (Some(point), Some(lessons)) = (&live.meant.point, live.session.lessons_mut()) else { return };
        if lessons.meaning().is_some_and(|meaning| Arc::ptr_eq(&meaning.query, point)) {
            return;
        }
        let Some(bullets) = self.inner.embeddings.known_of(&lessons.words()).await else { return };
        lessons.set_meaning(Some(Meaning { by: self.inner.embeddings.maker(), bullets, query: Arc::clone(point) }));
    }

    /// Has an encoder read the task of a trajectory that names a playbook, as soon as it is there.
    pub(super) async fn embed_task_later(&self, live: &mut Live) {
        let is_wanted = live.row.playbook.is_some() && live.meant.words.is_none() && self.inner.embeddings.can_embed();
        if !is_wanted {
            return;
        }
        if let Err(error) = self.bring_lessons(live).await {
            tracing::warn!(%error, trajectory = live.row.id, "the task is not embedded: its playbook cannot be read");
            return;
        }
        let words = live.session.lesson_words(None);
        self.embed_later(live, words);
    }

    /// Has an encoder read what the next epoch on a line of reads would choose bullets by: once there is a task, and again
    /// where an epoch is near. A read waits for none of it (law 6); what is not ready then is chosen by words.
    pub(super) fn embed_for_next(&self, live: &mut Live, request: &ContextRequest, is_near: bool) {
        let has_points = live.session.lessons().is_some_and(|lessons| lessons.meaning().is_some());
        let is_wanted = (is_near || !has_points) && self.inner.embeddings.can_embed();
        if is_wanted && live.session.chooses_lessons(request) {
            let words = live.session.lesson_words(request.query.as_deref());
            self.embed_later(live, words);
        }
    }

    fn embed_later(&self, live: &mut Live, words: Option<LessonWords>) {
        let (Some(words), Some(lessons)) = (words, live.session.lessons()) else { return };
        let address = address_of(&words);
        if live.meant.is_asked || (live.meant.words == Some(address) && lessons.meaning().is_some()) {
            return;
        }
        let (own, id) = (self.clone(), live.row.id.clone());
        let (playbook, playbook_words) = (Arc::clone(lessons.playbook()), lessons.words());
        live.meant.is_asked = true;
        self.inner.tasks.spawn(async move {
            let point = own.inner.embeddings.in_turn(&playbook, playbook_words, Some(&words)).await;
            let mut slot = own.inner.sessions.slot(&id).await;
            // Nothing is live after a failure or an erasure: then nothing is to be handed over.
            let Some(live) = slot.as_mut() else { return };
            live.meant.is_asked = false;
            if point.is_some() {
                live.meant.words = Some(address);
                live.meant.point = point;
            }
        });
    }

    /// Has an encoder read the bullets of a playbook that was changed, before a trajectory needs them.
    pub(super) fn embed_playbook_later(&self, row: &PlaybookRow) {
        if !self.inner.embeddings.can_embed() {
            return;
        }
        let (own, playbook) = (self.clone(), Arc::clone(&row.playbook));
        self.inner.tasks.spawn(async move {
            let words = playbook.words_hash();
            if own.inner.embeddings.waits(words) {
                own.inner.embeddings.in_turn(&playbook, words, None).await;
                own.inner.embeddings.had_its_turn(&words);
            }
        });
    }
}

fn address_of(words: &LessonWords) -> OriginalHash {
    OriginalHash::of(&[words.task.as_str(), words.recent.join("\n").as_str()].join("\0"))
}
