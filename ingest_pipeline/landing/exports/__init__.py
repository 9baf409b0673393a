"""The format of exports and its reader."""
