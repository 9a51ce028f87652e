import type { DataOf, VmEvent } from '#ledger';
import type { Breach, Invariant } from './breach.ts';

/** A snapshot that lives, as far as the log has said. */
interface Known {
  readonly name: string;
  readonly parentId: string | null;
}

/** The one request that has not been answered yet. */
interface Open {
  readonly id: string;
  readonly kind: 'create' | 'load' | 'delete';
  readonly snapshotId: string | null;
  /** Whom a delete is to remove. */
  readonly targets: readonly string[];
  isStarted: boolean;
}

const KINDS = {
  SnapshotCreated: 'create',
  CreateFailed: 'create',
  SnapshotLoaded: 'load',
  LoadFailed: 'load',
  SnapshotDeleted: 'delete',
  DeleteFailed: 'delete',
} as const;

/**
 * Reads what the log says of one VM, in its order, and tells what it must not say. Has its own idea of operations and
 * lineages and shares no code with the rules that made the events.
 */
export class VmAudit {
  readonly #vmId: string;
  readonly #snapshots = new Map<string, Known>();
  /** Who bears a name, and who descends from whom: a VM may have 100,000 snapshots. */
  readonly #names = new Map<string, string>();
  readonly #children = new Map<string, Set<string>>();
  readonly #usedIds = new Set<string>();
  /** Snapshots that loads have made of what they left. */
  readonly #pins = new Set<string>();
  readonly #operations = new Set<string>();
  #current: string | null = null;
  #open: Open | null = null;
  #breaches: Breach[] = [];

  constructor(vmId: string) {
    this.#vmId = vmId;
  }

  /** Whether a request waits for its end. */
  get isBusy(): boolean {
    return this.#open !== null;
  }

