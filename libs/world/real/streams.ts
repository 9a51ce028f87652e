import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { addAbortSignal } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ConnectTrouble, FileTrouble } from '../trouble.ts';
import type { Measure, Receiving, Streams } from '../world.ts';
import { told } from './files.ts';

export const realStreams: Streams = {
  async receive(path, file, { sizeBytesMax }) {
    const handle = await told(file, () => open(file, 'wx', 0o600));
    const stopping = new AbortController();
    const server = createServer();
    try {
      await listening(server, path, stopping.signal);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return receivingInto({ handle, file, sizeBytesMax }, server, stopping);
  },

  async send(file, path, { timeoutMs }) {
    const socket = createConnection({ path });
    socket.on('error', () => undefined); // Told below.
    const signal = AbortSignal.timeout(Math.ceil(timeoutMs));
    try {
      await pipeline(createReadStream(file), socket, { signal });
      socket.destroySoon();
    } catch (error) {
      socket.destroy();
      throw troubleOf(error, file, path);
    }
  },

  measure: (file) =>
    told(file, async () => {
      const counted = new Counted();
      for await (const chunk of createReadStream(file)) counted.add(chunk as Buffer);
      return counted.measure();
    }),
};

interface Target {
  readonly handle: FileHandle;
  readonly file: string;
  readonly sizeBytesMax: number;
}

function receivingInto(target: Target, server: Server, stopping: AbortController): Receiving {
  const received = told(target.file, async () => {
    try {
      const socket = await firstCaller(server, stopping.signal);
      return await written(target, socket, stopping.signal);
    } finally {
      server.close(); // Takes the socket's path away.
      await target.handle.close();
    }
  });
  received.catch(() => undefined); // Whoever closes need not wait for it.
  return { received, close: () => stopping.abort() };
}

async function written(
  { handle, file, sizeBytesMax }: Target,
  socket: Socket,
  signal: AbortSignal,
): Promise<Measure> {
  const counted = new Counted();
  addAbortSignal(signal, socket);
  for await (const chunk of socket) {
    // Left early, the loop hangs up.
    counted.add(chunk as Buffer);
    if (counted.sizeBytes > sizeBytesMax)
      throw new FileTrouble('EFBIG', file, `more than ${sizeBytesMax} bytes came for ${file}`);
    await handle.appendFile(chunk as Buffer);
  }
  await handle.sync();
  return counted.measure();
}

/** Bytes as they pass by. */
class Counted {
  sizeBytes = 0;
  readonly #hash: Hash = createHash('sha256');

  add(chunk: Buffer): void {
    this.sizeBytes += chunk.length;
    this.#hash.update(chunk);
  }

  measure(): Measure {
    return { sizeBytes: this.sizeBytes, sha256: this.#hash.digest('hex') };
  }
}

function listening(server: Server, path: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new ConnectTrouble('other', path, error.message)));
    server.listen({ path, backlog: 1, signal }, resolve);
  });
}

/** Nobody else is let in after the first. */
function firstCaller(server: Server, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new Error('nobody listens any more'));
    signal.addEventListener('abort', stop, { once: true });
    server.once('connection', (socket: Socket) => {
      signal.removeEventListener('abort', stop);
      server.close();
      resolve(socket);
    });
  });
}

function troubleOf(error: unknown, file: string, path: string): ConnectTrouble | FileTrouble {
  const words = error instanceof Error ? error.message : String(error);
  const isOfFile = error instanceof Error && 'path' in error && error.path === file;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return isOfFile ? new FileTrouble(code, file, words) : new ConnectTrouble('other', path, words);
}
