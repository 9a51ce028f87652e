/* Ends what a test file has started and left: who holds our output keeps vitest, and so CI, from ever ending. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll } from 'vitest';

/** Not `SNAPLEDGER_…`: those are ledgerd's options, and it refuses one that it does not know. */
const MARK = 'TESTED_BY';

process.env[MARK] = `${process.pid}`; // Whatever is started from here inherits it.

afterAll(() => {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== `${process.pid}`)) {
    const environment = textOf(`/proc/${pid}/environ`).split('\0');
    if (!environment.includes(`${MARK}=${process.pid}`)) continue;
    const command = textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
    console.warn(`left by a test, killed now: ${command}`);
    kill(Number(pid));
  }
});

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // It was just ending.
  }
}

/** Empty when the process is gone, or somebody else's. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(code)) return '';
    throw error;
  }
}
