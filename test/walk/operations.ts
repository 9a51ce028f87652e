/* What is asked for in a walk, drawn at random, and how each may end by the rules. */
import type { Chance } from '../simulation/chance.ts';
import { type Held, type Mode, type Model, type ModelDisk, SLOTS, type Write } from './model.ts';

export type Strategy = 'merge' | 'merge-force' | 'discard' | 'discard-force';

/** What a capture is to do with one disk. */
export interface DiskWish {
  /** Null: whatever is its default. */
  readonly mode: Mode | null;
  /** Of an external one: the caller names the file, or has even made it. */
  readonly fileMode: 'absolute-paths' | 'existing' | null;
  readonly isQed: boolean;
}

/** A copy that is made of a disk beside the capture. */
export interface BackupWish {
  readonly sync: 'full' | 'top';
  readonly format: 'qcow2' | 'raw';
}

export interface Create {
  readonly do: 'create';
  /** Of a snapshot that lives already. */
  readonly takenName?: string;
  readonly memory?: Mode;
  readonly isStream: boolean;
  /** Whether the caller says where the memory goes. */
  readonly namesMemoryFile: boolean;
  /** By letter. */
  readonly disks: ReadonlyMap<string, DiskWish>;
  readonly diskOnly: boolean;
  /** By letter. */
  readonly backups: ReadonlyMap<string, BackupWish>;
  readonly quiesce: 'none' | 'try' | 'require';
}

export type Operation =
  | Create
  | {
      readonly do: 'load';
      readonly id: string;
      readonly safety: 'disks' | 'memory' | 'none';
      readonly goesOn: 'as-captured' | 'running' | 'paused';
      readonly disksOnly: boolean;
    }
  | { readonly do: 'delete'; readonly id: string; readonly strategy: Strategy }
  | { readonly do: 'delete-all' }
  | { readonly do: 'rename'; readonly id: string; readonly name: string }
  | { readonly do: 'retire' | 'unretire'; readonly id: string }
  | { readonly do: 'power' | 'pause' };

export type OperationOf<Does extends Operation['do']> = Extract<Operation, { do: Does }>;

const MODES = ['none', 'internal', 'external'] as const;
const STRATEGIES = ['merge', 'merge', 'merge', 'merge-force', 'discard', 'discard-force'] as const;
/** With so many there is more deleted than created. */
const SNAPSHOTS_ENOUGH = 14;
const EXTENT_SLOTS_MAX = 24;

/** Something to write as the guest would. */
export function drawWrite(chance: Chance, { disks }: Model): Write {
  const first = chance.below(SLOTS);
  const count = 1 + chance.below(Math.min(EXTENT_SLOTS_MAX, SLOTS - first));
  return { letter: chance.pick(disks)?.letter ?? '', first, count, pattern: 1 + chance.below(255) };
}

export function drawOperation(chance: Chance, model: Model): Operation {
  const held = chance.pick([...model.snapshots.values()]);
  const dice = chance.next();
  const create = model.snapshots.size > SNAPSHOTS_ENOUGH ? 0.2 : 0.4;
  if (!held || dice < create) return drawCreate(chance, model);
  const { id } = held;
  if (dice < create + 0.23) return drawLoad(chance, id);
  if (dice < 0.84) return { do: 'delete', id, strategy: chance.pick(STRATEGIES) };
  if (dice < 0.855) return { do: 'delete-all' };
  if (dice < 0.885) return drawRename(chance, model, id);
  if (dice < 0.91) return { do: held.isRetired ? 'unretire' : 'retire', id };
  return { do: model.power !== 'off' && dice < 0.95 ? 'pause' : 'power' };
}

