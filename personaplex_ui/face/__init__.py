"""A face that says a sound: drawn here, in the look of the page's own, and written as MP4."""
