import type { CommandOf, DataOf, Disk } from '#ledger';

/** The intent and its undo, as the log keeps them from the moment anything may have been touched. */
export type Start = DataOf<'OperationStarted'>;

/** What a load has saved of the present, before it leaves it. */
export type Pinned = CommandOf<'ReportPinned'>['pinned'];

/** Where a load has put the machine. */
export type Content = CommandOf<'ReportContentLoaded'>['content'];

/** Somebody else owns the operation, or it has ended: whoever is told this touches nothing. */
export class Fenced extends Error {
  override readonly name = 'Fenced';
}

/** Where an operation's intent becomes durable. */
export interface Journal {
  /** The look found other disks or foreign tags than known: recorded before anything else. */
  disks(found: { disks: Disk[]; foreignTags: { device: string; tag: string }[] }): Promise<void>;
  /** Durable when it resolves. Throws `Fenced`. */
  begin(start: Start): Promise<void>;
  /** What a load saves of the present is whole. Durable when it resolves: from then on the load may act. */
  pinned(pinned: Pinned): Promise<void>;
  /**
   * All that the load was to bring back is in place, on these new tops. Durable when it resolves: from then on the
   * machine may run.
   */
  loaded(content: Content): Promise<void>;
  /** Live progress for people who watch; lost in a crash. */
  progress(now: { phase: string; percent: number | null }): void;
}
