//! What appears under a watched folder, and whether it has settled.

mod settings;

pub use settings::{Condition, Existing, Mode, Settings};
