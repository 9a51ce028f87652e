import type { Logger } from 'pino';

/** Where the daemon says what it does. Structured: a fact is a member, never a part of the sentence. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;

/** Members that are never written out, at the top of a line and one level below. */
export const SECRET_MEMBERS: readonly string[] = [
  'authorization',
  'cookie',
  'password',
  'secret',
  'token',
  'apiKey',
].flatMap((name) => [name, `*.${name}`]);
