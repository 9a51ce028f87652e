import { checkShape, objectsOf, type Shape, textOf } from './arguments.ts';
import { BACKUP, beginBackup } from './backup-job.ts';
import { putOverlay } from './overlay.ts';
import { createInternal } from './internal-snapshot.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import type { Machine } from './machine.ts';
import { QmpError } from './qmp-error.ts';
import { pause, type Work } from './work.ts';

/** From the last disk's fdatasync to the reply. */
const RETURN_MS = 0.2;

type Action = (machine: Machine, data: JsonObject) => Work<() => Work<void>>;

const ACTIONS: Readonly<Record<string, { readonly shape: Shape; readonly act: Action }>> = {
  'blockdev-snapshot-internal-sync': {
    shape: { device: 'string', name: 'string' },
    act: (machine, data) => createInternal(machine, textOf(data, 'device'), textOf(data, 'name')),
  },
  'blockdev-snapshot': {
    shape: { node: 'string', overlay: 'string' },
    act: (machine, data) => putOverlay(machine, textOf(data, 'node'), textOf(data, 'overlay')),
  },
  'blockdev-backup': { shape: BACKUP, act: beginBackup },
  abort: {
    shape: {},
    // oxlint-disable-next-line require-yield -- it fails before anything could take time
    *act() {
      throw new QmpError('Transaction aborted using Abort action');
    },
  },
};

/**
 * One disk after the other, each durable before the next begins. A command error takes all of them back, the last
 * one first; a death in between leaves what was done, whichever way it was going.
 */
export function* transaction(machine: Machine, args: JsonObject): Work<Json> {
  const actions = objectsOf(args, 'actions').map(parsed);
  const undo: (() => Work<void>)[] = [];
  try {
    for (const { act, data } of actions) undo.push(yield* act(machine, data));
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
    for (const takeBack of undo.toReversed()) yield* takeBack();
    throw error;
  }
  yield* pause(machine.surroundings.chance, RETURN_MS, 'end of transaction');
  return {};
}

function parsed(action: JsonObject, at: number): { act: Action; data: JsonObject } {
  const type = textOf(action, 'type');
  if (action['type'] === undefined) throw new QmpError(`Parameter 'actions[${at}].type' is missing`);
  const known = Object.hasOwn(ACTIONS, type) ? ACTIONS[type] : undefined;
  if (!known) throw new QmpError(`Parameter 'type' does not accept value '${type}'`);
  const data = action['data'];
  if (!isObject(data)) throw new QmpError(`Parameter 'actions[${at}].data' is missing`);
  checkShape(data, known.shape, `actions[${at}].data.`);
  return { act: known.act, data };
}
