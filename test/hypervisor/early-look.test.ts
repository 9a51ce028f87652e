/* Is a look that was begun before its operation as good as one begun with it, or else not gone by? */
import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { running, type Stage, TRANSCRIPTS } from './stage.ts';

const LOOK = ['query-status', 'query-jobs', 'query-migrate', 'query-block'];
const CREATE = ['transaction', 'query-block'];

describe('a machine of which something is being asked', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await running();
    heardBefore = stage.qemu.monitor.received.length;
  });

  let heardBefore = 0;
  /** What QEMU was asked since the machine was registered. */
  const heard = (): string[] => stage.qemu.monitor.received.slice(heardBefore).map(({ command }) => command);

  test('is looked at once, and its operation goes by that', async () => {
    stage.hypervisor.expect(stage.book.vm);
    expect((await stage.book.create({ diskOnly: true })).end).toBe('created');
    expect(heard()).toEqual([...LOOK, ...CREATE]);
  });

  test('is asked what it consists of as well when its memory is captured, and no more afterwards', async () => {
    stage.hypervisor.expect(stage.book.vm, true);
    expect((await stage.book.create({})).end).toBe('created');
    expect(heard().filter((command) => command === 'query-cpus-fast')).toHaveLength(1);
    expect(heard().indexOf('query-cpus-fast')).toBeLessThan(heard().indexOf('snapshot-save'));
  });

  test('is looked at before its operation is in the log', async () => {
    stage.hypervisor.expect(stage.book.vm);
    for (let turns = 0; turns < 5; turns += 1) await turn();
    expect(heard()).toEqual(LOOK);
  });

  test('is looked at once however many ask', async () => {
    for (let times = 0; times < 10; times += 1) stage.hypervisor.expect(stage.book.vm);
    await stage.book.create({ diskOnly: true });
    expect(heard()).toEqual([...LOOK, ...CREATE]);
  });

  test('is looked at again by the operation after that', async () => {
    stage.hypervisor.expect(stage.book.vm);
    await stage.book.create({ diskOnly: true });
    await stage.book.create({ diskOnly: true });
    expect(heard()).toEqual([...LOOK, ...CREATE, ...LOOK, ...CREATE]);
  });

  test('is looked at again when the look was long ago', async () => {
    stage.hypervisor.expect(stage.book.vm);
    await stage.host.world.clock.sleep(101);
    await stage.book.create({ diskOnly: true });
    expect(heard()).toEqual([...LOOK, ...LOOK, ...CREATE]);
  });

  /** What happens right after the next look. */
  const afterLook = (happens: () => void): void => {
    stage.host.fault = async (point) => {
      if (point !== 'hypervisor.after-look') return;
      stage.host.fault = () => Promise.resolve();
      happens();
    };
  };

  test('is looked at again when it is another QEMU by then', async () => {
    afterLook(() => {
      stage.host.die();
      stage.host.boot().runState = 'paused';
    });
    stage.hypervisor.expect(stage.book.vm);
    const { report } = await stage.book.create({ diskOnly: true });
    expect(report).toMatchObject({ type: 'ReportCreated', created: { vmState: 'paused' } });
    expect(heard()).toEqual(LOOK);
    expect(stage.host.qemu?.commands).toContain('transaction');
  });

  test('and that died since is not captured as one that was off', async () => {
    afterLook(() => stage.host.die());
    stage.hypervisor.expect(stage.book.vm);
    expect((await stage.book.create({ diskOnly: true })).end).toBe('undone: machine-gone');
    expect(stage.host.tags).toBe('a: , b: ');
  });

  test('that is busy refuses as it would after a later look', async () => {
    stage.qemu.jobs = [{ id: 'backup', type: 'backup', status: 'running' }];
    stage.hypervisor.expect(stage.book.vm);
    expect((await stage.book.create({ diskOnly: true })).end).toBe('undone: machine-busy');
    expect(heard()).toEqual(LOOK);
  });

  test('that cannot be looked at loses nothing by it', async () => {
    stage.host.die();
    stage.hypervisor.expect(stage.book.vm);
    expect((await stage.book.create()).report).toMatchObject({ created: { vmState: 'shutoff' } });
  });

  test('finds the early look in the transcript of its operation, to the letter and once', async () => {
    stage.hypervisor.expect(stage.book.vm);
    const { report } = await stage.book.create({ diskOnly: true });
    const id = report.type === 'ReportCreated' ? report.created.operationId : '';
    const lines = (stage.host.texts.get(`${TRANSCRIPTS}/${id}.ndjson`) ?? '').trim().split('\n');
    const entries = lines.map((line) => JSON.parse(line) as { direction: string; text: string });
    const sent = entries.filter(({ direction }) => direction === 'sent');
    expect(sent.map(({ text }) => (JSON.parse(text) as { execute: string }).execute)).toEqual([
      ...LOOK,
      ...CREATE,
    ]);
    expect(entries).toHaveLength(2 * sent.length);
  });
});
