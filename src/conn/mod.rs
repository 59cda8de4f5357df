//! Connections, in several chapters.

pub mod flow;
pub mod open;
pub mod options;
pub mod settings;
pub mod write;
