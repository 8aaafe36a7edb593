"""Pages in a real browser. A package, so that its browser and its platform end with it."""
