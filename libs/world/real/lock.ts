import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import type { Lock, TakeLock } from '../world.ts';

/**
 * A socket in the abstract namespace (unix(7)): one process can be bound to a name, the kernel lets go of it with its last
 * descriptor, which no child inherits, and no file is left. Node offers no other lock that ends with its process.
 */
export const realLock: TakeLock = (name) =>
  new Promise<Lock | null>((resolve, reject) => {
    const server = createServer((caller) => caller.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen({ path: addressOf(name) }, () => {
      server.unref(); // It is to keep others away, and not its process alive.
      resolve({ release: () => void server.close() });
    });
  });

/** Names may be longer than an address (108 bytes). */
const addressOf = (name: string): string => `\0snapledger-${createHash('sha256').update(name).digest('hex')}`;
