"""Language: words, sentences, boundaries, wording."""
