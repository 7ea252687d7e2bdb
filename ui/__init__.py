"""The Streamlit page. It calls the public API of kb_assistant and nothing below it."""
