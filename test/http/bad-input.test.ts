import { createConnection } from 'node:net';
import { expect, test } from 'vitest';
import { type Ledgerd, ledgerd, snapshotOn, vmOn } from './ledgerd.ts';

/** Nothing of it is in the log. */
async function expectNothing(daemon: Ledgerd, asked: () => Promise<void>): Promise<void> {
  const before = (await daemon.ask('GET', '/v1/events')).text;
  await asked();
  expect((await daemon.ask('GET', '/v1/events')).text).toBe(before);
}

test('a registration that cannot be is refused with its reason, before anything is recorded', async () => {
  const daemon = await ledgerd();
  const id = await vmOn(daemon, 'web1');
  const good = { name: 'web2', monitor: '/m/web2' };
  const cases: readonly (readonly [object, number, string])[] = [
    [{ monitor: '/m/x' }, 400, 'invalid-body'],
    [{ name: 'x' }, 400, 'invalid-body'],
    [{ ...good, name: 7 }, 400, 'invalid-body'],
    [{ ...good, name: null }, 400, 'invalid-body'],
    [{ ...good, monitor: '' }, 400, 'invalid-body'],
    [{ ...good, monitor: '/m/\u0000x' }, 400, 'invalid-body'],
    [{ ...good, id: 'web2' }, 400, 'invalid-body'],
    [{ ...good, labels: [] }, 400, 'invalid-body'],
    [{ ...good, labels: { a: 1 } }, 400, 'invalid-body'],
    [{ ...good, labels: { ['k'.repeat(64)]: 'x' } }, 400, 'invalid-body'],
    [{ ...good, labels: { k: 'v'.repeat(1025) } }, 400, 'invalid-body'],
    [
      { ...good, labels: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, ''])) },
      400,
      'invalid-body',
    ],
    [{ ...good, disks: {} }, 400, 'invalid-body'],
    [{ ...good, disks: ['vda'] }, 400, 'invalid-body'],
    [{ ...good, disks: [{}] }, 400, 'invalid-body'],
    [{ ...good, disks: [{ device: 'vda', file: '/x' }] }, 400, 'invalid-body'],
    [{ ...good, disks: [{ device: 'vda', surprise: 1 }] }, 400, 'invalid-body'],
    [{ ...good, disks: [{ device: 'vdz', default: 'none' }] }, 422, 'disk-unsupported'],
    [{ ...good, disks: [{ device: 'vda' }, { device: 'vda' }] }, 400, 'invalid-body'],
    [{ ...good, domainXml: '<domain/>' }, 422, 'unsupported'],
    [{ ...good, name: '' }, 422, 'invalid-name'],
    [{ ...good, name: 'ä'.repeat(128) }, 422, 'invalid-name'],
    [{ ...good, name: 'a\u0007b' }, 422, 'invalid-name'],
    [{ ...good, name: '01900000-0000-7000-8000-000000000001' }, 422, 'invalid-name'],
    [{ ...good, name: 'web1' }, 409, 'name-taken'],
    [{ ...good, monitor: '/m/web1.sock' }, 409, 'monitor-taken'],
    [
      { ...good, disks: [{ device: 'vda', file: '/m/web1.sock.vda.qcow2', format: 'qcow2' }] },
      409,
      'image-taken',
    ],
    [{ ...good, id }, 409, 'id-used'],
    [{ ...good, monitor: '/etc/passwd' }, 422, 'path-not-allowed'],
    [{ ...good, monitor: '/m/nobody' }, 422, 'not-a-monitor'],
    [{ ...good, host: 'elsewhere' }, 503, 'host-unreachable'],
  ];
  await expectNothing(daemon, async () => {
    for (const [body, status, reason] of cases) {
      const answer = await daemon.ask('POST', '/v1/vms', body);
      expect(answer, `${JSON.stringify(body).slice(0, 200)} ${answer.text}`).toMatchObject({
        status,
        body: { reason },
      });
    }
  });
  for (const name of ['__proto__', '1', '..', 'ä'.repeat(127)])
    expect((await vmOn(daemon, name)).length).toBe(36);
});

