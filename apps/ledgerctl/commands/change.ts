import type { Command } from 'commander';
import type { SnapshotView } from '#views';
import { route, type Answer, type Guards } from '../api.ts';
import { findSnapshot, findVm } from '../find.ts';
import { type LabelChange, labelChange, relabelled } from '../labels.ts';
import type { Does, Session } from '../session.ts';
import { guarded } from '../words.ts';

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
    .argument('<LABELS...>', 'key=value sets one, key- removes one', labelChange)
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

async function relabel(
  session: Session,
  vm: string,
  snap: string,
  changes: readonly LabelChange[],
): Promise<void> {
  const path = await pathOf(session, vm, snap);
  const write = (labels: object, guards: Guards) => patched(session, path, { labels }, guards);
  const answer = await relabelled(session, { path, changes, write });
  await session.show(answer, () => `labelled ${session.screen.text(snap)}\n`);
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
