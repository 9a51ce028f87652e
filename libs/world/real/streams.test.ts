import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConnectTrouble, FileTrouble } from '../trouble.ts';
import { realFiles } from './files.ts';
import { realStreams } from './streams.ts';

let dir = '';
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'snapledger-streams-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const at = (name: string): string => join(dir, name);
const ENOUGH = { sizeBytesMax: 10_000_000 };
const SOON = { timeoutMs: 5_000 };
const sumOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Bytes that are no UTF-8, and more than any buffer on the way holds. */
const BYTES = randomBytes(3_000_000);

test('what one end sends from a file the other receives into a file, measured on the way', async () => {
  writeFileSync(at('from'), BYTES);
  const receiving = await realStreams.receive(at('s'), at('to'), ENOUGH);
  await realStreams.send(at('from'), at('s'), SOON);
  const measure = { sizeBytes: BYTES.length, sha256: sumOf(BYTES) };
  expect(await receiving.received).toEqual(measure);
  expect(await realStreams.measure(at('to'))).toEqual(measure);
  expect(readFileSync(at('to')).equals(BYTES)).toBe(true);
  expect(existsSync(at('s')), 'nobody listens any more').toBe(false);
  expect(statSync(at('to')).mode & 0o777).toBe(0o600);
});

test('only one caller is let in', async () => {
  const receiving = await realStreams.receive(at('s'), at('to'), ENOUGH);
  const first = createConnection({ path: at('s') });
  await new Promise((resolve) => first.once('connect', resolve));
  const second = createConnection({ path: at('s') });
  second.on('error', () => undefined);
  second.end('mine');
  first.end('first');
  expect((await receiving.received).sizeBytes).toBe(5);
  second.destroy();
});

test('a file that is there is not written over', async () => {
  writeFileSync(at('to'), 'precious');
  await expect(realStreams.receive(at('s'), at('to'), ENOUGH)).rejects.toBeInstanceOf(FileTrouble);
  expect(readFileSync(at('to'), 'utf8')).toBe('precious');
});

test('a place where nobody can listen is told at once', async () => {
  await expect(realStreams.receive(at('no/s'), at('to'), ENOUGH)).rejects.toBeInstanceOf(ConnectTrouble);
});

test('whoever sends more than was expected is hung up on', async () => {
  writeFileSync(at('from'), BYTES);
  const receiving = await realStreams.receive(at('s'), at('to'), { sizeBytesMax: 1_000 });
  await expect(realStreams.send(at('from'), at('s'), SOON)).rejects.toBeInstanceOf(ConnectTrouble);
  await expect(receiving.received).rejects.toMatchObject({ name: 'FileTrouble', code: 'EFBIG' });
});

test('one who has closed is called by nobody', async () => {
  const receiving = await realStreams.receive(at('s'), at('to'), ENOUGH);
  receiving.close();
  await expect(receiving.received).rejects.toBeInstanceOf(FileTrouble);
  expect(existsSync(at('s'))).toBe(false);
});

test('closing in the middle hangs up', async () => {
  const receiving = await realStreams.receive(at('s'), at('to'), ENOUGH);
  const caller = createConnection({ path: at('s') });
  caller.on('error', () => undefined);
  const gone = new Promise((resolve) => caller.once('close', resolve));
  caller.write('a beginning');
  await new Promise((resolve) => caller.once('connect', resolve));
  receiving.close();
  await expect(receiving.received).rejects.toBeInstanceOf(FileTrouble);
  await gone;
});

test('sending to nobody, and a file that is not there, are two troubles', async () => {
  writeFileSync(at('from'), 'a');
  await expect(realStreams.send(at('from'), at('s'), SOON)).rejects.toBeInstanceOf(ConnectTrouble);
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen({ path: at('s') }, resolve));
  await expect(realStreams.send(at('none'), at('s'), SOON)).rejects.toMatchObject({ code: 'ENOENT' });
  server.close();
});

test('whoever does not take what is sent is given up', async () => {
  writeFileSync(at('from'), BYTES);
  const server = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen({ path: at('s') }, resolve));
  await expect(realStreams.send(at('from'), at('s'), { timeoutMs: 50 })).rejects.toBeInstanceOf(
    ConnectTrouble,
  );
  server.close();
});

test('a private directory is closed to others, also when it was there', async () => {
  await realFiles.makeDirectory(at('d'));
  await realFiles.makePrivateDirectory(at('d'));
  await realFiles.makePrivateDirectory(at('e/f'));
  expect([at('d'), at('e/f')].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o700]);
});
