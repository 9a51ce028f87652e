/**
 * What a refusal means for whoever asked:
 * - `name-conflict` the snapshot name stands on a disk already · `not-found` there is none · `not-found-or-partial`
 *   at least one disk lacks it · `no-vm-state` it holds no memory
 * - `bad-request`, `protocol` a bug of ours, or a QEMU that speaks differently
 * - `unsupported` the format cannot, or not in this run state · `read-only` · `node-gone` look the disk up again
 * - `busy` another job has it · `locked` another process has the file · `bad-run-state` wait, or `cont` first ·
 *   `guest-off` reset first
 * - `bitmap-blocks`, `config-mismatch`, `io-error` disks may be torn by a load that began
 * - `no-space` · `dry-run-ok` everything before the `abort` action would have worked
 * - `unknown` look, do not guess
 */
export type RefusalCategory =
  | 'name-conflict'
  | 'bad-request'
  | 'unsupported'
  | 'read-only'
  | 'node-gone'
  | 'busy'
  | 'locked'
  | 'not-found'
  | 'not-found-or-partial'
  | 'no-vm-state'
  | 'bitmap-blocks'
  | 'config-mismatch'
  | 'no-space'
  | 'io-error'
  | 'bad-run-state'
  | 'dry-run-ok'
  | 'protocol'
  | 'guest-off'
  | 'unknown';

interface Row {
  readonly category: RefusalCategory;
  readonly words: RegExp;
  /** Decides as well as the words do. */
  readonly errorClass?: string;
}

/**
 * QEMU's classes say next to nothing (`GenericError`), so its words have to. Measured on QEMU 7.2.22. The first
 * row that matches wins: `Error while writing VM state: Input/output error` is a full disk, not a broken one.
 */
const TABLE: readonly Row[] = [
  { category: 'name-conflict', words: /already exists on device '.+'|already exists in one or more devices/ },
  {
    category: 'bad-request',
    words: /^Name is empty|Invalid job ID|Invalid node-name|Node name too long/,
  },
  {
    category: 'unsupported',
    words:
      /does not support internal snapshots|is writable but does not support snapshots|Operation not supported/,
  },
  { category: 'read-only', words: /is read only|Block node is read-only|Operation not permitted/ },
  {
    category: 'node-gone',
    words: /Cannot find device=|No block device node '|Failed to find node/,
    errorClass: 'DeviceNotFound',
  },
  {
    category: 'busy',
    words: /Need a root block node|is busy:|block device is in use by block job|overlay is already in use/,
  },
  { category: 'locked', words: /Failed to get (shared )?"write" lock|Is another process using the image/ },
  {
    category: 'not-found',
    words:
      /Snapshot with id .* does not exist on device|snapshot not found|Failed to load snapshot: No such file|Job not found/,
  },
  { category: 'not-found-or-partial', words: /Snapshot '.*' does not exist in one or more devices/ },
  { category: 'no-vm-state', words: /disk-only snapshot/ },
  { category: 'bitmap-blocks', words: /Device has active dirty bitmaps/ },
  { category: 'config-mismatch', words: /Error -22 while loading VM state|load of migration failed/ },
  {
    category: 'no-space',
    words: /No space left on device|Error while writing VM state: Input\/output error|File too large/,
  },
  { category: 'io-error', words: /Input\/output error/ },
  {
    category: 'bad-run-state',
    words:
      /State blocked by non-migratable device|There's a migration process in progress|Can't migrate the vm that was paused/,
  },
  { category: 'dry-run-ok', words: /Transaction aborted using Abort action/ },
  {
    category: 'protocol',
    words: /does not accept value|is unexpected|is missing|Invalid parameter type|QMP input|JSON parse error/,
    errorClass: 'CommandNotFound',
  },
  { category: 'guest-off', words: /Resetting the Virtual Machine is required/ },
];

/** Sorts QEMU's words: those of a `QmpRefused`, of a job's error, or what `qemu-img` wrote to stderr. */
export function classifyRefusal(description: string, errorClass = 'GenericError'): RefusalCategory {
  const row = TABLE.find((row) => row.words.test(description) || row.errorClass === errorClass);
  return row?.category ?? 'unknown';
}
