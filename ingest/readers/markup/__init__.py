"""Text with marks: HTML, XML, books, Markdown and its kin."""
