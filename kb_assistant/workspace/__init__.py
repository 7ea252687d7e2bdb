"""Everything around knowledge bases: their list, folders, jobs, conversations, access, previews."""
