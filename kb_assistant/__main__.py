"""`python -m kb_assistant` is `kb`, also where the script isn't on the search path."""

from kb_assistant.cli import main

if __name__ == "__main__":
    main()
