"""The Streamlit page. It will call the public API of kb_assistant and nothing below it."""
