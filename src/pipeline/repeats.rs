//! Answers that are given again as they are: reads of a trajectory to which nothing happened.

use std::sync::Arc;

use recap_core::context::ContextRequest;

use super::serve_context::Context;

/// Lines of reads whose answers are kept, for each trajectory.
const MOST: usize = 4;

/// The newest reads since the trajectory last changed, by what they asked for.
///
/// The second answer to a request says what its receipt will say from then on: that the whole context is what the
/// line's last read was. So the first answer is only noted and the second is kept.
#[derive(Default)]
pub struct Repeats(Vec<(ContextRequest, Option<Arc<Context>>)>);

impl Repeats {
    /// Returns the answer that this request gets.
    #[must_use]
    pub fn of(&self, request: &ContextRequest) -> Option<Arc<Context>> {
        self.0.iter().find(|(asked, _)| asked == request).and_then(|(_, answer)| answer.clone())
    }

    /// Notes the answer to a read.
    pub fn note(&mut self, request: ContextRequest, answer: &Arc<Context>) {
        if answer.served.new_epoch.is_some() {
            self.clear();
        }
        if let Some((_, kept)) = self.0.iter_mut().find(|(asked, _)| *asked == request) {
            *kept = Some(Arc::clone(answer));
            return;
        }
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push((request, None));
    }

    /// Forgets all answers: the trajectory changed.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
