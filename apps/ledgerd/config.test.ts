import { expect, test } from 'vitest';
import { type Called, launcherIn, readConfig, type Surroundings, UsageError } from './config.ts';
import { OPTIONS } from './options.ts';

const started = (asked: Partial<Surroundings> = {}): Called =>
  readConfig({
    args: [],
    env: {},
    workingDirectory: '/srv',
    hostname: 'h1',
    readText: () => {
      throw new Error('no such file');
    },
    ...asked,
  });

const refused = (asked: Partial<Surroundings>): string => {
  try {
    started(asked);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return 'accepted';
};

test('nothing said means the defaults of the contract', () => {
  expect(started().config).toEqual({
    data: '/srv/data',
    listen: '127.0.0.1:7420',
    roles: ['http', 'worker'],
    store: 'sqlite:',
    host: 'h1',
    monitorRoots: [],
    imageRoots: [],
    launcherStart: '',
    launcherStop: '',
    snapshotsMax: 200,
    chainMax: 64,
    onWrongChain: 'stop',
    reconcileEvery: 600,
    logLevel: 'info',
  });
});

test('every option is a flag, a variable and a key of the config file', () => {
  const said = {
    data: '/d',
    listen: '127.0.0.1:1',
    roles: ['worker'],
    store: 'memory:',
    host: 'h2',
    monitorRoots: ['/m'],
    imageRoots: ['/i'],
    launcherStart: '/bin/up now',
    launcherStop: '/bin/down',
    snapshotsMax: 3,
    chainMax: 4,
    onWrongChain: 'report',
    reconcileEvery: 0,
    logLevel: 'debug',
  } as const;
  const keys = Object.keys(OPTIONS) as (keyof typeof said)[];
  expect(keys.toSorted()).toEqual(Object.keys(said).toSorted());
  const text = (key: keyof typeof said): string => String(said[key]);
  const byFlag = started({ args: keys.flatMap((key) => [`--${OPTIONS[key].flag}`, text(key)]) });
  const byVariable = started({
    env: Object.fromEntries(keys.map((key) => [OPTIONS[key].variable, text(key)])),
  });
  const byFile = started({ args: ['--config', 'c.json'], readText: () => JSON.stringify(said) });
  for (const { config } of [byFlag, byVariable, byFile]) expect(config).toEqual(said);
});

test('a flag wins over a variable, a variable over the file', () => {
  const file = { readText: () => '{"host":"from-file","data":"/file","snapshotsMax":7}' };
  const env = {
    SNAPLEDGER_CONFIG: '/etc/c.json',
    SNAPLEDGER_HOST: 'from-variable',
    SNAPLEDGER_DATA: '/variable',
  };
  const { config } = started({ ...file, env, args: ['--data', '/flag'] });
  expect(config).toMatchObject({ data: '/flag', host: 'from-variable', snapshotsMax: 7 });
});

test('directories repeat as flags and are separated by colons in a variable', () => {
  expect(started({ args: ['--monitor-root', '/a', '--monitor-root', 'b:c'] }).config.monitorRoots).toEqual([
    '/a',
    '/srv/b:c',
  ]);
  expect(started({ env: { SNAPLEDGER_IMAGE_ROOTS: '/a:b' } }).config.imageRoots).toEqual(['/a', '/srv/b']);
});

test('what is printed can be given back as a config file', () => {
  const { config, wish } = started({
    args: ['--print-config', '--roles', 'http', '--store', 'sqlite:l.sqlite'],
  });
  expect(wish).toBe('print-config');
  expect(config.store).toBe('sqlite:/srv/l.sqlite');
  const again = started({ args: ['--config', 'c'], readText: () => JSON.stringify(config) });
  expect(again.config).toEqual(config);
});

test('a typing error is told, wherever it stands', () => {
  expect(refused({ args: ['--dta', 'x'] })).toContain('--dta');
  expect(refused({ args: ['serve'] })).toContain('serve');
  expect(refused({ env: { SNAPLEDGER_MONITOR_ROOT: '/m' } })).toContain('SNAPLEDGER_MONITOR_ROOT');
  expect(refused({ args: ['--config', 'c'], readText: () => '{"monitorRoot":["/m"]}' })).toContain(
    '"monitorRoot"',
  );
  expect(refused({ args: ['--config', 'c'], readText: () => '[]' })).toContain('no JSON object');
  expect(refused({ args: ['--config', 'c'], readText: () => '{' })).toContain('cannot be read');
  expect(refused({ args: ['--config', 'missing'] })).toContain('missing cannot be read');
});

test('ledgerctl’s variables and empty ones are none of our business', () => {
  const env = { SNAPLEDGER_URL: 'http://x', SNAPLEDGER_TOKEN: 't', SNAPLEDGER_DATA: '', PATH: '/bin' };
  expect(started({ env }).config.data).toBe('/srv/data');
});

test('another interface than loopback is refused, because there are no API keys', () => {
  for (const listen of ['0.0.0.0:7420', '[::]:7420', '192.168.1.4:80', 'vmhost:80', '127.0.0.1.evil:80']) {
    expect(refused({ args: ['--listen', listen] })).toContain('without API keys');
  }
  for (const listen of ['127.0.0.1:0', '[::1]:7420', 'localhost:7420', '127.1.2.3:80']) {
    expect(started({ args: ['--listen', listen] }).config.listen).toBe(listen);
  }
  for (const listen of ['7420', '127.0.0.1', '127.0.0.1:99999', ':80', '127.0.0.1:x']) {
    expect(refused({ args: ['--listen', listen] })).toContain('--listen');
  }
});

test('a launcher is two commands, split into words once and never seen by a shell', () => {
  const args = ['--launcher-start', ' /bin/up  "$HOME" ; rm ', '--launcher-stop', '/bin/down'];
  expect(launcherIn(started({ args }).config)).toEqual({
    start: ['/bin/up', '"$HOME"', ';', 'rm'],
    stop: ['/bin/down'],
  });
  expect(launcherIn(started().config)).toBeNull();
});

test('half a launcher is refused under the name of what is missing', () => {
  expect(refused({ args: ['--launcher-start', '/bin/up'] })).toContain('--launcher-stop: ');
  expect(refused({ args: ['--launcher-stop', '/bin/up', '--launcher-start', ' '] })).toContain(
    '--launcher-start: ',
  );
});

test('what is not built yet says so, and is not swallowed', () => {
  const asked: readonly Partial<Surroundings>[] = [
    { args: ['--kafka', 'b:9092'] },
    { args: ['--qmp', '/run/qmp'] },
    { args: ['--store', 'kurrentdb://localhost'] },
    { args: ['--roles', 'http,relay'] },
    { env: { SNAPLEDGER_KAFKA_BROKERS: 'b:9092' } },
    { env: { SNAPLEDGER_QMP: '/run/qmp' } },
  ];
  for (const each of asked) expect(refused(each)).toContain('not built yet');
});

test('impossible values are refused under the name of their option', () => {
  const impossible: readonly (readonly [string, string])[] = [
    ['--roles', ''],
    ['--roles', 'httpd'],
    ['--store', 'postgres:x'],
    ['--snapshots-max', '0'],
    ['--snapshots-max', '-1'],
    ['--snapshots-max', '1e3'],
    ['--chain-max', '100000'],
    ['--log-level', 'loud'],
    ['--host', ''],
  ];
  for (const [flag, value] of impossible) expect(refused({ args: [`${flag}=${value}`] })).toContain(flag);
});
