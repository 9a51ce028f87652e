import { v7 } from 'uuid';
import { type Envelope, type EventStore, seal, CHAIN_START, digestOf } from '#event-store';
import {
  decide,
  evolve,
  SCHEMA_VERSION,
  unborn,
  type Command,
  type DataOf,
  type RegistryEvent,
  type Vm,
  type VmEvent,
} from '#ledger';

/** How a log is to look that nobody had to wait years for. */
export interface SyntheticLog {
  readonly events: number;
  readonly vms: number;
  /** Snapshots that a VM keeps; older ones are deleted. */
  readonly kept: number;
  readonly seed: number;
  /** Hears now and then how many were written. */
  readonly onProgress?: (written: number) => void;
}

/** Events that are appended to one stream at a time: the log of many VMs at work. */
const EVENTS_PER_APPEND = 8;
const STARTED_AT_MS = 1_700_000_000_000;
const STREAMS_PER_COMMIT = 256;

interface Stream {
  readonly name: string;
  version: number;
  hash: string;
  waiting: Envelope[];
}

interface Machine extends Stream {
  vm: Vm;
  readonly living: string[];
}

/** Fills an empty store with what real commands would have recorded, in the order of many VMs at work. */
export async function writeSyntheticLog(store: EventStore, wanted: SyntheticLog): Promise<void> {
  const random = mulberry(wanted.seed);
  const world = { ms: STARTED_AT_MS, random, ids: idsFrom(random) };
  const machines = Array.from({ length: wanted.vms }, () => register(world));
  let written = await claimAll(store, machines, world);
  while (written < wanted.events) {
    const round = Array.from({ length: STREAMS_PER_COMMIT }, () => pick(machines, random));
    const appends = [...new Set(round)].map((machine) => {
      while (machine.waiting.length < EVENTS_PER_APPEND) live(machine, wanted.kept, world);
      return append(store, machine);
    });
    for (const count of await Promise.all(appends)) written += count;
    wanted.onProgress?.(written);
  }
}

/** What is unique across VMs is claimed before they are registered. */
function claimAll(store: EventStore, machines: readonly Machine[], world: Surroundings): Promise<number> {
  const registry: Stream = { name: 'registry', version: 0, hash: CHAIN_START.hash, waiting: [] };
  for (const { waiting } of machines) {
    const registration = waiting[0]?.data as DataOf<'VmRegistered'>;
    const { vmId, name, monitor, disks } = registration;
    const data = { vmId, name, monitor, files: disks.map(({ file }) => file), registration };
    record(registry, { type: 'VmClaimed', data }, { correlationId: vmId, commandDigest: '', world });
  }
  return append(store, registry);
}

interface Surroundings {
  ms: number;
  readonly random: () => number;
  readonly ids: () => string;
}

function register(world: Surroundings): Machine {
  const id = world.ids();
  const stream = { name: `vm-${id}`, version: 0, hash: CHAIN_START.hash, waiting: [] };
  const machine: Machine = { ...stream, vm: unborn(), living: [] };
  const disk = (device: string) => ({
    ...{ device, node: `n-${device}`, format: 'qcow2', file: `/images/${id}/${device}.qcow2` },
    ...{ readOnly: false, default: 'internal' as const },
  });
  const registration = {
    ...{ vmId: id, name: `vm ${id}`, host: 'bench', monitor: `/run/${id}.sock`, guestAgent: null },
    ...{ labels: {}, disks: [disk('vda'), disk('vdb')], foreignTags: [] },
  };
  ask(machine, { type: 'RegisterVm', registration }, world);
  return machine;
}

/** One thing that a person might do on a day. */
function live(machine: Machine, kept: number, world: Surroundings): void {
  const { living } = machine;
  const dice = world.random();
  const chosen = pick(living, world.random);
  if (living.length >= kept) return remove(machine, living[0] ?? '', world);
  if (living.length < 2 || dice < 0.55) return create(machine, world);
  if (dice < 0.65) return load(machine, chosen, world);
  if (dice < 0.75) return remove(machine, chosen, world);
  const note = world.ids().slice(0, 8);
  const patch = dice < 0.9 ? { name: `renamed ${world.ids().slice(-12)}` } : { labels: { note } };
  ask(machine, { type: 'PatchSnapshot', snapshotId: chosen, ...patch }, world);
}

