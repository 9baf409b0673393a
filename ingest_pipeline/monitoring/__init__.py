"""What the pipeline is doing, told from the database alone."""
