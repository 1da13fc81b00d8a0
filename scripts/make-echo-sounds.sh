#!/usr/bin/env bash
# Makes the two sentences the echo engine can say itself: 24 kHz mono FLAC, spoken by espeak-ng.
set -euo pipefail
cd "$(dirname "$0")/../personaplex_ui/models/echo/sounds"
say() {
  espeak-ng -v en-us+f4 -s 150 -w /tmp/echo-sound.wav "$2"
  sox /tmp/echo-sound.wav -r 24000 -c 1 -b 16 "$1" norm -6 silence 1 0.01 0.1% reverse silence 1 0.01 0.1% reverse
}
say greeting.flac "Hello! This is the echo engine. Say something, and I will say it back to you."
say goodbye.flac "This call ends in ten seconds. Goodbye!"
