import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { DaemonProcess, type OperationAnswer } from '../crash/daemon-process.ts';
import { bootSubject, register, type Subject } from '../crash/machine.ts';
import { median, type Row, timed } from './row.ts';

const ROUNDS = 30;
const WARM_UP = 5;
const EXTRA_MS = 3;

/** A create of two disks and a load with memory, from the HTTP request to the terminal event, beside raw QMP. */
export async function machineRows(): Promise<Row[]> {
  const subject = await bootSubject(2);
  const daemon = await DaemonProcess.start(subject.directory);
  await register(subject, daemon);
  const rows = [await createRow(subject, daemon), await loadRow(subject, daemon)];
  await daemon.kill();
  await subject.qemu.kill();
  return rows;
}

async function createRow(subject: Subject, daemon: DaemonProcess): Promise<Row> {
  const ours: number[] = [];
  const raw: number[] = [];
  for (let round = 0; round < ROUNDS + WARM_UP; round += 1) {
    const theirs = await timed(() => rawCreate(subject, `raw-${round}`));
    await rawDelete(subject, `raw-${round}`);
    let snapshotId = '';
    const mine = await timed(async () => {
      snapshotId = await done(daemon, 'POST', `/vms/${subject.vmId}/snapshots`, { diskOnly: true });
    });
    await done(daemon, 'DELETE', `/vms/${subject.vmId}/snapshots/${snapshotId}?strategy=discard`);
    if (round < WARM_UP) continue;
    raw.push(theirs);
    ours.push(mine);
  }
  const [mine, theirs] = [median(ours), median(raw)];
  return {
    what: 'create, 2 disks, disk-only (p50)',
    ours: { label: '', value: mine, unit: 'ms' },
    baseline: { label: 'raw transaction', value: theirs, unit: 'ms' },
    goal: '≤ raw + 3 ms and ≤ 1.5×',
    reached: mine <= theirs + EXTRA_MS && mine <= 1.5 * theirs,
  };
}

async function loadRow(subject: Subject, daemon: DaemonProcess): Promise<Row> {
  const ours: number[] = [];
  const raw: number[] = [];
  const snapshotId = await done(daemon, 'POST', `/vms/${subject.vmId}/snapshots`, {});
  const tag = `sl-${snapshotId}`;
  for (let round = 0; round < ROUNDS + WARM_UP; round += 1) {
    const theirs = await timed(() => rawLoad(subject, tag, `raw-load-${round}`));
    const mine = await timed(() =>
      done(daemon, 'POST', `/vms/${subject.vmId}/snapshots/${snapshotId}/load`, {}),
    );
    if (round < WARM_UP) continue;
    raw.push(theirs);
    ours.push(mine);
  }
  const [mine, theirs] = [median(ours), median(raw)];
  return {
    what: 'load of a running machine with memory (p50)',
    ours: { label: '', value: mine, unit: 'ms' },
    baseline: { label: 'raw snapshot-load', value: theirs, unit: 'ms' },
    goal: '≤ 25 ms and ≤ 1.5×',
    reached: mine <= 25 && mine <= 1.5 * theirs,
  };
}

/** Asks, waits for the terminal event, and gives back the snapshot. */
async function done({ url }: DaemonProcess, method: string, path: string, body?: object): Promise<string> {
  const { id, snapshotId } = await asked(`${url}/v1${path}`, method, body);
  const { outcome, error } = await asked(`${url}/v1/operations/${id}?wait=20s`, 'GET');
  if (outcome !== 'succeeded') throw new Error(`${method} ${path}: ${error?.message}`);
  return snapshotId;
}

const connections = new Agent({ keepAlive: true });

/** Over a connection that stays, and without `fetch`, whose own work takes as long as half a commit. */
async function asked(url: string, method: string, body?: object): Promise<OperationAnswer> {
  const content = body && JSON.stringify(body);
  const headers = content === undefined ? {} : { 'content-type': 'application/json' };
  const answered = Promise.withResolvers<IncomingMessage>();
  const sent = request(url, { method, headers, agent: connections }, answered.resolve);
  sent.on('error', answered.reject).end(content);
  const answer = await answered.promise;
  const said = await text(answer);
  if ((answer.statusCode ?? 0) >= 400) throw new Error(`${method} ${url}: ${answer.statusCode} ${said}`);
  return JSON.parse(said) as OperationAnswer;
}

async function rawCreate({ qemu, disks }: Subject, name: string): Promise<void> {
  const actions = disks.map(({ node }) => ({
    type: 'blockdev-snapshot-internal-sync',
    data: { device: node, name },
  }));
  await qemu.monitor.execute('transaction', { actions });
}

async function rawDelete({ qemu, disks }: Subject, name: string): Promise<void> {
  for (const { node } of disks) {
    await qemu.monitor.execute('blockdev-snapshot-delete-internal-sync', { device: node, name });
  }
}

async function rawLoad({ qemu, disks }: Subject, tag: string, job: string): Promise<void> {
  const devices = disks.map(({ node }) => node);
  const vmstate = devices.at(-1) ?? '';
  await qemu.monitor.runJob('snapshot-load', { 'job-id': job, tag, vmstate, devices });
}
