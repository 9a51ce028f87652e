/* Those who write: each asks for one thing after the other, again and again under the same key until it is answered. */
import { setTimeout } from 'node:timers/promises';
import { makeDisk } from '../qemu/rig.ts';
import { join } from 'node:path';

/** Of so many requests one is for a snapshot, all others for a label. */
const SNAPSHOT_EVERY = 12;
const AGAIN_MS = 20;

export interface Written {
  /** Of every request that was answered with a 2xx. */
  readonly keys: string[];
  /** How often an answer did not come, or was no. */
  retries: number;
}

/** Registers machines that are off, and gives back their ids. */
export async function fleet(url: string, directory: string, count: number): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const file = makeDisk(join(directory, `f${index}.qcow2`));
      const body = {
        ...{ name: `f${index}`, monitor: join(directory, `f${index}.sock`) },
        disks: [{ device: 'd0', file, format: 'qcow2' }],
      };
      const answer = await sent(url, { method: 'POST', path: '/v1/vms', body, key: `f${index}` });
      if (!answer?.ok) throw new Error(`a machine was not registered: ${await answer?.text()}`);
      return ((await answer.json()) as { id: string }).id;
    }),
  );
}

/** Writes until the signal aborts; what was asked last is still answered. */
export async function writer(
  url: string,
  { name, vmIds }: { readonly name: string; readonly vmIds: readonly string[] },
  signal: AbortSignal,
): Promise<Written> {
  const written: Written = { keys: [], retries: 0 };
  for (let turn = 0; !signal.aborted; turn += 1) {
    const key = `${name}-${turn}`;
    const vm = `/v1/vms/${vmIds[turn % vmIds.length]}`;
    const request =
      turn % SNAPSHOT_EVERY === 0
        ? { method: 'POST', path: `${vm}/snapshots`, body: { name: key }, key }
        : { method: 'PATCH', path: vm, body: { labels: { [name]: key } }, key };
    if (await insisted(url, request, written)) written.keys.push(key);
  }
  return written;
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly body: object;
  readonly key: string;
}

/** False: it is refused for a reason that stays. */
async function insisted(url: string, request: Request, written: Written): Promise<boolean> {
  for (;;) {
    const answer = await sent(url, request);
    if (answer?.ok) {
      await answer.arrayBuffer().catch(() => undefined); // That it was accepted is known already.
      return true;
    }
    const { reason = '' } = answer ? ((await answer.json().catch(() => ({}))) as { reason?: string }) : {};
    if (answer && BUSY.has(reason)) return false;
    if (answer && !PASSING.has(answer.status)) throw new Error(`${request.key}: ${answer.status} ${reason}`);
    written.retries += 1;
    await setTimeout(AGAIN_MS);
  }
}

const PASSING: ReadonlySet<number> = new Set([503]);
/** Another writer's snapshot is being taken, or there are enough. */
const BUSY: ReadonlySet<string> = new Set(['vm-busy', 'too-many-snapshots']);

/** Null when there was no answer. */
async function sent(url: string, { method, path, body, key }: Request): Promise<Response | null> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': key };
  try {
    return await fetch(`${url}${path}`, { method, headers, body: JSON.stringify(body) });
  } catch {
    return null;
  }
}
