import { execFile } from 'node:child_process';
import type { Run } from '../world.ts';

const OUTPUT_BYTES_MAX = 32 * 1024 * 1024;

export const realRun: Run = (program, args, { timeoutMs, stdin }) =>
  new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: OUTPUT_BYTES_MAX, encoding: 'utf8' },
      (error, stdout, stderr) => {
        if (!error) return resolve({ code: 0, stdout, stderr });
        const code = typeof error.code === 'number' ? error.code : null;
        resolve({ code, stdout, stderr: code === null ? `${stderr}${error.message}` : stderr });
      },
    );
    child.stdin?.on('error', () => undefined); // The child may exit before it has read; its exit code tells.
    child.stdin?.end(stdin ?? '');
  });
