/* What callers are told about a machine that is in trouble. */
import type { DaemonProcess } from '../crash/daemon-process.ts';

/** No answer has to wait for a machine longer than this. */
const ANSWERED_WITHIN_MS = 10_000;

export interface Inquiry {
  readonly asked: string;
  /** `200`, `503 host-unreachable`, `no answer`. */
  readonly told: string;
  /** What must be so if it was accepted. */
  readonly promised?: { readonly path: string; readonly label: string };
}

/** What may be said of a request that is sound: it is done, somebody else is at it, or not now. */
const SOUND: ReadonlySet<string> = new Set([
  ...['200', '201', '202', '204'],
  ...['409 vm-busy', '409 machine-busy', '409 not-cancelable', '409 vm-held', '409 name-taken'],
  ...['503 host-unreachable', '503 store-unavailable', '503 view-behind', '507 no-space'],
]);

/** Why an answer should not have been given; null when it may. */
export const whyBad = ({ asked, told }: Inquiry): string | null =>
  SOUND.has(told) ? null : `${asked} was answered: ${told}`;

/** Asks for everything that has to do with one machine, at the same time. */
export async function inquire(daemon: DaemonProcess, vmId: string): Promise<Inquiry[]> {
  const vm = `/v1/vms/${vmId}`;
  return Promise.all([
    answerTo(daemon, 'GET', vm),
    answerTo(daemon, 'GET', `${vm}/status`),
    answerTo(daemon, 'GET', `${vm}/snapshots`),
    answerTo(daemon, 'GET', `${vm}/lineage`),
    answerTo(daemon, 'GET', '/v1/operations'),
    answerTo(daemon, 'POST', `${vm}/snapshots?validateOnly=true`, { diskOnly: true }),
    answerTo(daemon, 'POST', `${vm}/reconcile`),
    labelled(daemon, vm),
    answerTo(daemon, 'GET', '/health/ready'),
  ]);
}

async function labelled(daemon: DaemonProcess, path: string): Promise<Inquiry> {
  const label = `${process.hrtime.bigint()}`;
  const answer = await answerTo(daemon, 'PATCH', path, { labels: { asked: label } });
  return { ...answer, promised: { path, label } };
}

/** What was acknowledged and is not there, or was refused and is. */
export async function forgotten(daemon: DaemonProcess, inquiries: readonly Inquiry[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const { asked, told, promised } of inquiries) {
    if (!promised) continue;
    const { labels } = await daemon.ask<Labelled>('GET', promised.path.replace('/v1', ''));
    const isThere = labels['asked'] === promised.label;
    if (isThere !== told.startsWith('2'))
      wrong.push(`${asked} was answered ${told}, and is ${isThere ? 'done' : 'not done'}`);
  }
  return wrong;
}

interface Labelled {
  readonly labels: Readonly<Record<string, string>>;
}

async function answerTo(
  { url }: DaemonProcess,
  method: string,
  path: string,
  body?: object,
): Promise<Inquiry> {
  const asked = `${method} ${path.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID')}`;
  const content = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  try {
    const signal = AbortSignal.timeout(ANSWERED_WITHIN_MS);
    const answer = await fetch(`${url}${path}`, { method, signal, ...content });
    const said = answer.ok ? {} : ((await answer.json()) as { reason?: string });
    return {
      asked,
      told: said.reason === undefined ? `${answer.status}` : `${answer.status} ${said.reason}`,
    };
  } catch (error) {
    return { asked, told: `no answer (${String(error)})` };
  }
}
