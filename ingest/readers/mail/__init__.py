"""Mail: messages, mailboxes, Outlook, what is signed and attached."""