test('a capture that cannot be is refused with its reason, before anything is recorded', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const taken = await snapshotOn(daemon, vmId, 'taken');
  const cases: readonly (readonly [object, number, string])[] = [
    [{ name: 1 }, 400, 'invalid-body'],
    [{ name: '' }, 422, 'invalid-name'],
    [{ name: 'a\nb' }, 422, 'invalid-name'],
    [{ name: 'x'.repeat(256) }, 422, 'invalid-name'],
    [{ name: taken }, 422, 'invalid-name'],
    [{ name: 'taken' }, 409, 'name-taken'],
    [{ id: taken }, 409, 'id-used'],
    [{ id: 'x' }, 400, 'invalid-body'],
    [{ description: 'x'.repeat(64 * 1024 + 1) }, 400, 'invalid-body'],
    [{ description: 'a\u0000b' }, 400, 'invalid-body'],
    [{ memory: 'yes' }, 400, 'invalid-body'],
    [{ diskOnly: 'true' }, 400, 'invalid-body'],
    [{ diskOnly: true, memory: 'internal' }, 422, 'invalid-combination'],
    [{ disks: [{ device: 'vda' }] }, 400, 'invalid-body'],
    [{ disks: [{ device: 'vdz', snapshot: 'internal' }] }, 422, 'disk-unsupported'],
    [
      {
        disks: [
          { device: 'vda', snapshot: 'none' },
          { device: 'vda', snapshot: 'none' },
        ],
      },
      422,
      'invalid-combination',
    ],
    [{ disks: Array.from({ length: 65 }, () => ({ device: 'vda', snapshot: 'none' })) }, 400, 'invalid-body'],
    [{ disks: [{ device: 'vda', snapshot: 'external', mode: 'existing' }] }, 422, 'invalid-combination'],
    [{ disks: [{ device: 'vda', snapshot: 'external', mode: 'maybe' }] }, 400, 'invalid-body'],
    [{ disks: [{ device: 'vda', snapshot: 'external', file: '../x' }] }, 422, 'path-not-allowed'],
    [{ disks: [{ device: 'vda', snapshot: 'external', format: 'raw' }] }, 422, 'disk-unsupported'],
    [{ disks: [{ device: 'vda', snapshot: 'internal', file: '/x' }] }, 422, 'invalid-combination'],
    [{ memoryFile: '/x' }, 422, 'invalid-combination'],
    [{ memoryFormat: 'stream' }, 422, 'invalid-combination'],
    [{ memoryFormat: 'x' }, 400, 'invalid-body'],
    [{ backups: [{ device: 'vda', target: 'x' }] }, 422, 'path-not-allowed'],
    [{ backups: [{ device: 'vdz', target: '/x' }] }, 422, 'disk-unsupported'],
    [{ backups: [{ device: 'vda', target: '/x', sync: 'some' }] }, 400, 'invalid-body'],
    [{ quiesce: 'require', diskOnly: true }, 422, 'no-guest-agent'],
    [{ quiesce: 'maybe' }, 400, 'invalid-body'],
    [{ planHash: 'x' }, 412, 'plan-changed'],
  ];
  await expectNothing(daemon, async () => {
    for (const [body, status, reason] of cases) {
      const answer = await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, body);
      expect(answer, `${JSON.stringify(body).slice(0, 200)} ${answer.text}`).toMatchObject({
        status,
        body: { reason },
      });
    }
  });
  expect(
    (await daemon.ask('POST', `/v1/vms/${vmId}/snapshots?validateOnly=false`, { quiesce: 'none' })).status,
  ).toBe(202);
});