  enter(event: VmEvent): Breach[] {
    this.#breaches = [];
    this.#take(event);
    this.#must(this.#current === null || this.#snapshots.has(this.#current), 'I5', () => {
      return `${event.type} leaves ${this.#current} as current, which does not exist`;
    });
    return this.#breaches;
  }

  #take(event: VmEvent): void {
    switch (event.type) {
      case 'SnapshotRequested':
        return this.#requested(event.data);
      case 'LoadRequested':
        this.#requireKnown(event.type, event.data.snapshotId);
        return this.#begin('load', event.data, []);
      case 'DeleteRequested':
        for (const id of event.data.targets) this.#requireKnown(event.type, id);
        return this.#begin('delete', event.data, event.data.targets);
      case 'OperationStarted':
        this.#requireOpen(event.type, event.data);
        if (this.#open) this.#open.isStarted = true;
        return;
      case 'SnapshotPinned':
        this.#requireOpen(event.type, event.data);
        this.#pins.add(event.data.snapshotId);
        return this.#add(event.data);
      case 'ContentLoaded':
        return this.#requireBegun(event);
      case 'SnapshotDiscarded':
        this.#requireBegun(event);
        return this.#discarded(event.data);
      case 'SnapshotCreated':
      case 'SnapshotLoaded':
      case 'SnapshotDeleted':
        this.#requireBegun(event);
        return this.#succeeded(event);
      case 'CreateFailed':
      case 'LoadFailed':
      case 'DeleteFailed':
        this.#requireOpen(event.type, event.data);
        return this.#failed(event);
      case 'SnapshotAdopted':
        return this.#add(event.data);
      case 'SnapshotRenamed':
        return this.#renamed(event.data);
      case 'SnapshotDescribed':
      case 'SnapshotLabelled':
      case 'SnapshotProtected':
      case 'SnapshotUnprotected':
      case 'SnapshotRetired':
      case 'SnapshotUnretired':
        return this.#requireKnown(event.type, event.data.snapshotId);
      case 'VmForgotten':
        return this.#must(!this.#open, 'I3', () => `forgotten while ${this.#open?.id} was under way`);
      case 'VmRegistered':
      case 'VmChanged':
      case 'DisksChanged':
      case 'LeftoverRemoved':
      case 'HoldReleased':
      case 'DriftFound':
      case 'RepairStarted':
        return; // Nothing that a lineage or an operation depends on.
    }
    event satisfies never;
  }

  #requested(data: DataOf<'SnapshotRequested'>): void {
    const { snapshotId, parentId } = data;
    this.#must(parentId === this.#current, 'I6', () => {
      return `snapshot ${snapshotId} descends from ${parentId}, and ${this.#current} was current`;
    });
    this.#add(data);
    this.#begin('create', data, []);
  }

  #add({
    snapshotId: id,
    name,
    parentId,
  }: {
    snapshotId: string;
    name: string;
    parentId: string | null;
  }): void {
    this.#must(!this.#usedIds.has(id), 'I16', () => `the id ${id} is given a second time`);
    this.#must(!this.#names.has(name), 'I16', () => `${this.#names.get(name)} and ${id} both bear one name`);
    this.#must(parentId === null || this.#snapshots.has(parentId), 'I4', () => {
      return `snapshot ${id} descends from ${parentId}, which does not exist`;
    });
    this.#usedIds.add(id);
    this.#names.set(name, id);
    this.#snapshots.set(id, { name, parentId });
    if (parentId !== null) this.#childrenOf(parentId).add(id);
  }

  #begin(
    kind: Open['kind'],
    { operationId: id, snapshotId }: { operationId: string; snapshotId: string | null },
    targets: readonly string[],
  ): void {
    this.#must(!this.#open, 'I7', () => `${id} is asked for while ${this.#open?.id} is under way`);
    this.#must(!this.#operations.has(id), 'I3', () => `operation ${id} is asked for twice`);
    this.#operations.add(id);
    this.#open = { id, kind, snapshotId, targets, isStarted: false };
  }

  #requireOpen(type: VmEvent['type'], { operationId }: { operationId: string }): void {
    const isOver = this.#operations.has(operationId);
    this.#must(this.#open?.id === operationId, 'I3', () => {
      return `${type} of operation ${operationId}, which ${isOver ? 'has ended' : 'was never asked for'}`;
    });
  }

  #requireBegun({ type, data }: Extract<VmEvent, { data: { operationId: string } }>): void {
    this.#requireOpen(type, data);
    this.#must(this.#open?.isStarted ?? false, 'I19', () => {
      return `${type} of operation ${data.operationId}, and no word of its start`;
    });
  }

  #succeeded(
    event: Extract<VmEvent, { type: 'SnapshotCreated' | 'SnapshotLoaded' | 'SnapshotDeleted' }>,
  ): void {
    const { snapshotId } = event.data;
    const targets = this.#open?.targets ?? [];
    this.#end(event);
    if (event.type !== 'SnapshotDeleted') {
      this.#current = snapshotId;
      return;
    }
    if (snapshotId !== null) this.#remove(event.type, snapshotId);
    const left = targets.find((id) => this.#snapshots.has(id));
    this.#must(
      left === undefined,
      'I15',
      () => `a delete has ended and left ${left}, which it was to remove`,
    );
  }

  /** A delete takes along whom it has named; a load only what loads have saved before. */
  #discarded({ snapshotId: id, operationId }: DataOf<'SnapshotDiscarded'>): void {
    const isMeant = this.#open?.kind === 'load' ? this.#pins.has(id) : this.#open?.targets.includes(id);
    this.#must(isMeant ?? true, 'I15', () => `operation ${operationId} discards ${id}, and never said so`);
    this.#remove('SnapshotDiscarded', id);
  }

  #failed(event: Extract<VmEvent, { type: 'CreateFailed' | 'LoadFailed' | 'DeleteFailed' }>): void {
    this.#end(event);
    if (event.type === 'CreateFailed') this.#remove(event.type, event.data.snapshotId);
    if (event.type === 'LoadFailed' && event.data.outcome === 'held') this.#current = event.data.snapshotId;
  }

  #end(event: Extract<VmEvent, { type: keyof typeof KINDS }>): void {
    const { type, data } = event;
    const { kind, snapshotId = null } = this.#open ?? {};
    this.#must(kind === undefined || (kind === KINDS[type] && snapshotId === data.snapshotId), 'I3', () => {
      return `${type} of ${data.snapshotId} ends the ${kind} of ${snapshotId}`;
    });
    this.#open = null;
  }

  /** Children of what is gone descend from its parent, and so does the present. */
  #remove(type: VmEvent['type'], id: string): void {
    const known = this.#snapshots.get(id);
    this.#requireKnown(type, id);
    if (!known) return;
    for (const child of this.#childrenOf(id)) this.#adopt(child, known.parentId);
    if (known.parentId !== null) this.#childrenOf(known.parentId).delete(id);
    if (this.#current === id) this.#current = known.parentId;
    this.#children.delete(id);
    this.#snapshots.delete(id);
    if (this.#names.get(known.name) === id) this.#names.delete(known.name);
  }

  #adopt(id: string, parentId: string | null): void {
    const known = this.#snapshots.get(id);
    if (!known) return;
    this.#snapshots.set(id, { ...known, parentId });
    if (parentId !== null) this.#childrenOf(parentId).add(id);
  }

  #renamed({ snapshotId: id, name }: DataOf<'SnapshotRenamed'>): void {
    this.#requireKnown('SnapshotRenamed', id);
    const known = this.#snapshots.get(id);
    if (!known) return;
    this.#must(!this.#names.has(name), 'I16', () => `${this.#names.get(name)} and ${id} both bear one name`);
    this.#names.delete(known.name);
    this.#names.set(name, id);
    this.#snapshots.set(id, { ...known, name });
  }

  #childrenOf(id: string): Set<string> {
    const children = this.#children.get(id) ?? new Set();
    this.#children.set(id, children);
    return children;
  }

  #requireKnown(type: VmEvent['type'], id: string): void {
    this.#must(this.#snapshots.has(id), 'I16', () => `${type} of snapshot ${id}, which does not exist`);
  }

  #must(holds: boolean, invariant: Invariant, words: () => string): void {
    if (!holds) this.#breaches.push({ invariant, words: `VM ${this.#vmId}: ${words()}` });
  }
}
