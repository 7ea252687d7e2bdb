"""Where models come from: the catalogue, downloads, the folder of installed ones."""
