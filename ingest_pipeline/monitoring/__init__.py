"""The state of the pipeline, from the database alone."""
