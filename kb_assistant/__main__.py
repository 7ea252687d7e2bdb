"""`python -m kb_assistant` runs `kb`, even if the script isn't on the search path."""

from kb_assistant.cli import main

if __name__ == "__main__":
    main()
