import { route } from './api.ts';
import type { Snapshots, Vms } from './answers.ts';
import { unknownName, type Trouble } from './problem.ts';
import type { Session } from './session.ts';

const UUID_SHAPED = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** States of snapshots whose name is taken. What a name means is looked up among them, and nowhere else. */
const LIVE = 'pending,complete,deleting,retired,lost,suspect';

/** The id in a text; null when it is a name. Names are never shaped like ids, so there is nothing to guess. */
export const idIn = (word: string): string | null => (UUID_SHAPED.test(word) ? word.toLowerCase() : null);

/** The id of the VM that a person names. Throws a `Trouble`: `vm-unknown`. */
export async function findVm({ api }: Session, word: string): Promise<string> {
  const id = idIn(word);
  if (id !== null) return id;
  const { body } = await api.get<Vms>(route('vms'), 'vms', { name: word });
  return only(body.vms, `VM is called "${word}"`, 'vm-unknown');
}

/** The id of the snapshot that a person names. Throws a `Trouble`: `snapshot-unknown`. */
export async function findSnapshot({ api }: Session, vmId: string, word: string): Promise<string> {
  const id = idIn(word);
  if (id !== null) return id;
  const query = { name: word, status: LIVE, implicit: 'true' };
  const { body } = await api.get<Snapshots>(route('vms', vmId, 'snapshots'), 'snapshots', query);
  return only(body.snapshots, `live snapshot is called "${word}"`, 'snapshot-unknown');
}

type Unknown = Parameters<typeof unknownName>[0];

function only(found: readonly { readonly id: string }[], calledSo: string, reason: Unknown): string {
  const [first, ...others] = found;
  if (!first) throw unknownName(reason, `no ${calledSo}`);
  if (others.length > 0) throw ambiguous(found, calledSo, reason);
  return first.id;
}

function ambiguous(found: readonly { readonly id: string }[], calledSo: string, reason: Unknown): Trouble {
  const ids = found.map(({ id }) => id).join(', ');
  return unknownName(reason, `more than one ${calledSo}; say which by its id: ${ids}`);
}
