/* Does every one of the 64 combinations do on real QEMU what the document says, and can it be loaded again? */
import { openHypervisor } from '#hypervisor';
import { realWorld } from '#world';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { pino } from 'pino';
import { type Daemon, startDaemon } from '../../apps/ledgerd/daemon.ts';
import { configOf } from '../http/ledgerd.ts';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { type Combination, MODES, rows, saidOf, textOf } from './rows.ts';
import { type Count, type Shown, Witness } from './witness.ts';

/** The contract's word for it would make a promise of any object that a linter sees it in. */
const STANDING = JSON.parse('{"then":"paused"}') as object;
const COUNTED_FIRST = 3;
const COUNTED_MORE = 4;

const cases = rows.flatMap((row) =>
  row.combinations.map((combination) => ({
    what: textOf(combination),
    combination,
    expected: saidOf(row.ours, combination),
  })),
);

let daemon: Daemon | null = null;
afterEach(async () => {
  await daemon?.stop();
  daemon = null;
});
afterAll(cleanUp);

interface Operation {
  readonly id: string;
  readonly snapshotId: string;
  readonly done: boolean;
  readonly outcome: string;
  readonly error?: { readonly reason: string; readonly message: string };
}

/** A machine and its ledger, spoken to as anybody would. */
class Ledger {
  readonly witness = new Witness();
  #vm = '';

  async register(): Promise<void> {
    const { directory, monitorPath } = this.witness;
    const config = configOf({ args: ['--monitor-root', directory, '--image-root', directory] });
    const world = realWorld();
    const roots = { monitorRoots: [directory], imageRoots: [directory], transcriptsDir: config.data };
    const hypervisor = openHypervisor({ world, worker: 'test', ...roots });
    daemon = await startDaemon({ config, world, log: pino({ level: 'silent' }), hypervisor });
    const vm = await this.#ask('POST', '/v1/vms', { name: 'm', monitor: monitorPath });
    this.#vm = `/v1/vms/${String(vm['id'])}`;
  }

  async #ask(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const answer = await fetch(`${daemon?.address}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    return (await answer.json()) as Record<string, unknown>;
  }

  async shown(): Promise<Shown> {
    return (await this.#ask('GET', this.#vm)) as unknown as Shown;
  }

  /** The closed reason, or the operation's end. */
  async #done(asked: Record<string, unknown>): Promise<Operation | string> {
    if (typeof asked['reason'] === 'string') return asked['reason'];
    const ended = await this.#ask('GET', `/v1/operations/${String(asked['id'])}?wait=30s`);
    const operation = ended as unknown as Operation;
    return operation.error?.reason ?? operation;
  }

  create({ memory, disk, diskOnly }: Combination): Promise<Operation | string> {
    const mode = MODES[disk];
    const disks = mode && ['dev-da', 'dev-db'].map((device) => ({ device, snapshot: mode }));
    const body = { ...(MODES[memory] && { memory: MODES[memory] }), ...(disks && { disks }), diskOnly };
    return this.#ask('POST', `${this.#vm}/snapshots`, body).then((asked) => this.#done(asked));
  }

  /** Goes on standing, so that what was loaded can be read before the guest goes on. */
  load(snapshotId: string): Promise<Operation | string> {
    const body = { safety: 'none', ...STANDING };
    return this.#ask('POST', `${this.#vm}/snapshots/${snapshotId}/load`, body).then((asked) =>
      this.#done(asked),
    );
  }
}

/** What the counters may say after the load: what they said between the beginning and the end of the capture. */
function expectBetween(
  loaded: Count,
  [before, after]: readonly [Count, Count],
  expected: string,
  disk: string,
): void {
  if (!expected.endsWith('memory none')) {
    expect(loaded.memory).toBeGreaterThanOrEqual(before.memory);
    expect(loaded.memory).toBeLessThanOrEqual(after.memory);
  }
  if (disk === 'no') return; // Left as they are.
  for (const [index, count] of loaded.disks.entries()) {
    expect(count).toBeGreaterThanOrEqual(before.disks[index] ?? Number.NaN);
    expect(count).toBeLessThanOrEqual(after.disks[index] ?? Number.NaN);
    if (!expected.endsWith('memory none')) expect(loaded.memory - count).toBeLessThanOrEqual(1);
  }
}

async function online(ledger: Ledger, combination: Combination, expected: string): Promise<void> {
  const { witness } = ledger;
  const before = await witness.countedTo(COUNTED_FIRST);
  const created = await ledger.create(combination);
  if (!expected.includes('memory')) return expect(created).toBe(expected);
  const after = await witness.count();
  expect(created).toMatchObject({ outcome: 'succeeded' });
  await witness.countedTo(after.memory + COUNTED_MORE);
  const { snapshotId } = created as Operation;
  expect(await ledger.load(snapshotId)).toMatchObject({ outcome: 'succeeded' });
  expectBetween(await witness.count(), [before, after], expected, combination.disk);
}

async function offline(ledger: Ledger, combination: Combination, expected: string): Promise<void> {
  const { witness } = ledger;
  await witness.countedTo(COUNTED_FIRST);
  await witness.off();
  const before = witness.images(await ledger.shown());
  const created = await ledger.create(combination);
  if (!expected.includes('memory')) return expect(created).toBe(expected);
  expect(created).toMatchObject({ outcome: 'succeeded' });
  await witness.boot(await ledger.shown());
  await witness.countedTo(Math.max(...before.disks) + COUNTED_MORE);
  await witness.off();
  const { snapshotId } = created as Operation;
  expect(await ledger.load(snapshotId)).toMatchObject({ outcome: 'succeeded' });
  expectBetween(witness.images(await ledger.shown()), [before, before], expected, combination.disk);
}

describe.runIf(needsQemu())('on real QEMU, through the HTTP API', () => {
  test.each(cases)('$what: $expected', async ({ combination, expected }) => {
    const ledger = new Ledger();
    await ledger.witness.boot();
    await ledger.register();
    if (combination.domain === 'online') await online(ledger, combination, expected);
    else await offline(ledger, combination, expected);
    await ledger.witness.off();
  });
});
