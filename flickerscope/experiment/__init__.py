"""Does the frame loss make models flicker, and does the difference loss help? An experiment."""
