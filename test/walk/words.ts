/* A walk in words: what was asked for, what stands of it, and what kinds of it there were. */
import type { Held, Model } from './model.ts';
import { type Create, isToBeStarted, memoryOf, type Operation, type OperationOf } from './operations.ts';

/** What is counted as one: by what an operation is carried out, not on what. */
export function kindOf(operation: Operation, model: Model): string {
  switch (operation.do) {
    case 'create':
      return kindOfCreate(operation, model);
    case 'load':
      return kindOfLoad(operation, model);
    case 'delete':
      return operation.strategy;
    case 'delete-all':
    case 'rename':
    case 'retire':
    case 'unretire':
    case 'power':
    case 'pause':
      return operation.do;
  }
}

function kindOfCreate(create: Create, { power }: Model): string {
  const memory = memoryOf(create, power !== 'off');
  const format = create.isStream ? 'stream' : 'state';
  return [
    `create ${power}`,
    memory !== 'none' && `memory ${memory === 'external' ? format : memory}`,
    create.backups.size > 0 && 'copies',
    create.quiesce,
  ]
    .filter((word) => word !== false && word !== 'none')
    .join(', ');
}

function kindOfLoad(load: OperationOf<'load'>, model: Model): string {
  const { power } = model;
  const held = model.snapshot(load.id);
  const withMemory = held.hasMemory && !load.disksOnly;
  const isAnew = power === 'off' ? isToBeStarted(load, held) : withMemory && held.isStream;
  const memory = withMemory && `memory ${held.isStream ? 'stream' : 'state'}`;
  return [`load ${power}`, memory, isAnew && 'new QEMU'].filter(Boolean).join(', ');
}

/** The operation in the words of the walk's story. */
export function wordsOf(operation: Operation, model: Model): string {
  const label = (id: string): string => model.snapshots.get(id)?.label ?? id;
  switch (operation.do) {
    case 'create':
      return wordsOfCreate(operation);
    case 'load': {
      const { id, safety, goesOn, disksOnly } = operation;
      return `load ${label(id)}, safety ${safety}, then ${goesOn}${disksOnly ? ', disks only' : ''}`;
    }
    case 'delete':
      return `${operation.strategy} ${label(operation.id)}`;
    case 'rename':
      return `rename ${label(operation.id)} to ${operation.name}`;
    case 'retire':
    case 'unretire':
      return `${operation.do} ${label(operation.id)}`;
    case 'delete-all':
      return 'delete all';
    case 'power':
      return model.power === 'off' ? 'power on' : 'power off';
    case 'pause':
      return model.power === 'paused' ? 'let it run' : 'pause';
  }
}

function wordsOfCreate({ disks, memory, ...create }: Create): string {
  const wishes = [...disks].map(([letter, { mode, fileMode, isQed }]) =>
    [letter, mode ?? 'default', isQed && 'qed', fileMode].filter(Boolean).join(' '),
  );
  const more = [
    create.diskOnly && 'disk-only',
    create.isStream && 'as a stream',
    create.namesMemoryFile && 'named memory',
    create.takenName && 'taken name',
    create.quiesce !== 'none' && `quiesce ${create.quiesce}`,
    ...[...create.backups].map(([letter, { sync, format }]) => `copy ${sync} of ${letter} in ${format}`),
  ];
  return ['create', `memory ${memory ?? 'default'}`, ...wishes, ...more].filter(Boolean).join(', ');
}

/** What stands of the snapshots, in one line for each: for the story. */
export const wordsFor = ({ label, power, hasMemory, disks }: Held): string =>
  `${label}: ${power}${hasMemory ? ' with memory' : ''}, ${[...disks].map(([letter, { mode }]) => `${letter} ${mode}`).join(', ')}`;
