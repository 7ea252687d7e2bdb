"""Plain text, code, subtitles, delimited and JSON data."""
