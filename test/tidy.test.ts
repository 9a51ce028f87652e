import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const tool = ([name, ...args]: readonly [string, ...string[]], cwd = root) =>
  spawnSync(join(root, 'deploy/node24'), [`@${name}`, ...args], { cwd, encoding: 'utf8' });

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '');
const sources = files.filter((path) => path.endsWith('.ts'));
const product = sources.filter((path) => /^(apps|libs)\//.test(path) && !path.endsWith('.test.ts'));
const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Those that touch the machine on behalf of all others. */
const ADAPTERS =
  /^(libs\/world\/(real\/|rfc3339)|libs\/event-store\/sqlite\/|libs\/views\/|apps\/[^/]+\/main\.ts)/;

/** The lines of the product's sources that match, as `file:line text`. */
function offenders(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    textOf(path)
      .split('\n')
      .flatMap((line, at) => (pattern.test(line) ? [`${path}:${at + 1} ${line.trim()}`] : [])),
  );
}

describe('the house is tidy:', () => {
  test('the linter finds nothing', () => {
    const { status, stdout } = tool(['oxlint']);
    expect(status, stdout).toBe(0);
  });

  test('every file is formatted', () => {
    const { status, stdout, stderr } = tool(['oxfmt', '--check']);
    expect(status, stdout + stderr).toBe(0);
  });

  test('nobody enters a room but by its door', () => {
    const { status, stdout } = tool([
      ...['depcruise', '--config', '.dependency-cruiser.mjs'],
      ...['apps', 'libs', 'deploy', 'test'],
    ] as [string, ...string[]]);
    expect(status, stdout).toBe(0);
  });

  test('no name hides what is inside', () => {
    const hiding =
      /(^|[/.-])(utils?|helpers?|common|shared|core|base|misc|manager|processor|impl|dto)([/.-]|$)/;
    expect(files.filter((path) => hiding.test(path))).toEqual([]);
    expect(
      offenders(
        sources,
        /\b(class|interface|type) (I[A-Z]\w*[a-z]|\w*(Manager|Processor|Helper|Impl|Base|Dto|Utils?))\b/,
      ),
    ).toEqual([]);
  });

  test('a door holds named exports and nothing else', () => {
    for (const path of product.filter((path) => /^libs\/[^/]+\/index\.ts$/.test(path))) {
      expect(textOf(path), path).not.toMatch(/export \*|^(const|function|class|let) /m);
    }
  });

  test('no module keeps state of its own', () => {
    const suspects = product.filter((path) => !ADAPTERS.test(path));
    expect(
      offenders(
        suspects,
        /^(export )?(let|var) |^(export )?const \w+ = new (Map|Set|WeakMap|AbortController)\(\)/,
      ),
    ).toEqual([]);
  });

  test('nothing is left for later, nothing is silenced, nobody looks away', () => {
    const loose =
      /lint-disable(?!-next-line [a-z])|lint-disable.*no-(restricted|new-func)|\b(TODO|FIXME|XXX|HACK)\b|@ts-(ignore|expect-error|nocheck)|\bas any\b|: any\b|catch \{\s*\}|catch\(\(\) => \{\s*\}\)/;
    expect(
      offenders(
        sources.filter((path) => path !== 'test/tidy.test.ts'),
        loose,
      ),
    ).toEqual([]);
    expect(offenders(product, /^\s*default:\s*$/)).toEqual([]);
  });

  test('no test is switched off and none runs alone', () => {
    const tests = sources.filter((path) => path.endsWith('.test.ts') && path !== 'test/tidy.test.ts');
    expect(offenders(tests, /\b(it|test|describe)\.(only|skip|todo|fails)\(/)).toEqual([]);
  });

  test('the lock file carries no address and every optional part of it', () => {
    const lock = JSON.parse(textOf('package-lock.json')) as { packages: Record<string, LockEntry> };
    const missing = Object.entries(lock.packages).flatMap(([at, entry]) =>
      Object.keys(entry.optionalDependencies ?? {}).filter((name) => !isLocked(lock.packages, at, name)),
    );
    expect(missing).toEqual([]);
    expect(Object.values(lock.packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
  });
});

/** Every way around `World` that there is, in a room that is no adapter. */
const AROUND_WORLD = {
  'the calendar': 'export const at = Date.now();',
  'the clock': 'export const at = performance.now();',
  'a clock of high resolution': 'export const at = process.hrtime.bigint();',
  'a clock by import': "import { performance as clock } from 'node:perf_hooks';\nexport const at = clock;",
  'a timer': 'setTimeout(() => undefined, 1);',
  'a timer that repeats': 'setInterval(() => undefined, 1);',
  'the end of the turn': 'setImmediate(() => undefined);',
  'the queue of microtasks': 'queueMicrotask(() => undefined);',
  'the next tick': 'process.nextTick(() => undefined);',
  'a timer by import':
    "import { setTimeout as sleep } from 'node:timers/promises';\nexport const at = sleep;",
  'a signal with a timer': 'export const signal = AbortSignal.timeout(1);',
  'a global by another name': 'globalThis.setTimeout(() => undefined, 1);',
  chance: 'export const roll = Math.random();',
  'chance by another name': 'const { random } = Math;\nexport const roll = random();',
  'chance from the system': "import { randomUUID } from 'node:crypto';\nexport const id = randomUUID();",
  'chance from the browser': 'export const id = crypto.randomUUID();',
  'the process': 'export const user = process.getuid;',
  files: "import { readFileSync } from 'node:fs';\nexport const read = readFileSync;",
  'files by a promise': "import { readFile } from 'node:fs/promises';\nexport const read = readFile;",
  'files by an old name': "import { readFileSync } from 'fs';\nexport const read = readFileSync;",
  'files by an import that waits': "export const files = import('node:fs');",
  'files by the process': "export const files = process.getBuiltinModule('node:fs');",
  sockets: "import { connect } from 'node:net';\nexport const call = connect;",
  datagrams: "import { createSocket } from 'node:dgram';\nexport const call = createSocket;",
  'requests by import': "import { request } from 'node:http';\nexport const call = request;",
  requests: "export const answer = fetch('http://host');",
  'a socket of the web': "export const socket = new WebSocket('ws://host');",
  programs: "import { spawn } from 'node:child_process';\nexport const run = spawn;",
  threads: "import { Worker as Thread } from 'node:worker_threads';\nexport const thread = Thread;",
  'the operating system': "import { hostname } from 'node:os';\nexport const name = hostname;",
  'code from text': "export const clock = new Function('return Date.now()');",
} as const;

describe('nothing goes around World: the linter finds', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'snapledger-tidy-'));
  afterAll(() => rmSync(scratch, { recursive: true }));
  const found = new Map<string, string[]>();

  beforeAll(() => {
    cpSync(join(root, '.oxlintrc.json'), join(scratch, '.oxlintrc.json'));
    for (const room of ['libs/qmp', 'libs/world/real', 'apps/ledgerd/worker']) {
      mkdirSync(join(scratch, room), { recursive: true });
      Object.values(AROUND_WORLD).forEach((code, at) =>
        writeFileSync(join(scratch, room, `way-${at}.ts`), `${code}\n`),
      );
    }
    const { stdout } = tool(['oxlint', '--format', 'json'], scratch);
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] };
    for (const { filename, code } of diagnostics)
      if (/no-restricted|no-new-func/.test(code)) found.set(filename, [...(found.get(filename) ?? []), code]);
  });

  test.each(Object.keys(AROUND_WORLD).map((what, at) => [what, at] as const))('%s', (_what, at) => {
    expect(found.get(`libs/qmp/way-${at}.ts`) ?? []).not.toEqual([]);
    expect(found.get(`apps/ledgerd/worker/way-${at}.ts`) ?? []).not.toEqual([]);
  });

  test('nothing of that in the world that is real', () => {
    expect([...found.keys()].filter((path) => path.startsWith('libs/world/real/'))).toEqual([]);
  });
});

test('nothing goes around World: the import map finds what a package touches by itself', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'snapledger-tidy-'));
  mkdirSync(join(scratch, 'libs/qmp'), { recursive: true });
  cpSync(join(root, '.dependency-cruiser.mjs'), join(scratch, '.dependency-cruiser.mjs'));
  symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'));
  writeFileSync(
    join(scratch, 'libs/qmp/ways.ts'),
    "export const [a, b] = [import('autocannon'), import('node:fs')];\n",
  );
  const { stdout } = tool(['depcruise', '--config', '.dependency-cruiser.mjs', 'libs'], scratch);
  rmSync(scratch, { recursive: true });
  expect(stdout).toContain('the-machine-is-touched-through-world');
  expect(stdout).toContain('the-machine-has-no-other-door');
});

interface LockEntry {
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** npm 11 and 12 refuse a lock in which an optional dependency of a package has no entry of its own. */
function isLocked(packages: Readonly<Record<string, LockEntry>>, at: string, name: string): boolean {
  for (let from = at; ; from = from.slice(0, Math.max(0, from.lastIndexOf('/node_modules/')))) {
    if (packages[`${from === '' ? '' : `${from}/`}node_modules/${name}`]) return true;
    if (from === '') return false;
  }
}
