"""What stands in and beside the samples of Pixel Data."""
