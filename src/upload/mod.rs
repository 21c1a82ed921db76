//! The bounded pool, and one sample's way from its recorded state to done.

mod settings;

pub use settings::Settings;
