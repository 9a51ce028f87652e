import { expect, test } from 'vitest';
import { named, pointBeside, runTouch, saidTouches } from './named.ts';
import type { Connection, World } from './world.ts';

/** A world that writes down what is done in it, and the points that are passed. */
function witnessed(fault: World['fault'] = async () => undefined) {
  const seen: string[] = [];
  const closing = new Set<() => void>();
  const connection: Connection = {
    write: (data) => void seen.push(`said ${String(data)}`),
    onText: () => undefined,
    onClose: (listener) => void closing.add(listener),
    close: () => {
      seen.push('closed');
      closing.forEach((listener) => listener());
    },
  };
  const world = {
    files: { unlink: async (path: string) => Boolean(seen.push(`unlinks ${path}`)) },
    streams: {},
    run: async (program: string) => {
      seen.push(`runs ${program}`);
      return { code: 0, stdout: '', stderr: '' };
    },
    connect: async () => connection,
    lock: async (name: string) => {
      seen.push(`locks ${name}`);
      return name === '/taken' ? null : { release: () => void seen.push(`lets ${name} go`) };
    },
    fault: async (name: string) => {
      seen.push(name);
      await fault(name);
    },
  } as unknown as World;
  return { seen, world: named(world) };
}

const around = (name: string): string[] => ['before-lock', `locks ${name}`, 'after-lock'];

/** Lets every chain of promises come to rest. */
async function rest(): Promise<void> {
  for (let turns = 0; turns < 100; turns += 1) await Promise.resolve();
}

test('a touch of a file has a point on both sides', async () => {
  const { seen, world } = witnessed();
  expect(await world.files.unlink('/x')).toBe(true);
  expect(seen).toEqual(['files.before-unlink', 'unlinks /x', 'files.after-unlink']);
});

test('a program is called by its name and its verb, never by a path or a file', () => {
  expect(runTouch('qemu-img', ['info', '--image-opts', '/images/a'])).toBe('run.qemu-img-info');
  expect(runTouch('/opt/site/start-vm', ['web'])).toBe('run.start-vm');
});

test('what is said leaves in its order, between its points, whoever waits for nothing', async () => {
  const { seen, world } = witnessed();
  const connection = await world.connect('/m');
  connection.write('{"execute": "stop", "id": "1"}\n');
  connection.write('{"execute": "cont", "id": "2"}\n');
  await rest();
  expect(seen.filter((line) => line.includes('say') || line.includes('said'))).toEqual([
    'say.before-stop',
    'said {"execute": "stop", "id": "1"}\n',
    'say.after-stop',
    'say.before-cont',
    'said {"execute": "cont", "id": "2"}\n',
    'say.after-cont',
  ]);
});

test('what is said in one breath has all its points', async () => {
  const { seen, world } = witnessed();
  (await world.connect('/m')).write('{"execute": "stop"}\n{"execute": "cont"}\n');
  await rest();
  expect(seen.filter((line) => line.startsWith('say'))).toEqual([
    'say.before-stop',
    'say.before-cont',
    'say.after-cont',
    'say.after-stop',
  ]);
});

test('a point that throws before a touch keeps it from being done, and is its error', async () => {
  const { seen, world } = witnessed(async (point) => {
    if (point === 'files.before-unlink') throw new Error('no');
  });
  await expect(world.files.unlink('/x')).rejects.toThrow('no');
  expect(seen).toEqual(['files.before-unlink']);
});

test('a program never throws: a point that does is one that was killed', async () => {
  const { world } = witnessed(async (point) => {
    if (point === 'run.before-cp') throw new Error('no');
  });
  expect(await world.run('cp', [], { timeoutMs: 1 })).toEqual({
    code: null,
    stdout: '',
    stderr: 'Error: no',
  });
});

test('a line that nobody was told of is hung up', async () => {
  const { seen, world } = witnessed(async (point) => {
    if (point === 'after-connect') throw new Error('no');
  });
  await expect(world.connect('/m')).rejects.toThrow('no');
  expect(seen.at(-1)).toBe('closed');
});

test('a point that throws where nobody waits ends the connection', async () => {
  const { seen, world } = witnessed(async (point) => {
    if (point === 'say.before-stop') throw new Error('no');
  });
  const connection = await world.connect('/m');
  connection.write('{"execute": "stop"}\n');
  await rest();
  expect(seen.at(-1)).toBe('closed');
  expect(seen.join()).not.toContain('said');
});

test('a touch without a port has its side in front', () => {
  expect(pointBeside('after', 'connect')).toBe('after-connect');
  expect(saidTouches('hello')).toEqual([]);
});

test('a lock has a point on both sides, and is had by whoever was told of it', async () => {
  const { seen, world } = witnessed();
  expect(await world.lock('/m')).not.toBeNull();
  expect(await world.lock('/taken')).toBeNull();
  expect(seen).toEqual([...around('/m'), ...around('/taken')]);
});

test('a lock that nobody was told of is let go, and one that somebody else has is left alone', async () => {
  const { seen, world } = witnessed(async (point) => {
    if (point === 'after-lock') throw new Error('lost');
  });
  for (const name of ['/m', '/taken']) await expect(world.lock(name)).rejects.toThrow('lost');
  expect(seen).toEqual([...around('/m'), 'lets /m go', ...around('/taken')]);
});
