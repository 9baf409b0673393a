"""Trade setups: from the text of a message to planned trades."""
