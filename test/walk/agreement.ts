/* Whether the ledger, QEMU and the files are what the model says. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { inspectImages } from '#hypervisor';
import { realWorld } from '#world';
import { VmAudit } from '../../apps/ledgerctl/verify/vm-audit.ts';
import { checked, type House } from '../qemu/house.ts';
import { flaws, knownChains, openChains } from '../qemu/soundness.ts';
import { chainOf } from './chains.ts';
import type { Model } from './model.ts';
import type { Subject } from './subject.ts';

/** In words: what is not as the model says, in the ledger and in the machine that runs. */
export async function disagreements(home: House, model: Model): Promise<string[]> {
  const { vm } = home.book;
  const depths = model.disks.map(({ top }) => chainOf(top).length);
  const chains = knownChains(home);
  const wrong = [
    ...difference('the lineage', lineageOf(home), lineageIn(model)),
    ...difference(
      'the depth of the chains',
      chains.map((chain) => chain.length),
      depths,
    ),
    ...difference('what is open or held', [vm.operation, vm.hold], [null, null]),
  ];
  if (!home.isOn) return wrong;
  const { running } = (await home.vm.monitor.execute('query-status')) as { running: boolean };
  return [
    ...wrong,
    ...difference('whether the machine runs', running, model.power === 'running'),
    ...difference('the open files', await openChains(home), chains),
  ];
}

function difference(what: string, is: unknown, shouldBe: unknown): string[] {
  const [one, other] = [JSON.stringify(is, null, 1), JSON.stringify(shouldBe, null, 1)];
  return one === other ? [] : [`${what} is ${one}, not ${other}`];
}

function lineageOf({ book: { vm } }: House): unknown {
  const { current, snapshots } = vm;
  const nodes = [...snapshots.values()].map(({ id, name, parentId, status, implicit, memory }) => {
    return { id, name, parentId, status, implicit, hasMemory: memory.mode !== 'none' };
  });
  return { current: current.id, nodes };
}

function lineageIn({ current, snapshots }: Model): unknown {
  const nodes = [...snapshots.values()].map(({ id, name, parent, isRetired, isPin, hasMemory }) => {
    const status = isRetired ? 'retired' : 'complete';
    return { id, name, parentId: parent, status, implicit: isPin, hasMemory };
  });
  return { current, nodes };
}

/** In words: what an auditor says of the log and of the images, who asks neither QEMU nor the model. */
export async function audited({ book }: House): Promise<string[]> {
  const { findings, images } = await inspectImages(realWorld(), book.vm);
  const audit = new VmAudit(book.vm.id);
  const breaches = book.events.flatMap((event) => audit.enter(event));
  const damaged = [...images].filter(([, { kind }]) => kind === 'damaged').map(([file]) => file);
  return [
    ...breaches.map(({ invariant, words }) => `an auditor finds ${invariant} broken: ${words}`),
    ...findings.map(({ kind, message }) => `an auditor finds ${kind}: ${message}`),
    ...damaged.map((file) => `an auditor finds ${file} damaged`),
  ];
}

/** Of a machine that is off, in words: damaged images, headers that say otherwise than the ledger, and strays. */
export function soundness({ home, callers }: Subject): string[] {
  const { layers, snapshots } = home.book.vm;
  const kept = [...snapshots.values()].map(({ memory }) => memory);
  const memories = kept.flatMap(({ file }) => file ?? []);
  const states = kept.flatMap(({ file, format }) => (format === 'stream' ? [] : (file ?? [])));
  const known = new Set([...layers.keys(), ...memories]);
  const there = readdirSync(home.dir)
    .filter((name) => !NO_IMAGE.test(name))
    .map((name) => join(home.dir, name));
  return [
    ...flaws(home),
    ...states.filter(isDamaged).map((file) => `${file} is damaged`),
    ...there.filter((file) => !known.has(file) && !callers.has(file)).map((file) => `nobody knows ${file}`),
    ...[...known].filter((file) => !there.includes(file)).map((file) => `${file} is not there`),
  ];
}

/** Sockets, the memory of the machine, the launcher and its notes, and the worker's transcripts. */
const NO_IMAGE = /\.sock$|\.mjs$|^qemu\.(pid|log)$|^ram$|^transcripts$|^sockets$/;

const isDamaged = (file: string): boolean => checked(file) !== 0;
