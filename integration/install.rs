//! `install` and `uninstall`, killed at every system call, side by side, and against others who write the same lists.

mod killed;
mod on_a_node;
mod refused;
mod rivals;