test('loads and deletions that cannot be are refused with their reason', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const a = await snapshotOn(daemon, vmId, 'a');
  await snapshotOn(daemon, vmId, 'b');
  const at = `/v1/vms/${vmId}/snapshots`;
  await daemon.ask('PATCH', `${at}/${a}`, { protected: true });
  const cases: readonly (readonly [string, string, object | string | undefined, string])[] = [
    ['POST', `${at}/${a}/load`, { safety: 'maybe' }, 'invalid-body'],
    ['POST', `${at}/${a}/load`, '{"then":"stopped"}', 'invalid-body'],
    ['POST', `${at}/${a}/load`, { planHash: 'x' }, 'plan-changed'],
    ['POST', `${at}/${vmId}/load`, {}, 'snapshot-unknown'],
    ['DELETE', `${at}/${a}?strategy=discard`, undefined, 'protected'],
    ['DELETE', `${at}/${a}?strategy=burn`, undefined, 'invalid-query'],
    ['DELETE', `${at}/${a}?planHash=x`, undefined, 'protected'],
    ['DELETE', `${at}?validateOnly=true`, undefined, 'protected'],
    ['POST', `${at}/${a}/load?validateOnly=maybe`, {}, 'invalid-query'],
    ['DELETE', at, undefined, 'protected'],
    ['PATCH', `${at}/${a}`, { name: 'b' }, 'name-taken'],
    ['PATCH', `${at}/${a}`, { protected: 'yes' }, 'invalid-body'],
    ['PATCH', `${at}/${a}`, { status: 'deleted' }, 'invalid-body'],
    ['PATCH', `/v1/vms/${vmId}`, { disks: [{ device: 'vdz', default: 'none' }] }, 'disk-unsupported'],
    ['PATCH', `/v1/vms/${vmId}`, { monitor: '/elsewhere' }, 'path-not-allowed'],
    ['POST', `/v1/vms/${vmId}/release`, {}, 'invalid-body'],
    ['POST', `/v1/vms/${vmId}/release`, { note: '' }, 'invalid-body'],
  ];
  await expectNothing(daemon, async () => {
    for (const [method, path, body, reason] of cases) {
      const answer = await daemon.ask(method, path, body);
      expect(answer.body.reason, `${method} ${path} ${JSON.stringify(body)} ${answer.text}`).toBe(reason);
    }
  });
  await daemon.ask('PATCH', `${at}/${a}`, { protected: false });
  expect((await daemon.ask('DELETE', `${at}/${a}?strategy=discard`)).body.reason).toBe('has-children');
});

test('a label may be called anything but __proto__', async () => {
  const daemon = await ledgerd();
  const labels = '{"constructor":"b","prototype":"c","toString":"d","then":"e"}';
  const answer = await daemon.ask('POST', '/v1/vms', `{"name":"x","monitor":"/m/x","labels":${labels}}`);
  expect(answer.status, answer.text).toBe(201);
  const shown = await daemon.ask('GET', answer.headers.get('location') ?? '');
  for (const { body } of [answer, shown]) expect(body['labels']).toEqual(JSON.parse(labels));
  const polluting = await daemon.ask(
    'POST',
    '/v1/vms',
    '{"name":"y","monitor":"/m/y","labels":{"__proto__":"a"}}',
  );
  expect(polluting).toMatchObject({ status: 400, body: { reason: 'invalid-body' } });
});

/** Sends bytes as they are and reads all that comes back. */
const raw = ({ url }: Ledgerd, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port: Number(new URL(url).port) });
    let heard = '';
    socket.setEncoding('utf8');
    socket.on('data', (piece: string) => (heard += piece));
    socket.on('close', () => resolve(heard));
    socket.on('error', reject);
    socket.write(text);
  });

test('what is no HTTP is a problem too, and the daemon goes on', async () => {
  const daemon = await ledgerd();
  expect(await raw(daemon, 'SSH-2.0-x\r\n\r\n')).toContain('"reason":"invalid-body"');
  const long = `GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`;
  expect(await raw(daemon, long)).toContain('"reason":"too-large"');
  expect((await daemon.ask('GET', '/health/live')).status).toBe(200);
});

test('what should not have happened is logged under the id that the client was given, and tells nothing', async () => {
  const daemon = await ledgerd();
  daemon.machines.discover = () => Promise.reject(new Error('the secret is swordfish'));
  const answer = await daemon.ask('POST', '/v1/vms', { name: 'a', monitor: '/m/a' });
  expect(answer).toMatchObject({ status: 500, body: { reason: 'internal', retryable: false } });
  expect(answer.text).not.toContain('swordfish');
  const line = daemon.logged.find((text) => text.includes('the secret is swordfish'));
  expect(line).toContain(answer.headers.get('x-request-id'));
});

test('a daemon without a worker looks at no machine, and says so', async () => {
  const { ask } = await ledgerd({ roles: 'http' });
  const answer = await ask('POST', '/v1/vms', { name: 'a', monitor: '/m/a' });
  expect(answer).toMatchObject({ status: 503, body: { reason: 'host-unreachable', retryable: true } });
  expect((await ask('GET', '/health/ready')).status).toBe(200);
});
