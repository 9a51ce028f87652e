import type { Stops } from './foreseen.ts';

/* How long a machine stands still, roughly: for people who choose when to do something. Nothing rests on these. */

/** Memory that is written to, or read from, a disk of today. */
const MEMORY_BYTES_PER_MS = (400 * 1024 * 1024) / 1_000;

/** What is done to one disk while the machine stands: a transaction, an exchange of images, a call of qemu-img. */
const DISK_MS = 25;

/** Stands still while so much memory is moved and so many disks are worked on. */
export const standing = (memoryBytes: number, diskCount: number): Stops => ({
  machine: true,
  estimatedMs: Math.ceil(memoryBytes / MEMORY_BYTES_PER_MS) + DISK_MS * diskCount,
});

export const GOING_ON: Stops = { machine: false, estimatedMs: 0 };

/* In words, where they stand among the commands. */
export const STOP = 'stop the machine';
export const CONT = 'let the machine run again';
