/// The state of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Its files are being read. Requests wait.
    Loading,
    /// It answers.
    Ready,
    /// It could not be loaded or panicked. Every request is refused with this reason, for good.
    Failed {
        /// The error's or panic's message.
        why: String,
    },
    /// Its thread was told to end and did.
    Stopped,
}
