"""From what was found to an answer: history, prompts, the chain, checked citations."""
