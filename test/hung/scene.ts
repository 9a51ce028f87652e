/* One ledgerd with two machines: one that comes into trouble, and its neighbour. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { bootSubject, register, type Subject } from '../crash/machine.ts';
import { ready } from '../chaos/round.ts';
import type { ChaosKind } from '../chaos/kinds.ts';
import { makeDirectory } from '../qemu/rig.ts';
import { HeldLedgerd } from './held.ts';

export interface Scene {
  readonly held: HeldLedgerd;
  readonly ailing: Subject;
  readonly neighbour: Subject;
}

export interface SceneOptions {
  readonly disksCount?: number;
  /** How many times as fast ledgerd's clock runs. */
  readonly haste?: number;
  /** Below which ledgerd's data and the machines lie. */
  readonly root?: string;
  /** Where the images of the ailing machine lie. */
  readonly images?: string;
  /** Whether what its disks read and write can be held up. */
  readonly canBreak?: boolean;
}

/** Boots and registers both. */
export async function openScene(options: SceneOptions = {}): Promise<Scene> {
  const { root = makeDirectory(), disksCount = 2, haste = 1 } = options;
  const { images = join(root, 'ailing'), canBreak = false } = options;
  mkdirSync(images, { recursive: true });
  mkdirSync(join(root, 'neighbour'));
  const held = await HeldLedgerd.start(root, haste, ['--monitor-root', images]);
  const ailing = await bootSubject(disksCount, images, canBreak ? { blkdebug: [] } : {});
  const neighbour = await bootSubject(2, join(root, 'neighbour'));
  await register(ailing, held.daemon, 'ailing');
  await register(neighbour, held.daemon, 'neighbour');
  return { held, ailing, neighbour };
}

export async function closeScene({ held, ailing, neighbour }: Scene): Promise<void> {
  await held.kill();
  await ailing.qemu.kill();
  await neighbour.qemu.kill();
}

/** What a request of this kind works on, in the machine that comes into trouble. */
export const readied = ({ held, ailing }: Scene, kind: ChaosKind): Promise<string> =>
  ready(kind, ailing, held.daemon);
