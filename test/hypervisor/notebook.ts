/* A VM's ledger without a log: what the worker sees of it, for tests of the hypervisor alone. */
import { Fenced, type Hypervisor, type Journal, type Plan } from '#hypervisor';
import {
  afterwards,
  type Command,
  type CommandOf,
  decide,
  evolve,
  type OpenOperation,
  type Report,
  type Snapshot,
  unborn,
  type Vm,
  type VmEvent,
} from '#ledger';
import { v7 } from 'uuid';

/** What somebody asks for; ids are made up. */
type CreateWish = Partial<Omit<CommandOf<'CreateSnapshot'>, 'type'>>;

type LoadWish = Partial<Omit<CommandOf<'LoadSnapshot'>, 'type'>>;
type DeleteStrategy = NonNullable<CommandOf<'DeleteSnapshot'>['strategy']>;

/** Everything that happened to one VM, and how a test makes more happen. */
export class Notebook {
  readonly events: VmEvent[] = [];
  readonly progress: string[] = [];
  vm: Vm = unborn();
  readonly #hypervisor: Hypervisor;

  constructor(hypervisor: Hypervisor) {
    this.#hypervisor = hypervisor;
  }

  /** The same ledger in the hands of the next worker. */
  heir(hypervisor: Hypervisor): Notebook {
    const heir = new Notebook(hypervisor);
    heir.vm = this.vm;
    heir.events.push(...this.events);
    return heir;
  }

  /** Registers the machine behind a monitor. */
  async register(monitor: string, disks?: { device: string; file: string; format: string }[]): Promise<void> {
    const {
      power: _,
      below: __,
      ...found
    } = await this.#hypervisor.discover({ monitor, ...(disks && { disks }) });
    const registration = { vmId: v7(), name: 'box', host: 'here', guestAgent: null, labels: {}, ...found };
    this.handle({ type: 'RegisterVm', registration });
  }

  handle(command: Command): VmEvent[] {
    const events = decide(command, this.vm);
    for (const event of events) this.vm = evolve(this.vm, { ...event, id: v7() });
    this.events.push(...events);
    return events;
  }

  /** What a command would do that needs the machine. Nothing of it is recorded. */
  plan(command: Command): Promise<Plan> {
    const { vm } = afterwards(this.vm, command);
    if (!vm.operation) throw new Error(`${command.type} needs no machine`);
    return this.#hypervisor.plan(vm, vm.operation);
  }

  /** Asks for a snapshot; returns its id. */
  ask(wish: CreateWish = {}): string {
    const snapshotId = v7();
    const limits = { snapshotsMax: 200, chainMax: 64 };
    this.handle({ type: 'CreateSnapshot', snapshotId, operationId: v7(), limits, ...wish });
    return snapshotId;
  }

  /** What the worker does with the open operation: carries it out and records the report. */
  async work(journal: Partial<Journal> = {}): Promise<Report> {
    const vm = this.seen();
    const { operation } = vm;
    if (!operation) throw new Error('no operation is open');
    const report = await this.#hypervisor.carryOut(vm, operation, { ...this.journal(), ...journal });
    this.handle(report);
    return report;
  }

  /** The VM as a worker holds it: later events do not change it. */
  seen(): Vm & { operation: OpenOperation | null } {
    const snapshots = new Map([...this.vm.snapshots].map(([id, snapshot]) => [id, { ...snapshot }]));
    const operation = this.vm.operation && { ...this.vm.operation };
    return { ...this.vm, snapshots, layers: new Map(this.vm.layers), operation };
  }

  journal(): Journal {
    return {
      disks: async (found) => void this.handle({ type: 'ReportDisks', ...found }),
      begin: async (start) => {
        if (this.vm.operation?.started) throw new Fenced('somebody has started it');
        this.handle({ type: 'StartOperation', start });
      },
      pinned: async (pinned) => void this.handle({ type: 'ReportPinned', pinned }),
      loaded: async (content) => void this.handle({ type: 'ReportContentLoaded', content }),
      progress: ({ phase }) => void this.progress.push(phase),
    };
  }

  async create(wish: CreateWish = {}): Promise<Outcome> {
    const snapshotId = this.ask(wish);
    return { snapshotId, ...outcomeOf(await this.work()) };
  }

  askLoad(snapshotId: string, wish: LoadWish = {}): void {
    this.handle({ type: 'LoadSnapshot', snapshotId, operationId: v7(), ...wish });
  }

  askDelete(snapshotId: string, strategy: DeleteStrategy = 'merge'): void {
    this.handle({ type: 'DeleteSnapshot', snapshotId, operationId: v7(), strategy });
  }

  async load(snapshotId: string, wish?: LoadWish): Promise<Outcome> {
    this.askLoad(snapshotId, wish);
    return { snapshotId, ...outcomeOf(await this.work()) };
  }

  async delete(snapshotId: string, strategy?: DeleteStrategy): Promise<Outcome> {
    this.askDelete(snapshotId, strategy);
    return { snapshotId, ...outcomeOf(await this.work()) };
  }

  snapshot(id: string): Snapshot {
    const snapshot = this.vm.snapshots.get(id);
    if (!snapshot) throw new Error(`no snapshot ${id}`);
    return snapshot;
  }
}

/** How an operation ended, in one word and the details. */
export interface Outcome {
  readonly snapshotId: string;
  /** `created`, `loaded`, `deleted`, or `undone: reason`, `held: reason`. */
  readonly end: string;
  readonly report: Report;
}

export function outcomeOf(report: Report): Omit<Outcome, 'snapshotId'> {
  switch (report.type) {
    case 'ReportCreated':
      return { end: 'created', report };
    case 'ReportLoaded':
      return { end: 'loaded', report };
    case 'ReportDeleted':
      return { end: 'deleted', report };
    case 'ReportFailed':
      return { end: `${report.failed.outcome}: ${report.failed.reason}`, report };
    case 'ReportDisks':
    case 'ReportDrift':
    case 'StartRepair':
    case 'StartOperation':
    case 'ReportPinned':
    case 'ReportContentLoaded':
    case 'ReportLeftoverRemoved':
      throw new Error(`an operation cannot end in ${report.type}`);
  }
}
