"""What keeps a knowledge base sound: verify, rebuild, doctor."""
