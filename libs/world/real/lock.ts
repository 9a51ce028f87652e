import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import type { Lock, TakeLock } from '../world.ts';

/**
 * A socket in the abstract namespace (unix(7)): one process can be bound to a name, the kernel lets go of it with its last
 * descriptor, which no child inherits, and no file is left. Node offers no other lock that ends with its process. Whoever
 * has a network namespace of its own, as a container has, has names of its own as well, and is kept away by none of these.
 */
export const realLock: TakeLock = (name) =>
  new Promise<Lock | null>((resolve, reject) => {
    const server = createServer((caller) => caller.destroy());
    // Stays for as long as it listens: that a caller cannot be taken is no trouble of ours.
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen({ path: addressOf(name) }, () => {
      server.unref(); // It is to keep others away, and not its process alive.
      resolve({ release: () => void server.close() });
    });
  });

const ADDRESS_BYTES = 108;

/** Names may be longer than an address. One that is shorter is filled up by some versions of Node, and by others is not. */
const addressOf = (name: string): string =>
  `\0snapledger-${createHash('sha256').update(name).digest('hex')}`.padEnd(ADDRESS_BYTES, '-');
