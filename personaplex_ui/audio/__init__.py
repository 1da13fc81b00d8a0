"""Sound: frames, resampling, levels, the stereo recording. No asyncio, no torch, no callers."""
