import { expect, test } from 'vitest';
import { ledgerd, vmOn } from './ledgerd.ts';

interface Registry {
  readonly type: string;
  readonly data: { readonly files?: readonly string[] };
}

test('the files that a VM comes to stand on are claimed for it too', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const disks = ['vda', 'vdb'].map((device) => ({ device, snapshot: 'external' }));
  const asked = await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, { diskOnly: true, disks });
  expect((await daemon.ask('GET', `/v1/operations/${asked.body.id}?wait=10s`)).body['outcome']).toBe(
    'succeeded',
  );
  const shown = await daemon.ask('GET', `/v1/vms/${vmId}`);
  const files = (shown.body['disks'] as { file: string }[]).map(({ file }) => file);
  await expect
    .poll(async () => {
      const lines = (await daemon.ask('GET', '/v1/events')).text.trim().split('\n');
      const events = lines.map((line) => JSON.parse(line) as Registry);
      return events.findLast(({ type }) => type === 'VmClaimed')?.data.files ?? [];
    })
    .toEqual(expect.arrayContaining(files));
});
