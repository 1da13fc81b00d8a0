"""The password of apps under test that have one."""

PASSWORD = "an open secret"
HEADERS = {"X-App-Password": PASSWORD}
VARIABLES = {"APP_PASSWORD": PASSWORD}
