"""Files that people have: found, recognized, and read out of archives."""
