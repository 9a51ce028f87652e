import type { Command } from '../commands.ts';

type Request = Extract<
  Command,
  { type: 'CreateSnapshot' | 'LoadSnapshot' | 'DeleteSnapshot' | 'DeleteAllSnapshots' }
>;

/**
 * Parents and the present, told a second time and as simply as can be: from what was asked and accepted, not from
 * the events. Where it and `evolve` differ, one of them is wrong.
 */
export class LineageModel {
  readonly parents = new Map<string, string | null>();
  current: string | null = null;
  #asked: { readonly request: Request; readonly parent: string | null } | null = null;

  /** A command was accepted and recorded something. */
  accepted(command: Command): void {
    switch (command.type) {
      case 'DeleteSnapshot':
        if ((command.strategy ?? 'retire') === 'retire') return;
        this.#asked = { request: command, parent: null };
        return;
      case 'CreateSnapshot':
        this.parents.set(command.snapshotId, this.current);
        this.#asked = { request: command, parent: this.current };
        return;
      case 'LoadSnapshot':
      case 'DeleteAllSnapshots':
        this.#asked = { request: command, parent: null };
        return;
      case 'AdoptSnapshots':
        this.parents.set(command.ids[0] ?? '', null);
        return;
      case 'ReportPinned':
        if (this.#asked?.request.type === 'LoadSnapshot')
          this.parents.set(this.#asked.request.pin?.snapshotId ?? '', this.current);
        return;
      case 'ReportLoaded':
        for (const pin of command.replaced ?? []) this.#remove(pin);
        this.#succeeded();
        return;
      case 'ReportCreated':
      case 'ReportDeleted':
        this.#succeeded();
        return;
      case 'ReportFailed':
        this.#failed(command.failed.outcome === 'held' || command.failed.leftovers.length > 0);
        return;
      case 'CancelOperation':
        this.#failed(false);
    }
  }

  #succeeded(): void {
    const request = this.#asked?.request;
    if (request?.type === 'CreateSnapshot' || request?.type === 'LoadSnapshot')
      this.current = request.snapshotId;
    if (request?.type === 'DeleteAllSnapshots') {
      this.parents.clear();
      this.current = null;
    }
    if (request?.type === 'DeleteSnapshot') {
      // What is discarded has no descendants but pins.
      const isDeep = request.strategy === 'discard-force' || request.strategy === 'discard';
      const goes = [...this.parents.keys()].filter((id) => isDeep && this.#descends(id, request.snapshotId));
      for (const id of [...goes, request.snapshotId]) this.#remove(id);
    }
    this.#asked = null;
  }

  #failed(isHeld: boolean): void {
    const request = this.#asked?.request;
    if (request?.type === 'CreateSnapshot') this.parents.delete(request.snapshotId);
    if (request?.type === 'LoadSnapshot' && isHeld) this.current = request.snapshotId;
    this.#asked = null;
  }

  #descends(id: string, from: string): boolean {
    for (let at: string | null = id; at !== null; at = this.parents.get(at) ?? null) {
      if (at === from) return true;
    }
    return false;
  }

  #remove(id: string): void {
    const parent = this.parents.get(id) ?? null;
    this.parents.delete(id);
    for (const [child, its] of this.parents) if (its === id) this.parents.set(child, parent);
    if (this.current === id) this.current = parent;
  }
}
