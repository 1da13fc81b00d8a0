"""Plain HTTP around the page: routes, the browser's cookie, and downloads."""
