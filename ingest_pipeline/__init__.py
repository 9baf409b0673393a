"""Discord messages into a database you own: complete, exact, fresh and provably so."""
