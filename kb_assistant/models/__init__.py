"""Sources of models: the catalogue, downloads, the folder of installed models."""
