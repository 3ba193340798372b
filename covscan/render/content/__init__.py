"""What each section of a rendered report says, for any format that draws prose and tables."""
