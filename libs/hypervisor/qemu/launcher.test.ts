import { expect, test } from 'vitest';
import type { Finished, RunOptions } from '#world';
import { commandLauncher, LaunchTrouble } from './launcher.ts';

const MACHINE = { id: 'id-1', name: 'a $(rm) b', monitor: '/run/a.sock' };
const DISK = { device: 'vda', node: 'n', format: 'qcow2', file: '/i/a', readOnly: false, default: null };

function launcher(finished: Partial<Finished> = {}) {
  const calls: { program: string; args: readonly string[]; options: RunOptions }[] = [];
  const run = (program: string, args: readonly string[], options: RunOptions): Promise<Finished> => {
    calls.push({ program, args, options });
    return Promise.resolve({ code: 0, stdout: '', stderr: '', ...finished });
  };
  return { calls, ...commandLauncher({ run }, { start: ['/bin/up', '-x'], stop: ['/bin/down'] }) };
}

test('what the start must know stands in its environment, and its words stay as they are', async () => {
  const { start, calls } = launcher();
  await start(MACHINE, { disks: [DISK], incoming: 'unix:/s/x.sock' });
  expect(calls).toMatchObject([
    {
      ...{ program: '/bin/up', args: ['-x'] },
      options: {
        leavesOthersBehind: true,
        env: {
          ...{
            SNAPLEDGER_VM_ID: 'id-1',
            SNAPLEDGER_VM_NAME: 'a $(rm) b',
            SNAPLEDGER_VM_MONITOR: '/run/a.sock',
          },
          SNAPLEDGER_VM_DISKS:
            '[{"device":"vda","node":"n","format":"qcow2","file":"/i/a","readOnly":false}]',
          SNAPLEDGER_VM_INCOMING: 'unix:/s/x.sock',
        },
      },
    },
  ]);
});

test('a start without memory to wait for says so by an empty word; a stop needs no disks', async () => {
  const { start, stop, calls } = launcher();
  await start(MACHINE, { disks: [], incoming: null });
  await stop(MACHINE);
  expect(calls[0]?.options.env).toMatchObject({ SNAPLEDGER_VM_INCOMING: '' });
  expect(calls[1]).toMatchObject({ program: '/bin/down', args: [] });
  expect(calls[1]?.options.env).not.toHaveProperty('SNAPLEDGER_VM_DISKS');
});

test.each([
  [{ code: 3, stderr: 'no such domain\n' }, '/bin/down ended with 3: no such domain'],
  [{ code: null }, '/bin/down did not end by itself: it said nothing'],
])('a command that fails is told in its own words', async (finished, words) => {
  const trouble = await launcher(finished)
    .stop(MACHINE)
    .catch((error: unknown) => error);
  expect(trouble).toBeInstanceOf(LaunchTrouble);
  expect(trouble).toHaveProperty('message', words);
});
