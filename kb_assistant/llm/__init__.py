"""Chat models: engines behind one protocol, their choice by a setting, and their capabilities."""
