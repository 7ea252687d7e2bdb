"""The knowledge bases over HTTP and MCP: OpenAI's routes, Dify's, and an API of their own, behind one gate."""
