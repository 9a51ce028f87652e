import { createHash } from 'node:crypto';
import { type CaptureMode, type MachineConfig, type MachineFacts, Refusal } from '#ledger';
import {
  type GetType,
  type Monitor,
  type ObjectChild,
  parseChildren,
  parseCpus,
  parseMemorySize,
  parseType,
  QmpGarbled,
  QmpRefused,
  releaseOf,
} from '#qmp';
import { LOOK_TIMEOUT_MS, MEMORY_BYTES_ASSUMED } from '../bounds.ts';
import type { Start } from '../journal.ts';
import type { Place } from '../place.ts';
import type { Sight } from './sight.ts';
import { Thwarted } from '../trouble.ts';

/* Memory is loaded into the same machine that it was saved from: QEMU finds out half-way, with the disks loaded. */

/** The log keeps no more devices of one machine by name than this. The hash covers all. */
export const DEVICES_NAMED_MAX = 256;

/** A difference is told with no more of its parts than this. */
const DIFFERENCES_TOLD_MAX = 5;

const timeoutMs = LOOK_TIMEOUT_MS;

/** Where QEMU keeps the first CPU of a machine as a rule. */
const FIRST_CPU = '/machine/unattached/device[0]';

/**
 * What the machine consists of; null when its QEMU does not tell. Asked for in one write, and in one more where the first
 * CPU is not where it nearly always is; answered within a millisecond or two. `before` is what the same QEMU has told: of
 * all that only devices come and go. Throws as `Monitor.execute` does, but for a refusal.
 */
export async function machineConfig(
  monitor: Monitor,
  before: MachineConfig | null = null,
): Promise<MachineConfig | null> {
  return orNull(async () => {
    if (before && isFixed(before)) {
      const now = configOf({ ...before.facts, devices: await devicesOf(monitor) });
      if (now.hash === before.hash) return now;
    }
    return configOf(await factsOf(monitor));
  });
}

/** Devices that are memory or CPUs change more than the list of devices. One of which not all are known may have some. */
const isFixed = ({ facts: { devices } }: MachineConfig): boolean =>
  devices.length < DEVICES_NAMED_MAX && !devices.some((device) => /dimm|mem|epc|cpu/i.test(device));

/** The same, asked for only when the look has not. Throws as `machineConfig`. */
export const machineIn = async (
  { line }: Pick<Place, 'line'>,
  { machine }: Pick<Sight, 'machine'>,
): Promise<MachineConfig | null> => (machine === undefined ? machineConfig(line.held) : machine);

/** What the journal of a capture says of the machine: nothing when no memory is captured. Throws as `machineConfig`. */
export async function machineFor(
  place: Pick<Place, 'line'>,
  memory: CaptureMode,
  sight: Pick<Sight, 'machine'> = {},
): Promise<Pick<Start, 'machine'>> {
  const machine = memory === 'none' ? null : await machineIn(place, sight);
  return machine ? { machine } : {};
}

async function factsOf(monitor: Monitor): Promise<MachineFacts> {
  const [machine, ramBytes, cpus, guessed, devices] = await Promise.all([
    typeOf(monitor, '/machine'),
    memorySize(monitor),
    monitor.execute('query-cpus-fast', {}, { timeoutMs }).then(parseCpus),
    orNull(() => typeOf(monitor, FIRST_CPU)),
    devicesOf(monitor),
  ]);
  const [firstCpu] = cpus;
  return {
    machine: machine.replace(/-machine$/, ''),
    ramBytes,
    cpus: cpus.length,
    cpuModel: await modelOf(monitor, firstCpu, guessed),
    qemu: releaseOf(monitor.version),
    devices,
  };
}

async function devicesOf(monitor: Monitor): Promise<string[]> {
  const [named, unnamed] = await Promise.all([
    childrenOf(monitor, '/machine/peripheral'),
    childrenOf(monitor, '/machine/peripheral-anon'),
  ]);
  return [
    ...named.map(({ name, type }) => `${name} (${type})`),
    ...unnamed.map(({ type }) => `(${type})`), // Their numbers go by the order in which they were plugged in.
  ].toSorted();
}

