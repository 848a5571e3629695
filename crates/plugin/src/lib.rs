//! Plug-in traits and the neutral built-ins.
