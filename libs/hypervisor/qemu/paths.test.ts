import { mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileKind, type Files, FileTrouble, realWorld } from '#world';
import { expect, onTestFinished, test } from 'vitest';
import { requireAgentPath, requireImagePath, requireMonitorPath } from './paths.ts';

/** What exists, by its true path. */
const KINDS: Readonly<Record<string, FileKind>> = {
  '/allowed': 'directory',
  '/allowed/deep': 'directory',
  '/allowed/qmp.sock': 'socket',
  '/allowed/a,b=c.img': 'file',
  '/allowed/-rf': 'file',
  '/allowed-not': 'directory',
  '/allowed-not/x.img': 'file',
  '/secret': 'directory',
  '/secret/s.img': 'file',
};
/** Symbolic links. */
const LINKS: Readonly<Record<string, string>> = {
  '/allowed/out': '/secret',
  '/allowed/out.img': '/secret/s.img',
  '/allowed/alias.sock': '/allowed/qmp.sock',
  '/also-allowed': '/allowed',
};

function trueOf(path: string): string {
  const link = Object.keys(LINKS).find((link) => path === link || path.startsWith(`${link}/`));
  return link === undefined ? path : trueOf(`${LINKS[link] ?? ''}${path.slice(link.length)}`);
}

const files: Pick<Files, 'stat' | 'realpath'> = {
  async stat(path) {
    const kind = KINDS[trueOf(path)];
    return kind ? { kind, sizeBytes: 0, identity: trueOf(path), modifiedAt: 0, changedAt: 0 } : null;
  },
  async realpath(path) {
    return KINDS[trueOf(path)] ? trueOf(path) : null;
  },
};
const root = '/allowed';

const monitor = (path: string, roots = [root]) => requireMonitorPath(files, roots, path);
const image = (path: string, roots = [root]) => requireImagePath(files, roots, path);

test('a socket inside a monitor root may be spoken to, under its true path', async () => {
  expect(await monitor('/allowed/qmp.sock')).toBe('/allowed/qmp.sock');
  expect(await monitor('/allowed/alias.sock')).toBe('/allowed/qmp.sock');
  expect(await monitor('/also-allowed/qmp.sock')).toBe('/allowed/qmp.sock');
  expect(await monitor('/allowed/qmp.sock', ['/also-allowed'])).toBe('/allowed/qmp.sock');
});

test('a socket that is not there yet may be named: its machine is off', async () => {
  expect(await monitor('/allowed/deep/later.sock')).toBe('/allowed/deep/later.sock');
  expect(await monitor('/allowed/gone/later.sock')).toBe('/allowed/gone/later.sock');
});

test('a path that leads out of the roots is not allowed', async () => {
  const outside = [
    '/secret/qmp.sock',
    '/allowed/out/qmp.sock',
    '/allowed/out.img',
    '/allowed-not/x.img',
    `${root}/../secret/s.img`,
    `${root}/deep/../../secret/s.img`,
    root,
    'qmp.sock',
    '@abstract',
    '\0abstract',
    `${root}/qmp.sock\0`,
    '',
    'nbd:localhost:10809',
    'json:{"driver":"file","filename":"/etc/shadow"}',
  ];
  for (const path of outside) {
    await expect(monitor(path), path).rejects.toMatchObject({ code: 'path-not-allowed' });
    await expect(image(path), path).rejects.toMatchObject({ code: 'path-not-allowed' });
  }
});

test('a path that Linux would cut is not allowed', async () => {
  await expect(monitor(`/allowed/${'x'.repeat(108)}`)).rejects.toMatchObject({ code: 'path-not-allowed' });
});

test('something else than a socket is no monitor', async () => {
  await expect(monitor('/allowed/deep')).rejects.toMatchObject({
    code: 'not-a-monitor',
    message: expect.stringContaining('is a directory, not a socket'),
  });
  await expect(monitor('/allowed/-rf')).rejects.toMatchObject({ code: 'not-a-monitor' });
});

test('an image is a file inside an image root, whatever its name looks like', async () => {
  expect(await image('/allowed/a,b=c.img')).toBe('/allowed/a,b=c.img');
  expect(await image('/allowed/-rf')).toBe('/allowed/-rf');
  await expect(image('/allowed/none.img')).rejects.toMatchObject({ code: 'disk-unsupported' });
  await expect(image('/allowed/deep')).rejects.toMatchObject({ code: 'disk-unsupported' });
  await expect(image('/allowed/qmp.sock')).rejects.toMatchObject({ code: 'disk-unsupported' });
});

test('without roots nothing is allowed, and the refusal says which option to set', async () => {
  await expect(monitor('/allowed/qmp.sock', [])).rejects.toThrow('--monitor-root');
  await expect(image('/allowed/-rf', [])).rejects.toThrow('--image-root');
});

/** Where only the root may look: whoever looks is not it. */
const secretive = (code: string): Pick<Files, 'stat' | 'realpath'> => {
  const look = async (path: string) => {
    if (path.startsWith('/allowed/closed')) throw new FileTrouble(code, path, `${code}: stat '${path}'`);
    return null;
  };
  return { stat: look, realpath: async (path) => (await look(path)) ?? path };
};

test('a path that cannot be followed to its end is not allowed, and it is said why', async () => {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'snapledger-paths-')));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  symlinkSync(join(directory, 'loop'), join(directory, 'loop'));
  const { files } = realWorld();
  for (const [path, why] of [
    [join(directory, 'loop'), 'circle'],
    [join(directory, 'loop/deeper/x'), 'circle'],
    [join(directory, 'x'.repeat(300)), 'too long'],
  ] as const) {
    const refusal = { name: 'Refusal', code: 'path-not-allowed', message: expect.stringContaining(why) };
    await expect(requireMonitorPath(files, [directory], path)).rejects.toMatchObject(refusal);
    await expect(requireImagePath(files, [directory], path)).rejects.toMatchObject(refusal);
  }
  const endless = join(directory, 'x/'.repeat(3_000), 'x');
  await expect(requireImagePath(files, [directory], endless)).rejects.toThrow('too long');
});

test('a path into a directory that ledgerd may not enter is not allowed', async () => {
  for (const require of [requireMonitorPath, requireImagePath]) {
    await expect(require(secretive('EACCES'), [root], '/allowed/closed/x')).rejects.toMatchObject({
      code: 'path-not-allowed',
      message: expect.stringContaining('may not look into'),
    });
  }
});

test('a disk that cannot be read is no fault of the path', async () => {
  await expect(requireImagePath(secretive('EIO'), [root], '/allowed/closed/x')).rejects.toMatchObject({
    name: 'FileTrouble',
    code: 'EIO',
  });
});

const agent = (path: string): Promise<string> => requireAgentPath(files, [root], path);

test("a guest agent's socket lies where monitors lie; whatever is wrong with it is its path", async () => {
  expect(await agent('/allowed/alias.sock')).toBe('/allowed/qmp.sock');
  expect(await agent('/allowed/later.sock')).toBe('/allowed/later.sock');
  for (const path of ['/secret/agent.sock', '/allowed/out/agent.sock', 'agent.sock', '/allowed/a,b=c.img']) {
    await expect(agent(path)).rejects.toMatchObject({ code: 'path-not-allowed' });
  }
});
