"""Trains what is learned here: chat models on questions and answers (`kb train`), and below reader/ the reader."""
