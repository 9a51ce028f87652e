import { expect, test } from 'vitest';
import { conversation } from '../../test/ledgerctl/conversation.ts';
import { idOf, operation, OPERATION_ID, snapshot, succeeded, VM_ID } from '../../test/ledgerctl/specimens.ts';

const { running, lastHeard, asked } = conversation();
const SNAPSHOTS = `/v1/vms/${VM_ID}/snapshots`;
const A = `${SNAPSHOTS}/${idOf('a')}`;

const a = { ...snapshot('a'), depth: 0, childCount: 1 };
const b = { ...snapshot('b', { parentId: idOf('a'), current: true }), depth: 1, childCount: 0 };

const plan = {
  hash: 'f00d',
  commands: ['copy /a up into /b', 'unlink /a\u001b[2J'],
  filesCreated: [],
  filesUnlinked: ['/a'],
  snapshotsDiscarded: [idOf('b'), idOf('z')],
  bytes: 65_536,
  stops: { machine: true, estimatedMs: 25 },
  tree: [{ ...a, current: true, childCount: 0 }],
  treeSize: 3,
};

const lineage = {
  [`GET /v1/vms/${VM_ID}/lineage`]: {
    body: { vmId: VM_ID, current: { snapshotId: idOf('b'), confidence: 'known' }, nodes: [a, b] },
  },
};

test('a dry run says what would be done, and how the tree stands before and after', async () => {
  const routes = { ...lineage, [`DELETE ${A}`]: { body: { plan } } };
  const { code, out } = await running('delete web1 a --merge-force --dry-run --ascii', routes);
  expect(code).toBe(0);
  expect(out).toBe(
    [
      'plan:    f00d',
      'machine: stands still for about 25 ms',
      'copied:  65536 bytes',
      '',
      'does',
      '  copy /a up into /b',
      '  unlink /a\\u001b[2J',
      '',
      'unlinks',
      '  /a',
      '',
      'discards',
      `  b (${idOf('b')})`,
      `  a safety pin (${idOf('z')})`,
      '',
      'before',
      'a      2026-11-21 11:30:00Z',
      '`-- b  2026-11-21 11:30:00Z  * current',
      '',
      'after',
      'a  2026-11-21 11:30:00Z  * current',
      'and 2 more',
      '',
      'Nothing was done. To do just this, or nothing: the same command with --plan f00d',
      '',
    ].join('\n'),
  );
});

test.each([
  ['create web1 new', 'POST', SNAPSHOTS],
  ['load web1 a', 'POST', `${A}/load`],
  ['delete web1 a --merge', 'DELETE', A],
  ['delete web1 --all', 'DELETE', SNAPSHOTS],
])('%s --dry-run asks for the plan, and waits for nothing', async (words, method, path) => {
  const { code, out } = await running(`${words} --dry-run --json`, {
    [`${method} ${path}`]: { body: { plan } },
  });
  expect(code).toBe(0);
  expect(JSON.parse(out)).toEqual({ plan });
  expect(lastHeard()).toMatchObject({ method, path, query: { validateOnly: 'true' } });
  expect(asked().filter((line) => line.includes('/lineage') || line.includes('/operations'))).toEqual([]);
});

test('a plan is taken along in the body or in the query, as the command has it', async () => {
  const done = { status: 202, body: succeeded() };
  const wait = { [`GET /v1/operations/${OPERATION_ID}`]: { body: succeeded() } };
  await running('create web1 new --plan f00d', { [`POST ${SNAPSHOTS}`]: done, ...wait });
  expect(lastHeard()).toMatchObject({ body: { name: 'new', planHash: 'f00d' } });
  await running('load web1 a --plan f00d', { [`POST ${A}/load`]: done, ...wait });
  expect(lastHeard()).toMatchObject({ body: { planHash: 'f00d' } });
  await running('delete web1 a --merge --plan f00d', { [`DELETE ${A}`]: done, ...wait });
  expect(lastHeard()).toMatchObject({ query: { strategy: 'merge', planHash: 'f00d' } });
});

test('when the world has moved, the person is told how to look again', async () => {
  const refusal = { status: 412, body: { ...operation(), reason: 'plan-changed', detail: 'it moved' } };
  const { code, err } = await running('load web1 a --plan f00d', { [`POST ${A}/load`]: refusal });
  expect(code).not.toBe(0);
  expect(err).toContain('--dry-run');
});
