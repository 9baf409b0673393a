"""DiscordChatExporter: installed, run, and its output read."""
