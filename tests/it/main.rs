//! The one integration binary: linking is costly.

mod storage;
mod weed;
