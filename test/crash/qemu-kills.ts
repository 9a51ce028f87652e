/* kill -9 of QEMU at random moments of a create, and what becomes of it. */
import { setTimeout } from 'node:timers/promises';
import { snapshotTags } from '../qemu/rig.ts';
import type { DaemonProcess } from './daemon-process.ts';
import { differences, reboot, register, type Subject } from './machine.ts';

export interface KillRound {
  readonly disksCount: number;
  readonly memory: 'none' | 'internal';
  /** On how many disks the snapshot was when QEMU was dead. */
  readonly found: 'none' | 'partial' | 'all';
  /** How the operation ended, with the reason of a failure. */
  readonly ended: string;
  /** How the disks differ from the ledger afterwards. */
  readonly wrong: readonly string[];
}

/** A create from request to terminal event takes about this long here, save its fsyncs. */
const KILL_WITHIN_MS = 30;
const ROUNDS_PER_MACHINE = 10;

/** Kills QEMU in so many creates, one after the other, alternating between kinds of capture. */
export async function killRounds(
  daemon: DaemonProcess,
  { boot, rounds, disksCount, random }: KillPlan,
): Promise<KillRound[]> {
  const done: KillRound[] = [];
  let subject: Subject | null = null;
  for (let round = 0; round < rounds; round += 1) {
    if (!subject || round % ROUNDS_PER_MACHINE === 0) {
      await subject?.qemu.kill();
      subject = await boot(disksCount);
      await register(subject, daemon, `m${disksCount}-${round}`);
    }
    done.push(await killRound(subject, daemon, { random, round, disksCount }));
  }
  await subject?.qemu.kill();
  return done;
}

export interface KillPlan {
  /** Boots a machine of so many disks whose monitor the daemon may open. */
  readonly boot: (disksCount: number) => Promise<Subject>;
  readonly rounds: number;
  readonly disksCount: number;
  /** Evenly over [0, 1). */
  readonly random: () => number;
}

async function killRound(
  subject: Subject,
  daemon: DaemonProcess,
  { random, round, disksCount }: { random: () => number; round: number; disksCount: number },
): Promise<KillRound> {
  const memory = round % 2 === 0 ? 'none' : 'internal';
  const accepted = await daemon.ask<{ id: string; snapshotId: string }>(
    'POST',
    `/vms/${subject.vmId}/snapshots`,
    { name: `r${round}`, memory },
  );
  await setTimeout(random() * KILL_WITHIN_MS);
  await subject.qemu.kill();
  const tag = `sl-${accepted.snapshotId}`;
  const holders = subject.disks.filter(({ file }) => snapshotTags(file).includes(tag)).length;
  await reboot(subject);
  const { outcome, error } = await daemon.operation(accepted.id);
  await daemon.quiet(subject.vmId);
  return {
    disksCount,
    memory,
    found: holders === 0 ? 'none' : holders === disksCount ? 'all' : 'partial',
    ended: outcome === 'succeeded' ? 'created' : `${outcome}: ${error?.reason}`,
    wrong: await differences(subject, daemon),
  };
}

/** Rounds by what was found and how it ended, as lines to print. */
export function killTable(rounds: readonly KillRound[]): string[] {
  const counts = new Map<string, number>();
  for (const { disksCount, memory, found, ended, wrong } of rounds) {
    const row = `${disksCount} disks, memory ${memory.padEnd(8)} | found on ${found.padEnd(7)} | ${ended.padEnd(32)} | ${wrong.length === 0 ? 'disks = ledger' : 'DISKS DIFFER'}`;
    counts.set(row, (counts.get(row) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([row, count]) => `${String(count).padStart(4)} × ${row}`);
}