/** Now and then of what makes no sense. */
function drawCreate(chance: Chance, model: Model): Create {
  const isWild = chance.happens(0.1);
  const all = chance.happens(0.4) ? chance.pick(MODES) : undefined;
  const disks = new Map(model.disks.map((disk) => [disk.letter, drawDisk(chance, disk, { isWild, all })]));
  const other = chance.happens(0.03) ? chance.pick([...model.snapshots.values()]) : undefined;
  const memory = drawMemory(chance, model, isWild);
  const diskOnly = isWild ? chance.happens(0.5) : memory === 'none' && chance.happens(0.5);
  const hasPlace = isWild || memory === 'external';
  const hasBackups = chance.happens(0.2);
  return {
    do: 'create',
    ...(other && { takenName: other.name }),
    ...(memory && { memory }),
    isStream: hasPlace && chance.happens(0.4),
    namesMemoryFile: hasPlace && chance.happens(0.3),
    disks,
    diskOnly,
    backups: hasBackups ? drawBackups(chance, model) : new Map(),
    quiesce: chance.happens(0.2) ? chance.pick(['try', 'require']) : 'none',
  };
}

function drawBackups(chance: Chance, { disks }: Model): Map<string, BackupWish> {
  const copied = disks.filter(() => chance.happens(0.6));
  return new Map(
    copied.map(({ letter }): [string, BackupWish] => {
      const sync = chance.pick(['full', 'full', 'top'] as const);
      return [letter, { sync, format: sync === 'full' && chance.happens(0.3) ? 'raw' : 'qcow2' }];
    }),
  );
}

const drawMemory = (chance: Chance, { power }: Model, isWild: boolean): Mode | undefined => {
  if (isWild) return chance.pick(MODES);
  return power === 'off' ? 'none' : chance.pick([...MODES, undefined]);
};

function drawDisk(
  chance: Chance,
  { isRaw, top }: ModelDisk,
  { isWild, all }: { isWild: boolean; all: Mode | undefined },
): DiskWish {
  const wish = all ?? chance.pick([...MODES, 'internal', 'external']);
  const mode = wish === 'internal' && !top.canHold && !isWild ? 'external' : wish;
  if (mode !== 'external') {
    const isDefault = mode === 'internal' && !isRaw && chance.happens(0.5);
    return { mode: isDefault ? null : mode, fileMode: null, isQed: false };
  }
  const wishes = chance.happens(0.5) ? 'existing' : 'absolute-paths';
  const fileMode = chance.happens(0.15) ? wishes : null;
  const isQed = chance.happens(0.1);
  return { mode, fileMode, isQed: isQed && fileMode !== 'existing' }; // Its header cannot say what format is below.
}

const drawLoad = (chance: Chance, id: string): Operation => ({
  do: 'load',
  id,
  safety: chance.pick(['disks', 'disks', 'memory', 'none']),
  goesOn: chance.pick(['as-captured', 'as-captured', 'running', 'paused']),
  disksOnly: chance.happens(0.2),
});

function drawRename(chance: Chance, model: Model, id: string): Operation {
  const other = chance.happens(0.3) ? chance.pick([...model.snapshots.values()]) : undefined;
  return { do: 'rename', id, name: other?.name ?? `name-${chance.uint32()}` };
}

/**
 * How the operation may end: as it should, or for any of the reasons that stand against it. What is refused at once is
 * `refused`, what only a look can tell is `undone`.
 */
export function endsOf(operation: Operation, model: Model): string[] {
  switch (operation.do) {
    case 'create':
      return orElse('created', endsOfCreate(operation, model));
    case 'load':
      return orElse('loaded', endsOfLoad(operation, model));
    case 'delete':
      return orElse('deleted', endsOfDelete(operation, model));
    case 'rename': {
      const others = [...model.snapshots.values()].filter(({ id }) => id !== operation.id);
      return [others.some(({ name }) => name === operation.name) ? 'refused: name-taken' : 'done'];
    }
    case 'delete-all':
      return ['deleted'];
    case 'retire':
    case 'unretire':
    case 'power':
    case 'pause':
      return ['done'];
  }
}

