"""From a question to passages: query views, dense and keyword search, fusion, relevance."""
