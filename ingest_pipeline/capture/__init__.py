"""How bytes come in: exporter runs, landing files and the reader of both."""
