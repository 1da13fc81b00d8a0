"""Sound that arrives as network packets: reordering, packet loss concealment, measurement. No I/O."""
