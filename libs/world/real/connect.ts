import { createConnection } from 'node:net';
import { type ConnectCode, ConnectTrouble } from '../trouble.ts';
import type { Connect, Connection } from '../world.ts';

const CODES: Readonly<Record<string, ConnectCode>> = {
  ENOENT: 'ENOENT',
  ECONNREFUSED: 'ECONNREFUSED',
  ECONNRESET: 'ECONNREFUSED', // Who listened has ended before he took the call: nobody listens any more.
  EAGAIN: 'EAGAIN',
  EACCES: 'EACCES',
  ENOTSOCK: 'ENOTSOCK',
};

export const realConnect: Connect = (path) =>
  new Promise<Connection>((resolve, reject) => {
    const socket = createConnection({ path });
    socket.setEncoding('utf8'); // Holds back the first bytes of a character that was cut in two.
    const refused = (error: NodeJS.ErrnoException): void =>
      reject(new ConnectTrouble(CODES[error.code ?? ''] ?? 'other', path, error.message));
    socket.once('error', refused);
    socket.once('connect', () => {
      socket.off('error', refused);
      socket.on('error', () => socket.destroy()); // `close` follows and tells.
      resolve({
        write: (data) => {
          socket.cork(); // What is written in one turn goes out together, and wakes the other side once.
          socket.write(data);
          process.nextTick(() => socket.uncork());
        },
        onText: (listener) => void socket.on('data', listener),
        onClose: (listener) => {
          if (socket.closed) listener();
          else socket.once('close', listener);
        },
        close: () => void socket.destroy(),
      });
    });
  });
