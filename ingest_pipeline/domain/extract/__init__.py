"""What messages say: parsers from text to typed facts."""
