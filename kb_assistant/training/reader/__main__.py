"""`python -m kb_assistant.training.reader …` trains a reader: see train.py."""

from kb_assistant.training.reader.train import main

if __name__ == "__main__":
    main()
