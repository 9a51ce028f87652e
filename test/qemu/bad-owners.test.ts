/* Files that belong to somebody: another machine, or another layer under another name. Nobody goes on in them. */
import { execFileSync } from 'node:child_process';
import { linkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { realWorld } from '#world';
import { type Daemon, startDaemon } from '../../apps/ledgerd/daemon.ts';
import { configOf } from '../http/ledgerd.ts';
import { house, imageHolds, imageWrite } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, makeDirectory, makeDisk, needsQemu } from './rig.ts';
import { refusedOf } from './standing.ts';

let daemon: Daemon | null = null;
afterEach(async () => {
  await daemon?.stop();
  daemon = null;
});
afterAll(cleanUp);

const external = ['dev-da', 'dev-db'].map((device) => ({ device, mode: 'external' as const }));

interface Answer {
  readonly id: string;
  readonly outcome?: string;
  readonly error?: { readonly reason: string };
}

async function ask(method: string, path: string, body?: object): Promise<Answer> {
  const answer = await fetch(`${daemon?.address}${path}`, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return (await answer.json()) as Answer;
}

describe.runIf(needsQemu())('an existing file', () => {
  test.each(['its name', 'a link', 'a hard link'])(
    'of another machine that is off is not copied over, by %s',
    async (by) => {
      const directory = makeDirectory();
      const config = configOf({ args: ['--monitor-root', directory, '--image-root', directory] });
      daemon = await startDaemon({ config, world: realWorld(), log: pino({ level: 'silent' }) });
      const files = ['one', 'other'].map((name) => makeDisk(join(directory, `${name}.qcow2`)));
      const [mine = '', theirs = ''] = files;
      imageWrite(theirs, 0x22);
      const vms: string[] = [];
      for (const [at, file] of files.entries()) {
        const disks = [{ device: 'vda', file, format: 'qcow2' }];
        const vm = await ask('POST', '/v1/vms', { name: `m${at}`, monitor: join(directory, `${at}`), disks });
        vms.push(vm.id);
      }
      const target = join(directory, 'target');
      if (by === 'a link') symlinkSync(theirs, target);
      if (by === 'a hard link') linkSync(theirs, target);
      const backups = [{ device: 'vda', target: by === 'its name' ? theirs : target, mode: 'existing' }];
      const accepted = await ask('POST', `/v1/vms/${vms[0]}/snapshots`, { backups });
      const ended = await ask('GET', `/v1/operations/${accepted.id}?wait=20s`);
      expect(ended).toMatchObject({ outcome: 'failed', error: { reason: 'path-not-allowed' } });
      expect(imageHolds(theirs, 0x22)).toBe(true);
      expect(execFileSync('qemu-img', ['snapshot', '-l', mine]).toString()).toBe('');
    },
  );

  test('that is a frozen layer under another name is not copied over', async () => {
    const home = await house();
    await home.off();
    expect((await home.book.create({ disks: external })).end).toBe('created');
    const target = join(home.dir, 'hard.qcow2');
    linkSync(home.fileOf('b'), target);
    const backups = [
      { device: 'dev-da', target, format: 'qcow2', sync: 'full' as const, fileMode: 'existing' as const },
    ];
    expect(await refusedOf(home, () => home.book.create({ disks: external, backups }))).toBe(
      'path-not-allowed',
    );
  });

  test('that holds something already is no overlay: the guest would find it on its disk', async () => {
    const home = await house();
    await writeAll(home, 0x11);
    await home.off();
    const file = join(home.dir, 'mine.qcow2');
    const below = ['-b', home.fileOf('a'), '-F', 'qcow2'];
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...below, file]);
    imageWrite(file, 0x33);
    await home.boot();
    const disks = external.map((disk, at) =>
      at === 0 ? { ...disk, file, fileMode: 'existing' as const } : disk,
    );
    expect(await refusedOf(home, () => home.book.create({ disks, diskOnly: true }))).toBe('path-not-allowed');
    expect(await contents(home)).toBe('11 11');
  });
});
