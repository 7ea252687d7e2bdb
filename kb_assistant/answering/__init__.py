"""From passages to an answer: history, prompts, the chain, checked citations."""
