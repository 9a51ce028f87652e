/* What can be wrong with a machine that lives. */
import { setTimeout } from 'node:timers/promises';
import type { DaemonProcess } from '../crash/daemon-process.ts';
import type { Subject } from '../crash/machine.ts';
import { startAsTold } from '../crash/owner.ts';
import type { SmallDisk } from '../qemu/small-disk.ts';

export interface Cause {
  readonly name: string;
  /** Whether it ends with the machine's death. */
  readonly isDeadly: boolean;
  /** Whether it is everybody's trouble, not one machine's. */
  readonly isShared: boolean;
  begin(subject: Subject, daemon: DaemonProcess): Promise<void>;
  end(subject: Subject, daemon: DaemonProcess): Promise<void>;
}

/** It says nothing and does nothing, and knows nothing of that afterwards. */
export const stopped: Cause = {
  name: 'stopped',
  isDeadly: false,
  isShared: false,
  begin: async ({ qemu }) => void process.kill(qemu.pid, 'SIGSTOP'),
  end: async ({ qemu }) => void process.kill(qemu.pid, 'SIGCONT'),
};

/** Until QEMU would have answered. */
const HEARD_MS = 100;
const NODE_BYTES = 1024 * 1024;

/**
 * Its owner has asked QEMU 7.2 for two grouped backups and something that fails: its main loop waits for ever for jobs
 * that only it could end. Nothing but a kill helps.
 */
export const hung: Cause = {
  name: 'hung by its owner',
  isDeadly: true,
  isShared: false,
  begin: async ({ qemu: { monitor } }) => {
    const backups = [0, 1].map((index) => ({
      type: 'blockdev-backup',
      data: {
        ...{ device: `owners-${index}`, 'job-id': `owners-${index}`, sync: 'full' },
        ...{ target: `owners-copy-${index}` },
      },
    }));
    // Of nodes of its own: the machine's may be busy.
    for (const { data } of backups)
      for (const node of [data.device, data.target])
        await monitor.execute('blockdev-add', { driver: 'null-co', 'node-name': node, size: NODE_BYTES });
    const fails = { type: 'abort', data: {} };
    const answered = monitor.execute('transaction', {
      actions: [...backups, fails],
      properties: { 'completion-mode': 'grouped' },
    });
    const words = answered.then(String, String); // Of a machine that is killed at last.
    const answer = await Promise.race([words, setTimeout(HEARD_MS)]);
    if (answer !== undefined) throw new Error(`QEMU was to hang, and answered: ${answer}`);
  },
  end: startAsTold,
};

/** Nothing can be written where its images lie. */
export const full = (disk: SmallDisk): Cause => ({
  name: 'its disk is full',
  isDeadly: false,
  isShared: false,
  begin: async () => disk.fill(0),
  end: async () => disk.empty(),
});
