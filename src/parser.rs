//! The standard's stream interpretation.
