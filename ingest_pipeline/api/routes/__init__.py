"""One module of routes for each thing that the HTTP interface serves."""
