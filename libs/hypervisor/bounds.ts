/** What bounds a piece of work in time, attempts and bytes. Bounds with a single user stand beside it. */

/** A registration may look for 5 s: greeting, negotiation, and the questions, which are asked together. */
export const GREETING_TIMEOUT_MS = 1_500;
export const LOOK_TIMEOUT_MS = 2_000;

/** QEMU answers a transaction after its last fsync. */
export const TRANSACTION_TIMEOUT_MS = 10_000;
export const TRANSACTION_PER_DISK_TIMEOUT_MS = 1_000;

/** Saving and loading memory, and deleting a snapshot that holds some: a floor, and time by size on top. */
export const JOB_TIMEOUT_MS = 30_000;
export const JOB_BYTES_PER_MS = (50 * 1024 * 1024) / 1_000;
/** When QEMU does not say how much memory the machine has. */
export const MEMORY_BYTES_ASSUMED = 16 * 1024 ** 3;

/** `cont`, `stop` and other commands that QEMU answers without touching a disk. */
export const POWER_TIMEOUT_MS = 5_000;

/** A capture needs a new first-level table and a few refcount blocks on every disk. */
export const FREE_BYTES_MIN = 4 * 1024 * 1024;

/** Undo and roll-forward: rounds of look, remove, look. The pauses double: 3.1 s in all. */
export const REMOVAL_ROUNDS_MAX = 6;
export const REMOVAL_PAUSE_MS = 100;

/** The same load again, as often as it may be repeated before the machine is held. */
export const LOAD_ATTEMPTS_MAX = 4;
export const LOAD_PAUSE_MS = 250;

/** `cont` or `stop`, and a look whether it came to be. */
export const POWER_ATTEMPTS_MAX = 3;

/** An image is repaired only after the monitor refused for this long: a QEMU that restarts must not meet our lock. */
export const SETTLE_MS = 3_000;
export const SETTLE_PROBE_MS = 500;
