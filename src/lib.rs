//! The C library: one thin file a concept, which checks, converts and delegates to the engine. What a C program sees is
//! `include/tidegate.h`, generated from these files by `build.rs`.
//!
//! Where to find what: `guard` keeps panics inside; `convert` holds every conversion of a raw pointer; `shown` puts
//! values into the words of an error; `registry` finds the loop or poller behind an id; `callbacks` and `batch_sink` are the
//! two ways events leave; the other files are the chapters of the header.

#![allow(non_camel_case_types)]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("Tidegate's ids are made for 64-bit targets");
#[cfg(not(panic = "unwind"))]
compile_error!("the panic guard needs panic = \"unwind\"");

// First, because the others use their macros.
#[macro_use]
mod guard;
#[macro_use]
mod registry;
#[macro_use]
mod convert;
#[macro_use]
pub mod handle;

pub mod group;

pub mod address;
pub mod asyncs;
pub mod batch;
mod batch_sink;
mod callbacks;
pub mod conn;
pub mod error;
pub mod event_loop;
pub mod file;
pub mod hooks;
mod inject;
pub mod io;
pub mod listener;
pub mod poller;
pub mod process;
pub mod rate;
pub mod resolve;
mod shown;
pub mod signal;
mod sink;
pub mod timer;
pub mod types;
pub mod udp;
pub mod version;
pub mod watch;
pub mod work;
