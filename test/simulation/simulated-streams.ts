import { createHash } from 'node:crypto';
import { ConnectTrouble, FileTrouble, type Measure, type Receiving, type Streams } from '#world';
import type { SavedMemory } from './qemu/content.ts';
import type { SimulatedHost } from './simulated-host.ts';

const CONNECT_MS = 0.1;
const WRITE_MS = 1;

/** How one process waits: whoever is dead by then never hears of it. */
export type Later = <T>(ms: number, what: string, produce: () => T) => Promise<T>;

/** What one process sends and receives between sockets and files. `onDeath` is called with what its death undoes. */
export function streamsOf(host: SimulatedHost, later: Later, onDeath: (undo: () => void) => void): Streams {
  const { files, receivers, incoming } = host;

  function receive(path: string, file: string): Receiving {
    if (files.stat(file))
      throw new FileTrouble('EEXIST', file, `EEXIST: file already exists, open '${file}'`);
    files.append(file, '');
    files.make(path, 'socket');
    const { promise: received, resolve, reject } = Promise.withResolvers<Measure>();
    received.catch(() => undefined); // Whoever closes need not wait for it.
    let isOpen = true;
    const close = (): void => {
      isOpen = false;
      receivers.delete(path);
      files.unlink(path);
      reject(new FileTrouble('ECANCELED', file, 'it was closed'));
    };
    const keep = (memory: SavedMemory | null): void => {
      if (memory) files.putMemory(file, memory);
      void later(WRITE_MS, `has received ${file}`, () => measureOf(files.text(file))).then(resolve, reject);
    };
    receivers.set(path, {
      get isOpen() {
        return isOpen;
      },
      take: (text) => {
        try {
          files.append(file, text);
        } catch (error) {
          isOpen = false;
          reject(error);
        }
      },
      end: (memory) => {
        if (isOpen) keep(memory);
        isOpen = false;
      },
    });
    onDeath(() => {
      isOpen = false;
      receivers.delete(path);
    });
    return { received, close };
  }

  return {
    receive: (path, file) => later(CONNECT_MS, `receives into ${file}`, () => receive(path, file)),
    send: (file, path) =>
      later(CONNECT_MS, `sends ${file}`, () => {
        files.text(file);
        const taker = incoming.get(path);
        if (!taker) throw new ConnectTrouble('ENOENT', path, `connect ENOENT ${path}`);
        return new Promise<void>((resolve, reject) => {
          taker(files.memory(file) ?? null, (isTaken) => {
            if (isTaken) resolve();
            else reject(new ConnectTrouble('other', path, `write ECONNRESET ${path}`));
          });
        });
      }).then((sent) => sent),
    measure: (file) => later(CONNECT_MS, `measures ${file}`, () => measureOf(files.text(file))),
  };
}

const measureOf = (text: string): Measure => ({
  sizeBytes: Buffer.byteLength(text),
  sha256: createHash('sha256').update(text).digest('hex'),
});