const orElse = (success: string, reasons: readonly string[]): string[] =>
  reasons.length === 0 ? [success] : [...new Set(reasons)];

/** What a capture does with each disk. */
export const modesOf = ({ disks }: Create): Map<string, Mode> =>
  new Map([...disks].map(([letter, { mode }]) => [letter, mode ?? 'internal']));

/** Without a word, all of a machine that is on is captured. */
export const memoryOf = ({ memory, diskOnly }: Create, isOn: boolean): Mode =>
  memory ?? (isOn && !diskOnly ? 'internal' : 'none');

function endsOfCreate(create: Create, model: Model): string[] {
  const modes = modesOf(create);
  const nameTaken = create.takenName === undefined ? [] : ['refused: name-taken'];
  const isImpossible = model.disks.some((disk) => modes.get(disk.letter) === 'internal' && !disk.top.canHold);
  const unsupported = isImpossible ? ['refused: disk-unsupported'] : [];
  const senseless = isSenseless(create, modes, true) ? ['refused: invalid-combination'] : [];
  const mustFreeze = create.quiesce === 'require';
  const isForDisks = mustFreeze && memoryOf(create, true) !== 'none' ? ['refused: invalid-combination'] : [];
  const atOnce = [...nameTaken, ...unsupported, ...senseless, ...isForDisks];
  if (atOnce.length > 0 || model.power === 'running') return atOnce;
  if (model.power === 'paused') {
    return [
      // QEMU lets go of the images after a stream, and takes them back only when it runs.
      ...(create.isStream ? ['undone: unsupported'] : []),
      ...(mustFreeze ? ['undone: no-guest-agent'] : []),
    ];
  }
  return isSenseless(create, modes, false) ? ['undone: invalid-combination'] : [];
}

function isSenseless(create: Create, modes: ReadonlyMap<string, Mode>, isOn: boolean): boolean {
  const memory = memoryOf(create, isOn);
  const captured = [...modes.values()].filter((mode) => mode !== 'none');
  if (memory === 'none') return captured.length === 0 || create.namesMemoryFile || create.isStream;
  if (!isOn || create.diskOnly) return true;
  const goesIntoDisk = captured.length > 0 && captured.every((mode) => mode === 'internal');
  return memory === 'internal' && (create.isStream || (goesIntoDisk && create.namesMemoryFile));
}

function endsOfLoad(load: OperationOf<'load'>, model: Model): string[] {
  const held = model.snapshot(load.id);
  if (held.isRetired) return ['refused: not-loadable'];
  const withMemory = held.hasMemory && !load.disksOnly;
  if (load.disksOnly && held.disks.size === 0) return ['refused: invalid-combination'];
  if (model.hasLauncher) return [];
  const needsPower = model.power === 'off' && isToBeStarted(load, held);
  const needsNew = model.power !== 'off' && withMemory && held.isStream;
  return [
    ...(needsPower ? ['undone: needs-power-on'] : []),
    ...(needsNew ? ['undone: needs-power-off'] : []),
  ];
}

/** Whether a machine that is off has to be on for it. */
export const isToBeStarted = (
  { goesOn, disksOnly }: OperationOf<'load'>,
  { hasMemory }: Pick<Held, 'hasMemory'>,
): boolean => (hasMemory && !disksOnly) || goesOn === 'running';

function endsOfDelete({ id, strategy }: OperationOf<'delete'>, model: Model): string[] {
  switch (strategy) {
    case 'merge':
      return model.losers(id).some(({ isPin }) => !isPin) ? ['refused: would-discard'] : [];
    case 'merge-force':
      return [];
    case 'discard':
    case 'discard-force': {
      const hasChildren = strategy === 'discard' && model.hasChildren(id);
      const isInUse = model.isInUse(model.subtree(id));
      return [...(hasChildren ? ['refused: has-children'] : []), ...(isInUse ? ['refused: in-use'] : [])];
    }
  }
}
