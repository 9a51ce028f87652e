import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { foreseenTree } from './show/foreseen.ts';
import { Chance } from './story/chance.ts';
import { live } from './story/lives.ts';
import { Stage } from './story/open.ts';

const MOVES = 150;
const unborn = { createdAt: '2026-11-21T11:30:00.000Z', consistency: null };

let directory: string;
let stage: Stage;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'snapledger-views-'));
  stage = new Stage(directory);
});
afterEach(async () => {
  await stage.close();
  rmSync(directory, { recursive: true });
});

test.each([1, 2, 3, 4])('a machine that stays as it is has the tree that it has: seed %i', async (seed) => {
  const chance = new Chance(seed);
  const views = await stage.open();
  let compared = 0;
  for (let move = 0; move < MOVES; move += 1) {
    await live(stage.scribe, 'vm', chance);
    const vm = stage.scribe.vm('vm');
    if (vm.life !== 'registered') continue;
    await stage.caughtUp(views);
    const { nodes } = views.lineage('vm', { pageSize: 1_000 });
    const shown = (id: string) => views.snapshot('vm', id)?.body ?? null;
    const tree = foreseenTree(vm, shown, { unborn, nodesMax: 1_000 });
    expect(tree).toEqual({ nodes, totalSize: nodes.length });
    const first = foreseenTree(vm, shown, { unborn, nodesMax: 2 });
    expect(first).toEqual({ nodes: nodes.slice(0, 2), totalSize: nodes.length });
    compared += nodes.length;
  }
  expect(compared).toBeGreaterThan(MOVES);
});