/** `guessed` is what stands where the first CPU nearly always does. */
async function modelOf(monitor: Monitor, cpu: string | undefined, guessed: string | null): Promise<string> {
  if (cpu === undefined) return '';
  return cpu === FIRST_CPU && guessed !== null ? guessed : typeOf(monitor, cpu);
}

/** Of what need not be there, or tell what it is. */
async function orNull<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof QmpRefused || error instanceof QmpGarbled) return null;
    throw error;
  }
}

async function typeOf(monitor: Monitor, path: string): Promise<string> {
  const question: GetType = { path, property: 'type' };
  return parseType(await monitor.execute('qom-get', question, { timeoutMs }));
}

const childrenOf = async (monitor: Monitor, path: string): Promise<ObjectChild[]> =>
  parseChildren(await monitor.execute('qom-list', { path }, { timeoutMs }));

const memorySize = async (monitor: Monitor): Promise<number> =>
  parseMemorySize(await monitor.execute('query-memory-size-summary', {}, { timeoutMs }));

/** How much memory the machine has, in bytes; of a QEMU that cannot say, as much as a large machine has. */
export async function memoryBytes(monitor: Monitor): Promise<number> {
  return (await orNull(() => memorySize(monitor))) ?? MEMORY_BYTES_ASSUMED;
}

/**
 * The facts as the log keeps them, under the hash of those that memory depends on. QEMU's own version is none of them:
 * a machine type that bears a version promises to be the same machine in every later QEMU.
 */
export function configOf(facts: MachineFacts): MachineConfig {
  const { machine, ramBytes, cpus, cpuModel, devices } = facts;
  const text = JSON.stringify([machine, ramBytes, cpus, cpuModel, devices]);
  return {
    hash: createHash('sha256').update(text).digest('hex'),
    facts: { ...facts, devices: devices.slice(0, DEVICES_NAMED_MAX) },
  };
}

/**
 * Of a snapshot from before configurations were kept, and of a machine that does not tell, nothing is known.
 *
 * @throws {Refusal} `config-mismatch` with what was and what is
 */
export function requireSameConfig(was: MachineConfig | undefined, is: MachineConfig | null): void {
  if (!was || !is || was.hash === is.hash) return;
  const differences = differencesIn(was.facts, is.facts);
  const told = differences.slice(0, DIFFERENCES_TOLD_MAX).join('; ');
  const more = differences.length - DIFFERENCES_TOLD_MAX;
  throw new Refusal(
    'config-mismatch',
    `the memory was saved from another machine configuration: ${told}${more > 0 ? `; and ${more} more` : ''}`,
  );
}

/** The same of a machine that was started for the load, which cannot be refused any more. Throws `Thwarted`. */
export function requireSameMachine(was: MachineConfig | undefined, is: MachineConfig | null): void {
  try {
    requireSameConfig(was, is);
  } catch (error) {
    if (error instanceof Refusal) throw new Thwarted(error.code, error.message);
    throw error;
  }
}

const MIB = 1024 * 1024;

function differencesIn(was: MachineFacts, is: MachineFacts): string[] {
  const changed = [
    ['the machine type', was.machine, is.machine],
    ['the memory', `${was.ramBytes / MIB} MiB`, `${is.ramBytes / MIB} MiB`],
    ['the number of CPUs', String(was.cpus), String(is.cpus)],
    ['the CPU model', was.cpuModel, is.cpuModel],
  ] as const;
  const told = [
    ...changed
      .filter(([, before, now]) => before !== now)
      .map(([of, before, now]) => `${of} was ${before}, is ${now}`),
    ...without(was.devices, is.devices).map((device) => `the device ${device} was there, and is not`),
    ...without(is.devices, was.devices).map((device) => `the device ${device} was not there, and is`),
  ];
  return told.length > 0 ? told : [`among more than ${DEVICES_NAMED_MAX} devices some are others`];
}

/** Those of the first list that the second lacks; one that stands twice must be there twice. */
function without(some: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return some.filter((one) => {
    const at = left.indexOf(one);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}
