/* What disks and snapshots hold, and machines that went back to an earlier layer: for tests of what deletes leave. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type DataOf, evolve, tagOf, type VmEvent } from '#ledger';
import { v7 } from 'uuid';
import type { House } from './house.ts';
import { guestWrite } from './rig.ts';
import { flaws, knownChains, openChains, openFiles } from './soundness.ts';

const CLUSTER_BYTES = 65_536;

/** Writes a cluster as the guest does, or into the image of a machine that is off. */
export async function write(home: House, letter: string, pattern: number, cluster = 0): Promise<void> {
  const offset = cluster * CLUSTER_BYTES;
  if (home.isOn) return guestWrite(home.vm, nodeOf(letter), pattern, { offset });
  const { file, format } = topOf(home, letter);
  execFileSync('qemu-io', ['-f', format, '-c', `write -q -P ${pattern} ${offset} ${CLUSTER_BYTES}`, file]);
}

const nodeOf = (letter: string): string => `d${letter}`;

/** What the ledger says the machine writes on. */
export function topOf(home: House, letter: string) {
  const disk = home.book.vm.disks.find(({ device }) => device.endsWith(nodeOf(letter)));
  if (!disk) throw new Error(`no disk ${letter}`);
  return disk;
}

/** The content of every snapshot that has some, and of the machine's disks, as digests. */
export function contents(home: House): Record<string, string> {
  const found: Record<string, string> = {};
  const { snapshots, disks, layers } = home.book.vm;
  for (const { id, disks: kept } of snapshots.values()) {
    for (const { device, mode, file = '' } of kept) {
      if (mode === 'none') continue;
      const tag = mode === 'internal' ? tagOf(id) : null;
      found[`${id} ${device}`] = digest(home, { file, format: layers.get(file)?.format ?? 'qcow2', tag });
    }
  }
  for (const { device, file, format } of disks) {
    found[`present ${device}`] = digest(home, { file, format, tag: null });
  }
  return found;
}

function digest(home: House, at: { file: string; format: string; tag: string | null }): string {
  const raw = join(home.dir, `${v7()}.raw`);
  const inside = at.tag === null ? [] : ['-l', `snapshot.name=${at.tag}`];
  execFileSync('qemu-img', ['convert', '-U', '-f', at.format, ...inside, '-O', 'raw', at.file, raw]);
  const hash = createHash('sha256').update(readFileSync(raw)).digest('hex');
  rmSync(raw);
  return hash;
}

/** Image files in the machine's directory that the ledger knows nothing of, or that it believes in and are not there. */
export function strays(home: House): string[] {
  const { layers, snapshots } = home.book.vm;
  const memory = [...snapshots.values()].flatMap(({ memory }) => memory.file ?? []);
  const known = new Set([...layers.keys(), ...memory]);
  const there = readdirSync(home.dir)
    .filter((name) => /\.(qcow2|raw|qed)$|memory/.test(name))
    .map((name) => join(home.dir, name));
  return [
    ...there.filter((file) => !known.has(file)).map((file) => `nobody knows ${file}`),
    ...[...known].filter((file) => !there.includes(file)).map((file) => `${file} is not there`),
  ];
}

/** Lets the machine go on from an external snapshot's layers, in new ones of its own; the old ones are closed. */
export async function goBackTo(home: House, snapshotId: string): Promise<void> {
  const { disks } = home.book.snapshot(snapshotId);
  const set: DataOf<'SnapshotLoaded'>['layers'] = { set: [], gone: [], tops: [], contents: [] };
  for (const { device, mode, file } of disks) {
    if (mode !== 'external' || file === undefined) continue;
    const layer = home.book.vm.layers.get(file);
    if (!layer) throw new Error(`no layer ${file}`);
    const id = v7();
    const top = {
      device,
      file: join(home.dir, `sl-${id}.qcow2`),
      format: 'qcow2',
      node: `n${id.slice(-12)}`,
    };
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', file, '-F', layer.format, top.file, '8M']);
    if (home.isOn) await putUnder(home, top);
    set.set.push({ device, file: top.file, format: 'qcow2', backing: file, origin: 'ours' });
    set.tops.push(top);
  }
  const operationId = v7();
  record(home, {
    type: 'LoadRequested',
    data: { snapshotId, operationId, resume: 'running', disksOnly: true },
  });
  const done = { steps: [], transcriptDigest: '' };
  record(home, {
    type: 'SnapshotLoaded',
    data: { snapshotId, operationId, runs: home.isOn, layers: set, ...done },
  });
}

async function putUnder(
  home: House,
  top: { device: string; file: string; format: string; node: string },
): Promise<void> {
  const { monitor } = home.vm;
  const path = `/machine/peripheral/${top.device}/virtio-backend`;
  const blocks = (await monitor.execute('query-block')) as {
    qdev: string;
    inserted: { 'node-name': string };
  }[];
  const before = blocks.find(({ qdev }) => qdev === path)?.inserted['node-name'] ?? '';
  await monitor.execute('stop');
  const file = { driver: 'file', filename: top.file };
  await monitor.execute('blockdev-add', { driver: top.format, 'node-name': top.node, file });
  await monitor.execute('qom-set', { path, property: 'drive', value: top.node });
  if (!before.startsWith('#')) await monitor.execute('blockdev-del', { 'node-name': before });
  await monitor.execute('cont');
}

function record(home: House, event: VmEvent): void {
  home.book.events.push(event);
  home.book.vm = evolve(home.book.vm, { ...event, id: v7() });
}

/** All that the ledger still knows reads as before, nothing else lies around, and QEMU has open what it should. */
export async function expectWhole(home: House, before: Record<string, string>): Promise<void> {
  const after = contents(home);
  for (const [what, digest] of Object.entries(after))
    expect(`${what} ${digest}`).toBe(`${what} ${before[what]}`);
  expect(strays(home)).toEqual([]);
  expect(flaws(home)).toEqual([]);
  if (!home.isOn) return;
  const known = knownChains(home);
  expect(await openChains(home)).toEqual(known);
  expect(await openFiles(home)).toEqual([...new Set(known.flat())].toSorted());
  const status = await home.vm.monitor.execute('query-status');
  expect(status).toMatchObject({ status: 'running' });
}
