"""What the experiments share: flags, records, files, words."""
