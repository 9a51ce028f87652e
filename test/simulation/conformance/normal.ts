import type { Message, Step } from './step.ts';

/** What a run of qemu-img left. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Members that differ from run to run, and what stands for them. */
const ANY: Readonly<Record<string, (value: unknown) => unknown>> = {
  'date-sec': () => 'any',
  'date-nsec': () => 'any',
  'vm-clock-sec': () => 'any',
  'vm-clock-nsec': () => 'any',
  'vm-state-size': (size) => (size === 0 ? 0 : 'some'),
  timestamp: () => 'any',
  'current-progress': () => 'any',
  'total-progress': () => 'any',
  len: () => 'any',
  offset: () => 'any',
  'node-name': (name) => String(name).replace(/^#block\d+$/, '#block'),
  package: () => 'any',
  cache: () => 'any', // `writeback` shows whether the guest has switched its write cache on.
};

/** A message without what may differ. The real images lie somewhere else, and one has blkdebug below it. */
export function normal(value: unknown, paths: Readonly<Record<string, string>>): unknown {
  if (Array.isArray(value))
    return value.filter((item) => !isBlkdebug(item)).map((item) => normal(item, paths));
  if (typeof value === 'string') return named(value, paths);
  if (typeof value !== 'object' || value === null) return value;
  const result: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    const stand = Object.hasOwn(ANY, key) ? ANY[key] : undefined;
    // blkdebug does not say what its file takes up.
    if (key !== 'actual-size') result[key] = stand ? stand(member) : normal(member, paths);
  }
  if (result['format'] === 'file') result['virtual-size'] = 'any';
  return result;
}

const isBlkdebug = (item: unknown): boolean =>
  typeof item === 'object' && item !== null && 'drv' in item && item.drv === 'blkdebug';

/** File names as the scripts have them. QEMU shows blkdebug in front of a file's name. */
function named(text: string, paths: Readonly<Record<string, string>>): string {
  let result = text.replace(/^json:.*"filename": ?"([^"]+)".*$/, '$1').replace(/^blkdebug:[^:]*:/, '');
  for (const [name, path] of Object.entries(paths)) result = result.replaceAll(path, name);
  return result;
}

/** `check` counts clusters: of it only the exit code is compared. `map` knows more extents than there are blocks. */
export function normalEnd(
  args: readonly string[],
  ended: Ended,
  paths: Readonly<Record<string, string>>,
): unknown {
  const { code, stdout, stderr } = ended;
  if (args[0] === 'check' && code === 0) return { code };
  if (args[0] === 'map' && code === 0) return { code, depths: depthsIn(JSON.parse(stdout) as Extent[]) };
  const printed: unknown = stdout.startsWith('{') ? normal(JSON.parse(stdout), paths) : '';
  return { code, printed, stderr: named(stderr, paths) };
}

interface Extent {
  readonly depth: number;
  readonly present: boolean;
}

const depthsIn = (extents: readonly Extent[]): number[] =>
  [...new Set(extents.filter(({ present }) => present).map(({ depth }) => depth))].toSorted();

/** File names instead of their stand-ins. */
export function placed(value: unknown, paths: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') return value.replace(STAND_IN, (name) => paths[name] ?? name);
  if (Array.isArray(value)) return value.map((item) => placed(item, paths));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, placed(member, paths)]));
}

const STAND_IN = /\b(DA|DB|DC|NOPE|X[1-4])\b/g;

/** Of a job's ways those that its work sets; pausing for a drain comes and goes. */
const PASSING = new Set(['paused', 'standby', 'running', 'created', 'ready']);

/** Block jobs tell much that nobody here listens to. */
const HEARD = new Set(['BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED']);

/** What is left out of what is said: progress of jobs. */
export const isTold = ({ event, data }: Message): boolean =>
  typeof event !== 'string' ||
  ((!event.startsWith('BLOCK_JOB') || HEARD.has(event)) &&
    !(isRecord(data) && PASSING.has(String(data['status'])) && event.startsWith('JOB')));

/** Whether nothing more comes after a message: the reply has come, and so has the end of the job it began. */
export function isComplete(said: readonly Message[], { say: sent, until }: Saying): boolean {
  const reply = said.find((message) => 'return' in message || 'error' in message);
  if (!reply) return false;
  const command = typeof sent === 'string' ? '' : String(sent['execute']);
  const wanted = until ?? (command.startsWith('snapshot-') ? 'concluded' : null);
  if (wanted === null || 'error' in reply) return true;
  return said.some(({ data }) => isRecord(data) && data['status'] === wanted);
}

export type Saying = Extract<Step, { say: unknown }>;

const isRecord = (value: unknown): value is Message => typeof value === 'object' && value !== null;
