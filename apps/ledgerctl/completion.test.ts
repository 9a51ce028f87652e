import { expect, test } from 'vitest';
import { ctl } from '../../test/ledgerctl/ctl.ts';

const NOWHERE = 'http://127.0.0.1:1';

/** Every command there is, as commander's own help lists them. */
async function commands(path: readonly string[] = []): Promise<string[][]> {
  const { out } = await ctl(NOWHERE, [...path, '--help']);
  const listed = out.split('Commands:')[1]?.split('\n\n')[0] ?? '';
  const names = [...listed.matchAll(/^ {2}(\w+)/gm)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'help');
  const below = await Promise.all(names.map((name) => commands([...path, name])));
  return names.flatMap((name, at) => [[...path, name], ...(below[at] ?? [])]);
}

const ALL = `
  vm / vm add / vm list / vm show / vm change / vm forget / vm status
  / vm reconcile / vm launch / create / load / delete / unretire / list / tree / show
  / history / rename / describe / label / protect / unprotect / release / doctor / adopt / events / watch / operation / operations
  / rebuild / backup / restore / verify / completion`
  .split('/')
  .map((path) => path.trim());

test('every command has help, and these are the commands', async () => {
  const found = await commands();
  expect(found.map((path) => path.join(' '))).toEqual(ALL);
  for (const path of found) {
    const { code, out, err } = await ctl(NOWHERE, [...path, '--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain(`Usage: ledgerctl ${path.join(' ')}`);
    expect(out).toContain('--json');
  }
});

test.each(['bash', 'zsh', 'fish'])('completion for %s knows every command and its options', async (shell) => {
  const { code, out } = await ctl(NOWHERE, ['completion', shell]);
  expect(code).toBe(0);
  for (const word of ALL.flatMap((path) => path.split(' '))) expect(out).toMatch(new RegExp(`\\b${word}\\b`));
  for (const option of [
    'disk-only',
    'merge-force',
    'if-match',
    'json',
    'from-version',
    'no-wait',
    'no-guest-agent',
    'memory-format',
    'safety',
  ]) {
    expect(out).toContain(option);
  }
});

test('there is no completion for other shells', async () => {
  expect((await ctl(NOWHERE, ['completion', 'cmd'])).code).toBe(2);
});
