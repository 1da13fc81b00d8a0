"""Sound: frames, resampling, levels and the stereo recording. Independent of asyncio, torch and calls."""
