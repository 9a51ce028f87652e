import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Lock } from '../world.ts';
import { realLock } from './lock.ts';

const BOUNDED = { timeout: 20_000 };
const kept: Lock[] = [];

afterEach(() => kept.splice(0).forEach((lock) => lock.release()));

/** A name that nobody else on this computer takes. */
const own = (): string => `/test/${process.pid}/${process.hrtime.bigint()}`;

/** Whether it is free. Taken then, until the test is over. */
async function isFree(name: string): Promise<boolean> {
  const lock = await realLock(name);
  if (lock) kept.push(lock);
  return lock !== null;
}

/** A process of its own that takes the lock and does something then. */
function started(name: string, then: string): ChildProcess {
  const script = `
    import { spawn } from 'node:child_process';
    import { realLock } from '${join(import.meta.dirname, 'lock.ts')}';
    const lock = await realLock('${name}');
    ${then}`;
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: [...stdio] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

const LIVES_ON = 'setInterval(() => undefined, 60_000);';

/** The same, once it has said its first line, which is given back. */
async function holder(name: string, says = 'lock !== null', then = LIVES_ON) {
  const child = started(name, `${then} console.log(${says});`);
  if (!child.stdout) throw new Error('a child without an output');
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  const ended = async (): Promise<void> => {
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  };
  return { child, ended, said: said.toString().trim() };
}

/** Resolves when the kernel has stopped it: the signal only asks for that. */
async function stopped({ pid }: ChildProcess): Promise<void> {
  await expect
    .poll(async () => / \((?:.*)\) (\w)/.exec(await readFile(`/proc/${pid}/stat`, 'utf8'))?.[1], BOUNDED)
    .toBe('T');
}

describe('a lock', () => {
  test('is had by one at a time in a process, and by the next when it is let go', async () => {
    const name = own();
    const lock = await realLock(name);
    expect(lock).not.toBeNull();
    expect(await isFree(name)).toBe(false);
    lock?.release();
    expect(await isFree(name)).toBe(true);
  });

  test('that was let go twice is not taken away from the next', async () => {
    const name = own();
    const first = await realLock(name);
    first?.release();
    const second = await realLock(name);
    expect(second).not.toBeNull();
    first?.release();
    expect(await isFree(name)).toBe(false);
    second?.release();
  });

  test('is had by one of many that ask at the same time', async () => {
    const name = own();
    const tries = await Promise.all(Array.from({ length: 50 }, () => isFree(name)));
    expect(tries.filter(Boolean)).toHaveLength(1);
  });

  test('keeps nobody away from another name, however long and alike', async () => {
    const long = own().padEnd(4_000, 'x');
    expect(await isFree(`${long}a`)).toBe(true);
    expect(await isFree(`${long}b`)).toBe(true);
    expect(await isFree(`${long}a`)).toBe(false);
  });
});

/** Of all such locks on this computer. */
const addresses = async (): Promise<string[]> =>
  (await readFile('/proc/net/unix', 'utf8')).match(/@snapledger-.*/g) ?? [];

// Node 20 fills a shorter one up with zeros, Node 24 does not: to the kernel those are two.
test('a lock has an address of full length, which every version of Node takes for the same', async () => {
  const before = await addresses();
  expect(await isFree(own())).toBe(true);
  const added = (await addresses()).filter((address) => !before.includes(address));
  expect(added.length).toBeGreaterThan(0); // Others on this computer may have taken some as well.
  for (const address of added) expect(address).toHaveLength(108);
});

describe('a lock of another process', BOUNDED, () => {
  test('is not to be had while that one lives, also when it stands still, and is when it was killed', async () => {
    const name = own();
    const { child, ended, said } = await holder(name);
    expect(said).toBe('true');
    expect(await isFree(name)).toBe(false);
    child.kill('SIGSTOP');
    await stopped(child);
    expect(await isFree(name)).toBe(false);
    await ended();
    expect(await isFree(name)).toBe(true);
  });

  test('is let go by that one while it lives on', async () => {
    const name = own();
    await holder(name, 'true', `lock.release(); ${LIVES_ON}`);
    expect(await isFree(name)).toBe(true);
  });

  test('is not had by the children of that one, which may outlive it', async () => {
    const name = own();
    const sleeper = "const { pid } = spawn('sleep', ['60'], { stdio: 'ignore', detached: true });";
    const { ended, said } = await holder(name, 'pid', `${sleeper} ${LIVES_ON}`);
    onTestFinished(() => void process.kill(Number(said), 'SIGKILL'));
    await ended();
    expect(process.kill(Number(said), 0)).toBe(true); // Throws when it does not live on.
    expect(await isFree(name)).toBe(true);
  });

  test('does not keep that one alive', async () => {
    const name = own();
    const [code] = (await once(started(name, ''), 'exit')) as [number];
    expect(code).toBe(0);
    expect(await isFree(name)).toBe(true);
  });
});
