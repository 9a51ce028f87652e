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

/** Opening and closing an image, and putting it under a device. */
export const GRAPH_TIMEOUT_MS = 10_000;

/** An image that a job had open, to be closed once that has ended: 1 s in all. */
export const RELEASE_ATTEMPTS_MAX = 20;
export const RELEASE_PAUSE_MS = 50;

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

/** A guest agent that is there answers at once. Freezing waits for what the guest has in flight. */
export const AGENT_TIMEOUT_MS = 3_000;
export const FREEZE_TIMEOUT_MS = 10_000;
export const THAW_TIMEOUT_MS = 10_000;
/** A guest that stays frozen hangs: asked this often, then it is told in words. */
export const THAW_ATTEMPTS_MAX = 3;

/** An image is repaired only after the monitor refused for this long: a QEMU that restarts must not meet our lock. */
export const SETTLE_MS = 3_000;
export const SETTLE_PROBE_MS = 500;

/** A migration that has ended, or was told to, says so at once. Asked ever more seldom. */
export const MIGRATION_END_TIMEOUT_MS = 10_000;
export const MIGRATION_AGAIN_MS = 5;
export const MIGRATION_AGAIN_MAX_MS = 200;

/** One of the operator's commands that start and end machines. */
export const LAUNCHER_TIMEOUT_MS = 60_000;
/** From the end of such a command until QEMU answers, or is gone. */
export const LAUNCH_TIMEOUT_MS = 30_000;
export const LAUNCH_PROBE_MS = 100;
/** A machine that does not come, or not with its memory, as often as it is started for one load by one worker. */
export const LAUNCH_ATTEMPTS_MAX = 3;

/** Jobs that copy whole disks. */
export const COPY_JOB_TIMEOUT_MS = 6 * 60 * 60_000;

/** `stop` when there may be much that is not on disk yet. */
export const FLUSH_TIMEOUT_MS = 120_000;

/** Copying between layers, as often as it is refused before it is given up. */
export const FOLD_ATTEMPTS_MAX = 3;
export const FOLD_PAUSE_MS = 250;

/** Files whose sight is remembered from one survey to the next: some 100 bytes for each of their snapshots. */
export const LAYER_LOOKS_MAX = 10_000;
