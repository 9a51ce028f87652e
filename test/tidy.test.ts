import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const tool = (name: string, ...args: string[]) =>
  spawnSync(join(root, 'deploy/node24'), [`@${name}`, ...args], { cwd: root, encoding: 'utf8' });

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
    const { status, stdout } = tool('oxlint');
    expect(status, stdout).toBe(0);
  });

  test('every file is formatted', () => {
    const { status, stdout, stderr } = tool('oxfmt', '--check');
    expect(status, stdout + stderr).toBe(0);
  });

  test('nobody enters a room but by its door', () => {
    const { status, stdout } = tool(
      'depcruise',
      '--config',
      '.dependency-cruiser.mjs',
      'apps',
      'libs',
      'deploy',
      'test',
    );
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

  test('nobody but the adapters touches time, chance or the machine', () => {
    const ambient =
      /\bMath\.random\b|\brandomUUID\b|\bAbortSignal\.timeout\b|\bprocess\.(nextTick|hrtime|env|argv|exit|kill|on|once|std\w+)\b|\bnew Date\b|\bDate\.now\b|\bsetTimeout\(|\bsetImmediate\(/;
    const suspects = product.filter((path) => !ADAPTERS.test(path));
    expect(offenders(suspects, ambient)).toEqual([]);
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
      /\b(TODO|FIXME|XXX|HACK)\b|@ts-(ignore|expect-error|nocheck)|\bas any\b|: any\b|catch \{\s*\}|catch\(\(\) => \{\s*\}\)/;
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
