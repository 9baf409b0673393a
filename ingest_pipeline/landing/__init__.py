"""Raw bytes on disk: the format of exports and its reader, the landing store, the gateway's spool."""
