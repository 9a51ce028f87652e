/* Somebody else who has an image open: a backup program, or another machine that stands on it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';

const ATTEMPTS_MAX = 200;
const ATTEMPT_MS = 10;

export interface Holder {
  /** Resolves when it has let go. */
  end(): Promise<void>;
}

/** Opens an image, not what it stands on, and takes its lock, as a program does that reads or writes it. */
export async function holdOpen(file: string, how: 'to read' | 'to write'): Promise<Holder> {
  const flags = how === 'to read' ? ['-r'] : [];
  const alone = { driver: 'qcow2', backing: null, file: { driver: 'file', filename: file } };
  const at = `json:${JSON.stringify(alone)}`;
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-io', ...flags, at]);
  let said = '';
  child.stdout.on('data', (text: Buffer) => void (said += text.toString()));
  child.stderr.on('data', (text: Buffer) => void (said += text.toString()));
  child.stdin.write('length\n'); // Is answered once the image is open.
  for (let attempt = 1; !/MiB/.test(said); attempt += 1) {
    if (child.exitCode !== null || attempt > ATTEMPTS_MAX) throw new Error(`${file} was not opened: ${said}`);
    await setTimeout(ATTEMPT_MS);
  }
  const gone = once(child, 'exit');
  return {
    end: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
