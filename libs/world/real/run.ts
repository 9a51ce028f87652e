import { type ChildProcess, execFile, spawn } from 'node:child_process';
import type { Finished, Run, RunOptions } from '../world.ts';

const OUTPUT_BYTES_MAX = 32 * 1024 * 1024;
/** Of a program whose output somebody else goes on writing into: enough to tell why it failed. */
const WORDS_CHARACTERS_MAX = 64 * 1024;

export const realRun: Run = async (program, args, options) => {
  if (options.isTooLate?.()) return { code: null, stdout: '', stderr: 'it would have begun too late' };
  if (options.leavesOthersBehind) return runToExit(program, args, options);
  const finished = await runToEnd('setpriv', [...ENDING_WITH_US, program, ...args], options);
  if (finished.code !== null || !NO_SETPRIV.test(finished.stderr)) return withoutWrapper(finished);
  return runToEnd(program, args, options);
};

/**
 * A program that changes an image must not go on when we have died: whoever comes after us would find it changed later
 * than it looked. The kernel ends it then (prctl(2), PR_SET_PDEATHSIG).
 */
const ENDING_WITH_US = ['--pdeathsig', 'KILL', '--'] as const;

/** It belongs to util-linux, but not every container has all of that. */
const NO_SETPRIV = /^spawn setpriv ENOENT/;

/** What could not be started was not, whoever says so. */
const withoutWrapper = (finished: Finished): Finished =>
  finished.code === NOT_STARTED && finished.stderr.startsWith('setpriv: ')
    ? { ...finished, code: null }
    : finished;

const NOT_STARTED = 127;

const runToEnd: Run = (program, args, { timeoutMs, stdin, env }) =>
  new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      {
        ...{ timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: OUTPUT_BYTES_MAX, encoding: 'utf8' },
        env: { ...process.env, ...env },
      },
      (error, stdout, stderr) => {
        if (!error) return resolve({ code: 0, stdout, stderr });
        const code = typeof error.code === 'number' ? error.code : null;
        resolve({ code, stdout, stderr: code === null ? `${stderr}${error.message}` : stderr });
      },
    );
    give(child, stdin);
  });

/** In a session of its own, so that what it leaves behind does not end with ours; its exit is its end. */
function runToExit(program: string, args: readonly string[], options: RunOptions): Promise<Finished> {
  const { timeoutMs, stdin, env } = options;
  return new Promise((resolve) => {
    const child = spawn(program, args, { detached: true, env: { ...process.env, ...env } });
    const printed = { stdout: '', stderr: '' };
    const told = (code: number | null, words = ''): void => {
      clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ code, stdout: printed.stdout, stderr: `${printed.stderr}${words}` });
    };
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        if (printed[name].length < WORDS_CHARACTERS_MAX) printed[name] += text;
      });
    }
    child.once('error', (error) => told(null, error.message));
    // What it printed last may still be on its way.
    child.once(
      'exit',
      (code, signal) => void setImmediate(() => told(code, signal ? `killed by ${signal}` : '')),
    );
    give(child, stdin);
  });
}

function give(child: ChildProcess, stdin: string | undefined): void {
  child.stdin?.on('error', () => undefined); // The child may exit before it has read; its exit code tells.
  child.stdin?.end(stdin ?? '');
}
