import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { DaemonProcess, type OperationAnswer } from '../crash/daemon-process.ts';
import { register } from '../crash/machine.ts';
import { bootTaken, DISKS, type Kind, type Taker, VERBS } from './taker.ts';

/** Over HTTP, each from the request to the answer that the terminal event gives. */
export async function ledgerTaker(kind: Kind): Promise<Taker> {
  const subject = await bootTaken();
  const daemon = await DaemonProcess.start(subject.directory);
  await register(subject, daemon);
  const snapshots = `/vms/${subject.vmId}/snapshots`;
  const strategy = kind === 'external' ? 'merge' : 'discard';
  return {
    verbs: VERBS,
    create: () => done(daemon, 'POST', snapshots, bodyOf(kind)),
    load: async (id) => void (await done(daemon, 'POST', `${snapshots}/${id}/load`, { safety: 'none' })),
    remove: async (id) => void (await done(daemon, 'DELETE', `${snapshots}/${id}?strategy=${strategy}`)),
    async end() {
      await daemon.kill();
      await subject.qemu.kill();
    },
  };
}

function bodyOf(kind: Kind): object {
  switch (kind) {
    case 'internal':
      return { diskOnly: true };
    case 'memory':
      return {};
    case 'external': {
      const disks = Array.from({ length: DISKS }, (_, n) => ({ device: `dev-d${n}`, snapshot: 'external' }));
      return { diskOnly: true, disks };
    }
  }
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
