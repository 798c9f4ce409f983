//! The integration tests: our rooms put together, on SQLite and PostgreSQL.

mod postgres;