function create(machine: Machine, world: Surroundings): void {
  const [snapshotId, operationId] = [world.ids(), world.ids()];
  const limits = { snapshotsMax: Number.MAX_SAFE_INTEGER, chainMax: 64 };
  ask(machine, { type: 'CreateSnapshot', snapshotId, operationId, labels: { tier: 'bench' }, limits }, world);
  start(machine, operationId, world);
  const evidence = machine.vm.disks.map(({ device, file }) => ({
    ...{ device, file, tag: `sl-${snapshotId}`, nativeId: '1' },
    ...{ date: world.ms, vmClockNs: 1_000_000, vmStateSizeBytes: 0 },
  }));
  const created = {
    ...{ operationId, vmState: 'running' as const, memory: { mode: 'none' as const } },
    ...{ consistency: 'crash' as const, evidence, ...done(world) },
  };
  ask(machine, { type: 'ReportCreated', created }, world);
  machine.living.push(snapshotId);
}

function load(machine: Machine, snapshotId: string, world: Surroundings): void {
  const operationId = world.ids();
  ask(machine, { type: 'LoadSnapshot', snapshotId, operationId }, world);
  start(machine, operationId, world);
  ask(machine, { type: 'ReportLoaded', loaded: { operationId, runs: true, ...done(world) } }, world);
}

function remove(machine: Machine, snapshotId: string, world: Surroundings): void {
  const operationId = world.ids();
  ask(machine, { type: 'DeleteSnapshot', snapshotId, operationId, strategy: 'merge' }, world);
  start(machine, operationId, world);
  ask(machine, { type: 'ReportDeleted', deleted: { operationId, ...done(world) } }, world);
  machine.living.splice(machine.living.indexOf(snapshotId), 1);
}

function start(machine: Machine, operationId: string, world: Surroundings): void {
  const start = {
    ...{
      operationId,
      snapshotId: machine.vm.operation?.snapshotId ?? null,
      worker: 'bench',
      wasRunning: true,
    },
    ...{
      nodes: { vda: 'n-vda', vdb: 'n-vdb' },
      files: {},
      plan: ['one transaction over vda, vdb'],
      undo: ['remove both'],
    },
    ...{ vmState: 'running' as const, memory: 'none' as const },
  };
  ask(machine, { type: 'StartOperation', start }, world);
}

const done = ({ ms }: Surroundings) => {
  const at = new Date(ms).toISOString();
  const steps = [{ name: 'transaction', state: 'done' as const, startedAt: at, endedAt: at }];
  return { steps, transcriptDigest: 'd'.repeat(64) };
};

function ask(machine: Machine, command: Command, world: Surroundings): void {
  const correlationId = 'operationId' in command ? command.operationId : world.ids();
  const commandDigest = digestOf(command.type);
  world.ms += 3;
  for (const event of decide(command, machine.vm)) {
    const id = record(machine, event, { correlationId, commandDigest, world });
    machine.vm = evolve(machine.vm, { ...event, id });
  }
}

interface Circumstances {
  readonly correlationId: string;
  readonly commandDigest: string;
  readonly world: Surroundings;
}

/** Puts an event on its way; says by what id. */
function record(stream: Stream, event: VmEvent | RegistryEvent, circumstances: Circumstances): string {
  const { world, ...about } = circumstances;
  const id = world.ids();
  stream.version += 1;
  stream.waiting.push({
    ...{ id, type: event.type, stream: stream.name, version: String(stream.version) },
    ...{ recordedAt: new Date(world.ms).toISOString(), actor: 'http:bench', causationId: '' },
    ...{ ...about, commandId: '', schemaVersion: SCHEMA_VERSION, data: event.data },
  });
  return id;
}

async function append(store: EventStore, stream: Stream): Promise<number> {
  const first = stream.waiting[0];
  if (!first) return 0;
  const sealed = stream.waiting.map((envelope) => {
    const event = seal(envelope, stream.hash);
    stream.hash = event.hash;
    return event;
  });
  stream.waiting = [];
  await store.append(stream.name, Number(first.version) - 1, sealed);
  return sealed.length;
}

function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)] as T;
}

/** A small generator of chance: the same seed gives the same log. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function idsFrom(random: () => number): () => string {
  let msecs = STARTED_AT_MS;
  return () => {
    msecs += 1;
    const bytes = Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256));
    return v7({ msecs, random: bytes, seq: 0 });
  };
}
