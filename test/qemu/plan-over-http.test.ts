/* Does a request with the hash of its plan do on a real machine, file by file, what was answered? */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { ShownPlan } from '../../apps/ledgerd/http/plans.ts';
import { openMachines } from '../http/machines.ts';
import { ledgerd } from '../http/ledgerd.ts';
import { write } from './branches.ts';
import { type House, house } from './house.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

const filesIn = ({ dir }: House): string[] =>
  readdirSync(dir)
    .filter((name) => !name.endsWith('.sock') && name !== 'transcripts')
    .map((name) => join(dir, name));

async function setUp() {
  const home = await house();
  const daemon = await ledgerd({
    machines: { ...openMachines(), ...home.hypervisor },
    args: ['--monitor-root', home.dir, '--image-root', home.dir],
  });
  const vm = await daemon.ask('POST', '/v1/vms', { name: 'box', monitor: home.vm.monitorPath });
  const at = `/v1/vms/${String(vm.body.id)}/snapshots`;
  const planOf = async (method: string, path: string, body?: object): Promise<ShownPlan> => {
    const answer = await daemon.ask(method, path, body);
    expect(answer.status, answer.text).toBe(200);
    return answer.body['plan'] as ShownPlan;
  };
  /** Asks for it, sees it end well, and that just the files of the plan came and went. */
  const done = async (plan: ShownPlan, method: string, path: string, body?: object): Promise<string> => {
    const before = filesIn(home);
    const asked = await daemon.ask(method, path, body);
    expect(asked.status, asked.text).toBe(202);
    const ended = await daemon.ask('GET', `/v1/operations/${asked.body.id}?wait=30s`);
    expect(ended.body, ended.text).toMatchObject({ done: true, outcome: 'succeeded' });
    const after = filesIn(home);
    expect(after.filter((file) => !before.includes(file)).toSorted()).toEqual(plan.filesCreated.toSorted());
    expect(before.filter((file) => !after.includes(file)).toSorted()).toEqual(plan.filesUnlinked.toSorted());
    return String(asked.body['snapshotId']);
  };
  return { home, daemon, at, planOf, done };
}

describe.runIf(needsQemu())('over HTTP', () => {
  test('a create, a load and a merge go as planned, under names that nobody chose', async () => {
    const { home, at, planOf, done } = await setUp();
    const disks = ['dev-da', 'dev-db'].map((device) => ({ device, snapshot: 'external' }));
    const wish = { disks, memory: 'external' };
    const create = await planOf('POST', `${at}?validateOnly=true`, wish);
    expect(create.filesCreated).toHaveLength(3);
    const id = await done(create, 'POST', at, { ...wish, planHash: create.hash });
    expect(create.tree.map((node) => node.id)).toEqual([id]);
    await write(home, 'a', 7);
    const load = await planOf('POST', `${at}/${id}/load?validateOnly=true`, { safety: 'none' });
    expect(load.filesUnlinked).toHaveLength(2);
    await done(load, 'POST', `${at}/${id}/load`, { safety: 'none', planHash: load.hash });
    const merge = await planOf('DELETE', `${at}/${id}?strategy=merge&validateOnly=true`);
    await done(merge, 'DELETE', `${at}/${id}?strategy=merge&planHash=${merge.hash}`);
    expect(merge.tree).toEqual([]);
  });

  test('a machine that somebody changed behind the ledger is not touched', async () => {
    const { home, daemon, at, planOf } = await setUp();
    const plan = await planOf('POST', `${at}?validateOnly=true`, { diskOnly: true });
    await home.vm.monitor.execute('blockdev-snapshot-internal-sync', { device: 'da', name: 'monday' });
    const asked = await daemon.ask('POST', at, { diskOnly: true, planHash: plan.hash });
    expect(asked).toMatchObject({ status: 412, body: { reason: 'plan-changed' } });
    expect(home.tags()).toEqual(['monday', '']);
    const again = await planOf('POST', `${at}?validateOnly=true`, { diskOnly: true });
    expect((await daemon.ask('POST', at, { diskOnly: true, planHash: again.hash })).status).toBe(202);
  });
});
