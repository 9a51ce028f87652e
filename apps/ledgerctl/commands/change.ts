import type { Command } from 'commander';
import type { SnapshotView } from '#views';
import { route, type Answer, type Guards } from '../api.ts';
import { findSnapshot, findVm } from '../find.ts';
import { ownTrouble, Trouble } from '../problem.ts';
import type { Does, Session } from '../session.ts';
import { guarded } from '../words.ts';

/** How often labels are read and written again when somebody else changed the VM in between. */
const LABEL_ATTEMPTS_MAX = 5;

/** What needs no machine: each records one event and is done at once. */
export function changeCommands(program: Command, does: Does): void {
  const about = (name: string, description: string): Command =>
    guarded(program.command(name))
      .description(description)
      .argument('<VM>', 'name or id')
      .argument('<SNAP>', 'name or id');
  about('rename', 'give a snapshot another name')
    .argument('<NEW>', 'the new name')
    .action(
      does((session, vm: string, snap: string, name: string) =>
        patch(session, { vm, snap, change: { name }, said: `renamed ${snap} to ${name}` }),
      ),
    );
  about('describe', 'say what a snapshot is for')
    .argument('<TEXT>', 'the description; an empty one removes it')
    .action(
      does((session, vm: string, snap: string, description: string) =>
        patch(session, { vm, snap, change: { description }, said: `described ${snap}` }),
      ),
    );
  about('label', 'set and remove labels of a snapshot')
    .argument('<LABELS...>', 'key=value sets one, key- removes one')
    .action(does(relabel));
  about('protect', 'let nobody delete a snapshot').action(
    does((session, vm: string, snap: string) =>
      patch(session, { vm, snap, change: { protected: true }, said: `protected ${snap}` }),
    ),
  );
  about('unprotect', 'let a snapshot be deleted again').action(
    does((session, vm: string, snap: string) =>
      patch(session, { vm, snap, change: { protected: false }, said: `unprotected ${snap}` }),
    ),
  );
  guarded(program.command('release'))
    .description('lift the hold on a machine that needed an operator')
    .argument('<VM>', 'name or id')
    .argument('<NOTE>', 'what you found and did; it is recorded')
    .action(does(release));
}

interface Patch {
  readonly vm: string;
  readonly snap: string;
  readonly change: object;
  readonly said: string;
}

async function patch(session: Session, { vm, snap, change, said }: Patch): Promise<void> {
  const path = await pathOf(session, vm, snap);
  const answer = await patched(session, path, change, session.guards);
  await session.show(answer, () => `${session.screen.text(said)}\n`);
}

async function pathOf(session: Session, vmWord: string, word: string): Promise<string> {
  const vmId = await findVm(session, vmWord);
  return route('vms', vmId, 'snapshots', await findSnapshot(session, vmId, word));
}

const patched = (
  { api }: Session,
  path: string,
  body: object,
  guards: Guards,
): Promise<Answer<SnapshotView>> =>
  api.command<SnapshotView>({ method: 'PATCH', path, body, ...guards }, 'parentId');

/**
 * ledgerd knows labels as a whole only. What was read is written back at the version at which it was read, so that
 * nobody's label is lost; when somebody was faster it is read again.
 */
async function relabel(
  session: Session,
  vmWord: string,
  word: string,
  words: readonly string[],
): Promise<void> {
  const { guards } = session;
  const changes = words.map(labelChange);
  const path = await pathOf(session, vmWord, word);
  for (let attempt = 1; ; attempt += 1) {
    const { body, version } = await session.api.get<SnapshotView>(path, 'labels');
    const labels = new Map(Object.entries(body.labels));
    for (const { key, value } of changes) {
      if (value === null) labels.delete(key);
      else labels.set(key, value);
    }
    try {
      const change = { labels: Object.fromEntries(labels) };
      const answer = await patched(session, path, change, { ifMatch: version, ...guards });
      return await session.show(answer, () => `labelled ${session.screen.text(word)}\n`);
    } catch (error) {
      const isLate = error instanceof Trouble && error.problem.reason === 'stale-version';
      if (!isLate || guards.ifMatch !== undefined || attempt === LABEL_ATTEMPTS_MAX) throw error;
    }
  }
}

function labelChange(word: string): { key: string; value: string | null } {
  const at = word.indexOf('=');
  if (at > 0) return { key: word.slice(0, at), value: word.slice(at + 1) };
  if (at < 0 && word.length > 1 && word.endsWith('-')) return { key: word.slice(0, -1), value: null };
  throw ownTrouble('usage', `"${word}" is neither key=value nor key-`);
}

async function release(session: Session, word: string, note: string): Promise<void> {
  const vmId = await findVm(session, word);
  const text = await session.api.order({
    method: 'POST',
    path: route('vms', vmId, 'release'),
    body: { note },
    ...session.guards,
  });
  await session.show({ body: null, text, version: '' }, () => `released ${session.screen.text(word)}\n`);
}
