import {
  type FakeCall,
  type FakeHandler,
  type FakeMonitor,
  fakeMonitor,
  fakeRefusal,
  type QmpArguments,
} from '#qmp';
import { dropTag, type FakeImage, putTag, snapshotsOf } from './fake-image.ts';

export interface FakeDrive {
  readonly node: string;
  readonly file: string;
  readonly image: FakeImage;
  readonly readOnly?: boolean;
  /** The guest device's id; `<node>-dev` when absent. */
  readonly id?: string;
}

interface FakeJob {
  readonly id: string;
  readonly type: string;
  status: string;
  error?: string;
}

/** Comes before QEMU's own answer, which `proceed` gives. */
export type Interference = (args: QmpArguments, proceed: () => unknown, call: FakeCall) => unknown;

/** One QEMU process with its disks open, as its monitor shows it. */
export class FakeQemu {
  readonly monitor: FakeMonitor;
  runState = 'running';
  drives: FakeDrive[];
  jobs: FakeJob[] = [];
  migration: string | null = null;
  readonly #interferences = new Map<string, Interference>();

  constructor(drives: readonly FakeDrive[]) {
    this.drives = [...drives];
    const on: Record<string, FakeHandler> = {};
    for (const [command, answer] of Object.entries(this.#answers)) {
      on[command] = (args, call) => {
        const interference = this.#interferences.get(command);
        return interference ? interference(args, () => answer(args), call) : answer(args);
      };
    }
    this.monitor = fakeMonitor({ on });
    for (const { image } of drives) image.lockedBy = 'qemu';
  }

  /** From now on `interference` answers this command. */
  interfere(command: string, interference: Interference): void {
    this.#interferences.set(command, interference);
  }

  /** QEMU again answers for itself. */
  behave(command: string): void {
    this.#interferences.delete(command);
  }

  /** How often a command came, besides the questions of a look. */
  get commands(): string[] {
    return this.monitor.received.map(({ command }) => command).filter((command) => !command.startsWith('q'));
  }

  die(): void {
    this.monitor.kill();
    for (const { image } of this.drives) {
      image.lockedBy = null;
      image.hidden.clear();
    }
  }

  readonly #answers: Readonly<Record<string, (args: QmpArguments) => unknown>> = {
    'query-status': () => ({
      status: this.runState,
      running: this.runState === 'running',
      singlestep: false,
    }),
    'query-jobs': () => this.jobs.map((job) => ({ ...job, 'current-progress': 1, 'total-progress': 1 })),
    'query-block-jobs': () => [],
    'query-named-block-nodes': () => [],
    'query-migrate': () => (this.migration ? { status: this.migration } : {}),
    'query-block': () => this.drives.map((drive) => blockOf(drive)),
    'query-memory-size-summary': () => ({ 'base-memory': 67_108_864, 'plugged-memory': 0 }),
    stop: () => this.#become('running', 'paused'),
    cont: () => {
      if (this.runState === 'shutdown') return fakeRefusal('Resetting the Virtual Machine is required');
      this.runState = 'running';
      return {};
    },
    transaction: ({ actions }) => this.#transaction(actions),
    'blockdev-snapshot-delete-internal-sync': ({ device, name }) =>
      this.#delete(String(device), String(name)),
    'snapshot-save': (args) => this.#job('snapshot-save', args, () => this.#save(args)),
    'snapshot-load': (args) => this.#job('snapshot-load', args, () => this.#load(args)),
    'job-dismiss': ({ id }) => void (this.jobs = this.jobs.filter((job) => job.id !== id)),
  };

  drive(node: unknown): FakeDrive | undefined {
    return this.drives.find((drive) => drive.node === node);
  }

  #become(from: string, to: string): object {
    if (this.runState === from) this.runState = to;
    return {};
  }

  #transaction(actions: unknown): unknown {
    const asked = actions as { data: { device: string; name: string } }[];
    const refused = asked.find(({ data }) => this.drive(data.device)?.image.format !== 'qcow2');
    if (refused) return fakeRefusal(`Cannot find device='${refused.data.device}' nor node-name=''`);
    for (const { data } of asked) putTag(this.#image(data.device), data.name);
    return {};
  }

  #image(node: unknown): FakeImage {
    const drive = this.drive(node);
    if (!drive) throw new Error(`no node ${String(node)}`);
    return drive.image;
  }

  #delete(node: string, name: string): unknown {
    const { image } = this.drive(node) ?? {};
    if (!image || image.hidden.has(name) || !dropTag(image, name)) {
      return fakeRefusal(`Snapshot with id 'null' and name '${name}' does not exist on device '${node}'`);
    }
    return {};
  }

  #job(type: string, args: QmpArguments, work: () => string | null): object {
    const error = work();
    this.jobs.push({
      id: String(args['job-id']),
      type,
      status: 'concluded',
      ...(error !== null && { error }),
    });
    return {};
  }

  #save({ tag, vmstate, devices }: QmpArguments): null {
    for (const node of devices as string[]) {
      putTag(this.#image(node), String(tag), node === vmstate ? 4_096 : 0);
    }
    return null;
  }

  /** Stops a machine that runs, and lets it run again only when all went well. */
  #load({ tag, devices }: QmpArguments): string | null {
    const nodes = devices as string[];
    const before = this.runState;
    if (before === 'running') this.runState = 'restore-vm';
    const found = nodes.map((node) => this.#image(node).tags.find(({ name }) => name === tag));
    if (found.includes(undefined)) return `Snapshot '${String(tag)}' does not exist in one or more devices`;
    for (const [index, node] of nodes.entries()) {
      const image = this.#image(node);
      if (image.hasBitmaps)
        return `Could not load snapshot '${String(tag)}' on '${node}': Device has active dirty bitmaps`;
      image.content = found[index]?.content ?? '';
    }
    this.runState = before;
    return null;
  }
}

function blockOf({ node, file, image, readOnly = false, id = `${node}-dev` }: FakeDrive): object {
  const snapshots = snapshotsOf(image.tags.filter(({ name }) => !image.hidden.has(name)));
  return {
    device: '',
    qdev: `/machine/peripheral/${id}/virtio-backend`,
    inserted: {
      file,
      'node-name': node,
      ro: readOnly,
      drv: image.format,
      image: { filename: file, format: image.format, 'virtual-size': 8_388_608, snapshots },
      ...(image.hasBitmaps && { 'dirty-bitmaps': [{ name: 'b' }] }),
    },
  };
}
