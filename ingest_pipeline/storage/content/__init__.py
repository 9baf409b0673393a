"""Tables of what messages say."""
