"""The daemon's database: one SQLite file, or one PostgreSQL database for many hosts."""
