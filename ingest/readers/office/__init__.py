"""Office documents: Word, sheets, presentations, OpenDocument, RTF."""
