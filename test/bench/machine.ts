import { setTimeout as sleep } from 'node:timers/promises';
import { ledgerTaker } from './ledger-taker.ts';
import { libvirtTaker, needsLibvirt } from './libvirt-taker.ts';
import { rawTaker } from './raw-taker.ts';
import { median, type Row, timed } from './row.ts';
import type { Kind, Taker, Verb } from './taker.ts';

const ROUNDS = 20;
const WARM_UP = 4;
/** A guest that finds nothing to start from comes to rest, after so long at the most. Until then it takes a core. */
const BOOTED_AFTER_MS = 5_000;
const EXTRA_MS = 3;
const LOAD_MS = 25;

/** In ms. */
interface Medians {
  readonly ours: number;
  readonly raw: number;
  /** Null where libvirt is not installed, or cannot do it. */
  readonly libvirt: number | null;
}

interface Wanted {
  readonly verb: Verb;
  readonly what: string;
  readonly raw: string;
  readonly goal: string | null;
  readonly isReached: (medians: Medians) => boolean;
}

const isCloseToRaw = ({ ours, raw }: Medians): boolean => ours <= 1.5 * raw;
const beatsLibvirt = ({ ours, libvirt }: Medians): boolean => libvirt === null || ours < libvirt;

const CREATE = {
  verb: 'create',
  goal: '≤ 1.5×, < libvirt',
  isReached: (medians: Medians) => isCloseToRaw(medians) && beatsLibvirt(medians),
} as const;

const REMOVE = { verb: 'remove', goal: null, isReached: () => true } as const;

const WANTED: Readonly<Record<Kind, readonly Wanted[]>> = {
  internal: [
    {
      verb: 'create',
      what: 'create, 2 disks internal (p50)',
      raw: 'raw transaction',
      goal: `≤ raw + ${EXTRA_MS} ms and ≤ 1.5×`,
      isReached: (medians) => isCloseToRaw(medians) && medians.ours <= medians.raw + EXTRA_MS,
    },
    { ...REMOVE, what: 'delete, 2 disks internal (p50)', raw: 'raw deletes' },
  ],
  memory: [
    { ...CREATE, what: 'create, memory and 2 disks internal (p50)', raw: 'raw snapshot-save' },
    {
      verb: 'load',
      what: 'load of a running machine, memory and 2 disks internal (p50)',
      raw: 'raw snapshot-load',
      goal: `≤ ${LOAD_MS} ms and ≤ 1.5×`,
      isReached: (medians) => isCloseToRaw(medians) && medians.ours <= LOAD_MS,
    },
    { ...REMOVE, what: 'delete, memory and 2 disks internal (p50)', raw: 'raw deletes' },
  ],
  external: [
    { ...CREATE, what: 'create, 2 disks external (p50)', raw: 'raw overlays, transaction' },
    {
      verb: 'load',
      what: 'load of a running machine, 2 disks external (p50)',
      raw: 'raw overlays, qom-set',
      goal: `≤ ${LOAD_MS} ms`,
      isReached: ({ ours }) => ours <= LOAD_MS,
    },
    { ...REMOVE, what: 'delete by merge, 2 disks external (p50)', raw: 'raw block-stream' },
  ],
};

/**
 * Snapshots of running machines with two disks: ours from the HTTP request to the terminal event, beside raw QMP and
 * libvirt, in turns and each on a machine of its own.
 */
export async function machineRows(): Promise<Row[]> {
  const hasLibvirt = needsLibvirt();
  const rows: Row[] = [];
  for (const kind of ['internal', 'memory', 'external'] as const) {
    console.error(`  ${kind}`);
    const takers: Takers = {
      raw: await rawTaker(kind),
      ours: await ledgerTaker(kind),
      libvirt: hasLibvirt ? await libvirtTaker(kind) : null,
    };
    for (const [wanted, medians] of await measured(kind, takers)) {
      const { what, raw, goal, isReached } = wanted;
      const { libvirt } = medians;
      rows.push({
        what,
        ours: { label: '', value: medians.ours, unit: 'ms' },
        baseline: { label: raw, value: medians.raw, unit: 'ms' },
        libvirt: libvirt === null ? whyNot(hasLibvirt) : { label: 'virsh', value: libvirt, unit: 'ms' },
        goal,
        reached: isReached(medians),
      });
    }
  }
  return rows;
}

const whyNot = (hasLibvirt: boolean): string => (hasLibvirt ? 'cannot' : 'libvirt not installed');

interface Takers {
  readonly raw: Taker;
  readonly ours: Taker;
  readonly libvirt: Taker | null;
}

async function measured(kind: Kind, { raw, ours, libvirt }: Takers): Promise<[Wanted, Medians][]> {
  const all = [raw, ours, ...(libvirt ? [libvirt] : [])].map((taker) => new Stopwatch(taker, kind));
  try {
    await sleep(BOOTED_AFTER_MS);
    for (const one of all) await one.begin();
    for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
      for (const one of all) await one.round(round >= WARM_UP);
    }
  } finally {
    for (const one of all) await one.end();
  }
  const [rawTimes, ourTimes, libvirtTimes] = all;
  return WANTED[kind].map((wanted) => {
    const of = (times: Stopwatch | undefined): number => median(times?.taken.get(wanted.verb) ?? []);
    const theirs = libvirt?.verbs.includes(wanted.verb) ? of(libvirtTimes) : null;
    return [wanted, { raw: of(rawTimes), ours: of(ourTimes), libvirt: theirs }];
  });
}

/** One taker, and how long it took, in ms. */
class Stopwatch {
  readonly taken = new Map<Verb, number[]>();
  readonly #taker: Taker;
  readonly #verbs: readonly Verb[];
  #first = '';

  constructor(taker: Taker, kind: Kind) {
    this.#taker = taker;
    this.#verbs = WANTED[kind].map(({ verb }) => verb).filter((verb) => taker.verbs.includes(verb));
  }

  /** The snapshot that stays, and is loaded again and again. */
  async begin(): Promise<void> {
    this.#first = await this.#taker.create();
  }

  async round(counts: boolean): Promise<void> {
    let made = '';
    const doing: Record<Verb, () => Promise<void>> = {
      create: async () => void (made = await this.#taker.create()),
      remove: () => this.#taker.remove(made),
      load: () => this.#taker.load(this.#first),
    };
    for (const verb of ['create', 'remove', 'load'] as const) {
      if (!this.#verbs.includes(verb)) continue;
      const ms = await timed(doing[verb]);
      if (counts) this.taken.set(verb, [...(this.taken.get(verb) ?? []), ms]);
    }
  }

  end(): Promise<void> {
    return this.#taker.end();
  }
}
