#pragma once

/// Reads the byte behind an allocation of as many bytes.
int probe_read_behind(unsigned count);

/// Has two threads count in one variable without a lock.
void probe_race(void);
