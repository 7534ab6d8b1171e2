#pragma once

/// Reads the byte behind an allocation of `count` bytes.
int probe_read_behind(unsigned count);

/// Increments one variable on two threads without a lock.
void probe_race(void);
