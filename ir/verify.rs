//! The rules every graph keeps.
