"""A reader: one network that reads a question, the turns before it and a passage together.

It tells whether the passage is relevant, whether it holds the answer, and where. inputs.py makes the network's
input; weights.safetensors holds what was learned (kb_assistant/training/reader), on top of the embedder
multilingual-e5-small; `kb train reader` makes others.
"""
