"""Chat models: engines behind one protocol, which one a setting names, and what it can do."""
