"""What identified the input is looked for in the output; what was done is reported."""
