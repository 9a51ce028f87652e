import { classifyRefusal } from '#qmp';
import type { Finished } from '#world';
import type { ImageHealth } from './image.ts';

/* What qemu-img means by its exit code and its words. */

/** What `qemu-img check` exits with: sound, corrupt, leaking only, a format that cannot be checked. */
const CHECK = { sound: 0, corrupt: 2, leaking: 3, unsupported: 63 } as const;

/** Of `qemu-img check`. */
export function healthOf(finished: Finished): ImageHealth {
  switch (finished.code) {
    case CHECK.sound:
    case CHECK.unsupported:
      return { kind: 'clean' };
    case CHECK.leaking:
      return { kind: 'leaking' };
  }
  return { kind: isLocked(finished) ? 'locked' : 'damaged', words: wordsOf(finished) };
}

/** Whether another process has the image open. */
export const isLocked = ({ stderr }: Finished): boolean => classifyRefusal(stderr) === 'locked';

/** What qemu-img said, without its name in front of every line. */
export const wordsOf = ({ code, stderr }: Finished): string =>
  stderr.replaceAll(/^qemu-img: /gm, '').trim() || `qemu-img ended with ${code ?? 'a signal'}`;
