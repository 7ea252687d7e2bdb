"""Mail: messages, mailboxes, Outlook, signed messages and attachments."""
