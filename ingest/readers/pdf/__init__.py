"""PDF: text, columns, tables, annotations."""
