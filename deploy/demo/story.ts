import type { World } from '#world';
import type { Guest } from './guest.ts';
import type { Stage } from './stage.ts';

interface Operation {
  readonly id: string;
  readonly done: boolean;
}

const STALL_TIMEOUT_MS = 10_000;

/** Everything the demo shows, in order. Each scene throws when the product does not do what it says. */
export async function tell(world: World, stage: Stage, guest: Guest): Promise<void> {
  await lineage(stage, guest);
  await refusals(stage, guest);
  await killedInsideATransaction(world, stage, guest);
  deletes(stage);
  stage.scene('The log: everything that happened, for ever');
  stage.type('history demo');
}

async function lineage(stage: Stage, guest: Guest): Promise<void> {
  stage.scene('A machine with two disks is registered');
  stage.type(`vm add demo --monitor ${guest.monitorPath}`);

  stage.scene('Four snapshots of memory and both disks: a, b, c, d');
  const counted: Record<string, number> = {};
  for (const name of ['a', 'b', 'c', 'd']) {
    stage.type(`create demo ${name}`);
    counted[name] = await guest.counter();
    stage.say(`  the guest has counted to ${counted[name]}`);
    if (name === 'a') stage.transcript(lastOperation(stage));
  }
  stage.type('tree demo');

  stage.scene('Load b, then take e: e descends from b, whatever the dates say');
  const before = await guest.counter();
  stage.type('load demo b');
  stage.transcript(lastOperation(stage));
  const after = await guest.counter();
  stage.say(
    `  the guest had counted to ${before}; now it is at ${after} again (b was taken near ${counted['b']})`,
  );
  if (after >= before) throw new Error('the load did not bring the guest back');
  stage.type('create demo e');
  stage.type('tree demo');
}

async function refusals(stage: Stage, guest: Guest): Promise<void> {
  stage.scene('A name is never given twice');
  stage.type('create demo b', 3);

  stage.scene(
    'With a raw disk attached a snapshot of all disks cannot be: it fails, and leaves nothing on the others',
  );
  const before = [guest.tagsOf('a').length, guest.tagsOf('b').length];
  await guest.kill();
  await guest.start({ withRaw: true });
  stage.type('create demo with-raw --disk-only', 5);
  const after = [guest.tagsOf('a').length, guest.tagsOf('b').length];
  stage.say(
    `  snapshots on disk a and b, by qemu-img: ${before.join(' and ')} before, ${after.join(' and ')} after`,
  );
  if (String(before) !== String(after)) throw new Error('the refused create left something behind');
  await guest.kill();
  await guest.start();
}

async function killedInsideATransaction(world: World, stage: Stage, guest: Guest): Promise<void> {
  stage.scene('kill -9 of QEMU inside a transaction, when disk a has the snapshot and disk b has not');
  await guest.breakAtFlushOfB();
  stage.type('create demo torn --disk-only --no-wait');
  const operationId = lastOperation(stage);
  const { snapshotId } = stage.ask<{ snapshotId: string }>(`operation ${operationId}`);
  const tag = `sl-${snapshotId}`;
  await until(world, () => guest.tagsOf('a').includes(tag));
  await guest.kill();
  for (const disk of ['a', 'b'] as const) {
    stage.say(`  qemu-img: disk ${disk} ${guest.tagsOf(disk).includes(tag) ? 'HAS' : 'has not'} ${tag}`);
  }
  if (guest.tagsOf('b').includes(tag)) throw new Error('the kill came too late to show anything');
  stage.type('tree demo');

  stage.scene('The machine comes back; the ledger looks, and undoes the half');
  await guest.start();
  stage.type(`operation ${operationId} --wait`, 5);
  stage.transcript(operationId);
  for (const disk of ['a', 'b'] as const) {
    const has = guest.tagsOf(disk).includes(tag);
    stage.say(`  qemu-img: disk ${disk} ${has ? 'HAS' : 'has not'} ${tag}`);
    if (has) throw new Error('the torn snapshot was not undone');
  }
  stage.type('create demo whole --disk-only');
  stage.type('tree demo');
}

function deletes(stage: Stage): void {
  stage.scene('b has children: discarding it is refused');
  stage.type('delete demo b --discard', 3);

  stage.scene('Merging b keeps them; they descend from a now');
  stage.type('delete demo b --merge');
  stage.type('tree demo');

  stage.scene('Discarding d, which has none');
  stage.type('delete demo d --discard');
  stage.type('tree demo');
}

function lastOperation(stage: Stage): string {
  const { operations } = stage.ask<{ operations: Operation[] }>('operations demo');
  const last = operations.at(-1);
  if (!last) throw new Error('there is no operation');
  return last.id;
}

async function until({ clock }: World, isSo: () => boolean): Promise<void> {
  const end = clock.monotonic() + STALL_TIMEOUT_MS;
  while (!isSo()) {
    if (clock.monotonic() > end) throw new Error('the transaction did not reach disk b in time');
    await clock.sleep(30);
  }
}
