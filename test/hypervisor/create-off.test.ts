/* Does a create on a machine that is off take every disk or none? */
import { tagOf } from '#ledger';
import { beforeEach, describe, expect, test } from 'vitest';
import { outcomeOf } from './notebook.ts';
import { running, type Stage, switchedOff } from './stage.ts';

describe('a create on a machine that is off', () => {
  let host: Stage['host'];
  let book: Stage['book'];
  let stage: Stage;

  beforeEach(async () => {
    stage = await switchedOff();
    ({ host, book } = stage);
  });

  test('is taken by qemu-img, disk after disk', async () => {
    const { snapshotId, end, report } = await book.create();
    const tag = tagOf(snapshotId);
    expect(end).toBe('created');
    expect(host.tags).toBe(`a: ${tag}, b: ${tag}`);
    expect(report).toMatchObject({ created: { vmState: 'shutoff', consistency: 'offline' } });
    expect(host.toolCalls.filter((call) => call.startsWith('snapshot'))).toEqual([
      `snapshot -q -c ${tag}`,
      `snapshot -q -c ${tag}`,
    ]);
  });

  test('begins at once', async () => {
    const before = host.world.clock.monotonic();
    await book.create();
    expect(host.world.clock.monotonic()).toBe(before);
  });

  test('that one disk refuses is taken back from the others', async () => {
    let calls = 0;
    host.tool = (args, proceed) => {
      if (!args.includes('-c') || ++calls === 1) return proceed();
      return {
        code: 1,
        stdout: '',
        stderr: "qemu-img: Could not create snapshot 'x': -28 (No space left on device)",
      };
    };
    expect((await book.create()).end).toBe('undone: no-space');
    expect(host.tags).toBe('a: , b: ');
  });

  test('that a machine cuts short by starting is taken back through its monitor', async () => {
    let calls = 0;
    host.tool = (args, proceed) => {
      const finished = proceed();
      if (args.includes('-c') && ++calls === 1) host.boot();
      return finished;
    };
    expect((await book.create()).end).toBe('undone: machine-busy');
    expect(host.tags).toBe('a: , b: ');
    expect(host.qemu?.commands).toEqual(['blockdev-snapshot-delete-internal-sync']);
  });

  test('is not mistaken for one that died, though our session to it stood a moment ago', async () => {
    const alive = await running();
    const { connect } = alive.qemu.monitor;
    let noticeDeath: (() => void) | null = null;
    alive.host.stranger = async (path) => {
      const connection = await connect(path);
      return {
        ...connection,
        write: (text) => (alive.host.qemu ? connection.write(text) : noticeDeath?.()),
        onText: (listener) => connection.onText(listener),
        onClose: (listener) => void (noticeDeath = listener),
        close: () => connection.close(),
      };
    };
    await alive.hypervisor.close();
    alive.succeed();
    await alive.hypervisor.status(alive.book.vm);
    alive.host.die();
    alive.host.stranger = null;
    expect((await alive.book.create()).report).toMatchObject({ created: { consistency: 'offline' } });
  });

  test('whose image is deleted meanwhile does not wait for it', async () => {
    host.fault = (name) =>
      name === 'hypervisor.after-image' ? new Promise<void>(() => undefined) : Promise.resolve();
    book.ask();
    void book.work();
    await host.world.clock.sleep(10);
    host.images.delete('/images/b');
    stage.succeed();
    expect(outcomeOf(await stage.book.work()).end).toBe('undone: host-unreachable');
    expect(host.tags).toBe('a: ');
  });

  test('that is killed with its worker is taken back by the next one', async () => {
    const never = new Promise<void>(() => undefined);
    host.fault = (name) => (name === 'hypervisor.after-image' ? never : Promise.resolve());
    book.ask();
    void book.work();
    await host.world.clock.sleep(10);
    expect(host.tags).toMatch(/^a: sl-[^ ]+, b: $/);
    stage.succeed();
    expect(outcomeOf(await stage.book.work()).end).toBe('undone: host-unreachable');
    expect(host.tags).toBe('a: , b: ');
  });
});
